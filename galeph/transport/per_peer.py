"""How many connections one peer may have at a time."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from galeph.transport.base import ConnectionInfo

if TYPE_CHECKING:
    from galeph.transport.serving import Connection

__all__ = ["PeerLimit"]

# An IPv6 network: whoever has one address of it has them all (RFC 4291 section 2.5.4).
_NETWORK_BYTES = 8


class PeerLimit:
    """Counts the connections of each peer, and refuses those above the limit.

    A peer is an IPv4 address or an IPv6 network of 64 bits: the one that a PROXY header names,
    where there was one. Peers on unix sockets have no address, and are not counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[bytes, int] = {}

    def __call__(self, connection: Connection) -> bool:
        """Count a new connection, or refuse it; say whether it goes on."""
        peer = _peer_of(connection.transport.info)
        if peer is None:
            return True
        count = self._counts.get(peer, 0)
        if count >= self._limit:
            connection.refuse(f"this peer has {count} connections already")
            return False
        self._counts[peer] = count + 1
        connection.counted_as = peer
        return True

    def leave(self, connection: Connection) -> None:
        """A connection has ended, whether it was counted or not. Never switches."""
        peer, connection.counted_as = connection.counted_as, None
        if peer is None:
            return
        count = self._counts[peer] - 1
        if count:
            self._counts[peer] = count
        else:
            del self._counts[peer]

    def __len__(self) -> int:
        """How many peers there are."""
        return len(self._counts)


def _peer_of(info: ConnectionInfo) -> bytes | None:
    try:
        address = ip_address(info.remote_addr.partition("%")[0])
    except ValueError:  # a unix socket's path, or no address at all
        return None
    return address.packed[:_NETWORK_BYTES]
