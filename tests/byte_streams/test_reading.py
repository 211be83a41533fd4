"""File objects over streams and iterators: every way to read, and what an interruption leaves."""

from __future__ import annotations

import io
from collections.abc import Iterator

import gevent
import pytest

from galeph.byte_streams import convert, to_input, to_reader
from galeph.byte_streams.pieces import Items
from galeph.byte_streams.reading import PiecesReader, TextReader
from galeph.errors import ResourceClosed
from galeph.stream import Stream
from tests.byte_streams.scenes import failed_stream_of, stream_of
from tests.stream.scenes import interruptions, outcome, settle, waiting


def reader_of(*pieces):
    return PiecesReader(Items(list(pieces)))


class TestReading:
    @pytest.mark.parity("BYTE-38")
    def test_single_bytes_and_many(self):
        """In whatever sizes; nothing at the end, again and again."""
        file = to_input(stream_of(b"ab", b"cdef", b"g"))

        assert b"a" == file.read(1)
        assert b"bcd" == file.read(3)
        assert b"" == file.read(0)
        assert b"efg" == file.read(100)
        assert b"" == file.read(1)
        assert b"" == file.read()
        assert b"" == file.read1()

    @pytest.mark.parity("BYTE-38")
    def test_into_a_buffer(self):
        """As much as fits and is there; 0 at the end."""
        file = to_input(stream_of(b"ab", b"cdef"))
        buffer = bytearray(3)

        assert 3 == file.readinto(buffer)
        assert b"abc" == buffer
        assert 3 == file.readinto(memoryview(buffer))
        assert b"def" == buffer
        assert 0 == file.readinto(buffer)
        assert 2 == reader_of(b"ab", b"c").readinto1(bytearray(3))

    @pytest.mark.parity("BYTE-38")
    def test_available(self):
        """What can be read without waiting: what was fetched, or what lies in the stream."""
        stream = Stream(2)
        file = to_input(stream)
        assert 0 == file.available()

        stream.put(b"abc")
        assert 3 == file.available()
        file.read(1)
        assert 2 == file.available()
        file.read(2)
        assert 0 == file.available()

    @pytest.mark.parity("BYTE-38")
    def test_skip(self):
        """So many bytes, fewer only at the end."""
        file = to_input(stream_of(b"ab", b"cdef"))

        assert 3 == file.skip(3)
        assert b"d" == file.read(1)
        assert 0 == file.skip(0)
        assert 2 == file.skip(100)
        assert 0 == file.skip(1)

    @pytest.mark.parity("BYTE-38")
    def test_cannot_go_back_unless_it_is_in_memory(self):
        """Over a stream a place cannot be marked; over bytes it can."""
        over_stream = to_input(stream_of(b"abc"))
        over_bytes = to_input(b"abc")
        assert not over_stream.seekable()
        for go in (lambda: over_stream.seek(0), over_stream.tell):
            with pytest.raises(io.UnsupportedOperation):
                go()

        assert over_bytes.seekable()
        over_bytes.read(1)
        mark = over_bytes.tell()
        over_bytes.read(1)
        over_bytes.seek(mark)
        assert b"bc" == over_bytes.read()

    @pytest.mark.parity("BYTE-38")
    def test_waits_without_blocking_others(self):
        """Only the greenlet that reads waits, until it has what it asked for."""
        stream = Stream()
        reader = waiting(to_input(stream).read, 3)
        stream.put(b"ab")
        settle()

        assert not reader.ready()
        stream.put(b"cd")
        assert b"abc" == reader.get(timeout=1)

    def test_peek(self):
        """What comes next, which stays there."""
        file = reader_of(b"ab", b"cd")

        assert b"a" == file.peek()
        assert b"ab" == file.peek(5)
        assert b"abc" == file.read(3)
        assert b"d" == file.peek(5)
        assert b"d" == file.read()
        assert b"" == file.peek()

    def test_peek_over_several_pieces(self):
        """All that was fetched."""
        file = reader_of(b"ab", b"cd", b"\n")
        file.readline(3)
        file.read(0)

        assert b"d" == file.peek(4)

    def test_read1_gives_what_is_there(self):
        """Never more than one piece."""
        file = reader_of(b"abc", b"d")

        assert b"ab" == file.read1(2)
        assert b"c" == file.read1()
        assert b"" == file.read1(0)
        assert b"d" == file.read1(None)

    def test_take_bytes(self):
        """It is a byte source as well."""
        file = reader_of(b"abc")

        assert b"ab" == file.take_bytes(2)
        assert b"c" == file.take_bytes(2)
        assert None is file.take_bytes(2)

    def test_empty_pieces_are_not_the_end(self):
        """They are passed over."""
        assert b"ab" == reader_of(b"", b"a", b"", b"b", b"").read()
        assert b"a" == reader_of(b"", b"a").read1()


