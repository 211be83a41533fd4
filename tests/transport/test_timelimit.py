"""A time limit that raises galeph's error."""

from __future__ import annotations

import gevent
import pytest

from galeph import clock
from galeph.errors import ConnectTimeout
from galeph.testing import ManualClock
from galeph.transport.timelimit import TimeLimit


def late():
    return ConnectTimeout("too late")


@pytest.fixture
def manual_clock():
    manual = ManualClock()
    previous = clock.set_default(manual)
    yield manual
    clock.set_default(previous)


class TestTimeLimit:
    def test_raises_in_a_blocked_greenlet(self):
        """The error made for the occasion arrives where the greenlet is blocked."""
        limit = TimeLimit(0.01, late)
        with pytest.raises(ConnectTimeout, match="too late"), limit:
            gevent.sleep(5)

        assert limit.has_expired

    def test_in_time(self):
        """Nothing is raised, then or later, when the block is left in time."""
        limit = TimeLimit(0.01, late)
        with limit:
            pass
        gevent.sleep(0.02)

        assert not limit.has_expired

    def test_no_limit(self):
        """None starts no timer at all."""
        with TimeLimit(None, late) as limit:
            gevent.sleep(0)

        assert limit._timer is None

    def test_goes_by_the_clock(self, manual_clock):
        """The limit is one of galeph's clock, not of the machine's."""

        def wait():
            with TimeLimit(30, late):
                gevent.sleep(5)

        waiting = gevent.spawn(outcome, wait)
        gevent.sleep(0)
        manual_clock.advance(29.9)
        gevent.sleep(0)
        assert not waiting.ready()
        manual_clock.advance(0.2)

        assert "ConnectTimeout" == waiting.get(timeout=1)

    def test_goes_by_the_clock_of_its_block(self):
        """Which another one does not replace where the time runs out: in the hub."""
        manual = ManualClock()

        def wait():
            with clock.with_clock(manual), TimeLimit(30, late):
                gevent.sleep(5)

        waiting = gevent.spawn(outcome, wait)
        gevent.sleep(0)
        manual.advance(30)

        assert "ConnectTimeout" == waiting.get(timeout=1)

    def test_left_between_expiry_and_delivery(self, manual_clock):
        """An expiry that finds the block left raises nothing."""
        with TimeLimit(1, late) as limit:
            limit._expire()
        gevent.sleep(0)
        gevent.sleep(0)

        assert not limit.has_expired

    def test_other_exceptions_pass(self):
        """What is raised inside goes on, and the timer is gone."""
        with pytest.raises(KeyError), TimeLimit(5, late):
            raise KeyError


def outcome(fn):
    try:
        fn()
    except Exception as error:
        return type(error).__name__
    return "no error"
