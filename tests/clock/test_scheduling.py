"""Functions that are called at some time: once, or again and again."""

from __future__ import annotations

import gc
import logging
import math
import threading
import weakref
from contextvars import ContextVar

import gevent
import pytest
from gevent import get_hub
from gevent.event import Event

from galeph import clock, deferred
from galeph.errors import Cancelled, TimedOut
from galeph.testing import ManualClock

VARIABLE = ContextVar("variable", default="unset")


@pytest.fixture
def manual():
    with ManualClock(start=50.0, wall=1000.0) as manual:
        yield manual


@pytest.fixture
def log():
    return []


class TestCallLater:
    @pytest.mark.parity("TIME-05")
    def test_calls_once(self, manual, log):
        """The function runs once, at its time, with its arguments; the deferred has its result."""

        def work(number, *, factor):
            log.append(manual.monotonic())
            return number * factor

        result = clock.call_later(2, work, 3, factor=5)
        manual.advance(1.999)

        assert [] == log

        manual.advance(100)

        assert [52.0] == log
        assert 15 == result.get()

    @pytest.mark.parity("TIME-05")
    def test_unwraps(self, manual):
        """If the function returns something that arrives later, the result is what arrives."""
        inner = deferred.deferred()
        result = clock.call_later(1, lambda: inner)
        manual.advance(1)

        assert not result.ready()

        inner.success("at last")

        assert "at last" == result.get()

    @pytest.mark.parity("TIME-05")
    def test_raises(self, manual):
        """If the function raises, the deferred fails with that."""
        error = ValueError("no")

        def work():
            raise error

        result = clock.call_later(1, work)
        manual.advance(1)

        with pytest.raises(ValueError, match="no") as caught:
            result.get()

        assert error is caught.value

    @pytest.mark.parity("TIME-01")
    @pytest.mark.parametrize(
        ("seconds", "milliseconds"), [(0.25, 250), (1, 1000), (60, 60_000), (1 / 50, 20)]
    )
    def test_durations_are_seconds(self, manual, log, seconds, milliseconds):
        """Durations are seconds, so they need no helper: 250 ms is 0.25, 50 Hz is 1 / 50."""
        clock.call_later(seconds, log.append, "called")
        manual.advance((milliseconds - 1) / 1000)

        assert [] == log

        manual.advance(0.001)

        assert ["called"] == log

    @pytest.mark.parity("TIME-06")
    @pytest.mark.parametrize(
        "end",
        [
            lambda d: d.success("by hand"),
            lambda d: d.error(ValueError("by hand")),
            lambda d: d.cancel(),
            lambda d: d.timeout(0),
        ],
        ids=["success", "error", "cancel", "timeout"],
    )
    def test_realized_before_its_time(self, manual, log, end):
        """Realizing the deferred before the time takes the timer off: nothing is called."""
        result = clock.call_later(5, log.append, "called")
        end(result)
        waiting = repr(manual)
        manual.advance(10)
        _ = result.exception

        assert [] == log
        assert "0 waiting" in waiting

    @pytest.mark.parity("TIME-06")
    def test_realized_by_a_thread(self, manual, log):
        """An OS thread may call it off too."""
        result = clock.call_later(5, log.append, "called")
        get_hub().threadpool.spawn(result.success, "by hand").get()
        manual.advance(10)

        assert [] == log
        assert "by hand" == result.get()

    def test_cancelled_while_it_runs(self, manual, log):
        """Cancelling the deferred while the function runs kills its greenlet."""

        def work():
            try:
                manual.sleep(60)
            except gevent.GreenletExit:
                log.append("killed")
                raise

        result = clock.call_later(1, work)
        manual.advance(1)
        result.cancel()
        manual.advance(0)

        assert ["killed"] == log
        assert result.cancelled()

    def test_killed_while_it_runs(self, manual):
        """A function whose greenlet is killed leaves nobody waiting."""
        greenlets = []

        def work():
            greenlets.append(gevent.getcurrent())
            manual.sleep(60)

        result = clock.call_later(1, work)
        manual.advance(1)
        greenlets[0].kill()

        with pytest.raises(Cancelled):
            result.result(timeout=5)

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_no_time(self, manual, log, seconds):
        """A call in no time is made as soon as the caller lets others run, and not before."""
        clock.call_later(seconds, log.append, "called")

        assert [] == log

        gevent.sleep(0)

        assert ["called"] == log
        assert 50.0 == manual.monotonic()

    def test_never_in_the_hub(self, manual):
        """The function has a greenlet of its own, so it may block."""
        result = clock.call_later(1, lambda: manual.sleep(1) or gevent.getcurrent())
        manual.advance(2)

        assert result.get() not in {get_hub(), gevent.getcurrent()}

    def test_context(self, manual):
        """The function runs in a copy of the caller's context, as it was at the call."""

        def work():
            before = VARIABLE.get()
            VARIABLE.set("changed inside")
            return before

        token = VARIABLE.set("caller's")
        result = clock.call_later(1, work)
        VARIABLE.reset(token)
        manual.advance(1)

        assert "caller's" == result.get()
        assert "unset" == VARIABLE.get()

    def test_nobody_holds_it(self, manual, log):
        """The call is made though nobody kept the deferred."""
        clock.call_later(1, log.append, "called")
        gc.collect()
        manual.advance(1)

        assert ["called"] == log

    def test_lets_go_of_what_was_called_off(self, manual):
        """Once called off, the function and what it holds are garbage."""

        class Thing:
            def work(self):
                pass

        thing = Thing()
        gone = weakref.ref(thing)
        result = clock.call_later(5, thing.work)
        result.cancel()
        del thing, result
        gc.collect()

        assert gone() is None

    @pytest.mark.parametrize("seconds", [math.nan, math.inf])
    def test_no_duration(self, seconds):
        """A duration that is none is refused at once."""
        with pytest.raises(ValueError, match="seconds"):
            clock.call_later(seconds, print)

    def test_no_function(self):
        """What cannot be called is refused at once."""
        with pytest.raises(TypeError, match="fn"):
            clock.call_later(1, "print")


