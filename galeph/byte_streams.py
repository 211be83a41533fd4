"""Byte coercions: whatever can be sent, as bytes.

Narrow on purpose for now: what networks and response bodies need. It grows into a graph of
conversions between bytes, text, files and streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["to_bytes"]


def to_bytes(x: Any) -> bytes:
    """Return ``x`` as bytes: bytes-like as it is, str as UTF-8, an iterable of these joined.

    Raises:
        TypeError: ``x``, or an item of it, is something else; the text names its type.
    """
    if isinstance(x, bytes):
        return x
    if isinstance(x, str):
        return x.encode()
    if isinstance(x, (bytearray, memoryview)):
        return bytes(x)
    if isinstance(x, Iterable) and not isinstance(x, Mapping):
        return b"".join(map(to_bytes, x))
    raise TypeError(f"cannot convert {type(x).__name__} to bytes")
