"""F3: a client that ends its side after the request."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest
from gevent import socket

from tests.faults.kit.process import running
from tests.http.raw import GET, read_to_end

# What it answers takes as long as it is told to: meanwhile the half-closed connection waits.
SERVER = """
import gevent
from galeph import http, tcp
from tests.faults.kit.process import serve_commands

def slowly():
    for _ in range(10):
        gevent.sleep(PAUSE)
        yield b"x" * 1000

def respond(stream, info):
    for _ in stream:
        pass
    for piece in slowly():
        stream.put(piece)

servers = {
    "tcp": tcp.start_server(respond),
    "http": http.start_server(lambda request: {"body": slowly()}),
}
ports = {name: server.port for name, server in servers.items()}
serve_commands(ports, str, __import__("gevent.fileobject").fileobject.FileObject(0, closefd=False))
"""


def cpu_seconds(pid):
    """What all threads of a process have used, to the nanosecond (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@pytest.mark.long
@pytest.mark.unpatched_only
@pytest.mark.fault("F3", part="cpu")
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_no_spin(kind, long_form):
    """The whole response arrives, and waiting to send it costs next to no CPU time."""
    lasts = 5 if long_form else 1
    script = SERVER.replace("PAUSE", str(lasts / 10))
    with running("-c", script) as server:
        clients = []
        for _ in range(10):
            sock = socket.create_connection(("127.0.0.1", server.ready[kind]), 20)
            sock.sendall(GET)
            sock.shutdown(socket.SHUT_WR)
            clients.append(sock)
        before = cpu_seconds(server.pid)
        reading = [gevent.spawn(read_to_end, sock) for sock in clients]
        gevent.joinall(reading, raise_error=True)
        used = cpu_seconds(server.pid) - before
        for sock in clients:
            sock.close()

    for one in reading:
        assert 10_000 == one.value.count(b"x")
    assert used < 0.05 * lasts
