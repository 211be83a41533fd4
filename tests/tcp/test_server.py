"""Servers of TCP: when connections end, and how servers do."""

from __future__ import annotations

import inspect
import logging
import socket

import gevent
import pytest
from gevent.event import Event

from galeph import deferred, executor, stream, tcp
from galeph.clock import set_default
from galeph.errors import (
    ConnectionLost,
    ResourceClosed,
)
from galeph.tcp import ConnectionInfo
from galeph.testing import ManualClock
from galeph.transport.listener import bind_listen_socket
from tests.tcp.scenes import echo
from tests.transport.wire import dialled, read_to_the_end, reset, settle


class TestConnections:
    """When a connection of a server ends."""

    def test_handler_returns(self, serve):
        """When the handler has returned and nothing is connected, the connection is closed."""
        server = serve(lambda connection, _: connection.put(b"bye"))
        with dialled(server.port) as client:
            assert (b"bye", True) == read_to_the_end(client)

    def test_stream_kept_somewhere(self, serve):
        """A stream that is merely kept does not keep the connection."""
        kept = []
        server = serve(lambda connection, _: kept.append(connection))
        with dialled(server.port) as client:
            assert (b"", True) == read_to_the_end(client)

        assert kept[0].closed

    def test_connected_to_itself(self, serve, dial):
        """Connected to itself the stream echoes until the client has had enough."""
        server = serve(lambda connection, _: stream.connect(connection, connection))
        client = dial(server)
        for number in range(50):
            client.put(b"%d" % number)
            assert b"%d" % number == client.take()
        client.close()

        assert settle(lambda: not server.stats().active)

    def test_connected_without_saying_so(self, serve, dial):
        """What the handler returns does not matter while something is connected."""

        def handler(connection, _):
            stream.connect(connection, connection)

        client = dial(serve(handler))
        client.put(b"x")

        assert b"x" == client.take()

    def test_subscriber_that_leaves(self, serve, dial):
        """A connection that is only a sink of a quiet topic ends when its peer leaves."""
        topic = stream.Stream()
        server = serve(lambda connection, _: stream.connect(topic, connection) and None)
        client = dial(server)
        topic.put(b"news")
        assert b"news" == client.take()
        client.close()

        assert settle(lambda: not server.stats().active)
        topic.close()

    def test_subscriber_that_said_something(self, serve, dial):
        """So it does if the peer had sent what nobody takes."""
        topic = stream.Stream()
        server = serve(lambda connection, _: stream.connect(topic, connection) and None)
        client = dial(server)
        client.put(b"hello?")
        gevent.sleep(0.02)
        client.put(b"anybody?")
        gevent.sleep(0.02)
        assert 1 == server.stats().active
        client.close()

        assert settle(lambda: not server.stats().active)
        topic.close()

    def test_subscriber_that_is_cut(self, serve):
        """And if the connection breaks."""
        topic = stream.Stream()
        server = serve(lambda connection, _: stream.connect(topic, connection) and None)
        with dialled(server.port) as client:
            client.sendall(b"hello?")
            assert settle(lambda: server.stats().active == 1)
            gevent.sleep(0.02)
            reset(client)

            assert settle(lambda: not server.stats().active)
        topic.close()

    def test_topic_that_ends(self, serve, dial):
        """When the topic closes, so does the connection."""
        topic = stream.Stream()
        server = serve(lambda connection, _: stream.connect(topic, connection) and None)
        client = dial(server)
        assert settle(lambda: server.stats().active == 1)
        topic.close()

        assert "the end" == client.take("the end")

    @pytest.mark.parity("TCP-S-09")
    def test_sink_that_closes(self, serve, dial):
        """When the sink a connection leads to closes, the connection is closed."""
        sink = stream.Stream(10)
        server = serve(lambda connection, _: stream.connect(connection, sink) and None)
        client = dial(server)
        client.put(b"x")
        assert b"x" == sink.take()
        sink.close()

        assert "the end" == client.take("the end")

    @pytest.mark.parametrize("kind", ["deferred", "greenlet"])
    def test_returned_work_is_waited_for(self, serve, dial, kind):
        """A Deferred or Greenlet that the handler returns keeps the connection until it is done."""
        go_on = Event()

        def handler(connection, _):
            def work():
                go_on.wait()
                connection.put(b"done")

            return deferred.future(work) if kind == "deferred" else gevent.spawn(work)

        server = serve(handler)
        client = dial(server)
        gevent.sleep(0.01)
        assert 1 == server.stats().active
        go_on.set()

        assert [b"done"] == list(client)

    def test_returned_work_that_connects(self, serve, dial):
        """What the returned work has connected keeps the connection after it."""

        def handler(connection, _):
            return deferred.future(lambda: stream.connect(connection, connection) and None)

        client = dial(serve(handler))
        gevent.sleep(0.01)
        client.put(b"x")

        assert b"x" == client.take()

    def test_returned_work_that_fails(self, serve, dial, caplog):
        """Returned work that fails closes the connection, although something is connected."""

        def handler(connection, _):
            stream.connect(connection, connection)
            return deferred.error(KeyError("a bug"))

        client = dial(serve(handler))

        assert "the end" == client.take("the end")
        assert settle(lambda: len(caplog.records) == 1)
        assert KeyError is caplog.records[0].exc_info[0]

    def test_failing_handler(self, serve, dial, caplog):
        """What the handler raises closes the connection and is logged once, with the peer."""

        def handler(_connection, info):
            raise KeyError(info.remote_port)

        client = dial(serve(handler))

        assert "the end" == client.take("the end")
        (record,) = caplog.records
        assert ("galeph.server", "ERROR") == (record.name, record.levelname)
        assert f"127.0.0.1:{record.exc_info[1].args[0]}" in record.message

    @pytest.mark.parity("TCP-S-20")
    def test_resets_are_quiet(self, serve, caplog):
        """Clients that reset while they are echoed, by loop or by link, are no news."""
        servers = [serve(), serve(lambda one, _: stream.connect(one, one))]
        with caplog.at_level(logging.INFO, "galeph"):
            for number in range(40):
                with dialled(servers[number % 2].port) as client:
                    client.sendall(b"x" * 1000 * (number % 5))
                    if number % 3:
                        gevent.sleep(0.001)
                    reset(client)
            for server in servers:
                assert settle(lambda server=server: not server.stats().active)
            gevent.sleep(0)

        assert not caplog.records


