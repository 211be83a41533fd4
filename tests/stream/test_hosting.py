"""`host`: the connection's own greenlet, while something is connected to its stream."""

from __future__ import annotations

import gevent
import pytest

from galeph.errors import Cancelled
from galeph.stream import Stream, connect, consume
from galeph.stream.hosting import host
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


def hosting(wire, connect, target):
    """What a server's greenlet does: the handler connects and returns, and the stream is hosted."""
    connected = []

    def serve():
        connected.append(connect(wire, target))
        host(wire)

    return waiting(serve), connected[0]


class TestWithoutLinks:
    def test_returns_at_once(self):
        """Nothing is connected: the connection may end."""
        assert waiting(host, Wire()).ready()

    def test_an_operator_alone_does_not_keep_it(self):
        """Mapped and not connected is not connected."""
        wire = Wire()
        mapped = wire.map(str)

        assert waiting(host, wire).ready()
        assert not mapped.drained

    def test_returns_when_closed(self):
        """Whatever is connected."""
        wire = Wire()
        connect(wire, Stream())
        hosted = waiting(host, wire)
        wire.close()
        settle()

        assert hosted.ready()


class TestPumping:
    def test_moves_the_messages_in_its_own_greenlet(self):
        """No second greenlet reads the connection."""
        wire, ran_in = Wire("a", "b"), []
        hosted, done = hosting(wire, consume, lambda _: ran_in.append(gevent.getcurrent()))

        assert [hosted, hosted] == ran_in
        assert not hosted.ready()
        wire.end()
        assert done.get(timeout=1) is True
        hosted.get(timeout=1)

    def test_leaves_the_pump_to_whoever_runs_it(self):
        """Connected by a handler that goes on for a while, a runner moves; the host waits."""
        wire, seen = Wire("a"), []
        done = consume(wire, seen.append)
        settle()
        hosted = waiting(host, wire)
        wire.arrive("b")
        settle()

        assert ["a", "b"] == seen
        assert not hosted.ready()
        wire.end()
        hosted.get(timeout=1)
        assert done.get(timeout=1) is True

    def test_returns_when_the_last_message_is_delivered(self):
        """Not before: the echo's last answer is out when the connection may be closed."""
        for is_running in (False, True):
            wire = Wire("a")
            echoing = connect(wire, wire, downstream=False)
            if is_running:
                settle()
            hosted = waiting(host, wire)
            wire.is_stuck = True
            wire.arrive("last")
            settle()
            wire.end()
            settle()

            assert not hosted.ready()
            wire.unstick()
            hosted.get(timeout=1)
            assert ["a", "last"] == wire.sent
            assert echoing.get(timeout=1) is True

    def test_becomes_the_pump_when_something_is_connected_later(self):
        """Hosting a sink, it starts to read when a sink is connected to the stream."""
        wire, topic, seen = Wire(), Stream(), []
        connect(topic, wire)
        hosted = waiting(host, wire)
        done = consume(wire, lambda message: seen.append((message, gevent.getcurrent())))
        settle()
        wire.arrive("a")
        settle()

        assert [("a", hosted)] == seen
        wire.end()
        hosted.get(timeout=1)
        assert done.get(timeout=1) is True

    def test_the_end_of_the_last_sink_frees_it_from_its_read(self):
        """Disconnected while it blocks in the connection, it returns."""
        wire, sink = Wire(), Stream()
        hosted, moved = hosting(wire, connect, sink)

        assert not hosted.ready()
        moved.cancel()
        hosted.get(timeout=1)
        assert not wire.closed

    def test_a_kill_fails_what_it_moved(self):
        """Server shutdown: sinks see that something is missing, and nothing is left pending."""
        wire, sink = Wire("a"), Stream(5)
        hosted, moved = hosting(wire, connect, sink)
        hosted.kill()

        assert isinstance(moved.exception, Cancelled)
        assert "a" == sink.take()
        with pytest.raises(Cancelled):
            sink.take()
        assert wire.closed

    def test_a_kill_withdraws_what_waits_in_a_full_sink(self):
        """The message was not accepted; the sink's takers see the error in its place."""
        wire, sinks = Wire("a"), [Stream(), Stream()]

        def connect_both(source, targets):
            return [connect(source, target) for target in targets]

        hosted, moved = hosting(wire, connect_both, sinks)
        assert [1, 1] == [sink.description()["pending_puts"] for sink in sinks]
        hosted.kill()
        settle()

        assert [0, 0] == [sink.description()["pending_puts"] for sink in sinks]
        for sink, each in zip(sinks, moved, strict=True):
            assert isinstance(each.exception, Cancelled)
            with pytest.raises(Cancelled):
                sink.take()

    def test_an_exception_of_a_consumer_does_not_reach_it(self):
        """It is the consumption's own end, and the connection's, which had only that."""
        wire = Wire("a")
        hosted, done = hosting(wire, consume, lambda _: 1 / 0)
        hosted.get(timeout=1)

        assert isinstance(done.exception, ZeroDivisionError)
        assert wire.closed


