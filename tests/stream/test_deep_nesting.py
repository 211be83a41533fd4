"""Streams within streams, a thousand deep: no use of them needs a stack as deep as that."""

from __future__ import annotations

import contextlib
import gc
import itertools
import weakref

import gevent
import pytest

from galeph import stream as streams
from galeph.deferred import future
from galeph.stream import Sink, Source, Stream, connect, consume, splice
from galeph.stream.nesting import MOST_NESTED
from galeph.testing import kill_walk
from tests.stream.scenes import settle

pytestmark = pytest.mark.long


class Here:
    """An executor that runs what it gets in a greenlet."""

    def submit(self, fn, *args):
        return future(fn, *args)


def same(message):
    return message


def filled(message):
    stream = Stream(1)
    stream.put(message)
    stream.close()
    return stream


def connected(source):
    sink = Stream()
    connect(source, sink)
    return sink


def connected_via(source):
    sink = Stream()
    streams.connect_via(source, sink.put, sink)
    return sink


def through(source):
    sink = Stream(transform=lambda messages: (each for each in messages))
    connect(source, sink)
    return sink


def tapped(source):
    """An operator that something is connected to beside the next."""
    made = source.map(same)
    consume(made, same).on_realized(same, same)
    return made


# What is made of a source, again and again.
INNER = {
    "concat": lambda s: streams.concat([s]),
    "concat of a stream": lambda s: streams.concat(filled(s)),
    "concat of operators": lambda s: streams.concat([s.map(same)]).filter(lambda _: True),
    "concat of views": lambda s: streams.source_only(streams.concat([streams.source_only(s)])),
    "zip in concat": lambda s: streams.concat([streams.zip(s)]),
}
USERS = {
    "mapcat": lambda s: streams.mapcat(same, [s]),
    "mapcat of operators": lambda s: streams.mapcat(same, [s.map(same)]),
    "transform of streams": lambda s: streams.source([s]).transform(
        lambda sources: (each for one in sources for each in one)
    ),
}
LAID = {
    "zip": streams.zip,
    "zip of two": lambda s: streams.zip(s, range(9)),
    "zip of operators": lambda s: streams.zip(s.map(same)).map(same),
    "timed batch": lambda s: s.batch(1, latency=60),
    "buffer": lambda s: s.buffer(1),
    "dropping": lambda s: streams.dropping(9, s),
    "sliding": lambda s: streams.sliding(9, s),
    "transform with a buffer": lambda s: s.transform(iter, buffer=1),
    "transform": lambda s: s.transform(iter),
    "batch": lambda s: s.batch(1),
    "throttle": lambda s: s.throttle(1e6),
    "realize_each": lambda s: s.realize_each(),
    "reductions": lambda s: s.reductions(lambda _, message: message),
    "concat of parts": lambda s: streams.concat(s.partition_by(same)),
    "mapcat of lists": lambda s: s.mapcat(lambda message: [message]),
    "source_only": streams.source_only,
    "splice": lambda s: splice(Stream(), s),
    "splice of views": lambda s: splice(streams.sink_only(s), streams.source_only(s)),
    "splice of itself": lambda s: splice(s, s),
    "splice of operators": lambda s: splice(Stream(), s.map(same)),
    "onto": lambda s: streams.onto(s, Here()),
    "view of onto": lambda s: streams.source_only(streams.onto(s, Here())),
}
CONNECTED = {
    "connected": connected,
    "connected by functions": connected_via,
    "connected through functions": through,
    "tapped": tapped,
}
GIVING = INNER | USERS | LAID | CONNECTED
# What is put into is made of a sink, again and again; the names are others.
PUTTING = {
    "sink_only": streams.sink_only,
    "put into splice": lambda s: splice(s, Stream()),
    "put into splice of views": lambda s: splice(streams.sink_only(s), Stream()),
    "put into splice of itself": lambda s: splice(s, s),
    "put into onto": lambda s: streams.onto(s, Here()),
    "put into view of onto": lambda s: streams.sink_only(streams.onto(s, Here())),
}


@pytest.fixture
def depth(long_form):
    return 5_000 if long_form else 1_000


