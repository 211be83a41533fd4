"""Iterators that an interruption does not end: each kind of them, and how they end."""

from __future__ import annotations

import array
import io

import gevent
import pytest

from galeph.byte_streams.pieces import (
    NOT_READY,
    Cut,
    Each,
    Flat,
    Items,
    Messages,
    Reads,
    Slices,
    Taken,
    flat,
    give_up,
)
from galeph.errors import Cancelled, ResourceClosed
from galeph.stream import Stream
from tests.byte_streams.scenes import Source, failed_stream_of, stream_of
from tests.stream.scenes import interruptions, outcome, settle, waiting


class Resource:
    """Counts how often it is closed."""

    def __init__(self):
        self.closings = 0

    def close(self):
        self.closings += 1


class TestEnding:
    def test_in_order_closes_what_is_owned_and_nothing_else(self):
        """Once, and it stays ended."""
        mine, given = Resource(), Resource()
        pieces = Each(Items([1]), str)
        pieces.own(mine)
        pieces._upstream.own(given)

        assert ["1"] == list(pieces)
        assert [] == list(pieces)
        assert 1 == mine.closings
        assert 1 == given.closings
        pieces.close()
        assert 1 == mine.closings

    def test_with_an_error_is_told_again(self):
        """Every time, without a growing traceback, and what is owned is closed."""

        def broken(_):
            raise ValueError("broken")

        mine = Resource()
        pieces = Each(Items([1, 2]), broken)
        pieces.own(mine)
        depths = []
        for _ in range(3):
            with pytest.raises(ValueError, match="broken") as caught:
                next(pieces)
            depths.append(len(caught.traceback))
            assert "broken" == caught.traceback[-1].name

        assert depths[1] == depths[2]
        assert 1 == mine.closings

    def test_by_closing_closes_everything_behind(self):
        """And the next piece is an error."""
        mine = Resource()
        generator = (n for n in [1, 2])
        pieces = Each(Each(Items(generator), str), str)
        pieces.own(mine)
        next(pieces)
        pieces.close()
        pieces.close()

        assert 1 == mine.closings
        assert None is generator.gi_frame
        with pytest.raises(ResourceClosed):
            next(pieces)

    def test_by_letting_go_leaves_what_was_given(self):
        """What was opened on the way is closed."""
        mine, inner = Resource(), Resource()
        generator = (n for n in [1, 2])
        items = Items(generator)
        items.own(inner)
        pieces = Each(items, str)
        pieces.own(mine)
        pieces.let_go()
        pieces.let_go()

        assert (1, 1) == (mine.closings, inner.closings)
        assert 1 == next(generator)
        with pytest.raises(ResourceClosed):
            next(pieces)

    def test_giving_up(self):
        """Pieces are let go, other things closed, and what cannot be is left."""
        generator = (n for n in [1])
        resource = Resource()
        for thing in (Items(generator), resource, b"x"):
            give_up(thing)

        assert [1] == list(generator)
        assert 1 == resource.closings


class TestItems:
    def test_closing_closes_what_was_iterated_over(self):
        """Not only the iterator of it."""

        class Several(Resource):
            def __iter__(self):
                return iter([1, 2])

        several = Several()
        items = Items(several)
        next(items)
        items.close()

        assert 1 == several.closings

    @pytest.mark.parametrize("error", [gevent.GreenletExit, gevent.Timeout])
    def test_a_generator_ended_by_an_interruption(self, error):
        """It passes, and the next piece says that something is missing."""

        def numbers():
            yield 1
            raise error

        items = Items(numbers())
        next(items)
        with pytest.raises(error):
            next(items)
        with pytest.raises((Cancelled, TimeoutError)):
            next(items)

    def test_an_iterator_that_outlives_an_interruption(self):
        """It goes on."""

        class Numbers:
            def __init__(self):
                self.n = 0

            def __iter__(self):
                return self

            def __next__(self):
                self.n += 1
                if self.n == 2:
                    raise gevent.GreenletExit
                return self.n

        items = Items(Numbers())

        assert 1 == next(items)
        with pytest.raises(gevent.GreenletExit):
            next(items)
        assert 3 == next(items)

    def test_are_never_known_to_be_ready(self):
        """Nobody knows what an iterator would do."""
        assert NOT_READY is Items([1]).next_ready()


