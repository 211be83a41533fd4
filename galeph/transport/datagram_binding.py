"""From the arguments of a datagram socket to the socket: made, set up, bound, connected.

In this order, because most options count only before a socket has its name. What is connected and
was given no name of its own gets one from the system: a free port, or for a unix socket an abstract
name (Linux), without which nobody could answer.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from typing import Any

from gevent.monkey import get_original

from galeph._arguments import named
from galeph.errors import ResolveError, TransportError
from galeph.transport.addresses import InetAddress, UnixAddress, to_addresses
from galeph.transport.arguments import check_host, check_port
from galeph.transport.datagram_options import DatagramOptions
from galeph.transport.datagram_wiretap import DatagramTap
from galeph.transport.datagrams import DatagramSocket
from galeph.transport.multicast import sending_options
from galeph.transport.names import Resolver, SocketAddress, check_endpoint, resolve
from galeph.transport.socket_address import datagram_address_text
from galeph.transport.unix_files import UnixFile, claimed

__all__ = ["Local", "open_datagrams", "to_local", "to_one_address", "to_remote"]


Local = InetAddress | UnixAddress | None


def to_local(port: int | None, host: str | None, address: Any, *, is_connected: bool) -> Local:
    """Return where to bind; None leaves it to the system, of what is connected.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    if port is not None:
        check_port(port)
    if host is not None:
        check_host(host)
        if not host:
            raise ValueError('host must not be empty; "0.0.0.0" is every IPv4 interface')
    if address is not None:
        return to_one_address(address)
    if host is None:
        if is_connected:
            return None if port is None else InetAddress("", port)
        host = "0.0.0.0" if port is None else "127.0.0.1"  # noqa: S104  (said in the docstring)
    return InetAddress(host, port or 0)


def to_one_address(address: Any) -> InetAddress | UnixAddress:
    """Return the address that a user means; raise TypeError or ValueError if it is none."""
    if isinstance(address, list):
        raise TypeError("address must be one, not a list of them")
    return to_addresses(address)[0]


def to_remote(address: Any) -> InetAddress | UnixAddress:
    """Return whom to connect to; raise TypeError or ValueError if that names nobody."""
    try:
        remote = to_one_address(address)
        if isinstance(remote, InetAddress):
            check_endpoint(remote.host, remote.port)
    except (TypeError, ValueError) as error:
        raise named("remote_address", error) from None
    return remote


def open_datagrams(
    local: Local, remote: Local, options: DatagramOptions, *, resolver: Resolver | None = None
) -> DatagramSocket:
    """Open a socket that is bound to ``local``, connected to ``remote``, or both; one is given.

    An empty host in ``local`` is whichever interface leads to ``remote``, and every one of IPv4
    without that; ``resolver`` knows the name of ``remote``. Blocks to resolve names, and for a unix
    socket while another is bound in the same directory; a stale file is taken over. What
    ``on_socket`` raises goes to the caller. Whatever fails leaves nothing open.

    Raises:
        ResolveError: a name has no address, or none of the other's kind.
        TransportError: an address is taken, not ours, or not to be reached, an option is not to be
            had, or there are no descriptors; the errno says which.
    """
    file = None
    if isinstance(local, InetAddress) or isinstance(remote, InetAddress):
        sock = _open_inet(*_resolved(local, remote, resolver), options)  # type: ignore[arg-type]
    else:
        sock, file = _open_unix(local, remote, options)
    most_bytes, tap = options.max_packet_bytes, options.tap
    try:
        return DatagramSocket(
            sock,
            most_waiting=options.buffer,
            policy=options.policy,
            max_bytes=most_bytes,
            peer=None if remote is None else sock.getpeername(),
            file=file,
            tap=None if tap is None else DatagramTap(tap, sock.getsockname(), most_bytes),
        )
    except BaseException:
        if file is not None:
            file.remove()
        sock.close()
        raise


