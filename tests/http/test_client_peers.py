"""The client against servers that others wrote: nginx, http.server, gevent's pywsgi."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import gevent
import pytest
from gevent.pool import Pool

from galeph import http
from tests.http.scripted import pool_of

ROOT = Path(__file__).resolve().parents[2]

# An address of this process's own: a port that was free a moment ago cannot be taken by another
# process, who asks for one at 127.0.0.1.
HOST = f"127.{os.getpid() >> 8 & 255}.{os.getpid() & 255}.9"
OTHER = HOST[:-1] + "8"


def free_port():
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def wait_for(port):
    """Block until somebody listens."""
    for _ in range(500):
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            gevent.sleep(0.02)
    raise AssertionError("nobody listens")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    (folder / "small.txt").write_bytes(b"small\n")
    (folder / "large.bin").write_bytes(os.urandom(3_000_000))
    (folder / "empty").write_bytes(b"")
    return folder


@pytest.fixture(scope="module", autouse=True)
def python_server(files):
    """`python -m http.server`, which speaks HTTP/1.0 and closes after each response."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", HOST],
        cwd=files,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(port)
    yield f"http://{HOST}:{port}/"
    process.kill()
    process.wait()


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_timeout 1s; keepalive_requests 100000; client_max_body_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen {host}:{port}; listen {other}:{port};
    root {files};
    location /moved {{ return 301 /small.txt; }}
    location /away {{ return 307 http://{other}:{port}/small.txt; }}
    location /teapot {{ return 418 "short and stout"; }}
    location /nothing {{ return 204; }}
    location /upload {{ proxy_pass http://{host}:{port}/nothing; }}
  }}
}}
"""


@pytest.fixture(scope="module", autouse=True)
def nginx(files, tmp_path_factory):
    """nginx, which keeps idle connections for one second."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    for parent in files.parents:
        if str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    files.chmod(0o755)
    port = free_port()
    conf = folder / "nginx.conf"
    text = NGINX.format(folder=folder, files=files, port=port, host=HOST, other=OTHER)
    conf.write_text(text)
    process = subprocess.Popen([program, "-c", str(conf), "-e", str(folder / "error.log")])
    wait_for(port)
    yield f"http://{HOST}:{port}/"
    process.terminate()
    process.wait()


@pytest.fixture(params=["python_server", "nginx"])
def base(request):
    return request.getfixturevalue(request.param)


def test_files_arrive_whole(base, files):
    """What the server has is what the client gets, large, small and empty."""
    with pool_of() as pool:
        for name in ("small.txt", "large.bin", "empty"):
            received = http.get(base + name, pool=pool).result(20)

            assert 200 == received.status
            assert (files / name).read_bytes() == received.bytes()


def test_a_large_file_streams(base, files):
    """A file read in pieces, by several greenlets with a file each, is the file."""
    expected = hashlib.sha256((files / "large.bin").read_bytes()).hexdigest()

    def work(_):
        digest = hashlib.sha256()
        with http.get(base + "large.bin", pool=pool).result(20) as received:
            for piece in received.stream:
                digest.update(piece)
        return digest.hexdigest()

    with pool_of() as pool:
        assert [expected] * 6 == Pool(6).map(work, range(6))


def test_head_and_missing(base):
    """A HEAD says how much there is, a file that is not there is a 404 with a body."""
    with pool_of() as pool:
        received = http.head(base + "large.bin", pool=pool).result(20)
        assert ("3000000", b"") == (received.headers["Content-Length"], received.bytes())
        missing = http.get(base + "missing", pool=pool).result(20)
        assert 404 == missing.status
        assert b"404" in missing.bytes()


def test_nginx_keeps_connections(nginx):
    """A hundred requests, of all kinds, use one connection."""
    with pool_of() as pool:
        for _ in range(25):
            assert b"small\n" == http.get(nginx + "moved", pool=pool).result(20).bytes()
            assert 204 == http.get(nginx + "nothing", pool=pool).result(20).status
            assert 418 == http.get(nginx + "teapot", pool=pool).result(20).status

        assert 1 == pool.stats().opened


def test_nginx_closes_idle_connections(nginx):
    """Connections that nginx has closed meanwhile are noticed, also by a POST."""
    with pool_of() as pool:
        assert 200 == http.get(nginx + "small.txt", pool=pool).result(20).status
        gevent.sleep(1.3)
        received = http.post(nginx + "small.txt", body=b"x", pool=pool).result(20)

        assert 405 == received.status
        assert 2 == pool.stats().opened


def test_nginx_refuses_a_large_body(nginx):
    """A body above nginx's limit is answered with 413 while we still send."""

    def body():
        for _ in range(1000):
            yield b"x" * 65536

    with pool_of() as pool:
        url = nginx + "upload"
        assert 413 == http.put(url, body=body(), pool=pool).result(20).status
        assert 413 == http.put(url, body=b"x" * 20_000_000, pool=pool).result(20).status
        assert 204 == http.put(url, body=b"x" * 500_000, pool=pool).result(20).status


def test_nginx_redirects_elsewhere(nginx):
    """A redirect to another name of the same server is another origin."""
    with pool_of() as pool:
        received = http.get(nginx + "away", headers={"Cookie": "a=b"}, pool=pool).result(20)

        assert b"small\n" == received.bytes()
        assert received.url.startswith(f"http://{OTHER}:")


def test_pywsgi_chunks():
    """gevent's own server: chunked both ways, trailers of neither, keep-alive."""
    from gevent.pywsgi import WSGIServer

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"got "
        yield environ["wsgi.input"].read()

    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    try:
        with pool_of() as pool:
            url = f"http://127.0.0.1:{server.server_port}/"
            for _ in range(10):
                received = http.post(url, body=iter([b"a", b"b"]), pool=pool).result(20)
                assert b"got ab" == received.bytes()

            assert 1 == pool.stats().opened
    finally:
        server.stop()


def test_the_example():
    """`examples/client.py` runs, and shows what it says."""
    output = subprocess.run(
        [sys.executable, "examples/client.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=30,
        text=True,
    )

    assert "ten at once: {200}" in output.stdout
    assert "as it comes: line 2" in output.stdout
    assert "too late: the deadline passed" in output.stdout
    assert "" == output.stderr
