"""Noticing that the peer has left, past bytes that nobody reads."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from galeph.errors import ConnectionLost
from tests.transport.wire import reset, settle, transport_and_peer


class Ended(Event):
    def __init__(self):
        super().__init__()
        self.count = 0

    def note(self):
        self.count += 1
        self.set()


class TestSocketEndWatch:
    def test_end(self):
        """A peer that closes is noticed, once."""
        ended = Ended()
        with transport_and_peer() as (transport, peer):
            transport.watch_end(ended.note)
            peer.close()

            assert ended.wait(1)
            transport.close()
        gevent.sleep(0)
        assert 1 == ended.count

    def test_end_behind_unread_bytes(self):
        """An end behind bytes that nobody reads is noticed, and the bytes stay."""
        ended = Ended()
        with transport_and_peer() as (transport, peer):
            transport.watch_end(ended.note)
            peer.sendall(b"unread")
            gevent.sleep(0.02)
            assert not ended.is_set()
            peer.close()

            assert ended.wait(2)
            assert b"unread" == transport.recv()

    def test_reset(self):
        """A reset is noticed, and still told to whoever receives later."""
        ended = Ended()
        with transport_and_peer() as (transport, peer):
            transport.watch_end(ended.note)
            reset(peer)

            assert ended.wait(1)
            assert transport.closed
            with pytest.raises(ConnectionLost):
                transport.recv()

    def test_unread_bytes_do_not_spin(self):
        """Bytes that stay unread are looked at now and then, less and less often."""
        with transport_and_peer() as (transport, peer):
            watch = transport.watch_end(lambda: None)
            looks = []
            look = watch._is_hung_up
            type(watch)._is_hung_up, original = (
                lambda self: (looks.append(self), look())[1],
                type(watch)._is_hung_up,
            )
            try:
                peer.sendall(b"unread")
                while not looks:  # a busy machine may take its time
                    gevent.sleep(0.01)
                gevent.sleep(0.2)
            finally:
                type(watch)._is_hung_up = original

            assert len(looks) <= 4
            watch.cancel()

    def test_beside_a_receiver(self):
        """A watch takes nothing from a greenlet that receives at the same time."""
        ended = Ended()
        with transport_and_peer() as (transport, peer):
            transport.watch_end(ended.note)
            for number in range(20):
                peer.sendall(b"%d" % number)
                assert b"%d" % number == transport.recv()
            peer.close()

            assert b"" == transport.recv()
            assert settle(ended.is_set)

    def test_cancel(self):
        """A cancelled watch calls nothing, its timer included, and may be cancelled again."""
        ended = Ended()
        with transport_and_peer() as (transport, peer):
            watch = transport.watch_end(ended.note)
            peer.sendall(b"unread")
            gevent.sleep(0.01)
            watch.cancel()
            watch.cancel()
            peer.close()
            gevent.sleep(0.08)

        assert not ended.is_set()

    def test_several(self):
        """Each of several watches is told."""
        first, second = Ended(), Ended()
        with transport_and_peer() as (transport, peer):
            transport.watch_end(first.note)
            transport.watch_end(second.note)
            peer.close()

            assert first.wait(1)
            assert second.wait(1)
