"""Peers that take nothing."""

from __future__ import annotations

import gevent

from galeph.clock import default
from galeph.errors import WriteTimeout
from galeph.testing import ManualClock, check_transport
from galeph.transport.deadlines import NEVER, Deadlines
from galeph.transport.memory import memory_pair
from galeph.transport.patience import PatientTransport
from tests.transport.test_idle import advance
from tests.transport.wire import outcome, settle, transport_pair

FLOOD = b"x" * (16 << 20)


def patient(inner, timeout=10.0):
    clock = default()
    return PatientTransport(inner, Deadlines(clock), timeout=timeout, monotonic=clock.monotonic)


class TestTransport:
    def test_keeps_the_contract(self):
        """It is a transport like any other."""

        def pair():
            one, other = memory_pair()
            return patient(one), patient(other)

        check_transport(pair)

    def test_what_is_late(self):
        """A message that nobody takes ends the connection; one that is out in time does not."""
        with ManualClock() as clock:
            there, inner = memory_pair(100)
            one = patient(inner)
            one.send(b"x" * 100)
            advance(clock, 30)
            assert not one.closed
            sending = gevent.spawn(one.send, b"y")
            gevent.sleep(0)
            advance(clock, 9)
            assert not one.closed
            there.recv(50)
            sending.get(timeout=1)
            advance(clock, 30)
            assert not one.closed

            stuck = gevent.spawn(outcome, one.send, b"z" * 1000)
            gevent.sleep(0)
            advance(clock, 13)

            assert one.closed
            assert "the peer has taken nothing for 10.0 s" == str(stuck.get(timeout=1))
            there.close()

    def test_progress(self):
        """A message may take as long as it likes while the peer's kernel takes some of it."""
        with ManualClock() as clock:
            inner, there = transport_pair(65536)
            one = patient(inner)
            sending = gevent.spawn(outcome, one.send, FLOOD)
            gevent.sleep(0.02)
            before = inner.bytes_acknowledged()
            for _ in range(4):
                advance(clock, 9)
                taken = sum(len(there.recv(65536)) for _ in range(16))
                assert taken
                assert settle(lambda before=before: inner.bytes_acknowledged() > before)
                before = inner.bytes_acknowledged()
                assert not one.closed
            advance(clock, 25)

            assert one.closed
            assert isinstance(sending.get(timeout=1), WriteTimeout)
            there.close()
            gevent.sleep(0)

    def test_at_rest(self):
        """Who sends nothing is not looked at."""
        one = patient(memory_pair()[1])
        assert NEVER == one.deadline
        one.send(b"x")
        assert NEVER == one.deadline
        assert one.try_send(b"x")
        one.close()
        assert not len(one._deadlines)
