"""From bytes as they come to frames, within a limit."""

from __future__ import annotations

import json

import pytest

from galeph.errors import RemoteProtocolError
from galeph.protocol.events import NEED_DATA
from galeph.protocol.framing import Codec, FrameDecoder, lines
from tests.protocol.framing.reading import read


class Until(Codec):
    """Whatever comes before a zero byte; the codec itself knows no limit."""

    max_frame_bytes = 10

    def encode(self, message):
        return message + b"\0"

    def decode(self, data, begin):
        end = data.find(b"\0", begin)
        return None if end < 0 else (bytes(data[begin:end]), end + 1)


def test_a_codec_without_a_limit_of_its_own_has_one():
    """Of frames with an end, and of those that never have one."""
    assert [b"123456789"] == read(Until(), b"123456789\0")
    for data in (b"1234567890\0", b"12345678901"):
        with pytest.raises(RemoteProtocolError) as caught:
            read(Until(), data)
        assert "frame-too-large" == caught.value.case


def test_what_comes_before_a_bad_frame_is_given_first():
    """And then the same error each time."""
    decoder = FrameDecoder(lines())
    decoder.receive(b"good\n\xff\n")

    assert "good" == decoder.next()
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="not a frame: 'utf-8'") as caught:
            decoder.next()
        assert "frame-invalid" == caught.value.case
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)


def test_a_frame_that_is_nested_too_deeply():
    """It is none: how deep is the peer's doing, and no mistake in the codec."""
    decoder = FrameDecoder(lines().mapped(decode=json.loads, encode=json.dumps))
    decoder.receive(b"[" * 50_000 + b"\n")

    with pytest.raises(RemoteProtocolError, match="not a frame") as caught:
        decoder.next()
    assert "frame-invalid" == caught.value.case
    assert isinstance(caught.value.__cause__, RecursionError)


def test_a_mistake_in_a_codec():
    """It is not taken for one of the peer's."""
    decoder = FrameDecoder(lines().mapped(decode=lambda text: text.missing, encode=str))
    decoder.receive(b"x\n")

    with pytest.raises(AttributeError):
        decoder.next()


@pytest.mark.parametrize("ends", [lambda begin: begin, lambda begin: begin - 1, lambda _: 99])
def test_a_codec_that_does_not_move_on(ends):
    """It is told so, and does not spin."""

    class Stuck(Until):
        def decode(self, data, begin):
            return b"", ends(begin)

    with pytest.raises(RuntimeError, match="the codec says"):
        read(Stuck(), b"abc")


def test_keeps_no_more_than_it_needs():
    """A million frames later nothing of them is left."""
    decoder = FrameDecoder(lines(encoding=None))
    for _ in range(100):
        decoder.receive(b"0123456789\n" * 1000)
        for _ in range(1000):
            assert b"0123456789" == decoder.next()
    assert decoder.next() is NEED_DATA
    assert len(decoder._data) < 100_000


def test_an_end_between_frames_is_in_order():
    """Also before the first."""
    decoder = FrameDecoder(lines())
    decoder.end()
    decoder.receive(b"one\n")
    assert not decoder.is_empty
    decoder.next()
    assert decoder.is_empty
    decoder.end()