class TestMessages:
    def test_of_a_stream(self):
        """Each of them, then the end; or the error."""
        assert [1, 2] == list(Messages(stream_of(1, 2)))
        messages = Messages(failed_stream_of(1, error=OSError("cut")))
        assert 1 == next(messages)
        with pytest.raises(OSError, match="cut"):
            next(messages)

    def test_that_are_there(self):
        """Without waiting; the end is not given away."""
        stream = Stream(1)
        messages = Messages(stream)

        assert NOT_READY is messages.next_ready()
        stream.put(1)
        assert 1 == messages.next_ready()
        stream.close()
        assert NOT_READY is messages.next_ready()
        assert [] == list(messages)
        assert NOT_READY is messages.next_ready()

    def test_survive_any_interruption(self):
        """Each message is given once, whenever the reader is thrown out."""
        got = None

        def scene():
            nonlocal got
            stream, got = Stream(), []
            messages = Messages(stream)

            def read():
                for message in messages:
                    got.append(message)

            def then():
                for n in range(3):
                    gevent.spawn(stream.put, n)
                    settle()
                for _ in range(3 - len(got)):
                    got.append(next(messages))
                stream.close()

            return gevent.Greenlet(quietly(read)), then

        for played in interruptions(scene):
            assert [0, 1, 2] == got, played


def quietly(fn):
    def run():
        try:
            fn()
        except (gevent.Timeout, ResourceClosed):
            pass

    return run


class TestEach:
    def test_calls_again_with_the_same_after_an_interruption(self):
        """The item is not lost with the greenlet that converted it."""
        turn = gevent.event.Event()
        seen = []

        def slowly(x):
            seen.append(x)
            turn.wait()
            return x

        each = Each(Items([1, 2]), slowly)
        waiting(next, each).kill()
        turn.set()

        assert [1, 2] == list(each)
        assert [1, 1, 2] == seen


class TestFlat:
    def test_what_is_several_is_read_when_it_is_asked_for(self):
        """One after the other, with what is one in between."""
        read = []

        def several(n):
            return Each(Items(range(n)), lambda x: read.append(x) or x) if n else "none"

        flattened = Flat(Items([2, 0, 1]), several)

        assert 0 == next(flattened)
        assert [0] == read
        assert [1, "none", 0] == list(flattened)

    def test_calls_and_reads_again_after_an_interruption(self):
        """Neither the item nor what is in it is lost with the greenlet."""
        turn = gevent.event.Event()

        def slowly(x):
            turn.wait()
            return x

        flattened = Flat(Items("ab"), lambda x: slowly(Each(Items((x, x)), slowly)))
        waiting(next, flattened).kill()
        turn.set()
        first = next(flattened)
        turn.clear()
        waiting(next, flattened).kill()
        turn.set()

        assert ["a", "a", "b", "b"] == [first, *flattened]

    def test_fails_with_what_is_in_it(self):
        """And says so again."""

        def broken(_):
            raise ValueError("broken")

        flattened = Flat(Items([1, 2]), lambda _: Each(Items([1]), broken))

        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                next(flattened)

    def test_closed_in_the_middle_lets_go_of_what_is_read(self):
        """What was opened for it is closed."""
        opened, inner = io.BytesIO(), Items([1, 2])
        inner.own(opened)
        flattened = Flat(Items([1]), lambda _: inner)
        next(flattened)
        flattened.close()

        assert opened.closed
        with pytest.raises(ResourceClosed):
            next(flattened)


