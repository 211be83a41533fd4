"""`MeteredTransport`: bytes a second, for who wants to know."""

from __future__ import annotations

import gevent
import pytest

from galeph.clock import set_default
from galeph.testing import ManualClock
from galeph.transport.base import ConnectionInfo
from galeph.transport.memory import memory_pair
from galeph.transport.metering import MeteredTransport


@pytest.fixture
def clock():
    """A clock that moves when told to."""
    manual = ManualClock()
    previous = set_default(manual)
    yield manual
    set_default(previous)


@pytest.fixture
def pair(clock):
    """A metered transport and its peer, at the beginning of a second."""
    clock.advance(1 - clock.monotonic() % 1)
    one, other = memory_pair(1000)
    yield MeteredTransport(one), other
    one.close()
    other.close()


class TestCounting:
    def test_counts_what_was_sent_and_received(self, clock, pair):
        """In every way of doing so; a second later it is told."""
        one, other = pair
        other.send(b"12345")
        assert b"123" == one.recv(3)
        assert b"45" == one.try_recv()
        assert one.try_recv() is None
        one.send(b"1")
        one.send([b"22", memoryview(b"333")])
        assert one.try_send(b"4444")
        assert not one.try_send(b"x" * 2000)

        assert {"received": 0, "sent": 0} == one.throughput()
        clock.advance(1)
        assert {"received": 5, "sent": 10} == one.throughput()

    def test_forgets_what_is_longer_ago(self, clock, pair):
        """A second without traffic, or more of them, is none."""
        one, _ = pair
        one.send(b"12345")
        clock.advance(1)
        one.send(b"1")

        assert 5 == one.throughput()["sent"]
        clock.advance(1)
        assert 1 == one.throughput()["sent"]
        clock.advance(1)
        assert 0 == one.throughput()["sent"]
        one.send(b"1")
        clock.advance(5)
        assert 0 == one.throughput()["sent"]

    def test_counts_what_goes_out_after_a_kill(self, clock, pair):
        """And not what was withdrawn before its turn."""
        one, other = pair
        begun = gevent.spawn(one.send, b"x" * 1500)
        gevent.sleep(0)
        withdrawn = gevent.spawn(one.send, b"y" * 500)
        gevent.sleep(0)
        begun.kill()
        withdrawn.kill()
        clock.advance(1)

        assert 1500 == one.throughput()["sent"]
        assert b"x" * 1000 == other.recv()

    def test_says_about_the_connection_what_the_other_says(self, pair):
        """It is a wrapper and nothing more."""
        one, _ = pair

        assert ConnectionInfo("memory", 0, "memory", 0) == one.info
        assert (False, False) == (one.closed, one.has_input())
        one.close()
        assert one.closed
