"""TCP echo load by a small C program."""

from __future__ import annotations

import socket
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

    def probe(self, port: int) -> None:
        message = bytes(index % 251 for index in range(self.size))
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                peer.sendall(message)
                answer = b""
                while len(answer) < len(message) and (data := peer.recv(1 << 20)):
                    answer += data
        except OSError as error:
            raise Disqualified(f"no answer: {type(error).__name__}: {error}") from error
        if answer != message:
            raise Disqualified(f"echoed {len(answer)} of {len(message)} bytes, or others")

    def run(self, port: int, seconds: float) -> Sample:
        settings = (port, self.connections, self.size, self.depth, seconds)
        numbers = run_load([compiled("echo"), *map(str, settings)], seconds)
        if numbers["silent"]:
            raise Disqualified(f"left {numbers['silent']} connections without an answer")
        return Sample(numbers["messages"] / numbers["seconds"], numbers)
