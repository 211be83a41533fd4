"""Collections, iterators and generators as sources."""

from __future__ import annotations

import array
import collections
import gc
import weakref

import gevent
import pytest

from galeph.errors import Cancelled
from galeph.stream import Stream, connect, consume, source
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting

RANDOM_ACCESS = [[0, 1, 2], (0, 1, 2), range(3)]


class TestSequences:
    @pytest.mark.parity("STR-29")
    @pytest.mark.parametrize("items", RANDOM_ACCESS, ids=lambda items: type(items).__name__)
    def test_are_read_by_index_without_waiting(self, items):
        """Every way of taking finds the next item at once; after the last it is drained."""
        stream = source(items)

        assert 0 == stream.try_take(0)
        assert 1 == stream.take_async().get(block=False)
        assert (2, False) == (stream.take(), stream.drained)
        assert "end" == stream.try_take(0, "end", "late")
        assert stream.drained
        assert "end" == stream.take_async("end").get(block=False)
        assert not stream.is_synchronous

    @pytest.mark.parity("STR-29")
    def test_closing_goes_to_the_end(self):
        """What is left is not taken; the list stays as it is."""
        items = [0, 1, 2]
        stream = source(items)
        assert 0 == stream.take()
        stream.close()

        assert "end" == stream.take("end")
        assert stream.drained
        assert [0, 1, 2] == items

    @pytest.mark.parity("STR-29")
    def test_two_takers_share_the_position(self):
        """Each item is taken once, by whoever comes first."""
        stream = source(list(range(6)))
        takers = [waiting(lambda: [stream.take() for _ in range(3)]) for _ in range(2)]

        assert list(range(6)) == sorted(n for taker in takers for n in taker.get(timeout=1))

    def test_what_is_appended_in_time_counts(self):
        """Up to the moment somebody has met the end."""
        items = [1]
        stream = source(items)

        assert 1 == stream.take()
        items.append(2)
        assert 2 == stream.take()
        assert "end" == stream.take("end")
        items.append(3)
        assert "end" == stream.take("end")

    def test_a_message_given_back_is_the_next(self):
        """Also at the very end, when the sink it was on its way to has closed."""
        items, sink = source([1]), Stream()
        moved = connect(items, sink)
        settle()
        moved.cancel()
        settle()

        assert not items.drained
        assert [1] == list(items)
        assert items.drained

    def test_says_what_it_is_made_of(self):
        """Kind of collection, and how much is left."""
        stream = source([1, 2, 3])
        stream.take()

        assert ("iterable", "list", 2) == tuple(
            stream.description()[key] for key in ("type", "of", "pending")
        )
        stream.close()
        assert 0 == stream.description()["pending"]

    def test_one_abandoned_in_front_of_a_full_sink_is_collected(self):
        """Nothing of it needs a greenlet."""
        items, sink = source([1, 2, 3]), Stream()
        connect(items, sink)
        settle()
        watched = weakref.ref(items), weakref.ref(sink)
        del items, sink
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())


