"""How servers end: TCP and HTTP, in this process and in one of their own."""

from __future__ import annotations

import logging
import signal

import gevent
import pytest
from gevent.event import Event

from galeph import http, tcp
from galeph.errors import GalephError, IncompleteBody
from galeph.testing import ManualClock
from tests.http.raw import GET, Reader, connected, read_to_end
from tests.integration.programs import running
from tests.transport.wire import dialled, reset, settle, starting


@pytest.fixture
def start():
    """Starts servers of either kind; at the end they are cut."""

    def start(handler, kind=http, *args, **options):
        return kind.start_server(handler, *args, **options)

    with starting(start) as make:
        yield make


@pytest.fixture
def pool():
    with http.connection_pool() as one:
        yield one


class Gate:
    """A handler that is held up until it is let go on."""

    def __init__(self):
        self.entered, self.release = Event(), Event()

    def __call__(self, *_):
        self.entered.set()
        self.release.wait()
        return {"body": "done"}


class TestClose:
    @pytest.mark.parity("SHUT-01")
    def test_returns_at_once(self, start, pool):
        """It stops accepting and does not wait for requests; again, it is the same end."""
        gate = Gate()
        server = start(gate)
        answer = http.get(f"http://127.0.0.1:{server.port}/", pool=pool)
        gate.entered.wait(5)
        reports = [server.close(), server.close()]

        assert [False, False] == [one.ready() for one in reports]
        with pytest.raises(ConnectionRefusedError), dialled(server.port):
            pass
        gate.release.set()
        with answer.get(timeout=5) as response:
            assert b"done" == response.bytes()
        reports.append(server.close())
        assert 1 == len({one.get(timeout=5) for one in reports})

    @pytest.mark.parity("SHUT-02")
    @pytest.mark.parametrize("kind", [tcp, http])
    def test_time(self, start, kind, caplog):
        """By default what is under way has 15 seconds; then it is cut, and that is an error."""
        with ManualClock() as clock:
            gate = Gate()
            server = start(gate, kind)
            with dialled(server.port) as client:
                client.sendall(GET)
                gate.entered.wait(5)
                closing = server.close()
                clock.advance(14.9)
                gevent.sleep(0)
                assert not closing.ready()
                assert not caplog.records
                clock.advance(0.2)

                assert 1 == closing.get(timeout=5).cut
                assert b"" == read_to_end(client)
        gevent.sleep(0)
        assert [("galeph.server", logging.ERROR)] == [
            (record.name, record.levelno) for record in caplog.records
        ]
        assert "1 connections had not ended within 15.0 s of closing" in caplog.text

    @pytest.mark.parity("SHUT-02")
    @pytest.mark.parametrize("kind", [tcp, http])
    def test_no_time(self, start, kind, caplog):
        """0 cuts at once, and says nothing."""
        gate = Gate()
        server = start(gate, kind)
        with dialled(server.port) as client:
            client.sendall(GET)
            gate.entered.wait(5)

            assert 1 == server.close(0).get(timeout=5).cut
            assert b"" == read_to_end(client)
        assert not caplog.records

    @pytest.mark.parity("SHUT-03")
    @pytest.mark.parametrize("in_time", [True, False])
    def test_streaming_response(self, start, pool, in_time):
        """All ten parts arrive within the time; after it the body is cut, and never looks whole."""
        steps = [Event() for _ in range(10)]

        def parts():
            for number, step in enumerate(steps):
                step.wait()
                yield b"part %d;" % number

        with ManualClock() as clock:
            server = start(lambda _: {"body": parts()})
            with http.get(f"http://127.0.0.1:{server.port}/", pool=pool).get(timeout=5) as response:
                for step in steps[:5]:
                    step.set()
                received = response.body.read(35)
                closing = server.close(4 if in_time else 1)
                clock.advance(2)
                if in_time:
                    for step in steps[5:]:
                        step.set()
                    received += response.body.read()
                else:
                    with pytest.raises(IncompleteBody):
                        response.body.read()
                report = closing.get(timeout=5)

        whole = b"".join(b"part %d;" % number for number in range(10))
        assert (whole if in_time else whole[:35]) == received
        assert (int(in_time), int(not in_time)) == (report.finished, report.cut)

    @pytest.mark.parity("SHUT-04")
    @pytest.mark.parametrize(("timeout", "answered"), [(4, True), (1, False), (0, False)])
    def test_slow_handler(self, start, pool, timeout, answered):
        """A handler that is done in time is answered for; else the client gets an error."""
        gate = Gate()
        with ManualClock() as clock:
            server = start(gate)
            answer = http.post(f"http://127.0.0.1:{server.port}/", body=b"x", pool=pool)
            gate.entered.wait(5)
            closing = server.close(timeout)
            clock.advance(2)
            gevent.sleep(0)
            gate.release.set()
            if answered:
                with answer.get(timeout=5) as response:
                    assert (200, b"done") == (response.status, response.bytes())
            else:
                with pytest.raises(GalephError):
                    answer.get(timeout=5)

            assert (not answered) == closing.get(timeout=5).cut

    @pytest.mark.parity("SHUT-05")
    def test_idle_connections(self, start):
        """Connections that are kept alive and ask for nothing do not hold up the end."""
        server = start(lambda _: {"body": "x"})
        with connected(server) as one, connected(server) as other:
            for client in (one, other):
                client.sendall(GET)
                assert b"x" == Reader(client).read().body
            assert settle(lambda: server.stats().idle == 2)
            report = server.close(60).get(timeout=5)

            assert (2, 0, 0) == (report.idle, report.finished, report.cut)
            assert [b"", b""] == [read_to_end(one), read_to_end(other)]

    @pytest.mark.parity("SHUT-06")
    @pytest.mark.parametrize("kind", [tcp, http])
    def test_wait(self, start, kind):
        """It blocks until the server was closed and the last connection has ended."""
        gate = Gate()
        server = start(gate, kind)
        waiting = gevent.spawn(server.wait)
        with dialled(server.port) as client:
            client.sendall(GET)
            gate.entered.wait(5)
            server.close()
            gevent.sleep(0.01)
            assert not waiting.ready()
            gate.release.set()
            waiting.get(timeout=5)

        assert 0 == server.stats().active

    @pytest.mark.parity("SHUT-12")
    @pytest.mark.parametrize("kind", [tcp, http])
    def test_restart(self, start, kind):
        """Its port can be had again at once, whatever its connections have left behind."""
        server = start(lambda *_: {"body": "x"}, kind)
        port = server.port
        for number in range(5):
            with dialled(port) as client, dialled(port) as other:
                client.sendall(GET)
                reset(other)
                server.close(5 * (number % 2)).get(timeout=10)
                server.wait(5)
            server = start(lambda *_: {"body": "x"}, kind, port)

            assert port == server.port
            with dialled(port) as client:
                client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                client.shutdown(1)
                read_to_end(client)
            assert server.stats().accepted >= 1


