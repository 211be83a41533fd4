"""File objects as sources and sinks."""

from __future__ import annotations

import _socket
import io
import os

import gevent
import gevent.socket
import pytest
from gevent.fileobject import FileObject, FileObjectThread
from gevent.monkey import get_original

from galeph.http.body import BodyReader
from galeph.stream import can_be_sink, can_be_source, connect, sink, source
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting

Socket = get_original("socket", "socket")

LINES = b"one\ntwo\n" + b"x" * 100_000


def opened(path, *args, **kwargs):
    """A file that the stream made of it will close."""
    return open(path, *args, **kwargs)


@pytest.fixture
def path(tmp_path):
    """A file with two short lines and a long one."""
    found = tmp_path / "lines"
    found.write_bytes(LINES)
    return found


@pytest.fixture
def pipe():
    """Both descriptors of a pipe, which the test closes."""
    return os.pipe()


class TestSource:
    @pytest.mark.parametrize(
        "open_it",
        [lambda path: opened(path, "rb"), lambda path: opened(path, "rb", buffering=0)],
        ids=["buffered", "raw"],
    )
    def test_binary_gives_pieces(self, path, open_it):
        """At most 64 KiB each, together the whole; the file is closed at its end."""
        file = open_it(path)
        pieces = list(source(file))

        assert LINES == b"".join(pieces)
        assert 65536 == max(map(len, pieces))
        assert file.closed

    def test_text_gives_lines(self, path):
        """One that is too long comes in parts."""
        lines = list(source(opened(path, encoding="ascii")))

        assert ["one\n", "two\n", "x" * 65536, "x" * (100_000 - 65536)] == lines

    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            (io.BytesIO(b"ab"), [b"ab"]),
            (io.StringIO("a\nb"), ["a\n", "b"]),
            (BodyReader(iter([b"a", b"b", b""]).__next__), [b"a", b"b"]),
        ],
        ids=["BytesIO", "StringIO", "body"],
    )
    def test_whatever_can_be_read_is_a_file(self, file, expected):
        """In memory, or the body of a request, in the pieces it comes in."""
        assert expected == list(source(file))
        assert file.closed

    def test_begins_where_the_file_stands(self, path):
        """What was read before does not come again."""
        file = opened(path, "rb")
        file.readline()

        assert LINES[4:] == b"".join(source(file))

    def test_an_error_fails_the_stream(self):
        """And the file is closed."""

        class Broken(io.RawIOBase):
            def readinto(self, buffer):
                raise OSError("disk")

            def readable(self):
                return True

        file = Broken()
        stream = source(file)

        for _ in range(2):
            with pytest.raises(OSError, match="disk"):
                stream.take()
        assert not stream.drained
        settle()
        assert file.closed

    def test_one_that_would_have_to_wait_and_cannot_is_no_end(self):
        """A raw file that says "nothing now" fails the stream."""

        class Empty(io.RawIOBase):
            def readinto(self, buffer):
                return None

            def readable(self):
                return True

        assert isinstance(outcome(source(Empty()).take).get(timeout=1), BlockingIOError)
        settle()

    def test_closing_closes_the_file(self, path):
        """In a greenlet, for a file may have to wait for that."""
        file = opened(path, "rb")
        stream = source(file)
        stream.take()
        stream.close()
        settle()

        assert file.closed
        assert "end" == stream.take("end")

    def test_a_pipe_of_gevent_s_is_read_as_it_comes(self, pipe):
        """A taker waits for the other end, and nobody else does."""
        reading, writing = FileObject(pipe[0], "rb"), FileObject(pipe[1], "wb", bufsize=0)
        stream = source(reading)
        taker = waiting(stream.take)
        assert not taker.ready()
        writing.write(b"a")

        assert b"a" == taker.get(timeout=1)
        writing.close()
        assert b"end" == stream.take(b"end")

    def test_closing_waits_for_whoever_reads(self, pipe):
        """A descriptor is not closed under a greenlet that waits for it."""
        reading, writing = FileObject(pipe[0], "rb"), FileObject(pipe[1], "wb", bufsize=0)
        stream = source(reading)
        taker = waiting(stream.take)
        stream.close()
        settle()

        assert not reading.closed
        writing.write(b"a")
        assert b"a" == taker.get(timeout=1)
        settle()
        assert reading.closed
        writing.close()

    def test_a_killed_take_leaves_the_bytes(self):
        """Thrown at after any switch."""

        def scene():
            nonlocal stream, taken
            taken, ends = [], os.pipe()
            stream = source(FileObject(ends[0], "rb"))
            writing = FileObject(ends[1], "wb", bufsize=0)

            def then():
                settle()
                writing.write(b"a")
                gevent.sleep(0.001)
                writing.write(b"b")
                writing.close()

            return victim(lambda: taken.append(stream.take())), then

        stream, taken = None, []
        for way in interruptions(scene):
            assert b"ab" == b"".join([*taken, *stream]), way
        stream.close()
        settle()

    def test_says_which_file_it_is(self, path):
        """By name, or else by kind."""
        stream = source(opened(path, "rb"))

        assert ("file", str(path)) == tuple(stream.description()[key] for key in ("type", "of"))
        stream.close()
        settle()
        assert "BytesIO" == source(io.BytesIO()).description()["of"]


