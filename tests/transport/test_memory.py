"""Memory pairs, beyond the contract all transports share."""

from __future__ import annotations

import gevent
import pytest

from galeph.transport.base import ConnectionInfo
from galeph.transport.memory import memory_pair


class TestMemoryPair:
    def test_holds_no_more_than_it_should(self):
        """A direction never holds more than its buffer, however large the message."""
        one, other = memory_pair(10)
        sender = gevent.spawn(one.send, b"x" * 35)
        sizes = []
        received = b""
        while len(received) < 35:
            gevent.sleep(0)
            sizes.append(other._in.size)
            received += other.recv(7)
        sender.join()

        assert 10 == max(sizes)
        assert b"x" * 35 == received

    def test_smallest_buffer(self):
        """A buffer of one byte works; one of none is refused."""
        one, other = memory_pair(1)
        sender = gevent.spawn(one.send, b"abc")

        assert b"abc" == other.recv() + other.recv() + other.recv()
        sender.join()
        with pytest.raises(ValueError, match="buffer_bytes"):
            memory_pair(0)

    def test_info(self):
        """It says about the connection what it was told to."""
        info = ConnectionInfo("10.0.0.1", 1234, "10.0.0.2", 80)
        one, other = memory_pair(info=info)

        assert info == one.info == other.info
        assert "memory" == memory_pair()[0].info.remote_addr

    def test_says_what_state_it_is_in(self):
        """The text form has the state and what waits unread."""
        one, other = memory_pair()
        one.send(b"abc")

        assert "<MemoryTransport open unread=3>" == repr(other)
        one.abort()
        assert "<MemoryTransport closed unread=0>" == repr(one)
        assert "<MemoryTransport lost unread=3>" == repr(other)

    def test_what_came_before_a_reset_is_readable(self):
        """As on a socket, bytes that had arrived are received before the loss is."""
        one, other = memory_pair()
        one.send(b"abc")
        one.abort()

        assert b"abc" == other.recv()
        with pytest.raises(ConnectionResetError):
            other.recv()
