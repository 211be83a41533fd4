"""UDP: a socket as a duplex stream of packets.

`socket` gives a stream of `Packet(host, port, message)`; what is put into it goes out as one
datagram each. There is no connection: packets come from anybody, get lost, and arrive twice or
in another order. The stream reads a few packets ahead; when nobody takes, the kernel drops them
(`UdpStream.dropped` says how many), and nothing grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from socket import AF_INET6, SOCK_DGRAM
from typing import Any, NamedTuple

from galeph import clock
from galeph._arguments import check_count, check_exception, check_flag
from galeph.byte_streams import to_bytes
from galeph.deferred import Deferred, future
from galeph.deferred.producer import owns
from galeph.dns import default_resolver
from galeph.errors import ResolveError, ResourceClosed
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.ownership import checks_owner
from galeph.transport.arguments import check_host, check_port
from galeph.transport.base import address_text
from galeph.transport.datagrams import Datagram, DatagramSocket, bind_datagram_socket
from galeph.transport.names import Resolver, check_endpoint, check_resolver, resolve

__all__ = ["Packet", "UdpStream", "socket"]

# A sender of metrics must not ask the resolver for every packet.
_NAME_TTL = 30.0
_MOST_NAMES = 1024


class Packet(NamedTuple):
    """One datagram: where it came from or goes to, and what is in it.

    A packet that is put may have a name for its host, and anything `byte_streams` makes bytes of
    for its message.
    """

    host: str
    port: int
    message: bytes


@checks_owner("close fail")
class UdpStream(ActiveSource[Packet], ActiveSink[Any]):
    """A UDP socket as a stream: gives `Packet`, takes those, ``(host, port, message)``, or a dict.

    A put blocks until the kernel has the datagram, and for a name that has to be resolved first.
    One that cannot be sent (too long, no way there) raises `TransportError`; the stream stays
    usable.
    """

    _kind = "udp"

    def __init__(self, sock: DatagramSocket, resolver: Resolver | None = None) -> None:
        super().__init__()
        self._sock = sock
        self._resolver = resolver
        self._names: dict[tuple[str, int], tuple[float, Any]] = {}

    @property
    def address(self) -> tuple[str, int]:
        """What the socket is bound to."""
        host, port = self._sock.address[:2]
        return host, port

    @property
    def port(self) -> int:
        """The port the socket is bound to."""
        return self.address[1]

    @property
    def dropped(self) -> int:
        """How many packets were lost here because nobody took them, as far as the kernel says."""
        return self._sock.dropped

    def description(self) -> dict[str, object]:
        """Say what it is bound to and what state it is in, as plain data."""
        return super().description() | {
            "direction": "duplex",
            "connection": {"local_address": address_text(*self.address), "remote_address": None},
            "readable": not self._ended,
            "writable": not self.closed,
        }

    # Taking

    def _receive(self) -> Packet | Nothing:
        try:
            return _packet(self._sock.recv())
        except ResourceClosed:
            return self._at_end()

    def _receive_ready(self) -> Packet | Nothing:
        try:
            datagram = self._sock.try_recv()
        except ResourceClosed:
            return self._at_end()
        return EXPIRED if datagram is None else _packet(datagram)

    def _at_end(self) -> Nothing:
        self._end()
        self._raise_error()
        return END

    # Putting

    def _transmit(self, message: Any) -> bool:
        host, port, data = _parts(message)
        try:
            self._sock.send(data, self._address_of(host, port))
        except ResourceClosed:
            return False
        return True

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        if self._closed:
            return False
        host, port, data = _parts(message)
        try:
            known = self._names.get((host, port))
        except TypeError:  # not hashable, so no endpoint
            known = None
        if known is None:
            # Only a name that was resolved before can be sent to without waiting.
            check_endpoint(host, port)
            return EXPIRED
        return self._sock.try_send(data, known[1]) or EXPIRED

    def _address_of(self, host: str, port: int) -> Any:
        key = (host, port)
        now = clock.default().monotonic()
        try:
            known = self._names.get(key)
        except TypeError:  # not hashable, so no endpoint
            known = None
        if known is None or known[0] < now:
            check_endpoint(host, port)
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            known = self._names[key] = (now + _NAME_TTL, self._resolve(host, port))
        return known[1]

    def _resolve(self, host: str, port: int) -> Any:
        family = self._sock.family
        resolver = default_resolver() if self._resolver is None else self._resolver
        for found in resolve(host, port, kind=SOCK_DGRAM, resolver=resolver):
            if found.family == family:
                return found.address
        kind = "IPv6" if family == AF_INET6 else "IPv4"
        raise ResolveError(f"{host} has no {kind} address, and the socket is of that kind")

    # Ending

    def close(self) -> None:
        """Close the socket. Packets that have arrived can still be taken."""
        self._shut()
        self._sock.close()

    def fail(self, error: BaseException) -> None:
        """Close the socket; takers see ``error``."""
        check_exception("error", error)
        if not self._closed:
            self._end(error)
            self.close()


def socket(
    port: int | None = None,
    *,
    host: str | None = None,
    broadcast: bool = False,
    buffer: int = 64,
    resolver: Resolver | None = None,
) -> Deferred[UdpStream]:
    """Open a UDP socket; return at once a Deferred of its stream.

    Args:
        port: to receive on; 0 or None lets the system choose.
        host: the interface to receive on, as an address or a name. By default packets come in
            from this machine only where a port is asked for ("127.0.0.1"), and a socket that is
            there to send and to hear answers is bound to every IPv4 interface ("0.0.0.0").
        broadcast: whether sending to broadcast addresses is allowed.
        buffer: how many packets are read ahead of the takers.
        resolver: who knows the addresses of the names that packets are put for: as that of
            `galeph.tcp.client`.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it. Whatever
            else goes wrong, a port that is taken for one, is in the Deferred.
    """
    if port is not None:
        check_port(port)
    check_flag("broadcast", broadcast)
    check_count("buffer", buffer, least=1)
    if host is None:
        host = "0.0.0.0" if port is None else "127.0.0.1"  # noqa: S104  (said in the docstring)
    check_host(host)
    if not host:
        raise ValueError('host must not be empty; "0.0.0.0" is every IPv4 interface')
    check_resolver(resolver)
    promise = future(_open, host, port or 0, broadcast=broadcast, buffer=buffer, resolver=resolver)
    owns(promise, UdpStream.close)
    return promise


def _open(
    host: str, port: int, *, broadcast: bool, buffer: int, resolver: Resolver | None
) -> UdpStream:
    to = resolve(host, port, kind=SOCK_DGRAM)[0]
    sock = bind_datagram_socket(to, broadcast=broadcast)
    return UdpStream(DatagramSocket(sock, most_waiting=buffer), resolver)


def _packet(datagram: Datagram) -> Packet:
    message, address = datagram
    host = address[0]
    if len(address) == 4 and address[3]:
        # A link-local address means nothing without its interface.
        host = f"{host}%{address[3]}"
    return Packet(host, address[1], message)


def _parts(message: Any) -> tuple[str, int, bytes]:
    """Host, port and bytes of what was put."""
    if isinstance(message, Mapping):
        try:
            host, port, data = message["host"], message["port"], message["message"]
        except KeyError as error:
            raise ValueError(f"a packet needs host, port and message; {error} is missing") from None
    else:
        try:
            host, port, data = message
        except (TypeError, ValueError):
            text = f"a packet is a Packet, (host, port, message) or a dict, not {message!r}"
            raise TypeError(text) from None
    return host, port, data if data.__class__ is bytes else to_bytes(data)
