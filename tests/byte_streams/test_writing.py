"""The writing side: sinks as file objects, file objects as sinks, both as streams."""

from __future__ import annotations

import io

import gevent
import pytest

from galeph.byte_streams import convert, to_byte_sink, to_output
from galeph.byte_streams.options import Options
from galeph.byte_streams.writing import (
    ByteSinkStream,
    FileSink,
    SinkWriter,
    StreamSink,
    open_sink,
    open_to_write,
)
from galeph.errors import ResourceClosed
from galeph.stream import Sink as StreamSide
from galeph.stream import Stream, connect
from tests.byte_streams.scenes import Sink, is_open, stream_of
from tests.stream.scenes import settle, waiting


class TestOpening:
    def test_keeps_nothing_back(self, tmp_path):
        """What is sent is in the file before it is closed."""
        path = tmp_path / "file"
        sink = open_sink(path, Options())
        sink.send_bytes(b"ab")

        assert b"ab" == path.read_bytes()
        sink.close()

    def test_to_append(self, tmp_path):
        """Behind what is there; otherwise it is gone."""
        path = tmp_path / "file"
        path.write_bytes(b"ab")
        for options, expected in [(Options(append=True), b"abcd"), (Options(), b"cd")]:
            with open_to_write(path, options) as file:
                file.write(b"cd")
            assert expected == path.read_bytes()


class TestFileSink:
    def test_writes_all(self):
        """Also into a file that takes only a little at a time."""

        class Little:
            written = b""

            def write(self, data):
                self.written += bytes(data[:2])
                return len(data[:2])

        file = Little()
        FileSink(file).send_bytes(b"abcde")

        assert b"abcde" == file.written

    def test_a_file_that_does_not_count(self):
        """It is trusted."""

        class Silent:
            written = b""

            def write(self, data):
                self.written += data

        file = Silent()
        FileSink(file).send_bytes(b"abc")

        assert b"abc" == file.written

    def test_closes_the_file(self):
        """When it is closed."""
        file = io.BytesIO()
        FileSink(file).close()

        assert file.closed


class TestStreamSink:
    def test_waits_until_it_is_taken(self):
        """The stream's backpressure is the sink's."""
        stream = Stream()
        sink = StreamSink(stream)
        sending = waiting(sink.send_bytes, b"a")

        assert not sending.ready()
        assert b"a" == stream.take()
        sending.get(timeout=1)

    def test_on_a_closed_stream(self):
        """Nothing is dropped in silence."""
        stream = Stream()
        sink = to_byte_sink(stream)
        sink.close()

        assert stream.closed
        with pytest.raises(ResourceClosed):
            sink.send_bytes(b"a")

    def test_fails_the_stream(self):
        """With the error it is given."""
        stream = Stream()
        StreamSink(stream).fail(OSError("cut"))

        with pytest.raises(OSError, match="cut"):
            stream.take()


class TestByteSinkStream:
    def test_a_stream_into_a_file(self, tmp_path):
        """Connected to it; the end closes the file."""
        path = tmp_path / "file"
        done = connect(stream_of(b"ab", b"cd"), convert(path, StreamSide[bytes]))

        assert done.get(timeout=1)
        assert b"abcd" == path.read_bytes()
        assert not is_open(path)

    def test_takes_at_once_what_a_file_does(self, tmp_path):
        """A file never lets wait for long; of others nobody knows."""
        into_file = convert(tmp_path / "file", StreamSide[bytes])
        into_sink = ByteSinkStream(Sink())

        assert into_file.try_put(b"a", 0) is True
        assert "late" == into_sink.try_put(b"a", 0, "late")
        into_file.close()
        assert into_file.try_put(b"a", 0) is False

    def test_closing_closes_the_sink(self):
        """Once, in a greenlet, since that may block."""
        sink = Sink()
        stream = ByteSinkStream(sink)
        stream.put(b"a")
        stream.close()
        stream.close()
        assert not sink.is_closed

        settle()
        assert sink.is_closed
        assert not stream.put(b"b")
        assert b"a" == sink.data

    def test_closing_waits_for_a_put(self):
        """The sink is not closed under whoever is inside it."""
        turn = gevent.event.Event()

        class Slow(Sink):
            def send_bytes(self, data):
                turn.wait()
                assert not self.is_closed
                super().send_bytes(data)

        sink = Slow()
        stream = ByteSinkStream(sink)
        put = waiting(stream.put, b"a")
        stream.close()
        settle()
        assert not sink.is_closed

        turn.set()
        assert put.get(timeout=1)
        settle()
        assert sink.is_closed

    def test_failing_tells_the_sink(self):
        """If it can hear of it; otherwise it is closed."""
        heard = []

        class Hears(Sink):
            def fail(self, error):
                heard.append(error)

        error = OSError("cut")
        hears, plain = Hears(), Sink()
        for sink in (hears, plain):
            ByteSinkStream(sink).fail(error)
        settle()

        assert [error] == heard
        assert (False, True) == (hears.is_closed, plain.is_closed)


class TestSinkWriter:
    def test_writes_each_at_once(self):
        """Anything with a buffer, as bytes; nothing for nothing."""
        sink = Sink()
        file = SinkWriter(sink)

        assert 2 == file.write(b"ab")
        assert 1 == file.write(bytearray(b"c"))
        assert 0 == file.write(b"")
        file.writelines([b"d", b"e"])
        file.flush()
        assert [b"ab", b"c", b"d", b"e"] == sink.pieces
        with pytest.raises(TypeError):
            file.write("text")

    def test_closes_the_sink(self):
        """And refuses what comes later."""
        sink = Sink()
        with to_output(sink) as file:
            pass
        file.close()

        assert sink.is_closed
        for use in (lambda: file.write(b"x"), file.flush):
            with pytest.raises(ResourceClosed):
                use()

    def test_is_a_file_for_the_standard_library(self):
        """A text wrapper writes to it."""
        sink = Sink()
        with io.TextIOWrapper(to_output(sink), "utf-8") as file:
            file.write("ä")

        assert "ä".encode() == sink.data

    def test_shows_what_it_is(self):
        """By its name and mode; it cannot be read."""
        file = SinkWriter(Sink())

        assert ("wb", True, False) == (file.mode, file.writable(), file.readable())
        assert "Sink" in file.name
        with pytest.raises(io.UnsupportedOperation):
            file.read()
