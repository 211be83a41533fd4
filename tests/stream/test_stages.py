"""`map`, `filter`, `mapcat`, `realize_each`: operators that look at one message at a time."""

from __future__ import annotations

from concurrent.futures import Future
from itertools import count

import gevent
import pytest
from gevent.event import AsyncResult

from galeph import stream as streams
from galeph.deferred import Deferred, error, future, success
from galeph.deferred.producer import owns
from galeph.errors import Cancelled
from galeph.stream import Stream, connect, consume
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


def is_odd(n):
    return n % 2


class TestMap:
    @pytest.mark.parity("STR-39")
    def test_gives_what_the_function_makes_of_each(self):
        """One output for each message, whatever it is."""
        source = Stream()
        mapped = source.map(lambda n: None if n == 2 else n * 10)
        feed(source, 1, 2, 3)

        assert [10, None, 30] == list(mapped)
        assert mapped.drained

    @pytest.mark.parity("STR-39")
    @pytest.mark.parametrize("use", USES)
    def test_brings_several_sources_together(self, use):
        """The function gets a message of each; it ends with the shortest."""
        summed = streams.map(lambda *ns: sum(ns), [1, 2, 3], [10, 20, 30, 40], range(100, 200))

        assert [111, 123, 135] == collect(summed, use)

    @pytest.mark.parity("STR-39")
    def test_does_not_wait_for_a_deferred(self):
        """What the function returns is the message, later or not."""
        pending = Deferred()

        assert [pending] == list(streams.map(lambda _: pending, [1]))


class TestFilter:
    @pytest.mark.parity("STR-41")
    def test_drops_the_others(self):
        """Dropped messages count as accepted by the put."""
        source = Stream()
        odd = source.filter(is_odd)
        taker = waiting(list, odd)

        assert source.put(2) is True
        assert source.put(3) is True
        source.close()
        assert [3] == taker.get(timeout=1)


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (streams.map, "fn"),
        (streams.filter, "predicate"),
        (streams.mapcat, "fn"),
        (streams.reductions, "fn"),
        (streams.reduce, "fn"),
        (streams.transform, "fn"),
        (streams.partition_by, "fn"),
    ],
)
def test_what_cannot_be_called_is_refused(operator, name):
    """A TypeError names the argument before anything is connected."""
    with pytest.raises(TypeError, match=f"{name} must be callable"):
        operator(5, [])
    with pytest.raises(TypeError, match="int"):
        operator(str, 5)


class TestMapcat:
    @pytest.mark.parity("STR-42")
    @pytest.mark.parametrize("use", USES)
    def test_gives_the_elements_one_by_one(self, use):
        """Of any iterable; an empty one is nothing."""
        kinds = {1: [1], 2: (2, 2), 3: (n for n in (3, 3, 3)), 0: {}}
        flat = streams.mapcat(kinds.get, [3, 0, 1, 2])

        assert [3, 3, 3, 1, 2, 2] == collect(flat, use)

    @pytest.mark.parity("STR-42")
    def test_brings_several_sources_together(self):
        """The function gets a message of each."""
        assert ["a", "b", "b"] == list(streams.mapcat(lambda n, s: [s] * n, [1, 2], ["a", "b"]))

    @pytest.mark.parity("STR-42")
    def test_is_held_back_inside_a_series(self):
        """An endless one is asked for no further than its output is accepted."""
        asked = []
        endless = streams.mapcat(lambda _: (asked.append(n) or n for n in count()), [1])
        sink = Stream(2)
        moved = connect(endless, sink)
        settle()

        assert [0, 1, 2] == asked
        sink.close()
        assert [0, 1, 2] == list(sink)
        settle()
        assert (True, [0, 1, 2, 3]) == (moved.get(timeout=1), asked)

    def test_what_is_no_series_fails_the_output(self):
        """As any error of the function does."""
        source = Stream(1)
        source.put(1)
        flat = source.mapcat(lambda n: n)

        with pytest.raises(TypeError, match="iterable"):
            flat.take()
        assert source.closed

    def test_a_series_that_raises_fails_the_output(self):
        """Behind the elements before it, and not in any other way than once."""

        def broken():
            yield 1
            raise ValueError("cut")

        flat = streams.mapcat(lambda _: broken(), [1, 2])

        assert 1 == flat.take()
        for _ in range(2):
            with pytest.raises(ValueError, match="cut"):
                flat.take()

    def test_a_kill_inside_a_generator_is_no_end_of_it(self):
        """The generator is over and its rest is lost, so the output fails instead of going on."""

        def slow():
            yield 1
            gevent.sleep(60)
            yield 2

        flat = streams.mapcat(lambda _: slow(), ["a", "b"])
        assert 1 == flat.take()
        waiting(flat.take).kill()

        with pytest.raises(Cancelled):
            flat.take()

    def test_a_kill_outside_of_it_loses_nothing(self):
        """Thrown at after any switch behind it, the rest of the series comes with the next take."""

        def scene():
            nonlocal taken
            source, taken = Stream(9), []
            flat = source.mapcat(range).map(yielding(lambda n: n))

            def take():
                for _ in range(2):
                    taken.append(flat.take())

            def supply():
                source.put_all([3, 2])
                settle()
                while len(taken) < 5:
                    taken.append(flat.try_take(1))

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert [0, 1, 2, 0, 1] == taken, way


