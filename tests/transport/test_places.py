"""How many connections a server may have at a time, and the word when others have to wait."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack

import gevent
import pytest

from galeph import http
from galeph.transport.peer_log import PeerLog
from galeph.transport.places import Places
from tests.http.raw import GET, serving
from tests.transport.certificates import server_context
from tests.transport.wire import dialled, echo, hello, settle


def full_lines(caplog):
    return [one.getMessage() for one in caplog.records if "is full" in one.getMessage()]


class TestPlaces:
    @pytest.mark.parametrize(
        ("most", "enough"), [(1, 0), (2, 1), (10, 9), (20, 18), (10_000, 9000)]
    )
    def test_a_time(self, caplog, most, enough):
        """It is full once until a tenth of the places is free, however often one must wait."""
        taken = list(range(most))
        places = Places(taken, most, "here", PeerLog(logging.getLogger("galeph.server")))
        for _ in range(3):
            places.note_waiting()
            places.note_end()
        while len(taken) > enough:
            assert (places.are_wanted, places.times_full) == (True, 1)
            taken.pop()
            places.note_end()
        assert not places.are_wanted
        places.note_waiting()
        gevent.sleep(0)

        assert 2 == places.times_full
        assert [
            f"here is full: connections wait until one of {most} ends (max_connections)"
        ] * 2 == full_lines(caplog)

    def test_no_limit(self):
        """Without a limit there is always a place."""
        places = Places(range(100_000), None, "here", PeerLog(logging.getLogger("galeph.server")))

        assert not places.are_taken()


class TestServers:
    def test_told_once(self, serve, caplog):
        """The first that must wait is one warning and one in the statistics; those behind not."""
        server = serve(echo, max_connections=11)
        with ExitStack() as stack:
            first, second, *_ = [stack.enter_context(dialled(server.port)) for _ in range(11)]
            assert settle(lambda: server.stats().active == 11)
            assert (0, False) == (server.stats().times_full, server.stats().is_accepting)
            assert not full_lines(caplog)
            with dialled(server.port) as one, dialled(server.port) as other:
                assert settle(lambda: full_lines(caplog))
                first.close()
                assert b"x" == hello(one)
                second.close()
                assert b"x" == hello(other)
        assert settle(lambda: not server.stats().active)

        assert ["WARNING"] == [one.levelname for one in caplog.records]
        text = f"127.0.0.1:{server.port} is full: connections wait until one of 11 ends"
        assert [f"{text} (max_connections)"] == full_lines(caplog)
        assert (1, 0, 13) == (
            server.stats().times_full,
            server.stats().refused,
            server.stats().accepted,
        )

    def test_handshakes_that_are_never_made(self, serve, caplog):
        """Peers that take all the places and say nothing are to be seen in the log."""
        server = serve(echo, max_connections=3, tls_context=server_context())
        with dialled(server.port), dialled(server.port), dialled(server.port):
            assert settle(lambda: server.stats().active == 3)
            with dialled(server.port):
                assert settle(lambda: server.stats().times_full)
        gevent.sleep(0)

        assert 1 == len(full_lines(caplog))

    def test_all_listeners_go_on(self, serve):
        """When one leaves, connections are accepted again wherever they wait."""
        server = serve(echo, max_connections=1, address=[("127.0.0.1", 0), ("127.0.0.1", 0)])
        ports = [address[1] for address in server.addresses]
        with dialled(ports[0]) as first:
            assert b"x" == hello(first)
            with dialled(ports[0]) as second, dialled(ports[1]) as third:
                for client, word in ((second, b"2"), (third, b"3")):
                    client.sendall(word)
                    client.shutdown(socket.SHUT_WR)
                assert settle(lambda: all(one._watcher is None for one in server._listeners))
                first.close()

                assert (b"2", b"3") == (second.recv(1), third.recv(1))

    def test_http(self, caplog):
        """An HTTP server says it too."""
        with serving(lambda _: {"body": "x"}, limits=http.Limits(max_connections=1)) as server:
            with dialled(server.port) as one:
                one.sendall(GET)
                assert one.recv(1000)
                with dialled(server.port):
                    assert settle(lambda: full_lines(caplog))

            assert 1 == server.stats().times_full
