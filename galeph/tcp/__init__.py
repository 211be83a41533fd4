"""TCP: a connection as a duplex stream of bytes.

`start_server` serves a handler, `client` connects; both give a `TcpStream`. `framed` makes messages
of its bytes, by a `Codec`: of `lines`, of payloads behind their length (`length_prefixed`,
`varint_prefixed`), of a fixed layout (`packed`), or of one's own. `start_tls` goes on with TLS on a
connection that is in use.
"""

from __future__ import annotations

from galeph.protocol.framing import Codec, length_prefixed, lines, packed, varint_prefixed
from galeph.protocol.proxy_header import ProxyHeader
from galeph.tcp.client import client
from galeph.tcp.framing import FramedStream, framed
from galeph.tcp.server import start_server
from galeph.tcp.stream import TcpStream
from galeph.tcp.upgrade import start_tls
from galeph.transport.base import ConnectionInfo
from galeph.transport.client_options import ClientOptions
from galeph.transport.drain import DrainReport
from galeph.transport.options import ServerOptions
from galeph.transport.server_stats import ServerStats
from galeph.transport.serving import Server
from galeph.transport.wiretap import Wiretap

__all__ = [
    "ClientOptions",
    "Codec",
    "ConnectionInfo",
    "DrainReport",
    "FramedStream",
    "ProxyHeader",
    "Server",
    "ServerOptions",
    "ServerStats",
    "TcpStream",
    "Wiretap",
    "client",
    "framed",
    "length_prefixed",
    "lines",
    "packed",
    "start_server",
    "start_tls",
    "varint_prefixed",
]

for _name in __all__:
    if globals()[_name].__module__.startswith(("galeph.tcp.", "galeph.protocol.framing.")):
        globals()[_name].__module__ = __name__  # where users find them
del _name
