"""Connected sockets and transports for the tests, servers that are cut, peers that misbehave."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import gevent
from gevent import socket as gsocket
from gevent.monkey import get_original

from galeph.transport.sockets import SocketTransport

# The standard library's, also in a patched process.
Socket = get_original("socket", "socket")


def socket_pair(buffer_bytes=None):
    """Client and server end of a TCP connection, both of the standard library."""
    with Socket() as listener:
        _limit(listener, buffer_bytes)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = Socket()
        _limit(client, buffer_bytes)
        client.connect(listener.getsockname())
        fd, _ = listener._accept()
    server = Socket(fileno=fd)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def _limit(sock, buffer_bytes):
    if buffer_bytes is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)


def transport_pair(buffer_bytes=None):
    """The same as transports: client, server."""
    client, server = socket_pair(buffer_bytes)
    return SocketTransport(client), SocketTransport(server, is_server=True)


@contextmanager
def transport_and_peer(buffer_bytes=None):
    """A transport, and the bare socket (not blocking the hub) at the other end."""
    client, server = socket_pair(buffer_bytes)
    peer = gsocket.socket(fileno=client.detach())
    peer.settimeout(5)
    transport = SocketTransport(server, is_server=True)
    with peer:
        try:
            yield transport, peer
        finally:
            transport.abort()
            gevent.sleep(0)


@contextmanager
def dialled(port, host="127.0.0.1"):
    """A bare client of a server, which blocks its greenlet only."""
    with gsocket.create_connection((host, port), timeout=5) as sock:
        yield sock


@contextmanager
def starting(start):
    """Gives ``start``, which starts servers; at the end they are cut."""
    with ExitStack() as stack:

        def make(*args, **options):
            server = start(*args, **options)
            stack.callback(_cut, server)
            return server

        yield make


def _cut(server):
    server.close(0)
    server.wait(5)


@contextmanager
def opening(open_one):
    """Gives ``open_one``, which opens sockets or streams; at the end they are closed."""
    with ExitStack() as stack:

        def make(*args, **options):
            return stack.enter_context(closing(open_one(*args, **options)))

        yield make
    gevent.sleep(0)


def reset(sock):
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_to_the_end(sock):
    """What still comes, and whether the end was an orderly one."""
    received = bytearray()
    try:
        while data := sock.recv(65536):
            received += data
    except ConnectionResetError:
        return bytes(received), False
    return bytes(received), True


@contextmanager
def counted_turns():
    """Gives a list that grows with every turn of the loop: while all wait there are but few."""
    turns = []
    watcher = gevent.get_hub().loop.prepare(ref=False)
    watcher.start(turns.append, None)
    try:
        yield turns
    finally:
        watcher.stop()
        watcher.close()


def settle(condition, timeout=3.0):
    """Wait until something is so, and say whether it came to be."""
    with gevent.Timeout(timeout, False):
        while not condition():
            gevent.sleep(0.002)
    return condition()


def outcome(fn, *args, **options):
    """What a call returns or raises."""
    try:
        return fn(*args, **options)
    except Exception as error:
        return error


def echo(connection):
    """Serve a connection by sending back what comes."""
    while data := connection.transport.recv():
        connection.transport.send(data)


def hello(client):
    """Have an echoing server answer: one byte, or b"" if it ends the connection."""
    client.sendall(b"x")
    return client.recv(1)


def is_listening(path):
    """Whether a unix socket listens there; its file is there before it does."""
    listening = "00010000"  # __SO_ACCEPTCON
    rows = (row.split() for row in Path("/proc/net/unix").read_text().splitlines())
    return any(row[3] == listening and row[7:] == [str(path)] for row in rows)
