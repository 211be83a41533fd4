"""The receiving half of an HTTP/1 connection: bytes to events, one message after the other.

States run in a circle: HEAD, then BODY where there is one, then DONE until the engine begins the
next exchange. SWITCHED (after 101 or CONNECT), CLOSED and FAILED are ends. Which head is expected
is the only thing that depends on the role.
"""

from __future__ import annotations

from collections import deque

from galeph.errors import RemoteProtocolError
from galeph.message.headers import Headers
from galeph.protocol import policy
from galeph.protocol.engine import Role
from galeph.protocol.events import (
    CLOSED,
    NEED_DATA,
    PAUSED,
    Data,
    EndOfMessage,
    Event,
    InterimResponse,
    Request,
    Response,
)
from galeph.protocol.h1 import heads
from galeph.protocol.h1.bodies import Body, ChunkedBody, LengthBody, UntilCloseBody
from galeph.protocol.limits import Limits

__all__ = ["Receiver"]

HEAD, BODY, DONE, SWITCHED, ENDED, FAILED = range(6)


class Receiver:
    """Turns the peer's bytes into events."""

    __slots__ = (
        "_awaited",
        "_body",
        "_buffer",
        "_end_due",
        "_error",
        "_interim",
        "_limits",
        "_role",
        "_scanned",
        "_smallest",
        "_started",
        "at_eof",
        "fast_heads",
        "keep_alive",
        "plain_chunks",
        "slow_chunks",
        "slow_heads",
        "state",
    )

    def __init__(self, role: Role, limits: Limits) -> None:
        self._role = role
        self._limits = limits
        # A head shorter than every limit needs no look at its lines.
        self._smallest = min(
            limits.max_line_bytes, limits.max_header_bytes, limits.max_headers_bytes
        )
        self.state = HEAD
        self.at_eof = False
        self.keep_alive = True
        self._buffer = b""
        self._scanned = 0  # how much of the buffer is known to hold no end of a head
        self._started = False  # an empty line before this head has been skipped
        self._body: Body | None = None
        self._end_due = False
        self._error: RemoteProtocolError | None = None
        # Client: the requests whose responses are still to come, as (method, wants an upgrade).
        self._awaited: deque[tuple[str, bool]] = deque()
        self._interim = 0
        self.fast_heads = self.slow_heads = self.plain_chunks = self.slow_chunks = 0

    # Bytes in

    def receive_data(self, data: bytes) -> None:
        if not data:
            self.at_eof = True
        elif self._buffer:
            self._buffer += data
        else:
            self._buffer = data

    def trailing_data(self) -> bytes:
        data, self._buffer = self._buffer, b""
        return data

    @property
    def has_buffered(self) -> bool:
        return bool(self._buffer)

    def await_response(self, method: str, *, wants_upgrade: bool) -> None:
        """Note a request of ours: how its response is framed depends on the method."""
        self._awaited.append((method, wants_upgrade))

    def start_next_message(self) -> None:
        """Expect another head; only after DONE."""
        self.state = HEAD
        self._started = False
        self._scanned = 0
        self._interim = 0

    def switch_protocol(self) -> None:
        """What follows is not HTTP: leave it to `trailing_data`."""
        self.state = SWITCHED

    # Events out

    def next_event(self) -> Event:
        state = self.state
        try:
            if state == HEAD:
                return self._read_head()
            if state == BODY:
                return self._read_body()
        except RemoteProtocolError as error:
            self._error = error
            self.state = FAILED
            self._buffer = b""  # nothing behind a refused message is ever served
            raise
        if self._error is not None:
            raise self._error.with_traceback(None)
        return CLOSED if state == ENDED else PAUSED

    def _read_head(self) -> Event:
        buffer = self._buffer
        if self._role is Role.SERVER:
            match = heads.match_request(buffer) if not self._scanned else None
            if match is not None:
                end = match.end()
                if end > self._smallest:
                    heads.check_sizes(buffer[: end - 4], self._limits)
                self.fast_heads += 1
                method, target, minor, block = match.groups()
                self._buffer = buffer[end:]
                return self._begin_request(
                    method.decode("ascii"),
                    target.decode("ascii"),
                    "HTTP/1.1" if minor == b"1" else "HTTP/1.0",
                    Headers.from_lines(block[:-2].decode("ascii").split("\r\n"))
                    if block
                    else Headers(),
                )
            return self._read_request_in_parts()
        return self._read_response_head()

    # Requests

    def _read_request_in_parts(self) -> Event:
        if not self._started and self._buffer.startswith(b"\r\n"):
            # RFC 9112 section 2.2: one empty line before a request is skipped; a second is not.
            self._buffer = self._buffer[2:]
            self._started = True
            return self._read_head()
        head = self._take_head(is_request=True)
        if head is None:
            return self._wait_for_head()
        match = heads.match_request(head)
        if match is not None:
            self.fast_heads += 1
            text = match[4].decode("ascii")
            headers = Headers.from_lines(text.split("\r\n")[:-1])
            version = "HTTP/1.1" if match[3] == b"1" else "HTTP/1.0"
            return self._begin_request(match[1].decode(), match[2].decode(), version, headers)
        self.slow_heads += 1
        return self._begin_request(*heads.parse_request_slowly(head))

    def _begin_request(self, method: str, target: str, version: str, headers: Headers) -> Request:
        if len(headers._pairs) > self._limits.max_headers:
            policy.refuse("too-many-fields", "too many header lines", 431)
        request, framing = policy.judge_request(
            method, target, version, headers, self._limits.max_body_bytes
        )
        self.keep_alive = policy.wants_keep_alive(version, headers)
        self._begin_body(framing)
        return request

    # Responses

    def _read_response_head(self) -> Event:
        if not self._awaited:
            # Bytes that nobody asked for: never to be taken for the next answer.
            if self._buffer:
                policy.refuse("unasked-response", "bytes before any request was sent", 502)
            return self._wait_for_head()
        head = self._take_head(is_request=False)
        if head is None:
            return self._wait_for_head()
        match = heads.match_response(head)
        if match is not None:
            self.fast_heads += 1
            headers = Headers.from_lines(match[4].decode("ascii").split("\r\n")[:-1])
            version = "HTTP/1.1" if match[1] == b"1" else "HTTP/1.0"
            return self._begin_response(int(match[2]), match[3].decode(), version, headers)
        self.slow_heads += 1
        return self._begin_response(*heads.parse_response_slowly(head))

    def _begin_response(self, status: int, reason: str, version: str, headers: Headers) -> Event:
        if len(headers._pairs) > self._limits.max_headers:
            policy.refuse("too-many-fields", "too many header lines", 502)
        method, wants_upgrade = self._awaited[0]
        if status < 200:
            return self._read_interim(status, headers, wants_upgrade=wants_upgrade)
        self._awaited.popleft()
        framing = policy.judge_response(method, status, version, headers)
        self.keep_alive = (
            policy.wants_keep_alive(version, headers) and framing.kind != policy.UNTIL_CLOSE
        )
        response = Response(status, headers, reason, version)
        if framing.kind == policy.NO_BODY or (framing.kind == policy.LENGTH and not framing.length):
            response.end_stream = True
        if framing.kind == policy.LENGTH:
            response.content_length = framing.length
        self._begin_body(framing)
        if method == "CONNECT" and 200 <= status < 300:
            self.state = SWITCHED
        return response

    def _read_interim(self, status: int, headers: Headers, *, wants_upgrade: bool) -> Event:
        self._interim += 1
        if self._interim > self._limits.max_interim_responses:
            policy.refuse("too-many-interim", "endless 1xx responses", 502)
        if status == 101:
            if not wants_upgrade:
                policy.refuse("upgrade-unasked", "101 to a request without Upgrade", 502)
            self._awaited.popleft()
            self.state = SWITCHED
        self._scanned = 0
        return InterimResponse(status, headers)

    # Both

    def _take_head(self, *, is_request: bool) -> bytes | None:
        """Cut a complete head off the buffer; None while it has no end yet."""
        buffer = self._buffer
        start = self._scanned
        end = buffer.find(b"\r\n\r\n", max(start - 3, 0))
        if end < 0:
            if buffer:
                heads.check_partial_head(buffer, start, self._limits, is_request=is_request)
            self._scanned = len(buffer)
            return None
        if end > self._smallest:
            heads.check_sizes(buffer[:end], self._limits)
        head, self._buffer = buffer[: end + 4], buffer[end + 4 :]
        self._scanned = 0
        return head

    def _wait_for_head(self) -> Event:
        if not self.at_eof:
            return NEED_DATA
        if self._buffer or self._awaited or self._interim:
            policy.refuse("head-incomplete", "the peer closed in the middle of a head")
        self.state = ENDED
        return CLOSED

    def _begin_body(self, framing: policy.Framing) -> None:
        kind = framing.kind
        if kind == policy.NO_BODY:
            self.state = DONE
            return
        if kind == policy.LENGTH:
            self._body = LengthBody(framing.length)
        elif kind == policy.CHUNKED:
            self._body = ChunkedBody(self._limits)
        else:
            self._body = UntilCloseBody()
        self.state = DONE if self._body.done else BODY

    def _read_body(self) -> Event:
        body = self._body
        assert body is not None  # noqa: S101  (BODY is entered with one only; narrows the type)
        if self._end_due:
            return self._end_body(body)
        data = b""
        if self._buffer:
            data, self._buffer = body.read(self._buffer)
        if not body.done and not data:
            if not self.at_eof:
                return NEED_DATA
            body.end()
        if not data:
            return self._end_body(body)
        if body.done:
            if body.trailers is None:
                self._end_body(body)
                return Data(data, end_stream=True)
            self._end_due = True
        return Data(data)

    def _end_body(self, body: Body) -> EndOfMessage:
        self._end_due = False
        self._body = None
        self.state = DONE
        if isinstance(body, ChunkedBody):
            self.plain_chunks += body.plain
            self.slow_chunks += body.extended + (body.trailers is not None)
        return EndOfMessage(body.trailers)
