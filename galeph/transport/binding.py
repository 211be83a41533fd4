"""From a server's options to sockets that listen.

All of them or none: where one of several addresses cannot be had, those before it are let go.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from galeph.transport.addresses import UnixAddress, to_addresses
from galeph.transport.listener import adopt_listen_socket, bind_listen_socket
from galeph.transport.options import ServerSettings
from galeph.transport.unix_files import UnixFile, bind_unix_socket

__all__ = ["ListenSocket", "open_listen_sockets"]

_EVERY_INTERFACE = (("0.0.0.0",), ("::",))  # noqa: S104  (compared with, not bound)


@dataclass(slots=True)
class ListenSocket:
    """A socket that listens, and what there is to know about it.

    ``accept_options`` are still to be set on what it accepts; ``file`` is a unix socket's that was
    made here. ``local`` is the address of our side of what it accepts, where that is known before.
    """

    sock: socket.socket
    accept_options: tuple[tuple[int, int, int], ...] = ()
    file: UnixFile | None = None
    address: Any = field(init=False)
    local: Any = field(init=False)
    kind: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.address = self.sock.getsockname()
        self.local = None if self.address[:1] in _EVERY_INTERFACE else self.address
        self.kind = (self.sock.family, self.sock.type, self.sock.proto)

    def close(self) -> None:
        """Let go of the name and the socket. Never switches."""
        # First the file: whoever starts next finds nothing that could look stale.
        if self.file is not None:
            self.file.remove()
        self.sock.close()


def open_listen_sockets(
    settings: ServerSettings, *, host: str, port: int, listen_socket: Any, backlog: int
) -> list[ListenSocket]:
    """Open what a server is to listen on; at least one.

    Args:
        settings: of the server.
        host: where to listen if neither of the following says otherwise.
        port: likewise.
        listen_socket: a socket or descriptor that was handed in, or a list of them.
        backlog: as of ``listen``.

    Raises:
        TypeError, ValueError: ``listen_socket`` is nothing that could be accepted from, or is
            given beside an address.
        TransportError: an address cannot be listened on.
    """
    wanted: list[Any]
    if listen_socket is not None:
        if settings.address is not None:
            raise ValueError("listen_socket and address are two ways to say it: give one of them")
        wanted = listen_socket if isinstance(listen_socket, list) else [listen_socket]
        if not wanted:
            raise ValueError("listen_socket must not be an empty list: nothing was handed in")
        open_one = partial(_adopt, settings)
    else:
        wanted = [(host, port)] if settings.address is None else to_addresses(settings.address)
        open_one = partial(_bind, settings, backlog)
    opened: list[ListenSocket] = []
    try:
        for one in wanted:
            opened.append(open_one(one))  # noqa: PERF401  (those before a failure are closed)
    except BaseException:
        for one in opened:
            one.close()
        raise
    return opened


def _adopt(settings: ServerSettings, handed_in: Any) -> ListenSocket:
    sock = adopt_listen_socket(handed_in)
    # It is shared with its owner, so it is left as it is; what it accepts is ours.
    options = settings.tcp_options() if _is_tcp(sock) else ()
    return ListenSocket(sock, options)


def _bind(settings: ServerSettings, backlog: int, address: Any) -> ListenSocket:
    prepare = partial(_prepare, settings)
    if isinstance(address, UnixAddress):
        sock, file = bind_unix_socket(
            address, backlog=backlog, mode=settings.unix_mode, prepare=prepare
        )
        return ListenSocket(sock, file=file)
    host, port = address if isinstance(address, tuple) else (address.host, address.port)
    sock = bind_listen_socket(host, port, backlog=backlog, prepare=prepare)
    return ListenSocket(sock)


def _prepare(settings: ServerSettings, sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not settings.dual_stack)
    if settings.reuse_port and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if _is_tcp(sock):
        # What it accepts inherits them: no system call for each connection.
        for option in settings.tcp_options():
            sock.setsockopt(*option)
    if settings.on_socket is not None:
        settings.on_socket(sock)


def _is_tcp(sock: socket.socket) -> bool:
    return sock.family in (socket.AF_INET, socket.AF_INET6)
