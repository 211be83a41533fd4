"""`transform`: a generator function over the messages of a source."""

from __future__ import annotations

import gc
import weakref
from itertools import islice

import gevent
import pytest

from galeph import stream as streams
from galeph.errors import Deadlock
from galeph.stream import Stream, connect, consume
from tests.deferred import threads
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


def fives(messages):
    while batch := list(islice(messages, 5)):
        yield batch


def thrice(messages):
    for message in messages:
        yield from [message] * 3


@pytest.mark.parity("STR-46")
@pytest.mark.parametrize("buffer", [0, 3, 99])
@pytest.mark.parametrize("use", USES)
class TestOverASource:
    def test_a_series_for_each(self, use, buffer):
        """Several outputs for one message."""
        made = streams.transform(thrice, range(10), buffer=buffer)

        assert [n for n in range(10) for _ in range(3)] == collect(made, use)

    def test_some_dropped(self, use, buffer):
        """None for others."""
        made = streams.transform(
            lambda messages: (m + 1 for m in messages if m % 2), range(10), buffer=buffer
        )

        assert [2, 4, 6, 8, 10] == collect(made, use)

    def test_no_more_than_wanted(self, use, buffer):
        """It ends before its source does, which is closed."""
        source = Stream(99)
        source.put_all(range(50))
        made = source.transform(lambda messages: islice(messages, 10), buffer=buffer)

        assert list(range(10)) == collect(made, use)
        assert source.closed

    def test_a_remainder(self, use, buffer):
        """What is held back comes before the end."""
        made = streams.transform(fives, range(12), buffer=buffer)

        assert [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]] == collect(made, use)

    def test_one_on_another(self, use, buffer):
        """Chains of them, as of all operators."""
        made = streams.transform(fives, range(13), buffer=buffer).transform(thrice).map(len)

        assert [5] * 6 + [3] * 3 == collect(made, use)


class TestBackpressure:
    def test_nothing_is_made_before_it_is_wanted(self):
        """An endless series is no problem."""
        made = []

        def endless(messages):
            for message in messages:
                while True:
                    made.append(message)
                    yield message

        source, sink = Stream(9), Stream(2)
        source.put_all("ab")
        moved = connect(source.transform(endless), sink)
        settle()

        assert ["a"] * 3 == made
        moved.cancel()
        settle()

    def test_a_buffer_is_filled_ahead(self):
        """And one more waits for room."""
        source = Stream(9)
        source.put_all(range(9))
        made = source.transform(lambda messages: messages, buffer=3)
        settle()

        assert 5 == source.qsize()
        assert list(range(9)) == [made.take() for _ in range(9)]


class TestEnds:
    def test_an_exception_fails_the_output_and_closes_the_source(self):
        """Behind what it yielded."""
        source = Stream(9)
        made = source.transform(lambda messages: (10 // m for m in messages))
        source.put_all([5, 0, 2])

        assert 2 == made.take()
        with pytest.raises(ZeroDivisionError):
            made.take()
        assert source.closed

    def test_a_failure_of_the_source_ends_the_function(self):
        """It does not see an end that would have it flush."""
        steps = []

        def careful(messages):
            try:
                yield list(messages)
            finally:
                steps.append("cleaned up")

        source = Stream(9)
        made = source.transform(careful)
        source.put(1)
        source.fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            made.take()
        settle()
        assert ["cleaned up"] == steps

    @pytest.mark.parametrize("buffer", [0, 3])
    def test_closing_it_ends_the_function(self, buffer):
        """Wherever it stands."""
        steps = []

        def careful(messages):
            try:
                yield from messages
            finally:
                steps.append("cleaned up")

        source = Stream(9)
        made = source.transform(careful, buffer=buffer)
        source.put(1)
        assert 1 == made.take()
        made.close()
        settle()

        assert source.closed
        assert ["cleaned up"] == steps

    def test_leaves_a_source_open_that_others_draw_on(self):
        """Having had enough is no reason to end it for all."""
        source, seen = Stream(9), []
        first = source.transform(lambda messages: islice(messages, 1))
        consume(source, seen.append)
        done = consume(first, lambda _: None)
        source.put_all([1, 2])

        assert done.get(timeout=1) is True
        settle()
        assert not source.closed
        assert [1, 2] == seen

    def test_has_had_enough_of_a_connection(self):
        """Nobody reads it any further."""
        wire = Wire(1, 2, 3)

        assert [1, 2] == list(wire.transform(lambda messages: islice(messages, 2)))
        assert wire.closed
        assert [3] == list(wire.arrived)


class TestInterruptions:
    @pytest.mark.parametrize("buffer", [0, 2])
    def test_an_interrupted_take_loses_nothing(self, buffer):
        """Thrown at after any switch, also inside the function, the rest comes whole."""

        def scene():
            nonlocal taken
            source, taken = Stream(), []
            slow = yielding(lambda n: n)

            def doubled(messages):
                for message in messages:
                    yield slow(message)
                    yield slow(-message)

            made = source.transform(doubled, buffer=buffer)

            def take():
                for _ in range(3):
                    taken.append(made.take())

            def supply():
                producer = feed(source, 1, 2, 3)
                settle()
                while len(taken) < 6:
                    taken.append(made.try_take(1))
                assert made.try_take(1, "end") == "end"
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert [1, -1, 2, -2, 3, -3] == taken, way

    def test_a_limit_of_a_take_does_not_disturb_it(self, clock):
        """The function is blocked, the take goes on waiting in time."""
        gate = gevent.event.Event()

        def slow(messages):
            for message in messages:
                gate.wait()
                yield message

        source = Stream(9)
        made = source.transform(slow)
        sink = Stream(9)
        connect(made, sink)
        source.put(1)
        settle()
        taker = outcome(sink.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == taker.get(timeout=1)
        gate.set()
        assert 1 == sink.take()


def test_an_abandoned_one_is_collected():
    """Used or not, with its greenlet."""
    source, steps = Stream(9), []

    def careful(messages):
        try:
            yield from messages
        finally:
            steps.append("cleaned up")

    made = source.transform(careful)
    source.put(1)
    assert 1 == made.take()
    watched = weakref.ref(made)
    del made
    settle()
    gc.collect()

    assert watched() is None
    assert ["cleaned up"] == steps
    waiting(lambda: None)


class TestAFunctionThatWaitsForItself:
    def test_says_that_it_is_the_function_that_waits(self):
        """Also below an operator, where what it puts into lies above."""

        def work():
            def roundabout(messages):
                for message in messages:
                    source.put(message)
                    yield message

            source = Stream()
            source.put_async(1)
            return source.transform(roundabout).map(str).take()

        # In a thread, for a hub that has nothing else to do.
        error = threads.run(work)

        assert isinstance(error, Deadlock)
        assert "nobody can end the wait of <function " in str(error)
        assert "roundabout" in str(error)
