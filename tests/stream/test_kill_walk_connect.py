"""A kill or a Timeout at every switch of what is connected: nothing lost, stuck or left linked."""

from __future__ import annotations

import contextlib
import gc
import weakref
from itertools import pairwise

import gevent
import pytest

from galeph.errors import Cancelled, TimedOut
from galeph.stream import Stream, connect, connect_via, consume, consume_async
from galeph.testing import kill_walk
from tests.stream.scenes import settle
from tests.stream.test_kill_walk_put_take import put_from, take_into
from tests.stream.wires import Wire, yielding

MESSAGES = list(range(6))


def unlinked(*streams):
    """Whether no link has stayed on any of them."""
    return [0] * len(streams) == [stream.link_count for stream in streams]


@pytest.mark.parametrize("buffer", [0, 1])
class TestAroundALink:
    def test_putter(self, buffer):
        """What was accepted comes out at the far end, in order."""

        def scenario(victim):
            near, far, accepted = Stream(buffer), Stream(buffer), []
            connected = connect(near, far)
            victim.spawn(put_from, MESSAGES, near, accepted)
            taker = gevent.spawn(list, far)
            victim.join()
            near.close()
            taken = taker.get()

            assert MESSAGES[: len(taken)] == taken
            assert len(accepted) <= len(taken) <= len(accepted) + 1
            assert connected.get() is True
            assert unlinked(near, far)

        kill_walk(scenario, at_least={0: 19, 1: 7}[buffer])

    def test_taker(self, buffer):
        """What the victim has not taken is there for the next."""

        def scenario(victim):
            near, far, taken = Stream(buffer), Stream(buffer), []
            connected = connect(near, far)
            victim.spawn(take_into, taken, far, len(MESSAGES))
            putter = gevent.spawn(lambda: near.put_all(MESSAGES) and near.close())
            victim.join()

            assert MESSAGES == taken + list(far)
            putter.join()
            assert connected.get() is True
            assert unlinked(near, far)

        kill_walk(scenario, at_least={0: 17, 1: 11}[buffer])

    def test_row_of_links(self, buffer):
        """Through several streams, from a victim to a taker and back to the victim."""

        def scenario(victim):
            row, sent, echoed = [Stream(buffer) for _ in range(4)], [], []
            connected = [connect(*pair) for pair in pairwise(row)]

            def ask():
                for message in MESSAGES:
                    sent.append(row[0].put(message))
                    echo = row[-1].take()
                    echoed.append(echo)

            victim.spawn(ask)
            victim.join()
            row[0].close()
            returned = echoed + list(row[-1])

            assert MESSAGES[: len(returned)] == returned
            assert len(sent) <= len(returned) <= len(sent) + 1
            assert [True] * 3 == [each.get() for each in connected]
            assert unlinked(*row)

        kill_walk(scenario, at_least=25)

    def test_waiting_for_the_end(self, buffer):
        """Who waits for the deferred of a connection leaves the connection as it is."""

        def scenario(victim):
            near, far = Stream(buffer), Stream(9)
            connected = connect(near, far)
            victim.spawn(connected.get)
            gevent.spawn(lambda: near.put_all(MESSAGES) and near.close())
            victim.join()

            assert MESSAGES == list(far)
            assert connected.get() is True
            assert unlinked(near, far)

        kill_walk(scenario, at_least=7)


def test_connecting_and_disconnecting():
    """Whoever is thrown at between the two leaves a link or none, and the message in one place."""

    def scenario(victim):
        near, far, links = Stream(1), Stream(), []
        near.put("a")

        def work():
            for _ in range(3):
                links.append(connect(near, far))
                gevent.sleep(0)
                links[-1].cancel()
                gevent.sleep(0)

        victim.spawn(work)
        victim.join()
        is_left = links[-1].cancel()

        assert victim.thrown is not None or not is_left
        assert unlinked(near, far)
        assert all(link.cancelled() for link in links)
        assert (False, False) == (near.closed, far.closed)
        assert 0 == far.description()["pending_puts"]
        assert "a" == near.try_take(0)

    kill_walk(scenario, at_least=25)


