"""The sending half of an HTTP/1 connection: events to bytes, framed so that none can be misread.

It decides how our message is delimited (RFC 9112 section 6), and refuses what would make it a
different message for somebody else: fields it does not own, a body where none may be, more or
less body than was declared, trailers that would change what came before. A call that raises has
framed nothing and changed nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from galeph.errors import LocalProtocolError
from galeph.message.fields import encode_field, encode_fields, is_token, split_list, validate_field
from galeph.message.headers import Headers
from galeph.message.status import reason_phrase
from galeph.protocol.events import Data, EndOfMessage, InterimResponse, Request, Response
from galeph.protocol.policy import is_authority, is_trailer_allowed

__all__ = ["Sender"]

IDLE, BODY, DONE = range(3)
_FIXED, _CHUNKED, _UNTIL_CLOSE, _SILENT = range(4)

_CACHE_STATUS_LINES: dict[int, bytes] = {}


# Status line and field lines of the responses a server gives again and again, validated and
# without any say in framing; by status, defaults and fields. The date is among them, so that an
# entry serves for a second.
_CACHE_HEADS: dict[tuple[object, ...], _KnownHead] = {}
_CACHE_SIZE = 256
_CACHE_HEAD_BYTES = 1024
# Not with fields that have a say in framing, nor with what is another every time.
_UNCACHED = frozenset(("connection", "content-length", "set-cookie", "transfer-encoding"))


class _KnownHead:
    """Status line and field lines that were sent before, and the last whole head made of them."""

    __slots__ = ("_start", "last")

    def __init__(self, start: bytes) -> None:
        self._start = start
        # Length and head in one, since another thread's hub may use this, too.
        self.last = (-1, b"")

    def declare(self, length: int) -> bytes:
        """Return the head of a response with a body of this length."""
        head = b"%bContent-Length: %d\r\n\r\n" % (self._start, length)
        self.last = (length, head)
        return head


class Sender:
    """Frames one message after the other."""

    __slots__ = ("_kind", "_left", "keep_alive", "state")

    def __init__(self) -> None:
        self.state = IDLE
        self.keep_alive = True  # once False it stays so: the connection ends
        self._kind = _FIXED
        self._left = 0

    def give_up(self) -> None:
        """Send nothing more: closing tells the rest."""
        self.state = DONE
        self.keep_alive = False

    # Heads

    def send_interim(self, event: InterimResponse) -> list[bytes]:
        if self.state != IDLE:
            raise LocalProtocolError("an interim response after the final one")
        if not 100 <= event.status < 200:
            raise LocalProtocolError(f"{event.status} is not an interim status")
        for name in ("Content-Length", "Transfer-Encoding"):
            if name in event.headers:
                raise LocalProtocolError(f"{name} in an interim response")
        fields = encode_fields(event.headers._pairs)
        if event.status == 101:
            self.state = DONE
        start = _CACHE_STATUS_LINES.get(event.status) or _encode_status_line(event.status, "")
        return [b"".join([start, *fields, b"\r\n"])]

    def send_response(self, event: Response, method: str, peer_version: str) -> list[bytes]:
        """Frame a response head to a request with this method and version."""
        if self.state != IDLE:
            raise LocalProtocolError("a second response to one request")
        length = event.content_length
        if (
            length is not None
            and peer_version == "HTTP/1.1"
            and method not in ("HEAD", "CONNECT")
            and event.end_stream == (length == 0)
            and length >= 0
            and self.keep_alive
            and not event.reason
        ):
            known = _CACHE_HEADS.get((event.status, event.defaults, *event.headers._pairs))
            if known is not None:
                self._kind = _FIXED
                self._left = length
                self.state = BODY if length else DONE
                last, head = known.last
                return [head if last == length else known.declare(length)]
        return self._send_new_response(event, method, peer_version)

    def send_known(
        self, status: int, headers: Headers, defaults: tuple[tuple[str, str], ...], body: bytes
    ) -> bytes | None:
        """Frame a response whose head is like one that was sent before; None if there was none.

        Only for a body that is not empty, in answer to HTTP/1.1 and to a method that has one.
        """
        if self.keep_alive and self.state == IDLE:
            known = _CACHE_HEADS.get((status, defaults, *headers._pairs))
            if known is not None:
                self.state = DONE
                length = len(body)
                last, head = known.last
                return (head if last == length else known.declare(length)) + body
        return None

    def _send_new_response(self, event: Response, method: str, peer_version: str) -> list[bytes]:
        status = event.status
        if not 200 <= status <= 999:
            raise LocalProtocolError(f"{status} is not a final status")
        headers = event.headers
        if event.defaults:
            headers = headers.with_defaults(event.defaults)
        pairs: Sequence[tuple[str, str]] = headers._pairs
        index = headers._index
        if "transfer-encoding" in index:
            raise LocalProtocolError("Transfer-Encoding is galeph's to set")
        length = event.content_length
        if length is None or length < 0 or "content-length" in index:
            length = _declared_length(length, index.get("content-length"))
        line, kind = b"", _FIXED
        if status in (204, 304) or (method == "CONNECT" and status < 300):
            pairs = _bodyless_fields(event, headers, length)
            length = 0
        elif length is not None:
            if "content-length" not in index:
                line = b"Content-Length: %d\r\n" % length
        elif event.end_stream:
            if method != "HEAD":  # of what GET would send, nothing is known
                line = b"Content-Length: 0\r\n"
        elif peer_version != "HTTP/1.0":
            line, kind = b"Transfer-Encoding: chunked\r\n", _CHUNKED
        else:
            kind = _UNTIL_CLOSE
        if method == "HEAD":
            kind = _SILENT
        elif event.end_stream and length:
            raise LocalProtocolError(f"no body, but a Content-Length of {length}")
        keep_alive = self.keep_alive and kind != _UNTIL_CLOSE
        if "connection" in index or not keep_alive or peer_version == "HTTP/1.0":
            keep_alive, said = _settle_connection(headers, peer_version, keep_alive=keep_alive)
            line += said
            if not keep_alive:
                pairs = _without_keep_alive(pairs)
        start = _CACHE_STATUS_LINES.get(status)
        if start is None or event.reason:
            start = _encode_status_line(status, event.reason)
        start += b"".join(encode_fields(pairs))
        if not event.reason and status not in (204, 205, 304) and not _UNCACHED & index.keys():
            _remember_head((status, event.defaults, *event.headers._pairs), start)
        head = b"%b%b\r\n" % (start, line)
        self.keep_alive = keep_alive
        self._kind = kind
        self._left = length or 0
        self.state = DONE if event.end_stream else BODY
        return [head]

    def send_request(self, event: Request) -> list[bytes]:
        """Frame a request head."""
        if self.state != IDLE:
            raise LocalProtocolError("a request before the last one was complete")
        headers = event.headers
        index = headers._index
        _check_target(event)
        if "transfer-encoding" in index:
            raise LocalProtocolError("Transfer-Encoding is galeph's to set")
        if isinstance(index.get("host"), list):
            raise LocalProtocolError("more than one Host header")
        length = _declared_length(event.content_length, index.get("content-length"))
        if event.end_stream and length:
            raise LocalProtocolError(f"no body, but a Content-Length of {length}")
        if event.method == "CONNECT" and (length or not event.end_stream):
            raise LocalProtocolError("a CONNECT request has no body")
        lines = [f"{event.method} {event.target} HTTP/1.1\r\n".encode("ascii")]
        if "host" not in index:
            if not is_authority(event.authority):
                raise ValueError(f"authority {event.authority[:64]!r} is not a host and port")
            lines.append(encode_field("Host", event.authority))
        lines += encode_fields(headers._pairs)
        kind = _FIXED
        if length is None and not event.end_stream:
            kind = _CHUNKED
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif length is not None and "content-length" not in index:
            lines.append(b"Content-Length: %d\r\n" % length)
        lines.append(b"\r\n")
        if "close" in _connection_options(headers):
            self.keep_alive = False
        self._kind = kind
        self._left = length or 0
        self.state = DONE if event.end_stream else BODY
        return [b"".join(lines)]

    # Bodies

    def send_data(self, event: Data) -> Sequence[bytes]:
        data = event.data
        size = len(data)
        if self.state != BODY:
            if not size and self.state == DONE:
                return ()
            raise LocalProtocolError("body bytes outside of a message")
        kind = self._kind
        if kind == _FIXED:
            left = self._left - size
            if left < 0:
                raise LocalProtocolError("the body is longer than its Content-Length")
            if event.end_stream:
                if left:
                    raise _short_body(left)
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
        """End the body. Only chunks can carry trailers; framed otherwise, they are dropped."""
        if self.state == DONE:
            return ()
        if self.state != BODY:
            raise LocalProtocolError("the end of a message that has not begun")
        if self._kind == _FIXED and self._left:
            raise _short_body(self._left)
        fields = _trailer_fields(event.trailers) if event.trailers else []
        self.state = DONE
        return (b"".join([b"0\r\n", *fields, b"\r\n"]),) if self._kind == _CHUNKED else ()

    @property
    def ends_by_close(self) -> bool:
        """Whether only closing the connection can end the message that was sent."""
        return self._kind == _UNTIL_CLOSE


def _short_body(left: int) -> LocalProtocolError:
    return LocalProtocolError(f"the body is {left} bytes shorter than its Content-Length")


def _remember_head(key: tuple[object, ...], start: bytes) -> None:
    if len(start) <= _CACHE_HEAD_BYTES:
        if len(_CACHE_HEADS) >= _CACHE_SIZE:
            _CACHE_HEADS.clear()
        _CACHE_HEADS[key] = _KnownHead(start)


def _encode_status_line(status: int, reason: str) -> bytes:
    text = reason or reason_phrase(status)
    validate_field("reason", text)  # a reason phrase obeys the grammar of a value
    line = f"HTTP/1.1 {status:d} {text}\r\n".encode("latin-1")
    if not reason:
        _CACHE_STATUS_LINES[status] = line  # bounded: there are 900 statuses
    return line


def _bodyless_fields(
    event: Response, headers: Headers, length: int | None
) -> Sequence[tuple[str, str]]:
    """Return the fields of a head that no body may follow (RFC 9110 section 8.6)."""
    pairs = headers._pairs
    if event.status == 304:
        return pairs
    if length:
        raise LocalProtocolError(f"this {event.status} response cannot have a body")
    # Many applications say "Content-Length: 0" here, where it must not be said.
    return [pair for pair in pairs if pair[0].lower() != "content-length"]


def _trailer_fields(trailers: Headers) -> list[bytes]:
    for name in trailers:
        if not is_trailer_allowed(name):
            raise LocalProtocolError(f"{name} cannot be sent in trailers")
    return encode_fields(trailers._pairs)


def _connection_options(headers: Headers) -> list[str]:
    return split_list(headers.get_all("connection"))


def _settle_connection(
    headers: Headers, peer_version: str, *, keep_alive: bool
) -> tuple[bool, bytes]:
    """Return whether the connection is kept, and the line that has to be added to say so."""
    said = _connection_options(headers)
    if "close" in said:
        return False, b""
    if not keep_alive:
        return False, b"Connection: close\r\n"
    if peer_version == "HTTP/1.0" and "keep-alive" not in said:
        return True, b"Connection: keep-alive\r\n"
    return True, b""


def _without_keep_alive(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what contradicts that the connection is closed."""
    kept = []
    for name, value in pairs:
        if name.lower() == "connection" and "keep-alive" in value.lower():
            options = [option.strip(" \t") for option in value.split(",")]
            said = ", ".join(option for option in options if option.lower() != "keep-alive")
            if said:
                kept.append((name, said))
        else:
            kept.append((name, value))
    return kept


