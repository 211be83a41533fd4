"""A client that says exactly what it is told, byte for byte, and a response as it came."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

from gevent import socket

from galeph import http


@contextmanager
def serving(handler, **options):
    """Serve ``handler`` for the length of a block; yields the server."""
    server = http.start_server(handler, 0, **options)
    try:
        yield server
    finally:
        server.close(timeout=0)
        server.wait(5)


@contextmanager
def connected(server, timeout=5.0):
    """A plain gevent socket to ``server``."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    try:
        yield sock
    finally:
        sock.close()


def read_to_end(sock):
    """Everything up to the peer's end; a reset counts as one."""
    pieces = []
    while True:
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def talk(server, *pieces, half_close=False, timeout=5.0):
    """Connect, send the pieces one by one, return all that came back until the server closed."""
    with connected(server, timeout) as sock:
        for piece in pieces:
            try:
                sock.sendall(piece)
            except (ConnectionResetError, BrokenPipeError):
                break
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


@dataclass
class Answer:
    """A response taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes
    names: list[str] = field(default_factory=list)


class Reader:
    """Reads one response after the other from a socket."""

    def __init__(self, sock):
        self._sock = sock
        self._buffer = b""

    def _fill(self):
        data = self._sock.recv(65536)
        if not data:
            raise EOFError(f"closed with {self._buffer!r} left")
        self._buffer += data

    def _until(self, mark):
        while mark not in self._buffer:
            self._fill()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _exactly(self, size):
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read(self, *, head_only=False):
        """The next response."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        pairs = [tuple(line.split(": ", 1)) for line in lines[1:]]
        headers = {name.lower(): value for name, value in pairs}
        body = b""
        if head_only or status < 200 or status in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size)
                assert self._exactly(2) == b"\r\n"
            while line := self._until(b"\r\n"):
                name, _, value = line.decode().partition(": ")
                headers[f"trailer:{name.lower()}"] = value
        else:
            body = self._exactly(int(headers["content-length"]))
        return Answer(status, headers, body, [name for name, _ in pairs])


GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def get(path="/", *lines):
    """The bytes of a GET request."""
    extra = "".join(f"{line}\r\n" for line in lines)
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n{extra}\r\n".encode()


def post(body, *lines, path="/"):
    """The bytes of a POST request with a declared length."""
    extra = "".join(f"{line}\r\n" for line in lines)
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body
