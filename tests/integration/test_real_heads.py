"""What real clients send takes the fast path: every head, every chunk line."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager

import pytest
import requests

from tests.integration.programs import running

_APP = """
import json
from galeph import http

PAGE = b'''<!doctype html><title>galeph</title><script>
(async () => {
  const answers = [];
  for (const options of [{}, {method: "POST", body: "x".repeat(1000)}]) {
    answers.push(await (await fetch("/echo?a=b", options)).text());
  }
  document.body.textContent = "answers " + answers.map((text) => text.length).join(" ");
})();
</script>'''

def handler(request):
    if request.path == "/counts":
        return {"body": json.dumps(dict(server.stats().counts))}
    if request.path == "/page":
        return {"headers": {"Content-Type": "text/html"}, "body": PAGE}
    if request.path == "/chunks":
        return {"body": iter(["one", "two"])}
    return {"body": request.body.read()}

server = http.start_server(handler)
print("port", server.port, flush=True)
server.serve_forever()
"""

_NODE = """
const url = process.argv[1];
const chunks = () => new ReadableStream({
  start(c) { c.enqueue(new Uint8Array(1000)); c.enqueue(new Uint8Array(10)); c.close(); } });
(async () => {
  await (await fetch(url + "echo")).text();
  await (await fetch(url + "echo", {method: "POST", body: "x".repeat(1000)})).text();
  const sent = await fetch(url + "echo", {method: "POST", body: chunks(), duplex: "half"});
  console.log((await sent.text()).length, await (await fetch(url + "chunks")).text());
})();
"""

_NGINX = """
worker_processes 1; daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_request_buffering off;
    }}
  }}
}}
"""


class Counted:
    """A galeph server in a process of its own, and what it has counted."""

    def __init__(self, url):
        self.url = url

    def counts(self):
        with urllib.request.urlopen(self.url + "counts", timeout=5) as answer:
            return json.load(answer)


@pytest.fixture
def server(tmp_path):
    """A server whose counts say that everything took the fast path, when the test is over."""
    path = tmp_path / "app.py"
    path.write_text(_APP)
    with running(tmp_path, str(path)) as program:
        counted = Counted(f"http://127.0.0.1:{program.wait_for('port ([0-9]+)')[1]}/")
        yield counted
        counts = counted.counts()

        assert (0, 0, 0) == (counts["slow_heads"], counts["slow_chunks"], counts["refusals"])
        assert counts["fast_heads"] == counts["requests"] > 1


def shell(*arguments, **options):
    result = subprocess.run(
        arguments, capture_output=True, text=True, timeout=30, check=False, **options
    )
    assert 0 == result.returncode, result.stderr
    return result.stdout


def test_curl(server):
    """curl: GET, POST with a length, an upload in chunks."""
    url = server.url + "echo"

    assert "" == shell("curl", "-sS", url)
    assert "a=b" == shell("curl", "-sS", "-d", "a=b", url)
    assert "x" * 1000 == shell("curl", "-sS", "-T", "-", url, input="x" * 1000)
    assert server.counts()["plain_chunks"] > 1


def test_wrk(server):
    """wrk: many connections, many requests."""
    output = shell("wrk", "-t1", "-c8", "-d1s", server.url)

    assert "Non-2xx" not in output
    assert server.counts()["requests"] > 100


def test_requests(server):
    """requests: GET, POST with a length, a generator as chunks, on one connection."""
    with requests.Session() as session:
        assert "" == session.get(server.url, timeout=5).text
        assert "a=1" == session.post(server.url, data={"a": "1"}, timeout=5).text
        assert "abcd" == session.post(server.url, data=iter([b"ab", b"cd"]), timeout=5).text
    assert 3 == server.counts()["plain_chunks"]


def test_node(server):
    """Node's fetch: GET, POST, a stream in chunks; and our chunks read by it."""
    assert "1010 onetwo\n" == shell("node", "-e", _NODE, server.url)
    assert server.counts()["plain_chunks"] > 1


@pytest.mark.browser
def test_chromium(server):
    """Chromium: a page with all its headers, fetches with and without a body."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        output = shell(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=5000",
            f"--user-data-dir={profile}",
            "--dump-dom",
            server.url + "page",
        )

    assert "answers 0 1000" in output


@contextmanager
def nginx(tmp_path, upstream):
    """nginx as a proxy in front of ``upstream``; yields its URL."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "nginx.conf"
    config.write_text(_NGINX.format(root=tmp_path, port=port, upstream=upstream))
    process = subprocess.Popen(
        [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(tmp_path), "-c", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(10)


def test_nginx(server, tmp_path):
    """nginx as a proxy: GET, POST with a length, chunks passed through."""
    upstream = server.url.rstrip("/").rpartition(":")[2]
    with nginx(tmp_path, upstream) as url:
        curl = ("curl", "-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "0")

        assert "" == shell(*curl, url + "echo")
        assert "a=b" == shell(*curl, "-d", "a=b", url + "echo")
        assert "x" * 100_000 == shell(*curl, "-T", "-", url + "echo", input="x" * 100_000)
        assert "onetwo" == shell(*curl, url + "chunks")
    assert server.counts()["plain_chunks"] > 1
