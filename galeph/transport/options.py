"""The options that every server has, whatever it speaks: one place that names them.

`ServerOptions` is how they are written in a call, and what a type checker holds them to;
`ServerSettings` is the same as a value, with the defaults, and checks itself. A server's own
function takes ``**options: Unpack[ServerOptions]`` and hands them on unread.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, TypedDict

from galeph._arguments import check_count, check_flag, check_seconds
from galeph.transport.addresses import to_addresses
from galeph.transport.base import Transport
from galeph.transport.proxied import TrustedPeers
from galeph.transport.wiretap import Wiretap, to_wiretap

__all__ = [
    "ServerOptions",
    "ServerSettings",
    "check_hooks",
    "check_keepalive",
    "check_names",
    "tcp_options",
    "wrapped",
]

_MOST_MODE = 0o777
_MOST_KEEPALIVE = 32767
# What `Transport` asks for.
_OF_A_TRANSPORT = tuple(name for name in vars(Transport) if not name.startswith("_"))


class ServerOptions(TypedDict, total=False):
    """What `tcp.start_server` and `http.start_server` take beside their own arguments.

    Where to listen:

    - ``address``: in place of ``host`` and ``port``: ``(host, port)``, a path, ``"unix:/path"``,
      ``"unix:@name"`` for an abstract name, or a list of these.
    - ``unix_mode``: the permissions of a unix socket's file; 0o600, this user alone.
    - ``dual_stack``: have a socket on "::" take IPv4 too; otherwise IPv6 is IPv6 alone.
    - ``reuse_port``: let other processes that say the same listen on the same port
      (``SO_REUSEPORT``); the kernel spreads new connections over them.
    - ``on_socket``: is called with each listening socket before it is bound, for options of one's
      own; accepted connections inherit most. Not for sockets that were handed in.

    Connections:

    - ``max_connections_per_peer``: a further one from the same address is reset, and counted as
      refused. The 2**64 addresses of an IPv6 network count as one; a unix socket's peers have
      none, and no limit.
    - ``tcp_nodelay``: send small messages at once (True).
    - ``tcp_keepalive``: after so many seconds of silence the kernel asks whether the peer is
      there, and ends the connection when it has not been for as long again (60); None is off.
    - ``on_transport``: is called with the transport of each connection, after TLS, and returns the
      one to go on with. It may block; what it raises ends the connection.
    - ``wiretap``: log what happens on connections, and a hex dump of what goes through them, at
      this level of `logging`, or by this `galeph.tcp.Wiretap`; True is "debug". Credentials in the
      fields of HTTP are masked. None, which is the default, is off.

    Behind a load balancer:

    - ``proxy_protocol_from``: the networks ("10.0.0.0/8", "::1", "unix") whose connections begin
      with a PROXY header, of version 1 or 2. Connections from anywhere else are refused, and so
      are those without a valid header. ``info`` then has the addresses that the header says, and
      the header in ``info.proxy``.
    - ``proxy_timeout``: seconds for that header (5); None is no limit.
    """

    address: Any
    unix_mode: int
    dual_stack: bool
    reuse_port: bool
    on_socket: Callable[[socket.socket], object] | None
    max_connections_per_peer: int | None
    tcp_nodelay: bool
    tcp_keepalive: float | None
    on_transport: Callable[[Transport], Transport] | None
    wiretap: bool | str | int | Wiretap | None
    proxy_protocol_from: Sequence[str] | None
    proxy_timeout: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """`ServerOptions` as a value.

    Raises:
        TypeError, ValueError: an option is not what it should be; the text names it.
    """

    address: Any = None
    # Nobody else may connect unless that is asked for.
    unix_mode: int = 0o600
    # As asked for or not at all, and not as the system happens to be set up.
    dual_stack: bool = False
    reuse_port: bool = False
    on_socket: Callable[[socket.socket], object] | None = None
    # Off: behind a NAT or a balancer many are one. Who is exposed knows what is many.
    max_connections_per_peer: int | None = None
    # Answers are written whole; waiting for more would only delay them.
    tcp_nodelay: bool = True
    # A peer that vanished without a word would be kept for ever. It costs nothing until then.
    tcp_keepalive: float | None = 60.0
    on_transport: Callable[[Transport], Transport] | None = None
    # What people send is nobody's business, and costs as much as all the rest.
    wiretap: bool | str | int | Wiretap | None = None
    # Anyone can write a header: there is no way to take one without saying from whom.
    proxy_protocol_from: Sequence[str] | None = None
    # A balancer writes it with its first packet.
    proxy_timeout: float | None = 5.0

    def __new__(cls, **options: Any) -> Self:
        """Refuse what is no option: the error of Python's own would name this class."""
        check_names(cls, options)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        if self.address is not None:
            to_addresses(self.address)
        check_count("unix_mode", self.unix_mode, least=0, most=_MOST_MODE)
        for name in ("dual_stack", "reuse_port", "tcp_nodelay"):
            check_flag(name, getattr(self, name))
        check_hooks(self, "on_socket", "on_transport")
        check_count(
            "max_connections_per_peer", self.max_connections_per_peer, least=1, optional=True
        )
        check_keepalive(self.tcp_keepalive)
        to_wiretap(self.wiretap)
        check_seconds("proxy_timeout", self.proxy_timeout)
        if self.proxy_protocol_from is not None:
            TrustedPeers(self.proxy_protocol_from)

    def tcp_options(self) -> tuple[tuple[int, int, int], ...]:
        """What to set on a TCP socket: level, option and value."""
        return tcp_options(nodelay=self.tcp_nodelay, keepalive=self.tcp_keepalive)


def tcp_options(*, nodelay: bool, keepalive: float | None) -> tuple[tuple[int, int, int], ...]:
    """Return what to set on a TCP socket, of either side: level, option and value."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(nodelay))]
    if keepalive is not None:
        # Four questions in as long again as it was silent before the first.
        idle = math.ceil(keepalive)
        options += [
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, math.ceil(idle / 4))),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
        ]
    return tuple(options)


def check_names(settings: Any, options: Mapping[str, Any]) -> None:
    """Raise TypeError unless all of these are options, of what is made of them by this class."""
    for name in options:
        if not any(one.name == name and one.init for one in fields(settings)):
            raise TypeError(f"got an unexpected keyword argument {name!r}")


def check_keepalive(seconds: Any) -> None:
    """Raise TypeError or ValueError unless this can be ``tcp_keepalive``."""
    check_seconds("tcp_keepalive", seconds)
    if seconds is not None and seconds > _MOST_KEEPALIVE:
        raise ValueError(f"tcp_keepalive must be at most {_MOST_KEEPALIVE} s (tcp(7))")


def check_hooks(options: Any, *names: str) -> None:
    """Raise TypeError unless these options are functions, or None."""
    for name in names:
        hook = getattr(options, name)
        if hook is not None and not callable(hook):
            raise TypeError(f"{name} must be callable, not {hook!r}")


def wrapped(transport: Transport, hook: Callable[[Transport], Transport]) -> Transport:
    """Return what ``on_transport`` makes of a transport. May block.

    Raises:
        TypeError: it has returned something else, or nothing.
    """
    made = hook(transport)
    if not all(hasattr(made, name) for name in _OF_A_TRANSPORT):
        raise TypeError(f"on_transport must return a transport, not {made!r}")
    return made
