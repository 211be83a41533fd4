"""Bodies: where they end (RFC 9112 sections 6 and 7), strictly.

Three readers, one question: given the bytes at hand, which of them are body, what remains, and is
the body complete? Pieces that arrive together are joined, so that a million one-byte chunks
become a few objects. There is one chunk parser, not a fast and a slow one: the plain chunk line
(hex digits, CRLF) is one pattern, a line with extensions another, and both are counted. h11's
reader is the oracle of the property tests, not a second implementation.
"""

from __future__ import annotations

import re
from typing import Protocol

from galeph.message.headers import Headers
from galeph.protocol.h1.heads import parse_trailers
from galeph.protocol.limits import Limits
from galeph.protocol.policy import judge_trailers, refuse

_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)

__all__ = ["Body", "ChunkedBody", "LengthBody", "UntilCloseBody"]

# At most 16 digits: 2**64. More, even of zeros, has only ever been sent to confuse.
_PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16}+)\r\n").match
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t !#-\[\]-~]|\\[\t -~])*+"'
_EXTENDED_CHUNK = re.compile(
    rb"([0-9A-Fa-f]{1,16}+)(?:;[ \t]*+"
    + _TOKEN
    + rb"(?:=(?:"
    + _TOKEN
    + rb"|"
    + _QUOTED
    + rb"))?)++\r\n"
).match


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

    __slots__ = ("done", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.trailers: Headers | None = None

    def read(self, buffer: bytes) -> tuple[bytes, bytes]:
        return buffer, b""

    def end(self) -> None:
        self.done = True


class ChunkedBody:
    """A chunked body: lines of sizes, data between them, trailers behind the last (section 7.1)."""

    __slots__ = (
        "_left",
        "_limits",
        "_overhead",
        "_payload",
        "_state",
        "done",
        "extended",
        "plain",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
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
        line = buffer[at : at + longest + 2]
        end = line.find(b"\n")
        if end < 0:
            if len(line) > longest:
                refuse("chunk-line-too-long", "a chunk line is too long")
            if re.match(rb"(?:[0-9A-Fa-f]{1,16}+(?:;[\t -~]*+)?)?\r?\Z", line) is None:
                refuse("chunk-size", f"bad chunk line {line[:32]!r}")
            return None
        match = _EXTENDED_CHUNK(buffer, at)
        if match is None:
            refuse("chunk-size", f"bad chunk line {line[: min(end, 32)]!r}")
        self.extended += 1
        return match

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
        if buffer.startswith(b"\r\n", at):
            self.done = True
            return at + 2
        end = buffer.find(b"\r\n\r\n", at)
        limits = self._limits
        block = buffer[at : end + 4] if end >= 0 else buffer[at:]
        if len(block) > limits.max_headers_bytes or block.count(b"\r\n") > limits.max_trailers + 1:
            refuse("trailers-too-large", "too many trailers", 431)
        if end < 0:
            self._check_partial_trailers(block)
            return -1
        if max(map(len, block.split(b"\r\n"))) > limits.max_header_bytes:
            refuse("field-too-long", "a trailer line is too long", 431)
        self.trailers = judge_trailers(parse_trailers(block))
        self.done = True
        return end + 4

    def _check_partial_trailers(self, block: bytes) -> None:
        if len(block) - block.rfind(b"\r\n") - 2 > self._limits.max_header_bytes + 1:
            refuse("field-too-long", "a trailer line is too long", 431)
        body = block[:-1] if block.endswith(b"\r") else block
        if re.search(rb"(?<!\r)\n|\r(?!\n)", body) is not None:
            refuse("bare-line-end", "a trailer line ended by a bare LF or CR")

    # By number and not as a bound method on the instance, which would be a reference cycle.
    _STEPS = (_read_size, _read_data, _read_data_end, _read_trailers)
