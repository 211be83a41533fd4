"""What tests of galeph.http share: WebSockets with a peer that writes frames by hand."""

import pytest

from galeph.http import _websocket_standby
from galeph.protocol.engine import Role
from tests.http.websocket_pairs import lend


@pytest.fixture
def ws_pair():
    """An open server's WebSocket with its peer, taken down afterwards."""
    yield from lend(Role.SERVER)


@pytest.fixture(params=list(Role), ids=lambda role: role.value)
def either_ws_pair(request):
    """The same for each role in turn."""
    yield from lend(request.param)


@pytest.fixture
def eager_standby(monkeypatch):
    """The standby reader comes at once where it would come after a second."""
    monkeypatch.setattr(_websocket_standby, "_STAND_BY_AFTER", 0.01)
