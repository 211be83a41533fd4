"""`FrameDecoder`: from bytes as they come to frames, within a codec's limit."""

from __future__ import annotations

from typing import Generic, TypeVar

from galeph.errors import RemoteProtocolError
from galeph.protocol.events import NEED_DATA, NeedData
from galeph.protocol.framing.codec import Codec

__all__ = ["FrameDecoder"]

T = TypeVar("T")

# Bytes that have been read are cut off the buffer when there are so many of them.
_COMPACT_BYTES = 65536


class FrameDecoder(Generic[T]):
    """Reads the frames of one direction of one connection. It keeps at most one incomplete frame,
    and what came with it.
    """

    __slots__ = ("_at", "_codec", "_data", "_max_bytes")

    def __init__(self, codec: Codec[T]) -> None:
        self._codec = codec
        self._max_bytes = codec.max_frame_bytes
        self._data = bytearray()
        self._at = 0

    def receive(self, data: bytes) -> None:
        """Take what has arrived."""
        self._data += data

    def next(self) -> T | NeedData:
        """Return the next message, or `NEED_DATA`.

        Raises:
            RemoteProtocolError: the frame is longer than the codec's ``max_frame_bytes``, or the
                codec says that it is none.
            Exception: what else the codec has raised; the same each time.
        """
        data, at = self._data, self._at
        try:
            found = self._codec.decode(data, at) if at < len(data) else None
        except (ValueError, RecursionError) as error:
            # How deep a message is nested is the peer's doing.
            raise RemoteProtocolError(f"not a frame: {error}", case="frame-invalid") from error
        if found is None:
            if len(data) - at > self._max_bytes:
                raise self._too_large(f"more than {self._max_bytes} bytes and no end")
            if at:
                del data[:at]
                self._at = 0
            return NEED_DATA
        message, end = found
        if end <= at or end > len(data):
            raise RuntimeError(f"the codec says that a frame at {at} of {len(data)} ends at {end}")
        if end - at > self._max_bytes:
            raise self._too_large(f"{end - at} bytes; the limit is {self._max_bytes}")
        if end >= _COMPACT_BYTES:
            del data[:end]
            end = 0
        self._at = end
        return message

    @property
    def is_empty(self) -> bool:
        """Whether everything received has been given."""
        return self._at == len(self._data)

    def end(self) -> None:
        """The peer has ended its side.

        Raises:
            RemoteProtocolError: in the middle of a frame.
        """
        left = len(self._data) - self._at
        if left:
            raise RemoteProtocolError(
                f"the connection ended {left} bytes into a frame", case="frame-cut"
            )

    @staticmethod
    def _too_large(text: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"a frame of {text}", case="frame-too-large")
