"""Connections that come through a proxy which says for whom: the PROXY protocol, in and out.

A server that is told so takes a header, from peers of its allow-list only, before anything else
is done with a connection, TLS included. What a header is, `galeph.protocol.proxy_header` knows;
here is who may send one, for how long it is waited for, and what becomes of it. It is read to its
last byte and not one further, so nothing has to be given back to whatever reads next.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from galeph.errors import (
    ConnectionLost,
    ReadTimeout,
    RemoteProtocolError,
    ResourceClosed,
)
from galeph.protocol.proxy_header import (
    Endpoint,
    ProxyHeader,
    least_missing,
    parse_proxy_header,
)
from galeph.transport.base import NAMELESS, ConnectionInfo, Transport
from galeph.transport.timelimit import TimeLimit

if TYPE_CHECKING:
    from galeph.transport.serving import Connection

__all__ = ["HeaderReader", "TrustedPeers", "header_for", "read_proxy_header", "send_first"]

# In an allow-list, beside networks.
_UNIX = "unix"
# Those of IPv4, as IPv6 writes them.
_MAPPED = IPv6Network("::ffff:0:0/96")


class TrustedPeers:
    """An allow-list: networks, and "unix" for whoever may connect to a unix socket.

    Raises:
        TypeError, ValueError: it is not what ``proxy_protocol_from`` should be.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        if isinstance(networks, (str, bytes)) or not isinstance(networks, Sequence):
            raise TypeError(f"proxy_protocol_from must be a sequence of networks, not {networks!r}")
        if not networks:
            raise ValueError("proxy_protocol_from must name at least one network")
        self._trusts_unix = _UNIX in networks
        self._networks = [_to_network(one) for one in networks if one != _UNIX]

    def trusts(self, info: ConnectionInfo) -> bool:
        """Whether a connection's peer is on the list."""
        if not info.remote_port:
            return self._trusts_unix and bool(info.remote_addr)
        address = ip_address(info.remote_addr.partition("%")[0])
        return any(address in network for network in self._networks)


def _to_network(text: Any) -> IPv4Network | IPv6Network:
    if not isinstance(text, str):
        raise TypeError(f"proxy_protocol_from must hold networks as text, not {text!r}")
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"proxy_protocol_from: {error}") from error
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        # A peer's address is known as the IPv4 that it is.
        first = network.network_address.ipv4_mapped
        return ip_network(f"{first}/{network.prefixlen - _MAPPED.prefixlen}")
    return network


class HeaderReader:
    """What a server does with a new connection where a PROXY header must come first.

    Args:
        trusted: who may send one.
        timeout: seconds until it must be complete; None is no limit.
    """

    def __init__(self, trusted: TrustedPeers, timeout: float | None) -> None:
        self._trusted = trusted
        self._timeout = timeout

    def __call__(self, connection: Connection) -> bool:
        """Block until the header is in; say whether the connection goes on."""
        transport: Any = connection.transport
        if not self._trusted.trusts(transport.info):
            connection.refuse("PROXY headers are not taken from this peer")
            return False
        # Nothing is lost by closing it meanwhile: a server that drains need not wait.
        connection.is_idle = True
        try:
            header = read_proxy_header(transport, timeout=self._timeout)
        except (ConnectionLost, ResourceClosed) as error:
            connection.log(logging.DEBUG, "ended before its PROXY header was complete: %s", error)
            return False
        except (RemoteProtocolError, ReadTimeout) as error:
            connection.refuse(str(error))
            return False
        finally:
            connection.is_idle = False
        transport.info = _presented(transport.info, header)
        return True


def read_proxy_header(transport: Transport, *, timeout: float | None) -> ProxyHeader:
    """Block until a PROXY header has been received; what follows it stays unread.

    Raises:
        RemoteProtocolError: what came is no valid header.
        ReadTimeout: it was not complete in time.
        ConnectionLost: the peer ended before it was.
        ResourceClosed: the connection was closed here.
    """
    data = bytearray()
    late = partial(ReadTimeout, f"no PROXY header within {timeout} s")
    with TimeLimit(timeout, late):
        while (parsed := parse_proxy_header(data)) is None:
            piece = transport.recv(least_missing(data))
            if not piece:
                raise ConnectionLost(errno.ECONNRESET, f"the peer ended after {len(data)} bytes")
            data += piece
    return parsed[0]


def _presented(info: ConnectionInfo, header: ProxyHeader) -> ConnectionInfo:
    """Say who is at the two ends according to ``header``; itself where it names nobody."""
    if header.source is None or header.destination is None:
        return replace(info, proxy=header, proxy_addr=info.remote_addr, proxy_port=info.remote_port)
    return replace(
        info,
        remote_addr=header.source[0] or NAMELESS,
        remote_port=header.source[1],
        server_name=header.destination[0] or NAMELESS,
        server_port=header.destination[1],
        proxy=header,
        proxy_addr=info.remote_addr,
        proxy_port=info.remote_port,
    )


def send_first(transport: Transport, header: bytes) -> None:
    """Send a header on a new connection, which is closed if that fails. May block."""
    try:
        transport.send(header)
    except BaseException:
        transport.close()
        raise


def header_for(spoken_for: ProxyHeader | ConnectionInfo) -> ProxyHeader:
    """Make the header that speaks for a connection which somebody else has opened to us.

    Both its addresses are told; not the TLVs that it came with, for these were the word of another.
    """
    if isinstance(spoken_for, ProxyHeader):
        return spoken_for
    if not isinstance(spoken_for, ConnectionInfo):
        raise TypeError(
            f"proxy_header must be a ProxyHeader or a ConnectionInfo, not {spoken_for!r}"
        )
    return ProxyHeader(
        _endpoint(spoken_for.remote_addr, spoken_for.remote_port),
        _endpoint(spoken_for.server_name, spoken_for.server_port),
    )


def _endpoint(addr: str, port: int) -> Endpoint:
    return ("" if addr == NAMELESS else addr), port