class Nest:
    """A stream, and what was made of it again and again.

    Left, the stream is closed, and it is waited for that all greenlets have heard of it.
    """

    def __init__(self, wrap, depth):
        self.depth = depth
        self.bottom = self.end = Stream(9)
        self.levels = []
        for _ in range(depth):
            self.end = wrap(self.end)
            self.levels.append(weakref.ref(self.end))
        if wrap is tapped:
            # What is connected to the last would be in the way of a take.
            self.end = self.end.map(same)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bottom is None:
            return
        self.bottom.close()
        if isinstance(self.end, Sink):
            self.end.close()
        if isinstance(self.end, Source):
            gevent.spawn(self.take_all).join(30)
        self.run_until(lambda: not self.bottom.link_count)

    def take_all(self):
        with contextlib.suppress(ValueError):
            list(self.end)

    def alive(self):
        return sum(level() is not None for level in self.levels)

    def run_until(self, is_done):
        """Let others run: a level may take a few rounds of the loop."""
        for _ in range(20 * self.depth):
            if is_done():
                return True
            gevent.sleep(0)
        return False


def is_awaited(stream):
    """Whether somebody waits for its next message: there, or at an operator on it."""
    outlet = stream._outlet
    return stream.description()["pending_takes"] or (outlet is not None and outlet.has_demand())


def flat(message):
    while isinstance(message, (list, tuple)):
        message = message[0]
    return message


@pytest.fixture
def made(depth):
    """Makes a nest of a name, and leaves it."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(Nest((GIVING | PUTTING)[name], depth))


@pytest.mark.parametrize("name", GIVING)
class TestTakingFromIt:
    @pytest.mark.parity("STR-64", "TOP-14")
    def test_gives_the_messages_and_the_end(self, name, made):
        """In their order."""
        nest = made(name)
        nest.bottom.put_all([7, 8])

        assert 7 == flat(nest.end.take())
        assert 8 == flat(nest.end.take())
        nest.bottom.close()
        assert "end" == nest.end.take("end")

    def test_gives_the_failure(self, name, made):
        """To one who waits, and to one who comes later."""
        nest = made(name)
        nest.bottom.put(7)
        assert 7 == flat(nest.end.take())
        taken = nest.end.take_async()
        nest.bottom.fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            taken.get(timeout=30)
        with pytest.raises(ValueError, match="cut"):
            nest.end.take()

    def test_waits_for_a_message(self, name, made):
        """A greenlet, a deferred and one with a limit; each gets one."""
        nest = made(name)
        taker = gevent.spawn(nest.end.take)
        gevent.sleep(0)
        taken = nest.end.take_async()
        gevent.sleep(0)
        nest.bottom.put_all([7, 8, 9])

        assert 7 == flat(taker.get(timeout=30))
        assert 8 == flat(taken.get(timeout=30))
        assert 9 == flat(nest.end.try_take(30))

    def test_can_be_connected(self, name, made):
        """Messages and the end reach the sink."""
        nest, got = made(name), []
        done = consume(nest.end, lambda message: got.append(flat(message)))
        nest.bottom.put_all([7, 8])
        nest.bottom.close()

        assert done.get(timeout=30) is True
        assert [7, 8] == got

    def test_says_what_it_is(self, name, made):
        """At both ends, with the whole graph."""
        nest = made(name)
        for each in (nest.bottom, nest.end):
            assert repr(each).startswith("<")
            assert each.description()["type"]
            assert each.topology().nodes
            assert each.link_count >= 0
            assert each.is_synchronous in (True, False)
        assert not nest.end.drained
        assert nest.end.error is None


# A function that waits in a take of its own keeps what it takes from.
@pytest.mark.attack(298)
@pytest.mark.parametrize("name", sorted(GIVING.keys() - {"transform of streams"}))
def test_is_collected(name, made):
    """All levels of it, dropped with the bottom when it has given a message."""
    nest = made(name)
    nest.bottom.put(7)
    assert 7 == flat(nest.end.take())
    nest.end = nest.bottom = None
    for _ in range(3):
        gc.collect()
        nest.run_until(lambda: nest.levels[0]() is None)

    assert 0 == nest.alive()


@pytest.mark.parametrize("name", INNER | LAID)
def test_closing_it_closes_the_bottom(name, made):
    """By the time that `close` returns; who waits gets the end."""
    nest = made(name)
    nest.bottom.put(7)
    assert 7 == flat(nest.end.take())
    taker = gevent.spawn(nest.end.take, "end")
    gevent.sleep(0)
    nest.end.close()

    assert nest.bottom.closed
    assert "end" == taker.get(timeout=30)


@pytest.mark.parametrize("name", GIVING)
def test_a_killed_take_loses_nothing(name, made, depth):
    """However far down it has come."""
    nest = made(name)
    for rounds in (0, 1, depth // 50, depth // 4, 2 * depth):
        taker = gevent.spawn(nest.end.take)
        for _ in range(rounds):
            gevent.sleep(0)
        taker.kill()
    nest.bottom.put(7)

    assert 7 == flat(nest.end.take())


@pytest.mark.parametrize("end", ["close", "drop"])
@pytest.mark.parametrize("name", ["zip", "zip of operators", "zip of two", "batch", "timed batch"])
def test_what_nobody_got_is_the_bottom_s_again(name, end, made, depth):
    """In order, however far up it has come when the taker is killed."""
    for rounds in (1, depth // 50, depth // 4, 2 * depth):
        nest = made(name)
        nest.bottom.put_all(range(9))
        taken = []
        taker = gevent.spawn(lambda nest=nest, taken=taken: taken.append(flat(nest.end.take())))
        for _ in range(rounds):
            gevent.sleep(0)
        taker.kill()
        del taker
        if end == "close":
            nest.end.close()
            taken += [flat(message) for message in nest.end]
        else:
            nest.end = Stream()
            for _ in range(3):
                gc.collect()
                nest.run_until(nest.bottom.full)
        nest.bottom.close()

        assert list(range(9)) == taken + list(nest.bottom)


@pytest.mark.parametrize("name", ["concat", "zip of two", "mapcat"])
def test_a_take_interrupted_at_any_switch_loses_nothing(name):
    """Also where the message passes from one greenlet to another."""

    def scenario(victim):
        with Nest(GIVING[name], MOST_NESTED + 2) as nest:
            taken = []
            victim.spawn(lambda: taken.extend(flat(nest.end.take()) for _ in range(2)))
            settle()
            nest.bottom.put_all([7, 8])
            victim.join()
            taken += [flat(nest.end.take()) for _ in range(2 - len(taken))]

            assert [7, 8] == taken

    kill_walk(scenario, at_least=9)


@pytest.mark.attack(298)
@pytest.mark.parametrize("name", sorted(INNER.keys() - {"zip in concat"}))
def test_dropped_while_it_waits_it_lets_go_of_the_bottom(name, made):
    """Without the collector, level by level; the next message is the bottom's."""
    gc.disable()
    try:
        nest = made(name)
        taker = gevent.spawn(nest.end.take)
        waits = nest.run_until(lambda: is_awaited(nest.bottom))
        taker.kill()
        nest.end = None
        del taker
        lets_go = nest.run_until(lambda: not is_awaited(nest.bottom))
        nest.bottom.put(7)
        alive = nest.alive()
    finally:
        gc.enable()

    assert (True, True, 0) == (waits, lets_go, alive)
    assert 7 == nest.bottom.try_take(0)


