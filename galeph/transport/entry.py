"""What is done with a connection between being accepted and being served, step by step.

In this order: the PROXY header, which says who the peer is; the limit for one peer, which wants to
know that; the TLS handshake; the wire tap, and the user's own transport. A server that asks for
none of it has no steps, and its connections are served at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from galeph.transport.options import ServerSettings, wrapped
from galeph.transport.per_peer import PeerLimit
from galeph.transport.proxied import HeaderReader, TrustedPeers
from galeph.transport.wiretap import to_wiretap

if TYPE_CHECKING:
    from galeph.transport.serving import Connection

__all__ = ["Entry", "Step"]

# Blocks the connection's greenlet only; says whether the connection goes on.
Step = Callable[["Connection"], bool]


class Entry:
    """The way in of one server.

    Args:
        settings: what is asked for.
        shake_hands: the TLS handshake, if there is one.
    """

    __slots__ = ("_limit", "_on_transport", "_tap", "steps")

    def __init__(self, settings: ServerSettings, shake_hands: Step | None) -> None:
        self.steps: list[Step] = []
        self._limit: PeerLimit | None = None
        self._on_transport = settings.on_transport
        if settings.proxy_protocol_from is not None:
            trusted = TrustedPeers(settings.proxy_protocol_from)
            self.steps.append(HeaderReader(trusted, settings.proxy_timeout))
        if settings.max_connections_per_peer is not None:
            self._limit = PeerLimit(settings.max_connections_per_peer)
            self.steps.append(self._limit)
        if shake_hands is not None:
            self.steps.append(shake_hands)
        self._tap = to_wiretap(settings.wiretap)
        if self._tap is not None or settings.on_transport is not None:
            self.steps.append(self._wrap)

    def admits(self, connection: Connection) -> bool:
        """Block while the steps are done; say whether the connection may be served."""
        return all(step(connection) for step in self.steps)

    def leave(self, connection: Connection) -> None:
        """The connection has ended, wherever it was. Never switches."""
        if self._limit is not None:
            self._limit.leave(connection)

    def _wrap(self, connection: Connection) -> bool:
        if self._tap is not None:
            connection.transport = self._tap(connection.transport)
        if self._on_transport is not None:
            connection.transport = wrapped(connection.transport, self._on_transport)
        return True
