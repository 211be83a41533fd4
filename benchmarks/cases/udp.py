"""UDP echo from 64 sockets."""

from __future__ import annotations

from benchmarks.load.udp_echo import UdpEcho, echoes
from benchmarks.model import Row
from benchmarks.servers import Server, ServerCase

_CONTENDERS = "python -m benchmarks.contenders"

_SERVERS = (
    Server("galeph", f"{_CONTENDERS}.galeph_udp {{port}} loop"),
    Server("galeph connect", f"{_CONTENDERS}.galeph_udp {{port}} connect"),
    Server("bare DatagramServer", f"{_CONTENDERS}.bare_udp {{port}}"),
    Server("asyncio on uvloop", f"{_CONTENDERS}.asyncio_udp {{port}}"),
)
_ROWS = (
    Row("bare DatagramServer", hold=1.0, goal=1.5),
    Row("bare DatagramServer", subject="galeph connect"),
    Row("asyncio on uvloop"),
)

CASES = (ServerCase("udp", "UDP echo, 64 B", UdpEcho(64), _SERVERS, _ROWS, is_up=echoes),)
