"""The one seam to the network: receive, send, end, and two facts.

Above it nobody knows whether bytes go through a socket, TLS, a tunnel or memory; TLS and tunnels
*wrap* a transport instead of subclassing one. `galeph.testing.check_transport` is the contract
in executable form, and every implementation passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from galeph.protocol.proxy_header import ProxyHeader

if TYPE_CHECKING:
    from galeph.transport.sendfile import FilePart

__all__ = [
    "NAMELESS",
    "Buffer",
    "ConnectionInfo",
    "EndWatch",
    "TLSInfo",
    "Transport",
    "address_text",
]

# The address of a unix socket that was bound to none, as most clients' are.
NAMELESS = "unix:"
Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What the TLS handshake agreed on.

    ``server_hostname`` is the name the client asked for. ``peer_certificate`` is the peer's
    certificate as `ssl.SSLSocket.getpeercert` shows it, None where it has none or was not asked to
    prove anything; ``peer_certificate_der`` is what it has shown, believed or not. ``is_resumed``
    tells that a session of an earlier connection went on.
    """

    version: str
    cipher: str
    alpn_protocol: str | None = None
    server_hostname: str | None = None
    peer_certificate: dict[str, Any] | None = None
    peer_certificate_der: bytes | None = field(default=None, repr=False)
    is_resumed: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Who is at the two ends of a connection.

    ``remote_addr`` and ``server_name`` are addresses as text (a path for unix sockets);
    ``server_name`` and ``server_port`` are those of the server's side, whichever side we are, and
    ``local_addr`` and ``local_port`` ours.

    Where a connection came with a PROXY header, ``remote_addr`` and ``server_name`` with their
    ports are what it says. ``proxy`` is the header, with its TLVs, and ``proxy_addr`` and
    ``proxy_port`` are who has sent it. Neither these nor the local end make a difference to
    whether two are equal.
    """

    remote_addr: str
    remote_port: int
    server_name: str
    server_port: int
    tls: TLSInfo | None = None
    local_addr: str = field(default="", kw_only=True, compare=False)
    local_port: int = field(default=0, kw_only=True, compare=False)
    proxy: ProxyHeader | None = field(default=None, kw_only=True, compare=False)
    proxy_addr: str = field(default="", kw_only=True, compare=False)
    proxy_port: int = field(default=0, kw_only=True, compare=False)

    def description(self) -> dict[str, object]:
        """Say it as plain data: both addresses as text, and the version of TLS."""
        return {
            "local_address": address_text(self.local_addr, self.local_port),
            "remote_address": address_text(self.remote_addr, self.remote_port),
            "tls": None if self.tls is None else self.tls.version,
        }


def address_text(addr: str, port: int) -> str:
    """Write an address as people do: ``host:port``, ``[::1]:port``, or the path of a socket."""
    if not port:
        return addr
    return f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}"


class EndWatch(Protocol):
    """What `Transport.watch_end` returns."""

    def cancel(self) -> None:
        """Stop watching. Never switches, may be called twice."""


class Transport(Protocol):
    """A reliable, ordered stream of bytes in both directions.

    One greenlet may receive while others send. Sends queue in the order they were called; two
    receivers at once are a `ResourceBusy`. Foreign exceptions (``OSError``, ``ssl.SSLError``) never
    come out: they are mapped to the errors of `galeph.errors`, the cause chained.
    """

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends."""

    def recv(self, max_bytes: int = 65536) -> bytes:
        """Block until the peer has sent something; return at most ``max_bytes`` of it.

        Returns ``b""`` once the peer has ended its side in order.

        Raises:
            ConnectionLost: the connection broke (for TLS also: ended without close_notify).
            ResourceClosed: `close` was called on our side.
            Exception: what `interrupt` or `abort` was given.
        """

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        """Return what `recv` would, if it is there already; None otherwise. Never switches.

        Raises:
            ConnectionLost, ResourceClosed: as for `recv`.
        """

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        """Block until the kernel (or the layer below) has taken all of ``data``.

        A sequence is sent as one, in order. If the caller is killed or timed out meanwhile, the
        data is sent whole (the rest in the background) or, if its turn had not come, not at all,
        and the connection stays usable. After any other exception it is of no further use.

        Args:
            data: what to send; not to be changed before this returns.
            committed: send it even if the caller is killed before its turn. For layers that have
                already counted the data as sent, as TLS has a record that it encrypted.

        Raises:
            ConnectionLost, ResourceClosed: as for `recv`.
        """

    def send_file(self, part: FilePart) -> None:
        """Block until the kernel (or the layer below) has taken ``part`` of a file; see `send`.

        Raises:
            OSError: the file could not be read, or is too short. If some of it was sent, the
                connection has been cut.
            ConnectionLost, ResourceClosed: as for `recv`.
        """

    def try_send(self, data: bytes) -> bool:
        """Accept ``data`` if that needs no waiting, and say whether it was. Never switches.

        True is the promise of `send`; a part may still be on its way. After False nothing of it
        was sent. ``b""`` only asks. For release paths, and for last words before `close`.
        """

    def send_eof(self) -> None:
        """End our side; the peer's `recv` returns ``b""``, and it may go on sending."""

    def close(self) -> None:
        """End both sides in order. Never blocks, never switches; may be called twice.

        Greenlets blocked in `recv` or `send` wake with `ResourceClosed`.
        """

    def abort(self, error: Exception | None = None) -> None:
        """End at once and without ceremony (RST on a socket). Never blocks, never switches.

        Greenlets blocked in `recv` or `send` wake with ``error`` (default: `ResourceClosed`).
        """

    def interrupt(self, error: Exception) -> None:
        """Make the `recv` that is blocked now raise ``error``; the connection stays usable.

        Does nothing when nobody is blocked. This is how a sweep ends a wait that has taken too
        long without a timer a request. Never switches.
        """

    def watch_end(self, fn: Callable[[], object]) -> EndWatch:
        """Call ``fn()`` once, in the hub, when the connection has ended; use no greenlet for it.

        It has ended when the peer ended its side, or it broke, or was closed here. Bytes that wait
        to be received stay where they are; behind such bytes the end may be noticed a second late.
        ``fn`` must neither block nor raise.
        """

    def has_input(self) -> bool:
        """Whether a `recv` might return or fail at once. Never switches, takes nothing.

        True also when no more is known than that something has arrived below (a TLS record). For
        a connection that should be silent: one kept for later must not be used after True.
        """

    @property
    def closed(self) -> bool:
        """Whether `close` or `abort` was called, or the connection is known to be lost."""
