"""`throttle` and `periodically`: how often messages come."""

from __future__ import annotations

import contextvars
import gc
import math
import weakref

import gevent
import pytest

from galeph import clock as clocks
from galeph import stream as streams
from galeph.errors import Cancelled
from galeph.stream import Stream, connect, consume
from galeph.testing import ManualClock
from tests.stream.broken_clock import BrokenClock
from tests.stream.scenes import (
    USES,
    collect,
    feed,
    interruptions,
    outcome,
    settle,
    victim,
    waiting,
)
from tests.stream.wires import Wire, yielding


@pytest.fixture
def stamped(clock):
    """A function that collects messages with the time they came at, and what it has collected."""
    got = []

    def stamp(message):
        got.append((message, round(clock.monotonic(), 6)))

    stamp.got = got
    return stamp


class TestThrottle:
    @pytest.mark.parity("STR-56")
    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_gives_so_many_messages_a_second(self, make, stamped, clock):
        """The first at once, and then one each period."""
        source = make(9) if make is Stream else Wire()
        consume(source.throttle(4), stamped)
        for n in range(5):
            source.put(n) if make is Stream else source.arrive(n)
        clock.advance(2)

        assert [(0, 0), (1, 0.25), (2, 0.5), (3, 0.75), (4, 1)] == stamped.got
        source.close()
        settle()

    @pytest.mark.parity("STR-56")
    @pytest.mark.parametrize(
        ("options", "burst"), [({}, 4), ({"max_backlog": 2}, 2), ({"max_backlog": 0}, 1)]
    )
    def test_makes_up_for_idle_times(self, options, burst, stamped, clock):
        """With a burst of one second's worth, or of as many as told."""
        source = Stream(20)
        consume(source.throttle(4, **options), stamped)
        clock.advance(100)
        source.put_all(range(10))
        clock.advance(0.5)

        expected = [100] * burst + [100.25, 100.5]
        assert expected == [at for _, at in stamped.got]
        source.close()

    def test_a_short_pause_earns_little(self, stamped, clock):
        """Not a whole burst."""
        source = Stream(20)
        consume(source.throttle(4), stamped)
        source.put(0)
        clock.advance(0.75)
        source.put_all(range(1, 6))
        clock.advance(1)

        assert [0, 0.75, 0.75, 0.75, 1, 1.25] == [at for _, at in stamped.got]
        source.close()

    @pytest.mark.parametrize("use", USES)
    def test_gives_every_message_in_order(self, use):
        """However it is used."""
        assert list(range(20)) == collect(streams.throttle(100_000, range(20)), use)

    def test_a_take_waits_for_its_time(self, clock):
        """Not longer than its own limit, and the message is there for the next."""
        throttled = streams.throttle(0.5, range(3))
        assert 0 == throttled.take()
        late = waiting(throttled.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == late.get(timeout=1)
        taker = waiting(throttled.take)
        clock.advance(0.9)
        assert not taker.ready()
        clock.advance(0.1)
        assert 1 == taker.get(timeout=1)

    def test_takes_one_message_ahead(self, clock):
        """The one that waits for its time."""
        source, sink = Stream(9), Stream(9)
        connect(source.throttle(1), sink)
        source.put_all(range(5))
        settle()

        assert (1, 3) == (sink.qsize(), source.qsize())
        source.close()
        clock.advance(9)
        assert list(range(5)) == list(sink)

    def test_ends_with_the_source_when_the_last_was_given(self, clock):
        """In its time, as the others; a failure too."""
        for end in (Stream.close, lambda source: source.fail(ValueError("cut"))):
            source, sink = Stream(9), Stream(9)
            moved = connect(source.throttle(1), sink)
            source.put_all([1, 2])
            end(source)
            settle()
            assert not sink.closed
            clock.advance(1)
            assert sink.closed
            assert "cut" in str(moved.exception) or moved.value

    @pytest.mark.parity("STR-56")
    def test_closing_it_closes_the_source(self, clock):
        """At once, and no timer is left; or from far below."""
        source, sink = Stream(9), Stream(9)
        throttled = source.throttle(1)
        source.put_all(range(3))
        assert 0 == throttled.take()
        taker = waiting(throttled.take, "end")
        throttled.close()

        assert "end" == taker.get(timeout=1)
        assert source.closed
        assert "0 waiting" in repr(clock)
        other = Stream(9)
        connect(other.throttle(1).map(str), sink)
        other.put_all(range(3))
        settle()
        sink.close()
        settle()
        assert other.closed
        assert "0 waiting" in repr(clock)

    def test_does_not_hold_up_others_longer_than_it_must(self, clock):
        """They are paced with it while it is there, and free when it is closed."""
        source, seen = Stream(9), []
        throttled = source.throttle(1)
        consume(throttled, lambda _: None)
        consume(source, seen.append)
        source.put_all(range(4))
        settle()

        assert [0, 1] == seen
        clock.advance(1)
        assert [0, 1, 2] == seen
        throttled.close()
        settle()
        assert [0, 1, 2, 3] == seen

    def test_an_operator_of_it_that_is_closed_frees_the_others_too(self, clock):
        """Wherever in the chain it waits."""
        source, seen = Stream(9), []
        end = source.map(str).throttle(1).map(str)
        consume(end, lambda _: None)
        consume(source, seen.append)
        source.put_all(range(4))
        settle()
        end.close()
        settle()

        assert [0, 1, 2, 3] == seen
        assert "0 waiting" in repr(clock)

    def test_arguments_are_checked(self):
        """A ValueError names them before anything is connected."""
        for rate in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="max_rate must be above 0"):
                streams.throttle(rate, [])
        with pytest.raises(ValueError, match="max_backlog must not be negative"):
            streams.throttle(1, [], max_backlog=-1)

    def test_odd_rates_do_not_spin(self, stamped, clock):
        """Rounding does not leave a message due in no time at all."""
        source = Stream(50)
        consume(source.throttle(3, max_backlog=0), stamped)
        source.put_all(range(31))
        clock.advance(10.001)

        assert 31 == len(stamped.got)
        source.close()

    @pytest.mark.parity("TIME-12")
    def test_keeps_the_clock_it_was_made_with(self):
        """Whether that was the block's or the process's, and whoever is default when it waits."""
        made_with = ManualClock(start=50)
        with clocks.with_clock(made_with):
            inner = streams.throttle(1, range(3), max_backlog=0)
        with made_with:
            outer = streams.throttle(1, range(3), max_backlog=0)
        with ManualClock(start=9) as other:
            got = [[], []]
            consume(inner, lambda n: got[0].append((n, made_with.monotonic())))
            taker = waiting(lambda: [got[1].append((n, made_with.monotonic())) for n in outer])
            other.advance(100)
            assert "0 waiting" in repr(other)
            made_with.advance(5)
            taker.get(timeout=1)

        assert [[(0, 50), (1, 51), (2, 52)]] * 2 == got

    def test_an_interrupted_take_loses_nothing(self):
        """Thrown at after any switch, the messages come in order."""

        def scene():
            nonlocal taken
            source, taken = Stream(), []
            throttled = source.throttle(1e5, max_backlog=0).map(yielding(lambda n: n))

            def take():
                for _ in range(3):
                    taken.append(throttled.take())

            def supply():
                producer = feed(source, *range(5))
                settle()
                while len(taken) < 5:
                    taken.append(throttled.try_take(1))
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert list(range(5)) == taken, way