class TestCallAt:
    @pytest.mark.parity("TIME-09")
    def test_at_its_time(self, manual, log):
        """The function runs when the wall clock gets there; the deferred has its result."""
        result = clock.call_at(1003.5, lambda *, add: manual.time() + add, add=1)
        manual.advance(3.4)

        assert not result.ready()

        manual.advance(0.1)

        assert 1004.5 == result.get()

    @pytest.mark.parity("TIME-09")
    @pytest.mark.parametrize("timestamp", [1000.0, 999.0, 0.0, -5.0])
    def test_past(self, manual, log, timestamp):
        """A moment that has passed is now."""
        clock.call_at(timestamp, log.append, "called")
        gevent.sleep(0)

        assert ["called"] == log

    @pytest.mark.parity("TIME-09")
    def test_called_off(self, manual, log):
        """It is called off as a `call_later` is."""
        result = clock.call_at(1003, log.append, "called")
        result.success("by hand")
        manual.advance(10)

        assert [] == log

    def test_wall_clock_set(self, manual, log):
        """Setting the wall clock afterwards changes nothing."""
        clock.call_at(1003, log.append, "called")
        manual.jump_wall(-500)
        manual.advance(3)

        assert ["called"] == log

    def test_no_moment(self):
        """What is no moment is refused, by its name."""
        with pytest.raises(ValueError, match="timestamp"):
            clock.call_at(math.nan, print)


