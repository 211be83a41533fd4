"""Servers and clients of TCP for the tests."""

from __future__ import annotations

import gevent
import pytest

from galeph import tcp
from tests.tcp.scenes import Held, echo
from tests.transport.wire import opening, starting


@pytest.fixture
def serve():
    """Starts servers; at the end they are cut."""

    def start(handler=echo, *args, **options):
        return tcp.start_server(handler, *args, **options)

    with starting(start) as make:
        yield make


@pytest.fixture
def dial():
    """Opens client streams; at the end they are closed."""

    def connect(server, **options):
        return tcp.client("localhost", server.port, **options).result(5)

    with opening(connect) as make:
        yield make


@pytest.fixture
def held():
    handler = Held()
    yield handler
    handler.release.set()
    gevent.sleep(0)
