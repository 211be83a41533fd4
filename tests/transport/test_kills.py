"""A kill or a Timeout at any switch leaves no socket, no half message and nobody blocked."""

from __future__ import annotations

from functools import partial

import gevent
import greenlet
import pytest

from galeph import tcp
from galeph.errors import GalephError
from galeph.transport.connect import connect
from galeph.transport.serving import serve_connections
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import settle, transport_pair

MESSAGE = b"0123456789" * 100_000


class Thrower:
    """Throws at the n-th switch to one of the greenlets it watches; 0 only counts."""

    def __init__(self, number, kind):
        self.number = number
        self.kind = kind
        self.count = 0
        self.watched = set()

    def __enter__(self):
        greenlet.settrace(self._trace)
        return self

    def __exit__(self, *_):
        greenlet.settrace(None)

    def watch(self, fn, *args):
        """Call ``fn``, in a greenlet that is watched from here on."""
        # Not before: one that dies before its first line tells nobody, and is joined for ever.
        self.watched.add(greenlet.getcurrent())
        return fn(*args)

    def _trace(self, _event, ends):
        if ends[1] in self.watched:
            self.count += 1
            if self.count == self.number:
                raise self.kind


def echo(connection):
    while data := connection.transport.recv():
        connection.transport.send(data)


def converse(port, tls):
    """A client that connects, has a long message echoed, and leaves in order."""
    transport = connect("127.0.0.1", port, tls_context=tls, server_hostname="localhost")
    try:
        sender = gevent.spawn(quiet, transport.send, MESSAGE)
        received = b""
        while len(received) < len(MESSAGE):
            data = transport.recv()
            if not data:
                break
            received += data
        sender.join()
        return received
    finally:
        transport.close()


def quiet(fn, *args):
    """What came of a call: its result, or what it raised."""
    try:
        return fn(*args)
    except (Exception, gevent.Timeout, greenlet.GreenletExit) as error:
        return error


def walk(scenario, kind, *, step=1):
    """Run it whole, counting its switches, and then once for every switch, thrown at there."""
    with Thrower(0, kind) as counter:
        scenario(counter)
    for number in range(1, counter.count + 1, step):
        with Thrower(number, kind) as thrower:
            scenario(thrower)
    return counter.count


@pytest.mark.parametrize("kind", [greenlet.GreenletExit, gevent.Timeout])
class TestEverySwitch:
    @pytest.mark.parametrize("is_tls", [False, True])
    def test_client(self, kind, is_tls):
        """A client thrown at anywhere ends, and so does its connection on the server."""
        context = server_context() if is_tls else None
        with serve_connections(echo, tls_context=context) as server:

            def scenario(thrower):
                tls = client_context() if is_tls else None
                client = gevent.spawn(quiet, thrower.watch, converse, server.port, tls)
                client.join(5)

                assert client.ready()
                assert settle(lambda: not server.stats().active)

            assert 2 < walk(scenario, kind)

    @pytest.mark.parametrize("is_tls", [False, True])
    def test_server(self, kind, is_tls, caplog):
        """A connection of a server thrown at anywhere ends; its client sees that; others live."""
        context = server_context() if is_tls else None
        with serve_connections(echo, tls_context=context) as server:

            def scenario(thrower):
                server._serve = partial(thrower.watch, echo)
                tls = client_context() if is_tls else None
                client = gevent.spawn(quiet, converse, server.port, tls)
                client.join(5)

                assert client.ready()
                assert settle(lambda: not server.stats().active)

            assert 1 < walk(scenario, kind)
        assert (kind is gevent.Timeout) == bool(caplog.records)

    def test_sender_between_others(self, kind):
        """Whatever happens to one sender, the peer gets whole messages, those of others all."""

        def scenario(thrower):
            one, other = transport_pair(16384)
            first = gevent.spawn(quiet, one.send, b"a" * 300_000)
            struck = gevent.spawn(quiet, thrower.watch, one.send, b"b" * 300_000)
            last = gevent.spawn(quiet, one.send, b"c" * 300_000)
            reader = gevent.spawn(read_all, other)
            gevent.joinall([first, struck, last], timeout=5)
            one.send_eof()
            received = reader.get(timeout=5)
            one.close()
            other.close()

            assert received in {
                b"a" * 300_000 + b"b" * 300_000 + b"c" * 300_000,
                b"a" * 300_000 + b"c" * 300_000,
            }

        assert 2 < walk(scenario, kind)

    def test_taker_and_putter_of_a_stream(self, kind):
        """A stream's taker loses no bytes, and its putter sends whole messages, wherever struck."""
        with tcp.start_server(lambda stream, _: stream.put(b"x" * 5000) and None) as server:

            def scenario(thrower):
                client = tcp.client("127.0.0.1", server.port).result(5)
                taken = []
                struck = gevent.spawn(quiet, thrower.watch, keep, client, taken)
                struck.join(5)
                taken.extend(client)
                client.close()

                assert b"x" * 5000 == b"".join(taken)

            assert 0 < walk(scenario, kind)


def keep(source, taken):
    for message in source:
        taken.append(message)


def read_all(transport):
    received = bytearray()
    try:
        while data := transport.recv():
            received += data
    except GalephError:
        pass
    return bytes(received)
