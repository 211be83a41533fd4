"""Byte coercions: one name for "give me this as bytes", whatever it is.

`to_bytes` knows what carries its own bytes, or has one obvious encoding: the bytes types, text as
UTF-8, and anything that iterates over these, streams included. What it does not know it refuses by
name; ``str(x).encode()`` of an arbitrary object is a bug that travels.

It knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["to_bytes"]


def to_bytes(x: Any) -> bytes:
    """Return ``x`` as bytes.

    Args:
        x: bytes, bytearray or memoryview; text, which is encoded as UTF-8; or an iterable of these,
            which is joined. Of a generator or a stream this blocks until its end. Bytes come back
            as the same object.

    Raises:
        TypeError: ``x``, or one of its items, is none of these; the message names the type.
        UnicodeEncodeError: the text has a lone surrogate.
    """
    if type(x) is bytes:
        return x
    plain = _plain(x)
    if plain is not None:
        return plain
    if isinstance(x, Iterable) and not isinstance(x, Mapping):
        return b"".join([_item(item) for item in x])
    raise TypeError(f"cannot make bytes of {type(x).__name__}")


def _plain(x: Any) -> bytes | None:
    if isinstance(x, str):
        return x.encode()
    if isinstance(x, (bytes, bytearray)):
        return bytes(x)
    if isinstance(x, memoryview):
        return x.tobytes()
    return None


def _item(item: Any) -> bytes:
    plain = _plain(item)
    if plain is None:
        raise TypeError(f"cannot make bytes of an iterable with a {type(item).__name__} in it")
    return plain