@pytest.mark.parametrize("make", [lambda: Stream(9), Wire], ids=["queue", "active"])
class TestFunctions:
    @pytest.mark.parametrize(
        "use",
        [consume, consume_async, lambda source, fn: connect_via(source, fn, Stream())],
        ids=["consume", "consume_async", "connect_via"],
    )
    def test_consumed(self, make, use):
        """Interrupted inside the function, what calls it ends and says so; no message twice."""

        def scenario(victim):
            source, seen = make(), []

            def fn(message):
                victim.run(gevent.sleep, 0)
                seen.append(message)

            done = use(source, fn)
            feed(source)
            gevent.wait([done], timeout=5)

            assert MESSAGES[: len(seen)] == seen
            assert done.ready()
            assert source.closed or not isinstance(source, Stream)
            if victim.thrown is None:
                assert MESSAGES == seen
                assert done.get() is True
            else:
                assert isinstance(done.exception, (Cancelled, TimedOut))
                assert victim.thrown is done.exception.__cause__
            assert unlinked(source)

        kill_walk(scenario, at_least=18)

    def test_one_of_two(self, make):
        """Two functions on one source: what interrupts the one ends both, by the same error."""

        def scenario(victim):
            source, mine, others = make(), [], []

            def fn(message):
                victim.run(gevent.sleep, 0)
                mine.append(message)

            done = [consume(source, fn), consume(source, yielding(others.append))]
            feed(source)
            gevent.wait(done, timeout=5)

            assert MESSAGES[: len(mine)] == mine
            assert MESSAGES[: len(others)] == others
            assert len(others) >= len(mine)
            assert [True, True] == [each.ready() for each in done]
            assert (victim.thrown is None) is (done[0].exception is None)
            assert unlinked(source)
            assert done[1].exception is None or victim.thrown is done[1].exception.__cause__

        kill_walk(scenario, at_least=30)


def feed(source):
    """All the messages, and the end."""
    if isinstance(source, Stream):
        source.put_all(MESSAGES)
        source.close()
    else:
        for message in MESSAGES:
            source.arrive(message)
        source.end()


def test_an_active_source_and_a_stuck_sink():
    """The greenlet that moves a connection's messages is interrupted while it receives."""

    def scenario(victim):
        wire, far = Wire(), Stream(1)
        receive = wire._receive
        wire._receive = lambda: victim.run(receive)
        connected = connect(wire, far)
        taker = gevent.spawn(taking, far)
        for message in MESSAGES:
            gevent.sleep(0)
            wire.arrive(message)
        gevent.sleep(0)
        wire.end()
        taken = taker.get()

        assert MESSAGES[: len(taken)] == taken
        assert connected.ready()
        assert (victim.thrown is None) is (connected.exception is None)
        assert victim.thrown is not None or MESSAGES == taken
        assert unlinked(wire, far)

    kill_walk(scenario, at_least=40)


def taking(stream):
    """All of it, whatever its end."""
    taken = []
    with contextlib.suppress(Cancelled, TimedOut):
        taken.extend(stream)
    return taken


def test_no_edge_is_left():
    """When it is over, whoever was thrown at, the graph is garbage."""

    def scenario(victim):
        near, middle, far = Stream(), Stream(1), Stream()
        connect(near, middle)
        connect(middle.map(yielding(str)), far)
        victim.spawn(near.put_all, MESSAGES)
        taker = gevent.spawn(take_into, [], far, 9)
        victim.join()
        taker.kill()
        watched = [weakref.ref(each) for each in (near, middle, far)]
        del near, middle, far, taker
        for _ in range(3):
            gc.collect()
            settle()

        assert [None] * 3 == [each() for each in watched]

    kill_walk(scenario, at_least=20)