class TestEvery:
    @pytest.mark.parity("TIME-07")
    def test_fixed_rate(self, manual, log):
        """The calls keep to the grid that began with the first, which is made at once."""

        def work():
            log.append(manual.monotonic())
            manual.sleep(0.7)

        job = clock.every(2, work)
        manual.advance(7)
        job.cancel()

        assert [50.0, 52.0, 54.0, 56.0] == log

    @pytest.mark.parity("TIME-07")
    def test_initial_delay(self, manual, log):
        """An initial delay moves the first call, and the grid with it."""
        job = clock.every(2, lambda: log.append(manual.monotonic()), initial_delay=0.5)
        manual.advance(5)
        job.cancel()

        assert [50.5, 52.5, 54.5] == log

    def test_period_that_is_next_to_nothing(self):
        """It is called as often as others let it, though no number counts the periods."""
        called, fourth = [], deferred.deferred()

        def work():
            called.append(None)
            if len(called) == 4:
                fourth.success(None)

        job = clock.every(5e-324, work)
        fourth.get(timeout=5)

        assert not job.ready()
        job.cancel()

    @pytest.mark.parity("TIME-07")
    def test_cancel(self, manual, log):
        """Cancelling ends the calls and takes the timer off."""
        job = clock.every(1, lambda: log.append("called"))
        manual.advance(2)
        won = job.cancel()
        waiting = repr(manual)
        manual.advance(5)

        assert won
        assert 3 == len(log)
        assert "0 waiting" in waiting

    def test_ended_otherwise(self, manual, log):
        """Realizing the deferred in any way ends the calls: a time limit, for one."""
        job = clock.every(1, lambda: log.append("called"), initial_delay=1).timeout(3.5)
        manual.advance(10)

        assert 3 == len(log)
        assert isinstance(job.exception, TimedOut)

    def test_cancelled_from_inside(self, manual, log):
        """A call may cancel the job, and still runs to its end."""

        def work():
            job.cancel()
            manual.sleep(0.1)
            log.append("went on")

        job = clock.every(1, work)
        manual.advance(5)

        assert ["went on"] == log

    def test_cancelled_before_the_first(self, manual, log):
        """A job cancelled before its first call makes none."""
        job = clock.every(1, lambda: log.append("called"), initial_delay=1)
        job.cancel()
        manual.advance(5)

        assert [] == log

    def test_slow_function(self, manual, log):
        """Calls do not overlap: the times that pass during one are left out."""

        def work():
            log.append(manual.monotonic() - 50)
            manual.sleep(2.5 if len(log) == 1 else 0)

        job = clock.every(1, work)
        manual.advance(5)
        job.cancel()

        assert [0.0, 3.0, 4.0, 5.0] == log

    def test_as_slow_as_its_period(self, manual, log):
        """A call that ends just when the next is due does not make that late."""

        def work():
            log.append(manual.monotonic() - 50)
            manual.sleep(1)

        job = clock.every(1, work)
        manual.advance(3)
        job.cancel()
        manual.advance(1)

        assert [0.0, 1.0, 2.0, 3.0] == log

    @pytest.mark.parity("TIME-08")
    def test_exception_ends_it(self, manual, log, caplog):
        """A call that raises is the last; the error is the deferred's, and is logged once."""
        error = ValueError("broken")

        def work():
            log.append(manual.monotonic())
            if len(log) == 3:
                raise error

        with caplog.at_level(logging.ERROR, "galeph.clock"):
            job = clock.every(1, work)
            manual.advance(10)

        assert [50.0, 51.0, 52.0] == log
        assert error is job.exception
        assert [error] == [record.exc_info[1] for record in caplog.records]
        assert "is not called again" in caplog.text

    def test_exception_is_reported_once(self, manual, caplog):
        """The log's line is the only one, though nobody looks at the deferred."""
        with deferred.dropped_errors() as dropped:
            clock.every(1, lambda: int("no number"))
            manual.advance(1)
            gc.collect()

        assert 1 == len(caplog.records)
        assert [] == dropped

    def test_exception_after_it_was_cancelled(self, manual, caplog):
        """An exception of the last call, cancelled meanwhile, is logged all the same."""

        def work():
            job.cancel()
            raise ValueError("broken")

        with caplog.at_level(logging.ERROR, "galeph.clock"):
            job = clock.every(1, work)
            manual.advance(0)

        assert ["broken"] == [str(record.exc_info[1]) for record in caplog.records]
        assert job.cancelled()

    def test_killed(self, manual, log, caplog):
        """A job whose greenlet is killed ends as cancelled, without a line in the log."""

        def work():
            log.append(gevent.getcurrent())
            manual.sleep(60)

        job = clock.every(1, work)
        manual.advance(0)
        log[0].kill()
        manual.advance(5)

        assert 1 == len(log)
        assert job.cancelled()
        assert [] == caplog.records

    def test_context(self, manual, log):
        """Each call runs in a copy of its own of the caller's context."""

        def work():
            log.append(VARIABLE.get())
            VARIABLE.set("changed inside")

        token = VARIABLE.set("caller's")
        job = clock.every(1, work)
        VARIABLE.reset(token)
        manual.advance(2)
        job.cancel()

        assert ["caller's"] * 3 == log

    @pytest.mark.parity("TIME-15")
    @pytest.mark.parametrize("period", [0, -1, math.nan, math.inf])
    def test_period(self, period):
        """A period that is not positive is refused."""
        with pytest.raises(ValueError, match="period"):
            clock.every(period, print)

    @pytest.mark.parametrize("initial_delay", [-0.1, math.nan, math.inf])
    def test_negative_delay(self, initial_delay):
        """A first call in the past is refused."""
        with pytest.raises(ValueError, match="initial_delay"):
            clock.every(1, print, initial_delay=initial_delay)

    def test_no_function(self):
        """What cannot be called is refused at once."""
        with pytest.raises(TypeError, match="fn"):
            clock.every(1, None)

    def test_hung_on(self, manual):
        """What hangs on the job gets its error."""

        def work():
            raise ValueError("broken")

        job = clock.every(1, work, initial_delay=1)
        caught = job.catch(ValueError, str)
        manual.advance(1)

        assert "broken" == caught.get()


