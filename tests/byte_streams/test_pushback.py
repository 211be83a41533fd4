"""`PushbackQueue`: bytes in whatever sizes, backpressure, bytes put back, interruptions."""

from __future__ import annotations

import tracemalloc
from array import array
from collections.abc import Iterator
from typing import BinaryIO

import gevent
import pytest

from galeph.byte_streams import (
    ByteSink,
    ByteSource,
    PushbackQueue,
    convert,
    to_bytes,
    to_lines,
    transfer,
)
from galeph.errors import Cancelled, ResourceClosed
from tests.stream.scenes import interruptions, outcome, settle, waiting


@pytest.fixture
def queue():
    return PushbackQueue(5)


@pytest.fixture(params=["put", "put_async", "push_back", "send_bytes"])
def give(request, queue):
    """Each way in."""
    return getattr(queue, request.param)


class TestBytes:
    @pytest.mark.parametrize(
        "data", [array("H", b"abcd"), memoryview(array("H", b"abcd")), memoryview(b"a-b-c-d-")[::2]]
    )
    def test_of_any_buffer_are_counted_as_bytes(self, queue, give, data):
        """Not as items, of which there are fewer."""
        give(data)

        assert 4 == queue.available
        assert b"abcd" == queue.take(4)

    @pytest.mark.parametrize("data", ["abc", 3, [1, 2], None])
    def test_must_be_bytes(self, queue, give, data):
        """Anything else is refused before anything is stored."""
        with pytest.raises(TypeError, match=rf"^data must be bytes, not {type(data).__name__}$"):
            give(data)
        queue.close()

        assert b"" == queue.take(9)


class TestPutting:
    @pytest.mark.parity("BYTE-36")
    def test_is_done_at_once_up_to_the_capacity(self, queue):
        """With just as much as that as well."""
        assert queue.put(b"abc") is True
        assert queue.put_async(b"de").result(timeout=0) is True
        assert 5 == queue.available

    @pytest.mark.parity("BYTE-36")
    def test_above_the_capacity_waits_for_reading(self, queue):
        """It is stored at once, and done when no more than that lies there."""
        done = queue.put_async(b"abcdefg")
        put = waiting(queue.put, b"")
        assert 7 == queue.available
        assert not done.ready()

        assert b"a" == queue.take(1)
        assert not done.ready()
        assert b"b" == queue.take(1)
        assert done.ready()
        assert done.get() is True
        assert put.get(timeout=1) is True

    @pytest.mark.parity("BYTE-36")
    def test_of_nothing_is_possible(self):
        """A queue of capacity 0 lets each put wait for its bytes."""
        queue = PushbackQueue(0)
        assert queue.put(b"") is True
        put = waiting(queue.put, b"a")

        assert not put.ready()
        assert b"a" == queue.take(1)
        assert put.get(timeout=1) is True

    @pytest.mark.parity("BYTE-36")
    def test_on_a_closed_queue_is_refused(self, queue):
        """And stores nothing."""
        queue.close()

        assert queue.put(b"a") is False
        assert queue.put_async(b"a").get() is False
        assert 0 == queue.available
        with pytest.raises(ResourceClosed):
            queue.send_bytes(b"a")

    def test_interrupted_while_it_waits_it_has_put(self, queue):
        """What is stored stays stored."""
        put = waiting(queue.put, b"abcdefg")
        put.kill()

        assert b"abcdefg" == queue.take(7)

    def test_keeps_what_it_is_given_from_changing(self, queue):
        """A bytearray may be used again."""
        data = bytearray(b"abc")
        queue.put(data)
        data[0] = 120

        assert b"abc" == queue.take(3)


class TestTaking:
    @pytest.mark.parity("BYTE-36")
    def test_waits_for_the_full_size(self, queue):
        """Whatever the pieces it comes in."""
        taking = waiting(queue.take, 4)
        queue.put(b"ab")
        settle()
        assert not taking.ready()

        queue.put(b"cde")
        assert b"abcd" == taking.get(timeout=1)
        assert b"e" == queue.take(1)

    @pytest.mark.parity("BYTE-36")
    def test_some_waits_for_anything(self, queue):
        """And takes no more than there is, or than the size."""
        taking = waiting(queue.take_some, 4)
        assert not taking.ready()

        queue.put(b"ab")
        assert b"ab" == taking.get(timeout=1)
        queue.put(b"cde")
        assert b"cd" == queue.take_some(2)
        assert b"e" == queue.take_some(2)

    @pytest.mark.parity("BYTE-36")
    @pytest.mark.parametrize("method", ["take", "take_some"])
    def test_is_ended_by_closing(self, queue, method):
        """With what there is; and again and again with nothing."""
        taking = waiting(getattr(queue, method), 4)
        if method == "take":
            queue.put(b"ab")
            settle()
        queue.close()

        assert (b"ab" if method == "take" else b"") == taking.get(timeout=1)
        assert b"" == queue.take(1)
        assert b"" == queue.take_some(1)
        assert None is queue.take_bytes(1)

    @pytest.mark.parity("BYTE-36")
    def test_as_a_deferred(self, queue):
        """Of the full size, or of anything."""
        full, some = queue.take_async(3), queue.take_async(3, some=True)
        settle()
        queue.put(b"ab")
        settle()
        assert not full.ready()
        queue.put(b"cd")

        assert b"abc" == full.get(timeout=1)
        assert b"d" == some.get(timeout=1)

    def test_cancelled_it_takes_nothing(self, queue):
        """Before the bytes come, and in the moment they do."""
        for put_first in (False, True):
            taken = queue.take_async(3)
            settle()
            if put_first:
                queue.put(b"abc")
            taken.cancel()
            if not put_first:
                queue.put(b"abc")
            settle()

            assert isinstance(taken.exception, Cancelled)
            assert b"abc" == queue.take(3)

    def test_killed_before_it_has_run(self, queue):
        """The deferred does not stay pending."""
        taken = queue.take_async(3)
        taken.cancel()
        settle()

        assert isinstance(taken.exception, Cancelled)
        assert b"" == queue.take(0)

    def test_of_nothing_never_waits(self, queue):
        """Nothing is there at once."""
        assert b"" == queue.take(0)
        assert b"" == queue.take_some(0)

    def test_of_a_negative_size(self, queue):
        """It is refused."""
        with pytest.raises(ValueError, match="size"):
            queue.take(-1)

    def test_is_served_in_the_order_of_asking(self, queue):
        """Also those that want less."""
        first, second = waiting(queue.take, 3), waiting(queue.take_some, 1)
        queue.put(b"ab")
        settle()
        assert not second.ready()

        queue.put(b"cd")
        assert b"abc" == first.get(timeout=1)
        assert b"d" == second.get(timeout=1)

    def test_interrupted_anywhere_nothing_is_lost(self):
        """All bytes are taken once, in order, whenever a taker is thrown out."""
        got = None

        def scene():
            nonlocal got
            queue, got = PushbackQueue(2), []

            def take():
                try:
                    while data := queue.take(2):
                        got.append(data)
                except gevent.Timeout:
                    pass

            def then():
                for piece in (b"a", b"bc", b"de", b"f"):
                    gevent.spawn(queue.put, piece)
                    settle()
                queue.close()
                settle()
                got.append(queue.take(100))

            return gevent.Greenlet(take), then

        for played in interruptions(scene):
            assert b"abcdef" == b"".join(got), played


