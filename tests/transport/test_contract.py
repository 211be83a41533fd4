"""Every transport of galeph keeps the one contract."""

from __future__ import annotations

import socket

import gevent
import pytest
from gevent.monkey import get_original

from galeph.testing.transport_contract import check_transport
from galeph.transport.memory import memory_pair
from galeph.transport.metering import MeteredTransport
from galeph.transport.sockets import SocketTransport
from galeph.transport.tls import client_handshake, server_handshake
from tests.transport.certificates import client_context, server_context

# The standard library's also in a patched process.
Socket = get_original("socket", "socket")

FLOOD = 1 << 20


def tcp_pair():
    with Socket() as listener:
        # Small buffers: the less fits into them, the sooner a flood blocks.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = Socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.connect(listener.getsockname())
        fd, _ = listener._accept()
    server = Socket(fileno=fd)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return SocketTransport(client), SocketTransport(server, is_server=True)


def tls_over(pair):
    client, server = pair
    handshake = gevent.spawn(server_handshake, server, server_context())
    wrapped = client_handshake(client, client_context(), server_hostname="localhost")
    return wrapped, handshake.get()


PAIRS = {
    "tcp": tcp_pair,
    "memory": memory_pair,
    "metered tcp": lambda: tuple(MeteredTransport(end) for end in tcp_pair()),
    "narrow memory": lambda: memory_pair(1000),
    "tls over tcp": lambda: tls_over(tcp_pair()),
    "tls over tls over memory": lambda: tls_over(tls_over(memory_pair())),
}


@pytest.mark.parametrize("name", PAIRS)
def test_transport_contract(name):
    """The transport passes every check of its contract, from both ends."""
    check_transport(PAIRS[name], flood_bytes=FLOOD)