class TestDrain:
    def test_takers_see_the_end(self, serve, dial):
        """Closing the server ends the read side; a loop finishes, and its last put arrives."""

        def count(connection, _):
            total = sum(len(message) for message in connection)
            connection.put(str(total))

        server = serve(count)
        client = dial(server)
        client.put(b"x" * 100)
        gevent.sleep(0.02)
        report = server.close().get(timeout=2)

        assert [b"100"] == list(client)
        assert (1, 0) == (report.finished, report.cut)

    def test_links_end(self, serve, dial):
        """An echo by link ends in order too."""
        server = serve(lambda connection, _: stream.connect(connection, connection))
        client = dial(server)
        client.put(b"x")
        client.take()
        report = server.close().get(timeout=2)

        assert "the end" == client.take("the end")
        assert (1, 0) == (report.finished, report.cut)

    @pytest.mark.parity("TCP-S-17")
    def test_cut(self, serve, dial):
        """Who goes on regardless is cut at the timeout; 15 seconds is the default."""
        server = serve(lambda *_: gevent.sleep(60))
        client = dial(server)
        report = server.close(0.02).get(timeout=2)

        assert (0, 1) == (report.finished, report.cut)
        with pytest.raises(ConnectionLost):
            client.take()

        with ManualClock() as clock:
            server = serve(lambda *_: gevent.sleep(60))
            dial(server)
            closing = server.close()
            clock.advance(14.9)
            assert not closing.ready()
            clock.advance(0.2)

            assert 1 == closing.get(timeout=2).cut

    def test_handlers_are_told(self, serve, dial):
        """A handler that takes nothing learns that the server closes."""
        told = []

        def handler(connection, _):
            told.append(connection.closing.wait(5))
            connection.put("bye")

        server = serve(handler)
        client = dial(server)
        assert settle(lambda: server.stats().active)
        report = server.close().get(timeout=2)

        assert [True] == told
        assert [b"bye"] == list(client)
        assert (1, 0, ()) == (report.finished, report.cut, report.cut_peers)

    def test_asked_late(self, serve, dial, held):
        """The event is set for who asks after the server has begun to close, too."""
        server = serve(held)
        dial(server)
        theirs = held.only()
        server.close()

        assert theirs.closing.is_set()

    def test_our_side_is_closed(self, serve, dial):
        """It is set when the stream is closed here, before or after it was asked for."""
        early, late = dial(serve()), dial(serve())
        closing = early.closing
        assert not closing.is_set()
        early.close()
        late.close()

        assert closing.wait(2)
        assert late.closing.wait(2)

    def test_who_was_cut(self, serve, dial, caplog):
        """What a close has cut is in the report by name, and one line in the log."""
        server = serve(lambda *_: gevent.sleep(60))
        dial(server)
        dial(server)
        assert settle(lambda: server.stats().active == 2)
        peers = sorted(connection.peer for connection in server.connections)
        report = server.close(0.01).get(timeout=2)
        gevent.sleep(0)

        assert peers == sorted(report.cut_peers)
        (record,) = caplog.records
        assert "ERROR" == record.levelname
        assert "2 connections had not ended within 0.01 s" in record.message
        assert all(peer in record.message for peer in peers)

    @pytest.mark.parity("TCP-S-17")
    def test_of_the_server_s_own(self, serve, dial, caplog):
        """The time to shut down is an option; 0 cuts at once, and that is no news."""
        server = serve(lambda *_: gevent.sleep(60), shutdown_timeout=0)
        dial(server)
        assert settle(lambda: server.stats().active)

        assert 1 == server.close().get(timeout=2).cut
        assert not caplog.records


