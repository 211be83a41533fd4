"""A server that does exactly what a script says, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import dataclass, field

import gevent
from gevent import socket

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Asked:
    """A request as it arrived."""

    line: str
    headers: dict[str, list[str]]
    body: bytes
    connection: int

    @property
    def method(self):
        return self.line.split(" ")[0]

    @property
    def target(self):
        return self.line.split(" ")[1]

    def header(self, name):
        """The only value of a field, None without one."""
        values = self.headers.get(name, [None])
        assert 1 == len(values)
        return values[0]


class Peer:
    """One accepted connection, in the hands of a script."""

    def __init__(self, sock, number, server):
        self.sock = sock
        self.number = number
        self.server = server
        self.buffer = b""

    def fill(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def read_head(self):
        """The next request's head; None when the client has closed."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {}
        for one in fields:
            name, value = one.split(": ", 1)
            headers.setdefault(name.lower(), []).append(value)
        return Asked(line, headers, b"", self.number)

    def read_body(self, asked):
        """The body that goes with a head."""
        if "transfer-encoding" in asked.headers:
            while size := int(self.until(b"\r\n"), 16):
                asked.body += self.exactly(size)
                assert b"\r\n" == self.exactly(2)
            assert b"" == self.until(b"\r\n")
        else:
            asked.body = self.exactly(int(asked.headers.get("content-length", ["0"])[0]))
        return asked

    def read(self):
        """The next request; None when the client has closed."""
        asked = self.read_head()
        if asked is not None:
            self.server.asked.append(self.read_body(asked))
        return asked

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                raise EOFError
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def send(self, data):
        self.sock.sendall(data)

    def wait_closed(self):
        """Block until the client has closed its side; return what came before that."""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            self.server.resets += 1
        return self.buffer

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@dataclass
class Scripted:
    """The running server: where it is, what came in."""

    port: int
    asked: list[Asked] = field(default_factory=list)
    accepted: int = 0
    resets: int = 0
    errors: list[BaseException] = field(default_factory=list)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"


@contextmanager
def scripted(*scripts):
    """Serve the n-th connection by the n-th script, a function of a `Peer`; later ones by the last.

    A script that is bytes answers every request with them.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    server = Scripted(listener.getsockname()[1])
    greenlets = []
    socks = []

    def serve(sock, number):
        script = scripts[min(number, len(scripts) - 1)]
        with sock:
            try:
                (answering(script) if isinstance(script, bytes) else script)(
                    Peer(sock, number, server)
                )
            except (ConnectionError, EOFError):
                pass
            except Exception as error:
                server.errors.append(error)

    def accept():
        while True:
            sock, _ = listener.accept()
            socks.append(sock)
            greenlets.append(gevent.spawn(serve, sock, server.accepted))
            server.accepted += 1

    acceptor = gevent.spawn(accept)
    try:
        yield server
    finally:
        gevent.killall([acceptor, *greenlets])
        # A greenlet killed before it began closes nothing.
        for sock in (listener, *socks):
            sock.close()
    assert [] == server.errors


def answering(response):
    """A script that answers every request with these bytes."""

    def script(peer):
        while peer.read() is not None:
            peer.send(response)

    return script


def once(response, *, then=None):
    """A script that answers one request with these bytes, then closes or does something else."""

    def script(peer):
        peer.read()
        peer.send(response)
        if then is not None:
            then(peer)

    return script


def response(body=b"", *fields, status="200 OK", length=True):
    """The bytes of a response."""
    lines = [f"HTTP/1.1 {status}", *fields]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def pool_of(**options):
    """A pool for the length of a block, which must be empty-handed at the end."""
    from galeph import http

    with http.connection_pool(**options) as pool:
        yield pool
        stats = pool.stats()
        assert stats.connections == stats.idle
        assert 0 == stats.waiting