class TestLines:
    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_across_pieces(self, size):
        """With their line feeds; the last as it is."""
        data = b"one\n\ntwo\nthree"
        file = reader_of(*[data[at : at + size] for at in range(0, len(data), size)])

        assert b"one\n" == file.readline()
        assert [b"\n", b"two\n", b"three"] == list(file)
        assert b"" == file.readline()

    def test_behind_a_read(self):
        """From wherever the reading stands, also in pieces that were fetched before."""
        file = reader_of(b"ab\ncd", b"ef\ngh\n")
        file.read(1)

        assert b"b\n" == file.readline()
        assert b"cd" == file.peek(2)
        assert b"cdef\n" == file.readline()
        file.peek(1)
        assert b"gh\n" == file.readline()

    @pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 5])
    def test_of_a_size(self, limit):
        """No more than that, the line feed included."""
        file = reader_of(b"ab", b"c\n", b"d")

        assert b"abc\n"[:limit] == file.readline(limit)
        assert b"abc\n"[limit:] == (file.readline(None) if limit < 4 else b"")

    def test_all_of_them(self):
        """Or until so many bytes."""
        assert [b"a\n", b"b\n", b"c"] == reader_of(b"a\nb\nc").readlines()
        assert [b"a\n", b"b\n"] == reader_of(b"a\nb\nc").readlines(3)


class TestText:
    def test_is_read_by_characters(self):
        """The same methods, for text."""
        file = TextReader(Items(["aä", "丁\nb", "c"]), encoding="latin-1", errors="ignore")

        assert "a" == file.read(1)
        assert "ä丁\n" == file.readline()
        assert "b" == file.peek()
        assert 1 == file.skip(1)
        assert ["c"] == list(file)
        assert ("latin-1", "ignore") == (file.encoding, file.errors)
        assert ("r", None, False) == (file.mode, file.newlines, file.line_buffering)
        with pytest.raises(io.UnsupportedOperation):
            _ = file.buffer

    def test_gives_on_what_is_there(self):
        """Made pieces of again, it holds nothing back."""
        stream = Stream(2)
        stream.put("ab")

        assert "ab" == next(convert(to_reader(stream), Iterator[str]))

    def test_other_line_ends_are_no_ends(self):
        """Only a line feed is."""
        assert ["a\rb\u2028c\r\n", "d"] == list(to_reader(["a\rb\u2028", "c\r\nd"]))

    def test_of_bytes_under_a_text_wrapper(self):
        """The standard library takes the binary one for a file."""
        file = io.TextIOWrapper(to_input(iter([b"a\xc3", b"\xa4\nb"])), "utf-8")

        assert ["aä\n", "b"] == list(file)
        file.close()


class TestErrors:
    def test_come_behind_what_is_there(self):
        """In smaller reads the rest can be had; a read of more raises, again and again."""
        file = to_input(failed_stream_of(b"abc", error=ConnectionResetError("cut")))
        for _ in range(2):
            with pytest.raises(ConnectionResetError, match="cut"):
                file.read(4)

        assert b"ab" == file.read(2)
        assert b"c" == file.read1()
        for read in (file.read, file.read1, file.readline, file.peek, lambda: file.read(1)):
            with pytest.raises(ConnectionResetError, match="cut"):
                read()

    @pytest.mark.parametrize(
        "read", [lambda f: f.read(4), lambda f: f.read(), lambda f: f.readline()], ids=str
    )
    def test_interrupted_anywhere_nothing_is_lost(self, read):
        """Whoever reads on gets what the one thrown out had not returned."""
        got = None

        def scene():
            nonlocal got
            stream, got = Stream(), []
            file = to_input(stream)

            def run():
                while data := read(file):
                    got.append(data)

            def then():
                for piece in (b"ab", b"c\nd", b"e"):
                    gevent.spawn(stream.put, piece)
                    settle()
                stream.close()
                settle()
                got.append(file.read())

            return gevent.Greenlet(swallowing(run)), then

        for played in interruptions(scene):
            assert b"abc\nde" == b"".join(got), played

    def test_two_readers_are_served_one_after_the_other(self):
        """Neither gets a part of what the other is reading."""
        stream = Stream()
        file = to_input(stream)
        readers = [waiting(file.read, 3) for _ in range(2)]
        for piece in (b"a", b"b", b"c", b"def"):
            stream.put(piece)

        assert [b"abc", b"def"] == [reader.get(timeout=1) for reader in readers]
        assert 0 == file.available()

    def test_available_does_not_disturb_a_reader(self):
        """What comes is for the one who waits."""
        stream = Stream()
        file = to_input(stream)
        reader = waiting(file.read, 2)

        assert 0 == file.available()
        stream.put(b"ab")
        assert b"ab" == reader.get(timeout=1)


def swallowing(fn):
    def run():
        try:
            fn()
        except gevent.Timeout:
            pass

    return run


class TestClosing:
    def test_closes_what_it_reads(self):
        """And every read is an error then."""
        stream = Stream(1)
        stream.put(b"abc")
        with to_input(stream) as file:
            file.read(1)
        file.close()

        assert file.closed
        assert stream.closed
        for read in (file.read, file.read1, file.readline, file.peek, file.available):
            with pytest.raises(ResourceClosed):
                read()

    def test_wakes_who_reads(self):
        """With the same error."""
        file = to_input(Stream())
        reader = outcome(file.read, 1)
        file.close()

        assert isinstance(reader.get(timeout=1), ResourceClosed)

    def test_letting_go_leaves_the_source(self):
        """For whoever reads on there."""
        stream = Stream(1)
        file = to_input(stream)
        file.let_go()
        file.let_go()

        assert file.closed
        assert not stream.closed

    def test_shows_what_it_is(self):
        """By its state and its name."""
        file = reader_of(b"abc")
        file.read(1)

        assert "<PiecesReader 2 fetched>" == repr(file)
        assert ("rb", True, False) == (file.mode, file.readable(), file.writable())
        assert "Items" in file.name
        file.close()
        assert "<PiecesReader closed>" == repr(file)
