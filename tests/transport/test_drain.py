"""How a server ends."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from galeph import clock
from galeph.errors import ResourceClosed
from galeph.testing import ManualClock
from galeph.transport.drain import DrainReport
from galeph.transport.serving import Server, serve_connections
from tests.transport.wire import dialled, read_to_the_end, settle


def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)


def use_and_leave(server):
    with server:
        pass


class TestDrain:
    def test_nothing_to_do(self, serve):
        """A server without connections is closed at once, and says so."""
        server = serve(echo)
        report = server.close().get(timeout=1)

        assert (0, 0, 0, 0) == (report.idle, report.finished, report.cut, report.stuck)
        assert not server.stats().is_accepting
        with pytest.raises(ConnectionRefusedError), dialled(server.port):
            pass

    def test_idle_connections_are_closed_at_once(self, serve):
        """A connection that says it is idle is closed in order, in no time."""

        def idle(connection):
            connection.is_idle = True
            with pytest.raises(ResourceClosed):
                connection.transport.recv()

        server = serve(idle)
        with dialled(server.port) as client:
            assert settle(lambda: server.stats().idle == 1)
            report = server.close().get(timeout=1)

            assert (1, 0, 0) == (report.idle, report.finished, report.cut)
            assert (b"", True) == read_to_the_end(client)

    def test_work_in_flight_is_finished(self, serve):
        """A connection at work goes on until it is done, and the drain waits for it."""
        go_on = Event()

        def work(connection):
            go_on.wait()
            assert connection.is_draining
            connection.transport.send(b"done")

        server = serve(work)
        with dialled(server.port) as client:
            assert settle(lambda: server.stats().active == 1)
            closing = server.close()
            gevent.sleep(0.01)
            assert not closing.ready()
            go_on.set()

            assert (b"done", True) == read_to_the_end(client)
            report = closing.get(timeout=1)
        assert (0, 1, 0) == (report.idle, report.finished, report.cut)

    def test_connections_are_told(self, serve):
        """A connection's hook is called once, in place of closing it."""
        told = []

        def serve_until_told(connection):
            is_over = Event()
            connection.is_idle = True
            connection.on_drain = lambda: (told.append(connection), is_over.set())
            is_over.wait()
            connection.transport.send(b"goodbye")

        server = serve(serve_until_told)
        with dialled(server.port) as client:
            assert settle(lambda: server.stats().active == 1)
            server.close()
            server.close()

            assert (b"goodbye", True) == read_to_the_end(client)
        assert 1 == len(told)

    def test_cut_at_the_timeout(self, serve):
        """What is not done in time is cut: a reset for the peer, a kill for the greenlet."""
        ended = []

        def sleep_on(connection):
            try:
                gevent.sleep(60)
            finally:
                ended.append(connection)

        server = serve(sleep_on)
        with dialled(server.port) as client:
            assert settle(lambda: server.stats().active == 1)
            report = server.close(0.02).get(timeout=2)

            assert (0, 1, 0) == (report.finished, report.cut, report.stuck)
            assert 0.02 <= report.seconds < 1
            assert (b"", False) == read_to_the_end(client)
        assert 1 == len(ended)

    def test_blocked_in_the_transport(self, serve):
        """A connection cut while it receives sees why."""
        errors = []

        def receive(connection):
            try:
                connection.transport.recv()
            except ResourceClosed as error:
                errors.append(str(error))

        server = serve(receive)
        with dialled(server.port):
            assert settle(lambda: server.stats().active == 1)
            server.close(0).get(timeout=2)

        assert ["the server was closed before this had finished"] == errors

    def test_will_not_die(self, serve, monkeypatch):
        """A handler that outlives its kill does not keep the server from being closed."""
        monkeypatch.setattr("galeph.transport.drain._GRACE", 0.02)
        release = Event()

        def stubborn(_):
            while not release.is_set():
                try:
                    release.wait()
                except gevent.GreenletExit:
                    pass

        server = serve(stubborn)
        with dialled(server.port):
            assert settle(lambda: server.stats().active == 1)
            report = server.close(0).get(timeout=2)
            assert (1, 1) == (report.cut, report.stuck)
            release.set()
            assert settle(lambda: not server.stats().active)

    def test_an_earlier_deadline_replaces_a_later(self, serve):
        """Closing again with less patience cuts sooner; both calls get the report."""
        server = serve(lambda _: gevent.sleep(60))
        with dialled(server.port):
            assert settle(lambda: server.stats().active == 1)
            first = server.close(30)
            second = server.close(0.01)
            third = server.close(60)

            assert first.get(timeout=2) == second.get(timeout=2) == third.get(timeout=2)
        assert 1 == first.get().cut
        assert first.get() == server.close().get()

    def test_goes_by_the_clock(self):
        """The drain's deadline is one of galeph's clock."""
        manual = ManualClock()
        previous = clock.set_default(manual)
        try:
            server = serve_connections(lambda _: gevent.sleep(60))
            with dialled(server.port):
                assert settle(lambda: server.stats().active == 1)
                closing = server.close(15)
                manual.advance(14.9)
                gevent.sleep(0.01)
                assert not closing.ready()
                manual.advance(0.2)

                assert 15.0 == pytest.approx(closing.get(timeout=1).seconds)
        finally:
            clock.set_default(previous)

    @pytest.mark.parametrize("end", [Server.close, use_and_leave], ids=["close", "with"])
    def test_the_servers_own_deadline(self, end):
        """Where nobody says how long, the drain lasts as long as the server was made with."""
        with ManualClock() as manual:
            server = serve_connections(lambda _: gevent.sleep(60), shutdown_timeout=40)
            with dialled(server.port):
                assert settle(lambda: server.stats().active == 1)
                gone = gevent.spawn(end, server)
                gevent.sleep(0)
                manual.advance(39)
                assert 1 == server.stats().active
                manual.advance(2)
                gone.get(timeout=1)
                server.wait(1)

                assert 1 == server.close().get(timeout=1).cut

    def test_without_a_deadline(self, serve):
        """A server made without one never cuts by itself; who closes it again, can."""
        with ManualClock() as manual:
            server = serve(lambda _: gevent.sleep(60), shutdown_timeout=None)
            with dialled(server.port):
                assert settle(lambda: server.stats().active == 1)
                closing = server.close()
                manual.advance(100_000)
                assert not closing.ready()
                server.close(5)
                manual.advance(6)

                assert 1 == closing.get(timeout=1).cut

    def test_cancelling_the_report_cancels_nothing_else(self, serve):
        """Whoever gives up waiting for the report leaves the drain as it is."""
        server = serve(lambda _: gevent.sleep(60))
        with dialled(server.port):
            assert settle(lambda: server.stats().active == 1)
            server.close(0.02).cancel()

            assert isinstance(server.close().get(timeout=2), DrainReport)
