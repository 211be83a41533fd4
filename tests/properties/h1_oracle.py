"""What HTTP/1 bytes mean, by another way: h11's public API with the house policy over it.

The engine may accept only what h11 accepts *and* the policy allows. h11 lets more pass than that;
each thing it lets pass and the house does not is written down here as a check on the raw bytes, in
the plainest way, so that the oracle shares no pattern and no scanner with what it judges. The
policy itself (`galeph.protocol.policy`) is the same module: it judges what was parsed, by whomever.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import h11

from galeph.errors import RemoteProtocolError
from galeph.message.headers import Headers
from galeph.protocol.events import InterimResponse
from galeph.protocol.policy import (
    CHUNKED,
    LENGTH,
    UNTIL_CLOSE,
    judge_request,
    judge_response,
    judge_trailers,
)

MAX_BODY = 1 << 30
_TOKEN = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"!#$%&'*+-.^_`|~")
_HEX = frozenset(string.hexdigits.encode())


class Refused(Exception):
    """The oracle refuses; ``status`` is None where only the fact counts."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Incomplete(Exception):
    """The bytes end before the message does."""


@dataclass
class Verdict:
    """What a head means."""

    start: tuple
    headers: tuple[tuple[str, str], ...]
    framing: int
    length: int


# Lines


def split_head(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a head into its lines, and what follows it."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        raise Incomplete
    return head.split(b"\r\n"), rest


def check_lines(lines: list[bytes]) -> None:
    """h11 lets bare LF, bare CR, folds and control characters pass. The house does not."""
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise Refused("bare line end")
    for line in lines[1:]:
        if line[:1] in (b" ", b"\t"):
            raise Refused("folded")
        check_field_line(line)


def check_field_line(line: bytes) -> None:
    name, colon, value = line.partition(b":")
    if not colon or not name or not _TOKEN.issuperset(name):
        raise Refused("no field name")
    if any((byte < 32 and byte != 9) or byte == 127 for byte in value):
        raise Refused("control character")


def pairs_of(lines: list[bytes]) -> list[tuple[str, str]]:
    """Field lines as pairs; not by way of h11, whose headers merge repeated lengths."""
    pairs = []
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        pairs.append((name, value.strip(" \t")))
    return pairs


# Requests


def judge_request_bytes(data: bytes) -> tuple[Verdict, bytes]:
    """Return what the first request head means and what follows it.

    Raises:
        Refused: it must not be served.
        Incomplete: its end has not come.
    """
    if data.startswith(b"\r\n"):  # one empty line is skipped, which h11 never does
        data = data[2:]
    lines, rest = split_head(data)
    check_lines(lines)
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    engine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head) + 1)
    try:
        engine.receive_data(head)
        event = engine.next_event()
    except h11.RemoteProtocolError as error:
        verdict_without_h11(lines)
        raise Refused(f"h11: {error}") from None
    if event is h11.NEED_DATA:
        raise Incomplete
    assert isinstance(event, h11.Request)
    if event.http_version not in (b"1.0", b"1.1"):
        raise Refused("version", 505)
    verdict = apply_policy(
        event.method.decode(),
        event.target.decode(),
        f"HTTP/{event.http_version.decode()}",
        pairs_of(lines[1:]),
    )
    return verdict, rest


def verdict_without_h11(lines: list[bytes]) -> None:
    """Where h11 refuses, the policy may still have the more exact status."""
    parts = lines[0].split(b" ")
    if len(parts) == 3 and parts[2] in (b"HTTP/1.0", b"HTTP/1.1") and parts[0] and parts[1]:
        method, target, version = (part.decode("latin-1") for part in parts)
        if _TOKEN.issuperset(parts[0]) and all(33 <= byte <= 126 for byte in parts[1]):
            apply_policy(method, target, version, pairs_of(lines[1:]))


def apply_policy(method: str, target: str, version: str, pairs: list[tuple[str, str]]) -> Verdict:
    try:
        request, framing = judge_request(method, target, version, Headers(pairs), MAX_BODY)
    except RemoteProtocolError as error:
        raise Refused(error.case, error.status_hint) from None
    start = (
        request.method, request.target, request.scheme, request.authority, request.http_version,
        request.expects_continue,
    )  # fmt: skip
    return Verdict(start, request.headers.raw, framing.kind, framing.length)


# Responses


def judge_response_bytes(data: bytes, method: str) -> tuple[Verdict, bytes]:
    """Return what the first response head to ``method`` means and what follows it."""
    lines, rest = split_head(data)
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise Refused("bare line end")
    unfolded = [lines[0]]
    for line in lines[1:]:
        if line[:1] in (b" ", b"\t"):
            name = unfolded[-1].partition(b":")[0].lower()
            if len(unfolded) == 1 or name in (b"content-length", b"transfer-encoding"):
                raise Refused("folded where it decides")
            unfolded[-1] += b" " + line.lstrip(b" \t")
        else:
            unfolded.append(line)
    check_lines(unfolded)
    if any((byte < 32 and byte != 9) or byte == 127 for byte in lines[0]):
        raise Refused("control character in the reason")
    version, _, status = lines[0].partition(b" ")
    if version not in (b"HTTP/1.0", b"HTTP/1.1") or not b"1" <= status[:1] <= b"9":
        raise Refused("status line")
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    event = _ask_h11_client(head)
    pairs = pairs_of(unfolded[1:])
    start = (event.status_code, event.reason.decode("latin-1").strip(" \t"), version.decode())
    try:
        framing = judge_response(
            method, event.status_code, version.decode(), Headers(pairs), MAX_BODY
        )
    except RemoteProtocolError as error:
        raise Refused(error.case) from None
    if isinstance(event, h11.InformationalResponse):
        start = (InterimResponse, event.status_code)
    return Verdict(start, tuple(pairs), framing.kind, framing.length), rest


