"""Bodies: where they end (RFC 9112 sections 6 and 7), strictly.

Three readers, one question: given the bytes at hand, which of them are body, what remains, and is
the body complete? Pieces that arrive together are joined, so that a million one-byte chunks
become a few objects. There is one chunk parser, not a fast and a slow one: the plain chunk line
(hex digits, CRLF) is one pattern, a line with extensions another, and both are counted. h11's
reader is the oracle of the property tests, not a second implementation.

A chunk line is refused as soon as it cannot become a good one, and trailers are read by the same
`LineScanner` as heads, so that no body costs more when it is cut into single bytes.
"""

from __future__ import annotations

import re
from typing import Protocol

from galeph.message.headers import Headers
from galeph.protocol.h1.heads import parse_fields
from galeph.protocol.h1.lines import TCHAR, LineScanner, Section
from galeph.protocol.limits import Limits
from galeph.protocol.policy import judge_trailers, refuse

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)

__all__ = ["Body", "ChunkedBody", "LengthBody", "UntilCloseBody"]

# Below 2**63 and at most 16 digits: more, even of zeros, has only ever been sent to confuse.
_SIZE_DIGITS = rb"([0-7]?[0-9A-Fa-f]{1,15}+)"
_PLAIN_CHUNK = re.compile(_SIZE_DIGITS + rb"\r\n").match
_QUOTED = rb'"(?:[\t !#-\[\]-~]|\\[\t -~])*+"'
_EXTENSION = rb";[ \t]*+" + TCHAR + rb"++(?:=(?:" + TCHAR + rb"++|" + _QUOTED + rb"))?"
_EXTENDED_CHUNK = re.compile(_SIZE_DIGITS + rb"(?:" + _EXTENSION + rb")++\r\n").match
# What may still become one of the two.
_PARTIAL_CHUNK = re.compile(rb"(?:" + _SIZE_DIGITS + rb"(?:;[\t -~]*+)?\r?)?").fullmatch


class Body(Protocol):
    """Reads one body out of the bytes as they come."""

    done: bool
    trailers: Headers | None

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        """Split ``buffer`` into body bytes and what is left; sets ``done`` at the end."""

    def end(self) -> None:
        """The peer has closed: set ``done``, or refuse because the body is not complete."""


def _refuse_cut() -> None:
    refuse("body-incomplete", "the peer closed before the body was complete")


class LengthBody:
    """A body of a declared length."""

    __slots__ = ("_left", "done", "trailers")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.trailers: Headers | None = None

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        left = self._left
        size = len(buffer)
        if size < left:
            self._left = left - size
            return buffer, b""
        self._left = 0
        self.done = True
        if size == left:
            return buffer, b""
        return buffer[:left], buffer[left:]

    def end(self) -> None:
        _refuse_cut()


class UntilCloseBody:
    """A response body that ends where the connection does."""

    __slots__ = ("_left", "done", "trailers")

    def __init__(self, max_bytes: int | None) -> None:
        self._left = max_bytes
        self.done = False
        self.trailers: Headers | None = None

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        if self._left is not None:
            self._left -= len(buffer)
            if self._left < 0:
                refuse("body-too-large", "the body is above the limit", 413)
        return buffer, b""

    def end(self) -> None:
        self.done = True