class TestRealizeEach:
    @pytest.mark.parity("STR-40")
    @pytest.mark.parametrize("use", USES)
    def test_gives_what_the_messages_bring(self, use):
        """In their order, whoever is ready first; what is there already passes."""
        late, result, foreign = Deferred(), AsyncResult(), Future()
        source = Stream(9)
        source.put_all([late, 2, gevent.spawn(lambda: 3), success(4), result, foreign, None])
        source.close()
        result.set(5)
        foreign.set_result(6)
        gevent.spawn(lambda: settle() or late.success(1))

        assert [1, 2, 3, 4, 5, 6, None] == collect(source.realize_each(), use)

    @pytest.mark.parity("STR-40")
    def test_waits_for_one_after_the_other(self):
        """Nothing is taken while one is pending, and waiting takes no greenlet."""
        pending, source, seen = Deferred(), Stream(9), []
        done = consume(source.realize_each(), seen.append)
        source.put_all([pending, 2, 3])
        settle()

        assert ([], 2) == (seen, source.qsize())
        pending.success(1)
        settle()
        assert [1, 2, 3] == seen
        source.close()
        assert done.get(timeout=1) is True

    @pytest.mark.parity("STR-40", "STR-62")
    @pytest.mark.parametrize("late", [False, True])
    def test_one_that_fails_fails_the_output(self, late):
        """Behind what came before; the source is closed."""
        source, failing = Stream(9), Deferred() if late else error(ValueError("cut"))
        realized = source.realize_each()
        source.put_all([1, failing, 3])
        taker = outcome(lambda: (realized.take(), realized.take()))
        failing.error(ValueError("cut"))

        assert "cut" == str(taker.get(timeout=1))
        assert "cut" == str(realized.error)
        assert source.closed

    def test_a_killed_greenlet_among_the_messages_fails_the_output(self):
        """In galeph's words, so that the taker does not take it for the end of his own."""
        killed = gevent.spawn(gevent.sleep, 60)
        realized = streams.realize_each([killed])
        taker = outcome(realized.take)
        killed.kill()

        assert isinstance(taker.get(timeout=1), Cancelled)

    def test_a_limit_of_a_take_holds(self, clock):
        """The take ends in time, and the value is there for the next one."""
        pending = Deferred()
        realized = streams.realize_each([pending])
        taker = waiting(realized.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == taker.get(timeout=1)
        pending.success("value")
        assert "value" == realized.take()

    def test_a_taker_that_leaves_does_not_call_the_work_off(self):
        """The operator still wants the value, also of a deferred that owns it."""
        owning, disposed = Deferred(), []
        owns(owning, disposed.append)
        realized = streams.realize_each([owning])
        waiting(realized.take).kill()
        owning.success("connection")

        assert "connection" == realized.take()
        assert [] == disposed

    def test_closing_it_while_it_waits_lets_the_others_go_on(self):
        """A message that somebody else has had already does not stand in their way."""
        source, seen, pending = Stream(9), [], Deferred()
        realized = source.realize_each()
        consume(realized, lambda _: None)
        consume(source, seen.append)
        source.put_all([pending, 2])
        settle()

        assert [pending] == seen
        realized.close()
        settle()
        assert [pending, 2] == seen
        assert not source.closed

    def test_dropping_it_while_it_waits_lets_the_others_go_on(self):
        """As with any operator that nobody holds."""
        source, seen, pending = Stream(9), [], Deferred()
        realized = source.realize_each()
        taker = waiting(realized.try_take, 0.001)
        consume(source, seen.append)
        source.put_all([pending, 2])
        taker.join(1)
        del realized, taker
        settle()

        assert [pending, 2] == seen

    def test_an_interrupted_take_loses_nothing(self):
        """Thrown at after any switch, the values come in their order."""

        def scene():
            nonlocal taken
            source, taken = Stream(9), []
            realized = source.realize_each().map(yielding(lambda n: n))

            def take():
                for _ in range(3):
                    taken.append(realized.take())

            def supply():
                source.put_all([future(yielding(int), n) for n in range(5)])
                settle()
                while len(taken) < 5:
                    taken.append(realized.try_take(1))

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert list(range(5)) == taken, way


class TestFusing:
    def test_a_chain_runs_in_the_greenlet_of_the_take(self):
        """Without a queue or a greenlet between the operators."""
        ran_in = []
        chain = (
            Wire(1, 2)
            .map(lambda n: ran_in.append(gevent.getcurrent()) or n)
            .filter(lambda _: ran_in.append(gevent.getcurrent()) or True)
            .mapcat(lambda n: ran_in.append(gevent.getcurrent()) or [n])
        )

        assert 1 == chain.take()
        assert [gevent.getcurrent()] * 3 == ran_in


@pytest.mark.parametrize("name", ["map", "mapcat"])
def test_one_without_a_source_says_so(name):
    """The error names what was called."""
    with pytest.raises(TypeError, match=rf"{name}\(\) needs at least one source"):
        getattr(streams, name)(print)
