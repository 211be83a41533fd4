"""TCP connections as streams."""

from __future__ import annotations

import inspect
import logging
import socket

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Empty

from galeph import deferred, executor, stream, tcp
from galeph.clock import set_default
from galeph.errors import (
    CertificateError,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    ResolveError,
    ResourceClosed,
    TLSError,
)
from galeph.tcp import ConnectionInfo
from galeph.testing import ManualClock
from galeph.transport.listener import bind_listen_socket
from tests.transport.certificates import authority, client_context, server_context
from tests.transport.wire import dialled, read_to_the_end, reset, settle

FLOOD = 16 << 20


def echo(connection, _info):
    for message in connection:
        connection.put(message)


@pytest.fixture
def serve():
    """Starts servers; at the end they are cut."""
    started = []

    def start(handler=echo, *args, **options):
        started.append(tcp.start_server(handler, *args, **options))
        return started[-1]

    yield start
    for server in started:
        server.close(0)
        server.wait(2)


@pytest.fixture
def dial():
    """Opens client streams; at the end they are closed."""
    opened = []

    def connect(server, **options):
        opened.append(tcp.client("localhost", server.port, **options).result(5))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()
    gevent.sleep(0)


def take(source, size):
    """Exactly so many bytes."""
    received = b""
    while len(received) < size:
        received += source.take()
    return received


class Held:
    """A handler that keeps its stream, and lasts until it is released."""

    def __init__(self):
        self.streams = []
        self.release = Event()

    def __call__(self, connection, _info):
        self.streams.append(connection)
        self.release.wait()

    def only(self):
        assert settle(lambda: len(self.streams) == 1)
        return self.streams[0]


@pytest.fixture
def held():
    handler = Held()
    yield handler
    handler.release.set()
    gevent.sleep(0)


class TestMessages:
    @pytest.mark.parity("TCP-S-01", "TCP-C-01")
    def test_there_and_back(self, serve, dial):
        """Client and server hold the two ends of one stream of bytes."""
        client = dial(serve())
        assert client.put(b"hello") is True

        assert b"hello" == client.take()

    @pytest.mark.parity("TCP-S-03")
    def test_no_framing(self, serve, dial):
        """What arrives is bytes of whatever size; only their order is kept."""
        client = dial(serve())
        for size in (1, 1000, 100_000):
            client.put(b"x" * size)

        assert b"x" * 101_001 == take(client, 101_001)

    @pytest.mark.parity("TCP-S-04")
    def test_kinds_of_messages(self, serve, dial):
        """Whatever byte_streams makes bytes of can be put."""
        client = dial(serve())
        for message in ("text", bytearray(b"array"), memoryview(b"view"), [b"a", "b"]):
            assert client.put(message) is True

        assert b"textarrayviewab" == take(client, 15)

    @pytest.mark.parity("TCP-S-05")
    def test_what_makes_no_bytes(self, serve, dial, caplog):
        """A message that makes no bytes is a TypeError at the put, and so closes the connection."""

        def put_a_number(connection, _):
            connection.put(7)

        client = dial(serve(put_a_number))

        assert client.take() is None
        (record,) = caplog.records
        assert ("ERROR", TypeError) == (record.levelname, record.exc_info[0])
        with pytest.raises(TypeError):
            client.put(object())
        with pytest.raises(TypeError):
            client.try_put(object(), 0)

    def test_a_put_is_with_the_kernel(self, serve, dial, held):
        """When put returns, the bytes are on their way even if everything else stops."""
        client = dial(serve(held))
        client.put(b"x" * 1000)
        client.close()

        assert b"x" * 1000 == take(held.only(), 1000)

    def test_takers_and_putters_queue(self, serve, dial, held):
        """Several greenlets may take and put at once; each is served in its turn."""
        client = dial(serve(held))
        server = held.only()
        taken = []
        takers = [gevent.spawn(lambda: taken.append(server.take())) for _ in range(3)]
        gevent.sleep(0)
        for message in (b"a", b"b", b"c"):
            client.put(message)
            gevent.sleep(0.01)
        gevent.joinall(takers, timeout=2)

        assert [b"a", b"b", b"c"] == taken

    @pytest.mark.parity("TCP-S-08")
    def test_nobody_takes(self, serve, dial, held):
        """A peer that takes nothing stops the putter: nothing is read ahead of the takers."""
        client = dial(serve(held))
        putting = gevent.spawn(client.put, b"x" * FLOOD)
        gevent.sleep(0.05)
        assert not putting.ready()
        received = 0
        while received < FLOOD:
            received += len(held.only().take())

        assert putting.get(timeout=2) is True


