"""`Joint`: a source that is put together from what others give."""

from __future__ import annotations

import gevent
import pytest

from galeph import stream as streams
from galeph.deferred import future
from galeph.stream import Stream, connect, consume
from galeph.stream.interfaces import END, EXPIRED
from galeph.stream.joints import Joint
from tests.stream.scenes import kill_served, settle, waiting
from tests.stream.wires import yielding


class Pairs(Joint):
    """Two messages of one source make one; a third one of another is taken when it is there."""

    def __init__(self, source, other=None):
        super().__init__([source, *([other] if other is not None else [])], "pairs")
        self.held = []

    def _make(self):
        first = self._intakes[0]
        if first.message is END:
            self._finish(first.error)
            return False
        if first.message is EXPIRED:
            return False
        self.held.append(first.message)
        first.message = EXPIRED
        if len(self.held) < 2:
            return None
        self._send(tuple(self.held), first.take_out(2))
        self.held.clear()
        return True


def test_makes_a_message_of_several():
    """Asking for as many as it takes, and no more than that."""
    source = Stream(9)
    pairs = Pairs(source)
    source.put_all(range(5))
    settle()

    assert 5 == source.qsize()
    assert (0, 1) == pairs.take()
    assert 3 == source.qsize()
    assert (2, 3) == pairs.try_take(0)


def test_waits_without_a_greenlet():
    """Connected, it is moved as its sources give."""
    source, seen = Stream(), []
    done = consume(Pairs(source), seen.append)
    for n in range(4):
        assert source.put(n)
    settle()

    assert [(0, 1), (2, 3)] == seen
    source.close()
    assert done.get(timeout=1) is True


def test_serves_all_who_wait():
    """In their order, greenlets and deferreds."""
    source = Stream(20)
    pairs = Pairs(source)
    takers = [waiting(pairs.take), pairs.take_async(), waiting(pairs.take)]
    source.put_all(range(7))

    assert [(0, 1), (2, 3), (4, 5)] == [taker.get(timeout=1) for taker in takers]
    settle()
    assert 1 == source.qsize()


def test_a_source_that_fails_fails_it():
    """While it waits, or when it asks."""
    waited_for, failed = Stream(), Stream()
    taken = Pairs(waited_for).take_async("end")
    waited_for.fail(ValueError("cut"))
    failed.fail(ValueError("cut"))

    with pytest.raises(ValueError, match="cut"):
        taken.get(timeout=1)
    with pytest.raises(ValueError, match="cut"):
        Pairs(failed).take()


def test_what_is_thrown_at_a_take_is_no_failure_of_the_source():
    """A limit of the caller's own passes through, and the joint goes on."""
    source = Stream(9)
    pairs = Pairs(source.map(yielding(lambda n: gevent.sleep(0.01) or n)))
    source.put_all([1, 2])

    with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
        pairs.take()
    assert (1, 2) == pairs.take()


def test_what_a_killed_taker_leaves_goes_to_what_is_connected():
    """He was served, and killed before he ran."""
    source, sink = Stream(9), Stream(9)
    pairs = Pairs(source)
    taker = waiting(pairs.take)
    connect(pairs, sink)
    kill_served(pairs, [taker])
    source.put_all([1, 2])
    settle()

    assert isinstance(taker.value, gevent.GreenletExit)
    assert (1, 2) == sink.try_take(0)


def test_who_is_killed_in_a_function_leaves_the_rest_to_what_is_connected():
    """That has relied on him: he was about to bring the message."""
    source, sink = Stream(9), Stream(9)
    pairs = Pairs(source.map(yielding(lambda n: gevent.sleep(0.001) or n)))
    source.put_all([1, 2])
    taker = waiting(pairs.take)
    connect(pairs, sink)
    settle()
    taker.kill()

    assert (1, 2) == sink.try_take(1)


def test_closing_it_closes_all_its_sources():
    """At once; what it has taken alone goes back."""
    source, other = Stream(9), Stream(9)
    pairs = Pairs(source, other)
    other.put("kept")
    taker = waiting(pairs.take, "end")
    pairs.close()

    assert "end" == taker.get(timeout=1)
    assert (True, True) == (source.closed, other.closed)
    assert ["kept"] == list(other)


def test_is_connected_as_often_as_it_leads_somewhere():
    """Its sources know."""
    source, other, sinks = Stream(9), Stream(9), [Stream(9), Stream(9)]
    pairs = Pairs(source, other)
    assert (0, 0) == (source.link_count, other.link_count)
    moved = [connect(pairs, sink) for sink in sinks]
    assert (1, 1) == (source.link_count, other.link_count)
    source.put_all([1, 2])
    settle()

    assert [(1, 2)] * 2 == [sink.take() for sink in sinks]
    for each in moved:
        each.cancel()
    assert (0, 0) == (source.link_count, other.link_count)
    pairs.close()


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("shape", ["batch", "late reductions", "map"])
def test_closing_it_closes_what_only_its_sources_share(shape, turns):
    """An operator that it draws on twice; what else is connected further up goes on."""
    source, branch, seen = Stream(), Stream(2), []
    putting = gevent.spawn(lambda: source.put_all(range(10)) and source.close())
    connect(source, branch)
    done = consume(branch, seen.append)
    shared = {
        "batch": lambda s: s.batch(2).map(sum),
        "late reductions": lambda s: s.reductions(lambda a, b: future(yielding(sum), (a, b))),
        "map": lambda s: s.map(yielding(abs)),
    }[shape](branch)
    joint = streams.zip(shared, shared.map(yielding(abs)))
    joined = consume(joint.map(sum), lambda _: None)
    for _ in range(turns):
        gevent.sleep(0)
    joint.close()
    gevent.wait([putting, done, joined], timeout=2)

    assert done.ready()
    assert joined.ready()
    assert shared.drained
    assert list(range(10)) == seen