class TestWatching:
    def test_a_sink_of_a_quiet_topic_notices_the_peer_s_end(self):
        """Nothing is put, nothing is taken: still the connection ends when the peer does."""
        topic, wire = Stream(), Wire()
        moved = connect(topic, wire)
        hosted = waiting(host, wire)

        assert not hosted.ready()
        wire.end()
        hosted.get(timeout=1)
        wire.close()
        assert moved.get(timeout=1) is True
        settle()
        assert topic.closed

    def test_a_connection_that_breaks_ends_the_watch(self):
        """The error is the stream's; the host returns."""
        topic, wire = Stream(), Wire()
        connect(topic, wire)
        hosted = waiting(host, wire)
        wire.end(ConnectionResetError("peer"))

        hosted.get(timeout=1)
        assert isinstance(wire.error, ConnectionResetError)

    def test_what_it_reads_meanwhile_is_not_lost(self):
        """A message to a connection that is only written is the next to be taken."""
        topic, wire = Stream(), Wire()
        connect(topic, wire)
        hosted = waiting(host, wire)
        wire.arrive("a")
        wire.arrive("b")
        settle()

        assert "a" == waiting(wire.take).get(timeout=1)
        assert "b" == waiting(wire.take).get(timeout=1)
        assert not hosted.ready()
        topic.close()
        hosted.get(timeout=1)

    def test_returns_when_the_last_source_is_gone(self):
        """The topic it was connected to has ended."""
        topic, wire = Stream(), Wire()
        connect(topic, wire, downstream=False)
        hosted = waiting(host, wire)
        topic.close()

        hosted.get(timeout=1)
        assert not wire.closed

    def test_waits_for_pending_takes_and_puts(self):
        """An asynchronous call that is under way counts as a link."""
        wire = Wire()
        taken = wire.take_async()
        settle()
        hosted = waiting(host, wire)

        assert not hosted.ready()
        wire.arrive("a")
        assert "a" == taken.get(timeout=1)
        hosted.get(timeout=1)

    def test_a_kill_leaves_the_stream_usable(self):
        """Nobody is left registered on it."""
        topic, wire = Stream(), Wire()
        connect(topic, wire)
        hosted = waiting(host, wire)
        hosted.kill()
        wire.arrive("a")

        assert "a" == wire.take()
        again = waiting(host, wire)
        wire.end()
        again.get(timeout=1)


def test_a_queue_stream_is_hosted_without_moving_anything():
    """Its messages are moved by its own pump; the host waits for the links to go."""
    source, sink = Stream(5), Stream(5)
    connect(source, sink)
    hosted = waiting(host, source)
    source.put("a")
    settle()

    assert "a" == sink.take()
    assert not hosted.ready()
    source.close()
    hosted.get(timeout=1)