class TestTimeLimits:
    def test_take(self, serve, dial):
        """A take with a limit keeps to it, and no message is lost by that."""
        client = dial(serve())
        assert "late" == client.try_take(0.01, timeout_value="late")
        assert "late" == client.try_take(0, timeout_value="late")
        with pytest.raises(Empty):
            client.get_nowait()
        client.put(b"x")

        assert b"x" == client.try_take(2)

    def test_take_what_is_there(self, serve, dial):
        """A take that must not wait finds what has arrived, and the end."""
        client = dial(serve(lambda connection, _: connection.put(b"x")))
        assert settle(lambda: client._transport.has_input())
        assert b"x" == client.get_nowait()
        assert settle(lambda: client.try_take(0, default="end") == "end")

        assert client.drained

    @pytest.mark.parity("TCP-S-06", "MISS-52")
    def test_put_before_its_turn(self, serve, dial, held):
        """A put whose limit expires before its turn is withdrawn."""
        client = dial(serve(held))
        filler = gevent.spawn(client.put, b"x" * FLOOD)
        gevent.sleep(0.05)
        assert "late" == client.try_put(b"withdrawn", 0.01, "late")
        assert "late" == client.try_put(b"withdrawn", 0, "late")
        last = gevent.spawn(client.put, b"last")
        received = bytearray()
        while len(received) < FLOOD + 4:
            received += held.only().take()

        assert b"last" == received[FLOOD:]
        assert [True, True] == [filler.get(timeout=1), last.get(timeout=1)]

    def test_put_that_has_begun(self, serve, dial, held):
        """A put whose limit expires when a part is out is True: the rest follows."""
        client = dial(serve(held))
        assert client.try_put(b"x" * FLOOD, 0.05) is True
        received = 0
        while received < FLOOD:
            received += len(held.only().take())

        assert FLOOD == received
        assert client.try_put(b"next", 1) is True
        assert b"next" == held.only().take()

    def test_put_without_waiting(self, serve, dial):
        """A put that must not wait is accepted where the kernel takes it at once."""
        client = dial(serve())

        assert client.try_put("now", 0) is True
        assert b"now" == client.take()

    def test_killed_put(self, serve, dial, held):
        """A putter killed in the middle of a message leaves it whole for the peer."""
        client = dial(serve(held))
        killed = gevent.spawn(client.put, b"x" * FLOOD)
        gevent.sleep(0.05)
        killed.kill()
        following = gevent.spawn(client.put, b"next")
        received = bytearray()
        while len(received) < FLOOD + 4:
            received += held.only().take()

        assert b"x" * FLOOD + b"next" == bytes(received)
        assert following.get(timeout=1) is True


