"""Ending a connection so that the last words arrive."""

from __future__ import annotations

import gevent
import pytest

from galeph.errors import ReadTimeout
from galeph.transport.lingering import linger
from galeph.transport.memory import memory_pair


@pytest.fixture
def ends():
    """Ours, and the peer's."""
    ours, peers = memory_pair()
    yield ours, peers
    ours.close()
    peers.close()


def test_until_the_peer_ends_its_side(ends):
    """What it still sends is dropped; it reads what was said, and then the end."""
    ours, peers = ends
    ours.send(b"no")
    lingering = gevent.spawn(linger, ours, 1000)
    peers.send(b"more")
    assert (b"no", b"") == (peers.recv(), peers.recv())
    gevent.sleep(0)
    assert not lingering.dead
    peers.send_eof()
    lingering.get(timeout=5)

    assert not ours.closed


def test_not_for_longer_than_so_many_bytes(ends):
    """A peer that goes on for ever is not listened to for ever."""
    ours, peers = ends
    lingering = gevent.spawn(linger, ours, 10)
    peers.send(b"twelve bytes")
    lingering.get(timeout=5)

    assert not peers.closed


@pytest.mark.parametrize(
    "end",
    [
        lambda ours, _: ours.interrupt(ReadTimeout("long enough")),
        lambda _, peers: peers.abort(),
    ],
)
def test_a_deadline_and_a_reset_end_it_in_peace(ends, end):
    """Nothing is raised: there is nobody left to tell."""
    ours, peers = ends
    lingering = gevent.spawn(linger, ours, 1000)
    gevent.sleep(0)
    end(ours, peers)

    lingering.get(timeout=5)


def test_a_kill_goes_on(ends):
    """Only what ends the connection is kept quiet about."""
    ours, _ = ends
    gone = []

    def serve():
        linger(ours, 1000)
        gone.append("on")

    lingering = gevent.spawn(serve)
    gevent.sleep(0)
    lingering.kill()

    assert [] == gone