class TestExecutor:
    @pytest.mark.parity("MISS-51", "TCP-S-22")
    def test_runs_handlers(self, serve, dial):
        """An executor runs the handlers, as many at a time as it has workers, and measures them."""
        on = executor.fixed_executor(1)
        running, release = [], Event()

        def handler(connection, info):
            running.append(info.remote_port)
            release.wait()
            connection.put(connection.take())

        server = serve(handler, executor=on)
        one, other = dial(server), dial(server)
        one.put("one")
        other.put("other")
        assert settle(lambda: server.stats().active == 2)
        gevent.sleep(0)
        assert 1 == len(running)
        assert "1 of 1 workers busy, 1 waiting" in repr(on)
        release.set()

        assert [b"one", b"other"] == [one.take(), other.take()]
        assert on.stats().quantile("queue_latency", 1) > 0

    def test_result_is_waited_for_outside(self, serve, dial):
        """A Deferred that the handler returns is waited for, and holds no worker meanwhile."""
        held = [deferred.deferred() for _ in range(2)]
        answers = iter(held)
        server = serve(lambda *_: next(answers), executor=executor.fixed_executor(1))
        clients = [dial(server), dial(server)]
        assert settle(lambda: next(answers, None) is None)
        for one in held:
            one.success(None)

        assert ["end", "end"] == [client.take("end") for client in clients]

    def test_takes_no_more(self, serve, dial, caplog):
        """A connection that finds no room is reset, counted and logged; the others go on."""
        on = executor.fixed_executor(1, queue_length=0)
        with caplog.at_level(logging.INFO, "galeph.server"):
            server = serve(echo, executor=on)
            one = dial(server)
            one.put("x")
            assert b"x" == one.take()
            other = dial(server)
            with pytest.raises(ConnectionLost):
                other.take()
        one.put("y")

        assert b"y" == one.take()
        assert 1 == server.stats().refused
        assert "refused: 1 tasks run and 0 wait" in caplog.text

    def test_bugs_and_cuts(self, serve, dial, caplog):
        """What a handler raises there is logged as ever; one that is cut does not go on."""
        on = executor.fixed_executor(2)
        ended = []

        def handler(connection, _):
            if connection.take() == b"fail":
                raise KeyError("a bug")
            try:
                gevent.sleep(60)
            finally:
                ended.append(True)

        server = serve(handler, executor=on, shutdown_executor=False)
        one, other = dial(server), dial(server)
        one.put("fail")
        assert one.take("end") == "end"
        assert [KeyError] == [record.exc_info[0] for record in caplog.records]
        other.put("sleep")
        assert settle(lambda: server.stats().active == 1)
        server.close(0).get(timeout=2)

        assert settle(lambda: ended == [True])
        on.shutdown()

    @pytest.mark.parity("SHUT-07")
    @pytest.mark.parametrize("keep", [False, True])
    def test_shut_down_with_the_server(self, serve, dial, keep):
        """It is shut down when the server's last connection has ended, unless it is to be kept."""
        on = executor.fixed_executor(5)
        server = serve(executor=on, shutdown_executor=not keep)
        client = dial(server)
        client.put("x")
        client.take()
        closing = server.close()
        assert 1 == on.submit(lambda: 1).get(timeout=2)
        client.close()
        closing.get(timeout=2)

        if keep:
            assert 2 == on.submit(lambda: 2).get(timeout=2)
            on.shutdown()
        else:
            with pytest.raises(ResourceClosed):
                on.submit(lambda: 2)

    def test_arguments(self):
        """What is no executor is refused."""
        with pytest.raises(TypeError, match="executor"):
            tcp.start_server(echo, executor=7)
        with pytest.raises(TypeError, match="shutdown_executor"):
            tcp.start_server(echo, shutdown_executor=None)


