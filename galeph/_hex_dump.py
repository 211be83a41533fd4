"""Bytes for people: hexadecimal numbers, and what of them can be read. Pure.

Here because `galeph.byte_streams`, which prints them, and the wire tap of `galeph.transport`, which
logs them, know nothing of each other (docs/decisions/0011-hex-dump-at-the-bottom.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

__all__ = ["dump_lines"]

_LINE_BYTES = 16
# 16 times two digits and a space, one more space in the middle, none at the end.
_HEX_COLUMNS = 48
_READABLE = bytes(byte if 0x20 <= byte <= 0x7E else 0x2E for byte in range(256))


def dump_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yield a line for 16 bytes each, whatever pieces they come in; a dot is what has no letter."""
    for line in _cut(pieces):
        left, right = line[:8].hex(" ").upper(), line[8:].hex(" ").upper()
        text = line.translate(_READABLE).decode("ascii")
        yield f"{f'{left}  {right}':<{_HEX_COLUMNS}}      {text}"


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) - len(data) % _LINE_BYTES
        for at in range(0, whole, _LINE_BYTES):
            yield data[at : at + _LINE_BYTES]
        rest = data[whole:]
    if rest:
        yield rest
