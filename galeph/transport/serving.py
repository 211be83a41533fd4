"""A server as its connections see it: who is connected, and how all of that ends.

`Server` owns a `Listener` and the set of live connections. It knows no protocol: it is given
``serve(connection)``, which runs in a greenlet of the connection's own and returns when the
connection is over. TCP streams and HTTP are both built on it.

A connection's life
-------------------
The accept callback makes a `Connection` and switches straight into its greenlet, which runs until
it first blocks: no scheduling, and no moment at which a greenlet that has not begun holds a socket
it cannot close. The greenlet does the TLS handshake, if there is one, under its own deadline,
calls ``serve``, and closes the transport however ``serve`` ended.

How a server ends is `galeph.transport.drain`.
"""

from __future__ import annotations

import _socket
import contextvars
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Self, Unpack

from gevent import GreenletExit, get_hub
from gevent.event import Event
from greenlet import greenlet

from galeph import clock
from galeph._arguments import check_count, check_seconds
from galeph.deferred import Deferred
from galeph.deferred.producer import checks_thread
from galeph.errors import (
    ConnectionLost,
    GalephError,
    LeftToParent,
    ResourceClosed,
    TimedOut,
    TLSError,
)
from galeph.transport import forks
from galeph.transport.addresses import bound_address_text
from galeph.transport.arguments import check_host, check_port
from galeph.transport.base import Transport, address_text
from galeph.transport.binding import ListenSocket, open_listen_sockets
from galeph.transport.drain import Drain, DrainReport
from galeph.transport.entry import Entry
from galeph.transport.listener import Listener
from galeph.transport.options import ServerOptions, ServerSettings
from galeph.transport.peer_log import PeerLog
from galeph.transport.places import Places
from galeph.transport.server_stats import ServerStats
from galeph.transport.sockets import SocketTransport
from galeph.transport.tls import server_handshake
from galeph.transport.tls_failures import is_handshake_failure, note_handshake_failure

__all__ = ["Connection", "Server", "serve_connections"]

_log = logging.getLogger("galeph.server")

# The peer's doing or ours: what a handler meets on a connection that is lost is no bug of his.
_ENDS = (ConnectionLost, ResourceClosed, TLSError)
# What listen(2) takes; the kernel caps it far below.
_MOST_BACKLOG = 2**31 - 1


