"""TCP: a connection as a duplex stream of bytes.

A `TcpStream` has no greenlet and no queue of its own. A take receives from the transport in the
taker's greenlet, and a put sends in the putter's and returns when the kernel has the bytes; that
blocking is the back-pressure. Messages are bytes, cut as they happened to arrive: TCP has no
message boundaries.

How a connection ends
---------------------
- The peer ends its side: takes drain, puts go on until we close.
- It breaks: takes give what had arrived, then raise `ConnectionLost`; puts return False.
- On a server: when the handler has returned, what it returned (a Deferred or Greenlet) is done,
  and nothing is connected to the stream any more. While something is, the connection's greenlet
  moves its messages, or watches for the peer's end (`galeph.stream.hosting.host`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Unpack

from gevent.event import Event

from galeph import clock
from galeph._arguments import check_exception, check_flag, check_seconds
from galeph.byte_streams import to_bytes
from galeph.deferred import Deferred, future, to_deferred
from galeph.deferred.producer import on_ready, owns
from galeph.dns import default_resolver
from galeph.errors import Rejected, ResourceBusy, ResourceClosed, TransportError
from galeph.protocol.proxy_header import ProxyHeader
from galeph.stream.active import ActiveSource, TransportSink
from galeph.stream.hosting import host as host_stream
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.ownership import checks_owner
from galeph.tls import to_client_context, to_server_context
from galeph.transport.arguments import check_handler, check_host
from galeph.transport.base import ConnectionInfo, EndWatch, Transport
from galeph.transport.connect import connect
from galeph.transport.deadlines import Deadlines
from galeph.transport.drain import DrainReport
from galeph.transport.idle import IdleTransport
from galeph.transport.metering import MeteredTransport
from galeph.transport.names import Resolver, check_endpoint, check_resolver
from galeph.transport.options import ServerOptions
from galeph.transport.proxied import header_for
from galeph.transport.sending import was_sent_anyway
from galeph.transport.serving import Connection, Server, ServerStats, serve_connections
from galeph.transport.tls import client_handshake, server_handshake
from galeph.transport.upgrade import Upgrading

__all__ = [
    "ConnectionInfo",
    "DrainReport",
    "ProxyHeader",
    "Server",
    "ServerOptions",
    "ServerStats",
    "TcpStream",
    "client",
    "start_server",
    "start_tls",
]

_RECEIVE_BYTES = 65536


class _EndReading(Exception):
    """Ends the receive that is blocked while `TcpStream.end_reading` is called."""


@checks_owner("put _put send_eof close fail")
class TcpStream(ActiveSource[bytes], TransportSink[Any]):
    """One TCP connection, as a stream: gives bytes, takes what `byte_streams` makes bytes of.

    A message is sent whole or not at all: a put that is killed or timed out before its turn is
    withdrawn, one that has begun is finished in the background.
    """

    _kind = "tcp"
    _watch: EndWatch | None = None
    _closing: Event | None = None
    _must_end = False

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends, and what TLS agreed on."""
        return self._transport.info

    def description(self) -> dict[str, object]:
        """Say who is connected and what state that is in, as plain data."""
        facts = super().description() | {
            "direction": "duplex",
            "connection": self.info.description(),
            "readable": not self._ended,
            "writable": not self.closed,
        }
        transport = self._transport
        if isinstance(transport, MeteredTransport):
            facts["throughput"] = transport.throughput()
        return facts

    def instrument(self) -> None:
        """Count the bytes from now on: `description` then has the ``throughput``.

        That is how many were received, and how many sent, in the last full second.
        """
        if not isinstance(self._transport, MeteredTransport):
            self._transport = MeteredTransport(self._transport)

    # Taking

    def _receive(self) -> bytes | Nothing:
        if not self._ended:
            try:
                data = self._transport.recv(_RECEIVE_BYTES)
            except _EndReading:
                pass
            except (ResourceClosed, TransportError) as error:
                self._break_off(error)
            else:
                if data:
                    return data
                self._end()
        self._raise_error()
        return END

    def _receive_ready(self) -> bytes | Nothing:
        if not self._ended:
            try:
                data = self._transport.try_recv(_RECEIVE_BYTES)
            except (ResourceClosed, TransportError) as error:
                self._break_off(error)
            else:
                if data is None:
                    return EXPIRED
                if data:
                    return data
                self._end()
        self._raise_error()
        return END

    def _break_off(self, error: Exception) -> None:
        """End because a receive has failed: the connection is lost, or was closed here."""
        self._end(error if isinstance(error, TransportError) else None)
        self._shut()
        self._transport.close()

    def end_reading(self) -> None:
        """Let takers see the end now; puts go on. Never blocks, never switches."""
        if not self._ended:
            self._end()
            self._transport.interrupt(_EndReading())

    # Putting

    def _transmit(self, message: Any) -> bool:
        data = message if message.__class__ is bytes else to_bytes(message)
        try:
            self._transport.send(data)
        except (TransportError, ResourceClosed):
            # Takers get what had arrived before the connection broke, and are told then.
            self._shut()
            return False
        return True

    def put(self, message: Any) -> bool:
        """Block until the kernel has the bytes; False when the stream is closed or has broken."""
        return (not self._closed and self._transmit(message)) or self._found_end()

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        return self._transport.try_send(to_bytes(message)) or EXPIRED

    _was_accepted = staticmethod(was_sent_anyway)

    def send_eof(self) -> None:
        """End our side; the peer may go on sending. Blocks until what is being put has gone out.

        Puts are refused from now on. On a connection that is closed or broken it does nothing.
        """
        self._shut()
        try:
            self._transport.send_eof()
        except (TransportError, ResourceClosed):
            pass

    # Starting TLS

    def _begin_upgrade(self) -> Transport:
        """Hand the transport out for a handshake; takes and puts are refused until it is over."""
        if self._ended or self._closed or self._transport.closed:
            raise ResourceClosed(
                "TLS cannot be started: the connection has ended, or one side of it"
            )
        turn = self._take_turn
        if self.link_count or (turn is not None and turn.is_taken):
            raise ResourceBusy("TLS cannot be started: somebody takes from the stream, or puts")
        if self._returned:
            # They would pass for bytes that came through TLS (CVE-2011-0411).
            raise ResourceBusy("TLS cannot be started: bytes that came before it are not taken")
        transport = self._transport
        self._transport = Upgrading(transport, "TLS is being started on this connection")
        return transport

    def _end_upgrade(self, transport: Transport, error: BaseException | None = None) -> None:
        is_metered = isinstance(getattr(self._transport, "inner", None), MeteredTransport)
        self._transport = transport
        if error is not None:
            self._end(error if isinstance(error, Exception) else None)
            self._shut()
        elif is_metered:
            self.instrument()

    # Ending

    def close(self) -> None:
        """End both sides in order. What the peer sends from now on is lost."""
        self._shut()
        self._transport.close()
        self._end()

    def fail(self, error: BaseException) -> None:
        """Cut the connection: the peer sees a reset, and our takers see ``error``."""
        check_exception("error", error)
        if not self._transport.closed:
            self._shut()
            self._end(error)
            self._transport.abort()

    @property
    def closing(self) -> Event:
        """Set when it is time to end: the server closes, or our side of the stream is closed.

        For a handler that does not take, or has more to do than to take: `Event.wait` blocks until
        then. The connection is cut when the server's time is up.
        """
        if self._closing is None:
            self._closing = Event()
            if self._must_end:
                self._closing.set()
            else:
                self.on_closed(self._closing.set)
        return self._closing

    def prepare_to_end(self) -> None:
        """Tell the handler that the server closes: takers see the end, `closing` is set."""
        self._must_end = True
        if self._closing is not None:
            self._closing.set()
        self.end_reading()

    # Being hosted

    def _give_back(self, message: Any) -> None:
        super()._give_back(message)
        if self._host is not None and self._watch is None and not self._transport.closed:
            # The host has met bytes while it watched for the peer's end by receiving, and they
            # are nobody's yet. From here on the end must be seen past them.
            self._watch = self._transport.watch_end(self._peer_left)

    def _peer_left(self) -> None:
        turn = self._take_turn
        if turn is None or not turn.is_taken:
            self.close()

    def keep_while_connected(self) -> None:
        """Block while something is connected to the stream, in the greenlet that hosts it."""
        if self.link_count and not self.closed:
            try:
                host_stream(self)
            finally:
                watch, self._watch = self._watch, None
                if watch is not None:
                    watch.cancel()


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
    check_handler(handler)
    check_seconds("idle_timeout", idle_timeout)
    if not (executor is None or hasattr(executor, "submit")):
        raise TypeError(f"executor must have a submit(), not {executor!r}")
    check_flag("shutdown_executor", shutdown_executor)
    service = _Service(handler, idle_timeout, executor)
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
        count=service.counts,
        on_end=executor.shutdown if executor is not None and shutdown_executor else None,
        **options,
    )


