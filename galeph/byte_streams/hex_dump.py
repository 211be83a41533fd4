"""Bytes for people, printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from galeph._hex_dump import dump_lines
from galeph.byte_streams.conversion import convert
from galeph.byte_streams.pieces import give_up

__all__ = ["print_bytes"]


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
    if file is not None and not callable(getattr(file, "write", None)):
        raise TypeError(f"file must be a file object to write text to, not {file!r}")
    pieces = convert(x, Iterator[bytes], encoding=encoding, errors=errors)
    try:
        for line in dump_lines(pieces):
            print(line, file=file)
    finally:
        give_up(pieces)