class Connection:
    """One accepted connection.

    What serves it may set two things, for the drain: ``is_idle``, while nothing would be lost by
    closing it; and ``on_drain``, called once, which must neither block nor raise, and makes the
    connection end soon. ``transport`` is the TLS transport once the handshake is done.
    """

    __slots__ = ("_server", "counted_as", "greenlet", "is_idle", "on_drain", "transport")

    def __init__(self, server: Server, transport: Transport) -> None:
        self._server = server
        self.transport = transport
        self.greenlet: greenlet = greenlet(self._run, server._hub)
        # A fresh copy each: what one connection sets, no other sees.
        self.greenlet.gr_context = server._context.copy()
        self.is_idle = False
        self.on_drain: Callable[[], object] | None = None
        self.counted_as: bytes | None = None

    @property
    def is_draining(self) -> bool:
        """Whether the server is closing: no new work should begin on this connection."""
        return self._server.is_closing

    @property
    def closing(self) -> Event:
        """Set when the server begins to close."""
        return self._server._closing

    def drain(self) -> None:
        """Ask the connection to end when its work in flight is done. Never blocks."""
        if self.on_drain is not None:
            self.on_drain()
        elif self.is_idle:
            self.transport.close()

    def cut(self) -> None:
        """End the connection whatever it is doing. Never blocks."""
        self.transport.abort(ResourceClosed("the server was closed before this had finished"))
        if not self.greenlet.dead:
            self._server._hub.loop.run_callback(self._kill)

    def _kill(self) -> None:
        if not self.greenlet.dead:
            self.greenlet.throw(GreenletExit)

    def _run(self) -> None:
        server = self._server
        failure: BaseException | None = None
        is_lost = False
        try:
            try:
                if not server._entry.steps or server._entry.admits(self):
                    server._serve(self)
            finally:
                is_lost = self.transport.closed
                self.transport.close()
        except GreenletExit:
            pass
        except BaseException as error:  # also a Ctrl-C in the middle of closing
            failure = error
        finally:
            server._discard(self)
        if failure is not None:
            self._report(failure, is_lost=is_lost)
            # Its traceback holds this frame: without this they would be a cycle.
            failure = None

    def _shake_hands(self) -> bool:
        server = self._server
        context, timeout = server._tls_context, server._tls_timeout
        self.is_idle = True  # nothing has been asked for yet
        try:
            self.transport = server_handshake(self.transport, context, timeout=timeout)
        except (GalephError, OSError) as error:
            note_handshake_failure(error, server._failed_handshakes, self.log)
            return False
        finally:
            self.is_idle = False
        return True

    def refuse(self, why: str) -> None:
        """Reset the connection before it is served, count that, and say why in the log."""
        self._server._refused += 1
        self.transport.abort()
        self.log(logging.INFO, "refused: %s", why)

    def log(self, level: int, message: str, *args: object) -> None:
        """Write a line about this peer, if the rate allows it."""
        self._server._peer_log.log(level, f"%s: {message}", self.peer, *args)

    def _report(self, failure: BaseException, *, is_lost: bool) -> None:
        """Say once what ended the handler: its bug, or a peer that left."""
        log = self._server._peer_log.log
        if isinstance(failure, (KeyboardInterrupt, SystemExit)):
            # To the main greenlet, as gevent does; it would be printed there and here.
            self._server._hub.handle_system_error(type(failure), failure, failure.__traceback__)
        elif (
            is_lost and isinstance(failure, GalephError | OSError) and is_handshake_failure(failure)
        ):
            note_handshake_failure(failure, self._server._failed_handshakes, self.log)
        elif is_lost and isinstance(failure, _ENDS):
            text = "%s: the connection ended under its handler: %s"
            log(logging.DEBUG, text, self.peer, failure)
        else:
            text = "%s: the handler of this connection failed"
            log(logging.ERROR, text, self.peer, exc_info=failure)

    @property
    def peer(self) -> str:
        """The peer's address, for a log line."""
        info = self.transport.info
        return address_text(info.remote_addr, info.remote_port)

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {'idle' if self.is_idle else 'busy'}>"


_OWNED = "server; from other threads: hub.loop.run_callback_threadsafe(server.close)"


