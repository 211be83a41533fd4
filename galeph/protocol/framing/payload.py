"""What may be the payload of a frame: bytes, as one of the types that hold them."""

from __future__ import annotations

from typing import Any

__all__ = ["to_payload"]


def to_payload(message: Any) -> bytes:
    """Return the message as bytes.

    Raises:
        TypeError: it is text, or no bytes at all; the text says what to do.
    """
    if type(message) is bytes:
        return message
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    hint = "; encode it, or use .mapped()" if isinstance(message, str) else ""
    raise TypeError(f"a frame is made of bytes, not {type(message).__name__}{hint}")
