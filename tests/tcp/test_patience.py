"""Streams whose peers take nothing, or say nothing."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from galeph import stream, tcp
from galeph.errors import WriteTimeout
from galeph.testing import ManualClock
from tests.transport.test_idle import advance
from tests.transport.wire import dialled, outcome, settle

FLOOD = b"x" * (16 << 20)


class TestStreams:
    @pytest.mark.parametrize("side", ["server", "client"])
    def test_a_put_that_nobody_takes(self, side, caplog):
        """It is False in the end; takers are told why, and a server counts it and says it once."""
        outcomes, done = [], Event()

        def flood(connection, _=None):
            outcomes.append(connection.put(FLOOD))
            done.set()
            outcomes.extend(connection)

        with ManualClock() as clock, caplog.at_level("INFO", "galeph.server"):
            limits = {"write_timeout": 5}
            quiet = Event()
            handler = flood if side == "server" else lambda *_: quiet.wait()
            server = tcp.start_server(handler, **limits if side == "server" else {})
            with server:
                client = tcp.client("127.0.0.1", server.port, **limits if side == "client" else {})
                connection = client.get(timeout=5)
                flooding = gevent.spawn(outcome, flood, connection) if side == "client" else None
                gevent.sleep(0.05)
                while not done.is_set():
                    advance(clock, 1)
                    gevent.sleep(0.001)
                if flooding is not None:
                    assert isinstance(flooding.get(timeout=2), WriteTimeout)
                    assert isinstance(connection.error, WriteTimeout)
                else:
                    assert settle(lambda: not server.stats().active)
                    assert {"write_failed": 1} == server.stats().counts
                    (record,) = caplog.records
                    assert ("INFO", None) == (record.levelname, record.exc_info)
                    assert "given up: the peer has taken nothing for 5 s" in record.message
                connection.close()
                quiet.set()

        assert [False] == outcomes

    def test_a_connected_sink(self):
        """A subscriber that takes nothing is given up, and holds the others up no longer."""
        topic = stream.Stream()

        def subscribe(connection, _):
            stream.connect(topic, connection)

        with (
            ManualClock() as clock,
            tcp.start_server(subscribe, write_timeout=5) as server,
            dialled(server.port),
            dialled(server.port) as other,
        ):
            assert settle(lambda: server.stats().active == 2)
            publishing = topic.put_async(FLOOD)
            received = 0
            while received < len(FLOOD):
                received += len(other.recv(1 << 20))
            second = topic.put_async(b"news")
            while server.stats().active == 2:
                advance(clock, 1)
                gevent.sleep(0.001)

            assert publishing.get(timeout=2)
            assert second.get(timeout=2)
            assert b"news" == other.recv(100)
            topic.close()

    @pytest.mark.parity("TCP-C-16")
    def test_idle_clients(self):
        """A client may have its own resolver, and its connection is closed when nothing moves."""

        class Here:
            def addresses(self, _):
                return ["127.0.0.1"]

        options = {"resolver": Here(), "idle_timeout": 5}
        with ManualClock() as clock:
            server = tcp.start_server(lambda connection, _: connection.take())
            with server, tcp.client("here.example", server.port, **options).get(timeout=5) as one:
                taking = one.take_async("end")
                advance(clock, 4)
                assert not taking.ready()
                one.try_put(b"", 0)
                advance(clock, 4)

                assert "end" == taking.get(timeout=2)
                assert one.closed
