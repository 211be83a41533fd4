"""Making a connection: resolve, try the addresses in turn, wrap in TLS.

Everything here blocks the calling greenlet only. Names go through the resolver of gevent's hub.
One deadline covers resolving and connecting; within it the look-up of the name may have a shorter
one, and an address that does not answer gives way to the next after ten seconds. The handshake has
a deadline of its own.
"""

from __future__ import annotations

import errno
import os
import socket
from functools import partial
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original

from galeph import clock
from galeph.errors import ConnectError, ConnectTimeout, GalephError, ResolveTimeout, TimedOut
from galeph.transport.base import Transport
from galeph.transport.names import SocketAddress, check_endpoint, resolve
from galeph.transport.seam import connect_error
from galeph.transport.sockets import SocketTransport
from galeph.transport.timelimit import TimeLimit
from galeph.transport.tls import check_context, client_handshake

__all__ = ["connect"]

_WRITE = 2
_ADDRESS_TIMEOUT = 10.0


def connect(
    host: str,
    port: int,
    *,
    timeout: float | None = 30.0,
    resolve_timeout: float | None = None,
    tls_context: Any = None,
    server_hostname: str | None = None,
    tls_timeout: float | None = 10.0,
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
    started = clock.default().monotonic()
    patience = min((t for t in (timeout, resolve_timeout) if t is not None), default=None)
    late = f"resolving {host}: no answer within {patience} s"
    with TimeLimit(patience, partial(ResolveTimeout, late)):
        addresses = resolve(host, port)
    if timeout is not None:
        timeout -= clock.default().monotonic() - started
    with TimeLimit(timeout, partial(ConnectTimeout, f"not connected to {target} in time")):
        transport = _connect_first(addresses, target)
    if tls_context is None:
        return transport
    return client_handshake(
        transport,
        tls_context,
        server_hostname=server_hostname or host,
        timeout=tls_timeout,
    )


def _connect_first(addresses: list[SocketAddress], target: str) -> SocketTransport:
    """Try one address after the other; raise the last failure."""
    last: GalephError = ConnectError(errno.EADDRNOTAVAIL, f"{target} has no address")
    for number, address in enumerate(addresses, 1):
        what = f"connecting to {target} at {address.address[0]}"
        limit = TimeLimit(
            None if number == len(addresses) else _ADDRESS_TIMEOUT,
            partial(ConnectTimeout, f"no answer within {_ADDRESS_TIMEOUT} s ({what})"),
        )
        try:
            with limit:
                return SocketTransport(_connected(address), peer=address.address)
        except TimedOut as error:  # an OSError too: told apart before those
            if not limit.has_expired:
                raise  # it is a limit of the caller's over more than this address
            last = error
        except OSError as error:
            last = connect_error(error, what)
    raise last


def _connected(to: SocketAddress) -> socket.socket:
    """Block until a new socket is connected."""
    sock: socket.socket = get_original("socket", "socket")(to.family, to.kind, to.protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(to.address)
        if code == errno.EINPROGRESS:
            _wait_writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def _wait_writable(sock: socket.socket) -> None:
    hub: Any = get_hub()
    watcher = hub.loop.io(sock.fileno(), _WRITE)
    try:
        hub.wait(watcher)
    finally:
        watcher.stop()
        watcher.close()