class _Service:
    """What the connections of one server share."""

    def __init__(
        self,
        handler: Callable[[TcpStream, ConnectionInfo], object],
        idle_timeout: float | None,
        executor: Any,
    ) -> None:
        self._handler = handler
        self._idle_timeout = idle_timeout
        self._executor = executor
        self._clock = clock.default()
        self._deadlines = Deadlines(self._clock)
        self._idle_closed = 0

    def counts(self) -> dict[str, int]:
        """What `Server.stats` shows beside the rest."""
        return {} if self._idle_timeout is None else {"idle_closed": self._idle_closed}

    def _note_idle(self) -> None:
        self._idle_closed += 1

    def serve(self, connection: Connection) -> None:
        """Serve one connection until it ends."""
        if connection.is_draining:
            return
        if self._idle_timeout is not None:
            connection.transport = IdleTransport(
                connection.transport,
                self._deadlines,
                timeout=self._idle_timeout,
                monotonic=self._clock.monotonic,
                on_idle=self._note_idle,
            )
        stream = TcpStream(connection.transport)
        connection.on_drain = stream.prepare_to_end
        try:
            work = self._begin(connection, stream)
            if work is None:
                return
            result = work()
            awaited = to_deferred(result) if hasattr(result, "rawlink") else None
            if awaited is not None:
                on_ready(awaited, _close_if_failed, stream, awaited)
            stream.keep_while_connected()
            if awaited is not None:
                awaited.get()
                # What it did may have connected the stream to something.
                stream.keep_while_connected()
        finally:
            stream.close()

    def _begin(self, connection: Connection, stream: TcpStream) -> Callable[[], object] | None:
        """Return what runs the handler to its end; None if the executor takes no more."""
        if self._executor is None:
            return partial(self._handler, stream, stream.info)
        try:
            work = self._executor.submit(self._handler, stream, stream.info)
        except Rejected as error:
            connection.refuse(str(error))
            return None
        return partial(_wait_for, work)


