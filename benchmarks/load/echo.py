"""TCP and TLS echo load by a small C program."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from benchmarks.load.child import run_load
from benchmarks.load.compiled import compiled
from benchmarks.model import Disqualified, Sample

__all__ = ["Echo"]


@dataclass(frozen=True, slots=True)
class Echo:
    """Messages of `size` bytes, `depth` of them in flight on every connection."""

    size: int
    depth: int = 1
    connections: int = 64
    tls: bool = False

    def probe(self, port: int) -> None:
        message = bytes(index % 251 for index in range(self.size))
        try:
            with self._connected(port) as peer:
                peer.sendall(message)
                answer = b""
                while len(answer) < len(message) and (data := peer.recv(1 << 20)):
                    answer += data
        except OSError as error:
            raise Disqualified(f"no answer: {type(error).__name__}: {error}") from error
        if answer != message:
            raise Disqualified(f"echoed {len(answer)} of {len(message)} bytes, or others")

    def _connected(self, port: int) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", port), 5)
        if not self.tls:
            return peer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(peer)

    def run(self, port: int, seconds: float) -> Sample:
        settings = (port, self.connections, self.size, self.depth, seconds)
        numbers = run_load([compiled("echo", with_tls=self.tls), *map(str, settings)], seconds)
        if numbers["silent"]:
            raise Disqualified(f"left {numbers['silent']} connections without an answer")
        return Sample(numbers["messages"] / numbers["seconds"], numbers)