class TestSink:
    @pytest.mark.parametrize("buffering", [-1, 0])
    def test_writes_what_is_put(self, tmp_path, buffering):
        """It is in the file when the put has returned; closing closes the file."""
        file = opened(tmp_path / "out", "wb", buffering=buffering)
        into = sink(file)

        assert into.put(b"one") is True
        assert b"one" == (tmp_path / "out").read_bytes()
        into.close()
        settle()
        assert file.closed
        assert into.put(b"two") is False

    def test_text_takes_text(self, tmp_path):
        """And what it does not take is the putter's error, which ends nothing."""
        into = sink(opened(tmp_path / "out", "w", encoding="utf-8"))

        with pytest.raises(TypeError):
            into.put(b"bytes")
        assert into.put("ä") is True
        assert "ä" == (tmp_path / "out").read_text(encoding="utf-8")
        into.close()
        settle()

    def test_copies_a_file(self, path, tmp_path):
        """From one into the other, whole, and both are closed."""
        there = opened(tmp_path / "out", "wb")
        moved = connect(opened(path, "rb"), there)

        assert moved.get(timeout=5) is True
        assert LINES == (tmp_path / "out").read_bytes()
        settle()
        assert there.closed

    def test_writes_on_where_a_raw_file_takes_less(self):
        """A message is written whole."""

        class Narrow(io.RawIOBase):
            written = b""

            def writable(self):
                return True

            def write(self, data):
                self.written += bytes(data[:2])
                return min(2, len(data))

        file = Narrow()

        assert sink(file).put(b"12345") is True
        assert b"12345" == file.written

    @pytest.mark.parametrize("result", [None, OSError("full")], ids=["full pipe", "full disk"])
    def test_one_that_takes_no_more_is_closed(self, result):
        """The error is the putter's; how much was written nobody knows."""

        class Full(io.RawIOBase):
            def writable(self):
                return True

            def write(self, _):
                if isinstance(result, OSError):
                    raise result
                return result

        file = Full()
        into = sink(file)

        assert isinstance(outcome(into.put, b"a").get(timeout=1), OSError)
        assert into.closed
        settle()
        assert file.closed

    def test_one_that_its_owner_has_closed_refuses(self):
        """As any closed sink."""
        file = io.BytesIO()
        into = sink(file)
        file.close()

        assert into.put(b"a") is False
        assert into.closed

    def test_needs_nothing_but_write(self):
        """Whatever has it is a file."""

        class Heap:
            def __init__(self):
                self.heap = []

            def write(self, message):
                self.heap.append(message)

        heap = Heap()
        moved = connect(["a", "b"], heap)

        assert moved.get(timeout=1) is True
        assert ["a", "b"] == heap.heap
        settle()

    def test_an_interrupted_write_closes_it(self, pipe):
        """A part may be in the pipe: what came behind it would not be what was put."""
        into = sink(FileObject(pipe[1], "wb", bufsize=0))

        assert "late" == into.try_put(b"x" * 10_000_000, 0.01, "late")
        assert into.closed
        settle()
        os.close(pipe[0])

    def test_failing_closes_it(self, tmp_path):
        """A file cannot be told why."""
        file = opened(tmp_path / "out", "wb")
        sink(file).fail(ValueError("cut"))
        settle()

        assert file.closed

    def test_says_which_file_it_is(self, tmp_path):
        """By its name."""
        file = opened(tmp_path / "out", "wb")
        into = sink(file)

        assert str(tmp_path / "out") == into.description()["of"]
        into.close()
        settle()


class TestBlocking:
    def test_what_would_block_every_greenlet_is_refused(self, pipe):
        """A pipe and a socket of the standard library, in both directions."""
        reading, writing = opened(pipe[0], "rb"), opened(pipe[1], "wb")

        assert not can_be_source(reading)
        assert not can_be_sink(writing)
        with pytest.raises(TypeError, match="block"):
            source(reading)
        with pytest.raises(TypeError, match="block"):
            sink(writing)
        reading.close()
        writing.close()
        one, other = (Socket(fileno=end.detach()) for end in _socket.socketpair())
        with one, other, one.makefile("rb") as into, one.makefile("wb") as out_of:
            assert not can_be_source(into)
            assert not can_be_sink(out_of)

    def test_a_terminal_is_refused(self):
        """Somebody may take his time there."""
        ours, theirs = os.openpty()
        with opened(ours, "rb", buffering=0) as one, opened(theirs, "rb", buffering=0) as other:
            assert not can_be_source(one)
            assert not can_be_source(other)

    def test_gevent_s_own_are_not(self, pipe):
        """Whatever is wrapped around them."""
        reading, writing = FileObject(pipe[0], "rb"), FileObjectThread(pipe[1], "wb")

        assert can_be_source(reading)
        assert can_be_source(io.TextIOWrapper(reading))
        assert can_be_sink(writing)
        reading.close()
        writing.close()
        one, other = gevent.socket.socketpair()
        with one, other, one.makefile("rb") as into, one.makefile("wb") as out_of:
            assert can_be_source(into)
            assert can_be_sink(out_of)

    def test_a_device_that_answers_at_once_is_not(self):
        """Nobody waits for /dev/zero."""
        with opened(os.devnull, "r+b", buffering=0) as null:
            assert can_be_source(null)
            assert can_be_sink(null)
