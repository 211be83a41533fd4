"""Frames of a fixed layout, as the standard library's ``struct`` describes it."""

from __future__ import annotations

import struct
from typing import Any

from galeph.protocol.framing.codec import Codec

__all__ = ["packed"]


def packed(layout: str) -> Codec[tuple[Any, ...]]:
    """Return a codec of tuples with this layout: ``packed("!HB")``, two numbers in three bytes.

    Begin the layout with ``!``, ``<`` or ``>``: without, it is that of this machine's compiler.

    Raises:
        ValueError: this is no layout, or one without bytes; the text says why.
    """
    try:
        compiled = struct.Struct(layout)
    except (struct.error, TypeError) as error:
        raise ValueError(f"layout {layout!r}: {error}") from error
    if layout[:1] not in ("!", "<", ">"):
        raise ValueError(f"layout {layout!r} must begin with '!', '<' or '>': its byte order")
    if not compiled.size:
        raise ValueError(f"layout {layout!r} has no bytes")
    return _Packed(compiled)


class _Packed(Codec[tuple[Any, ...]]):
    def __init__(self, layout: struct.Struct) -> None:
        self._layout = layout
        self._size = layout.size
        self.max_frame_bytes = layout.size

    def encode(self, message: tuple[Any, ...]) -> bytes:
        try:
            return self._layout.pack(*message)
        except struct.error as error:
            raise ValueError(
                f"{message!r} does not fit {self._layout.format!r}: {error}"
            ) from error

    def decode(self, data: bytearray, begin: int) -> tuple[tuple[Any, ...], int] | None:
        end = begin + self._size
        return None if len(data) < end else (self._layout.unpack_from(data, begin), end)
