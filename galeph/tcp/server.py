"""`start_server`: a greenlet for each connection, which calls the handler and closes the stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Unpack

from galeph import clock
from galeph._arguments import check_flag
from galeph.deferred import Deferred, to_deferred
from galeph.deferred.producer import on_ready
from galeph.errors import Rejected, RemoteProtocolError, WriteTimeout
from galeph.tcp.patience import Patience
from galeph.tcp.stream import TcpStream
from galeph.tls import to_server_context
from galeph.transport.arguments import check_handler
from galeph.transport.base import ConnectionInfo
from galeph.transport.deadlines import Deadlines
from galeph.transport.options import ServerOptions, ServerSettings, check_names
from galeph.transport.serving import Connection, Server, serve_connections

__all__ = ["start_server"]


def start_server(
    handler: Callable[[TcpStream, ConnectionInfo], object],
    port: int = 0,
    *,
    host: str = "127.0.0.1",
    tls: Any = None,
    listen_socket: Any = None,
    backlog: int = 1024,
    max_connections: int | None = 10_000,
    tls_timeout: float | None = 10.0,
    idle_timeout: float | None = None,
    write_timeout: float | None = None,
    shutdown_timeout: float | None = 15.0,
    executor: Any = None,
    shutdown_executor: bool = True,
    **options: Unpack[ServerOptions],
) -> Server:
    """Serve TCP: call ``handler(stream, info)`` for every connection, in a greenlet of its own.

    It is listening when this returns. The handler may block. When it has returned, and the
    Deferred or Greenlet that it may have returned is done, the connection lasts for as long as
    something is connected to the stream, and is closed then. What the handler raises closes the
    connection and is logged once. ``stream.closing`` tells a handler that the server is closing.

    Args:
        handler: gets the stream and who is at its ends.
        port: 0 lets the system choose; see `Server.port`.
        host: the interface; an address, a name, or "" for every IPv4 interface.
        tls: an ``ssl.SSLContext``, a dict of options for `galeph.tls.certificates`, or what that
            has made.
        listen_socket: a listening socket or descriptor to use instead, or a list of them. They
            stay yours to close.
        backlog: how many connections the kernel may hold for us (it caps this itself).
        max_connections: above it none is accepted until one has ended; None is no limit.
        tls_timeout: seconds for a handshake; None is no limit.
        idle_timeout: seconds without a byte in either direction after which a connection is
            closed, so that takers see the end; None, for the protocol is yours, is no limit.
        write_timeout: seconds without any progress of what is being put, after which a connection
            fails with `WriteTimeout`: takers see it, and puts return False. None is no limit.
        shutdown_timeout: seconds for what is under way when the server is closed, where
            `Server.close` is not told otherwise; None is no limit.
        executor: runs the handlers, in greenlets of this thread, in place of the connections'
            own: `galeph.executor.fixed_executor(100)` runs a hundred at a time and measures them.
            A connection that it rejects is reset and counted as refused.
        shutdown_executor: whether the executor is shut down when the server has ended.
        options: what every server has: `ServerOptions`.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        TransportError: the address cannot be listened on.
    """
    check_names(ServerSettings, options)
    check_handler(handler)
    if not (executor is None or hasattr(executor, "submit")):
        raise TypeError(f"executor must have a submit(), not {executor!r}")
    check_flag("shutdown_executor", shutdown_executor)
    service = _Service(handler, Patience(idle_timeout, write_timeout), executor)
    return serve_connections(
        service.serve,
        host=host,
        port=port,
        listen_socket=listen_socket,
        backlog=backlog,
        max_connections=max_connections,
        tls_context=to_server_context(tls),
        tls_timeout=tls_timeout,
        shutdown_timeout=shutdown_timeout,
        count=service.patience.counts,
        on_end=executor.shutdown if executor is not None and shutdown_executor else None,
        **options,
    )


class _Service:
    """What the connections of one server share."""

    def __init__(
        self,
        handler: Callable[[TcpStream, ConnectionInfo], object],
        patience: Patience,
        executor: Any,
    ) -> None:
        self._handler = handler
        self.patience = patience
        self._executor = executor
        self._deadlines = Deadlines(clock.default())

    def serve(self, connection: Connection) -> None:
        """Serve one connection until it ends."""
        if connection.is_draining:
            return
        stream = self.patience.stream_of(connection.transport, lambda: self._deadlines)
        connection.transport = stream.transport
        connection.on_drain = stream.prepare_to_end
        try:
            if self._executor is None:
                result = self._handler(stream, stream.info)
            else:
                result = self._run_elsewhere(connection, stream)
            if result is not None and hasattr(result, "rawlink"):
                awaited = to_deferred(result)
                on_ready(awaited, _close_if_failed, stream, awaited)
                stream.keep_while_connected()
                awaited.get()  # what it did may have connected the stream to something
            stream.keep_while_connected()
        except (RemoteProtocolError, WriteTimeout) as error:
            if not stream.has_failed_with(error):
                raise
            # The peer's doing: a line, and no traceback.
            connection.log(logging.INFO, "given up: %s", error)
        finally:
            stream.close()

    def _run_elsewhere(self, connection: Connection, stream: TcpStream) -> object:
        """Have the executor run the handler, wait for it, and return what it returns."""
        try:
            work: Deferred[object] = self._executor.submit(self._handler, stream, stream.info)
        except Rejected as error:
            connection.refuse(str(error))
            return None
        try:
            return work.get()
        except BaseException:
            work.cancel()  # if it was the wait that was interrupted, and not the work
            raise


def _close_if_failed(stream: TcpStream, awaited: Deferred[Any]) -> None:
    if not awaited.successful():
        stream.close()
