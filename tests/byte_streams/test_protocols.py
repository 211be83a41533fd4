"""What a class of one's own needs to give and take bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from galeph.byte_streams import (
    ByteSink,
    ByteSource,
    Closeable,
    compare,
    convert,
    dev_null,
    to_bytes,
    to_output,
    to_str,
    transfer,
)
from galeph.byte_streams.protocols import close_of
from galeph.stream import Sink as StreamSink
from galeph.stream import Source as StreamSource
from galeph.stream import Stream
from tests.byte_streams.scenes import TEXT, Letters, Sink, Source, stream_of


class TestOnesOwn:
    @pytest.mark.parity("BYTE-21")
    def test_byte_source(self):
        """A method take_bytes(size) is all that is needed to be read in any way."""
        data = TEXT.encode()

        assert data == to_bytes(Source(data))
        assert TEXT == to_str(Source(data))
        assert data == b"".join(convert(Source(data), StreamSource[bytes]))
        assert data == convert(Source(data), BinaryIO).read()
        assert 0 == compare(Source(data), data)

    @pytest.mark.parity("BYTE-21")
    def test_take_bytes_is_asked_for_up_to_so_many(self):
        """It gives fewer as it likes, and None at the end."""

        class Few(Source):
            def take_bytes(self, size):
                return super().take_bytes(min(size, 2))

        few = Few(b"abcde")

        assert [b"ab", b"cd", b"e"] == list(convert(few, Iterator[bytes], chunk_size=3))
        assert None is few.take_bytes(1)

    @pytest.mark.parity("BYTE-21")
    def test_byte_sink(self):
        """A method send_bytes(data) is all that is needed to be written to in any way."""
        for write in (
            lambda sink: transfer(TEXT, sink),
            lambda sink: to_output(sink).write(TEXT.encode()),
            lambda sink: convert(sink, StreamSink[bytes]).put(TEXT.encode()),
            lambda sink: transfer(Source(TEXT.encode()), sink),
        ):
            sink = Sink()
            write(sink)
            assert TEXT.encode() == sink.data

    @pytest.mark.parity("BYTE-21")
    def test_closeable(self):
        """What has a method close() is closed where others are."""
        source, sink = Source(b"a"), Sink()
        transfer(source, sink)
        assert source.is_closed
        assert sink.is_closed

        source = Source(b"ab")
        pieces = convert(source, Iterator[bytes])
        pieces.close()
        assert source.is_closed

    def test_are_told_by_their_methods(self):
        """Nothing has to be subclassed."""
        assert isinstance(Source(b""), ByteSource)
        assert isinstance(Sink(), ByteSink)
        assert isinstance(io.BytesIO(), Closeable)
        assert not isinstance(Letters(""), ByteSource | ByteSink | Closeable)

    def test_closing_what_can_be_closed(self):
        """And leaving what cannot."""
        sink = Sink()
        close_of(sink)
        close_of(b"bytes")

        assert sink.is_closed


class TestDevNull:
    @pytest.mark.parity("BYTE-29")
    @pytest.mark.parametrize(
        "make", [bytes, io.BytesIO, Source, lambda data: [data], stream_of], ids=str
    )
    def test_takes_all_and_keeps_nothing(self, make):
        """From anything."""
        assert 5 == transfer(make(b"abcde"), dev_null)

    @pytest.mark.parity("BYTE-29")
    def test_can_be_used_again(self):
        """Nothing closes it."""
        assert [3, 3] == [transfer(b"abc", dev_null) for _ in range(2)]
        assert "dev_null" == repr(dev_null)

    def test_as_a_stream(self):
        """It can be connected to."""
        stream = convert(dev_null, StreamSink[bytes])

        assert stream.put(b"x")
        stream.close()
        assert not stream.put(b"x")
        assert not isinstance(stream, Stream)
