"""Connections on which nothing moves."""

from __future__ import annotations

import gevent
import pytest

from galeph import stream, tcp
from galeph.clock import default
from galeph.testing import ManualClock, check_transport
from galeph.transport.deadlines import NEVER, Deadlines
from galeph.transport.idle import IdleTransport
from galeph.transport.memory import memory_pair
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import dialled, settle, starting


def idle(inner, timeout=10.0, on_idle=lambda: None):
    clock = default()
    return IdleTransport(
        inner, Deadlines(clock), timeout=timeout, monotonic=clock.monotonic, on_idle=on_idle
    )


def advance(clock, seconds):
    """A second at a time, as time passes: the sweep comes once a second."""
    for _ in range(seconds):
        clock.advance(1)
        gevent.sleep(0)


@pytest.fixture
def start():
    """Starts TCP servers; at the end they are cut."""
    with starting(tcp.start_server) as make:
        yield make


class TestTransport:
    def test_keeps_the_contract(self):
        """It is a transport like any other."""

        def pair():
            one, other = memory_pair()
            return idle(one), idle(other)

        check_transport(pair)

    def test_what_counts(self):
        """What is received or sent moves the deadline; while something is sent there is none."""
        with ManualClock() as clock:
            there, inner = memory_pair(100)
            transport = idle(inner)
            start = clock.monotonic()
            assert start + 10 == transport.deadline
            clock.advance(1)
            transport.send(b"x")
            assert start + 11 == transport.deadline
            clock.advance(1)
            there.send(b"y")
            transport.recv()
            assert start + 12 == transport.deadline
            sending = gevent.spawn(transport.send, b"z" * 1000)
            gevent.sleep(0)
            assert NEVER == transport.deadline
            there.send(b"y")
            transport.recv()
            assert NEVER == transport.deadline
            clock.advance(1)
            while not sending.ready():
                there.recv()
                gevent.sleep(0)

            assert clock.monotonic() + 10 == transport.deadline
            transport.close()

    def test_ended(self):
        """One that has ended is watched no more."""
        for end in ("close", "abort"):
            one, _ = memory_pair()
            transport = idle(one)
            getattr(transport, end)()

            assert 0 == len(transport._deadlines)


class TestServer:
    @pytest.mark.parity("MISS-51", "TCP-S-22")
    @pytest.mark.parametrize("with_tls", [False, True])
    def test_closed_when_idle(self, start, with_tls):
        """Takers see the end when nothing has moved for so long, and the server counts it."""
        ended = []

        def handler(one, _):
            ended.append(one.take("the end"))
            ended.append(one.take("the end"))

        options = {"tls": server_context()} if with_tls else {}
        with ManualClock() as clock:
            server = start(handler, idle_timeout=10, **options)
            client = tcp.client(
                "localhost", server.port, tls=client_context() if with_tls else None
            ).get(timeout=5)
            client.put(b"x")
            assert settle(lambda: len(ended) == 1)
            advance(clock, 9)
            assert 1 == server.stats().active
            advance(clock, 4)
            assert client.take("the end") == "the end"
            client.close()

        assert [b"x", "the end"] == ended
        assert {"idle_closed": 1} == server.stats().counts

    def test_busy_ones_stay(self, start):
        """Whoever sends or is sent something stays, with links too."""
        with ManualClock() as clock:
            server = start(lambda one, _: stream.connect(one, one), idle_timeout=10)
            with dialled(server.port) as client:
                for _ in range(5):
                    advance(clock, 8)
                    client.sendall(b"x")
                    assert b"x" == client.recv(1)
                assert 1 == server.stats().active
                advance(clock, 14)

                assert b"" == client.recv(1)
        assert settle(lambda: not server.stats().active)

    def test_arguments(self, start):
        """What is no time is refused."""
        for wrong in (0, -1, "5", True):
            with pytest.raises((TypeError, ValueError), match="idle_timeout"):
                start(print, idle_timeout=wrong)
