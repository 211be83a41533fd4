"""TCP: a connection as a duplex stream of bytes.

`start_server` serves a handler, `client` connects; both give a `TcpStream`. `start_tls` goes on
with TLS on a connection that is in use.
"""

from __future__ import annotations

from galeph.protocol.proxy_header import ProxyHeader
from galeph.tcp.client import client
from galeph.tcp.server import start_server
from galeph.tcp.stream import TcpStream
from galeph.tcp.upgrade import start_tls
from galeph.transport.base import ConnectionInfo
from galeph.transport.drain import DrainReport
from galeph.transport.options import ServerOptions
from galeph.transport.serving import Server, ServerStats

__all__ = [
    "ConnectionInfo",
    "DrainReport",
    "ProxyHeader",
    "Server",
    "ServerOptions",
    "ServerStats",
    "TcpStream",
    "client",
    "start_server",
    "start_tls",
]

for _name in ("TcpStream", "client", "start_server", "start_tls"):
    globals()[_name].__module__ = __name__  # where users find them
del _name
