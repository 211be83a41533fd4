"""What stands for a transport while TLS is started on it."""

from __future__ import annotations

import gevent
import pytest

from galeph.errors import ResourceBusy, ResourceClosed
from galeph.transport.memory import memory_pair
from galeph.transport.upgrade import Upgrading
from tests.transport.wire import outcome


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


@pytest.mark.parametrize("blocked", ["recv", "send", "nowhere"])
def test_interrupted(pair, blocked):
    """Nothing can be upgraded without receiving: who ends that ends the handshake, wherever it is,
    and with it the connection."""
    upgrading, one, _ = pair
    call = {"recv": one.recv, "send": lambda: one.send(b"x" * 100_000), "nowhere": gevent.sleep}
    waiting = gevent.spawn(outcome, call[blocked])
    gevent.sleep(0)
    upgrading.interrupt(ValueError())

    assert (blocked == "nowhere") or isinstance(waiting.get(timeout=5), ResourceClosed)
    assert upgrading.closed
    with pytest.raises(ResourceClosed):
        one.recv()


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
