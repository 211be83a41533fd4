"""The lines of heads and trailer sections: what each may be, and the blank one that ends them.

This is the way for whatever the one-pattern path did not take: a head that is still arriving, is
large, or is unusual. `LineScanner` reads the lines in the order of their bytes and refuses at the
first thing wrong, so the same bytes get the same answer however they were cut into reads, and get
it at once instead of when a time limit expires. No byte is scanned twice: a head that arrives one
byte at a time costs, line for line, what it costs whole.

RFC 9112 sections 2.2, 3, 4 and 5, stricter where they leave room: CRLF and nothing else ends a
line, a request's lines are not folded, no control character but the tab is part of a value. A
client must unfold responses (section 5.2) and does, but not the fields that say where the body
ends.
"""

from __future__ import annotations

import enum
import re

from galeph.protocol.limits import Limits
from galeph.protocol.policy import refuse

__all__ = ["REQUEST_LINE", "STATUS_LINE", "TCHAR", "LineScanner", "Section"]

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
REQUEST_LINE = re.compile(rb"(" + TCHAR + rb"++) ([!-~]++) HTTP/([0-9]\.[0-9])").fullmatch
# The space after the status belongs there even without a reason, but too many servers omit it.
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([\t -~\x80-\xff]*+))?").fullmatch

_METHOD_START = re.compile(TCHAR).match
_STATUS_START = b"HTTP/1."
_LINE_END = re.compile(rb"[\r\n]").search
_FIELD_LINE = re.compile(TCHAR + rb"++:[\t -~\x80-\xff]*+").fullmatch
_FOLDED_LINE = re.compile(rb"[\t ][\t -~\x80-\xff]*+").fullmatch
_NAME = re.compile(TCHAR + rb"++").fullmatch
_FRAMING_FIELD = re.compile(rb"(?:content-length|transfer-encoding):", re.IGNORECASE).match


class Section(enum.Enum):
    """What the lines belong to."""

    REQUEST = "request"
    RESPONSE = "response"
    TRAILERS = "trailers"


class LineScanner:
    """Finds the end of one head or trailer section in bytes that may still be arriving.

    Args:
        section: what the lines belong to.
        limits: how long a line may be.
        max_bytes: how long all lines may be together, the blank one not counted.
        max_fields: how many fields there may be.
    """

    __slots__ = (
        "_fields",
        "_is_foldable",
        "_limits",
        "_line",
        "_max_bytes",
        "_max_fields",
        "_section",
        "_seen",
    )

    def __init__(self, section: Section, limits: Limits, max_bytes: int, max_fields: int) -> None:
        self._section = section
        self._limits = limits
        self._max_bytes = max_bytes
        self._max_fields = max_fields
        self._line = 0  # where the first line begins that is not complete
        self._seen = 0  # up to where that line is known to hold no line end
        self._fields = 0
        self._is_foldable = False

    def find_end(self, buffer: bytes, base: int = 0) -> int:
        """Return where the blank line ends; -1 while it has not arrived.

        Args:
            buffer: the bytes so far; the section begins at ``base`` in every call.
            base: where the section begins.

        Raises:
            RemoteProtocolError: a line can no longer become a good one.
        """
        is_start_line = self._line == 0 and self._section is not Section.TRAILERS
        while True:
            start = base + self._line
            end = buffer.find(b"\r\n", base + self._seen)
            if is_start_line and len(buffer) > base:
                self._check_start(buffer, base)
            if end < 0:
                # A CR at the very end may still get its LF.
                stop = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
                self._check_extent(buffer, base, stop, is_start_line=is_start_line)
                self._seen = max(stop - base, self._seen)
                return -1
            self._check_extent(buffer, base, end, is_start_line=is_start_line)
            if is_start_line:
                self._check_start_line(buffer[start:end])
                is_start_line = False
            elif end == start:
                return end + 2
            else:
                self._check_field(buffer[start:end])
            self._line = self._seen = end + 2 - base

    def _check_extent(self, buffer: bytes, base: int, stop: int, *, is_start_line: bool) -> None:
        """Refuse a bare CR or LF in the line up to ``stop``, or its length: whichever is first."""
        start = base + self._line
        if is_start_line:
            room = self._limits.max_line_bytes
        else:
            room = max(0, min(self._limits.max_header_bytes, self._max_bytes - self._line))
        if _LINE_END(buffer, base + self._seen, min(stop, start + room)) is not None:
            refuse("bare-line-end", "a line ended by a bare LF or CR")
        if stop - start > room:
            if is_start_line:
                refuse("line-too-long", "the first line is too long", 414)
            if room < self._limits.max_header_bytes:
                refuse("head-too-large", f"the {self._section.value} fields are too large", 431)
            refuse("field-too-long", "a field line is too long", 431)

    # Start lines

    def _check_start(self, buffer: bytes, base: int) -> None:
        """Refuse what is not HTTP at its first bytes: a TLS handshake, another protocol."""
        if self._section is Section.REQUEST:
            if _METHOD_START(buffer, base) is None:
                refuse("request-line", "this is not HTTP")
        elif not _STATUS_START.startswith(buffer[base : base + len(_STATUS_START)]):
            refuse("status-line", f"bad status line {buffer[base : base + 64]!r}")

    def _check_start_line(self, line: bytes) -> None:
        if self._section is Section.RESPONSE:
            if STATUS_LINE(line) is None:
                refuse("status-line", f"bad status line {line[:64]!r}")
            return
        match = REQUEST_LINE(line)
        if match is None:
            refuse("request-line", f"bad request line {line[:64]!r}")
        if match[3] not in (b"1.1", b"1.0"):
            refuse("version", f"HTTP/{match[3].decode()} is not spoken here", 505)

    # Field lines

    def _check_field(self, line: bytes) -> None:
        if _FIELD_LINE(line) is None:
            if not (self._is_foldable and _FOLDED_LINE(line)):
                _refuse_field(line)
            return
        self._fields += 1
        if self._fields > self._max_fields:
            refuse("too-many-fields", f"too many {self._section.value} fields", 431)
        if self._section is Section.RESPONSE:
            self._is_foldable = _FRAMING_FIELD(line) is None


def _refuse_field(line: bytes) -> None:
    if line[:1] in (b" ", b"\t"):
        refuse("folded-line", "a folded or indented field line")
    name, colon, _ = line.partition(b":")
    if not colon:
        refuse("field-without-colon", "a field line without a colon")
    if _NAME(name) is None:
        refuse("field-name", f"bad field name {name[:64]!r}")
    refuse("field-value", f"a control character in the value of {name[:64].decode()}")
