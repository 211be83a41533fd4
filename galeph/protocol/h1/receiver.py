"""The receiving half of an HTTP/1 connection: bytes to events, one message after the other.

States run in a circle: HEAD, then BODY where there is one, then DONE until the engine begins the
next exchange. SWITCHED (after 101 or CONNECT), ENDED and FAILED are ends. Which head is expected
is the only thing that depends on the role.

A refusal on the client side hints at 502, which is what a gateway would answer with.
"""

from __future__ import annotations

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
from galeph.protocol.h1.lines import LineScanner, Section
from galeph.protocol.limits import Limits

__all__ = ["Receiver"]

_NO_REQUEST = Request("", "", Headers())

# The fields by which a head says that there is more than itself.
_SAYS_MORE = {"content-length", "transfer-encoding", "expect"}

HEAD, BODY, DONE, SWITCHED, ENDED, FAILED = range(6)


class Receiver:
    """Turns the peer's bytes into events."""

    __slots__ = (
        "_awaited",
        "_body",
        "_buffer",
        "_end_due",
        "_failure",
        "_has_skipped",
        "_head_bytes",
        "_interim",
        "_known_host",
        "_last_fields",
        "_limits",
        "_role",
        "_scanner",
        "_smallest",
        "at_eof",
        "fast_heads",
        "keep_alive",
        "known_fields",
        "known_head",
        "known_request",
        "plain_chunks",
        "slow_chunks",
        "slow_heads",
        "state",
    )

    def __init__(self, role: Role, limits: Limits) -> None:
        self._role = role
        self._limits = limits
        # A head shorter than every limit needs no look at the length of its lines.
        self._smallest = min(
            limits.max_line_bytes, limits.max_header_bytes, limits.max_headers_bytes
        )
        self.state = HEAD
        self.at_eof = False
        self.keep_alive = True
        self._buffer = b""
        self._scanner: LineScanner | None = None  # while a head is looked at line by line
        self._head_bytes = 0  # of the head read last; trailers share its budget
        self._has_skipped = False  # an empty line before this head
        self._body: Body | None = None
        self._end_due = False
        self._failure: tuple[str, int, str] | None = None
        # Server: the field lines of the last plain head, and what they mean once they came twice.
        self._last_fields = b""
        self.known_fields: Headers | None = None
        self._known_host = ""
        # The last head that was known by its fields, and what it means as a whole.
        self.known_head = b""
        self.known_request = _NO_REQUEST
        # Client: the request whose response is to come, as (method, wants an upgrade).
        self._awaited: tuple[str, bool] | None = None
        self._interim = 0
        self.fast_heads = self.slow_heads = self.plain_chunks = self.slow_chunks = 0

    # Bytes in

    def receive_data(self, data: bytes) -> None:
        if not data:
            self.at_eof = True
        elif not self._buffer:
            self._buffer = data
        elif self.state != FAILED:  # nobody will ever read what follows a refused message
            self._buffer += data

    def trailing_data(self) -> bytes:
        data, self._buffer = self._buffer, b""
        return data

    @property
    def has_buffered(self) -> bool:
        return bool(self._buffer)

    def await_response(self, method: str, *, wants_upgrade: bool) -> None:
        """Note a request of ours: how its response is framed depends on the method."""
        self._awaited = (method, wants_upgrade)

    def switch_protocol(self) -> None:
        """What follows is not HTTP: leave it to `trailing_data`."""
        self.state = SWITCHED

    # Events out

    def next_event(self) -> Event:
        state = self.state
        if self.known_fields is not None and state == HEAD:
            request = self._recognize_request()
            if request is not None:
                return request
        try:
            if state == HEAD:
                if self._role is Role.SERVER:
                    return self._read_request_head()
                return self._read_response_head()
            if state == BODY:
                return self._read_body()
        except RemoteProtocolError as error:
            if self._role is Role.CLIENT:
                error.status_hint = 502
            # Its parts and not the error, whose traceback refers to this object.
            self._failure = (str(error), error.status_hint, error.case)
            self.state = FAILED
            self._buffer = b""  # nothing behind a refused message is ever served
            raise
        if self._failure is not None:
            message, status, case = self._failure
            raise RemoteProtocolError(message, status_hint=status, case=case)
        return CLOSED if state == ENDED else PAUSED

    # Requests

    def _read_request_head(self) -> Event:
        buffer = self._buffer
        if self._scanner is None:
            match = heads.match_request(buffer)
            if match is not None:
                end = match.end()
                if end <= self._smallest:
                    self._buffer = buffer[end:]
                    return self._begin_plain_request(buffer, end)
            elif buffer[:1] == b"\r" and not self._has_skipped:
                return self._skip_empty_line()
        head = self._take_head(Section.REQUEST)
        if head is None:
            return self._wait_for_head()
        if heads.match_request(head) is not None:
            return self._begin_plain_request(head, len(head))
        self.slow_heads += 1
        self._head_bytes = len(head)
        request = self._begin_request(*heads.parse_request(head))
        heads.consult_h11(head, Role.SERVER)
        return request

    def _skip_empty_line(self) -> Event:
        """Skip one empty line before a request (RFC 9112 section 2.2). A second is refused."""
        if self._buffer == b"\r":
            return self._wait_for_head()
        self._has_skipped = True
        if self._buffer.startswith(b"\r\n"):
            self._buffer = self._buffer[2:]
        return self._read_request_head()

    def _begin_plain_request(self, buffer: bytes, end: int) -> Request:
        self.fast_heads += 1
        self._head_bytes = end
        lines = buffer[: end - 4].decode("ascii").split("\r\n")
        method, target, version = lines[0].split(" ")
        del lines[0]
        headers = Headers.from_lines(lines)
        request = self._begin_request(method, target, version, headers)
        if self.state == DONE and self.keep_alive:
            self._remember_fields(buffer[buffer.find(b"\n") + 1 : end], request)
        return request

    def _remember_fields(self, fields: bytes, request: Request) -> None:
        """Keep what these field lines mean, if they have come twice.

        Whoever keeps a connection mostly says the same again: browsers, clients with a session,
        proxies. Only what says nothing about a body, and was judged without looking at the target.
        """
        if fields != self._last_fields:
            self.forget_fields()
            self._last_fields = fields
        elif (
            request.http_version == "HTTP/1.1"
            and request.target != request.authority  # CONNECT, whose target replaces Host
            and request.scheme is None
            and not _SAYS_MORE & request.headers._index.keys()
        ):
            self.known_fields = request.headers.copy()
            self._known_host = request.authority

    def forget_fields(self) -> None:
        """Drop what only makes the next request quicker: 3 KiB after a browser's."""
        self._last_fields = self.known_head = b""
        self.known_request = _NO_REQUEST
        self.known_fields = None

    def _recognize_request(self) -> Request | None:
        """Return the request if all of it but method and target has come before."""
        buffer = self._buffer
        headers = self.known_fields
        if headers is None or not buffer or self._scanner is not None:
            return None
        if buffer == self.known_head:  # who polls, or watches over our health
            method, target = self.known_request.method, self.known_request.target
            end = len(buffer)
            self._buffer = b""
        else:
            match = heads.match_plain_start(buffer)
            if match is None or not buffer.startswith(self._last_fields, match.end()):
                return None
            end = match.end() + len(self._last_fields)
            method, target = match[1].decode(), match[2].decode()
            if end > self._smallest or method == "CONNECT":
                return None
            self.known_head = buffer[:end]
            self.known_request = Request(method, target, headers, None, self._known_host)
            self._buffer = buffer[end:]
        self.fast_heads += 1
        self._head_bytes = end
        self._has_skipped = False
        self.state = DONE
        return Request(method, target, headers.copy(), None, self._known_host)

    def _begin_request(self, method: str, target: str, version: str, headers: Headers) -> Request:
        if len(headers._pairs) > self._limits.max_headers:
            policy.refuse("too-many-fields", "too many request fields", 431)
        request, framing = policy.judge_request(
            method, target, version, headers, self._limits.max_body_bytes
        )
        if "connection" in headers._index:
            self.keep_alive = policy.wants_keep_alive(version, headers)
        else:
            self.keep_alive = version == "HTTP/1.1"
        self._has_skipped = False
        if framing.kind == policy.NO_BODY:
            self.state = DONE
        else:
            self._begin_body(framing)
        return request

    # Responses

    def _read_response_head(self) -> Event:
        if self._awaited is None:
            # Bytes that nobody asked for: never to be taken for the next answer.
            if self._buffer:
                policy.refuse("unasked-response", "bytes before any request was sent")
            return self._wait_for_head()
        buffer = self._buffer
        if self._scanner is None:
            match = heads.match_response(buffer)
            if match is not None and (end := match.end()) <= self._smallest:
                self._buffer = buffer[end:]
                return self._begin_plain_response(buffer, end)
        head = self._take_head(Section.RESPONSE)
        if head is None:
            return self._wait_for_head()
        if heads.match_response(head) is not None:
            return self._begin_plain_response(head, len(head))
        self.slow_heads += 1
        self._head_bytes = len(head)
        response = self._begin_response(*heads.parse_response(head))
        heads.consult_h11(head, Role.CLIENT)
        return response

    def _begin_plain_response(self, buffer: bytes, end: int) -> Event:
        self.fast_heads += 1
        self._head_bytes = end
        lines = buffer[: end - 4].decode("ascii").split("\r\n")
        version, status, reason = lines[0].split(" ", 2)
        del lines[0]
        return self._begin_response(int(status), reason, version, Headers.from_lines(lines))

    def _begin_response(self, status: int, reason: str, version: str, headers: Headers) -> Event:
        assert self._awaited is not None  # noqa: S101  (its caller looked; narrows the type)
        method, wants_upgrade = self._awaited
        if len(headers._pairs) > self._limits.max_headers:
            policy.refuse("too-many-fields", "too many response fields", 431)
        framing = policy.judge_response(
            method, status, version, headers, self._limits.max_body_bytes
        )
        if status < 200:
            return self._read_interim(status, headers, wants_upgrade=wants_upgrade)
        self._awaited = None
        self._interim = 0
        kind = framing.kind
        self.keep_alive = kind != policy.UNTIL_CLOSE and policy.wants_keep_alive(version, headers)
        response = Response(status, headers, reason.strip(" \t"), version)
        if kind == policy.LENGTH:
            response.content_length = framing.length
        response.end_stream = kind == policy.NO_BODY or (
            kind == policy.LENGTH and not framing.length
        )
        self._begin_body(framing)
        if method == "CONNECT" and status < 300:
            self.state = SWITCHED
        return response

    def _read_interim(self, status: int, headers: Headers, *, wants_upgrade: bool) -> Event:
        self._interim += 1
        if self._interim > self._limits.max_interim_responses:
            policy.refuse("too-many-interim", "endless 1xx responses")
        if status == 101:
            if not wants_upgrade:
                policy.refuse("upgrade-unasked", "101 to a request without Upgrade")
            self._awaited = None
            self.state = SWITCHED
        return InterimResponse(status, headers)

    # Both

    def _take_head(self, section: Section) -> bytes | None:
        """Cut a complete head with good lines off the buffer; None while it has no end yet."""
        scanner = self._scanner
        if scanner is None:
            limits = self._limits
            scanner = LineScanner(section, limits, limits.max_headers_bytes, limits.max_headers)
        end = scanner.find_end(self._buffer)
        if end < 0:
            # Kept only once there is something to remember: an idle connection has none.
            self._scanner = scanner if self._buffer else None
            return None
        self._scanner = None
        head, self._buffer = self._buffer[:end], self._buffer[end:]
        return head

    def _wait_for_head(self) -> Event:
        if not self.at_eof:
            return NEED_DATA
        if self._buffer or self._awaited is not None:
            policy.refuse("head-incomplete", "the peer closed in the middle of a head")
        self.state = ENDED
        return CLOSED

    def _begin_body(self, framing: policy.Framing) -> None:
        kind = framing.kind
        if kind == policy.NO_BODY or (kind == policy.LENGTH and not framing.length):
            self.state = DONE
            return
        if kind == policy.LENGTH:
            self._body = LengthBody(framing.length)
        elif kind == policy.CHUNKED:
            self._body = ChunkedBody(self._limits, self._head_bytes)
        else:
            self._body = UntilCloseBody(self._limits.max_body_bytes)
        self.state = BODY

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
