"""The wire tap of one datagram socket: writes every packet that is received or sent.

A packet belongs to no other, so each is masked by itself: a line with a credential that goes on in
the next one is not known there. Packets that nobody receives are not seen.
"""

from __future__ import annotations

from typing import Any

from galeph.protocol.masking import SecretMasker
from galeph.transport.socket_address import datagram_address_text
from galeph.transport.wiretap import Wiretap

__all__ = ["DatagramTap"]


class DatagramTap:
    """Tells a `Wiretap` what goes through a socket.

    Args:
        tap: where to write.
        local: the socket's own address, as the system has it.
        max_bytes: longer packets are cut for whoever receives them.
    """

    __slots__ = ("_local", "_max_bytes", "_tap")

    def __init__(self, tap: Wiretap, local: Any, max_bytes: int) -> None:
        self._tap = tap
        self._local = datagram_address_text(local)
        self._max_bytes = max_bytes
        self._note_event("opened")

    def wait_for_room(self) -> None:
        """Block while the log is behind by very much."""
        self._tap.wait_for_room()

    def note_received(self, data: bytes, peer: Any) -> None:
        """A packet was received. Never switches, as all that follow."""
        most = self._max_bytes
        size = f"{len(data)} bytes" if len(data) <= most else f"more than {most} bytes"
        self._note(peer, f"received {size}", data[:most])

    def note_sent(self, data: bytes, peer: Any) -> None:
        """A packet was sent."""
        self._note(peer, f"sent {len(data)} bytes", data)

    def note_failed(self, error: Exception, peer: Any) -> None:
        """A packet could not be sent."""
        self._note(peer, f"sending ended: {type(error).__name__}: {error}", None)

    def note_closed(self) -> None:
        """The socket was closed."""
        self._note_event("closed")

    def _note(self, peer: Any, what: str, data: bytes | None) -> None:
        peers = f"[{self._local} <> {datagram_address_text(peer)}]"
        self._tap.note(peers, what, None if data is None else bytes(data), SecretMasker())

    def _note_event(self, what: str) -> None:
        self._tap.note(f"[{self._local}]", what)