SERVER = """
import gevent, signal, sys
from galeph import http
server = http.start_server(lambda request: {{"body": "x"}}, int(sys.argv[1]))
{signals}
print("listening on", server.port)
gevent.get_hub().join()
print("ended", len(list(server.connections)))
"""

CLIENT = """
import gevent, sys
from galeph import http
with http.get("http://127.0.0.1:" + sys.argv[1]).get() as response:
    print("got", response.text())
gevent.get_hub().join()
print("ended")
"""

SIGNALS = {
    "gevent": "gevent.signal_handler(signal.SIGTERM, server.close)",
    "python": "signal.signal(signal.SIGTERM, lambda *_: server.close())",
}


class TestProcesses:
    @pytest.mark.parity("SHUT-10")
    @pytest.mark.parametrize("kind", SIGNALS)
    def test_signal_handler(self, tmp_path, kind):
        """A server is closed by a signal, with a handler of gevent's or of Python's."""
        code = SERVER.format(signals=SIGNALS[kind])
        with running(tmp_path, "-W", "error", "-c", code, "0") as program:
            port = int(program.wait_for(r"listening on (\d+)", 60)[1])
            with dialled(port) as client:
                client.sendall(GET)
                assert b"x" == Reader(client).read().body
                assert 0 == program.stop(signal.SIGTERM)

                assert b"" == read_to_end(client)
            assert program.output().endswith("ended 0\n")

    @pytest.mark.parity("SHUT-09")
    def test_life_of_a_process(self, tmp_path):
        """A server keeps the hub of its process running; a client's idle connections do not."""
        code = SERVER.format(signals=SIGNALS["gevent"])
        with running(tmp_path, "-c", code, "0") as server:
            port = server.wait_for(r"listening on (\d+)", 60)[1]
            with running(tmp_path, "-W", "error", "-c", CLIENT, port) as client:
                client.wait_for("got x\nended", 60)
                assert 0 == client.process.wait(30)

            assert server.process.poll() is None
            assert 0 == server.stop(signal.SIGTERM)
