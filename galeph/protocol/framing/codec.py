"""`Codec`: what a frame is. One's own is a subclass with two methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["MAX_FRAME_BYTES", "Codec"]

T = TypeVar("T")
U = TypeVar("U")

# As for a WebSocket's message.
MAX_FRAME_BYTES = 1024 * 1024


class Codec(ABC, Generic[T]):
    """How one message of a protocol is written, and found again among bytes.

    It keeps no state: one codec serves any number of connections. A protocol of records of a type
    and a value, each of one byte::

        class Records(Codec[tuple[int, int]]):
            def encode(self, message):
                return bytes(message)

            def decode(self, data, begin):
                end = begin + 2
                return None if len(data) < end else ((data[begin], data[begin + 1]), end)

    Attributes:
        max_frame_bytes: a frame that is longer is refused, in both directions, and no more than
            that is gathered of one that is not complete.
    """

    max_frame_bytes: int = MAX_FRAME_BYTES

    @abstractmethod
    def encode(self, message: T) -> bytes:
        """Return the frame of a message.

        Raises:
            TypeError, ValueError: it cannot be written as one. Nothing is sent then.
        """

    @abstractmethod
    def decode(self, data: bytearray, begin: int) -> tuple[T, int] | None:
        """Return the message that begins at ``begin`` and where it ends; None if more is needed.

        It is asked again, for the same frame, each time more has arrived.

        Raises:
            ValueError, RecursionError: this is no frame, or nested too deeply. Takers see it as the
                cause of a `RemoteProtocolError`.
            RemoteProtocolError: the same, said by the codec itself.
            Exception: a mistake in the codec. Takers see it as it is.
        """

    def mapped(self, *, decode: Callable[[T], U], encode: Callable[[U], T]) -> Codec[U]:
        """Return a codec of what ``decode`` makes of each message; ``encode`` is its reverse."""
        return _Mapped(self, decode, encode)


class _Mapped(Codec[U], Generic[T, U]):
    def __init__(self, codec: Codec[T], decode: Callable[[T], U], encode: Callable[[U], T]) -> None:
        for name, function in (("decode", decode), ("encode", encode)):
            if not callable(function):
                raise TypeError(f"{name} must be callable, not {type(function).__name__}")
        self._codec = codec
        self._decode = decode
        self._encode = encode
        self.max_frame_bytes = codec.max_frame_bytes

    def encode(self, message: U) -> bytes:
        return self._codec.encode(self._encode(message))

    def decode(self, data: bytearray, begin: int) -> tuple[U, int] | None:
        found = self._codec.decode(data, begin)
        return None if found is None else (self._decode(found[0]), found[1])