def _wait_for(work: Deferred[Any]) -> Any:
    try:
        return work.get()
    except BaseException:
        work.cancel()  # if it was the wait that was interrupted, and not the work
        raise


def _close_if_failed(stream: TcpStream, awaited: Deferred[Any]) -> None:
    if not awaited.successful():
        stream.close()


def client(
    host: str,
    port: int,
    *,
    tls: Any = None,
    timeout: float | None = 30.0,
    tls_timeout: float | None = 10.0,
    resolver: Resolver | None = None,
    happy_eyeballs: bool = True,
    proxy_header: ProxyHeader | ConnectionInfo | None = None,
) -> Deferred[TcpStream]:
    """Connect; return at once a Deferred of the stream.

    With TLS it is realized when the handshake has succeeded. If whoever waits for it is killed,
    the connection is given up.

    Args:
        host: a name or an address.
        port: 1 to 65535.
        tls: True, an ``ssl.SSLContext``, or a dict of options for `galeph.tls.client_context`.
        timeout: seconds for resolving and connecting together; None is no limit.
        tls_timeout: seconds for the TLS handshake; None is no limit.
        resolver: who knows the addresses of names: a `galeph.dns.Resolver`, or any object with
            ``addresses(host)``; None for `galeph.dns.default_resolver`.
        happy_eyeballs: whether several addresses are tried side by side (RFC 8305).
        proxy_header: what to say first, by the PROXY protocol, before TLS: a header, or the
            ``info`` of the connection that this one speaks for.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it. Whatever
            else goes wrong is in the Deferred: `ConnectError` and its subclasses, `TimedOut` and
            its subclasses.
    """
    check_endpoint(host, port)
    check_seconds("timeout", timeout)
    check_seconds("tls_timeout", tls_timeout)
    check_flag("happy_eyeballs", happy_eyeballs)
    check_resolver(resolver)
    context, server_hostname = to_client_context(tls)
    first = None if proxy_header is None else header_for(proxy_header).encode()

    def connected() -> TcpStream:
        return TcpStream(
            connect(
                host,
                port,
                timeout=timeout,
                tls_context=context,
                server_hostname=server_hostname,
                tls_timeout=tls_timeout,
                resolver=default_resolver() if resolver is None else resolver,
                happy_eyeballs=happy_eyeballs,
                proxy_header=first,
            ),
        )

    promise = future(connected)
    owns(promise, TcpStream.close)
    return promise


