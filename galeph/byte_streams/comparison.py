"""Comparing contents, whatever they are in, and without having either whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from galeph.byte_streams.conversion import convert
from galeph.byte_streams.files import Pace
from galeph.byte_streams.pieces import give_up

__all__ = ["bytes_equal", "compare"]


def compare(a: Any, b: Any, *, encoding: str = "utf-8", errors: str = "strict") -> int:
    """Compare the bytes of two things the way Python compares bytes.

    Both are read piece by piece, as far as the first difference; blocks until that is found. What
    is a stream or an iterator has been read that far then, and a little further.

    Args:
        a: what `galeph.byte_streams.convert` takes.
        b: likewise.
        encoding: how text is encoded.
        errors: ``"strict"``, or another error handler of `codecs`.

    Returns:
        -1 if ``a`` sorts first, byte for byte (0 to 255) and a beginning before the whole; 1 if
        ``b`` does; 0 if they are equal.
    """
    if type(a) is bytes and type(b) is bytes:
        return (a > b) - (a < b)
    left = convert(a, Iterator[bytes], encoding=encoding, errors=errors)
    try:
        right = convert(b, Iterator[bytes], encoding=encoding, errors=errors)
        try:
            return _compare(left, right)
        finally:
            give_up(right)
    finally:
        give_up(left)


def _compare(left: Iterator[bytes], right: Iterator[bytes]) -> int:
    pace = Pace()
    one = other = b""
    while True:
        one = one or next(left, b"")
        other = other or next(right, b"")
        size = min(len(one), len(other))
        pace.before(size)
        if size == 0 or one[:size] != other[:size]:
            return (one > other) - (one < other)
        one, other = one[size:], other[size:]


def bytes_equal(a: Any, b: Any, *, encoding: str = "utf-8", errors: str = "strict") -> bool:
    """Whether the bytes of two things are the same; see `compare`."""
    return compare(a, b, encoding=encoding, errors=errors) == 0
