"""`client`: a connection that we make, as a Deferred of its stream."""

from __future__ import annotations

from typing import Any

from galeph._arguments import check_flag, check_seconds
from galeph.deferred import Deferred, future
from galeph.deferred.producer import owns
from galeph.dns import default_resolver
from galeph.protocol.proxy_header import ProxyHeader
from galeph.tcp.stream import TcpStream
from galeph.tls import to_client_context
from galeph.transport.base import ConnectionInfo
from galeph.transport.connect import connect
from galeph.transport.names import Resolver, check_endpoint, check_resolver
from galeph.transport.proxied import header_for

__all__ = ["client"]


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
