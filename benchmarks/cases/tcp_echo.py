"""TCP echo: one message in flight on each of 64 connections."""

from __future__ import annotations

from benchmarks.load.echo import Echo
from benchmarks.model import Row
from benchmarks.servers import Server, ServerCase

_CONTENDERS = "python -m benchmarks.contenders"

_SERVERS = (
    Server("galeph", f"{_CONTENDERS}.galeph_tcp {{port}} loop"),
    Server("galeph connect", f"{_CONTENDERS}.galeph_tcp {{port}} connect"),
    Server("bare recv loop", f"{_CONTENDERS}.bare {{port}} recv echo"),
    Server("asyncio on uvloop", f"{_CONTENDERS}.asyncio_echo {{port}}"),
)
_ROWS = (
    Row("bare recv loop", hold=1.2, goal=1.7),
    Row("asyncio on uvloop", hold=0.7, goal=1.0),
    Row("bare recv loop", subject="galeph connect"),
    Row("asyncio on uvloop", subject="galeph connect"),
)
# There the kernel's copying is most of the work, the same for all.
_ROWS_64K = (
    Row("bare recv loop", hold=1.0, goal=1.2),
    *_ROWS[1:],
)

CASES = (
    ServerCase("tcp_echo", "TCP echo, 64 B", Echo(64), _SERVERS, _ROWS),
    ServerCase("tcp_echo_64k", "TCP echo, 64 KiB", Echo(64 * 1024), _SERVERS, _ROWS_64K),
)