class TestEnding:
    @pytest.mark.parity("TCP-S-07")
    def test_the_peer_closes(self, serve, dial):
        """A peer's end drains the stream; what had arrived is taken before."""
        client = dial(serve(lambda connection, _: connection.put(b"last words")))

        assert [b"last words"] == list(client)
        assert client.drained
        assert client.error is None
        assert "the end" == client.take("the end")

    def test_half_closed(self, serve, dial):
        """Who has ended its side still takes; who sees that end still puts."""

        def answer_at_the_end(connection, _):
            question = b"".join(connection)
            connection.put(b"you said " + question)

        client = dial(serve(answer_at_the_end))
        client.put(b"this")
        client.put(b" and that")
        client.send_eof()

        assert client.put(b"more") is False
        assert b"you said this and that" == b"".join(client)

    def test_cut(self, serve, dial, held):
        """A connection that is reset fails the stream: takes raise, puts are False."""
        client = dial(serve(held))
        with pytest.raises(TypeError, match="error must be an exception, not 'why'"):
            held.only().fail("why")
        held.only().fail(KeyError("why"))
        for _ in range(2):
            with pytest.raises(ConnectionLost):
                client.take()

        assert client.put(b"x") is False
        assert client.closed
        assert not client.drained
        assert isinstance(client.error, ConnectionLost)
        with pytest.raises(KeyError):
            held.only().take()

    def test_bytes_before_a_cut(self, serve, dial, held):
        """What had arrived before the reset is taken first."""
        client = dial(serve(held))
        held.only().put(b"part of the")
        assert settle(lambda: client._transport.has_input())
        held.only().fail(KeyError("why"))

        assert b"part of the" == client.take()
        with pytest.raises(ConnectionLost):
            client.take()

    def test_putting_to_one_that_left(self, serve, dial, held):
        """Puts to a peer that is gone become False; they do not raise."""
        client = dial(serve(held))
        held.only().fail(KeyError("why"))

        assert settle(lambda: client.put(b"x") is False)
        assert client.closed

    def test_own_close(self, serve, dial, held):
        """Closing ends blocked takes as an end, and refuses puts."""
        client = dial(serve(held))
        taking = gevent.spawn(client.take, "the end")
        gevent.sleep(0)
        client.close()
        client.close()

        assert "the end" == taking.get(timeout=1)
        assert client.put(b"x") is False
        assert client.try_put(b"x", 0) is False
        assert held.only().take("the end") == "the end"
        client.send_eof()

    def test_with(self, serve):
        """As a context manager it closes itself."""
        with tcp.client("localhost", serve().port).result(5) as client:
            client.put(b"x")

        assert client.closed
        assert client._transport.closed

    def test_other_threads(self, serve, dial):
        """From another thread only the threadsafe calls are allowed; in debug mode others raise."""
        client = dial(serve())
        pool = gevent.get_hub().threadpool

        def misuse():
            for call in (client.close, lambda: client.put(b"x"), client.take):
                with pytest.raises(RuntimeError, match="outside the thread"):
                    call()
            return client.put_threadsafe(b"hello")

        sent = pool.apply(misuse)

        assert b"hello" == client.take()
        assert sent.result(1) is True

    def test_told(self, serve, dial):
        """`on_closed` and `on_drained` tell."""
        told = []
        client = dial(serve(lambda connection, _: connection.put(b"x")))
        client.on_drained(lambda: told.append("drained"))
        client.on_closed(lambda: told.append("closed"))
        list(client)
        client.close()
        gevent.sleep(0)

        assert {"drained", "closed"} == set(told)


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

    @pytest.mark.parity("TOP-19")
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


class TestClient:
    @pytest.mark.parity("TCP-C-01")
    def test_failures_are_in_the_deferred(self):
        """What goes wrong is in the deferred, by its own kind."""
        with bind_listen_socket("127.0.0.1", 0, backlog=1) as sock:
            port = sock.getsockname()[1]
        refused = tcp.client("127.0.0.1", port)
        with pytest.raises(ConnectRefused):
            refused.result(2)
        with pytest.raises(ResolveError):
            tcp.client("nowhere.invalid", 80).result(10)

    @pytest.mark.parity("TCP-C-02")
    def test_names(self, serve):
        """A name is resolved without blocking anybody else."""
        ticks = []
        ticker = gevent.spawn(lambda: [ticks.append(gevent.sleep(0)) for _ in range(10_000)])
        client = tcp.client("localhost", serve().port).result(5)
        client.close()
        ticker.kill()

        assert ticks

    @pytest.mark.parity("TCP-C-09")
    def test_time_limit(self):
        """Connecting has a limit, of 30 seconds by default."""
        with bind_listen_socket("127.0.0.1", 0, backlog=0) as sock:
            port = sock.getsockname()[1]
            fillers = [tcp.client("127.0.0.1", port) for _ in range(3)]
            gevent.sleep(0.05)
            with pytest.raises(ConnectTimeout):
                tcp.client("127.0.0.1", port, timeout=0.05).result(2)
            for filler in fillers:
                if filler.ready():
                    filler.get().close()
                else:
                    filler.cancel()
            gevent.sleep(0)

        assert 30.0 == inspect.signature(tcp.client).parameters["timeout"].default

    def test_arguments(self):
        """Wrong arguments are refused at the call."""
        with pytest.raises(ValueError, match="port"):
            tcp.client("localhost", 0)
        with pytest.raises(TypeError, match="tls"):
            tcp.client("localhost", 80, tls="yes")

    def test_nobody_wants_it_any_more(self, serve):
        """If the only one who waited is killed, the connection is given up."""
        server = serve()
        connecting = tcp.client("localhost", server.port)
        waiting = gevent.spawn(connecting.get)
        gevent.sleep(0)
        waiting.kill()

        assert connecting.cancelled()
        assert settle(lambda: not server.stats().active)

    def test_cancelled_too_late(self, serve):
        """A connection that was made for a deferred cancelled meanwhile is closed."""
        server = serve()
        connecting = tcp.client("localhost", server.port)
        gevent.spawn(connecting.cancel)
        gevent.sleep(0.02)

        assert connecting.cancelled()
        assert settle(lambda: not server.stats().active)


