"""`start_tls`: TLS on a connection that is in use (STARTTLS)."""

from __future__ import annotations

from functools import partial
from typing import Any

from galeph._arguments import check_flag, check_seconds
from galeph.deferred import Deferred, future
from galeph.deferred.producer import on_ready, owns
from galeph.errors import ResourceClosed
from galeph.tcp.stream import TcpStream
from galeph.tls import to_client_context, to_server_context
from galeph.transport.arguments import check_host
from galeph.transport.base import ConnectionInfo, Transport
from galeph.transport.tls import client_handshake, server_handshake
from galeph.transport.upgrade import Upgrading

__all__ = ["start_tls"]


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
    the error; a server that gets it from its handler counts it among its failed handshakes. A
    server that is closed meanwhile ends the handshake.

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
    if is_server is None:
        is_server = _has_accepted(stream.info)
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


def _has_accepted(info: ConnectionInfo) -> bool:
    """Whether the peer has connected to us."""
    # With a PROXY header, which only a server takes, the server's address is the proxy's.
    is_at_our_end = (info.local_addr, info.local_port) == (info.server_name, info.server_port)
    return info.proxy is not None or is_at_our_end


def _call_off_upgrade(stream: TcpStream, transport: Transport) -> None:
    if isinstance(stream._transport, Upgrading):
        # Cancelled, perhaps before its greenlet had begun.
        transport.close()
        stream._end_upgrade(transport, ResourceClosed("starting TLS was called off"))
