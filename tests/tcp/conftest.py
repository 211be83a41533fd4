"""Servers and clients of TCP for the tests."""

from __future__ import annotations

import gevent
import pytest

from galeph import tcp
from tests.tcp.scenes import Held, echo


@pytest.fixture
def serve():
    """Starts servers; at the end they are cut."""
    started = []

    def start(handler=echo, *args, **options):
        started.append(tcp.start_server(handler, *args, **options))
        return started[-1]

    yield start
    for server in started:
        server.close(0)
        server.wait(2)


@pytest.fixture
def dial():
    """Opens client streams; at the end they are closed."""
    opened = []

    def connect(server, **options):
        opened.append(tcp.client("localhost", server.port, **options).result(5))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()
    gevent.sleep(0)


@pytest.fixture
def held():
    handler = Held()
    yield handler
    handler.release.set()
    gevent.sleep(0)
