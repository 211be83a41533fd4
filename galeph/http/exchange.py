"""`Exchange`: what a request needs to know of the connection it came on.

The drivers of each protocol version implement it; requests, bodies and WebSockets use it and so
never learn which version they run on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from gevent.event import Event

from galeph.deferred import Deferred
from galeph.errors import (
    HandshakeFailed,
    LocalProtocolError,
    ResourceClosed,
    TimedOut,
    TransportError,
)
from galeph.http.body import BodyReader
from galeph.http.departure import not_departed
from galeph.http.timeouts import Timeouts
from galeph.message.headers import Headers
from galeph.protocol.limits import Limits
from galeph.transport.base import ConnectionInfo, Transport

__all__ = ["AnyTenant", "EndedExchange", "Exchange", "HandshakeRefused", "NoTenant", "Tenant"]


class HandshakeRefused(HandshakeFailed):
    """A request asked for another protocol and cannot have it.

    ``response`` is the answer it gets if the handler lets this pass.
    """


class Tenant(Protocol):
    """Who lives on a connection after HTTP has left it (a WebSocket)."""

    def host(self, error: BaseException | None) -> None:
        """Run in the connection's own greenlet after the handler has returned.

        Blocks as long as the connection is in use; the connection is closed when it returns.
        ``error`` is what the handler raised, if it did: then end at once, and say so to the peer.
        """

    def explains(self, error: BaseException) -> bool:
        """Whether what the handler raised is only the news that the peer has ended the connection.

        That is no failure of the handler's.
        """

    def drain(self) -> None:
        """The server is shutting down: begin to end in order. Never blocks."""


class NoTenant:
    """Stands in while the 101 is on its way: if that fails, there is nobody to answer."""

    __slots__ = ()

    def host(self, error: BaseException | None) -> None:
        """Return at once."""

    def explains(self, error: BaseException) -> bool:
        """Whether ``error`` says that the connection broke."""
        return isinstance(error, (TransportError, ResourceClosed, TimedOut))

    def drain(self) -> None:
        """Do nothing."""


AnyTenant = TypeVar("AnyTenant", bound=Tenant)


class Exchange(Protocol):
    """One request and its response, on some connection."""

    info: ConnectionInfo
    closing: Event
    limits: Limits
    timeouts: Timeouts
    max_buffered_bytes: int

    def open_body(self) -> BodyReader:
        """Return the request's body to read from; called once."""

    @property
    def trailers(self) -> Headers | None:
        """The request's trailers, known once its body has been read."""

    @property
    def disconnected(self) -> Deferred[bool]:
        """True once the client has left, False once it has been answered; see `Request`."""

    def continue_(self) -> None:
        """Send 100 (Continue) if the client waits for it and nothing was answered yet."""

    def switch_protocol(
        self, headers: Headers, tenant: Callable[[Transport, bytes], AnyTenant]
    ) -> AnyTenant:
        """Answer 101 with ``headers`` and hand the connection over.

        ``tenant`` is called with the transport and the bytes that were already received behind
        the request; what it returns lives on the connection from then on.

        Raises:
            LocalProtocolError: the response has begun, or this version cannot switch.
        """


class EndedExchange:
    """What a request holds on to once it has been answered: facts, and nothing that can block."""

    __slots__ = ("closing", "info", "limits", "max_buffered_bytes", "timeouts", "trailers")

    def __init__(self, exchange: Exchange, trailers: Headers | None = None) -> None:
        self.info = exchange.info
        self.closing = exchange.closing
        self.limits = exchange.limits
        self.timeouts = exchange.timeouts
        self.max_buffered_bytes = exchange.max_buffered_bytes
        self.trailers = trailers

    def open_body(self) -> BodyReader:
        """Return an empty body: what was not read by then is gone."""
        reader = BodyReader()
        reader.close()
        return reader

    @property
    def disconnected(self) -> Deferred[bool]:
        """A deferred of False: the answer has gone out."""
        return not_departed()

    def continue_(self) -> None:
        """Raise LocalProtocolError."""
        raise LocalProtocolError("the request has been answered already")

    def switch_protocol(self, headers: Headers, tenant: Callable[..., AnyTenant]) -> AnyTenant:  # noqa: ARG002  (the signature of Exchange)
        """Raise LocalProtocolError."""
        text = "the request has been answered already: its connection stays with HTTP"
        raise LocalProtocolError(text)
