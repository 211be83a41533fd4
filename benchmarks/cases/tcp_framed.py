"""Frames over TCP, read and sent back, one and sixteen of them in flight on each connection."""

from __future__ import annotations

from benchmarks.load.echo import Echo
from benchmarks.model import Row
from benchmarks.servers import Server, ServerCase

_CONTENDERS = "python -m benchmarks.contenders.framed {port}"

_SERVERS = (
    Server("galeph", f"{_CONTENDERS} galeph"),
    Server("bare loop", f"{_CONTENDERS} bare"),
)

CASES = (
    ServerCase(
        "tcp_framed",
        "TCP, frames of 64 B",
        Echo(64),
        _SERVERS,
        (Row("bare loop", hold=1.0, goal=1.2),),
    ),
    ServerCase(
        "tcp_framed_16",
        "TCP, frames of 64 B, 16 in flight",
        Echo(64, depth=16),
        _SERVERS,
        (Row("bare loop", hold=0.5, goal=0.8),),
    ),
)
