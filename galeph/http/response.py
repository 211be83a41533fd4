"""`Response`: what a handler returns and what a client gets; one class for both sides."""

from __future__ import annotations

import json as _json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, Self

from galeph._arguments import named
from galeph.errors import DecodingError, StatusError
from galeph.http.body import BodyReader, BodySource
from galeph.message.headers import HeaderItems, Headers
from galeph.message.media_type import charset_of
from galeph.message.status import reason_phrase
from galeph.stream import Source

if TYPE_CHECKING:
    from galeph.protocol import events

__all__ = ["Incoming", "Response"]

_DEFAULT_BUFFERED_BYTES = 64 * 1024 * 1024


class Incoming(Protocol):
    """What a response knows of the exchange that its body still comes from."""

    trailers: Headers | None


class Response:
    """An HTTP response.

    Args:
        status: 200 to 999.
        headers: a mapping (a list as value repeats the name) or pairs.
        body: bytes or str (sent whole, str as UTF-8); None (empty); a binary file object; an
            iterable or generator of bytes or str, each item sent at once; a Source, each message
            sent at once; a Deferred of any of these.
        trailers: fields to send behind a body without a declared length.

    Raises:
        TypeError, ValueError: the status or a header cannot be sent; the text names the argument.

    On the client ``body`` is a `BodyReader`, and the response owns its connection until the body
    has been read to its end or `close` is called; ``with response:`` does that.
    """

    # Defaults on the class and not slots to fill: one is made a request, and three of these differ.
    reason = ""
    http_version = ""
    url = ""
    max_buffered_bytes = _DEFAULT_BUFFERED_BYTES
    _trailers: Headers | None = None
    _incoming: Incoming | None = None
    _stream: Source[bytes] | None = None

    def __init__(
        self,
        status: int = 200,
        headers: HeaderItems | None = None,
        body: Any = None,
        *,
        trailers: HeaderItems | None = None,
    ) -> None:
        if type(status) is not int:
            if isinstance(status, bool) or not isinstance(status, int):
                raise TypeError(f"status must be an int, not {status!r}")
            status = int(status)  # an HTTPStatus, which would be slower and print as itself
        if not 200 <= status <= 999:
            raise ValueError(f"status must be from 200 to 999, not {status}")
        self.status = status
        try:
            self.headers = headers if type(headers) is Headers else Headers(headers)
        except (TypeError, ValueError) as error:
            raise named("headers", error) from error
        self.body = body
        if trailers is not None:
            self.trailers = trailers

    @classmethod
    def _from_event(
        cls, event: events.Response, body: BodyReader, incoming: Incoming | None, url: str
    ) -> Response:
        """Make the response of a client's exchange. On the hot path, like `Request._from_event`."""
        self = cls.__new__(cls)
        self.status = event.status
        self.headers = event.headers
        self.body = body
        self._incoming = incoming
        self.reason = event.reason
        self.http_version = event.http_version
        self.url = url
        return self

    def __repr__(self) -> str:
        phrase = self.reason or reason_phrase(self.status)
        return f"<Response {self.status} {phrase}>"

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    def raise_for_status(self) -> Response:
        """Return this response if its status is below 400, else raise StatusError with it."""
        if self.status >= 400:
            phrase = self.reason or reason_phrase(self.status)
            raise StatusError(f"{self.status} {phrase} for {self.url}", self)
        return self

    @property
    def trailers(self) -> Headers | None:
        """The trailers: those to send; on the client those received, once the body has ended."""
        return self._trailers if self._incoming is None else self._incoming.trailers

    @trailers.setter
    def trailers(self, trailers: HeaderItems | None) -> None:
        self._incoming = None
        try:
            self._trailers = None if trailers is None else Headers(trailers)
        except (TypeError, ValueError) as error:
            raise named("trailers", error) from error

    # The body, on the client

    @property
    def stream(self) -> Source[bytes]:
        """The body as a Source, sharing its position with ``body``."""
        if self._stream is None:
            self._stream = BodySource(self._reader())
        return self._stream

    def bytes(self) -> bytes:
        """Block until the body is complete and return it; the connection is free afterwards.

        It is the same each time, until the response is closed.

        Raises:
            LocalProtocolError: a part of it has been read from `body` or `stream`.
            BodyTooLarge: it is larger than ``max_buffered_bytes``; read ``body`` in pieces instead.
            IncompleteBody, ReadTimeout, RemoteProtocolError: it did not arrive whole.
        """
        return self._reader().read_all(self.max_buffered_bytes)

    def text(self) -> str:
        """Return the body as text, in the charset of Content-Type, else UTF-8.

        Raises:
            DecodingError: it is not text in that charset.
        """
        data = self.bytes()
        try:
            return data.decode(charset_of(self.headers.get("content-type", "")))
        except (UnicodeError, LookupError) as error:
            raise DecodingError(f"response body: {error}", self) from error

    def json(self, loads: Callable[..., Any] = _json.loads) -> Any:
        """Return the body parsed as JSON.

        Raises:
            DecodingError: it is no JSON.
        """
        data = self.bytes()
        try:
            return loads(data)
        except (ValueError, RecursionError) as error:
            raise DecodingError(f"response body: no JSON: {error}", self) from error

    def lines(self) -> Iterator[str]:
        """Yield the body line by line as text, without the line ends, as it arrives.

        Raises:
            DecodingError: it is not text in the charset of Content-Type, else UTF-8.
        """
        try:
            charset = charset_of(self.headers.get("content-type", ""))
            for line in self._reader():
                yield line.rstrip(b"\r\n").decode(charset)
        except (UnicodeError, LookupError) as error:
            raise DecodingError(f"response body: {error}", self) from error

    def _reader(self) -> BodyReader:
        if not isinstance(self.body, BodyReader):
            raise TypeError("only a response that a client received has a body to read")
        return self.body

    # Closing

    def close(self) -> None:
        """Give up what was not read of the body, and with it the connection. Never blocks."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
