"""What the tests of servers share."""

from __future__ import annotations

import pytest

from galeph.transport.serving import serve_connections


@pytest.fixture
def serve():
    """Starts servers; at the end they are cut."""
    started = []

    def start(*args, **options):
        started.append(serve_connections(*args, **options))
        return started[-1]

    yield start
    for server in started:
        server.close(0)
        server.wait(2)
