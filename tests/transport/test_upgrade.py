"""What stands for a transport while TLS is started on it."""

from __future__ import annotations

import pytest

from galeph.errors import ResourceBusy, ResourceClosed
from galeph.transport.memory import memory_pair
from galeph.transport.upgrade import Upgrading


@pytest.fixture
def pair():
    """It, with the transport below, and the peer's."""
    one, other = memory_pair()
    return Upgrading(one, "TLS is being started"), one, other


def test_refuses(pair):
    """Nobody can send or receive, and who tries is told why."""
    upgrading, _, other = pair
    other.send(b"a record")
    for call in (
        upgrading.recv,
        upgrading.try_recv,
        upgrading.send_eof,
        lambda: upgrading.send(b"x"),
    ):
        with pytest.raises(ResourceBusy, match="TLS is being started"):
            call()

    assert not upgrading.try_send(b"x")
    assert not upgrading.has_input()
    assert other.try_recv() is None


def test_leaves_the_receiver_below_alone(pair):
    """An interruption means a receiver of the stream's, and there is none."""
    upgrading, one, other = pair
    upgrading.interrupt(ValueError())
    other.send(b"x")

    assert b"x" == one.recv()


@pytest.mark.parametrize("end", ["close", "abort"])
def test_ends(pair, end):
    """Who ends it ends the transport below; that has the same ends, before and after."""
    upgrading, one, _ = pair
    ended = []
    upgrading.watch_end(lambda: ended.append(True))
    assert (False, one.info) == (upgrading.closed, upgrading.info)
    getattr(upgrading, end)()

    assert upgrading.closed
    assert upgrading.has_input()
    with pytest.raises(ResourceClosed):
        one.recv()
