"""Connections made and ended: connect, one byte there and back, close."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from benchmarks.load.child import run_load
from benchmarks.load.compiled import compiled
from benchmarks.model import Disqualified, Sample

__all__ = ["Dial"]


@dataclass(frozen=True, slots=True)
class Dial:
    """So many connections at a time, each for one byte."""

    at_a_time: int = 64

    def probe(self, port: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                peer.sendall(b"x")
                answer = b"".join(iter(lambda: peer.recv(100), b""))
        except OSError as error:
            raise Disqualified(f"no answer: {type(error).__name__}: {error}") from error
        if answer != b"x":
            raise Disqualified(f"answered {answer!r}")

    def run(self, port: int, seconds: float) -> Sample:
        command = [compiled("dial"), *map(str, (port, self.at_a_time, seconds))]
        numbers = run_load(command, seconds)
        return Sample(numbers["connections"] / numbers["seconds"], numbers)
