"""TLS echo: one message in flight on each of 64 connections, handshakes not counted."""

from __future__ import annotations

from benchmarks.load.echo import Echo
from benchmarks.model import Row
from benchmarks.servers import Server, ServerCase

_CONTENDERS = "python -m benchmarks.contenders"

_SERVERS = (
    Server("galeph", f"{_CONTENDERS}.galeph_tls {{port}}"),
    Server("gevent.ssl", f"{_CONTENDERS}.gevent_tls {{port}}"),
    Server("asyncio on uvloop", f"{_CONTENDERS}.asyncio_tls {{port}}"),
)

CASES = (
    ServerCase(
        "tls",
        "TLS echo, 64 B",
        Echo(64, tls=True),
        _SERVERS,
        (Row("gevent.ssl", hold=1.3), Row("asyncio on uvloop")),
    ),
    ServerCase(
        "tls_64k",
        "TLS echo, 64 KiB",
        Echo(64 * 1024, tls=True),
        _SERVERS,
        (Row("gevent.ssl"), Row("asyncio on uvloop")),
    ),
)