class TestTLS:
    @pytest.mark.parity("TCP-S-13", "TCP-C-07", "TLS-22")
    def test_echo(self, serve, dial):
        """Both sides take a context, and know afterwards what was agreed."""
        infos = []

        def handler(connection, info):
            infos.append(info)
            echo(connection, info)

        client = dial(serve(handler, tls=server_context()), tls=client_context())
        client.put(b"secret")

        assert b"secret" == client.take()
        assert "TLSv1.3" == infos[0].tls.version == client.info.tls.version

    @pytest.mark.parity("TCP-C-06", "TLS-18")
    def test_insecure(self, serve, dial):
        """A certificate nobody vouches for is accepted only by who says so."""
        server = serve(tls=server_context())
        with pytest.raises(CertificateError):
            dial(server, tls=True)
        client = dial(server, tls={"insecure": True})
        client.put(b"x")

        assert b"x" == client.take()

    @pytest.mark.parity("TCP-C-05", "TCP-C-08", "TLS-19")
    def test_default_context(self, serve, dial):
        """`tls=True` verifies certificate and name; another name fails with an error naming it."""
        server = serve(tls=server_context())
        with pytest.raises(TLSError):
            dial(server, tls=True)
        with pytest.raises(CertificateError, match=r"example\.org"):
            dial(server, tls={"ca": authority().cert_pem.bytes(), "server_hostname": "example.org"})

    @pytest.mark.parity("TCP-C-11")
    def test_not_before_the_handshake(self, serve, dial):
        """The client's deferred is pending until the handshake has succeeded."""
        silent = Held()
        server = serve(silent)
        connecting = tcp.client("localhost", server.port, tls=client_context())
        silent.only()
        gevent.sleep(0.02)

        assert not connecting.ready()
        connecting.cancel()
        silent.release.set()

    @pytest.mark.parity("TCP-C-12", "TLS-24")
    def test_plain_client(self, serve, held):
        """A plain client of a TLS server never reaches the handler; the connection goes away."""
        server = serve(held, tls=server_context())
        with tcp.client("localhost", server.port).result(5) as client:
            client.put(b"GET / HTTP/1.1\r\n\r\n")
            assert settle(lambda: server.stats().failed_handshakes == 1)
            try:
                leftovers = b"".join(client)
            except ConnectionLost:
                leftovers = b""

        assert 21 == leftovers[0] if leftovers else True
        assert [] == held.streams

    @pytest.mark.parity("TCP-C-13")
    def test_wrong_client_certificate(self, serve, held):
        """A client without the certificate that is asked for ends; the handler is not called."""
        server = serve(held, tls=server_context(asks_client=True))
        client = tcp.client("localhost", server.port, tls=client_context()).result(5)
        with client, pytest.raises((TLSError, ConnectionLost)):
            client.take()

        assert [] == held.streams

    def test_truncated(self, serve, held):
        """A TLS connection that ends without close_notify fails its stream."""
        server = serve(held, tls=server_context())
        client = tcp.client("localhost", server.port, tls=client_context()).result(5)
        with client:
            held.only().put(b"half")
            assert b"half" == client.take()
            held.only()._transport.inner.close()

            with pytest.raises(ConnectionLost, match="close_notify"):
                client.take()
