"""Frames of bytes with their length in front."""

from __future__ import annotations

from typing import Any, Literal

from galeph.errors import RemoteProtocolError
from galeph.protocol.framing.codec import MAX_FRAME_BYTES, Codec
from galeph.protocol.framing.payload import to_payload

__all__ = ["check_max_bytes", "length_prefixed", "varint_prefixed"]

_VARINT_BYTES = 5  # as many as 32 bits need, seven to a byte


def length_prefixed(
    size: Literal[1, 2, 4, 8] = 4,
    *,
    byteorder: Literal["big", "little"] = "big",
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> Codec[bytes]:
    """Return a codec of bytes behind their length, a number of ``size`` bytes.

    The length counts the bytes behind it. A frame that says it is longer than ``max_frame_bytes``
    (itself and its prefix) is refused when its length has arrived.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    if size not in (1, 2, 4, 8):
        raise ValueError(f"size must be 1, 2, 4 or 8 bytes, not {size!r}")
    if byteorder not in ("big", "little"):
        raise ValueError(f"byteorder must be 'big' or 'little', not {byteorder!r}")
    return _LengthPrefixed(size, byteorder, check_max_bytes(max_frame_bytes))


def varint_prefixed(*, max_frame_bytes: int = MAX_FRAME_BYTES) -> Codec[bytes]:
    """Return a codec of bytes behind their length as a base-128 varint, as protobuf writes it.

    A length is written as short as it can be; a longer spelling of it is refused.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    return _VarintPrefixed(check_max_bytes(max_frame_bytes))


def check_max_bytes(value: Any) -> int:
    """Return ``value``.

    Raises:
        TypeError, ValueError: it cannot limit a frame.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"max_frame_bytes must be an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"max_frame_bytes must be at least 1, not {value}")
    return value


class _Prefixed(Codec[bytes]):
    def __init__(self, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes

    def _cut_out(self, data: bytearray, begin: int, start: int, length: int) -> Any:
        """The ``length`` bytes from ``start`` on, of a frame that begins at ``begin``."""
        end = start + length
        if end - begin > self.max_frame_bytes:
            raise RemoteProtocolError(
                f"a frame of {end - begin} bytes; the limit is {self.max_frame_bytes}",
                case="frame-too-large",
            )
        return (bytes(data[start:end]), end) if end <= len(data) else None

    def _check_length(self, payload: bytes, prefix: int) -> None:
        if len(payload) + prefix > self.max_frame_bytes:
            raise ValueError(
                f"a frame of {len(payload) + prefix} bytes; the limit is {self.max_frame_bytes}"
            )


class _LengthPrefixed(_Prefixed):
    def __init__(
        self, size: int, byteorder: Literal["big", "little"], max_frame_bytes: int
    ) -> None:
        super().__init__(min(max_frame_bytes, size + 256**size - 1))
        self._size = size
        self._byteorder: Literal["big", "little"] = byteorder

    def encode(self, message: bytes) -> bytes:
        payload = to_payload(message)
        self._check_length(payload, self._size)
        return len(payload).to_bytes(self._size, self._byteorder) + payload

    def decode(self, data: bytearray, begin: int) -> tuple[bytes, int] | None:
        start = begin + self._size
        if len(data) < start:
            return None
        length = int.from_bytes(data[begin:start], self._byteorder)
        found: tuple[bytes, int] | None = self._cut_out(data, begin, start, length)
        return found


class _VarintPrefixed(_Prefixed):
    def encode(self, message: bytes) -> bytes:
        payload = to_payload(message)
        prefix = _varint(len(payload))
        self._check_length(payload, len(prefix))
        return prefix + payload

    def decode(self, data: bytearray, begin: int) -> tuple[bytes, int] | None:
        length = 0
        for number, byte in enumerate(data[begin : begin + _VARINT_BYTES]):
            length |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                if not byte and number:
                    raise RemoteProtocolError("a length with leading zeros", case="frame-length")
                start = begin + number + 1
                found: tuple[bytes, int] | None = self._cut_out(data, begin, start, length)
                return found
        if len(data) - begin >= _VARINT_BYTES:
            raise RemoteProtocolError("a length of more than 32 bits", case="frame-length")
        return None


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
