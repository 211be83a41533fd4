"""Frames that are lines of text or bytes."""

from __future__ import annotations

from typing import Any, overload

from galeph.errors import RemoteProtocolError
from galeph.protocol.framing.codec import Codec
from galeph.protocol.framing.payload import to_payload
from galeph.protocol.framing.prefixed import check_max_bytes

__all__ = ["lines"]

_MAX_LINE_BYTES = 65536


@overload
def lines(
    *, encoding: str = "utf-8", newline: str = "\n", max_frame_bytes: int = _MAX_LINE_BYTES
) -> Codec[str]: ...
@overload
def lines(
    *, encoding: None, newline: str = "\n", max_frame_bytes: int = _MAX_LINE_BYTES
) -> Codec[bytes]: ...
def lines(
    *,
    encoding: str | None = "utf-8",
    newline: str = "\n",
    max_frame_bytes: int = _MAX_LINE_BYTES,
) -> Codec[Any]:
    r"""Return a codec of lines, which are given and taken without their end.

    A line received ends with LF, and a CR before that belongs to the end. A line to be sent that
    has a CR or LF in it is refused: the peer would read two.

    Args:
        encoding: of the text, strictly; None for lines of bytes.
        newline: what is sent at a line's end: ``"\n"`` or ``"\r\n"``.
        max_frame_bytes: the longest line, its end included.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """
    if newline not in ("\n", "\r\n"):
        raise ValueError(f"newline must be '\\n' or '\\r\\n', not {newline!r}")
    codec = _Lines(newline.encode(), check_max_bytes(max_frame_bytes))
    if encoding is None:
        return codec
    if not isinstance(encoding, str):
        raise TypeError(f"encoding must be a str or None, not {encoding!r}")
    try:
        newline_bytes = "\n".encode(encoding)
    except LookupError as error:
        raise ValueError(f"encoding {encoding!r} is not known") from error
    if newline_bytes != b"\n":
        raise ValueError(f"encoding {encoding!r} does not write LF as one byte")

    def encode(text: Any) -> bytes:
        if not isinstance(text, str):
            raise TypeError(f"a line is made of text, not {type(text).__name__}")
        return text.encode(encoding)

    return codec.mapped(decode=lambda line: line.decode(encoding), encode=encode)


class _Lines(Codec[bytes]):
    def __init__(self, newline: bytes, max_frame_bytes: int) -> None:
        self._newline = newline
        self.max_frame_bytes = max_frame_bytes

    def encode(self, message: bytes) -> bytes:
        line = to_payload(message)
        if b"\n" in line or b"\r" in line:
            raise ValueError(f"a line with a CR or LF in it: {line[:64]!r}")
        if len(line) + len(self._newline) > self.max_frame_bytes:
            raise ValueError(f"a line of {len(line)} bytes; the limit is {self.max_frame_bytes}")
        return line + self._newline

    def decode(self, data: bytearray, begin: int) -> tuple[bytes, int] | None:
        end = data.find(b"\n", begin, begin + self.max_frame_bytes)
        if end < 0:
            if len(data) - begin >= self.max_frame_bytes:
                raise RemoteProtocolError(
                    f"a line of more than {self.max_frame_bytes} bytes", case="frame-too-large"
                )
            return None
        stop = end - 1 if end > begin and data[end - 1] == ord("\r") else end
        return bytes(data[begin:stop]), end + 1
