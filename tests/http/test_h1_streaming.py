"""Bodies that are fetched while they are sent, and clients that do not wait for their end."""

from __future__ import annotations

import gevent
import pytest

from galeph import http, stream
from galeph.stream import Stream
from tests.http.raw import GET, Reader, connected, post, serving, talk


def events(*messages):
    """A quiet topic: a few messages, then none, and no end."""
    topic = Stream(9)
    topic.put_all(messages)
    return topic


class TestQuietBodies:
    @pytest.mark.parametrize("how", ["close", "half"])
    @pytest.mark.parametrize(
        "shape", [lambda topic: topic, lambda topic: stream.map(bytes.upper, topic)]
    )
    def test_are_closed_when_the_client_leaves(self, how, shape, caplog):
        """Though nothing is written any more; the connection is given back, without a word."""
        topic = events(b"one")
        with serving(lambda _: {"body": shape(topic)}) as server, connected(server) as sock:
            sock.sendall(GET)
            received = b""
            while b"one" not in received.lower():
                received += sock.recv(1000)
            if how == "close":
                sock.close()
            else:
                sock.shutdown(1)
            gevent.sleep(0.1)

            assert topic.closed
            assert 0 == server.stats().active
        assert [] == [one for one in caplog.records if one.levelname != "DEBUG"]

    def test_twenty_clients_leave_nothing_behind(self):
        """GEVENT B4: twenty had left, and twenty connections stayed half-closed."""
        topic = stream.Stream()
        with serving(lambda _: {"body": stream.map(bytes, topic)}) as server:
            for _ in range(20):
                with connected(server) as sock:
                    sock.sendall(GET)
                    sock.recv(1000)
            gevent.sleep(0.1)

            assert 0 == server.stats().active

    def test_are_not_closed_by_what_is_pipelined(self):
        """The body goes on, and the next request is answered after it."""
        topic = events(b"one")
        bodies = iter([topic, b"next"])
        with serving(lambda _: {"body": next(bodies)}) as server, connected(server) as sock:
            sock.sendall(GET + GET)
            gevent.sleep(0.1)
            topic.put(b"two")
            topic.close()
            reader = Reader(sock)

            assert b"onetwo" == reader.read().body
            assert b"next" == reader.read().body

    @pytest.mark.attack(94)
    def test_a_client_that_only_ends_its_side_is_answered(self):
        """The handler never reads, nothing spins meanwhile, and the answer arrives whole."""
        rounds = []
        each_round = gevent.get_hub().loop.prepare()

        def handler(request):
            gone = request.disconnected.get(timeout=5)
            each_round.start(lambda: rounds.append(gone))
            gevent.sleep(0.2)
            each_round.stop()
            return {"body": b"late"}

        with serving(handler) as server, connected(server) as sock:
            sock.sendall(GET)
            sock.shutdown(1)

            assert sock.recv(1000).endswith(b"late")
            assert b"" == sock.recv(1000)
        each_round.close()
        assert 1 <= len(rounds) < 50


def test_a_generator_may_begin_to_read_the_request_when_it_is_sent():
    """The request's body is there until the response has gone out."""

    def handler(request):
        def lines():
            for line in request.body:
                yield line.upper()

        return http.Response(body=lines())

    with serving(handler) as server:
        received = talk(server, post(b"a\nb\n", "Connection: close"))

    assert b"A\n" in received
    assert b"B\n" in received
    assert received.endswith(b"0\r\n\r\n")
