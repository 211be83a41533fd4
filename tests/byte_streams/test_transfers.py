"""`transfer`: from anywhere to anywhere, by which route, and what is closed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import gevent
import pytest
from gevent.queue import Queue

from galeph.byte_streams import (
    BinaryWriter,
    ByteSink,
    ByteSource,
    FileRegion,
    convert,
    def_conversion,
    def_transfer,
    dev_null,
    has_transfer,
    to_bytes,
    transfer,
)
from galeph.errors import Cancelled, ResourceClosed, TimedOut
from galeph.stream import Sink as StreamSide
from galeph.stream import Source as StreamSource
from galeph.stream import Stream
from tests.byte_streams.scenes import (
    TEXT,
    Letters,
    Sink,
    Source,
    failed_stream_of,
    is_open,
    stream_of,
)
from tests.stream.scenes import settle, waiting

DATA = TEXT.encode()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


def sources(path):
    """The text in all that gives bytes."""
    return [
        DATA, bytearray(DATA), memoryview(DATA), TEXT, path, FileRegion(path), path.open("rb"),
        io.BytesIO(DATA), io.StringIO(TEXT, newline="\n"), [DATA[:5], DATA[5:]],
        (DATA[at : at + 7] for at in range(0, len(DATA), 7)), stream_of(DATA[:5], DATA[5:]),
        stream_of(TEXT), Source(DATA),
    ]  # fmt: skip


class TestAnythingIntoAnything:
    @pytest.mark.parity("BYTE-27")
    def test_into_files(self, path, tmp_path):
        """From all there is, whole and in small chunks, overwriting and appending."""
        target = tmp_path / "target"
        for options in ({}, {"chunk_size": 128}, {"chunk_size": 1}):
            for source in sources(path):
                assert len(DATA) == transfer(source, target, **options)
                assert DATA == target.read_bytes()
        for source in sources(path):
            target.write_bytes(b"+")
            assert len(DATA) == transfer(source, target, chunk_size=128, append=True)
            assert b"+" + DATA == target.read_bytes()
        assert not is_open(target)

    @pytest.mark.parity("BYTE-27")
    def test_into_streams_file_objects_and_sinks(self, path):
        """All that takes bytes."""

        class Kept(io.BytesIO):
            def close(self):
                self.data = self.getvalue()

        for source in sources(path):
            stream = Stream(1000)
            transfer(source, stream)
            assert DATA == b"".join(stream)
        for source in sources(path):
            file = Kept()
            transfer(source, file)
            assert DATA == file.data
        for source in sources(path):
            sink = Sink()
            transfer(source, sink, chunk_size=3)
            assert DATA == sink.data
            assert max(map(len, sink.pieces)) <= 3
        queue = Queue()
        transfer(b"ab", queue)
        assert b"ab" == queue.get()

    @pytest.mark.parity("BYTE-27")
    def test_from_file_to_file_inside_the_kernel(self, path, tmp_path, monkeypatch):
        """Where it can; where it cannot, through this process."""
        calls = []

        def send(to, source, offset, count):
            calls.append(count)
            return sendfile(to, source, offset, count)

        sendfile = os.sendfile
        monkeypatch.setattr(os, "sendfile", send)
        target = tmp_path / "target"
        transfer(path, target)
        assert DATA == target.read_bytes()
        assert [10_000_000] * 2 == calls

        calls.clear()
        transfer(FileRegion(path, 3, 20), target, chunk_size=8)
        assert DATA[3:23] == target.read_bytes()
        assert [8, 8, 4] == calls

        monkeypatch.setattr(os, "sendfile", refuse)
        transfer(FileRegion(path, 3, 20), target, append=True)
        assert DATA[3:23] * 2 == target.read_bytes()
        transfer(path, target)
        assert DATA == target.read_bytes()

    def test_a_file_that_is_shortened_meanwhile(self, path, tmp_path, monkeypatch):
        """The copy does not look complete; and another error is not taken for "cannot"."""

        def send(to, source, offset, count):
            os.truncate(path, 4)
            return sendfile(to, source, offset, count)

        sendfile = os.sendfile
        monkeypatch.setattr(os, "sendfile", send)
        with pytest.raises(EOFError, match="4 bytes are missing"):
            transfer(FileRegion(path, 0, 8), tmp_path / "target", chunk_size=2)

        path.write_bytes(DATA)
        answers = iter([2])
        monkeypatch.setattr(os, "sendfile", lambda *_: next(answers, None) or refuse())
        with pytest.raises(OSError, match="refused"):
            transfer(FileRegion(path, 0, 8), tmp_path / "target", chunk_size=2)

    @pytest.mark.parity("BYTE-27")
    def test_messages_of_a_stream_stay_what_they_are(self):
        """They are neither cut nor put together, unless a size is asked for."""
        pieces = [bytes(5000), b"x"]
        for source in (pieces, iter(pieces), stream_of(*pieces)):
            sink, stream = Sink(), Stream(2)
            transfer(source, sink)
            assert pieces == sink.pieces
        transfer(stream_of(*pieces), stream, source_type=StreamSource[bytes])
        assert pieces == list(stream)

    @pytest.mark.parity("BYTE-27")
    def test_waits_for_a_slow_sink(self):
        """A piece is taken when the one before was accepted."""
        source, sink = Stream(), Stream()
        moving = waiting(transfer, source, sink)
        source.put(b"a")
        put = waiting(source.put, b"b")
        settle()
        later = waiting(source.put, b"c")

        assert not later.ready()
        assert [b"a", b"b", b"c"] == [sink.take() for _ in range(3)]
        source.close()
        assert 3 == moving.get(timeout=1)
        assert put.get(timeout=1)

    def test_with_a_source_type(self):
        """As convert takes it."""
        sink = Sink()

        assert 1 == transfer(stream_of(b"a"), sink, source_type=StreamSource[bytes])
        assert b"a" == sink.data


def refuse(*_):
    raise OSError("refused")


class TestImpossible:
    @pytest.mark.parity("BYTE-28")
    @pytest.mark.parametrize(
        ("source", "sink", "message"),
        [
            (b"x", b"y", "from bytes to bytes"),
            (b"x", "text", "from bytes to str"),
            (b"x", io.StringIO(), "from bytes to StringIO"),
            (b"x", [b"y"], "from bytes to list"),
            (b"x", None, "from bytes to NoneType"),
            (5, Path("/nowhere/x"), "from int to PosixPath"),
            (Letters(""), dev_null, "from Letters to _DevNull"),
            (dev_null, dev_null, "from _DevNull to _DevNull"),
        ],
        ids=str,
    )
    def test_names_both(self, source, sink, message):
        """A TypeError, before anything is opened or read."""
        with pytest.raises(TypeError, match=message):
            transfer(source, sink)

    @pytest.mark.parametrize("append", [False, True])
    def test_into_the_very_file_it_comes_from(self, path, append):
        """It would be empty, or never end."""
        link = path.with_name("link")
        link.symlink_to(path)
        with path.open("rb") as file:
            for source in (path, link, FileRegion(path), file):
                with pytest.raises(ValueError, match="the very file"):
                    transfer(source, path, append=append)
            with pytest.raises(ValueError, match="the very file"):
                convert(file, path, append=append)

        assert DATA == path.read_bytes()

    def test_two_ends_of_a_device_are_no_file(self):
        """A terminal is read and written at once."""
        assert 0 == transfer(Path("/dev/null"), Path("/dev/null"))

    def test_a_file_that_is_not_there(self, tmp_path):
        """The other one is not touched."""
        target = tmp_path / "target"
        target.write_bytes(b"old")
        with pytest.raises(FileNotFoundError):
            transfer(tmp_path / "missing", target)

        assert b"old" == target.read_bytes()


class TestClosing:
    @pytest.mark.parity("BYTE-12")
    def test_closes_both_in_the_end(self):
        """Unless that is not wanted."""
        for close in (True, False):
            source, sink = Source(b"a"), Sink()
            transfer(source, sink, close=close)
            assert (close, close) == (source.is_closed, sink.is_closed)

        for close in (True, False):
            file, stream = io.BytesIO(b"a"), Stream(1)
            transfer(file, stream, close=close)
            assert (close, close) == (file.closed, stream.closed)

    @pytest.mark.parity("BYTE-12")
    @pytest.mark.parametrize("close", [True, False])
    def test_what_it_has_opened_is_closed_anyway(self, path, tmp_path, close):
        """The files behind paths."""
        target = tmp_path / "target"
        for source in sources(path):
            transfer(source, target, close=close)
            transfer(path, Sink(), close=close)
            getattr(source, "close", lambda: None)()

        assert not is_open(target)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-12")
    def test_a_failure_closes_both(self):
        """And a sink that can tell says that not all came."""
        sink = Stream(2)
        source = failed_stream_of(b"a", error=ConnectionResetError("cut"))
        with pytest.raises(ConnectionResetError, match="cut"):
            transfer(source, sink)

        assert b"a" == sink.take()
        with pytest.raises(ConnectionResetError, match="cut"):
            sink.take()

    def test_a_failure_without_closing(self):
        """Both stay as they are."""
        sink = Stream(2)
        source = failed_stream_of(b"a", error=ConnectionResetError("cut"))
        with pytest.raises(ConnectionResetError):
            transfer(source, sink, close=False)

        assert b"a" == sink.take()
        assert not sink.closed

    def test_a_source_that_cannot_be_opened_fails_the_sink(self, tmp_path):
        """Its end would look as if there had been nothing."""
        sink = Stream()
        with pytest.raises(FileNotFoundError):
            transfer(tmp_path / "missing", sink)
        with pytest.raises(FileNotFoundError):
            sink.take()

    @pytest.mark.parity("BYTE-12")
    def test_a_source_that_cannot_be_converted_fails_the_sink(self, own_graph):
        """Also before the first byte, when the sink was not even looked at."""

        @def_conversion(Letters, bytes)
        def fail(letters, options):
            raise OSError("no letters")

        sink, file = Stream(), io.BytesIO()
        for target in (sink, file):
            with pytest.raises(OSError, match="no letters"):
                transfer(Letters(""), target)
        with pytest.raises(OSError, match="no letters"):
            sink.take()
        assert file.closed

    def test_a_closed_sink(self):
        """It is an error: the rest would be lost. The source is closed with it."""
        source, sink = Stream(2), Stream()
        source.put_all([b"a", b"b"])
        sink.close()

        with pytest.raises(ResourceClosed):
            transfer(source, sink)
        assert source.closed

    @pytest.mark.parametrize(
        ("error", "told"), [(gevent.GreenletExit, Cancelled), (gevent.Timeout, TimedOut)]
    )
    def test_interrupted(self, error, told):
        """Takers of the sink hear of it in galeph's words."""
        source, sink = Stream(), Stream(1)
        moving = gevent.spawn(quietly, transfer, source, sink)
        source.put(b"a")
        settle()
        moving.kill(error)

        assert b"a" == sink.take()
        with pytest.raises(told):
            sink.take()
        assert source.closed


