"""A UDP socket that talks to one peer."""

from __future__ import annotations

import errno
import os
import socket

import gevent
import pytest

from galeph.errors import ConnectError, TransportError
from galeph.testing import kill_walk
from galeph.transport.datagram_peer import DatagramPeer
from galeph.transport.names import resolve
from tests.transport.wire import Socket


@pytest.fixture
def other():
    """Whom it talks to: a bound socket."""
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.fixture
def peer(other):
    made = DatagramPeer(to(other.getsockname()))
    yield made
    made.close()


def to(address):
    return resolve(*address, kind=socket.SOCK_DGRAM)[0]


def test_sends_and_receives(peer, other):
    """Both ways, whole datagrams."""
    peer.send(b"question")
    data, sender = other.recvfrom(100)
    other.sendto(b"x" * 60000, sender)

    assert b"question" == data
    assert sender == peer.address
    assert b"x" * 60000 == peer.recv()


@pytest.mark.attack(260)
def test_others_are_not_heard(peer, other):
    """What comes from another address or port is dropped, even if it is there first."""
    peer.send(b"question")
    sender = other.recvfrom(100)[1]
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.sendto(b"forged", sender)
    other.sendto(b"true", sender)

    assert b"true" == peer.recv()


def test_nobody_there(other):
    """The network's answer that nobody listens is told."""
    address = other.getsockname()
    other.close()
    peer = DatagramPeer(to(address))
    peer.send(b"question")
    with pytest.raises(TransportError) as caught:
        peer.recv()
    peer.close()

    assert errno.ECONNREFUSED == caught.value.errno


def test_no_way_there():
    """What the system refuses at once is a ConnectError, and nothing is left open."""
    with pytest.raises(ConnectError):
        DatagramPeer(to(("255.255.255.255", 53)))


def test_killed_at_every_switch(other):
    """An interruption leaves no socket and no watcher."""

    def scenario(victim):
        def ask():
            peer = DatagramPeer(to(other.getsockname()))
            try:
                peer.send(b"question")
                return peer.recv()
            finally:
                peer.close()

        victim.spawn(ask)
        gevent.sleep(0)
        other.sendto(b"answer", other.recvfrom(100)[1])
        victim.join()

    kill_walk(scenario, at_least=2)


def test_in_a_forked_child(peer):
    """The child has no descriptor of it."""
    descriptor = peer._sock.fileno()
    child = os.fork()
    if not child:
        try:
            os.fstat(descriptor)
        except OSError:
            os._exit(0)
        os._exit(1)

    assert 0 == os.waitpid(child, 0)[1]
    assert "DatagramPeer" in repr(peer)