def start_tls(
    stream: TcpStream,
    *,
    tls: Any = True,
    server_hostname: str | None = None,
    is_server: bool | None = None,
    tls_timeout: float | None = 10.0,
) -> Deferred[TcpStream]:
    """Go on with TLS on a connection (STARTTLS); return at once a Deferred of the same stream.

    What was put before goes out in the clear, in front of the handshake. Until the Deferred is
    realized, takes and puts raise `ResourceBusy`; from then on all that passes is encrypted, and
    ``stream.info.tls`` says how. If the handshake fails the connection is closed, and takers see
    the error.

    What the peer sent before it agreed is yours to look at: anything behind its agreement in the
    same message was not protected, and must not be believed.

    Args:
        stream: one of `client`, or of a server's handler.
        tls: as for `client`, or on a server's connection as for `start_server`.
        server_hostname: the name that the server's certificate must prove, where ``tls`` does not
            say it; a client that verifies cannot do without.
        is_server: which side we are in the handshake; None for the one we are in TCP.
        tls_timeout: seconds for the handshake; None is no limit.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        ResourceClosed: the connection has ended.
        ResourceBusy: something is connected to the stream, or takes from it; or bytes were given
            back to it. Nothing has happened.
    """
    if not isinstance(stream, TcpStream):
        raise TypeError(f"stream must be a galeph.tcp.TcpStream, not {stream!r}")
    check_seconds("tls_timeout", tls_timeout)
    if server_hostname is not None:
        check_host(server_hostname, name="server_hostname")
        if not server_hostname:
            raise ValueError("server_hostname must not be empty")
    if is_server is not None:
        check_flag("is_server", is_server)
    info = stream.info
    if is_server is None:
        is_server = (info.local_addr, info.local_port) == (info.server_name, info.server_port)
    if is_server:
        context: Any = to_server_context(tls)
        shake_hands = partial(server_handshake, context=context, timeout=tls_timeout)
    else:
        context, named = to_client_context(tls)
        name = named or server_hostname
        if name is None and context is not None and context.check_hostname:
            raise ValueError("server_hostname is missing: the name the certificate must prove")
        shake_hands = partial(
            client_handshake, context=context, server_hostname=name, timeout=tls_timeout
        )
    if context is None:
        raise ValueError(f"tls must say how to speak TLS, not {tls!r}")
    transport = stream._begin_upgrade()

    def upgraded() -> TcpStream:
        try:
            wrapped = shake_hands(transport)
        except BaseException as error:
            stream._end_upgrade(transport, error)
            raise
        stream._end_upgrade(wrapped)
        return stream

    promise = future(upgraded)
    on_ready(promise, _call_off_upgrade, stream, transport)
    owns(promise, TcpStream.close)
    return promise


def _call_off_upgrade(stream: TcpStream, transport: Transport) -> None:
    if isinstance(stream._transport, Upgrading):
        # Cancelled, perhaps before its greenlet had begun.
        transport.close()
        stream._end_upgrade(transport, ResourceClosed("starting TLS was called off"))
