"""Message heads: from the bytes up to the blank line to a start line and `Headers`.

Theory of operation. One pattern with possessive quantifiers validates a whole head in one call
(1.5 µs for twelve browser headers; the same pattern without them takes 3.5). It accepts only what
h11 would accept *and* the house policy allows: tokens, one space, CRLF everywhere, printable
ASCII. What it does not match is looked at line by line: first for what h11 lets through and we do
not (bare LF and CR, folded lines in requests, other versions), which is refused exactly, then by
h11 itself. A head can therefore be accepted only by being plain, or by passing both.

Sizes are checked by the receiver while the head is still incomplete, and here once it is whole.
"""

from __future__ import annotations

import re

import h11

from galeph.message.headers import Headers
from galeph.protocol.limits import Limits
from galeph.protocol.policy import refuse

__all__ = [
    "check_partial_head",
    "check_sizes",
    "match_request",
    "match_response",
    "parse_request_slowly",
    "parse_response_slowly",
    "parse_trailers",
]

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_FIELDS = rb"((?:" + _TCHAR + rb"++:[\t -~]*+\r\n)*+)"
# A target's bytes: visible ASCII (RFC 3986 has no others). Which form it has is the policy's.
match_request = re.compile(
    rb"(" + _TCHAR + rb"++) ([!-~]++) HTTP/1\.([01])\r\n" + _FIELDS + rb"\r\n"
).match
match_response = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t -~]*+)\r\n" + _FIELDS + rb"\r\n"
).match
_match_trailers = re.compile(_FIELDS + rb"\r\n").fullmatch

_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)").search
_REQUEST_LINE = re.compile(rb"(" + _TCHAR + rb"++) ([!-~]++) HTTP/([0-9])\.([0-9])").fullmatch
_FIELD_LINE = re.compile(_TCHAR + rb"++:[\t -~\x80-\xff]*+").fullmatch
_METHOD_START = re.compile(_TCHAR).match


# Sizes


def check_sizes(head: bytes, limits: Limits) -> None:
    """Refuse a complete head with a line or a total over its limit.

    Only called for heads longer than the smallest limit: a shorter one passes all of them.
    """
    if len(head) > limits.max_headers_bytes:
        refuse("head-too-large", "the head is too large", 431)
    lines = head.split(b"\r\n")
    if len(lines[0]) > limits.max_line_bytes:
        refuse("line-too-long", "the first line is too long", 414)
    if max(map(len, lines[1:])) > limits.max_header_bytes:
        refuse("field-too-long", "a header line is too long", 431)


def check_partial_head(buffer: bytes, start: int, limits: Limits, *, is_request: bool) -> None:
    """Refuse a head that can no longer become a good one, before its end has arrived.

    ``start`` is where the bytes begin that were not looked at before; waiting for a blank line
    that a peer with bare line feeds will never send would end in a timeout instead of an answer.
    """
    if is_request and _METHOD_START(buffer) is None and buffer != b"\r":
        refuse("method-bad", "this is not HTTP")
    # A CR at the very end may still get its LF.
    end = len(buffer) - 1 if buffer.endswith(b"\r") else len(buffer)
    if _BARE(buffer, max(start - 1, 0), end) is not None:
        refuse("bare-line-end", "a line ended by a bare LF or CR")
    first = buffer.find(b"\r\n")
    if first < 0:
        if len(buffer) > limits.max_line_bytes + 1:
            refuse("line-too-long", "the first line is too long", 414)
        return
    if first > limits.max_line_bytes:
        refuse("line-too-long", "the first line is too long", 414)
    if len(buffer) > limits.max_headers_bytes:
        refuse("head-too-large", "the head is too large", 431)
    last = buffer.rfind(b"\r\n")
    if len(buffer) - last - 2 > limits.max_header_bytes + 1:
        refuse("field-too-long", "a header line is too long", 431)


# The slow way


def parse_request_slowly(head: bytes) -> tuple[str, str, str, Headers]:
    """Return method, target, version and headers of a head the fast path did not match."""
    lines = head[:-4].split(b"\r\n")
    match = _REQUEST_LINE(lines[0])
    if match is None:
        refuse("request-line", f"bad request line {lines[0][:64]!r}")
    if match[3] + match[4] not in (b"10", b"11"):
        refuse("version", f"HTTP/{match[3].decode()}.{match[4].decode()} is not spoken here", 505)
    for line in lines[1:]:
        if _FIELD_LINE(line) is None:
            _refuse_line(line)
    engine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head) + 1)
    request = _next_h11_event(engine, head)
    assert isinstance(request, h11.Request)  # noqa: S101  (narrows the type; h11 gives no other here)
    version = f"HTTP/{request.http_version.decode()}"
    return request.method.decode(), request.target.decode(), version, _h11_headers(request)


def _refuse_line(line: bytes) -> None:
    if _BARE(line) is not None:
        refuse("bare-line-end", "a line ended by a bare LF or CR")
    if line[:1] in (b" ", b"\t"):
        refuse("folded-line", "a folded or indented header line")
    name, colon, _ = line.partition(b":")
    if not colon:
        refuse("field-without-colon", "a header line without a colon")
    if re.fullmatch(_TCHAR + rb"+", name) is None:
        refuse("field-name", f"bad header name {name[:64]!r}")
    refuse("field-value", f"a control character in the value of {name[:64].decode()}")


def parse_response_slowly(head: bytes) -> tuple[int, str, str, Headers]:
    """Return status, reason, version and headers of a head the fast path did not match.

    h11 is more tolerant here than with requests, and so are we: folded lines are unfolded (RFC
    9112 section 5.2 asks a client to) and the space after the status may be missing.
    """
    if not re.match(rb"HTTP/1\.[01] [1-9][0-9][0-9](?: |\r\n)", head):
        refuse("status-line", f"bad status line {head[:64]!r}", 502)
    if _BARE(head) is not None:
        refuse("bare-line-end", "a line ended by a bare LF or CR", 502)
    engine = h11.Connection(h11.CLIENT, max_incomplete_event_size=len(head) + 1)
    engine.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    response = _next_h11_event(engine, head)
    assert isinstance(response, (h11.Response, h11.InformationalResponse))  # noqa: S101  (as above)
    version = f"HTTP/{response.http_version.decode()}"
    return response.status_code, response.reason.decode("latin-1"), version, _h11_headers(response)


def _next_h11_event(engine: h11.Connection, head: bytes) -> object:
    try:
        engine.receive_data(head)
        return engine.next_event()
    except h11.RemoteProtocolError as error:
        refuse("h11", str(error), error.error_status_hint)


def _h11_headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    return Headers.from_lines(
        f"{name.decode('latin-1')}:{value.decode('latin-1')}"
        for name, value in event.headers.raw_items()
    )


# Trailers


def parse_trailers(block: bytes) -> Headers:
    """Parse a trailer section, its blank line included. Stricter than a head: plain ASCII only."""
    match = _match_trailers(block)
    if match is None:
        for line in block[:-4].split(b"\r\n"):
            if _FIELD_LINE(line) is None:
                _refuse_line(line)
        refuse("field-value", "a trailer beyond plain ASCII")
    text = match[1].decode("ascii")
    return Headers.from_lines(text.split("\r\n")[:-1])
