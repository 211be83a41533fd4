"""UDP: a socket as a duplex stream of packets. Unix datagram sockets are the same.

`socket` gives a stream of `Packet(host, port, message)`; what is put into it goes out as one
datagram each. There is no connection: packets come from anybody, get lost, and arrive twice or
in another order. The stream reads a few packets ahead; when nobody takes, what comes is dropped as
its policy says, by default by the kernel (`UdpStream.dropped` says how many), and nothing grows.

With ``remote_address`` the socket is *connected*: it sends to one peer, and hears that one only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM
from socket import socket as Socket  # noqa: N812  (`socket` is our own)
from typing import Any, NamedTuple

from galeph import clock
from galeph._arguments import check_exception, check_flag
from galeph.byte_streams import to_bytes
from galeph.deferred import Deferred, future
from galeph.deferred.producer import owns
from galeph.dns import default_resolver
from galeph.errors import LeftToParent, ResolveError, ResourceClosed, TransportError
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.ownership import checks_owner
from galeph.transport.addresses import InetAddress, UnixAddress
from galeph.transport.base import address_text
from galeph.transport.datagram_binding import (
    Local,
    open_datagrams,
    to_local,
    to_one_address,
    to_remote,
)
from galeph.transport.datagram_options import DatagramOptions
from galeph.transport.datagrams import Datagram, DatagramSocket, Policy
from galeph.transport.multicast import Membership, check_group, check_interface
from galeph.transport.names import Resolver, check_endpoint, check_resolver, resolve
from galeph.transport.socket_address import MAPPED, host_and_port
from galeph.transport.wiretap import Wiretap

__all__ = ["Packet", "UdpStream", "socket"]

# A sender of metrics must not ask the resolver for every packet.
_NAME_TTL = 30.0
_MOST_NAMES = 1024


class Packet(NamedTuple):
    """One datagram: where it came from or goes to, and what is in it.

    A packet that is put may have a name for its host, and anything `byte_streams` makes bytes of
    for its message. On a unix socket the host is a path, ``@name`` for an abstract one and ""
    for a sender without a name, and the port is 0.
    """

    host: str
    port: int
    message: bytes

    @property
    def truncated(self) -> bool:
        """Whether it was longer than ``max_packet_bytes``, and this is its beginning."""
        return False

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


class _Truncated(Packet):
    """A packet of which only the beginning is here."""

    __slots__ = ()

    @property
    def truncated(self) -> bool:
        return True


@checks_owner("close fail join leave on_error")
class UdpStream(ActiveSource[Packet], ActiveSink[Any]):
    """A UDP socket as a stream: gives `Packet`, takes those, ``(host, port, message)``, or a dict.

    A dict has ``host`` and ``port``, or ``address`` in their place, and ``message``. A connected
    socket also takes what is not a tuple or dict as a message to its peer.

    A put blocks until the kernel has the datagram, and for a name that has to be resolved first.
    One that cannot be sent raises: `DatagramTooLarge` if it is too long, else `TransportError`.
    What the network answers to a packet of earlier raises nowhere: see `on_error`. The stream
    stays usable.
    """

    _kind = "udp"

    def __init__(
        self,
        sock: DatagramSocket,
        options: DatagramOptions,
        *,
        peer: tuple[str, int] | None = None,
        raw: bool = False,
        resolver: Resolver | None = None,
    ) -> None:
        super().__init__()
        self._sock = sock
        self._resolver = resolver
        self._is_connected = sock.peer is not None
        self._is_unix = sock.family == AF_UNIX
        self._max_bytes = options.max_packet_bytes
        self._interface = options.multicast_interface
        self._is_raw = raw
        self._truncated = 0
        self._names: dict[tuple[str, int], tuple[float, Any]] = {}
        # What a packet for the peer may say: as it was named, and as the system has it.
        self._peer_names = () if sock.peer is None else (peer, host_and_port(sock.peer))

    @property
    def address(self) -> tuple[str, int]:
        """What the socket is bound to; of a unix socket its name, and 0."""
        return host_and_port(self._sock.address)

    @property
    def port(self) -> int:
        """The port the socket is bound to."""
        return self.address[1]

    @property
    def remote_address(self) -> tuple[str, int] | None:
        """The peer of a connected socket."""
        return None if self._sock.peer is None else host_and_port(self._sock.peer)

    @property
    def dropped(self) -> int:
        """How many packets were lost here because nobody took them, as far as the kernel says."""
        return self._sock.dropped

    @property
    def truncated(self) -> int:
        """How many packets were longer than ``max_packet_bytes``."""
        return self._truncated

    def description(self) -> dict[str, object]:
        """Say what it is bound to, what state it is in and what it has lost, as plain data."""
        remote = self.remote_address
        return super().description() | {
            "direction": "duplex",
            "connection": {
                "local_address": address_text(*self.address),
                "remote_address": None if remote is None else address_text(*remote),
            },
            "readable": not self._ended,
            "writable": not self.closed,
            "dropped": self.dropped,
            "truncated": self.truncated,
            "network_errors": self._sock.errors.count,
        }

    # Groups

    def join(self, group: str, *, interface: str | None = None) -> None:
        """Hear what is sent to a multicast group. Does not block.

        Args:
            group: its address.
            interface: where; its name, or its address if that is IPv4. By default that of
                ``multicast_interface``, else the one the system chooses.

        Raises:
            TransportError: it has been joined already, or there is no such interface.
        """
        self._set(self._membership(group, interface).joining, f"joining {group}")

    def leave(self, group: str, *, interface: str | None = None) -> None:
        """Hear a group no more; arguments as for `join`. `close` leaves them all.

        Raises:
            TransportError: it was not joined there.
        """
        self._set(self._membership(group, interface).leaving, f"leaving {group}")

    def _membership(self, group: str, interface: str | None) -> Membership:
        address = check_group(group)
        check_interface("interface", interface)
        family = self._sock.family
        if family != (AF_INET if address.version == 4 else AF_INET6):
            raise ValueError(f"group {group} is not of the kind of a socket on {self.address[0]}")
        return Membership(address, self._interface if interface is None else interface)

    def _set(self, options: Callable[[], Any], doing: str) -> None:
        for option in options():
            try:
                self._sock.set_option(*option)
            except OSError as error:
                text = f"{error.strerror or error} ({doing})"
                raise TransportError(error.errno, text) from error

    # What the network says

    def on_error(self, fn: Callable[[TransportError], object]) -> None:
        """Call ``fn(error)`` when the network says that an earlier packet did not arrive.

        That is what ICMP brings: nobody listens on that port, no way to that host. The kernel
        tells it of connected sockets. It runs in a greenlet and may block; what comes meanwhile is
        counted (``description()["network_errors"]``), and the latest told. Without a listener
        there is one line in the log of ``galeph.udp``, until the next packet has come.
        """
        self._sock.errors.listen(fn)

    # Taking

    def _receive(self) -> Packet | Nothing:
        try:
            return self._packet(self._sock.recv())
        except LeftToParent:
            raise
        except ResourceClosed:
            return self._at_end()

    def _receive_ready(self) -> Packet | Nothing:
        try:
            datagram = self._sock.try_recv()
        except LeftToParent:
            raise
        except ResourceClosed:
            return self._at_end()
        return EXPIRED if datagram is None else self._packet(datagram)

    def _packet(self, datagram: Datagram) -> Packet:
        message, address = datagram
        make: type[Packet] = Packet
        if len(message) > self._max_bytes:
            message = message[: self._max_bytes]
            self._truncated += 1
            make = _Truncated
        host, port = host_and_port(address)
        return make(host, port, memoryview(message) if self._is_raw else message)  # type: ignore[arg-type]  # asked for

    def _at_end(self) -> Nothing:
        self._end()
        self._raise_error()
        return END

    # Putting

    def _transmit(self, message: Any) -> bool:
        host, port, data = self._parts(message)
        try:
            self._sock.send(data, self._address_of(host, port))
        except LeftToParent:
            raise
        except ResourceClosed:
            return False
        return True

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        if self._closed:
            return False
        host, port, data = self._parts(message)
        if self._is_connected or self._is_unix:
            address = self._address_of(host, port)
        elif (known := self._known(host, port)) is not None:
            address = known[1]
        else:
            # Only a name that was resolved before can be sent to without waiting.
            check_endpoint(host, port)
            return EXPIRED
        return self._sock.try_send(data, address) or EXPIRED

    def _parts(self, message: Any) -> tuple[str, int, bytes]:
        """Host, port and bytes of what was put; the host is "" where it is the peer's."""
        if not isinstance(message, tuple):
            if isinstance(message, Mapping):
                return _bytes_of(*_entries(message, needs_address=not self._is_connected))
            if self._is_connected:
                return _bytes_of("", 0, message)
        try:
            host, port, data = message
        except (TypeError, ValueError):
            text = f"a packet is a Packet, (host, port, message) or a dict, not {message!r}"
            raise TypeError(text) from None
        return _bytes_of(host, port, data)

    def _address_of(self, host: str, port: int) -> Any:
        """What the socket is to send to; None is the peer it is connected to."""
        if self._is_connected:
            self._check_peer(host, port)
            return None
        if self._is_unix:
            return _unix_name(host, port)
        known = self._known(host, port)
        now = clock.default().monotonic()
        if known is None or known[0] < now:
            check_endpoint(host, port)
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            known = self._names[host, port] = (now + _NAME_TTL, self._resolve(host, port))
        return known[1]

    def _known(self, host: str, port: int) -> tuple[float, Any] | None:
        """What the name was resolved to last, and until when that holds."""
        try:
            return self._names.get((host, port))
        except TypeError:
            # Not hashable, and so no host and port: whoever asks on finds that.
            return None

    def _check_peer(self, host: str, port: int) -> None:
        if host and (host, port) not in self._peer_names:
            there = address_text(*host_and_port(self._sock.peer))
            text = f"the socket is connected to {there} and sends to nobody else"
            raise ValueError(f"{text}, not to {host!r}, {port!r}")

    def _resolve(self, host: str, port: int) -> Any:
        family = self._sock.family
        resolver = default_resolver() if self._resolver is None else self._resolver
        found = resolve(host, port, kind=SOCK_DGRAM, resolver=resolver)
        for one in found:
            if one.family == family:
                return one.address
        if family == AF_INET6 and self._sock.takes_ipv4:
            return MAPPED + found[0].address[0], port, 0, 0
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
    address: Any = None,
    remote_address: Any = None,
    broadcast: bool = False,
    multicast_ttl: int | None = None,
    multicast_loopback: bool | None = None,
    multicast_interface: str | None = None,
    reuse_address: bool = False,
    reuse_port: bool = False,
    dual_stack: bool = False,
    unix_mode: int = 0o600,
    on_socket: Callable[[Socket], object] | None = None,
    buffer: int = 64,
    policy: Policy = "block",
    max_packet_bytes: int = 65536,
    raw: bool = False,
    resolver: Resolver | None = None,
    wiretap: bool | str | int | Wiretap | None = None,
) -> Deferred[UdpStream]:
    """Open a UDP socket, or a unix datagram socket; return at once a Deferred of its stream.

    Args:
        port: to receive on; 0 or None lets the system choose.
        host: the interface to receive on, as an address or a name. By default packets come in
            from this machine only where a port is asked for ("127.0.0.1"), and a socket that is
            there to send and to hear answers is bound to every IPv4 interface ("0.0.0.0").
        address: in place of both: ``(host, port)``; for a unix socket a path, ``"unix:/path"``,
            or ``"unix:@name"`` for an abstract name. A stale file is taken over, and the file is
            removed in the end.
        remote_address: connect to this one, in the same notation. Packets from anybody else are
            dropped by the kernel, and what the network says of those that were sent is heard
            (`UdpStream.on_error`). The socket is bound as the system likes, if nothing was said.
        broadcast: whether sending to broadcast addresses is allowed.
        multicast_ttl: how many routers what is sent to a group may pass; the system's default is
            not even one (1).
        multicast_loopback: whether this machine hears what it sends to a group; the system's
            default is that it does.
        multicast_interface: where what is sent to a group leaves, and where groups are joined:
            the interface's name, or its address if that is IPv4.
        reuse_address: let others that say the same receive on the same port. With a group all of
            them hear every packet; without one it is not said who does.
        reuse_port: let other processes of this user that say the same receive on the same port;
            the kernel spreads the packets over them.
        dual_stack: have a socket on "::" talk IPv4 too; otherwise IPv6 is IPv6 alone.
        unix_mode: the permissions of a unix socket's file: to send one must be allowed to write.
        on_socket: is called with the socket before it is bound, for options of one's own.
        buffer: how many packets are read ahead of the takers.
        policy: what happens to a packet when there is no room for it: ``"block"`` reads no
            further, and the kernel drops what finds no room there either; ``"drop_newest"`` drops
            it; ``"drop_oldest"`` drops the one that has waited longest. All are counted.
        max_packet_bytes: longer ones are cut, and marked ``truncated``. No UDP packet is longer
            than the default; 16 MiB at most.
        raw: give messages as memoryviews, of which parts can be taken without copying.
        resolver: who knows the addresses of the names that packets are put for, and that of
            ``remote_address``: as that of `galeph.tcp.client`.
        wiretap: log the packets that are taken and put, as `galeph.tcp.ClientOptions` has it for
            connections.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it. Whatever
            else goes wrong, a port that is taken for one, is in the Deferred.
    """
    options = DatagramOptions(
        broadcast=broadcast,
        multicast_ttl=multicast_ttl,
        multicast_loopback=multicast_loopback,
        multicast_interface=multicast_interface,
        reuse_address=reuse_address,
        reuse_port=reuse_port,
        dual_stack=dual_stack,
        unix_mode=unix_mode,
        on_socket=on_socket,
        buffer=buffer,
        policy=policy,
        max_packet_bytes=max_packet_bytes,
        wiretap=wiretap,
    )
    check_flag("raw", raw)
    check_resolver(resolver)
    local = to_local(port, host, address, is_connected=remote_address is not None)
    remote = None if remote_address is None else to_remote(remote_address)
    if local and remote and isinstance(local, UnixAddress) != isinstance(remote, UnixAddress):
        raise ValueError(f"address and remote_address are of two kinds: {local} and {remote}")
    promise = future(_open, local, remote, options, raw=raw, resolver=resolver)
    owns(promise, UdpStream.close)
    return promise


