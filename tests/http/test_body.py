"""A body as a file and as a Source, over one position."""

from __future__ import annotations

import io
import tracemalloc

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue
from hypothesis import given
from hypothesis import strategies as st

from galeph.deferred import future
from galeph.errors import (
    BodyTooLarge,
    IncompleteBody,
    LocalProtocolError,
    ResourceBusy,
    ResourceClosed,
)
from galeph.http.body import BodyReader, BodySource


def reader_of(*pieces, **options):
    """A reader that pulls these pieces; an exception among them is raised, and raised again."""
    left = list(pieces)

    def pull():
        if not left:
            return b""
        if isinstance(left[0], BaseException):
            raise left[0]
        return left.pop(0)

    return BodyReader(pull, **options)


NAMES = ["read", "read1", "read_all", "readinto", "readline", "readlines"]


def read_by(reader, name):
    """The bytes that one of the reading methods gives."""
    if name == "readinto":
        target = bytearray(9)
        return bytes(target[: reader.readinto(target)])
    result = getattr(reader, name)(*([99] if name == "read_all" else []))
    return b"".join(result) if name == "readlines" else result


class TestReading:
    def test_read_gives_all(self):
        """`read` without a size gives everything; after the end it gives nothing."""
        reader = reader_of(b"ab", b"c", b"def")

        assert b"abcdef" == reader.read()
        assert (b"", b"", b"") == (reader.read(), reader.read(5), reader.read1())

    def test_read_gives_as_much_as_asked(self):
        """`read` with a size gives so many bytes, across pieces, and less only at the end."""
        reader = reader_of(b"ab", b"c", b"def")

        assert [b"abcd", b"", b"ef", b""] == [reader.read(size) for size in (4, 0, 4, 4)]

    def test_read1_does_not_wait_for_more(self):
        """`read1` gives one piece, or the part of it that was asked for."""
        reader = reader_of(b"abc", b"def")

        assert [b"ab", b"c", b"def"] == [reader.read1(2), reader.read1(2), reader.read1(9)]

    def test_nothing_is_read_for_nothing(self):
        """Asking for 0 bytes pulls nothing."""
        reader = reader_of(ZeroDivisionError())

        assert (b"", b"") == (reader.read(0), reader.read1(0))

    def test_what_has_arrived_comes_first(self):
        """Bytes that were there from the beginning are read before anything is pulled."""
        reader = reader_of(b"cd", buffered=b"ab")

        assert reader.has_buffered
        assert [b"ab", b"cd"] == [reader.read1(), reader.read1()]

    def test_readinto(self):
        """`readinto` fills a buffer as far as there is body; `io` can build on it."""
        target = bytearray(4)

        assert 3 == reader_of(b"ab", b"c").readinto(target)
        assert b"abc\0" == target

    def test_lines(self):
        """Lines end with a line feed, the last one where the body ends; a limit cuts them."""
        reader = reader_of(b"a\nb", b"b\n\n", b"c")
        assert [b"a\n", b"bb\n", b"\n", b"c"] == list(reader)

        reader = reader_of(b"abc", b"d\nef")
        assert [b"ab", b"cd\n", b"", b"ef", b""] == [reader.readline(n) for n in (2, 9, 0, -1, 5)]

    def test_readlines_with_a_hint(self):
        """`readlines` stops after the line that reaches the hint."""
        reader = reader_of(b"a\nb\nc\n")

        assert [b"a\n", b"b\n"] == reader.readlines(3)
        assert [b"c\n"] == reader.readlines()

    def test_text_through_io(self):
        """It is file enough for `io.TextIOWrapper`."""
        text = io.TextIOWrapper(reader_of("grün\nund".encode()), encoding="utf-8")

        assert ["grün\n", "und"] == list(text)

    @given(
        st.lists(st.binary(min_size=1, max_size=8)),
        st.lists(st.tuples(st.sampled_from(["read", "read1", "readline"]), st.integers(-1, 9))),
    )
    def test_any_mix_of_reads_gives_the_body(self, pieces, calls):
        """Whatever is called in whichever order, the bytes come once and in order."""
        reader = reader_of(*pieces)
        got = b"".join(getattr(reader, name)(size) for name, size in calls)

        assert b"".join(pieces) == got + reader.read()


