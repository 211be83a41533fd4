"""Bodies far larger than memory should be: 200 MiB in and out, and a server that stays small."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import time

import psutil
import pytest

from tests.integration.programs import running

_MIB = 1024 * 1024
_SIZE = 200 * _MIB

_APP = f"""
import hashlib
PIECE = bytes(range(256)) * 256

def handler(request):
    if request.path == "/down":
        return {{"body": (PIECE for _ in range({_SIZE} // len(PIECE)))}}
    if request.path == "/endless":
        return {{"body": iter(lambda: PIECE, None)}}
    digest, size = hashlib.md5(), 0
    read = lambda: request.body.read(65536)
    pieces = request.stream if "stream" in request.path else iter(read, b"")
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return {{"body": f"{{size}} {{digest.hexdigest()}}"}}
"""


@pytest.fixture
def server(tmp_path):
    """A server as a process of its own: its port and its memory."""
    (tmp_path / "app.py").write_text(_APP)
    arguments = ("-m", "galeph", "serve", "app:handler", "--port", "0")
    with running(tmp_path, *arguments, cwd=tmp_path) as program:
        port = int(program.wait_for(r"galeph serves http://127.0.0.1:(\d+)")[1])
        subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/", "-d", "x"], check=True)
        yield port, psutil.Process(program.pid)
        assert "Traceback" not in program.output()


def peak_growth(process, client):
    """Wait for ``client``; return by how much the server's memory grew meanwhile, at most."""
    before = process.memory_info().rss
    peak = before
    while client.poll() is None:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.02)
    assert 0 == client.returncode
    return peak - before


@pytest.mark.parametrize("path", ["/file", "/stream"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload(server, tmp_path, path, framing):
    """200 MiB uploaded, by length or in chunks, read as file or stream: every byte, and no
    growth of 20 MiB."""
    port, process = server
    source = tmp_path / "upload"
    with source.open("wb") as file:
        file.truncate(_SIZE)
    extra = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    client = subprocess.Popen(
        ["curl", "-sS", *extra, "-T", str(source), f"http://127.0.0.1:{port}{path}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    growth = peak_growth(process, client)

    assert f"{_SIZE} " in client.stdout.read()
    assert growth < 20 * _MIB
    client.stdout.close()


def test_download(server):
    """200 MiB streamed to a client: every byte, and no growth of 20 MiB."""
    port, process = server
    client = subprocess.Popen(
        ["sh", "-c", f"curl -sS http://127.0.0.1:{port}/down | md5sum"],
        stdout=subprocess.PIPE,
        text=True,
    )
    growth = peak_growth(process, client)
    digest = hashlib.md5()
    piece = bytes(range(256)) * 256
    for _ in range(_SIZE // len(piece)):
        digest.update(piece)

    assert digest.hexdigest() == client.stdout.read().split()[0]
    assert growth < 20 * _MIB
    client.stdout.close()


@pytest.mark.fault("F23", "http/1")
def test_slow_reader(server):
    """A client that reads nothing stops an endless producer: no growth of 4 MiB, no CPU spent."""
    port, process = server
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        before = process.memory_info().rss
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(1)
        busy = sum(process.cpu_times()[:2])
        time.sleep(1)

        assert process.memory_info().rss - before < 4 * _MIB
        assert sum(process.cpu_times()[:2]) - busy < 0.2
