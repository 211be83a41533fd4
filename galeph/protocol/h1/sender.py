"""The sending half of an HTTP/1 connection: events to bytes, framed so that none can be misread.

It decides how our message is delimited (RFC 9112 section 6), and refuses what would make it a
different message for somebody else: fields it does not own, a body where none may be, more or
less body than was declared. Nothing is framed by a call that raises.
"""

from __future__ import annotations

from collections.abc import Sequence

from galeph.errors import LocalProtocolError
from galeph.message.fields import encode_field, is_token, split_list
from galeph.message.headers import Headers
from galeph.message.status import has_no_body, reason_phrase
from galeph.protocol.events import Data, EndOfMessage, InterimResponse, Request, Response

__all__ = ["Sender"]

IDLE, BODY, DONE = range(3)
_FIXED, _CHUNKED, _UNTIL_CLOSE, _SILENT = range(4)

_CACHE_STATUS_LINES: dict[int, bytes] = {}


class Sender:
    """Frames one message after the other."""

    __slots__ = ("_kind", "_left", "keep_alive", "state")

    def __init__(self) -> None:
        self.state = IDLE
        self.keep_alive = True
        self._kind = _FIXED
        self._left = 0

    def start_next_message(self) -> None:
        """Expect another head; only after DONE."""
        self.state = IDLE

    # Heads

    def send_interim(self, event: InterimResponse) -> list[bytes]:
        if self.state != IDLE:
            raise LocalProtocolError("an interim response after the final one")
        if not 100 <= event.status < 200:
            raise LocalProtocolError(f"{event.status} is not an interim status")
        for name in ("Content-Length", "Transfer-Encoding"):
            if name in event.headers:
                raise LocalProtocolError(f"{name} in an interim response")
        if event.status == 101:
            self.state = DONE
        lines = [_encode_status_line(event.status, ""), *_encode_fields(event.headers), b"\r\n"]
        return [b"".join(lines)]

    def send_response(self, event: Response, method: str, peer_version: str) -> list[bytes]:
        """Frame a response head to a request with this method and version."""
        if self.state != IDLE:
            raise LocalProtocolError("a second response to one request")
        status = event.status
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"{status} is not a final status")
        headers = event.headers
        index = headers._index
        if "transfer-encoding" in index:
            raise LocalProtocolError("Transfer-Encoding is galeph's to set")
        length = _declared_length(event.content_length, index.get("content-length"))
        lines = [_encode_status_line(status, event.reason), *_encode_fields(headers)]
        keep_alive = self.keep_alive and not _says_close(index.get("connection"))
        if has_no_body(status) or (method == "CONNECT" and status < 300):
            kind = _FIXED
            if length and status != 304:
                raise LocalProtocolError(f"a {status} response has no body")
            if status != 304 and "content-length" in index:
                raise LocalProtocolError(f"a {status} response has no Content-Length")
            length = 0
        else:
            if event.end_stream and length is None:
                length = 0
            kind = _FIXED
            if length is not None:
                if "content-length" not in index:
                    lines.append(encode_field("Content-Length", str(length)))
            elif peer_version != "HTTP/1.0":
                kind = _CHUNKED
                lines.append(b"Transfer-Encoding: chunked\r\n")
            else:
                kind = _UNTIL_CLOSE
                keep_alive = False
            if method == "HEAD":
                kind, length = _SILENT, 0
        if "connection" not in index:
            if not keep_alive:
                lines.append(b"Connection: close\r\n")
            elif peer_version == "HTTP/1.0":
                lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        self.keep_alive = keep_alive
        self._begin_body(kind, length or 0, end_stream=event.end_stream)
        return [b"".join(lines)]

    def send_request(self, event: Request) -> list[bytes]:
        if self.state != IDLE:
            raise LocalProtocolError("a request before the last one was complete")
        if not is_token(event.method):
            raise ValueError(f"method {event.method!r} is not a token")
        target = event.target
        if not target or not target.isascii() or not target.isprintable() or " " in target:
            raise ValueError(f"target {target!r} holds characters that must be percent-encoded")
        index = event.headers._index
        if "transfer-encoding" in index:
            raise LocalProtocolError("Transfer-Encoding is galeph's to set")
        length = _declared_length(event.content_length, index.get("content-length"))
        lines = [f"{event.method} {target} HTTP/1.1\r\n".encode("ascii")]
        if "host" not in index:
            lines.append(encode_field("Host", event.authority))
        lines += _encode_fields(event.headers)
        kind = _FIXED
        if length is None and not event.end_stream:
            kind = _CHUNKED
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif length is not None and "content-length" not in index:
            lines.append(encode_field("Content-Length", str(length)))
        lines.append(b"\r\n")
        self.keep_alive = not _says_close(index.get("connection"))
        self._begin_body(kind, length or 0, end_stream=event.end_stream)
        return [b"".join(lines)]

    def _begin_body(self, kind: int, length: int, *, end_stream: bool) -> None:
        if end_stream and kind == _FIXED and length:
            raise LocalProtocolError(f"no body, but a Content-Length of {length}")
        self._kind = kind
        self._left = length
        self.state = DONE if end_stream else BODY

    # Bodies

    def send_data(self, event: Data) -> Sequence[bytes]:
        if self.state != BODY:
            if not event.data and self.state == DONE:
                return ()
            raise LocalProtocolError("body bytes after the end of the message")
        data = event.data
        size = len(data)
        kind = self._kind
        if kind == _FIXED:
            left = self._left - size
            if left < 0:
                raise LocalProtocolError("the body is longer than its Content-Length")
            if event.end_stream:
                self._check_complete(left)
                self.state = DONE
            self._left = left
            return (data,) if size else ()
        if event.end_stream:
            self.state = DONE
        if kind == _CHUNKED:
            if not size:
                return (b"0\r\n\r\n",) if event.end_stream else ()
            tail = b"\r\n0\r\n\r\n" if event.end_stream else b"\r\n"
            return (b"%x\r\n" % size, data, tail)
        return () if kind == _SILENT or not size else (data,)

    def end_message(self, event: EndOfMessage) -> Sequence[bytes]:
        if self.state == DONE:
            return ()
        if self.state != BODY:
            raise LocalProtocolError("the end of a message that has not begun")
        if self._kind == _FIXED:
            self._check_complete(self._left)
        elif self._kind == _CHUNKED:
            trailers = _encode_fields(event.trailers) if event.trailers else []
            self.state = DONE
            return (b"".join([b"0\r\n", *trailers, b"\r\n"]),)
        self.state = DONE
        return ()

    def _check_complete(self, left: int) -> None:
        if left:
            raise LocalProtocolError(f"the body is {left} bytes shorter than its Content-Length")

    @property
    def ends_by_close(self) -> bool:
        """Whether only closing the connection can end the message that was sent."""
        return self._kind == _UNTIL_CLOSE


def _encode_status_line(status: int, reason: str) -> bytes:
    line = _CACHE_STATUS_LINES.get(status)
    if line is None or reason:
        text = reason or reason_phrase(status)
        if text:
            encode_field("x", text)  # a reason phrase obeys the grammar of a value
        line = f"HTTP/1.1 {status} {text}\r\n".encode("latin-1")
        if not reason:
            _CACHE_STATUS_LINES[status] = line
    return line


def _encode_fields(headers: Headers) -> list[bytes]:
    return [encode_field(name, value) for name, value in headers._pairs]


def _says_close(connection: str | list[str] | None) -> bool:
    if connection is None:
        return False
    return "close" in split_list([connection] if isinstance(connection, str) else connection)


def _declared_length(known: int | None, field: str | list[str] | None) -> int | None:
    """The length of our body by what the caller knows and what the header says."""
    if field is None:
        return known
    if not isinstance(field, str) or not field.isascii() or not field.isdigit():
        raise LocalProtocolError(f"bad Content-Length {field!r}")
    length = int(field)
    if known is not None and known != length:
        raise LocalProtocolError(f"Content-Length says {length}, the body has {known} bytes")
    return length
