"""The options that a client has for the sockets it connects, as `galeph.transport.options` has them
for servers: `ClientOptions` is how they are written, `ClientSettings` the same as a value.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypedDict

from galeph._arguments import check_flag
from galeph.errors import ConnectError
from galeph.transport.arguments import check_port, is_address
from galeph.transport.base import Transport, address_text
from galeph.transport.names import SocketAddress, resolve
from galeph.transport.options import (
    check_hooks,
    check_keepalive,
    check_names,
    tcp_options,
    wrapped,
)
from galeph.transport.wiretap import Wiretap, to_wiretap

__all__ = ["ClientOptions", "ClientSettings"]

# Linux: leave the port to `connect`, which knows the peer and can share one among several peers;
# `bind` would take one that is free for all of them, and of those there are but 28,000.
_IP_BIND_ADDRESS_NO_PORT = 24
_INET = (socket.AF_INET, socket.AF_INET6)


class ClientOptions(TypedDict, total=False):
    """What `tcp.client`, `http.connection_pool` and `http.websocket_client` take beside their own.

    - ``local_address``: where to connect from: an address of this machine, or one with a port,
      ``("192.0.2.1", 7000)``. Addresses of the server's that are of the other family are left out.
    - ``tcp_nodelay``: send small messages at once (True).
    - ``tcp_keepalive``: after so many seconds of silence the kernel asks whether the peer is
      there, and ends the connection when it has not been for as long again (60); None is off.
    - ``on_socket``: is called with each socket before it is bound or connected, for options of
      one's own. Several may be tried for one connection.
    - ``on_transport``: is called with the connection's transport, after TLS, and returns the one to
      go on with. It may block; what it raises ends the connection and is in the Deferred.
    - ``wiretap``: log what happens on the connection, and a hex dump of what goes through it, at
      this level of `logging`, or by this `galeph.tcp.Wiretap`; True is "debug". Credentials in the
      fields of HTTP are masked. None, which is the default, is off.
    """

    local_address: str | tuple[str, int] | None
    tcp_nodelay: bool
    tcp_keepalive: float | None
    on_socket: Callable[[socket.socket], object] | None
    on_transport: Callable[[Transport], Transport] | None
    wiretap: bool | str | int | Wiretap | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """`ClientOptions` as a value.

    Raises:
        TypeError, ValueError: an option is not what it should be; the text names it.
    """

    local_address: str | tuple[str, int] | None = None
    # As for servers, and for the same reasons.
    tcp_nodelay: bool = True
    tcp_keepalive: float | None = 60.0
    on_socket: Callable[[socket.socket], object] | None = None
    on_transport: Callable[[Transport], Transport] | None = None
    wiretap: bool | str | int | Wiretap | None = None
    _tap: Wiretap | None = field(init=False, default=None, repr=False)
    _local: SocketAddress | None = field(init=False, default=None, repr=False)

    def __new__(cls, **options: Any) -> Self:
        """Refuse what is no option: the error of Python's own would name this class."""
        check_names(cls, options)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        check_flag("tcp_nodelay", self.tcp_nodelay)
        check_keepalive(self.tcp_keepalive)
        check_hooks(self, "on_socket", "on_transport")
        object.__setattr__(self, "_tap", to_wiretap(self.wiretap))
        if self.local_address is not None:
            object.__setattr__(self, "_local", _to_local(self.local_address))

    def usable(self, addresses: Sequence[SocketAddress], target: str) -> Sequence[SocketAddress]:
        """Return those of a server's addresses that can be reached from here.

        Raises:
            ConnectError: there is none.
        """
        local = self._local
        if local is None:
            return addresses
        found = [address for address in addresses if address.family == local.family]
        if not found:
            text = f"{target} has no address of the family of local_address {local.address[0]}"
            raise ConnectError(errno.EAFNOSUPPORT, text)
        return found

    def prepare(self, sock: socket.socket) -> None:
        """Set a new socket up, before it is connected. Never blocks.

        Raises:
            OSError: the system refuses; the local address is not of this machine, or in use.
        """
        is_inet = sock.family in _INET
        if is_inet:
            for option in tcp_options(nodelay=self.tcp_nodelay, keepalive=self.tcp_keepalive):
                sock.setsockopt(*option)
        if self.on_socket is not None:
            self.on_socket(sock)
        if is_inet and self._local is not None:
            if self._local.address[1]:
                # Of a connection from this port that has just ended a trace is left (TIME_WAIT).
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            try:
                sock.bind(self._local.address)
            except OSError as error:
                host, port = self._local.address[:2]
                where = address_text(host, port) if port else host
                raise OSError(error.errno, f"{error.strerror}: local_address {where}") from None

    def wrap(self, transport: Transport) -> Transport:
        """Put around a new connection's transport what is asked for. May block."""
        if self._tap is not None:
            transport = self._tap(transport)
        return transport if self.on_transport is None else wrapped(transport, self.on_transport)


def _to_local(value: Any) -> SocketAddress:
    host, port = value if isinstance(value, tuple) and len(value) == 2 else (value, 0)
    if not isinstance(host, str):
        raise TypeError(f"local_address must be an address, or one with a port, not {value!r}")
    check_port(port, name="local_address: the port")
    if not is_address(host):
        raise ValueError(
            f"local_address must be an address of this machine as numbers, not {host!r}"
        )
    # Being an address it is read, and nobody is asked.
    return resolve(host, port)[0]