class TestTheSystemClock:
    """The same on the hub's own timers."""

    @pytest.mark.parity("TIME-11")
    def test_no_thread_no_trace(self):
        """The default clock has no thread; what is called off is gone from the loop at once."""
        threads = threading.active_count()
        before = get_hub().loop.activecnt
        calls = [clock.call_later(60, print) for _ in range(100)]
        job = clock.every(60, print, initial_delay=60)
        during = get_hub().loop.activecnt
        for call in calls:
            call.cancel()
        job.cancel()

        assert threads == threading.active_count()
        assert 101 == during - before
        assert before == get_hub().loop.activecnt

    def test_call_later(self):
        """A call is made by the hub's timer."""
        assert 7 == clock.call_later(0.002, lambda: 7).result(timeout=5)

    def test_every(self):
        """A job's calls are made by the hub's timers, at the rate asked for."""
        calls = []
        enough = Event()

        def work():
            calls.append(clock.default().monotonic())
            if len(calls) == 5:
                enough.set()

        begun = clock.default().monotonic()
        job = clock.every(0.004, work)
        arrived = enough.wait(5)
        job.cancel()

        assert arrived
        assert calls[4] - begun >= 0.015  # the first may have been late


class Recording:
    """A clock made from nothing but the protocol: it notes what it is asked for."""

    def __init__(self):
        self.timers = []

    def monotonic(self):
        return 0.0

    def time(self):
        return 0.0

    def sleep(self, seconds):
        raise NotImplementedError

    def start_timer(self, seconds, fn, *args, ref=True):
        timer = Recorded(seconds, fn, args)
        self.timers.append(timer)
        return timer


class Recorded:
    def __init__(self, seconds, fn, args):
        self.seconds, self.fn, self.args = seconds, fn, args
        self.is_cancelled = False

    def cancel(self):
        self.is_cancelled = True


class TestAnyClock:
    @pytest.mark.parity("TIME-10")
    def test_four_operations_suffice(self, log):
        """Any object with the clock's operations drives calls and jobs, and is told of cancels."""
        recording = Recording()
        with clock.with_clock(recording):
            once = clock.call_later(0.000_002, log.append, "once")
            job = clock.every(0.5, lambda: log.append("again"))
            gevent.sleep(0.001)
        first, second = recording.timers
        second.fn(*second.args)
        gevent.sleep(0.001)
        once.cancel()
        job.cancel()

        assert [0.000_002, 0.5, 1.0] == [timer.seconds for timer in recording.timers]
        assert ["again", "again"] == log
        assert first.is_cancelled
        assert recording.timers[2].is_cancelled

    @pytest.mark.parity("TIME-10")
    def test_resolution(self, manual, log):
        """Time has microseconds: calls a microsecond apart come in their order, each at its own."""
        for count in (3, 1, 2):
            clock.call_later(count / 1e6, lambda: log.append(manual.monotonic() - 50))
        manual.advance(0.001)

        assert pytest.approx([1e-6, 2e-6, 3e-6], abs=1e-9) == log
