"""Noticing that a client leaves before it has been answered."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from galeph import errors, http
from galeph.http.departure import Departure, not_departed
from galeph.stream import Stream
from galeph.transport.memory import memory_pair
from tests.http.raw import GET, Reader, connected, get, serving, talk


def leave(sock):
    """As a browser whose page is closed does."""
    sock.close()


def end_sending(sock):
    """As a client does that only has nothing more to say."""
    sock.shutdown(socket.SHUT_WR)


class TestDisconnected:
    @pytest.mark.parametrize("go", [leave, end_sending])
    def test_when_the_client_leaves_while_the_handler_blocks(self, go):
        """True, at once, and the handler learns it where it waits."""
        waits, answers = Event(), []

        def handler(request):
            gone = request.disconnected
            waits.set()
            answers.append(gone.get(timeout=5))

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(GET)
            assert waits.wait(5)
            go(sock)
            gevent.sleep(0.05)

            assert [True] == answers

    def test_when_the_answer_has_gone_out(self):
        """False: whoever waits for it waits no longer than the exchange lasts."""
        kept = []
        with serving(lambda request: kept.append(request.disconnected)) as server:
            talk(server, get("/", "Connection: close"))
            [gone] = kept

            assert gone.get(timeout=5) is False

    def test_asked_for_after_the_answer(self):
        """False too."""
        kept = []
        with serving(kept.append) as server:
            talk(server, get("/", "Connection: close"))

        assert kept[0].disconnected.get(timeout=5) is False

    def test_a_pipelined_request_is_no_leaving(self):
        """Both requests are answered; the end behind them is noticed."""
        seen = []

        def handler(request):
            gone = request.disconnected
            gevent.sleep(0.01)
            seen.append(gone.ready())
            return {"body": "fine"}

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(GET + GET)
            reader = Reader(sock)
            assert [200, 200] == [reader.read().status for _ in range(2)]

        assert [False, False] == seen

    def test_while_the_body_arrives(self):
        """A body that is being read is no leaving, and one that breaks off is."""
        seen = []

        def handler(request):
            gone = request.disconnected
            seen.append(request.body.read(3))
            seen.append(gone.ready())
            try:
                request.body.read()
            except errors.IncompleteBody:
                seen.append(gone.get(timeout=5))
                raise

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(get("/", "Content-Length: 10") + b"abc")
            gevent.sleep(0.05)
            leave(sock)
            gevent.sleep(0.05)

        assert [b"abc", False, True] == seen

    def test_from_inside_a_generator_that_is_the_body(self):
        """The exchange lasts until the body has gone out."""
        seen = []

        def handler(request):
            def pieces():
                yield b"x"
                seen.append(request.disconnected.get(timeout=5))

            return {"body": pieces()}

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(GET)
            sock.recv(1000)
            leave(sock)
            gevent.sleep(0.05)

        assert [True] == seen

    def test_when_the_server_is_cut(self):
        """Nobody gets the answer any more."""
        waits, answers = Event(), []

        def handler(request):
            gone = request.disconnected
            waits.set()
            try:
                gevent.sleep(9)
            finally:
                answers.append(gone.ready() and gone.value)

        server = http.start_server(handler)
        with connected(server) as sock:
            sock.sendall(GET)
            assert waits.wait(5)
            server.close(timeout=0)
            server.wait(5)

        assert [True] == answers

    def test_only_on_a_server(self):
        """A client's request has no client."""
        with pytest.raises(errors.LocalProtocolError, match="server"):
            http.Request("GET", "/").disconnected  # noqa: B018  (it is the access that raises)


class TestDeparture:
    def test_of_a_transport_that_is_closed_already(self):
        """The client has left."""
        one, _ = memory_pair()
        one.close()
        departure = Departure(one)

        assert departure.has_left
        assert departure.disconnected.get() is True

    def test_closes_a_body_once_the_client_has_left(self):
        """And only then; also one that is named afterwards."""
        one, other = memory_pair()
        bodies = [Stream(), Stream()]
        departure = Departure(one)
        departure.closes(bodies[0])
        gevent.sleep(0)
        assert not bodies[0].closed
        other.close()
        gevent.sleep(0.01)
        departure.closes(bodies[1])

        assert all(body.closed for body in bodies)

    def test_after_its_end_nothing_is_watched(self):
        """A body of the next exchange is safe from it."""
        one, other = memory_pair()
        body = Stream()
        departure = Departure(one)
        departure.closes(body)
        departure.end()
        other.close()
        gevent.sleep(0.01)

        assert not body.closed
        assert departure.disconnected.get() is False

    def test_without_one(self):
        """Answered, and not departed."""
        assert not_departed().get() is False