class TestLimits:
    def test_read_all_takes_what_is_allowed(self):
        """As much as the limit is gathered, one byte more is refused."""
        assert b"abcd" == reader_of(b"ab", b"cd").read_all(4)
        with pytest.raises(BodyTooLarge):
            reader_of(b"ab", b"cde").read_all(4)

    def test_a_declared_length_is_refused_unread(self):
        """A length above the limit is refused before anything is read."""
        reader = reader_of(ZeroDivisionError(), length=5)
        with pytest.raises(BodyTooLarge):
            reader.read_all(4)

    def test_a_refused_body_can_still_be_read(self):
        """What was gathered in vain is not lost."""
        reader = reader_of(b"ab", b"cd", b"ef")
        with pytest.raises(BodyTooLarge):
            reader.read_all(3)

        assert b"abcdef" == reader.read()

    def test_reading_without_a_size_is_bounded(self):
        """What is left, and a line, are no larger than `max_gathered`; nothing of them is lost."""
        reader = reader_of(b"ab", b"cd", b"\n", b"e")
        reader.max_gathered = 3
        with pytest.raises(BodyTooLarge, match="3"):
            reader.read()
        with pytest.raises(BodyTooLarge, match="line"):
            reader.readline()
        with pytest.raises(BodyTooLarge, match="line"):
            list(reader)

        assert b"abcd\n" == reader.readline(10)
        assert b"e" == reader.read()

    def test_the_whole_is_kept(self):
        """`read_all` gives the same again, however small the limit has become."""
        reader = reader_of(b"ab", b"cd")

        assert b"abcd" == reader.read_all(4)
        assert b"abcd" == reader.read_all(1)
        assert b"" == reader.read()

    @pytest.mark.parametrize("read", ["read1", "read", "readline", "readlines"])
    def test_a_part_is_not_the_whole(self, read):
        """Where somebody has read of the body, nobody gets the rest for the whole."""
        reader = reader_of(b"a\nb", b"cd")
        getattr(reader, read)()
        with pytest.raises(LocalProtocolError, match="part"):
            reader.read_all(4)

    @pytest.mark.attack(98)
    @pytest.mark.parametrize(
        "read",
        [
            lambda reader: reader.read(),
            lambda reader: reader.read(10**6),
            lambda reader: reader.read_all(10**6),
            lambda reader: reader.readline(),
        ],
        ids=["read", "read-size", "read-all", "readline"],
    )
    def test_tiny_pieces_are_not_kept_as_they_came(self, read):
        """A body that comes two bytes at a time takes little more memory than its bytes."""
        size = 200_000
        left = [size]

        def pull():
            left[0] -= 2
            return b"%c%c" % (left[0] % 200 + 32, 33) if left[0] >= 0 else b""

        reader = BodyReader(pull)
        tracemalloc.start()
        try:
            body = read(reader)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert size == len(body)
        assert most < 4 * size

    def test_tiny_pieces_keep_their_order(self):
        """Joined or not, the pieces of any size come out as they came in."""
        pieces = [bytes([n % 251]) * (1 + n % 3 + 5000 * (n % 97 == 0)) for n in range(3000)]

        assert b"".join(pieces) == reader_of(*pieces).read()


class TestLeaving:
    @pytest.mark.parametrize("name", ["read", "readline", "readlines", "read_all", "readinto"])
    def test_a_timeout_loses_nothing(self, name):
        """A reader who leaves by a Timeout finds everything there when he comes back."""
        go = Event()
        pieces = [b"ab", b"cd", None, b"ef"]

        def pull():
            if pieces and pieces[0] is None:
                go.wait()
                pieces.pop(0)
            return pieces.pop(0) if pieces else b""

        reader = BodyReader(pull)
        arguments = {"read_all": (99,), "readinto": (bytearray(99),)}.get(name, ())
        with gevent.Timeout(0.01, exception=False):
            getattr(reader, name)(*arguments)
        go.set()

        assert b"abcdef" == reader.read()

    def test_lines_that_were_read_are_not_lost_either(self):
        """A reader of many lines who leaves in the middle finds the whole ones there too."""
        reader = reader_of(b"a\nb\nc", gevent.Timeout())
        with pytest.raises(gevent.Timeout):
            reader.readlines()

        assert reader.has_buffered
        assert [b"a\n", b"b\n", b"c"] == [reader.readline(), reader.readline(), reader.read1()]

    def test_an_error_comes_after_what_came_before_it(self):
        """What arrived before a body broke can be read in pieces; then the error is raised."""
        reader = reader_of(b"ab", IncompleteBody("cut"))
        for _ in range(2):
            with pytest.raises(IncompleteBody):
                reader.read()
        assert b"ab" == reader.read1()
        for _ in range(2):
            with pytest.raises(IncompleteBody):
                reader.read1()


@pytest.fixture
def pulls():
    """What is pulled, one after the other; who pulls waits for the next."""
    return Queue()


