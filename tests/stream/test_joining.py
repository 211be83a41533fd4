"""`zip` and `concat`: one source of several."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import gevent
import pytest

from galeph import stream as streams
from galeph.stream import Stream, connect, consume
from galeph.testing import kill_walk
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


class TestZip:
    @pytest.mark.parity("STR-45")
    @pytest.mark.parametrize("use", USES)
    def test_gives_tuples(self, use):
        """A message of each source, in their order, however many sources."""
        supply = [range(10_000 * n, 10_000 * (n + 1)) for n in range(3)]

        assert list(zip(*supply, strict=True)) == collect(streams.zip(*supply), use)
        assert [(1,), (2,)] == collect(streams.zip([1, 2]), use)

    def test_needs_a_source(self):
        """A TypeError says so; and names what is none."""
        with pytest.raises(TypeError, match="at least one"):
            streams.zip()
        with pytest.raises(TypeError, match="int"):
            streams.zip([], 5)

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_draws_on_streams_as_they_come(self, make):
        """Whichever is first, and also on two operators of one of them."""
        left, right = make(), Stream()
        zipped = streams.zip(left.map(str), right, left)
        reader = waiting(list, zipped)
        for n in range(3):
            if make is Wire:
                left.arrive(n)
            else:
                gevent.spawn(left.put, n)
            settle()
            assert right.put(n * 10)
        right.close()

        assert [("0", 0, 0), ("1", 10, 1), ("2", 20, 2)] == reader.get(timeout=1)
        left.close()

    def test_serves_several_takers(self):
        """Each gets a tuple, first come, first served."""
        left, right = Stream(9), Stream(9)
        zipped = streams.zip(left, right)
        takers = [waiting(zipped.take) for _ in range(3)]
        taken = zipped.take_async()
        left.put_all(range(4))
        right.put_all(range(4))

        assert [(n, n) for n in range(3)] == [taker.get(timeout=1) for taker in takers]
        assert (3, 3) == taken.get(timeout=1)

    def test_asks_for_nothing_that_nobody_wants(self):
        """The messages stay in the sources until somebody takes, and then no more than one each."""
        left, right = Stream(9), Stream(9)
        zipped = streams.zip(left, right)
        left.put_all(range(4))
        right.put_all(range(4))
        settle()

        assert (4, 4) == (left.qsize(), right.qsize())
        assert (0, 0) == zipped.take()
        assert (3, 3) == (left.qsize(), right.qsize())

    @pytest.mark.parity("STR-45")
    def test_ends_as_soon_as_one_has(self):
        """Also if the others are silent; what one has given already goes back to it."""
        left, right, silent = Stream(9), Stream(9), Stream()
        zipped = streams.zip(left, right, silent)
        taker = waiting(zipped.take, "end")
        left.put_all([1, 2])
        settle()
        right.close()

        assert "end" == taker.get(timeout=1)
        assert zipped.drained
        assert (True, True) == (left.closed, silent.closed)
        assert [1, 2] == list(left)

    def test_gives_nothing_back_that_others_have_seen(self):
        """A source with another consumer stays open, and is not turned back."""
        left, right, seen = Stream(9), Stream(), []
        zipped = streams.zip(left, right)
        consume(left, seen.append)
        taker = waiting(zipped.take, "end")
        left.put(1)
        settle()
        right.close()
        settle()
        left.put(2)
        settle()

        assert "end" == taker.get(timeout=1)
        assert not left.closed
        assert [1, 2] == seen

    def test_fails_with_one_of_them(self):
        """Behind the tuples that were complete; the others are closed."""
        left, right = Stream(9), Stream(9)
        zipped = streams.zip(left, right)
        left.put_all([1, 2])
        right.put(1)
        right.fail(ValueError("cut"))

        assert (1, 1) == zipped.take()
        with pytest.raises(ValueError, match="cut"):
            zipped.take()
        assert "cut" == str(zipped.error)
        assert not zipped.drained
        assert left.closed

    def test_fails_what_it_is_connected_to(self):
        """And while it waits for the other source."""
        left, right, sink = Stream(), Stream(), Stream()
        moved = connect(streams.zip(left.map(lambda n: 1 // n), right), sink)
        waiting(left.put, 0)

        assert isinstance(moved.exception, ZeroDivisionError)
        assert isinstance(sink.error, ZeroDivisionError)
        assert right.closed

    def test_closing_it_closes_the_sources(self):
        """Those that nothing else is connected to; a take that waits gets its default."""
        left, right = Stream(), Stream()
        zipped, other = streams.zip(left, right), right.map(str)
        taker = waiting(zipped.take, "end")
        zipped.close()
        zipped.close()

        assert "end" == taker.get(timeout=1)
        assert (True, False) == (left.closed, right.closed)
        del other

    def test_a_sink_that_closes_closes_the_sources(self):
        """Through the zip."""
        left, right, sink = Stream(), Stream(), Stream()
        moved = connect(streams.zip(left, right).map(str), sink)
        sink.close()

        assert moved.get(timeout=1) is True
        assert (True, True) == (left.closed, right.closed)

    def test_limits_hold(self, clock):
        """A take that has expired leaves what has come for the next one."""
        left, right = Stream(1), Stream(1)
        zipped = streams.zip(left, right)
        taker = waiting(zipped.try_take, 1, "end", "late")
        left.put(1)
        clock.advance(1)

        assert "late" == taker.get(timeout=1)
        assert "late" == zipped.try_take(0, "end", "late")
        right.put(2)
        settle()
        assert (1, 2) == zipped.try_take(0, "end", "late")

    def test_an_interrupted_take_loses_nothing(self):
        """Thrown at after any switch, the tuples come whole and in order."""

        def scene():
            nonlocal taken
            left, right, taken = Stream(9), Stream(), []
            zipped = streams.zip(left.map(yielding(lambda n: n)), right.map(yielding(str)))

            def take():
                for _ in range(3):
                    taken.append(zipped.take())

            def supply():
                left.put_all(range(5))
                producer = gevent.spawn(right.put_all, range(5))
                settle()
                while len(taken) < 5:
                    taken.append(zipped.try_take(1))
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert [(n, str(n)) for n in range(5)] == taken, way

    def test_an_interrupted_take_leaves_another_one_served(self):
        """Also if it was just fetching for both."""

        def scene():
            nonlocal got
            left, right, got = Stream(9), Stream(9), []
            zipped = streams.zip(left.map(yielding(lambda n: n)), right)

            def rest():
                other = gevent.spawn(lambda: got.append(zipped.take()))
                left.put_all(range(2))
                right.put_all(range(2))
                other.join(1)

            return victim(zipped.take), rest

        got = []
        for way in interruptions(scene):
            assert got in ([(0, 0)], [(1, 1)]), way

    def test_is_collected_when_nobody_holds_it(self):
        """At rest, used or not, and does not hold up the others then."""
        left, right, seen = Stream(9), Stream(9), []
        zipped = streams.zip(left, right.map(str))
        taker = waiting(zipped.try_take, 0.001)
        consume(left, seen.append)
        left.put_all([1, 2])
        taker.join(1)
        watched = weakref.ref(zipped)
        del zipped, taker
        settle()
        gc.collect()
        settle()

        assert watched() is None
        assert [1, 2] == seen

    def test_needs_no_other_holder_when_connected(self):
        """The sources hold it while something is connected below."""
        left, right, seen = Stream(9), Stream(9), []
        consume(streams.zip(left, right).map(sum), seen.append)
        gc.collect()
        left.put_all([1, 2])
        right.put_all([10, 20])
        settle()

        assert [11, 22] == seen
        assert (1, 1) == (left.link_count, right.link_count)

    def test_an_abandoned_graph_is_collected(self):
        """Connected, used, and dropped: nothing holds it."""
        left, right, sink = Stream(9), Stream(9), Stream(9)
        connect(streams.zip(left, right), sink)
        left.put(1)
        right.put(2)
        settle()
        assert (1, 2) == sink.take()
        watched = [weakref.ref(each) for each in (left, right, sink)]
        del left, right, sink
        settle()
        gc.collect()

        assert [None] * 3 == [each() for each in watched]


class TestConcat:
    @pytest.mark.parity("STR-48")
    @pytest.mark.parametrize("use", USES)
    def test_flattens_in_order(self, use):
        """Streams and what can be made one, empty ones too."""
        pieces = [[1, 2], Stream(9), (n for n in (5, 6)), [], Wire(7)]
        feed(pieces[1], 3, 4)
        pieces[4].end()

        assert [1, 2, 3, 4, 5, 6, 7] == collect(streams.concat(pieces), use)

    @pytest.mark.parity("STR-48")
    def test_flattens_what_partition_by_has_parted(self):
        """The parts are filled while they are read."""
        parted = streams.partition_by(lambda n: n // 10, range(100))

        assert list(range(100)) == list(streams.concat(parted))

    def test_takes_from_one_at_a_time(self):
        """Nothing is taken from the next stream before the end of this one."""
        first, second = Stream(9), Stream(9)
        flat = streams.concat([first, second])
        first.put(1)
        second.put(2)

        assert 1 == flat.take()
        taker = waiting(flat.take)
        assert not taker.ready()
        assert 1 == second.qsize()
        first.close()
        assert 2 == taker.get(timeout=1)

    @pytest.mark.parity("STR-48")
    def test_closing_it_closes_the_stream_it_is_at_and_the_source(self):
        """Not the next one, which it has not come to."""
        source, inner, later = Stream(9), Stream(), Stream()
        source.put_all([inner, later])
        flat = streams.concat(source)
        taker = waiting(flat.take, "end")
        flat.close()

        assert "end" == taker.get(timeout=1)
        assert (True, True, False) == (source.closed, inner.closed, later.closed)

    @pytest.mark.parity("STR-48")
    def test_an_operator_that_has_had_enough_closes_both(self):
        """Through all the operators between."""
        source, inner = Stream(9), Stream(99)
        source.put(inner)
        inner.put_all(range(50))
        flat = streams.concat(source).transform(
            lambda messages: (m for m, _ in zip(messages, "ab", strict=False))
        )
        seen = []

        assert consume(flat, seen.append).get(timeout=1) is True
        assert [0, 1] == seen
        assert (True, True) == (source.closed, inner.closed)

    def test_a_stream_that_fails_fails_it(self):
        """Behind what it gave; the source is closed."""
        source, inner = Stream(9), Stream(9)
        source.put_all([inner, [9]])
        flat = streams.concat(source)
        inner.put(1)
        inner.fail(ValueError("cut"))

        assert 1 == flat.take()
        with pytest.raises(ValueError, match="cut"):
            flat.take()
        assert source.closed

    def test_what_is_no_stream_fails_it(self):
        """Text too: it is hardly ever meant letter by letter."""
        for wrong in (5, "text"):
            source = Stream(9)
            source.put(wrong)
            taker = outcome(streams.concat(source).take)
            assert isinstance(taker.get(timeout=1), TypeError)
            assert source.closed

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_a_limit_eats_nothing(self, make, clock):
        """The message that comes after it is there for the next take."""
        inner = make()
        flat = streams.concat([inner])
        taker = waiting(flat.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == taker.get(timeout=1)
        if make is Wire:
            inner.arrive("a")
        else:
            gevent.spawn(inner.put, "a")
        assert "a" == flat.take()
        flat.close()
        settle()

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_closing_it_leaves_no_take_behind(self, make):
        """What comes later is not eaten by it."""
        inner = make()
        flat = streams.concat([inner.map(str)]) if make is Wire else streams.concat([inner])
        taker = waiting(flat.take, "end")
        flat.close()
        settle()

        assert "end" == taker.get(timeout=1)
        assert 0 == inner.link_count
        assert not isinstance(inner, Stream) or not inner.description()["pending_takes"]

    def test_dropping_it_leaves_no_take_behind(self):
        """The stream it was at is open, and gives its next message to others."""
        source, inner = Stream(9), Stream(9)
        source.put(inner)
        flat = streams.concat(source)
        waiting(flat.try_take, 0.001).join(1)
        del flat
        settle()
        inner.put("a")

        assert "a" == inner.try_take(0)

    @pytest.mark.parametrize("holds_source", [True, False])
    @pytest.mark.parametrize("make", [Stream, lambda: Stream(2)], ids=["0", "2"])
    def test_dropping_it_leaves_the_stream_what_nobody_got(self, make, holds_source):
        """Wherever its messages have come when its taker is interrupted and it is dropped."""

        def scenario(victim):
            source, inner, taken = Stream(9), make(), []
            source.put_all([[0], inner])
            flat = streams.concat(source)
            if not holds_source:
                del source
            victim.spawn(lambda flat: taken.extend(flat.take() for _ in range(3)), flat)
            del flat
            gevent.sleep(0)
            accepted = [inner.put_async(n) for n in (1, 2, 3, 4)]
            victim.join()
            gc.collect()
            settle()
            taken += iter(partial(inner.try_take, 0), None)

            assert [1, 2, 3, 4] == [message for message in taken if message]
            assert all(each.get(timeout=1) for each in accepted)
            assert not inner.closed
            assert not inner.description()["pending_takes"]

        kill_walk(scenario, at_least=3)

    def test_an_interrupted_take_loses_nothing(self):
        """Thrown at after any switch, the rest comes in order."""

        def scene():
            nonlocal taken
            first, second, taken = Stream(), Wire(3), []
            flat = streams.concat([first, second, [4]]).map(yielding(lambda n: n))

            def take():
                for _ in range(3):
                    taken.append(flat.take())

            def supply():
                producer = feed(first, 0, 1, 2)
                second.end()
                settle()
                while len(taken) < 5:
                    taken.append(flat.try_take(1))
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert list(range(5)) == taken, way