class TestPushingBack:
    @pytest.mark.parity("BYTE-37")
    def test_goes_to_the_front(self, queue):
        """What was taken is taken again, before what lay behind it."""
        queue.put(b"abcde")
        taken = queue.take(3)
        queue.push_back(taken)

        assert b"abcde" == queue.take(5)

    @pytest.mark.parity("BYTE-37")
    def test_in_the_middle_of_a_piece(self, queue):
        """And several times, the last first."""
        queue.put(b"abcde")
        first, second = queue.take(1), queue.take(2)
        queue.push_back(second)
        queue.push_back(first)

        assert 5 == queue.available
        assert b"abcde" == queue.take(5)

    def test_copies_nothing_of_what_lies_behind(self):
        """To look ahead at each message of a long piece costs no copy of its rest."""
        queue = PushbackQueue(0)
        queue.put_async(bytes(range(256)) * 4096)
        tracemalloc.start()
        try:
            for _ in range(3):
                queue.push_back(queue.take(10)[5:])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 10_000
        assert bytes(range(15, 25)) == queue.take(10)
        assert 256 * 4096 - 25 == len(queue.take(queue.available))

    @pytest.mark.parity("BYTE-36")
    def test_to_an_empty_queue(self, queue):
        """It is what there is, and wakes who waits; it never blocks."""
        taking = waiting(queue.take, 3)
        queue.push_back(b"")
        queue.push_back(b"abcdefghi")

        assert b"abc" == taking.get(timeout=1)
        assert b"defghi" == queue.take(6)

    def test_to_a_closed_queue(self, queue):
        """It can still be taken."""
        queue.close()
        queue.push_back(b"a")

        assert b"a" == queue.take_some(5)
        assert b"" == queue.take_some(5)


class TestEnding:
    def test_leaves_what_is_stored(self, queue):
        """And lets go who waits to put, whose bytes are stored."""
        put = waiting(queue.put, b"abcdefg")
        queue.close()
        queue.close()

        assert put.get(timeout=1) is True
        assert queue.closed
        assert b"abcdefg" == queue.take(100)

    def test_in_an_error(self, queue):
        """It comes when there is not enough any more, again and again."""
        taking = outcome(queue.take, 4)
        queue.put(b"abc")
        queue.fail(OSError("cut"))

        assert isinstance(taking.get(timeout=1), OSError)
        assert b"ab" == queue.take(2)
        assert b"c" == queue.take_some(5)
        for take in (queue.take, queue.take_some, queue.take_bytes):
            with pytest.raises(OSError, match="cut"):
                take(1)
        failed = queue.take_async(1)
        with pytest.raises(OSError, match="cut"):
            failed.get(timeout=1)


class TestConversions:
    def test_is_a_source_and_a_sink(self, queue):
        """Everything that reads or writes bytes can be made of it."""
        assert isinstance(queue, ByteSource)
        assert isinstance(queue, ByteSink)
        writing = waiting(transfer, [b"one\n", b"two", b"\nthree"], queue)

        assert ["one", "two", "three"] == list(to_lines(queue))
        assert 13 == writing.get(timeout=1)

    def test_as_a_file_object(self):
        """And in pieces."""
        for to in (BinaryIO, Iterator[bytes]):
            queue = PushbackQueue(10)
            queue.put(b"abc")
            queue.close()
            assert b"abc" == to_bytes(convert(queue, to))


@pytest.mark.parametrize("wrong", [-1, 1.5, None, True], ids=repr)
def test_a_wrong_capacity(wrong):
    """It is refused by name."""
    with pytest.raises((TypeError, ValueError), match="capacity"):
        PushbackQueue(wrong)
