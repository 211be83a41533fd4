"""TCP connections made and ended, for one byte each; 64 at a time."""

from __future__ import annotations

from benchmarks.load.dial import Dial
from benchmarks.model import Row
from benchmarks.servers import Server, ServerCase

_CONTENDERS = "python -m benchmarks.contenders"

CASES = (
    ServerCase(
        "tcp_accept",
        "TCP: connect, one byte, close",
        Dial(),
        (
            Server("galeph", f"{_CONTENDERS}.galeph_tcp {{port}} once"),
            Server("bare StreamServer", f"{_CONTENDERS}.bare {{port}} once echo"),
        ),
        (Row("bare StreamServer", hold=0.9, goal=1.0),),
    ),
)