@checks_thread("close wait stats", of=_OWNED)
class Server:
    """A listening server: what ``tcp.start_server`` and ``http.start_server`` return.

    As a context manager it drains and waits when left. It belongs to the hub that made it.
    """

    def __init__(
        self,
        opened: list[ListenSocket],
        serve: Callable[[Connection], object],
        *,
        settings: ServerSettings,
        max_connections: int | None,
        tls_context: Any,
        tls_timeout: float | None,
        shutdown_timeout: float | None,
        peer_log: PeerLog,
        count: Callable[[], Mapping[str, int]],
        on_end: Callable[[], object] | None,
    ) -> None:
        self._on_end = on_end
        self._count = count
        self._peer_log = peer_log
        self._hub: Any = get_hub()
        self._serve = serve
        self._tls_context = tls_context
        self._tls_timeout = tls_timeout
        self._shutdown_timeout = float("inf") if shutdown_timeout is None else shutdown_timeout
        self._context = contextvars.copy_context()
        self._connections: set[Connection] = set()
        self._opened = opened
        self._addresses = tuple(one.address for one in opened)
        self._where = ", ".join(map(bound_address_text, self._addresses))
        self._places = Places(self._connections, max_connections, self._where, peer_log)
        self._accepted = 0
        self._refused = 0
        self._parent: int | None = None
        self._failed_handshakes: Counter[str] = Counter()
        self._drain: Drain | None = None
        self._closing = Event()
        # Not an Event, whose limits go by the system's clock.
        self._over: Deferred[bool] = Deferred()
        self._entry = Entry(settings, None if tls_context is None else Connection._shake_hands)
        self._listeners = [
            Listener(one.sock, partial(self._accept, one), self._places, peer_log) for one in opened
        ]
        forks.abandon_in_child(self)
        for listener in self._listeners:
            listener.start()

    # Facts

    @property
    def address(self) -> Any:
        """What it listens on, as ``getsockname`` says: ``(host, port)``, or a path.

        The first, where there are several: see `addresses`.
        """
        return self._addresses[0]

    @property
    def addresses(self) -> tuple[Any, ...]:
        """Everything it listens on, in the order in which it was said."""
        return self._addresses

    @property
    def port(self) -> int:
        """The port it listens on, the first of several; 0 if there are unix sockets only."""
        return next((one[1] for one in self._addresses if isinstance(one, tuple)), 0)

    @property
    def is_closing(self) -> bool:
        """Whether `close` has been called."""
        return self._drain is not None

    @property
    def connections(self) -> Iterator[Connection]:
        """The live connections, at this moment."""
        return iter(tuple(self._connections))

    def stats(self) -> ServerStats:
        """Count what has happened and what is going on."""
        return ServerStats(
            active=len(self._connections),
            idle=sum(one.is_idle for one in self._connections),
            accepted=self._accepted,
            failed_handshakes=self._failed_handshakes.total(),
            accept_errors=sum(one.accept_errors for one in self._listeners),
            is_accepting=any(one.is_accepting for one in self._listeners),
            counts=self._count(),
            refused=self._refused,
            failed_handshakes_by=dict(self._failed_handshakes),
            times_full=self._places.times_full,
        )

    # Accepting

    def _accept(self, at: ListenSocket, fd: int, address: Any) -> None:
        try:
            # The C class alone: what Python's adds to it costs 2 µs here and when it is closed.
            sock: Any = _socket.socket(*at.kind, fileno=fd)
        except BaseException:
            _socket.close(fd)
            raise
        try:
            for option in at.accept_options:
                sock.setsockopt(*option)
            transport = SocketTransport(sock, is_server=True, peer=address, local=at.local)
            connection = Connection(self, transport)
        except OSError:
            # It was reset in the queue, and some systems refuse options on it.
            sock.close()
            return
        self._accepted += 1
        self._connections.add(connection)
        self._hub.loop.run_callback(transport.look)
        connection.greenlet.switch()
        if connection.greenlet.dead and connection in self._connections:
            # Killed before its first line: nobody else can close what it was given.
            connection.transport.close()
            self._discard(connection)

    def _discard(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._entry.steps:
            self._entry.leave(connection)
        if self._drain is not None:
            self._drain.note_end()
        elif self._places.are_wanted:
            self._places.note_end()
            for listener in self._listeners:
                listener.resume()

    # Closing

    def close(self, timeout: float | None = None) -> Deferred[DrainReport]:
        """Begin to end the server; return at once.

        Accepting stops, idle connections are closed, work in flight may go on for ``timeout``
        seconds and is then cut. Called again, an earlier deadline replaces a later one.

        Args:
            timeout: by default what the server was started with: `Timeouts.shutdown` of an HTTP
                server, 15 seconds otherwise.

        Returns:
            A deferred of what became of the connections, realized when none is left.

        Raises:
            TypeError, ValueError: ``timeout`` is no number of seconds. Nothing has happened.
            LeftToParent: this process was forked; the server is its parent's.
        """
        self._check_ours()
        if timeout is None:
            timeout = self._shutdown_timeout
        check_seconds("timeout", timeout, zero=True, optional=False)
        if self._drain is None:
            self._stop_listening()
            self._drain = Drain(self._connections, self._end)
            self._closing.set()
            self._drain.begin()
        return self._drain.end_within(timeout)

    def _stop_listening(self) -> None:
        # The file first, as in `ListenSocket.close`; a listener closes its socket with its watcher.
        for one, listener in zip(self._opened, self._listeners, strict=True):
            if one.file is not None:
                one.file.remove()
            listener.close()

    def _end(self) -> None:
        forks.forget(self)
        self._over.success(True)
        if self._on_end is not None:
            self._on_end()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the server has been closed and its last connection has ended.

        Args:
            timeout: the most seconds to wait; 0 or less never waits, None is no limit.

        Raises:
            TimedOut: that took longer than ``timeout``.
            LeftToParent: this process was forked; the server is its parent's.
        """
        self._check_ours()
        clock.check_limit("timeout", timeout)
        if not self._over.result(timeout, default=False):
            raise TimedOut(f"{self} was not closed within {timeout} s")

    def serve_forever(self) -> None:
        """Block until the server has been closed. Installs no signal handlers."""
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.wait()

    def abandon(self) -> None:
        """Close the descriptors of a forked child's copy; its parent goes on listening.

        The file of a unix socket stays, for it is the parent's.
        """
        self._parent = os.getppid()
        for listener in self._listeners:
            listener.close()

    def _check_ours(self) -> None:
        if self._parent is not None:
            raise LeftToParent(
                f"this server is that of the process that forked this one ({self._parent}), and "
                "goes on there; start another one here"
            )

    def __repr__(self) -> str:
        state = "closed" if self._over.ready() else "closing" if self._drain else "listening"
        if self._parent is not None:
            state = "left to the parent process"
        return f"<Server {self._where} {state} connections={len(self._connections)}>"


def serve_connections(
    serve: Callable[[Connection], object],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    listen_socket: Any = None,
    backlog: int = 1024,
    max_connections: int | None = 10_000,
    tls_context: Any = None,
    tls_timeout: float | None = 10.0,
    shutdown_timeout: float | None = 15.0,
    peer_log: PeerLog | None = None,
    count: Callable[[], Mapping[str, int]] = dict,
    on_end: Callable[[], object] | None = None,
    **options: Unpack[ServerOptions],
) -> Server:
    """Listen, and run ``serve(connection)`` in a greenlet for every connection.

    It is listening when this returns. Connections are closed when ``serve`` has returned or
    raised; what it raises is logged once, with the peer, unless the peer's leaving was the cause.
    Of the lines of one level at most ten a second are written; the others are counted.

    Args:
        serve: serves one connection, in blocking style.
        host: the interface; an address, a name, or "" for every IPv4 interface.
        port: 0 lets the system choose; see `Server.port`.
        listen_socket: a listening socket or descriptor to use in their place. It stays yours.
        backlog: how many connections the kernel may hold for us (it caps this itself).
        max_connections: above it none is accepted until one has ended; None is no limit.
        tls_context: an ``ssl.SSLContext`` of the server's side, or what chooses one
            (`galeph.transport.tls.ContextChooser`); None for plain TCP.
        tls_timeout: seconds for a handshake; None is no limit.
        shutdown_timeout: seconds for what is under way when the server is closed, where `close`
            is not told otherwise; None is no limit.
        peer_log: writes what is to be said about peers; by default one of the server's own.
        count: returns what `Server.stats` shows as ``counts``.
        on_end: is called when the server has been closed and its last connection has ended.
        options: see `ServerOptions`.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        TransportError: the address cannot be listened on.
    """
    check_host(host)
    check_port(port)
    check_count("backlog", backlog, least=1, most=_MOST_BACKLOG)
    check_count("max_connections", max_connections, least=1, optional=True)
    check_seconds("tls_timeout", tls_timeout)
    check_seconds("shutdown_timeout", shutdown_timeout, zero=True)
    settings = ServerSettings(**options)
    opened = open_listen_sockets(
        settings, host=host, port=port, listen_socket=listen_socket, backlog=backlog
    )
    try:
        return Server(
            opened,
            serve,
            settings=settings,
            max_connections=max_connections,
            tls_context=tls_context,
            tls_timeout=tls_timeout,
            shutdown_timeout=shutdown_timeout,
            peer_log=PeerLog(_log) if peer_log is None else peer_log,
            count=count,
            on_end=on_end,
        )
    except BaseException:
        for one in opened:
            one.close()
        raise
