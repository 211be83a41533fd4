"""Bytes as lines for people."""

from __future__ import annotations

from galeph._hex_dump import dump_lines

DATA = b"0123456789abcdef\x00\x7f\xff~"
LINES = [
    "30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66      0123456789abcdef",
    "00 7F FF 7E                                           ...~",
]


def test_whatever_pieces_they_come_in():
    """Sixteen bytes a line, and what has no letter is a dot."""
    assert LINES == list(dump_lines([DATA]))
    assert LINES == list(dump_lines(bytes((byte,)) for byte in DATA))
    for at in range(len(DATA)):
        assert LINES == list(dump_lines([DATA[:at], b"", DATA[at:]]))


def test_nothing():
    """No bytes, no lines."""
    assert [] == list(dump_lines([])) == list(dump_lines([b""]))
