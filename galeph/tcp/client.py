"""`client`: a connection that we make, as a Deferred of its stream."""

from __future__ import annotations

from typing import Any, Unpack

from galeph._arguments import check_flag, check_seconds, named
from galeph.deferred import Deferred, future
from galeph.deferred.producer import owns
from galeph.dns import default_resolver
from galeph.protocol.proxy_header import ProxyHeader
from galeph.tcp.patience import Patience
from galeph.tcp.stream import TcpStream
from galeph.tls import to_client_context
from galeph.transport.addresses import InetAddress, ListenAddress, UnixAddress, to_address
from galeph.transport.base import ConnectionInfo
from galeph.transport.client_options import ClientOptions, ClientSettings
from galeph.transport.connect import connect, connect_unix
from galeph.transport.deadlines import hub_deadlines
from galeph.transport.names import Resolver, check_endpoint, check_resolver
from galeph.transport.proxied import header_for

__all__ = ["client"]


def client(
    host: str | None = None,
    port: int | None = None,
    *,
    address: Any = None,
    tls: Any = None,
    timeout: float | None = 30.0,
    tls_timeout: float | None = 10.0,
    resolver: Resolver | None = None,
    happy_eyeballs: bool = True,
    proxy_header: ProxyHeader | ConnectionInfo | None = None,
    idle_timeout: float | None = None,
    write_timeout: float | None = None,
    **options: Unpack[ClientOptions],
) -> Deferred[TcpStream]:
    """Connect; return at once a Deferred of the stream.

    With TLS it is realized when the handshake has succeeded. If whoever waits for it is killed,
    the connection is given up.

    Args:
        host: a name or an address.
        port: 1 to 65535.
        address: in place of both: ``(host, port)``, or a unix socket, as a path or as
            ``"unix:/path"``, ``"unix:@name"``.
        tls: True, an ``ssl.SSLContext``, or a dict of options for `galeph.tls.client_context`.
        timeout: seconds for resolving and connecting together; None is no limit.
        tls_timeout: seconds for the TLS handshake; None is no limit.
        resolver: who knows the addresses of names: a `galeph.dns.Resolver`, or any object with
            ``addresses(host)``; None for `galeph.dns.default_resolver`.
        happy_eyeballs: whether several addresses are tried side by side (RFC 8305).
        proxy_header: what to say first, by the PROXY protocol, before TLS: a header, or the
            ``info`` of the connection that this one speaks for.
        idle_timeout: seconds without a byte in either direction after which the connection is
            closed, so that takers see the end; None is no limit.
        write_timeout: seconds without any progress of what is being put, after which the stream
            fails with `WriteTimeout`: takers see it, and puts return False. None is no limit.
        options: what is done with the socket: `ClientOptions`.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it. Whatever
            else goes wrong is in the Deferred: `ConnectError` and its subclasses, `TimedOut` and
            its subclasses.
    """
    to = _endpoint(host, port, address)
    check_seconds("timeout", timeout)
    check_seconds("tls_timeout", tls_timeout)
    check_flag("happy_eyeballs", happy_eyeballs)
    check_resolver(resolver)
    context, server_hostname = to_client_context(tls)
    first = None if proxy_header is None else _encoded(proxy_header)
    patience = Patience(idle_timeout, write_timeout)
    settings = ClientSettings(**options)
    is_unix = isinstance(to, UnixAddress)
    if is_unix and context is not None and server_hostname is None and context.check_hostname:
        raise ValueError("tls: server_hostname is missing, the name a certificate must prove")

    def connected() -> TcpStream:
        common: dict[str, Any] = {
            "timeout": timeout,
            "tls_context": context,
            "server_hostname": server_hostname,
            "tls_timeout": tls_timeout,
            "proxy_header": first,
            "settings": settings,
        }
        if isinstance(to, UnixAddress):
            transport = connect_unix(to, **common)
        else:
            transport = connect(
                to.host,
                to.port,
                resolver=default_resolver() if resolver is None else resolver,
                happy_eyeballs=happy_eyeballs,
                **common,
            )
        return patience.stream_of(transport, hub_deadlines)

    promise = future(connected)
    owns(promise, TcpStream.close)
    return promise


def _encoded(proxy_header: ProxyHeader | ConnectionInfo) -> bytes:
    header = header_for(proxy_header)
    try:
        return header.encode()
    except ValueError as error:
        raise named("proxy_header", error) from error


def _endpoint(host: Any, port: Any, address: Any) -> ListenAddress:
    """Whom to connect to, of the two ways to say it."""
    if address is None:
        check_endpoint(host, port)
        return InetAddress(host, port)
    if host is not None or port is not None:
        raise TypeError("address takes the place of host and port: give one or the other")
    if isinstance(address, list):
        raise TypeError(f"address must be a single one, not {address!r}")
    to = to_address(address)
    if isinstance(to, InetAddress):
        try:
            check_endpoint(to.host, to.port)
        except ValueError as error:
            raise named("address", error) from error
    return to
