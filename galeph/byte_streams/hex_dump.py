"""Bytes for people: in hexadecimal, and what of it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from galeph.byte_streams.conversion import convert
from galeph.byte_streams.pieces import give_up

__all__ = ["print_bytes"]

_LINE_BYTES = 16
# 16 times two digits and a space, one more space in the middle, none at the end.
_HEX_COLUMNS = 48
_READABLE = bytes(byte if 0x20 <= byte <= 0x7E else 0x2E for byte in range(256))


def print_bytes(
    x: Any, *, file: TextIO | None = None, encoding: str = "utf-8", errors: str = "strict"
) -> None:
    """Print the bytes of ``x``, 16 a line, as hexadecimal numbers and as ASCII.

    What is not printable becomes a dot. ``x`` is read and printed piece by piece; blocks until its
    end.

    Args:
        x: what `galeph.byte_streams.convert` takes.
        file: where to print, instead of to standard output.
        encoding: how text is encoded.
        errors: ``"strict"``, or another error handler of `codecs`.
    """
    pieces = convert(x, Iterator[bytes], encoding=encoding, errors=errors)
    try:
        for line in _lines(pieces):
            left, right = line[:8].hex(" ").upper(), line[8:].hex(" ").upper()
            text = line.translate(_READABLE).decode("ascii")
            print(f"{f'{left}  {right}':<{_HEX_COLUMNS}}      {text}", file=file)
    finally:
        give_up(pieces)


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) - len(data) % _LINE_BYTES
        for at in range(0, whole, _LINE_BYTES):
            yield data[at : at + _LINE_BYTES]
        rest = data[whole:]
    if rest:
        yield rest
