"""What the tests of byte conversions share."""

from __future__ import annotations

import pytest

from galeph.byte_streams import conversion


@pytest.fixture
def own_graph(monkeypatch):
    """A copy of the graph of conversions, so that what a test teaches is forgotten after it."""
    graph = conversion.current_graph().copy()
    monkeypatch.setattr(conversion, "_graph", graph)
    return graph
