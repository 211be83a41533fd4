"""`DatagramPeer`: a UDP socket that talks to one peer only, and is soon closed again.

The kernel gives it a port at random and, because the socket is connected, drops what comes from
anybody else. Unlike `DatagramSocket` it reads nothing ahead, and what the network answers to an
earlier datagram (nobody listens there) is told to whoever receives: for a question that is news.
"""

from __future__ import annotations

import socket
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original

from galeph.transport import forks
from galeph.transport.names import SocketAddress
from galeph.transport.seam import connect_error, connection_error

__all__ = ["DatagramPeer"]

_READ, _WRITE = 1, 2
# More than the longest datagram (65,507 bytes in IPv4).
_MAX_BYTES = 65536


class DatagramPeer:
    """A connected UDP socket.

    One greenlet uses it; `close` it in the end. Making it sends nothing.

    Raises:
        ConnectError: there is no way to the peer, or no descriptor left.
    """

    def __init__(self, to: SocketAddress) -> None:
        self._peer = f"{to.address[0]}:{to.address[1]}"
        self._hub: Any = get_hub()
        self._watchers: dict[int, Any] = {}
        try:
            sock: socket.socket = get_original("socket", "socket")(to.family, to.kind, to.protocol)
        except OSError as error:
            raise connect_error(error, f"asking {self._peer}") from error
        try:
            sock.setblocking(False)
            sock.connect(to.address)
        except OSError as error:
            sock.close()
            raise connect_error(error, f"asking {self._peer}") from error
        self._sock = sock
        forks.abandon_in_child(self)

    @property
    def address(self) -> Any:
        """Our own end."""
        return self._sock.getsockname()

    def send(self, data: bytes) -> None:
        """Block until the kernel has the datagram. Raises as `recv`."""
        while True:
            try:
                self._sock.send(data)
                return
            except BlockingIOError:
                self._wait(_WRITE)
            except OSError as error:
                raise connection_error(error, self._peer) from error

    def recv(self) -> bytes:
        """Block until the peer has sent a datagram, and return it.

        Raises:
            TransportError: the network has answered that it cannot be reached; the errno says why.
        """
        while True:
            self._wait(_READ)
            try:
                return self._sock.recv(_MAX_BYTES)
            except BlockingIOError:
                # Its checksum was wrong, and the kernel has thought better of it.
                continue
            except OSError as error:
                raise connection_error(error, self._peer) from error

    def _wait(self, event: int) -> None:
        watcher = self._watchers.get(event)
        if watcher is None:
            watcher = self._watchers[event] = self._hub.loop.io(self._sock.fileno(), event)
        self._hub.wait(watcher)

    def close(self) -> None:
        """Close the socket. Never switches."""
        self.abandon()
        forks.forget(self)

    def abandon(self) -> None:
        """Close our descriptor: for the child of a fork."""
        for watcher in self._watchers.values():
            watcher.stop()
            watcher.close()
        self._watchers.clear()
        self._sock.close()

    def __repr__(self) -> str:
        return f"<DatagramPeer {self._peer}>"