class TestIterables:
    @pytest.mark.parity("STR-27")
    @pytest.mark.parametrize(
        "items",
        [
            {0: "", 1: "", 2: ""},
            {0, 1, 2},
            collections.deque([0, 1, 2]),
            array.array("i", [0, 1, 2]),
            bytes.__iter__(b"\0\1\2"),
            map(int, "012"),
            (n for n in range(3)),
        ],
        ids=lambda items: type(items).__name__,
    )
    def test_give_their_items(self, items):
        """Collections, iterators, generators: each item is a message, then the end."""
        stream = source(items)

        assert [0, 1, 2] == list(stream)
        assert stream.drained
        assert "end" == stream.take("end")

    @pytest.mark.parity("STR-27", "STR-28")
    @pytest.mark.parametrize(
        "items", [iter([1, 2]), (n for n in (1, 2))], ids=["list", "generator"]
    )
    def test_are_synchronous(self, items):
        """What an iterator does to find its next item nobody knows, so it is done in the take."""
        stream = source(items)

        assert stream.is_synchronous
        assert stream.description()["synchronous"] is True
        assert "late" == stream.try_take(0, "end", "late")
        assert [1, 2] == list(stream)

    def test_says_what_it_is_made_of(self):
        """Its description has the kind of iterable."""
        assert "generator" == source(n for n in ()).description()["of"]

    def test_a_generator_runs_in_the_greenlet_that_takes(self):
        """Only as far as it is asked."""
        ran_in = []

        def numbers():
            for n in range(3):
                ran_in.append(gevent.getcurrent())
                yield n

        stream = source(numbers())

        assert 0 == stream.take()
        assert [gevent.getcurrent()] == ran_in

    def test_takes_on_a_blocked_generator_queue(self):
        """Two takes at once do not enter it at once."""
        turn = gevent.event.Event()

        def slow():
            for n in range(2):
                turn.wait()
                yield n

        stream = source(slow())
        takers = [waiting(stream.take) for _ in range(2)]
        turn.set()

        assert [0, 1] == [taker.get(timeout=1) for taker in takers]

    @pytest.mark.parity("STR-27")
    def test_what_a_generator_raises_fails_the_stream(self):
        """It does not look drained, and says so again."""

        def broken():
            yield 1
            raise ValueError("cut")

        stream = source(broken())

        assert 1 == stream.take()
        for _ in range(2):
            with pytest.raises(ValueError, match="cut"):
                stream.take()
        assert not stream.drained

    def test_a_generator_killed_in_its_middle_fails_the_stream(self):
        """The kill has ended it: what is missing must not look like the end."""

        def slow():
            gevent.sleep(60)
            yield 1

        stream = source(slow())
        taker = waiting(stream.take)
        taker.kill()

        assert not stream.drained
        assert "GreenletExit" in repr(outcome(stream.take).get(timeout=1).__cause__)

    @pytest.mark.parity("STR-27", "STR-28")
    def test_closing_closes_a_generator(self):
        """Its `finally` runs, in a greenlet, where it may block."""
        ended = []

        def numbers():
            try:
                yield from range(9)
            finally:
                gevent.sleep(0)
                ended.append(True)

        stream = source(numbers())
        assert 0 == stream.take()
        stream.close()
        stream.close()
        settle()

        assert [True] == ended
        assert "end" == stream.take("end")

    @pytest.mark.parity("STR-27")
    def test_closing_closes_what_else_can_be_closed(self):
        """A cursor of a database, a file that was wrapped: whatever has a `close`."""

        class Rows:
            is_closed = False

            def __iter__(self):
                return self

            def __next__(self):
                return "row"

            def close(self):
                self.is_closed = True

        rows = Rows()
        stream = source(rows)
        assert "row" == stream.take()
        stream.close()
        settle()

        assert rows.is_closed
        assert "end" == stream.take("end")

    def test_closing_waits_for_a_take_that_is_inside(self):
        """A generator that is running cannot be closed; it is closed afterwards."""
        gate, ended = gevent.event.Event(), []

        def slow():
            try:
                gate.wait()
                yield 1
            finally:
                ended.append(True)

        stream = source(slow())
        taker = waiting(stream.take)
        stream.close()
        gate.set()

        assert 1 == taker.get(timeout=1)
        settle()
        assert [True] == ended

    def test_an_iterator_without_close_is_only_left(self):
        """There is nothing to be told to it."""
        items = iter([1, 2, 3])
        stream = source(items)
        assert 1 == stream.take()
        stream.close()
        settle()

        assert "end" == stream.take("end")
        assert [2, 3] == list(items)

    def test_a_consumer_killed_with_a_generator_fails(self):
        """The greenlet that runs both is ended, and the deferred says so."""

        def numbers():
            yield 1
            raise gevent.GreenletExit

        done = consume(numbers(), lambda _: None)
        settle()

        assert isinstance(done.exception, Cancelled)

    def test_interrupted_takes_lose_nothing(self):
        """Thrown at after any switch, an iterator that blocks has its items still to give."""

        def scene():
            nonlocal taken, stream
            taken = []

            class Slow:
                items = list(range(5))

                def __iter__(self):
                    return self

                def __next__(self):
                    gevent.sleep(0)
                    if not self.items:
                        raise StopIteration
                    return self.items.pop(0)

            stream = source(Slow())

            def take():
                for _ in range(3):
                    taken.append(stream.take())

            return victim(take), lambda: None

        taken, stream = [], None
        for way in interruptions(scene):
            assert list(range(5)) == taken + list(stream), way