class TestPeriodically:
    @pytest.mark.parity("STR-57")
    def test_gives_what_the_function_returns_every_period(self, clock):
        """Whatever that is, also None."""
        results = iter([1, None, 3])
        ticks, got = streams.periodically(20, lambda: next(results), initial_delay=5), []
        consume(ticks, lambda message: got.append((message, clock.monotonic())))
        clock.advance(45)

        assert [(1, 5), (None, 25), (3, 45)] == got
        ticks.close()

    def test_period_that_is_next_to_nothing(self):
        """It goes on as fast as they are taken, though no number counts the periods."""
        ticks = streams.periodically(5e-324, lambda: 1, initial_delay=0)

        assert [1, 1, 1, 1] == [ticks.try_take(5) for _ in range(4)]
        ticks.close()

    @pytest.mark.parity("STR-57")
    def test_begins_at_a_multiple_of_the_period(self, clock):
        """Of the wall clock, unless told otherwise."""
        clock.jump_wall(7)
        ticks, got = streams.periodically(10, clock.time), []
        begun = clock.time()
        consume(ticks, lambda message: got.append(message - begun))
        clock.advance(15)

        assert [3, 13] == got
        ticks.close()
        at_once = streams.periodically(10, lambda: "now", initial_delay=0)
        clock.advance(0)
        assert "now" == at_once.try_take(0)
        at_once.close()

    @pytest.mark.parity("STR-57")
    @pytest.mark.parametrize("period", [0.1, 1, 1 / 3, 60])
    @pytest.mark.parametrize("begun", [0, 0.05, 0.3, 0.7])
    @pytest.mark.parametrize("wall", [0.3, 1000.3, 1_735_689_600.0])
    def test_one_call_at_each_multiple(self, period, begun, wall):
        """Whatever rounding makes of the moments: none is left out, and none comes twice."""
        calls = []
        with ManualClock(start=begun, wall=wall + begun) as clock:
            begun = clock.time()
            ticks = streams.periodically(period, lambda: calls.append(clock.time()))
            consume(ticks, lambda _: None)
            clock.advance(40.5 * period)
            ticks.close()

        first = math.ceil(begun / period - 1e-5)
        if abs(begun - first * period) < 1e-5:
            first += 1
        expected = [(first + n) * period for n in range(40)]
        assert expected == pytest.approx(calls[:40], abs=1e-5, rel=0)
        assert len(calls) in (40, 41)

    @pytest.mark.parity("STR-57")
    @pytest.mark.parametrize(("period", "calls"), [(0.1, 10), (0.25, 4), (0.01, 100), (0.05, 20)])
    def test_fits_into_the_seconds(self, period, calls):
        """From the beginning of a second to the next, fractions come out even."""
        got = []
        with ManualClock() as clock:
            ticks = streams.periodically(period, clock.monotonic)
            consume(ticks, got.append)
            clock.advance(1)
            ticks.close()

        assert [(n + 1) / calls for n in range(calls)] == pytest.approx(got, abs=1e-9, rel=0)

    @pytest.mark.parity("STR-57")
    def test_one_call_a_period_when_the_clock_jumps(self):
        """A clock that goes on by itself is not held at one moment."""
        with ManualClock(jump_after=0) as clock:
            ticks = streams.periodically(0.1, clock.monotonic)
            got = [ticks.take() for _ in range(100)]
            ticks.close()

        assert [n / 10 for n in range(1, 101)] == pytest.approx(got, abs=1e-5, rel=0)

    @pytest.mark.parity("TIME-12")
    @pytest.mark.parametrize("way", [clocks.with_clock, lambda manual: manual])
    def test_keeps_the_clock_it_was_made_with(self, way):
        """Ticking on when the block is over, past blocks of other clocks, and after a pause."""
        made_with, got = ManualClock(wall=1000), []
        with way(made_with):
            ticks = streams.periodically(2, made_with.monotonic, initial_delay=1)
            consume(ticks, got.append)
            made_with.advance(2)
            full = streams.periodically(2, made_with.monotonic)
        with ManualClock(start=77, wall=7) as other:
            made_with.advance(4)
            other.advance(10)
            assert "0 waiting" in repr(other)
            assert [4, 6] == [full.take(), full.take()]
            made_with.advance(3)
        made_with.advance(1)

        assert [1, 3, 5, 7, 9] == got
        assert [8, 10] == [full.take(), full.take()]
        ticks.close()
        full.close()

    @pytest.mark.parity("STR-57")
    def test_stores_one_result(self, clock):
        """One that nobody has taken, and one that waits behind it: both stay takeable."""
        ticks = streams.periodically(20, lambda: 1, initial_delay=0)
        clock.advance(200)
        ticks.close()

        assert [1, 1] == list(ticks)

    @pytest.mark.parity("STR-34")
    def test_may_be_iterated_with_a_limit(self):
        """Each wait is limited, not the whole."""
        ticks = streams.periodically(0.01, lambda: 1, initial_delay=0)

        assert [1, 1, 1] == [
            message for message, _ in zip(ticks.to_iterator(timeout=5), range(3), strict=False)
        ]
        ticks.close()
        settle()

    @pytest.mark.parity("STR-58")
    def test_stops_while_nobody_takes_and_goes_on_aligned(self, clock):
        """No timer runs; when both results are wanted it goes on at the next multiple."""
        calls = []
        ticks = streams.periodically(10, lambda: calls.append(clock.monotonic()), initial_delay=3)
        clock.advance(100)

        assert [3, 13] == calls
        assert "0 waiting" in repr(clock)
        assert ticks.try_take(0, "end", "late") is None
        assert "1 waiting" in repr(clock)
        clock.advance(9)
        assert [3, 13] == calls
        clock.advance(1)
        assert [3, 13, 110] == calls
        ticks.close()

    @pytest.mark.parity("STR-58")
    @pytest.mark.parametrize(("period", "begun"), [(0.1, 0), (0.1, 0.05), (1, 0.3), (60, 0.7)])
    def test_the_multiple_it_stopped_at_does_not_come_again(self, period, begun):
        """Taken in the moment of the call that filled it, it goes on at the next one."""
        calls, taken = [], []
        with ManualClock(start=begun, wall=1_735_689_600.0 + begun) as clock:

            def call():
                calls.append(clock.monotonic())
                if len(calls) % 2 == 0:
                    gevent.spawn(lambda: taken.extend([ticks.take(), ticks.take()]))

            ticks = streams.periodically(period, call)
            clock.advance(40.25 * period)
            ticks.close()

        assert 40 == len(taken) == len(calls)
        assert [round(n * period, 5) for n in range(1, 41)] == [round(at, 5) for at in calls]

    @pytest.mark.parity("STR-58")
    def test_closing_it_stops_it(self, clock):
        """From above or below, ticking or waiting to be taken; the function is not called again."""
        calls = []
        ticks = streams.periodically(10, lambda: calls.append(1), initial_delay=0)
        clock.advance(0)
        ticks.close()
        full = streams.periodically(10, lambda: calls.append(1), initial_delay=0)
        clock.advance(50)
        full.close()
        connected = streams.periodically(10, lambda: calls.append(1), initial_delay=0)
        sink = Stream(9)
        connect(connected.map(str), sink)
        clock.advance(0)
        sink.close()
        clock.advance(0)

        assert "0 waiting" in repr(clock)
        calls.clear()
        clock.advance(100)
        assert [] == calls
        assert [None, None] == list(full)
        settle()
        assert "0 waiting" in repr(clock)

    @pytest.mark.parity("STR-57")
    def test_an_exception_fails_it(self, clock):
        """Behind the results before it."""
        results = iter([1])
        ticks = streams.periodically(10, lambda: 1 / next(results, 0), initial_delay=0)
        clock.advance(10)

        assert 1 == ticks.take()
        with pytest.raises(ZeroDivisionError):
            ticks.take()
        assert isinstance(ticks.error, ZeroDivisionError)
        assert "0 waiting" in repr(clock)

    @pytest.mark.parity("STR-57")
    @pytest.mark.parametrize("looks", [True, False])
    def test_an_exception_ends_what_is_connected_and_is_reported_if_nobody_looks(
        self, clock, looks, caplog, galeph_unseen_errors
    ):
        """By the deferred of the connection; the function is not called again."""
        caplog.set_level(0)
        calls = []

        def fail():
            calls.append(clock.monotonic())
            raise ValueError("broken")

        ticks = streams.periodically(10, fail, initial_delay=0)
        done = consume(ticks, print)
        clock.advance(50)
        if looks:
            assert isinstance(done.exception, ValueError)
        del done

        assert isinstance(ticks.error, ValueError)
        assert [0] == calls
        assert [] == caplog.records
        reported = [error.strip().splitlines()[-1] for error in galeph_unseen_errors()]
        assert ([] if looks else ["ValueError: broken"]) == reported

    @pytest.mark.parametrize("pauses", [False, True])
    def test_an_exception_of_the_clock_fails_it(self, pauses):
        """Nobody waits for ever for a timer that could not be started."""
        broken = BrokenClock()
        with clocks.with_clock(broken):
            ticks = streams.periodically(1, lambda: 1, initial_delay=0)
            broken.is_broken = not pauses
            broken.advance(5)
        broken.is_broken = True

        assert [1] * (2 if pauses else 1) == [ticks.take() for _ in range(2 if pauses else 1)]
        with pytest.raises(ArithmeticError, match="no timers"):
            ticks.take()

    def test_a_kill_of_the_runner_fails_it(self, clock):
        """If somebody kills galeph's own greenlet inside the function, nobody waits for ever."""
        inside = []

        def stuck():
            inside.append(gevent.getcurrent())
            gevent.sleep(60)

        ticks = streams.periodically(10, stuck, initial_delay=0)
        taker = outcome(ticks.take)
        clock.advance(0)
        gevent.get_hub().loop.run_callback(inside[0].throw, gevent.GreenletExit)

        assert isinstance(taker.get(timeout=1), Cancelled)

    def test_a_function_that_is_late_leaves_calls_out(self, clock):
        """It goes on in its beat."""
        calls = []

        def slow():
            calls.append(clock.monotonic())
            if len(calls) == 1:
                clock.sleep(25)

        ticks = streams.periodically(10, slow, initial_delay=0)
        consume(ticks, lambda _: None)
        clock.advance(45)

        assert [0, 30, 40] == calls
        ticks.close()

    def test_one_closed_while_the_function_runs_takes_no_result(self, clock):
        """It is not called again either."""
        ticks = streams.periodically(10, lambda: clock.sleep(5) or "late", initial_delay=0)
        clock.advance(0)
        ticks.close()
        clock.advance(50)

        assert [] == list(ticks)

    def test_runs_in_the_context_it_was_made_in(self, clock):
        """A copy of it."""
        variable = contextvars.ContextVar("variable", default="none")
        context = contextvars.copy_context()
        context.run(variable.set, "made")
        ticks = context.run(streams.periodically, 10, variable.get, initial_delay=0)
        clock.advance(0)

        assert "made" == ticks.take()
        ticks.close()

    def test_a_dropped_one_is_collected_when_nobody_takes(self, clock):
        """It stops ticking by itself."""
        ticks = streams.periodically(10, lambda: 1, initial_delay=0)
        watched = weakref.ref(ticks)
        del ticks
        clock.advance(50)
        gc.collect()

        assert watched() is None
        assert "0 waiting" in repr(clock)

    def test_arguments_are_checked(self):
        """An error names them, and no timer is started."""
        for period in (0, -1):
            with pytest.raises(ValueError, match="period must be above 0"):
                streams.periodically(period, int)
        with pytest.raises(ValueError, match="initial_delay must not be negative"):
            streams.periodically(1, int, initial_delay=-1)
        with pytest.raises(TypeError, match="fn must be callable"):
            streams.periodically(1, 5)
