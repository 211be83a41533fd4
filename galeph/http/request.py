"""`Request`: what a handler gets and what a client sends; one class for both sides.

On the server it is a thin view of the event the engine gave, and everything that costs something
(query, body, decoding) is made when it is first asked for. On the client, and in tests, it is
built from a URL.
"""

from __future__ import annotations

import json as _json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from galeph._arguments import named
from galeph.errors import DecodingError, LocalProtocolError
from galeph.http.body import BodyReader, BodySource
from galeph.message.fields import is_token
from galeph.message.headers import HeaderItems, Headers
from galeph.message.media_type import charset_of, parse_media_type
from galeph.message.query import parse_pairs
from galeph.message.url import Target, split_url
from galeph.stream import Source

if TYPE_CHECKING:
    from gevent.event import Event
    from multidict import MultiDictProxy

    from galeph.deferred import Deferred
    from galeph.http.exchange import Exchange
    from galeph.protocol import events
    from galeph.transport.base import TLSInfo

__all__ = ["Request"]

# Looked up once, not for each request.
_new = object.__new__


class Request:
    """An HTTP request.

    ``method`` and ``path`` are as received; ``path`` is raw (percent-encoded) and ``query_string``
    is what follows the first "?", "" when there is none. ``scheme`` is "http" or "https", ``host``
    the authority that was asked for. On the server ``remote_addr``, ``server_name``,
    ``server_port`` and ``tls`` describe the connection.

    Args:
        method: the method, as it is sent.
        url: an absolute URL, or a path beginning with "/".
        headers: a mapping or pairs.
        body: what to send: bytes, str, a file, an iterable, a Source, or None.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """

    method: str
    scheme: str
    host: str
    path: str
    query_string: str
    headers: Headers

    # Defaults on the class and not slots to fill: one request is made for each that comes in.
    http_version = "HTTP/1.1"
    _exchange: Exchange | None = None
    _body: Any = None
    _stream: Source[bytes] | None = None
    _query: MultiDictProxy[str] | None = None

    def __init__(
        self, method: str, url: str, headers: HeaderItems | None = None, body: Any = None
    ) -> None:
        if not isinstance(method, str):
            raise TypeError(f"method must be a str, not {method!r}")
        if not is_token(method):
            raise ValueError(f"method {method!r} is not a token")
        self.method = method
        self.scheme, self.host, self.path, self.query_string = split_url(url)
        try:
            self.headers = headers.copy() if isinstance(headers, Headers) else Headers(headers)
        except (TypeError, ValueError) as error:
            raise named("headers", error) from error
        self._body = body

    @classmethod
    def _from_event(cls, event: events.Request, exchange: Exchange, scheme: str) -> Request:
        """Make the request of a server's exchange. On the hot path: no call that can be spared."""
        self = _new(cls)
        self.method = event.method
        self.scheme = scheme
        self.host = event.authority
        self.path, _, self.query_string = event.target.partition("?")
        self.headers = event.headers
        if event.http_version != "HTTP/1.1":
            self.http_version = event.http_version
        self._exchange = exchange
        return self

    @classmethod
    def _to_target(cls, method: str, target: Target, headers: Headers, body: Any) -> Request:
        """Make the request of a client, of parts that have been checked."""
        self = cls.__new__(cls)
        self.method = method
        self.scheme = target.scheme
        self.host = target.authority
        self.path = target.path
        self.query_string = target.query_string
        self.headers = headers
        self._body = body
        return self

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"

    # The target

    @property
    def target(self) -> str:
        """Path and query as one, as it stands in the request line."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    @property
    def url(self) -> str:
        """The absolute URL that was asked for; only the target where no host is known."""
        return f"{self.scheme}://{self.host}{self.target}" if self.host else self.target

    @property
    def query(self) -> MultiDictProxy[str]:
        """The query string as a read-only multi-dict, decoded.

        Raises:
            DecodingError: it has more than 1,000 fields or is no UTF-8.
        """
        if self._query is None:
            try:
                self._query = parse_pairs(self.query_string)
            except ValueError as error:
                raise DecodingError(f"query string: {error}") from error
        return self._query

    # The connection

    @property
    def remote_addr(self) -> str:
        """The peer's address as text."""
        return self._on_server().info.remote_addr

    @property
    def remote_port(self) -> int:
        """The peer's port."""
        return self._on_server().info.remote_port

    @property
    def server_name(self) -> str:
        """The address the connection came in on."""
        return self._on_server().info.server_name

    @property
    def server_port(self) -> int:
        """The port the connection came in on."""
        return self._on_server().info.server_port

    @property
    def tls(self) -> TLSInfo | None:
        """What the TLS handshake agreed on; None without TLS."""
        return self._on_server().info.tls

    @property
    def disconnected(self) -> Deferred[bool]:
        """A Deferred that is realized when the client needs no answer any more.

        True: it has left (or the connection is lost or closed here) before its answer had gone
        out. False: the answer has gone out. Watching begins when this is first asked for, takes no
        greenlet and nothing from the connection; behind a request that has been pipelined the end
        is noticed up to a second late. To stop what nobody waits for::

            request.disconnected.on_realized(lambda _: subscription.close())

        A body that is a Source needs none of this: it is closed when the client leaves. A client
        that only ends its own side of the connection, and goes on reading, counts as gone.
        """
        return self._on_server().disconnected

    @property
    def closing(self) -> Event:
        r"""Set when the server begins to close: a body without an end should end now.

        Work that has an end need not look: it may go on until the server's time is up. For events
        that go on for ever::

            def events(request):
                while not request.closing.wait(1):
                    yield f"data: {time.time()}\n\n"
        """
        return self._on_server().closing

    def continue_(self) -> None:
        """Send ``100 Continue`` where the client waits for it; reading the body does so too."""
        self._on_server().continue_()

    def _on_server(self) -> Exchange:
        if self._exchange is None:
            raise LocalProtocolError("only a request that a server received has a connection")
        return self._exchange

    # The body

    @property
    def body(self) -> Any:
        """The body: on the server a binary file object, always; else what was given."""
        if self._body is None and self._exchange is not None:
            self._body = self._exchange.open_body()
        return self._body

    @body.setter
    def body(self, body: Any) -> None:
        self._body = body
        self._stream = None

    @property
    def stream(self) -> Source[bytes]:
        """The body as a Source, sharing its position with ``body``."""
        if self._stream is None:
            body = self.body
            if not isinstance(body, BodyReader):
                raise TypeError("only a received body can be taken as a stream")
            self._stream = BodySource(body)
        return self._stream

    @property
    def trailers(self) -> Headers | None:
        """The trailers, once the body has been read to its end; None where there are none."""
        return self._on_server().trailers

    def read(self) -> bytes:
        """Block until the body is complete and return it; each time the same.

        Raises:
            LocalProtocolError: a part of it has been read from `body` or `stream`.
            BodyTooLarge: it is above the server's ``max_buffered_body_bytes``. A handler that lets
                it pass answers 413.
            IncompleteBody, ReadTimeout, RemoteProtocolError: it did not arrive whole.
        """
        body = self.body
        if not isinstance(body, BodyReader):
            raise TypeError("only a received body can be read")
        return body.read_all(self._on_server().max_buffered_bytes)

    def text(self) -> str:
        """Return the body as text, in the charset of Content-Type, else UTF-8.

        Raises:
            DecodingError: it is not text in that charset. Unhandled, it is answered with 400.
        """
        data = self.read()
        try:
            return data.decode(charset_of(self.headers.get("content-type", "")))
        except (UnicodeError, LookupError) as error:
            raise DecodingError(f"request body: {error}") from error

    def json(self, loads: Callable[[bytes], Any] = _json.loads) -> Any:
        """Return the body parsed as JSON.

        Raises:
            DecodingError: it is no JSON. Unhandled, it is answered with 400.
        """
        data = self.read()
        try:
            return loads(data)
        except (ValueError, RecursionError) as error:
            raise DecodingError(f"request body: no JSON: {error}") from error

    def form(self) -> MultiDictProxy[str]:
        """Return the body of a URL-encoded form as a read-only multi-dict.

        Raises:
            DecodingError: it is of another type, or not such a form.
        """
        media_type, _ = parse_media_type(self.headers.get("content-type", ""))
        if media_type != "application/x-www-form-urlencoded":
            raise DecodingError(f"request body: {media_type or 'no type'} is no URL-encoded form")
        try:
            return parse_pairs(self.read().decode("ascii"))
        except ValueError as error:
            raise DecodingError(f"request body: {error}") from error