class ChunkedBody:
    """A chunked body: lines of sizes, data between them, trailers behind the last (section 7.1).

    Args:
        limits: sizes above which it is refused.
        head_bytes: what the head has used of the budget that its trailers share.
    """

    __slots__ = (
        "_left",
        "_limits",
        "_overhead",
        "_payload",
        "_scanner",
        "_state",
        "_trailer_bytes",
        "done",
        "extended",
        "plain",
        "trailers",
    )

    def __init__(self, limits: Limits, head_bytes: int) -> None:
        self._limits = limits
        self._trailer_bytes = max(0, limits.max_headers_bytes - head_bytes)
        self._scanner: LineScanner | None = None
        self._left = 0
        self._payload = 0
        self._overhead = 0
        self._state = _SIZE
        self.done = False
        self.trailers: Headers | None = None
        # How many chunk lines were plain, and how many had extensions.
        self.plain = 0
        self.extended = 0

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        pieces: list[bytes] = []
        at = 0
        steps = self._STEPS
        # Each step returns where it stopped, or -1 when it needs more bytes than there are.
        while not self.done:
            after = steps[self._state](self, buffer, at, pieces)
            if after < 0:
                break
            at = after
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), buffer[at:]

    def end(self) -> None:
        _refuse_cut()

    # The four steps

    def _read_size(self, buffer: bytes, at: int, _: list[bytes]) -> int:
        match = _PLAIN_CHUNK(buffer, at)
        if match is not None:
            self.plain += 1
        else:
            match = self._match_extended(buffer, at)
            if match is None:
                return -1
        size = int(match[1], 16)
        after = match.end()
        self._count(size, after - at)
        if size == 0:
            self._state = _TRAILERS
        else:
            self._left = size
            self._state = _DATA
        return after

    def _match_extended(self, buffer: bytes, at: int) -> re.Match[bytes] | None:
        """Match a chunk line with extensions; None while it is incomplete."""
        longest = self._limits.max_chunk_line_bytes
        end = buffer.find(b"\r\n", at, at + longest + 2)
        if end >= 0:
            match = _EXTENDED_CHUNK(buffer, at)
            if match is None:
                refuse("chunk-size", f"bad chunk line {buffer[at : min(end, at + 32)]!r}")
            self.extended += 1
            return match
        line = buffer[at : at + longest + 1]
        if _PARTIAL_CHUNK(line) is None:
            refuse("chunk-size", f"bad chunk line {line[:32]!r}")
        if len(line) > longest and not line.endswith(b"\r"):
            refuse("chunk-line-too-long", "a chunk line is too long")
        if len(buffer) - at > longest + 1:
            refuse("chunk-line-too-long", "a chunk line is too long")
        return None

    def _count(self, size: int, line_bytes: int) -> None:
        limits = self._limits
        self._payload += size
        if limits.max_body_bytes is not None and self._payload > limits.max_body_bytes:
            refuse("body-too-large", "the body is above the limit", 413)
        self._overhead += line_bytes + 2
        # Framing that outweighs a good part of real data is an attack on the CPU, not a message.
        if self._overhead > limits.max_chunk_overhead_bytes and self._overhead > self._payload:
            refuse("chunk-overhead", "more chunk framing than data")

    def _read_data(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        there = len(buffer) - at
        if there == 0:
            return -1
        left = self._left
        if there < left:
            pieces.append(buffer[at:] if at else buffer)
            self._left = left - there
            return len(buffer)
        pieces.append(buffer[at : at + left])
        self._left = 0
        self._state = _DATA_END
        return at + left

    def _read_data_end(self, buffer: bytes, at: int, _: list[bytes]) -> int:
        end = buffer[at : at + 2]
        if end == b"\r\n":
            self._state = _SIZE
            return at + 2
        if end not in (b"", b"\r"):
            refuse("chunk-end", "chunk data is not followed by CRLF")
        return -1

    def _read_trailers(self, buffer: bytes, at: int, _: list[bytes]) -> int:
        scanner = self._scanner
        if scanner is None:
            if buffer.startswith(b"\r\n", at):
                self.done = True
                return at + 2
            limits = self._limits
            scanner = self._scanner = LineScanner(
                Section.TRAILERS, limits, self._trailer_bytes, limits.max_trailers
            )
        end = scanner.find_end(buffer, at)
        if end < 0:
            return -1
        if end - at > 2:
            lines = buffer[at : end - 4].split(b"\r\n")
            self.trailers = judge_trailers(parse_fields(lines))
        self.done = True
        return end

    # By number and not as a bound method on the instance, which would be a reference cycle.
    _STEPS = (_read_size, _read_data, _read_data_end, _read_trailers)
