"""What sources and sinks have in common."""

from __future__ import annotations

import gevent
import pytest

from galeph import tcp
from galeph.stream import Stream, splice
from galeph.stream.endpoint import Endpoint
from galeph.stream.hosting import host
from tests.stream.scenes import waiting


class Door(Endpoint):
    """Something with an end and nothing else."""

    _kind = "door"
    is_open = True

    def close(self):
        self.is_open = False

    def description(self):
        return super().description() | {"open": self.is_open}


def test_belongs_to_the_hub_it_was_made_in():
    """That is where it may be used."""
    assert gevent.get_hub() is Door()._hub


def test_closes_when_its_block_is_left():
    """Also by an exception, which goes on."""
    door = Door()
    try:
        with door as inside:
            assert inside.is_open
            raise KeyError
    except KeyError:
        pass

    assert not door.is_open


def test_its_repr_is_its_description():
    """Kind first, then the facts."""
    assert "<door synchronous=False open=True>" == repr(Door())


def test_is_in_no_graph_by_itself():
    """Nothing leads to it or from it, and its topology is one node."""
    door = Door()

    assert ([], []) == (door.downstream(), door.upstream())
    assert ["door"] == [node.facts["type"] for node in door.topology().nodes]


def test_pending_calls_count_as_links_and_wake_the_host():
    """A host waits while something is pending, and is told when it is over."""
    door = Door()
    door._count_pending(1)
    hosted = waiting(host, door)

    assert (1, False) == (door.link_count, hosted.ready())
    door._count_pending(-1)
    hosted.get(timeout=1)
    assert 0 == door.link_count


VAIN_CALLS = {
    "put": lambda stream: stream.put(1),
    "put_all": lambda stream: stream.put_all([1]),
    "try_put": lambda stream: stream.try_put(1, 9),
    "take": lambda stream: stream.take(False),
    "try_take": lambda stream: stream.try_take(9, False),
}
CLOSED_STREAMS = {
    "plain": Stream,
    "stored before": lambda: Stream(5),
    "transformed": lambda: Stream(transform=iter),
    "spliced": lambda: splice(Stream(), Stream()),
}


class TestCallsInVain:
    """A loop that overlooks the end: it must not keep everybody else from running."""

    @pytest.mark.parametrize("call", VAIN_CALLS.values(), ids=VAIN_CALLS)
    @pytest.mark.parametrize("make", CLOSED_STREAMS.values(), ids=CLOSED_STREAMS)
    def test_let_others_run_now_and_then(self, make, call):
        """Every greenlet, and timers too."""
        stream = make()
        stream.close()
        others = gevent.spawn(gevent.sleep, 0.001)

        calls = 0
        while not others.dead:
            assert call(stream) is False
            calls += 1
            assert calls < 1_000_000

    def test_on_a_connection_too(self):
        """The peer has left, and the producer goes on."""
        with tcp.start_server(lambda s, _: s.close()) as server:
            stream = tcp.client("127.0.0.1", server.port).get()
            stream.close()
            others = gevent.spawn(gevent.sleep, 0.001)
            while not others.dead:
                assert stream.put(b"x") is False

    @pytest.mark.parametrize("call", [lambda s: s.try_put(1, 0), lambda s: s.try_take(0, False)])
    def test_never_where_no_waiting_was_asked_for(self, call):
        """A limit of 0 promises that nothing switches."""
        stream = Stream()
        stream.close()
        others = gevent.spawn(lambda: None)

        assert not any(call(stream) for _ in range(1000))
        assert not others.started or not others.dead

    def test_never_in_the_hub(self):
        """It cannot wait for itself."""
        stream = Stream()
        stream.close()
        answers = []
        gevent.get_hub().loop.run_callback(
            lambda: answers.extend(stream.put(1) for _ in range(1000))
        )
        gevent.sleep(0)

        assert [False] * 1000 == answers
