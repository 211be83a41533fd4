"""Work in the runner greenlet, and what may end it."""

from __future__ import annotations

import gevent
import pytest

from galeph.deferred._runner import RunnerGreenlet
from galeph.stream.running import LOOKS_AT_CLOCK, pass_on, run_soon
from tests.stream.scenes import settle


class Work:
    """Something to run, and where that was done."""

    _entries = None

    def __init__(self, fn=lambda: None):
        self.fn = fn
        self.greenlets = []

    def run(self, _):
        self.greenlets.append(gevent.getcurrent())
        self.fn()


def test_work_is_done_soon_in_a_runner():
    """Not in the greenlet that asks for it; what blocks there holds up nothing behind it."""
    gate = gevent.event.Event()
    first, second = Work(gate.wait), Work()
    run_soon(first)
    run_soon(second)

    assert [] == first.greenlets + second.greenlets
    settle()
    (one,), (other,) = first.greenlets, second.greenlets
    assert isinstance(one, RunnerGreenlet)
    assert isinstance(other, RunnerGreenlet)
    assert one is not other
    gate.set()
    settle()


@pytest.mark.parametrize("error", [ValueError(), gevent.GreenletExit(), gevent.Timeout()], ids=repr)
def test_what_ends_one_piece_of_work_is_nobody_else_s(error, galeph_hub_errors):
    """Nothing is told to the hub."""
    pass_on(error, Work())

    assert [] == galeph_hub_errors


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_reaches_the_main_greenlet(error, galeph_hub_errors):
    """As from any greenlet."""
    run_soon(Work(lambda: pass_on(error(), "work")))

    with pytest.raises(error):
        gevent.sleep(1)
    # gevent prints the one and not the other.
    galeph_hub_errors.clear()


def test_the_clock_is_looked_at_with_a_mask():
    """Every so many messages."""
    assert 0 == LOOKS_AT_CLOCK & (LOOKS_AT_CLOCK + 1)
