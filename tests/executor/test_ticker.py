"""When samples are taken and control periods end."""

from __future__ import annotations

import math

import gevent
import pytest
from gevent import get_hub

from galeph import clock, executor
from galeph.executor.ticker import Ticker
from galeph.testing import ManualClock


@pytest.fixture
def manual():
    with ManualClock() as manual:
        yield manual


@pytest.fixture
def log():
    return []


def ticker(manual, log, *, samples=math.inf, controls=math.inf, callback=None, control=None):
    """A ticker of 1 and 10 seconds that writes what it does, and goes on so many times."""

    def note(name, most):
        log.append((name, manual.monotonic()))
        return sum(entry[0] == name for entry in log) < most

    return Ticker(
        manual,
        sample=lambda: note("sample", samples),
        control=control or (lambda: ("measured", note("control", controls))),
        callback=callback,
        sample_period=1.0,
        control_period=10.0,
    )


class TestTicker:
    def test_periods(self, manual, log):
        """Once awake, it takes samples and ends control periods, each at its time."""
        made = ticker(manual, log)
        manual.advance(5)
        before = list(log)
        is_new, again = made.wake(), made.wake()
        manual.advance(20)
        made.rest()

        assert [] == before
        assert (True, False) == (is_new, again)
        assert 20 == sum(name == "sample" for name, _ in log)
        assert [("control", 15.0), ("control", 25.0)] == [e for e in log if e[0] == "control"]

    def test_samples_rest(self, manual, log):
        """When there is nothing to sample, samples stop until it is woken."""
        made = ticker(manual, log, samples=2)
        made.wake()
        manual.advance(5)
        first = [time for _, time in log]
        is_new = made.wake()
        manual.advance(1)
        made.rest()

        assert [1.0, 2.0] == first
        assert not is_new
        assert ("sample", 6.0) == log[-1]

    def test_controls_rest(self, manual, log):
        """When there is nothing to control either, no timer is left."""
        made = ticker(manual, log, samples=1, controls=2)
        made.wake()
        manual.advance(100)

        assert [1.0, 10.0, 20.0] == [time for _, time in log]
        assert "0 waiting" in repr(manual)
        assert made.wake()
        made.rest()

    def test_with_a_callback_it_never_rests(self, manual, log):
        """With a callback it begins at once, and goes on when nothing happens."""
        made = ticker(manual, log, samples=1, controls=1, callback=lambda stats: log.append(stats))
        manual.advance(30)
        made.rest()
        manual.advance(30)

        assert 3 == log.count("measured")

    def test_not_in_the_hub(self, manual):
        """The control function is called in a greenlet, in the context the ticker was made in."""
        where = []
        made = ticker(
            manual,
            [],
            control=lambda: (where.append((gevent.getcurrent(), clock.default())), False),
        )
        with clock.with_clock(clock.SystemClock()):
            made.wake()
        manual.advance(10)

        assert 1 == len(where)
        assert get_hub() is not where[0][0]
        assert manual is where[0][1]

    def test_one_at_a_time(self, manual, log):
        """While a control function is still at work, no second one begins."""

        def control():
            log.append(manual.monotonic())
            manual.sleep(25)
            return "measured", False

        made = ticker(manual, [], control=control, callback=lambda _: None)
        manual.advance(60)
        made.rest()
        manual.advance(60)

        assert [10.0, 40.0] == log

    def test_failing_callback(self, manual, caplog):
        """What the callback raises is logged, and the next period ends as ever."""

        def callback(stats):
            raise ValueError("broken")

        made = ticker(manual, [], callback=callback)
        manual.advance(20)
        made.rest()

        assert ["broken"] * 2 == [str(record.exc_info[1]) for record in caplog.records]

    def test_keeps_no_loop_alive(self, log):
        """Its timers are housekeeping."""
        before = get_hub().loop.activecnt
        made = ticker(clock.SystemClock(), log)
        made.wake()
        during = get_hub().loop.activecnt
        made.rest()

        assert before == during

    def test_without_samples(self, manual):
        """One that takes no samples has no timer for them."""
        made = Ticker(
            manual,
            sample=None,
            control=lambda: (None, True),
            callback=None,
            sample_period=1.0,
            control_period=10.0,
        )
        made.wake()
        waiting = repr(manual)
        made.rest()

        assert "1 waiting" in waiting


class TestArguments:
    @pytest.mark.parametrize("name", ["sample_period", "control_period"])
    @pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
    def test_periods(self, name, seconds):
        """A period that is none is refused, by its name."""
        with pytest.raises(ValueError, match=name):
            executor.fixed_executor(1, **{name: seconds})
