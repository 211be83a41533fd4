"""The one event vocabulary of every HTTP version.

An engine turns bytes into these and these into bytes; drivers, bodies, handlers and WebSockets
never ask which version they run on. HTTP/1 uses ``stream_id`` 0 for its single exchange at a
time; HTTP/2 uses the stream's number.

``end_stream`` on a head or on `Data` means that nothing follows it on that stream; otherwise the
message is ended by `EndOfMessage`, which carries the trailers. Events are plain slotted
dataclasses rather than frozen ones: a frozen one costs three times as much to make, and one or
two are made a request.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from galeph.message.headers import Headers

__all__ = [
    "Closed",
    "Credit",
    "Data",
    "EndOfMessage",
    "Event",
    "GoAway",
    "InterimResponse",
    "NeedData",
    "Paused",
    "Request",
    "Response",
    "StreamReset",
]


@dataclass(slots=True)
class Request:
    """A request head.

    ``target`` is the path and query as received (or an authority for CONNECT, ``*`` for
    OPTIONS); ``scheme`` is None where the version does not carry one (HTTP/1 origin form), and
    ``authority`` is what the Host header or the target says, "" for an HTTP/1.0 request without.
    ``content_length`` is None where the length is not declared.
    """

    method: str
    target: str
    headers: Headers
    scheme: str | None = None
    authority: str = ""
    http_version: str = "HTTP/1.1"
    content_length: int | None = None
    expects_continue: bool = False
    end_stream: bool = True
    stream_id: int = 0


@dataclass(slots=True)
class InterimResponse:
    """A 1xx head (100 Continue, 103 Early Hints): another head follows. 101 ends HTTP."""

    status: int
    headers: Headers = field(default_factory=Headers)
    stream_id: int = 0


@dataclass(slots=True)
class Response:
    """A final response head.

    ``content_length`` None with ``end_stream`` False means that the body is framed by chunks, by
    the stream's end, or (HTTP/1.0) by the connection's. ``defaults`` are fields to send where
    ``headers`` does not have them: kept apart, so that what a server says in every response is
    neither merged nor encoded for each.
    """

    status: int
    headers: Headers
    reason: str = ""
    http_version: str = "HTTP/1.1"
    content_length: int | None = None
    end_stream: bool = False
    stream_id: int = 0
    defaults: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Data:
    """A piece of a body. ``end_stream`` says that it is the last and that no trailers follow."""

    data: bytes
    end_stream: bool = False
    stream_id: int = 0


@dataclass(slots=True)
class EndOfMessage:
    """The end of a message, with the trailers it had."""

    trailers: Headers | None = None
    stream_id: int = 0


@dataclass(slots=True)
class StreamReset:
    """One side gives a stream up. On HTTP/1 the connection ends with it."""

    error_code: int = 0
    by_peer: bool = True
    stream_id: int = 0


@dataclass(slots=True)
class Credit:
    """The peer lets us send this many bytes more (HTTP/2 WINDOW_UPDATE); 0 is the connection."""

    increment: int
    stream_id: int = 0


@dataclass(slots=True)
class GoAway:
    """The peer starts no more work: streams above ``last_stream_id`` were not processed."""

    last_stream_id: int
    error_code: int = 0


@dataclass(slots=True)
class Closed:
    """The peer has closed its side cleanly, between messages."""


@dataclass(slots=True)
class NeedData:
    """Nothing to report before more bytes are received."""


@dataclass(slots=True)
class Paused:
    """Bytes are held back until our side of this exchange is complete (or the protocol changes)."""


Event = (
    Request
    | InterimResponse
    | Response
    | Data
    | EndOfMessage
    | StreamReset
    | Credit
    | GoAway
    | Closed
    | NeedData
    | Paused
)

NEED_DATA = NeedData()
PAUSED = Paused()
CLOSED = Closed()
