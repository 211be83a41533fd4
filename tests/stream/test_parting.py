"""`partition_by`: a source of sources."""

from __future__ import annotations

import gc
import operator
import weakref
from itertools import groupby

import pytest

from galeph import stream as streams
from galeph.stream import Stream, connect, consume
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting
from tests.stream.wires import Wire, yielding


def tens(n):
    return n // 10


class TestParting:
    @pytest.mark.parity("STR-47")
    @pytest.mark.parametrize("kind", ["iterable", "stream", "wire"])
    def test_gives_a_source_for_each_run(self, kind):
        """Of consecutive messages that belong together."""
        source = {"iterable": range(100), "stream": Stream(100), "wire": Wire(*range(100))}[kind]
        if kind == "stream":
            source.put_all(range(100))
            source.close()
        elif kind == "wire":
            source.end()
        parted = [list(part) for part in streams.partition_by(tens, source)]

        assert [list(run) for _, run in groupby(range(100), tens)] == parted

    @pytest.mark.parity("STR-47")
    def test_the_next_comes_when_this_one_is_consumed(self):
        """Not before, however long its messages lie there."""
        parted = streams.partition_by(tens, [1, 2, 11])
        first = parted.take()

        assert "late" == parted.try_take(0.001, "end", "late")
        assert [1, 2] == [first.take(), first.take()]
        second = parted.take()
        assert [] == list(first)
        assert [11] == list(second)
        assert "end" == parted.take("end")

    def test_a_part_that_is_closed_is_passed_over(self):
        """The messages that still belong to it are dropped."""
        parted = streams.partition_by(tens, [1, 2, 3, 11])
        first = parted.take()
        assert 1 == first.take()
        first.close()
        second = parted.take()

        assert [11] == list(second)

    def test_may_be_reduced_part_by_part(self):
        """What is done with a part does not keep its messages from it."""
        parted = streams.partition_by(tens, range(30))
        sums = parted.map(lambda part: part.reduce(operator.add)).realize_each()

        assert [45, 145, 245] == list(sums)

    def test_parts_may_be_connected(self):
        """And read in a greenlet of their own, or in several."""
        source, sink = Stream(9), Stream(99)
        parted = source.partition_by(tens)
        done = consume(parted, lambda part: connect(part, sink, downstream=False).get())
        source.put_all([1, 2, 11, 12])
        source.close()

        assert done.get(timeout=1) is True
        assert [1, 2, 11, 12] == [sink.take() for _ in range(4)]

    def test_reads_no_further_than_one_message_ahead(self):
        """The source is held back by who does not take."""
        source = Stream(9)
        parted = source.partition_by(tens)
        source.put_all(range(5))
        settle()

        assert 4 == source.qsize()
        part = parted.take()
        settle()
        assert 3 == source.qsize()
        assert 0 == part.take()

    @pytest.mark.parity("STR-47", "STR-62")
    def test_an_exception_fails_both_and_closes_the_source(self):
        """The part that is open, and the source of parts."""
        source = Stream(9)
        parted = source.partition_by(lambda n: 10 // n)
        source.put_all([5, 5, 0])
        part = parted.take()

        assert [5, 5] == [part.take(), part.take()]
        for end in (part, parted):
            with pytest.raises(ZeroDivisionError):
                end.take()
        assert source.closed

    def test_a_failure_of_the_source_reaches_both(self):
        """A part that is cut is not taken for a whole one."""
        source = Stream(9)
        parted = source.partition_by(tens)
        source.put(1)
        source.fail(ValueError("cut"))
        part = parted.take()

        assert 1 == part.take()
        for end in (part, parted):
            with pytest.raises(ValueError, match="cut"):
                end.take()

    def test_closing_it_ends_the_part_and_closes_the_source(self):
        """A take that waits in either gets its default."""
        source = Stream(9)
        parted = source.partition_by(tens)
        source.put(1)
        part = parted.take()
        assert 1 == part.take()
        takers = [waiting(part.take, "end"), waiting(parted.take, "end")]
        parted.close()

        assert ["end", "end"] == [taker.get(timeout=1) for taker in takers]
        assert source.closed

    def test_a_part_keeps_what_fills_it(self):
        """Though nobody holds the source of parts any more."""
        source = Stream(9)
        parted = source.partition_by(tens)
        source.put(1)
        part = parted.take()
        del parted
        gc.collect()
        source.put(2)
        source.close()

        assert [1, 2] == list(part)

    def test_is_collected_when_nobody_holds_either(self):
        """With a message in the part, and does not hold up others then."""
        source, seen = Stream(9), []
        parted = source.partition_by(tens)
        consume(source, seen.append)
        source.put_all([1, 2, 3, 4])
        settle()
        watched = weakref.ref(parted)
        del parted
        gc.collect()
        settle()

        assert watched() is None
        assert [1, 2, 3, 4] == seen

    def test_interrupted_takes_lose_nothing(self):
        """Thrown at after any switch, parts and messages come whole."""

        def scene():
            nonlocal taken
            source, taken = Stream(9), []
            parted = source.partition_by(yielding(tens)).map(yielding(lambda part: part))
            parts = []

            def take():
                parts.append(parted.take())
                for _ in range(3):
                    taken.append(parts[0].take())

            def supply():
                source.put_all([1, 2, 3, 11])
                source.close()
                settle()
                while len(taken) < 4:
                    if not parts:
                        parts.append(parted.take())
                    message = parts[0].take()
                    taken.append(message) if message else parts.clear()

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert [1, 2, 3, 11] == taken, way

    def test_keys_are_compared_by_value(self):
        """Also None is one, and what comes again makes a new part."""
        parted = streams.partition_by(lambda n: None if n < 3 else [n], [1, 2, 3, 3, 1])

        assert [[1, 2], [3, 3], [1]] == [list(part) for part in parted]

    def test_a_key_that_cannot_be_compared_fails_it(self):
        """As an error of the function."""

        class Strange:
            def __eq__(self, other):
                raise ValueError("no")

            __hash__ = None

        parted = streams.partition_by(lambda _: Strange(), [1, 2])
        part = parted.take()
        assert 1 == part.take()

        assert isinstance(outcome(parted.take).get(timeout=1), ValueError)

    @pytest.mark.parametrize("chain", [lambda s: s, lambda s: s.map(int), lambda s: s.batch(1)])
    def test_a_part_that_nobody_has_taken(self, chain):
        """It can be taken from what was closed; dropped, its message is the source's next."""
        source = Stream(9)
        source.put_all([1, 2, 11])
        parted = chain(source).partition_by(lambda _: True)
        settle()
        parted.close()
        (part,) = parted

        assert 1 == len(list(part))
        assert [2, 11] == list(source)

        source = Stream(9)
        source.put_all([1, 2, 11])
        parted = chain(source).partition_by(lambda _: True)
        settle()
        del parted
        for _ in range(3):
            gc.collect()
            settle()

        assert [1, 2, 11] == [source.take() for _ in range(3)]