@pytest.mark.parametrize("name", ["concat", "zip", "mapcat", "transform of streams"])
def test_a_program_that_is_deep_itself_can_take(name, made):
    """A half of the stack is enough."""
    nest = made(name)
    nest.bottom.put(7)

    def take(frames):
        return take(frames - 1) if frames else nest.end.take()

    assert 7 == flat(take(400))


@pytest.mark.parametrize("name", PUTTING)
class TestPuttingIntoIt:
    def test_passes_messages_on(self, name, made):
        """In every way of putting, and connected."""
        nest, source = made(name), Stream()
        bottom, end = nest.bottom, nest.end
        connect(source, end)

        assert end.put("a") is True
        assert end.try_put("b", 0) is True
        assert end.put_async("c").get(timeout=5) is True
        end.put_nowait("d")
        assert source.put("e") is True
        assert list("abcde") == [bottom.take() for _ in range(5)]
        assert 1 == bottom.link_count == end.link_count
        assert repr(end).startswith("<")
        assert end.description()["type"]
        assert end.topology().edges

    @pytest.mark.parametrize("error", [None, ValueError("cut")], ids=["closed", "failed"])
    def test_passes_the_end_on(self, name, made, error):
        """In order, or a failure."""
        nest, calls = made(name), []
        nest.end.on_closed(lambda: calls.append("closed"))
        if error is None:
            nest.end.close()
        else:
            nest.end.fail(error)
        gevent.sleep(0)

        assert (True, True) == (nest.end.closed, nest.bottom.closed)
        assert nest.bottom.error is error
        assert ["closed"] == calls
        assert nest.end.put("a") is False


@pytest.mark.parametrize("at", [0, -1], ids=["first", "last"])
def test_a_row_of_connected_streams_closes_from_both_ends(at, depth):
    """Each hears of it from the one beside."""
    row = [Stream() for _ in range(depth)]
    for a, b in itertools.pairwise(row):
        connect(a, b)
    row[at].close()
    for _ in range(20 * depth):
        gevent.sleep(0)
        if row[0].closed and row[-1].closed:
            break

    assert all(each.closed for each in row)
