"""Frames that are lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galeph.errors import RemoteProtocolError
from galeph.protocol.framing import lines
from tests.protocol.framing.reading import read, read_in_every_way

TEXTS = st.lists(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=50),
    max_size=4,
)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@given(TEXTS)
def test_what_is_written_is_read(newline, texts):
    """Also empty lines, and text of any script."""
    codec = lines(newline=newline)

    assert texts == read_in_every_way(codec, b"".join(map(codec.encode, texts)))


def test_either_end_is_taken():
    """LF, and CRLF; a CR elsewhere belongs to the line."""
    data = b"one\ntwo\r\n\r\nth\rree\n"

    assert [b"one", b"two", b"", b"th\rree"] == read_in_every_way(lines(encoding=None), data)


@pytest.mark.parametrize("line", ["a\nb", "a\rb", "a\r\n"])
def test_a_line_with_an_end_inside_is_not_sent(line):
    """The peer would read two."""
    with pytest.raises(ValueError, match="CR or LF"):
        lines().encode(line)


@pytest.mark.parametrize(("encoding", "message"), [("utf-8", 5), ("utf-8", b"x"), (None, "x")])
def test_what_is_no_line(encoding, message):
    """It is refused by its type, and what would have been one is named."""
    with pytest.raises(TypeError, match=f"not {type(message).__name__}"):
        lines(encoding=encoding).encode(message)
    with pytest.raises(ValueError, match="can't encode"):
        lines(encoding="latin-1").encode("\u20ac")


def test_a_line_that_is_too_long():
    """With its end, and before its end has come; one that just fits is a line."""
    codec = lines(max_frame_bytes=6)

    assert ["five5"] == read_in_every_way(codec, b"five5\n")
    for pieces in ([b"sixsix\n"], [b"sixsix"], [bytes([one]) for one in b"sixsix"]):
        with pytest.raises(RemoteProtocolError) as caught:
            read(codec, *pieces)
        assert "frame-too-large" == caught.value.case
    with pytest.raises(ValueError, match="limit is 6"):
        codec.encode("sixsix")


def test_bytes_that_are_no_text():
    """Decoding is strict; the lines before are given."""
    with pytest.raises(RemoteProtocolError, match="not a frame: 'utf-8' codec"):
        read(lines(), b"\xff\n")
    assert ["ÿ"] == read(lines(encoding="latin-1"), b"\xff\n")


def test_a_line_that_is_cut():
    """The end of the connection is no end of a line."""
    with pytest.raises(RemoteProtocolError) as caught:
        read(lines(), b"whole\nhalf")
    assert "frame-cut" == caught.value.case


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"newline": "\r"}, ValueError),
        ({"encoding": "utf-16"}, ValueError),
        ({"encoding": "klingon"}, ValueError),
        ({"max_frame_bytes": -1}, ValueError),
    ],
)
def test_wrong_arguments(arguments, error):
    """Are named."""
    with pytest.raises(error, match=next(iter(arguments))):
        lines(**arguments)