def _ask_h11_client(head: bytes) -> h11.Response | h11.InformationalResponse:
    engine = h11.Connection(h11.CLIENT, max_incomplete_event_size=len(head) + 1)
    engine.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    try:
        engine.receive_data(head)
        event = engine.next_event()
    except h11.RemoteProtocolError as error:
        raise Refused(f"h11: {error}") from None
    if event is h11.NEED_DATA:
        raise Incomplete
    assert isinstance(event, (h11.Response, h11.InformationalResponse))
    return event


# Bodies


@dataclass
class Body:
    """A body, its trailers as shown, and what follows it."""

    data: bytes
    trailers: tuple[tuple[str, str], ...] | None
    rest: bytes


def read_body(framing: int, length: int, data: bytes) -> Body:
    """Read a body that is framed like this; all of ``data`` if only the close ends it."""
    if framing == CHUNKED:
        return read_chunks(data)
    if framing == LENGTH:
        if len(data) < length:
            raise Incomplete
        return Body(data[:length], None, data[length:])
    return Body(data, None, b"") if framing == UNTIL_CLOSE else Body(b"", None, data)


def read_chunks(data: bytes) -> Body:
    """Read a chunked body as the house does, one rule at a time; h11 must have it the same."""
    body = b""
    rest = data
    while True:
        line, rest = _line(rest)
        size = check_chunk_line(line)
        if size == 0:
            break
        if len(body) + size > MAX_BODY:
            raise Refused("too large", 413)
        if len(rest) < size + 2 and b"\r\n".startswith(rest[size : size + 2]):
            raise Incomplete
        if rest[size : size + 2] != b"\r\n":
            raise Refused("no CRLF behind a chunk")
        body, rest = body + rest[:size], rest[size + 2 :]
    lines = []
    while True:
        line, rest = _line(rest)
        if not line:
            break
        if line[:1] in (b" ", b"\t"):
            raise Refused("folded")
        check_field_line(line)
        lines.append(line)
    trailers = None
    if lines:
        try:
            trailers = judge_trailers(Headers(pairs_of(lines))).raw
        except RemoteProtocolError as error:
            raise Refused(error.case) from None
    return Body(body, trailers, rest)


def _line(data: bytes) -> tuple[bytes, bytes]:
    line, end, rest = data.partition(b"\r\n")
    if not end:
        raise Incomplete  # the engine may refuse such a line already, or still wait
    if b"\r" in line or b"\n" in line:
        raise Refused("bare line end")
    return line, rest


def check_chunk_line(line: bytes) -> int:
    """h11 lets any extension, white space at the end and 20 digits pass. The house does not."""
    size, semicolon, extensions = line.partition(b";")
    if not size or not _HEX.issuperset(size) or len(size) > 16 or int(size, 16) >= 1 << 63:
        raise Refused("bad size")
    if semicolon:
        check_extensions(extensions)
    return int(size, 16)


def check_extensions(text: bytes) -> None:
    """*( ";" BWS name [ "=" ( token / quoted-string ) ] ), the first semicolon gone already."""
    at = 0
    while True:
        while text[at : at + 1] in (b" ", b"\t"):
            at += 1
        at = _skip_token(text, at)
        if text[at : at + 1] == b"=":
            at = (
                _skip_quoted(text, at + 1)
                if text[at + 1 : at + 2] == b'"'
                else _skip_token(text, at + 1)
            )
        if at == len(text):
            return
        if text[at : at + 1] != b";":
            raise Refused("bad extension")
        at += 1


def _skip_token(text: bytes, at: int) -> int:
    start = at
    while at < len(text) and text[at] in _TOKEN:
        at += 1
    if at == start:
        raise Refused("no token")
    return at


def _skip_quoted(text: bytes, at: int) -> int:
    at += 1
    while at < len(text) and text[at] != 0x22:
        at += 2 if text[at] == 0x5C else 1
    if at >= len(text) or any((byte < 32 and byte != 9) or byte > 126 for byte in text):
        raise Refused("bad quoted string")
    return at + 1


def read_chunks_by_h11(data: bytes) -> tuple[bytes, tuple[tuple[str, str], ...]] | None:
    """Body and trailers by h11's reader; None if it refuses, or needs more."""
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    engine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(data) + len(head))
    body = b""
    try:
        engine.receive_data(head + data)
        engine.next_event()
        while True:
            event = engine.next_event()
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                pairs = [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in event.headers.raw_items()
                ]
                return body, tuple(pairs)
            else:
                return None
    except h11.RemoteProtocolError:
        return None
