"""F5 and F6: accepting fails, for want of descriptors or because of what the network passes on."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket, subprocess

from tests.faults.kit.process import running
from tests.faults.kit.strace import injecting
from tests.http.raw import GET, Reader

SERVER = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))
from gevent.fileobject import FileObject
from galeph import http
from tests.faults.kit.process import serve_commands

server = http.start_server(lambda request: {"body": "fine"})
serve_commands({"port": server.port}, lambda command: server.stats().accept_errors,
               FileObject(0, closefd=False))
"""


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 10)


def is_answered(sock):
    sock.sendall(GET)
    return b"fine" == Reader(sock).read().body


@pytest.mark.unpatched_only
@pytest.mark.fault("F5", part="http/1")
def test_out_of_descriptors(tmp_path):
    """With 64 descriptors and 100 clients it backs off, answers those it has, and recovers."""
    script = SERVER.replace("MOST", "64")
    with running("-c", script, stderr=subprocess.PIPE) as server:
        clients = [connect(server.ready["port"]) for _ in range(100)]
        assert is_answered(clients[0])
        with injecting(server.pid, "accept4", "delay_enter=0", tmp_path / "log") as strace:
            gevent.sleep(1)
            while_starved = len(strace.seen())
            assert is_answered(clients[0])
        for client in clients[1:]:
            client.close()
        with gevent.Timeout(2):
            newcomer = connect(server.ready["port"])
            assert is_answered(newcomer)
        for client in (clients[0], newcomer):
            client.close()
        assert server.ask() > 0
        assert 0 == server.wait()
        log = server.complaints()

    assert while_starved < 50
    assert 1 == log.count("cannot accept for now")
    assert "Traceback" not in log


@pytest.mark.unpatched_only
@pytest.mark.fault("F6")
@pytest.mark.parametrize("code", ["ECONNABORTED", "EPROTO", "EINTR"])
def test_errors_that_pass(code, tmp_path):
    """What happened to one connection in the queue does not keep the next from being served.

    Nothing is logged: it says nothing about us.
    """
    script = SERVER.replace("MOST", "1000")
    with running("-c", script, stderr=subprocess.PIPE) as server:
        fault = f"error={code}:when=1..3"
        with injecting(server.pid, "accept4", fault, tmp_path / "log") as strace:
            with connect(server.ready["port"]) as first:
                assert is_answered(first)
            with connect(server.ready["port"]) as second:
                assert is_answered(second)
            failed = len(strace.calls())
        errors = server.ask()
        assert 0 == server.wait()
        log = server.complaints()

    assert 3 == failed
    # Python itself tries again after EINTR (PEP 475).
    assert (0 if code == "EINTR" else 3) == errors
    assert "" == log
