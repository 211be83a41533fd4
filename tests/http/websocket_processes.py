"""The `websockets` library as the other side, in a process of its own: it knows no gevent."""

import json
import sys
from contextlib import contextmanager

import gevent
from gevent import subprocess

CLIENT = """
import json, sys
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

def fragments(*parts):
    yield from parts

url, port = sys.argv[1], int(sys.argv[1].rsplit(":", 1)[1].split("/")[0])
said = []
def say(value):
    said.append(value)
"""

SERVER = """
import json, sys
from websockets.sync.server import serve
from websockets.exceptions import ConnectionClosed

def fragments(*parts):
    yield from parts

def handler(ws):
    try:
        handle(ws)
    except ConnectionClosed:
        pass
"""

_SERVE = """
with serve(handler, "127.0.0.1", 0, **options) as server:
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()
"""


def run_client(url, body):
    """Run ``body`` with ``url`` in a process; return what it gave to ``say``."""
    script = f"{CLIENT}\n{body}\nprint(json.dumps(said))"
    done = subprocess.run(
        [sys.executable, "-c", script, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@contextmanager
def running_server(body, options="{}"):
    """Run a server whose ``handle(ws)`` is in ``body``; yields its URL."""
    script = f"{SERVER}\n{body}\noptions = {options}\n{_SERVE}"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        with gevent.Timeout(30):
            port = int(process.stdout.readline())
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