def _resolved(
    local: InetAddress | None, remote: InetAddress | None, resolver: Resolver | None
) -> tuple[SocketAddress | None, SocketAddress | None]:
    """Addresses of one family for both ends, the peer's first choice first."""
    if remote is None:
        host = local.host or "0.0.0.0"  # type: ignore[union-attr]  # noqa: S104  (one is given)
        return resolve(host, local.port, kind=socket.SOCK_DGRAM)[0], None  # type: ignore[union-attr]
    there = resolve(remote.host, remote.port, kind=socket.SOCK_DGRAM, resolver=resolver)
    if local is None:
        return None, there[0]
    host = local.host or ("::" if there[0].family == socket.AF_INET6 else "0.0.0.0")  # noqa: S104
    here = resolve(host, local.port, kind=socket.SOCK_DGRAM)
    for pair in product(there, here):
        if pair[0].family == pair[1].family:
            return pair[1], pair[0]
    raise ResolveError(socket.EAI_NONAME, f"{remote} and {local} have no addresses of one kind")


def _open_inet(
    local: SocketAddress | None, peer: SocketAddress | None, options: DatagramOptions
) -> socket.socket:
    family = (local or peer).family  # type: ignore[union-attr]  # one is given
    with _opened(family, options) as sock:
        if local is not None:
            with _translated(f"binding {datagram_address_text(local.address)}"):
                sock.bind(local.address)
        if peer is not None:
            with _translated(f"connecting to {datagram_address_text(peer.address)}"):
                sock.connect(peer.address)
        return sock


def _open_unix(
    local: UnixAddress | None, peer: UnixAddress | None, options: DatagramOptions
) -> tuple[socket.socket, UnixFile | None]:
    file = None
    with _opened(socket.AF_UNIX, options) as sock:
        try:
            if local is not None:
                with _translated(f"binding {local}"):
                    file = _bind(sock, local, options.unix_mode)
            elif sys.platform == "linux":
                with _translated("binding to a name of the system's choice"):
                    sock.bind("")
            if peer is not None:
                with _translated(f"connecting to {peer}"):
                    sock.connect(peer.name)
        except BaseException:
            if file is not None:
                file.remove()
            raise
        return sock, file


def _bind(sock: socket.socket, address: UnixAddress, mode: int) -> UnixFile | None:
    if address.is_abstract:
        sock.bind(address.name)
        return None
    with suppress(OSError):
        # Linux: what `bind` makes the file with, less the umask. So nobody can send before the
        # permissions are right; a system that cannot is not worse off than without.
        os.fchmod(sock.fileno(), mode)
    with claimed(address.path):
        sock.bind(address.path)
        file = UnixFile(address.path)
        try:
            Path(address.path).chmod(mode)
        except BaseException:
            file.remove()
            raise
        return file


@contextmanager
def _opened(family: int, options: DatagramOptions) -> Iterator[socket.socket]:
    """A socket with its options set, closed if the block fails."""
    with _translated("opening a datagram socket"):
        sock: socket.socket = get_original("socket", "socket")(family, socket.SOCK_DGRAM)
    try:
        with _translated("setting the options of a datagram socket"):
            _set_up(sock, options)
        if options.on_socket is not None:
            options.on_socket(sock)
        # Whatever that has made of it.
        sock.setblocking(False)
        yield sock
    except BaseException:
        sock.close()
        raise


def _set_up(sock: socket.socket, options: DatagramOptions) -> None:
    if options.broadcast:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if sock.family == socket.AF_UNIX:
        return
    if options.reuse_address:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not options.dual_stack)
    for option in sending_options(
        sock.family,
        ttl=options.multicast_ttl,
        loopback=options.multicast_loopback,
        interface=options.multicast_interface,
    ):
        sock.setsockopt(*option)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except TransportError:
        raise
    except OSError as error:
        raise TransportError(error.errno, f"{error.strerror or error} ({doing})") from error