class TestServer:
    @pytest.mark.parity("TCP-S-02")
    def test_info(self, serve, dial):
        """The handler is told who is at the two ends."""
        infos = []

        def handler(connection, info):
            infos.append(info)
            assert info == connection.info

        server = serve(handler)
        client = dial(server)
        list(client)
        client_port = infos[0].remote_port

        assert ConnectionInfo("127.0.0.1", client_port, "127.0.0.1", server.port) == infos[0]
        assert ConnectionInfo("127.0.0.1", server.port, "127.0.0.1", server.port) == client.info

    @pytest.mark.parity("TCP-S-10", "TCP-S-11")
    def test_where_it_listens(self, serve):
        """Port 0 is a port the system chose; the host says on which interface."""
        assert serve().port > 0
        assert ("127.0.0.1", serve().port) != serve(host="127.0.0.2").address
        assert "127.0.0.2" == serve(host="127.0.0.2").address[0]
        with dialled(serve(host="").port, "127.0.0.3") as client:
            client.sendall(b"x")
            assert b"x" == client.recv(1)

    @pytest.mark.parity("TCP-S-12")
    def test_listen_socket(self, serve):
        """A listening socket may be handed in, and stays the caller's."""
        with bind_listen_socket("127.0.0.1", 0, backlog=5) as sock:
            server = serve(listen_socket=sock)
            assert sock.getsockname()[1] == server.port
            server.close(0).get(timeout=1)

            assert 1 == sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)

    @pytest.mark.parity("TCP-S-19")
    def test_socket_options(self, serve):
        """The port can be used again at once, and small messages go out without delay."""
        server = serve()
        with dialled(server.port) as client:
            client.sendall(b"x")
            client.recv(1)
            (connection,) = server.connections
            no_delay = connection.transport._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert no_delay != 0
            server.close(0).get(timeout=1)

            assert server.port == serve(echo, server.port).port
        assert 1024 == inspect.signature(tcp.start_server).parameters["backlog"].default

    @pytest.mark.parity("TCP-S-21")
    def test_object(self, serve):
        """The server has a port, can be waited for, and says what it is."""
        server = serve()
        assert f"<Server 127.0.0.1:{server.port} listening connections=0>" == repr(server)
        gevent.spawn_later(0.01, server.close)
        server.wait(2)

        assert f"<Server 127.0.0.1:{server.port} closed connections=0>" == repr(server)

    def test_arguments(self):
        """Wrong arguments are refused at the call."""
        with pytest.raises(TypeError, match="handler"):
            tcp.start_server(7)
        with pytest.raises(ValueError, match=r"tls\.self_signed"):
            tcp.start_server(echo, tls=True)
        with pytest.raises(ValueError, match="port"):
            tcp.start_server(echo, -1)

    @pytest.mark.parity("TOP-19")
    def test_stream_says_what_it_is(self, serve, dial):
        """Both addresses, from both sides, and what can be done with it."""
        accepted = deferred.deferred()
        server = serve(lambda theirs, _: accepted.success(theirs) and theirs.take())
        client = dial(server)
        theirs = accepted.get(timeout=5)
        there = f"127.0.0.1:{server.port}"
        here = f"127.0.0.1:{theirs.info.remote_port}"

        expected = {
            "type": "tcp",
            "sink": True,
            "source": True,
            "synchronous": True,
            "direction": "duplex",
            "connection": {"local_address": here, "remote_address": there, "tls": None},
            "readable": True,
            "writable": True,
            "closed": False,
            "drained": False,
        }
        assert expected == client.description()
        other = {"local_address": there, "remote_address": here, "tls": None}
        assert other == theirs.description()["connection"]
        assert repr(client).startswith("<tcp stream ")
        assert there in repr(client)
        assert (there,) == client.topology().nodes[0].label[1:2]

    @pytest.mark.parity("TOP-19")
    def test_stream_says_what_can_still_be_done_with_it(self, serve, dial):
        """Half closed by one side or the other, and closed; a view has one direction."""
        client = dial(serve(lambda theirs, _: [theirs.take(), theirs.send_eof()]))
        client.send_eof()
        facts = client.description()
        assert (True, False, True) == (facts["readable"], facts["writable"], facts["closed"])
        assert client.take() is None
        facts = client.description()
        assert (False, False, True) == (facts["readable"], facts["writable"], facts["drained"])
        assert "inbound" == stream.source_only(client).description()["direction"]
        assert "outbound" == stream.sink_only(client).description()["direction"]

    @pytest.mark.parity("TOP-19", "LOG-11")
    def test_stream_says_how_much_goes_through_if_asked(self, serve, dial):
        """Bytes received and sent in the last second, once it was told to count."""
        client = dial(serve())
        assert "throughput" not in client.description()
        manual = ManualClock()
        manual.advance(1 - manual.monotonic() % 1)
        previous = set_default(manual)
        try:
            client.instrument()
            client.instrument()
            client.put(b"12345")
            assert b"12345" == client.take()
            manual.advance(1)

            assert {"received": 5, "sent": 5} == client.description()["throughput"]
            manual.advance(1)
            assert {"received": 0, "sent": 0} == client.description()["throughput"]
        finally:
            set_default(previous)
