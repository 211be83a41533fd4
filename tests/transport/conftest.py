"""What the tests of servers share."""

from __future__ import annotations

import pytest

from galeph.transport.serving import serve_connections
from tests.transport.wire import starting


@pytest.fixture
def serve():
    """Starts servers; at the end they are cut."""
    with starting(serve_connections) as make:
        yield make