def quietly(fn, *args):
    try:
        fn(*args)
    except gevent.Timeout:
        pass


class TestRoutes:
    @pytest.mark.parity("BYTE-30")
    def test_whether_there_is_one(self):
        """Between two types, special or not."""
        for source in (bytes, str, Path, BinaryIO, Iterator[bytes], StreamSource, ByteSource, list):
            for sink in (Path, BinaryWriter, ByteSink, StreamSide[bytes]):
                assert has_transfer(source, sink)
        assert not has_transfer(Path, str)
        assert not has_transfer(Letters, Path)
        assert not has_transfer(ByteSink, ByteSink)

    @pytest.mark.parity("BYTE-32")
    def test_of_ones_own(self, own_graph, path):
        """It is taken for all that leads to its two types."""
        got = []

        @def_transfer(BinaryIO, Letters)
        def post(file, letters, options):
            got.append((file.read(), letters.text, options.chunk_size))
            return 7

        for source in (path, DATA, stream_of(DATA)):
            assert 7 == transfer(source, Letters("to"), chunk_size=5)
        assert [(DATA, "to", 5)] * 3 == got
        assert has_transfer(str, Letters)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-32")
    def test_to_a_sink_of_ones_own(self, own_graph):
        """A conversion to a known sink is enough, too; what it makes is closed."""
        sinks = []

        def open_sink(letters, options):
            sinks.append(Sink())
            return sinks[-1]

        def_conversion(Letters, ByteSink, open_sink)
        transfer("abc", Letters(""), close=False)

        assert b"abc" == sinks[0].data
        assert sinks[0].is_closed

    def test_one_of_ones_own_replaces_what_was_there(self, own_graph):
        """Also what there is from the beginning."""
        assert refuse is def_transfer(ByteSource, ByteSink, refuse)
        with pytest.raises(OSError, match="refused"):
            transfer(Source(b""), Sink())

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((5, Path), "source_type must be"),
            ((Path, 5), "sink_type must be"),
            ((Path, Path, 5), "fn must be callable"),
            ((Path, Path, lambda source, sink: 0), r"fn must take \(source, sink, options\)"),
        ],
        ids=str,
    )
    def test_wrong_arguments(self, own_graph, arguments, message):
        """They are refused by name."""
        with pytest.raises(TypeError, match=message):
            def_transfer(*arguments)

    def test_what_fails_in_it_fails_the_sink_it_opened(self, own_graph):
        """If that can tell; with the error."""
        heard = []

        class Hears(Sink):
            def fail(self, error):
                heard.append(error)

        def_conversion(Letters, ByteSink, lambda x, options: Hears())
        source = failed_stream_of(error=OSError("cut"))
        with pytest.raises(OSError, match="cut") as caught:
            transfer(source, Letters(""))

        assert [caught.value] == heard


def test_what_was_transferred_can_be_read_back(tmp_path):
    """A long text, there and back."""
    path = tmp_path / "file"
    transfer([TEXT] * 1000, path)

    assert DATA * 1000 == to_bytes(path)
