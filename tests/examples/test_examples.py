"""Every example runs as a newcomer would run it, and does what it says."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
from websockets.sync.client import connect

from tests.integration.programs import ROOT, running

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_is_short(path):
    """An example has fewer than 60 lines and begins by saying what it is."""
    text = path.read_text()

    assert text.startswith('"""')
    assert len(text.splitlines()) < 60


def test_every_example_is_run():
    """No example is without a test here."""
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}

    assert {path.stem for path in EXAMPLES} <= tested


def end(program):
    """Press Ctrl-C when the program has come to rest: it ends with 0 and without a traceback.

    Python raises KeyboardInterrupt in whatever line is running. Hit in the middle of closing a
    connection, gevent prints where that was; the program ends all the same.
    """
    time.sleep(0.5)
    assert 0 == program.stop(signal.SIGINT)
    assert "Traceback" not in program.output()


def test_hello(tmp_path):
    """hello.py greets whoever the path names."""
    with running(tmp_path, "examples/hello.py") as program:
        url = program.wait_for(r"(http://\S+)")[1]
        with urllib.request.urlopen(url + "you", timeout=5) as answer:
            assert b"hello you!\n" == answer.read()
        end(program)


def test_client(tmp_path):
    """client.py asks a server and shows what it answers."""
    with running(tmp_path, "examples/client.py") as program:
        assert 0 == program.process.wait(20)
        assert "Traceback" not in program.output()
        assert "200" in program.output()


def test_chat(tmp_path):
    """chat.py serves a page, and passes on to everybody what one says."""
    with running(tmp_path, "examples/chat.py") as program:
        url = program.wait_for(r"(http://\S+)")[1]
        with urllib.request.urlopen(url, timeout=5) as page:
            assert b"new WebSocket" in page.read()
        address, origin = url.replace("http", "ws"), url.rstrip("/")
        with connect(address, origin=origin) as ada, connect(address, origin=origin) as grace:
            ada.send("Ada")
            assert "Ada has come in, 1 in the room" == ada.recv(timeout=5)
            grace.send("Grace")
            assert "Grace has come in, 2 in the room" == ada.recv(timeout=5)
            grace.send("hello")
            assert "Grace: hello" == ada.recv(timeout=5)
        end(program)


def test_tcp_echo(tmp_path):
    """tcp_echo.py talks to itself, and then to whoever comes."""
    with running(tmp_path, "examples/tcp_echo.py") as program:
        port = int(program.wait_for(r"echoing on port (\d+)")[1])
        program.wait_for("heard: hello, hello")
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"again")
            assert b"again" == sock.recv(100)
        end(program)


@contextmanager
def s_client(port):
    """OpenSSL's client, as a newcomer would call it; it types what is written to it."""
    command = ["openssl", "s_client", "-quiet", "-connect", f"localhost:{port}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, bufsize=0, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def says_until_heard(speaker, listener, text):
    """What one reads when the other types; again while the first may not be there yet."""
    for _ in range(100):
        speaker.stdin.write(text)
        while select.select([listener.stdout], [], [], 0.2)[0]:
            line = listener.stdout.readline()  # or an earlier one, that was said twice
            if line.endswith(text) or not line:
                return line
    raise AssertionError("nothing is heard")


def test_tls_chat(tmp_path):
    """tls_chat.py passes on what one `openssl s_client` types to the others, and to no more."""
    with running(tmp_path, "-c", "from examples.tls_chat import main; main(0)") as program:
        port = int(program.wait_for(r"chatting on port (\d+)")[1])
        with s_client(port) as ada, s_client(port) as grace:
            heard = says_until_heard(ada, grace, b"hello\n")
            assert re.fullmatch(rb"\d+: hello\n", heard)
            assert re.fullmatch(rb"\d+: hi\n", says_until_heard(grace, ada, b"hi\n"))
            with s_client(port) as stranger:
                stranger.stdin.write(b"\xff\n" + b"x" * 100_000)
                assert b"" == stranger.stdout.read()
            assert b"still here\n" in says_until_heard(ada, grace, b"still here\n")
        end(program)


def test_udp_statsd(tmp_path):
    """udp_statsd.py counts what comes by UDP."""
    with running(tmp_path, "examples/udp_statsd.py") as program:
        port = int(program.wait_for(r"port (\d+)")[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(3):
                sock.sendto(b"hits:2|c", ("127.0.0.1", port))
        program.wait_for(r"hits\D+6")
        end(program)


def test_stream_graph():
    """stream_graph.py draws the picture that stands in docs/topology.md; as DOT, if asked."""
    text = (ROOT / "docs" / "topology.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)

    assert picture == printed_by("examples/stream_graph.py")
    assert printed_by("examples/stream_graph.py", "dot").startswith("digraph {")


def printed_by(*command):
    """What a program prints that ends by itself."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout
