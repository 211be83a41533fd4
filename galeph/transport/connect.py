"""Making a connection: resolve, try the addresses, wrap in TLS.

Everything here blocks the calling greenlet only. One deadline covers resolving and connecting, and
within it the look-up of the name may have a shorter one; the handshake has one of its own. A name
with several addresses is connected to by Happy Eyeballs (see `galeph.transport.racing`), and the
family that has won is tried first the next time: a machine whose IPv6 leads nowhere waits for it
once in ten minutes, not at every connection.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gevent import get_hub

from galeph import clock
from galeph.errors import ConnectTimeout, ResolveTimeout
from galeph.transport.addresses import UnixAddress
from galeph.transport.base import Transport
from galeph.transport.client_options import ClientSettings
from galeph.transport.names import Resolver, SocketAddress, check_endpoint, resolve
from galeph.transport.proxied import send_first
from galeph.transport.racing import ATTEMPT_DELAY, interleave, open_socket, race
from galeph.transport.seam import connect_error
from galeph.transport.sockets import SocketTransport
from galeph.transport.timelimit import TimeLimit
from galeph.transport.tls import check_context, client_handshake

__all__ = ["connect", "connect_unix"]

_WRITE = 2
# Names whose family is remembered, and for how long. RFC 8305 section 4 leaves both to us; networks
# change, and a phone's more often than a server's.
_MOST_FAMILIES = 1000
_FAMILY_TTL = 600.0
_CACHE_FAMILIES: dict[str, tuple[float, int]] = {}
_Connected = tuple[socket.socket, SocketAddress]
# What was not asked for is not done: the clients above say more.
_DEFAULTS = ClientSettings(tcp_keepalive=None)


def connect(
    host: str,
    port: int,
    *,
    timeout: float | None = 30.0,
    resolve_timeout: float | None = None,
    tls_context: Any = None,
    server_hostname: str | None = None,
    tls_timeout: float | None = 10.0,
    resolver: Resolver | None = None,
    happy_eyeballs: bool = True,
    proxy_header: bytes | None = None,
    settings: ClientSettings = _DEFAULTS,
) -> Transport:
    """Block until there is a connection to ``host`` and ``port``, and return it.

    Args:
        host: a name or an address.
        port: 1 to 65535.
        timeout: seconds for resolving and connecting together; None is no limit.
        resolve_timeout: seconds for resolving, where that may not take all of ``timeout``.
        tls_context: an ``ssl.SSLContext`` of the client's side, or None for plain TCP.
        server_hostname: the name the certificate must prove, where it is not ``host``.
        tls_timeout: seconds for the TLS handshake; None is no limit.
        resolver: who knows the addresses of names; None for the resolver of gevent's hub.
        happy_eyeballs: False to try the next address only when one has failed, or has not
            answered for ten seconds.
        proxy_header: what to send before anything else, within ``timeout``.
        settings: how sockets are set up, and what is put around the transport.

    Raises:
        ResolveError: the name has no address. `ResolveTimeout`: that was not known in time.
        ConnectRefused: nobody listens there.
        ConnectTimeout: no address answered in time.
        ConnectError: any other reason, the last address's; it says which.
        TLSError, TLSTimeout: as `galeph.transport.tls.client_handshake`.
    """
    check_endpoint(host, port)
    if tls_context is not None:
        check_context(tls_context)
    target = f"{host}:{port}"
    now = clock.default().monotonic
    started = now()
    patience = min((t for t in (timeout, resolve_timeout) if t is not None), default=None)
    late = f"resolving {host}: no answer within {patience} s"
    with TimeLimit(patience, partial(ResolveTimeout, late)):
        addresses = settings.usable(resolve(host, port, resolver=resolver), target)
    if timeout is not None:
        timeout -= now() - started
    delay = ATTEMPT_DELAY if happy_eyeballs else None
    return _open(
        partial(_connect_any, host, target, addresses, delay, settings),
        target,
        settings,
        timeout=timeout,
        tls_context=tls_context,
        server_hostname=server_hostname or host,
        tls_timeout=tls_timeout,
        proxy_header=proxy_header,
    )


def connect_unix(
    address: UnixAddress,
    *,
    timeout: float | None = 30.0,
    tls_context: Any = None,
    server_hostname: str | None = None,
    tls_timeout: float | None = 10.0,
    proxy_header: bytes | None = None,
    settings: ClientSettings = _DEFAULTS,
) -> Transport:
    """Block until there is a connection to a unix socket; otherwise as `connect`."""
    if tls_context is not None:
        check_context(tls_context)
    target = str(address)
    to = SocketAddress(socket.AF_UNIX, socket.SOCK_STREAM, 0, address.name)
    return _open(
        partial(_connect_to, to, target, settings),
        target,
        settings,
        timeout=timeout,
        tls_context=tls_context,
        server_hostname=server_hostname,
        tls_timeout=tls_timeout,
        proxy_header=proxy_header,
    )


def _open(
    connect_socket: Callable[[], _Connected],
    target: str,
    settings: ClientSettings,
    *,
    timeout: float | None,
    tls_context: Any,
    server_hostname: str | None,
    tls_timeout: float | None,
    proxy_header: bytes | None,
) -> Transport:
    """Have a socket connected, and put around it what is asked for; close it if that fails."""
    transport: Transport
    with TimeLimit(timeout, partial(ConnectTimeout, f"not connected to {target} in time")):
        sock, address = connect_socket()
        transport = SocketTransport(sock, peer=address.address)
        if proxy_header is not None:
            send_first(transport, proxy_header)
    if tls_context is not None:
        transport = client_handshake(
            transport, tls_context, server_hostname=server_hostname, timeout=tls_timeout
        )
    try:
        return settings.wrap(transport)
    except BaseException:
        transport.close()
        raise


def _connect_any(
    host: str,
    target: str,
    addresses: Sequence[SocketAddress],
    delay: float | None,
    settings: ClientSettings,
) -> _Connected:
    """Connect to one of the addresses, and remember which family that was, if there are two."""
    if len(addresses) == 1:
        return _connect_to(addresses[0], target, settings)
    is_mixed = len({address.family for address in addresses}) > 1
    if is_mixed:
        addresses = interleave(addresses, _last_good_family(host))
    sock, address = race(addresses, target, delay=delay, prepare=settings.prepare)
    if is_mixed:
        if len(_CACHE_FAMILIES) >= _MOST_FAMILIES:
            _CACHE_FAMILIES.clear()
        _CACHE_FAMILIES[host] = (clock.default().monotonic() + _FAMILY_TTL, address.family)
    return sock, address


def _last_good_family(host: str) -> int | None:
    known = _CACHE_FAMILIES.get(host)
    return known[1] if known is not None and clock.default().monotonic() < known[0] else None


def _connect_to(to: SocketAddress, target: str, settings: ClientSettings) -> _Connected:
    """Block until a new socket is connected."""
    where = f"connecting to {target}"
    if to.family != socket.AF_UNIX:
        where += f" at {to.address[0]}"
    try:
        sock, is_connected = open_socket(to, settings.prepare)
        try:
            if not is_connected:
                _wait_writable(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
        except BaseException:
            sock.close()
            raise
    except TimeoutError as error:
        if error.errno != errno.ETIMEDOUT:
            raise  # it is a limit of the caller's
        raise connect_error(error, where) from error
    except OSError as error:
        raise connect_error(error, where) from error
    return sock, to


def _wait_writable(sock: socket.socket) -> None:
    hub: Any = get_hub()
    watcher = hub.loop.io(sock.fileno(), _WRITE)
    try:
        hub.wait(watcher)
    finally:
        watcher.stop()
        watcher.close()