class TestTwoReaders:
    @pytest.mark.parametrize("second", NAMES)
    @pytest.mark.parametrize("first", NAMES)
    def test_the_second_is_refused(self, pulls, first, second):
        """Who comes while another waits for more is told so, and that one gets all of it."""
        reader = BodyReader(pulls.get)
        reading = future(read_by, reader, first)
        if first != "read1":  # which would be content with this
            pulls.put(b"abc")
        gevent.sleep(0)
        with pytest.raises(ResourceBusy, match="another greenlet"):
            read_by(reader, second)
        for piece in (b"def", b"", b""):  # who reads lines asks behind the end again
            pulls.put(piece)

        assert (b"def" if first == "read1" else b"abcdef") == reading.result(1)

    @pytest.mark.parametrize("leaves", [gevent.Timeout, gevent.GreenletExit, KeyError])
    def test_after_the_first_has_left(self, pulls, leaves):
        """However the first one left, the next may read, and finds what the first had gathered."""
        reader = BodyReader(pulls.get)

        def read_and_leave():
            with pytest.raises(leaves):
                reader.read_all(99)

        reading = gevent.spawn(read_and_leave)
        pulls.put(b"abc")
        gevent.sleep(0)
        reading.kill(leaves)
        pulls.put(b"def")
        pulls.put(b"")

        assert b"abcdef" == reader.read()

    def test_nothing_to_wait_for(self, pulls):
        """To read nothing disturbs nobody."""
        reader = BodyReader(pulls.get)
        reading = future(reader.read1)
        gevent.sleep(0)

        assert (b"", b"") == (reader.read(0), reader.read1(0))
        pulls.put(b"ab")
        assert b"ab" == reading.result(1)

    def test_the_source_goes_on(self, pulls):
        """A take that comes while the file is read is refused, and the source does not end."""
        reader = BodyReader(pulls.get)
        source = BodySource(reader)
        reading = future(reader.read1)
        gevent.sleep(0)
        with pytest.raises(ResourceBusy):
            source.take()
        pulls.put(b"ab")
        pulls.put(b"cd")

        assert b"ab" == reading.result(1)
        assert b"cd" == source.take()


class TestClosing:
    def test_closed_is_closed(self):
        """After `close` every read is a ResourceClosed, and nothing is pulled."""
        reader = reader_of(ZeroDivisionError(), buffered=b"ab")
        reader.close()

        assert reader.closed
        for read in (reader.read, reader.read1, reader.readline, reader.readlines):
            with pytest.raises(ResourceClosed):
                read()

    def test_closing_is_told_once(self):
        """Whoever gave the body is told once that nobody reads on."""
        told = []
        with reader_of(b"ab", on_close=lambda: told.append(True)) as reader:
            reader.read()
        reader.close()

        assert [True] == told

    def test_it_says_what_it_is(self):
        """It is readable, nothing else, and its repr tells its state."""
        reader = reader_of(length=7, buffered=b"ab")

        assert (True, False, False) == (reader.readable(), reader.writable(), reader.seekable())
        assert "<BodyReader 2 bytes buffered, length 7>" == repr(reader)
        reader.close()
        assert "<BodyReader closed, length 7>" == repr(reader)


class TestSource:
    def test_messages_are_pieces(self):
        """Each message is a piece as it came; then the source has drained."""
        source = BodySource(reader_of(b"ab", b"c"))
        assert ("inbound", True) == tuple(
            source.description()[k] for k in ("direction", "readable")
        )

        assert [b"ab", b"c"] == list(source)
        assert source.drained

    def test_one_position(self):
        """What the file has read the source does not see, and the other way round."""
        reader = reader_of(b"ab", b"cd", b"ef")
        source = BodySource(reader)

        assert (b"a", b"b", b"cd") == (reader.read(1), source.take(), reader.read1())
        assert b"ef" == source.take()

    def test_a_broken_body_fails_the_source(self):
        """A source of a body that is cut raises; it never looks drained."""
        source = BodySource(reader_of(b"ab", IncompleteBody("cut")))
        assert b"ab" == source.take()
        for _ in range(2):
            with pytest.raises(IncompleteBody):
                source.take()

        assert not source.drained

    def test_a_limit_takes_nothing(self):
        """`try_take` that runs out leaves the piece for the next take."""
        go = Event()

        def pull():
            go.wait()
            return b"ab"

        source = BodySource(BodyReader(pull))
        assert "late" == source.try_take(0.01, timeout_value="late")
        assert "late" == source.try_take(0, timeout_value="late")
        go.set()

        assert b"ab" == source.take()

    def test_closing_gives_up_the_body(self):
        """Closing the source closes the body."""
        reader = reader_of(b"ab")
        source = BodySource(reader)
        source.close()

        assert reader.closed
        assert "end" == source.take("end")
