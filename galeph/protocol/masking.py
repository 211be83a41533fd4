"""Hiding what a log must not show: the values of fields that are credentials.

A `SecretMasker` reads one direction of a connection, in whatever pieces, and knows nothing of
protocols but lines: where a line begins with the name of such a field and a colon (HTTP, and what
has its fields from there), all that follows on the line, and on lines that continue it by beginning
with white space (RFC 9112 section 5.2), is replaced byte by byte. The length of a secret is not
hidden. Fields that are compressed (HTTP/2) cannot be seen here.
"""

from __future__ import annotations

import re

__all__ = ["SecretMasker"]

_FIELD = re.compile(
    rb"^(?:(?:proxy-)?authorization|(?:set-)?cookie)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
# The longest name, and generous white space before its colon.
_MOST_START_BYTES = 64
# Where a line ends that the next one does not continue.
_VALUE_END = re.compile(rb"\n(?![ \t])")
_MASK = bytes(byte if byte in b"\r\n" else 0x2A for byte in range(256))


class SecretMasker:
    """Masks one direction of one connection."""

    __slots__ = ("_ends_in_lf", "_is_hiding", "_start")

    def __init__(self) -> None:
        # What has come of the line that is not at its end; None if it is too long to be of use.
        self._start: bytes | None = b""
        self._is_hiding = False
        # Whether what was hidden ended with a line, which the next byte may continue.
        self._ends_in_lf = False

    def mask(self, data: bytes) -> bytes:
        """Return ``data`` with the same length, and stars for what is secret."""
        masked = bytearray()
        at = 0
        while at < len(data):
            end = self._end_of_secret(data, at) if self._is_hiding else at
            masked += data[at:end].translate(_MASK)
            at = end
            if self._is_hiding:
                break  # to the end, and further
            begin = self._begin_of_secret(data, at)
            masked += data[at:begin]
            at = begin
        return bytes(masked)

    def lose_track(self) -> None:
        """Bytes are left out: hide what follows up to the end of the line, for it may be secret."""
        self._is_hiding = True
        self._ends_in_lf = False

    def _end_of_secret(self, data: bytes, at: int) -> int:
        """Where the value that is being hidden ends, in front of the LF."""
        if self._ends_in_lf and data[at : at + 1] not in (b" ", b"\t"):
            self._is_hiding = self._ends_in_lf = False
            self._start = b""
            return at
        self._ends_in_lf = False
        found = _VALUE_END.search(data, at)
        if found is None or found.end() == len(data):
            # The next piece may continue the line.
            self._ends_in_lf = data.endswith(b"\n")
            return len(data)
        self._is_hiding = False
        self._start = None  # until the LF that stands here
        return found.start()

    def _begin_of_secret(self, data: bytes, at: int) -> int:
        """Where the next value to be hidden begins, or the end of ``data``."""
        if self._start is None:
            newline = data.find(b"\n", at)
            if newline < 0:
                return len(data)
            self._start, at = b"", newline + 1
        text = self._start + data[at:]
        shift = at - len(self._start)
        found = _FIELD.search(text)
        if found is not None:
            self._is_hiding = True
            return shift + found.end()
        rest = text[text.rfind(b"\n") + 1 :]
        self._start = rest if len(rest) <= _MOST_START_BYTES else None
        return len(data)
