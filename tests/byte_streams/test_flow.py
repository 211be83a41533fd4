"""Streams that are decoded and encoded while they flow."""

from __future__ import annotations

import gevent
import pytest
from gevent.queue import Queue

from galeph import tcp
from galeph.byte_streams import to_input, to_source
from galeph.byte_streams.flow import buffered, decoded, encoded
from galeph.byte_streams.options import Options
from galeph.stream import Stream, connect, consume
from tests.byte_streams.scenes import TEXT, failed_stream_of, stream_of
from tests.stream.scenes import settle, waiting

OPTIONS = Options()


class TestDecoded:
    def test_through_a_connection(self):
        """Connected to a sink it flows by itself, and the end flushes and closes."""
        data = TEXT.encode()
        source, sink = Stream(), Stream(100)
        done = connect(decoded(source, OPTIONS), sink)
        for at in range(len(data)):
            source.put(data[at : at + 1])
        source.close()

        assert done.get(timeout=1)
        assert TEXT == "".join(sink)

    def test_several_takers(self):
        """Each message goes to one of them, in order."""
        source = Stream()
        texts = decoded(source, OPTIONS)
        takers = [waiting(texts.take) for _ in range(3)]
        for message in (b"a", b"b", b"c"):
            source.put(message)
            settle()

        assert ["a", "b", "c"] == [taker.get(timeout=1) for taker in takers]

    def test_what_is_there_is_taken_without_waiting(self):
        """As from every operator on a stream in memory."""
        texts = decoded(stream_of(b"\xe4", b"\xb8\x81"), OPTIONS)

        assert "丁" == texts.try_take(0)

    def test_half_a_character_at_the_end(self):
        """It fails the stream, which does not look complete."""
        texts = decoded(stream_of(b"a\xe4"), OPTIONS)

        assert "a" == texts.take()
        with pytest.raises(UnicodeDecodeError):
            texts.take()
        assert not texts.drained

    def test_what_a_handler_makes_of_half_a_character(self):
        """It comes behind all else."""
        texts = decoded(stream_of(b"a\xe4"), Options(errors="replace"))

        assert ["a", "\ufffd"] == list(texts)

    def test_a_source_that_fails(self):
        """Its error comes behind its messages."""
        texts = decoded(failed_stream_of(b"a", error=OSError("cut")), OPTIONS)

        assert "a" == texts.take()
        with pytest.raises(OSError, match="cut"):
            texts.take()

    def test_keeps_a_connection_whose_handler_has_returned(self):
        """What is connected to the text is connected to the bytes."""
        texts = Queue()

        def handle(connection, _info):
            consume(decoded(connection, OPTIONS), texts.put)

        with tcp.start_server(handle) as server:
            connection = tcp.client("127.0.0.1", server.port).get(timeout=5)
            connection.put(b"a\xe4")
            assert "a" == texts.get(timeout=5)
            connection.put(b"\xb8\x81")
            assert "丁" == texts.get(timeout=5)
            connection.close()


class TestEncoded:
    def test_with_a_byte_order_mark(self):
        """In front of the first message only."""
        pieces = encoded(stream_of("a", "b"), Options(encoding="utf-16"))

        assert "ab".encode("utf-16") == b"".join(pieces)

    def test_what_cannot_be_encoded(self):
        """It fails the stream and closes the source."""
        source = stream_of("\ud800")
        pieces = encoded(source, OPTIONS)

        with pytest.raises(UnicodeEncodeError):
            pieces.take()
        assert source.closed


class TestBuffered:
    @pytest.mark.parity("BYTE-09")
    def test_takes_so_many_bytes_before_they_are_read(self):
        """The put that would be more waits until there is room."""
        source = Stream()
        file = to_input(source, buffer_size=1024)
        for _ in range(2):
            assert source.try_put(bytes(512), 1) is True
        put = waiting(source.put, bytes(512))
        # On its way, but not in the buffer.
        over = waiting(source.put, b"x")

        assert not over.ready()
        assert bytes(1024) == file.read(1024)
        settle()
        assert put.get(timeout=1)
        assert over.get(timeout=1)
        source.close()
        assert bytes(512) + b"x" == file.read()

    @pytest.mark.parity("BYTE-09")
    def test_nothing_is_taken_without_it(self):
        """Not reading is the backpressure."""
        source = Stream()
        file = to_input(source)
        put = waiting(source.put, b"x")

        assert not put.ready()
        assert b"x" == file.read(1)
        assert put.get(timeout=1)

    def test_closing_ends_the_source(self):
        """Which nobody reads any more."""
        source = Stream()
        file = to_input(source, buffer_size=10)
        file.close()
        settle()

        assert source.closed

    def test_fails_with_the_source(self):
        """Behind what was taken before."""
        pieces = buffered(failed_stream_of(b"ab", error=OSError("cut")), 10)

        assert b"ab" == pieces.take()
        with pytest.raises(OSError, match="cut"):
            pieces.take()


def test_a_stream_of_a_generator_is_one_too():
    """What gives bytes and text by turns is made bytes as it comes."""

    def pieces():
        yield "ä"
        gevent.sleep(0)
        yield b"b"

    assert ["ä".encode(), b"b"] == list(to_source(pieces()))
