"""`Exchange`: what a request needs to know of the connection it came on.

The drivers of each protocol version implement it; requests, bodies and WebSockets use it and so
never learn which version they run on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from galeph.errors import HandshakeFailed
from galeph.http.body import BodyReader
from galeph.http.timeouts import Timeouts
from galeph.message.headers import Headers
from galeph.protocol.limits import Limits
from galeph.transport.base import ConnectionInfo, Transport

__all__ = ["AnyTenant", "Exchange", "HandshakeRefused", "Tenant"]


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

    def drain(self) -> None:
        """The server is shutting down: begin to end in order. Never blocks."""


AnyTenant = TypeVar("AnyTenant", bound=Tenant)


class Exchange(Protocol):
    """One request and its response, on some connection."""

    info: ConnectionInfo
    limits: Limits
    timeouts: Timeouts
    max_buffered_bytes: int

    def open_body(self) -> BodyReader:
        """Return the request's body to read from; called once."""

    @property
    def trailers(self) -> Headers | None:
        """The request's trailers, known once its body has been read."""

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
