"""UDP echo load by a small C program, compiled at its first use (``cc`` must be there)."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from benchmarks.load.child import run_load
from benchmarks.load.compiled import compiled
from benchmarks.model import Disqualified, Sample

__all__ = ["UdpEcho", "echoes"]

# More than this share lost says that the server dropped what it could have had.
_MOST_LOST = 0.01


@dataclass(frozen=True, slots=True)
class UdpEcho:
    """Datagrams of `size` bytes from so many sockets, one in flight from each."""

    size: int
    sockets: int = 64

    def probe(self, port: int) -> None:
        message = bytes(index % 251 for index in range(self.size))
        answer = _asked(port, message, 5)
        if answer != message:
            raise Disqualified(f"echoed {len(answer or b'')} of {len(message)} bytes, or others")

    def run(self, port: int, seconds: float) -> Sample:
        settings = (port, self.sockets, self.size, seconds)
        numbers = run_load([compiled("udp_echo"), *map(str, settings)], seconds)
        if numbers["silent"]:
            raise Disqualified(f"left {numbers['silent']} sockets without an answer")
        if numbers["lost"] > _MOST_LOST * numbers["messages"]:
            raise Disqualified(f"lost {numbers['lost']} of {numbers['messages']} datagrams")
        return Sample(numbers["messages"] / numbers["seconds"], numbers)


def echoes(port: int) -> bool:
    """Say whether somebody answers."""
    return _asked(port, b"?", 0.2) == b"?"


def _asked(port: int, message: bytes, timeout: float) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(timeout)
        try:
            peer.connect(("127.0.0.1", port))
            peer.send(message)
            return peer.recv(1 << 16)
        except OSError:
            return None