def _open(
    local: Local,
    remote: Local,
    options: DatagramOptions,
    *,
    raw: bool,
    resolver: Resolver | None,
) -> UdpStream:
    asked = default_resolver() if resolver is None and remote is not None else resolver
    sock = open_datagrams(local, remote, options, resolver=asked)
    peer = (remote.host, remote.port) if isinstance(remote, InetAddress) else None
    return UdpStream(sock, options, peer=peer, raw=raw, resolver=resolver)


def _unix_name(host: Any, port: Any) -> str:
    """The name of a unix socket, as a packet has it, for the system."""
    if not isinstance(host, str):
        raise TypeError(f"host must be a path as str, not {host!r}")
    if not host or port:
        raise ValueError(f"a unix socket sends to a path and port 0, not to {host!r}, {port!r}")
    return UnixAddress(host.removeprefix("unix:")).name


def _entries(packet: Mapping[str, Any], *, needs_address: bool) -> tuple[str, int, Any]:
    """Host, port and message of a packet that is a dict."""
    try:
        data = packet["message"]
        if packet.get("address") is not None:
            return *_pair(packet["address"]), data
        if not needs_address and "host" not in packet and "port" not in packet:
            return "", 0, data
        return packet["host"], packet["port"], data
    except KeyError as error:
        text = f"a packet needs message, and host and port or address; {error} is missing"
        raise ValueError(text) from None


def _bytes_of(host: str, port: int, data: Any) -> tuple[str, int, bytes]:
    return host, port, data if data.__class__ is bytes else to_bytes(data)


def _pair(address: Any) -> tuple[str, int]:
    if isinstance(address, tuple) and len(address) == 2:
        return address
    found = to_one_address(address)
    return (found.host, found.port) if isinstance(found, InetAddress) else (found.path, 0)