def _check_target(event: Request) -> None:
    """Refuse a request line that the peer would read as another one."""
    method, target = event.method, event.target
    if not is_token(method):
        raise ValueError(f"method {method[:64]!r} is not a token")
    if not target.isascii() or not target.isprintable() or " " in target or "#" in target:
        raise ValueError(f"target {target[:64]!r} holds characters that must be percent-encoded")
    if target[:1] == "/" and method != "CONNECT":
        return
    if target == "*" and method == "OPTIONS":
        return
    if method == "CONNECT":
        is_good = is_authority(target) and target.rpartition(":")[2].isdigit()
    else:
        is_good = target.startswith(("http://", "https://"))
    if not is_good:
        raise ValueError(f"target {target[:64]!r} does not suit {method}")


def _declared_length(known: int | None, field: str | list[str] | None) -> int | None:
    """The length of our body by what the caller knows and what the header says."""
    if known is not None and known < 0:
        raise LocalProtocolError(f"a body of {known} bytes")
    if field is None:
        return known
    # The same grammar as for what is received; not echoed, since it may be anything.
    if not (isinstance(field, str) and field.isascii() and field.isdigit() and len(field) < 20):
        raise LocalProtocolError("a Content-Length that is not one number")
    length = int(field)
    if known is not None and known != length:
        raise LocalProtocolError(f"Content-Length says {length}, the body has {known} bytes")
    return length
