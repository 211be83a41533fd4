"""Frames with their length in front."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galeph.errors import RemoteProtocolError
from galeph.protocol.framing import length_prefixed, varint_prefixed
from tests.protocol.framing.reading import read, read_in_every_way

CODECS = {
    **{
        f"{size} {order}": length_prefixed(size, byteorder=order)
        for size in (1, 2, 4, 8)
        for order in ("big", "little")
    },
    "varint": varint_prefixed(),
}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_what_is_written_is_read(codec, messages):
    """Also empty frames, and several behind one another."""
    assert messages == read_in_every_way(codec, b"".join(map(codec.encode, messages)))


@pytest.mark.parametrize(
    ("codec", "frame"),
    [
        (length_prefixed(), b"\0\0\0\3abc"),
        (length_prefixed(2, byteorder="little"), b"\3\0abc"),
        (length_prefixed(1), b"\3abc"),
        (varint_prefixed(), b"\3abc"),
    ],
)
def test_the_bytes(codec, frame):
    """As the other side expects them."""
    assert frame == codec.encode(b"abc") == codec.encode(bytearray(b"abc"))


def test_a_long_varint():
    """Seven bits in each byte, the lowest first."""
    frame = varint_prefixed().encode(bytes(300))

    assert b"\xac\x02" == frame[:2]
    assert [bytes(300)] == read_in_every_way(varint_prefixed(), frame)


@pytest.mark.parametrize(
    ("codec", "begin"),
    [
        (length_prefixed(max_frame_bytes=100), b"\0\0\0\x61"),
        (length_prefixed(8), b"\xff" * 8),
        (varint_prefixed(max_frame_bytes=100), b"\x64"),
        (varint_prefixed(), b"\xff\xff\xff\xff\x0f"),
    ],
)
def test_a_frame_that_says_it_is_too_long(codec, begin):
    """It is refused with its length, before a byte of it has come; what was before it is given."""
    with pytest.raises(RemoteProtocolError, match="limit") as caught:
        read(codec, begin)
    assert "frame-too-large" == caught.value.case
    assert len(read(codec, codec.encode(b"fits"))) == 1


def test_the_longest_frame():
    """The limit counts the length too."""
    codec = length_prefixed(max_frame_bytes=10)

    assert [b"sixsix"] == read_in_every_way(codec, codec.encode(b"sixsix"))
    with pytest.raises(ValueError, match="limit is 10"):
        codec.encode(b"sevenxx")
    with pytest.raises(ValueError, match="limit is 256"):
        length_prefixed(1).encode(bytes(256))


@pytest.mark.parametrize("begin", [b"\x80\x00", b"\xff" * 5, b"\x80\x80\x80\x80\x80"])
def test_a_varint_that_nobody_writes(begin):
    """Longer than it need be, or than 32 bits."""
    with pytest.raises(RemoteProtocolError) as caught:
        read(varint_prefixed(), begin)
    assert "frame-length" == caught.value.case


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_frame_that_is_cut(codec):
    """At each byte: an end in the middle is an error and no short message."""
    frame = codec.encode(b"abc")
    for size in range(1, len(frame)):
        with pytest.raises(RemoteProtocolError) as caught:
            read(codec, codec.encode(b"whole") + frame[:size])
        assert "frame-cut" == caught.value.case


def test_text_is_no_payload():
    """The error says what to do."""
    with pytest.raises(TypeError, match="encode it, or use"):
        length_prefixed().encode("text")
    with pytest.raises(TypeError, match="bytes, not int"):
        varint_prefixed().encode(5)


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"size": 3}, ValueError, "size"),
        ({"byteorder": "network"}, ValueError, "byteorder"),
        ({"max_frame_bytes": 0}, ValueError, "max_frame_bytes"),
        ({"max_frame_bytes": "1"}, TypeError, "max_frame_bytes"),
        ({"max_frame_bytes": True}, TypeError, "max_frame_bytes"),
    ],
)
def test_wrong_arguments(arguments, error, name):
    """Are named."""
    with pytest.raises(error, match=name):
        length_prefixed(**arguments)