class TestCut:
    PIECES = (b"", b"ab", b"abc", "abcdefg", memoryview(array.array("H", [1, 2])))

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
    def test_longer_pieces(self, size):
        """Each by itself: shorter ones come as they are."""
        expected = []
        for piece in self.PIECES:
            whole = piece.tobytes() if isinstance(piece, memoryview) else piece
            expected += [whole[at : at + size] for at in range(0, len(whole), size)] or [whole]

        assert expected == [
            part.tobytes() if isinstance(part, memoryview) else part
            for part in Cut(Items(self.PIECES), size)
        ]

    def test_what_is_not_longer_is_the_thing_itself(self):
        """And is not held any more when it was given."""
        cut = Cut(Items(self.PIECES), 7)

        assert all(piece is next(cut) for piece in self.PIECES)
        assert NOT_READY is next(cut._parts, NOT_READY)

    def test_that_are_there(self):
        """The rest of a piece, and messages that wait; never after the end."""
        stream = Stream(2)
        stream.put_all([b"abc", b"d"])
        cut = Cut(Messages(stream), 2)

        assert b"ab" == next(cut)
        assert [b"c", b"d", NOT_READY] == [cut.next_ready() for _ in range(3)]
        stream.put(b"efg")
        assert b"ef" == cut.next_ready()
        cut.close()
        assert stream.closed
        assert NOT_READY is cut.next_ready()
        assert NOT_READY is Cut(iter([b"a"]), 1).next_ready()

    def test_survives_an_interruption(self):
        """The rest of the piece comes, and then the next."""
        stream = Stream()
        cut = Cut(Messages(stream), 2)
        waiting(next, cut).kill()
        stream.put_async(b"abc")

        assert [b"ab", b"c"] == [next(cut), next(cut)]


class TestSlices:
    def test_flat(self):
        """Byte by byte; itself where it is that already."""
        view = memoryview(b"abcd")
        wide = memoryview(array.array("H", [1, 2]))

        assert view is flat(view)
        assert 4 == len(flat(wide))
        assert b"ac" == bytes(flat(view[::2]))
        assert wide.tobytes()[:2] == bytes(flat(wide[:1]))

    @pytest.mark.parametrize("whole", [b"abcde", "abcde", memoryview(b"abcde"), bytearray(b"abcd")])
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, None])
    def test_add_up(self, whole, size):
        """None longer than the size; without one it is all of it."""
        slices = list(Slices(whole, size))

        assert len(slices) == -(-len(whole) // (size or len(whole)))
        assert list(whole) == [item for part in slices for item in part]

    def test_of_all_is_the_thing_itself(self):
        """Nothing is copied."""
        data = b"abcde"

        assert data is next(Slices(data, 5))
        assert data is next(Slices(data, None))

    def test_of_nothing(self):
        """None."""
        assert [] == list(Slices(b"", None))
        assert [] == list(Slices("", 3))


class TestReads:
    def test_give_what_is_there(self):
        """By read1 where there is one, so that a slow file holds nothing back."""

        class Slow(io.BytesIO):
            def read1(self, size):
                asked.append(size)
                return self.read(2)

        asked = []

        assert [b"ab", b"cd", b"e"] == list(Reads(Slow(b"abcde"), 4))
        assert {4} == set(asked)
        assert ["abc", "d"] == list(Reads(io.StringIO("abcd"), 3))

    def test_of_a_file_that_does_not_block(self):
        """None is not taken for the end."""

        class Nothing:
            def read(self, size):
                return None

        with pytest.raises(BlockingIOError):
            next(Reads(Nothing(), 4))


class TestTaken:
    def test_of_a_byte_source(self):
        """So many at a time, until there is nothing."""
        source = Source(b"abcde")

        assert [b"ab", b"cd", b"e"] == list(Taken(source, 2))
        assert [2, 2, 2, 2] == source.sizes

    def test_ends_with_empty_bytes_as_well(self):
        """As files do."""

        class Empty:
            def take_bytes(self, size):
                return b""

        assert [] == list(Taken(Empty(), 2))


def test_closed_in_the_middle_of_a_read():
    """Whoever waits in it hears that it was closed, whatever its source makes of that."""
    stream = Stream()
    messages = Each(Messages(stream), str)
    reader = outcome(next, messages)
    messages.close()

    assert isinstance(reader.get(timeout=1), ResourceClosed)
