"""The system clock, and which clock is the default."""

from __future__ import annotations

import math
import time

import gevent
import pytest
from gevent import get_hub

from galeph import clock, deferred
from galeph.deferred import Deferred
from galeph.stream import Stream


@pytest.fixture
def system():
    return clock.SystemClock()


class TestTelling:
    def test_monotonic(self, system):
        """The monotonic time is the machine's, in seconds."""
        before, told, after = time.monotonic(), system.monotonic(), time.monotonic()

        assert before <= told <= after

    def test_wall(self, system):
        """The wall time is the machine's, in seconds since the epoch."""
        before, told, after = time.time(), system.time(), time.time()

        assert before <= told <= after


class TestSleeping:
    def test_blocks_its_greenlet_only(self, system):
        """Sleeping lets other greenlets run, and lasts at least as long as asked."""
        ran = []
        other = gevent.spawn(ran.append, 1)
        started = time.monotonic()
        system.sleep(0.01)
        slept = time.monotonic() - started

        assert [1] == ran
        assert other.dead
        assert slept >= 0.009


class TestTimer:
    def test_fires_once_in_the_hub(self, system):
        """A timer calls its function once, in the hub, with its arguments."""
        calls = []

        def fire(*arguments):
            calls.append((gevent.getcurrent(), arguments))

        system.start_timer(0.001, fire, 1, "two")
        gevent.sleep(0.02)

        assert [(get_hub(), (1, "two"))] == calls

    def test_not_early_after_a_computation(self, system):
        """After a long computation a timer counts from its start, not from the loop's time."""
        fired = []
        time_is_up = time.monotonic() + 0.03
        while time.monotonic() < time_is_up:
            pass
        started = time.monotonic()
        system.start_timer(0.02, lambda: fired.append(time.monotonic() - started))
        gevent.sleep(0.05)

        assert 1 == len(fired)
        assert fired[0] >= 0.019

    def test_cancelled_never_fires(self, system):
        """A cancelled timer does not fire; cancelling again, or after it fired, does nothing."""
        calls = []
        cancelled = system.start_timer(0.001, calls.append, "cancelled")
        fired = system.start_timer(0.001, calls.append, "fired")
        cancelled.cancel()
        cancelled.cancel()
        gevent.sleep(0.01)
        fired.cancel()

        assert ["fired"] == calls

    def test_cancels_itself(self, system):
        """A timer's function may cancel its own timer."""
        calls = []

        def fire():
            timer.cancel()
            calls.append(1)

        timer = system.start_timer(0.001, fire)
        gevent.sleep(0.01)

        assert [1] == calls

    @pytest.mark.parametrize(("ref", "expected"), [(True, 1), (False, 0)])
    def test_keeps_the_loop_alive(self, system, ref, expected):
        """A timer keeps the loop alive unless it is for housekeeping."""
        before = get_hub().loop.activecnt
        timer = system.start_timer(10, print, ref=ref)
        held = get_hub().loop.activecnt - before
        timer.cancel()

        assert expected == held

    def test_zero_fires_at_the_next_turn(self, system):
        """A timer of no length fires as soon as the loop turns, not before."""
        calls = []
        system.start_timer(0, calls.append, 1)

        assert [] == calls

        gevent.sleep(0.005)

        assert [1] == calls


class TestDefault:
    def test_is_the_system_clock(self):
        """Unless a test says otherwise the default is the machine's clock."""
        assert isinstance(clock.default(), clock.SystemClock)

    @pytest.mark.parity("TIME-12")
    def test_replaced(self, system):
        """Replacing the default returns the one it was."""
        before = clock.default()
        returned = clock.set_default(system)
        during = clock.default()
        clock.set_default(before)

        assert before is returned
        assert system is during
        assert before is clock.default()


class TestWithClock:
    @pytest.mark.parity("TIME-12")
    def test_inside_the_block(self, system):
        """Inside the block the clock is the default, afterwards the old one is again."""
        before = clock.default()
        with clock.with_clock(system) as given:
            inside = clock.default()

        assert system is given is inside
        assert before is clock.default()

    def test_restored_after_an_exception(self, system):
        """The old default is back also when the block raises."""
        before = clock.default()
        with pytest.raises(KeyError), clock.with_clock(system):
            raise KeyError

        assert before is clock.default()

    def test_nested(self, system):
        """Blocks nest."""
        other = clock.SystemClock()
        with clock.with_clock(system):
            with clock.with_clock(other):
                inner = clock.default()
            outer = clock.default()

        assert other is inner
        assert system is outer

    @pytest.mark.parity("TIME-12")
    def test_for_its_own_only(self, system):
        """What is started in the block has its clock, others at the same time have not."""

        def tell():
            gevent.sleep(0)
            return clock.default()

        outside = deferred.future(tell)
        with clock.with_clock(system):
            inside = deferred.future(tell)
            outside.wait()

        assert system is inside.get()
        assert clock.default() is outside.get()

    def test_goes_along_with_a_stage(self, system):
        """A function hung on a deferred in the block has its clock, also when it runs later."""
        pending = deferred.deferred()
        with clock.with_clock(system):
            told = pending.chain(lambda _: clock.default())
        pending.success(None)

        assert system is told.get()

    def test_before_the_process_s(self, system):
        """A replaced default of the process does not reach into the block."""
        with clock.with_clock(system):
            before = clock.set_default(clock.SystemClock())
            inside = clock.default()
            clock.set_default(before)

        assert system is inside


@pytest.mark.parametrize(
    "wait",
    [
        lambda limit: Stream().try_take(limit),
        lambda limit: Stream().try_put("x", limit),
        lambda limit: Stream().get(timeout=limit),
        lambda limit: Deferred().result(limit),
        lambda limit: Deferred().timeout(limit),
    ],
)
@pytest.mark.parametrize(
    ("limit", "error"), [(math.nan, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_a_limit_is_a_number(wait, limit, error):
    """What is none is refused by its name; as a timer it would stop all others of the loop."""
    with pytest.raises(error, match=r"(timeout|seconds) must be a number of seconds"):
        wait(limit)
