"""Accepting connections, and going on accepting them.

`Listener` is gevent's ``StreamServer`` for its life cycle (one watcher, start, stop) with a
`do_read` of our own: raw file descriptors instead of gevent sockets, a bounded number of accepts
per wake-up so that running connections keep their turn, and an answer to every errno:

- nothing there, or a connection that died in the queue (``ECONNABORTED`` and what Linux passes on
  from the network): go on;
- no descriptors or memory (``EMFILE``, ``ENFILE``, ``ENOBUFS``, ``ENOMEM``, and anything unknown):
  stop, try again after 10 ms, doubling up to one second, with one log line an episode, as far as
  the rate allows it;
- the socket itself is not usable (``EBADF``, ``EINVAL``, ``ENOTSOCK``): stop for good, and say so.

Who is connected, and what is done with them, is `galeph.transport.serving`.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from gevent import spawn_raw
from gevent.monkey import get_original
from gevent.server import StreamServer

from galeph.errors import TransportError
from galeph.transport.base import address_text
from galeph.transport.names import SocketAddress, resolve
from galeph.transport.peer_log import PeerLog
from galeph.transport.places import Places

__all__ = ["Listener", "adopt_listen_socket", "bind_listen_socket"]

_log = logging.getLogger("galeph.server")

_ACCEPTS_PER_WAKE = 16
# accept(2): "treat them like EAGAIN by retrying".
_PASSING = frozenset(
    (
        errno.ECONNABORTED,
        errno.EINTR,
        errno.EPROTO,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        getattr(errno, "ENONET", errno.ENETDOWN),
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
    ),
)


# gevent's stubs know neither its watcher nor that a server may read plain descriptors.
_StreamServer: Any = StreamServer


class Listener(_StreamServer):  # type: ignore[misc]  # a class that is Any to mypy
    """Calls ``on_accept(fd, address)`` in the hub for every connection.

    Args:
        sock: bound, listening, not blocking, and ours to close.
        on_accept: takes the descriptor over; must not block.
        places: while they are taken, connections stay in the kernel's queue; `resume` looks again.
        peer_log: for the lines that peers can bring about.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_accept: Callable[[int, Any], None],
        places: Places,
        peer_log: PeerLog,
    ) -> None:
        super().__init__(sock, handle=on_accept)
        self._peer_log = peer_log
        self._places = places
        self.accept_errors = 0
        self._retry_after = 0.0

    @property
    def is_accepting(self) -> bool:
        """Whether a connection would be accepted now."""
        return self._watcher is not None and not self._places.are_taken()

    def do_read(self) -> None:
        """Accept what is there, up to 16."""
        sock, on_accept, are_taken = self.socket, self.handle, self._places.are_taken
        if are_taken():
            self.stop_accepting()
            self._places.note_waiting()
            return
        for _ in range(_ACCEPTS_PER_WAKE):
            try:
                fd, address = sock._accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._note_error(error)
            else:
                self._retry_after = 0.0
                on_accept(fd, address)
            # A connection is served as soon as it is accepted, and may have closed or filled us.
            # If another one waits then, the watcher says so at once.
            if self._watcher is None or are_taken():
                return

    def resume(self) -> None:
        """Accept again, if only fullness had stopped it. Never switches."""
        if self.started and self._watcher is None and self._timer is None:
            self.start_accepting()

    def _note_error(self, error: OSError) -> None:
        self.accept_errors += 1
        if error.errno in _PASSING:
            return
        if error.errno in self.fatal_errors:
            spawn_raw(_log.error, "%s cannot accept any more: %s", self.address, error)
            self.close()
            return
        if not self._retry_after:
            # In a greenlet of its own: a log handler may block, and this is the hub.
            text = "%s cannot accept for now: %s"
            spawn_raw(self._peer_log.log, logging.WARNING, text, self.address, error)
        self._retry_after = min(max(self._retry_after * 2, self.min_delay), self.max_delay)
        self.stop_accepting()
        self._timer = self.loop.timer(self._retry_after)
        self._timer.start(self._start_accepting_if_started)

    def start_accepting(self) -> None:
        """Start the watcher, and forget the timer that may have called us."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        super().start_accepting()


def bind_listen_socket(
    host: str,
    port: int,
    *,
    backlog: int,
    prepare: Callable[[socket.socket], object] | None = None,
) -> socket.socket:
    """Bind and listen. Blocks only to resolve ``host``, where that is a name.

    Args:
        host: the first address of a name is taken.
        port: 0 lets the system choose.
        backlog: as of ``listen``.
        prepare: is given the socket before it is bound.

    Raises:
        TransportError: the address is taken, not ours, or not allowed, or there are no descriptors;
            the errno says which.
        ResolveError: the host has no address.
    """
    # The empty host is every IPv4 interface.
    to = resolve(host or "0.0.0.0", port)[0]  # noqa: S104  (the caller asked for it)
    try:
        return _listening(to, backlog, prepare)
    except OSError as error:
        text = f"{error.strerror or error} (listening on {address_text(host, port)})"
        raise TransportError(error.errno, text) from error


def _listening(
    to: SocketAddress, backlog: int, prepare: Callable[[socket.socket], object] | None
) -> socket.socket:
    sock: socket.socket = get_original("socket", "socket")(to.family, to.kind, to.protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if prepare is not None:
            prepare(sock)
        sock.bind(to.address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def adopt_listen_socket(listen_socket: Any) -> socket.socket:
    """Return a socket of our own on the queue of ``listen_socket``, which stays the caller's.

    It is duplicated, because the caller may close his at any time and must not close ours. The two
    share one mode: the caller's becomes non-blocking too.

    Raises:
        TypeError: it is neither a socket nor a file descriptor.
        ValueError: it is not a listening stream socket, or not open.
    """
    if isinstance(listen_socket, int) and not isinstance(listen_socket, bool):
        fd = listen_socket
    elif hasattr(listen_socket, "fileno"):
        try:
            fd = listen_socket.fileno()
        except OSError as error:  # as `io.UnsupportedOperation`, it is a ValueError too
            raise ValueError(f"listen_socket has no file descriptor: {error}") from error
    else:
        raise TypeError(
            "listen_socket must be a listening socket or a file descriptor, "
            f"not {type(listen_socket).__name__}",
        )
    try:
        fd = os.dup(fd)
    except (OSError, OverflowError, TypeError) as error:
        raise ValueError(f"listen_socket: no open file descriptor: {error}") from error
    try:
        sock: socket.socket = get_original("socket", "socket")(fileno=fd)
    except OSError as error:
        os.close(fd)
        raise ValueError(f"listen_socket is no socket: {error}") from error
    try:
        if sock.type != socket.SOCK_STREAM:
            raise ValueError("listen_socket is not a stream socket")
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError("listen_socket is not listening: call its listen() first")
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
