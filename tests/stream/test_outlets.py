"""The pump: it has a greenlet only while there is something to move."""

from __future__ import annotations

import gc
from itertools import count

import gevent
import pytest
from gevent.event import Event

from galeph import clock
from galeph import stream as streams
from galeph.deferred._runner import RunnerGreenlet
from galeph.stream import Stream, connect, consume
from galeph.stream.outlets import outlet_of
from galeph.testing import ManualClock
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


def suspended():
    """The runner greenlets that are in the middle of something."""
    gc.collect()
    # Also those that the test run has frozen out of the collector's way.
    gc.unfreeze()
    try:
        return {
            found
            for found in gc.get_objects()
            if isinstance(found, RunnerGreenlet) and found and not found.is_parked
        }
    finally:
        gc.freeze()


class TestGreenlets:
    def test_an_idle_link_between_queues_has_none(self):
        """Neither before its first message nor between messages."""
        before = suspended()
        source, sink = Stream(), Stream(9)
        connect(source, sink)
        settle()

        assert before == suspended()
        source.put_all("abc")
        settle()
        assert before == suspended()

    def test_waiting_for_a_full_queue_takes_none(self):
        """The message stands in the sink's line by itself."""
        before = suspended()
        source, sinks = Stream(9), [Stream(), Stream()]
        for sink in sinks:
            connect(source, sink)
        source.put_all("abc")
        settle()

        assert before == suspended()
        assert ["a", "a", "b", "b", "c", "c"] == [sink.take() for _ in "abc" for sink in sinks]

    @pytest.mark.parity("TOP-11")
    def test_a_connection_s_pump_has_one_while_something_is_connected(self):
        """And it is gone with the last link, wherever it was blocked."""
        before = suspended()
        wire, sink = Wire(), Stream()
        reading = connect(wire, sink)
        settle()

        assert 1 == len(suspended() - before)
        reading.cancel()
        settle()
        assert before == suspended()
        offering = connect(wire, sink)
        wire.arrive("a")
        settle()
        assert 1 == len(suspended() - before)
        offering.cancel()
        settle()
        assert before == suspended()
        assert "a" == wire.take()

    def test_an_operator_nobody_takes_from_has_none(self):
        """Also on a connection where messages arrive."""
        before = suspended()
        wire = Wire("a")
        mapped = wire.map(str)
        settle()

        assert before == suspended()
        assert "a" == mapped.take()


class TestMoving:
    def test_one_greenlet_at_a_time_moves_a_source(self):
        """Takes, connections and forks together never read it twice at once."""
        wire, sink, seen = Wire(), Stream(50), []
        mapped = wire.map(str)
        takers = [waiting(mapped.take) for _ in range(3)]
        connect(mapped, sink)
        consume(wire, seen.append)
        takers += [waiting(mapped.take) for _ in range(3)]
        for n in range(10):
            wire.arrive(n)
            settle()
        wire.end()
        settle()

        assert 1 == wire.most_inside
        assert list(range(10)) == seen
        got = [taker.get(timeout=1) for taker in takers] + list(sink)
        assert sorted(map(str, range(10))) == sorted(got)

    def test_nothing_is_moved_that_nobody_wants(self):
        """Operators without takers leave the messages in the source."""
        source = Stream(9)
        first, second = source.map(str), source.map(str)
        source.put_all([1, 2])
        settle()

        assert 2 == source.qsize()
        assert "1" == first.take()
        assert 1 == source.qsize()
        assert "1" == second.take()

    def test_a_take_beside_the_pump_competes(self):
        """Whoever takes from a connected source gets what the links then do not."""
        source, sink = Stream(9), Stream(9)
        taker = waiting(source.take)
        connect(source, sink)
        source.put_all("ab")
        settle()

        assert "a" == taker.get(timeout=1)
        assert "b" == sink.take()

    def test_an_interrupted_move_goes_on_where_it_was(self):
        """A pump killed while one of its sinks is full loses nothing for the next."""
        wire, sink = Wire("a", "b"), Stream()
        mapped = wire.map(str)
        fork = []

        def move():
            fork.extend([connect(mapped, sink), connect(mapped, Stream(9))])
            outlet_of(wire).move()

        mover = waiting(move)
        mover.kill()
        settle()

        assert "a" == sink.take()
        assert "b" == sink.take()
        for each in fork:
            each.cancel()
        settle()

    def test_a_message_that_comes_when_nobody_is_left_stays(self):
        """The last link goes in the moment the message arrives: it is given back."""
        wire, sink = Wire(), Stream()
        moved = connect(wire, sink)
        settle()
        wire.arrive("a")
        moved.cancel()
        settle()

        assert "a" == wire.take()


class TestAServedTaker:
    """One that has not run yet may be killed; what it leaves is the next message then."""

    def test_leaves_what_is_sent_on_first(self):
        """What goes straight from queue to queue waits as well."""
        source, sink = Stream(9), Stream()
        taker = waiting(source.take)
        moved = connect(source, sink)
        taker.kill(block=False)
        source.put_all([1, 2, 3])
        settle()
        moved.cancel()

        assert [1, 2, 3] == [source.take() for _ in range(3)]

    def test_leaves_what_an_operator_takes_first(self):
        """Also if that takes for itself, and gives back."""
        source, entered, go_on = Stream(9), [], Event()
        slow = source.map(lambda n: entered.append(n) or go_on.wait())
        taker = waiting(source.take)
        reader = gevent.spawn(slow.take)
        taker.kill(block=False)
        source.put_all([1, 2, 3])
        settle()

        assert [1] == entered
        reader.kill()
        slow.close()
        assert [1, 2, 3] == [source.take() for _ in range(3)]
        go_on.set()
        settle()

    def test_holds_up_nothing_once_it_has_run(self):
        """Whether it has taken its message or left it."""
        source, seen = Stream(9), []
        taker = waiting(source.take)
        consume(source, seen.append)
        source.put_all([1, 2, 3])
        settle()

        assert 1 == taker.get(timeout=1)
        assert [2, 3] == seen


class TestSendingOn:
    """What lies in an operator goes to what is connected to it, whatever its pump is doing."""

    def test_while_the_pump_waits_for_the_peer(self):
        """It does not wait for the peer's next message."""
        wire, sink, seen = Wire(), Stream(9), []
        mapped = wire.map(lambda message: message)
        consume(wire, seen.append)
        settle()
        mapped._give_back("back")
        connect(mapped.map(str), sink)

        assert "back" == sink.take()
        wire.arrive("a")
        settle()
        assert ("a", ["a"]) == (sink.take(), seen)
        wire.end()

    def test_in_the_moment_the_peer_sends(self):
        """The order holds, and nothing is lost."""
        wire, sink, seen = Wire(), Stream(9), []
        mapped = wire.map(lambda message: message)
        consume(wire, seen.append)
        settle()
        wire.arrive("a")
        mapped._give_back("back")
        connect(mapped.map(str), sink)
        wire.arrive("b")
        wire.end()
        settle()

        assert ["back", "a", "b"] == list(sink)
        assert ["a", "b"] == seen

    def test_while_the_pump_waits_for_another_sink(self):
        """That is full, and has nothing to do with it."""
        for make in (Wire, Stream):
            source, full, sink = make() if make is Wire else Stream(9), Stream(), Stream(9)
            mapped = source.map(lambda message: message)
            connect(source, full)
            if make is Wire:
                source.arrive("a")
            else:
                source.put("a")
            settle()
            connect(mapped, sink)
            settle()

            assert "a" == full.take()
            assert ["a"] == [sink.take() for _ in range(sink.qsize())]
            source.close()

    def test_to_a_take_that_reads_the_source_itself(self):
        """An operator that is made of it while somebody takes does not disturb him."""
        wire = Wire()
        mapped = wire.map(lambda message: message)
        end = mapped.map(str)
        taker = waiting(end.take)
        mapped._give_back("back")
        beside = mapped.map(str)

        assert "back" == beside.take()
        wire.arrive("a")
        assert "back" == taker.get(timeout=1)
        assert ["a", "a"] == [end.take(), beside.take()]
        wire.end()


class TestRest:
    @pytest.mark.parametrize("kind", ["queue", "iterable"])
    def test_io_is_seen_while_a_long_supply_is_moved(self, kind):
        """A timer fires on time, however many messages are there already."""
        supply = range(50_000)
        if kind == "queue":
            stream = Stream(len(supply))
            stream.put_all(supply)
            stream.close()
            supply = stream
        late = []

        def watch():
            while not done.ready():
                before = gevent.get_hub().loop.now()
                gevent.sleep(0.001)
                gevent.get_hub().loop.update_now()
                late.append(gevent.get_hub().loop.now() - before)

        done = consume(supply, lambda _: None)
        watcher = gevent.spawn(watch)
        done.get(timeout=30)
        watcher.kill()

        assert len(late) >= 3


# Chains of which nothing comes out, over numbers that never wait.
NOTHING_OF = {
    "filter": lambda numbers: streams.source(numbers).map(lambda n: n).filter(lambda _: False),
    "mapcat": lambda numbers: streams.source(numbers).mapcat(lambda _: []),
    "series": lambda numbers: streams.source([1]).mapcat(lambda _: numbers).filter(lambda _: False),
    "series of nothing": (
        lambda numbers: streams.source([1]).mapcat(lambda _: numbers).mapcat(lambda _: [])
    ),
    "transform": (
        lambda numbers: streams.source([1]).transform(lambda _: numbers).filter(lambda _: False)
    ),
    "concat": lambda numbers: streams.concat([[numbers]]).mapcat(lambda ns: ns).batch(10**9),
}


@pytest.mark.parametrize("nothing_of", NOTHING_OF.values(), ids=NOTHING_OF)
class TestPassingOver:
    """Whoever moves the messages of a chain that passes over everything, and never waits."""

    @pytest.mark.parametrize("use", ["taken", "taken by several", "asked for", "consumed"])
    def test_others_run(self, nothing_of, use):
        """They can end it."""
        is_over = []
        numbers = iter(lambda: len(is_over), 1)
        made = nothing_of(numbers)
        if use == "consumed":
            ends = [consume(made, lambda _: None)]
        elif use == "asked for":
            ends = [made.take_async()]
        else:
            ends = [gevent.spawn(made.take) for _ in range(1 if use == "taken" else 2)]
        gevent.sleep(0.001)
        is_over.append(True)

        gevent.wait(ends, timeout=5)
        assert all(end.ready() for end in ends)

    @pytest.mark.parametrize("takers", [1, 2])
    def test_it_can_be_killed(self, nothing_of, takers):
        """Its greenlet is not the only one that ever runs, and without it nothing goes on."""
        numbers = count()
        source = nothing_of(numbers)
        ends = [gevent.spawn(source.take) for _ in range(takers)]
        gevent.sleep(0.001)
        gevent.killall(ends, timeout=5)
        gevent.sleep(0)

        assert all(end.dead for end in ends)
        at = next(numbers)
        gevent.sleep(0.001)
        assert at + 1 == next(numbers)
        source.close()

    def test_its_time_limit_holds(self, nothing_of):
        """`try_take` gives up, and the next message is the one after those passed over."""
        numbers = count()
        with nothing_of(numbers) as source:
            assert "late" == source.try_take(0.01, None, "late")
            assert "late" == source.try_take(0, None, "late")

        assert next(numbers) > 1

    def test_closing_it_ends_it(self, nothing_of):
        """The take that is at it gets the end."""
        numbers = count()
        source = nothing_of(numbers)
        taker = gevent.spawn(source.take, "end")
        gevent.sleep(0.001)
        source.close()

        assert "end" == taker.get(timeout=5)


def test_what_is_there_is_taken_without_waiting():
    """However long ago the message before it of the same series was taken."""
    series = streams.source([1]).mapcat(lambda _: count())
    for n in range(40):
        gevent.sleep(0.001)
        assert n == series.try_take(0, None, "late")


class TestTheClockOfALimit:
    @pytest.mark.parametrize("make", [Stream, Wire], ids=["queue", "active"])
    def test_is_the_one_a_take_began_with(self, make):
        """Replacing the default meanwhile neither prolongs a take nor cuts it."""
        first, second = ManualClock(start=100), ManualClock()
        before = clock.set_default(first)
        try:
            taker = waiting(make().map(str).try_take, 5, "end", "late")
            clock.set_default(second)
            first.advance(4)
            settle()
            assert not taker.ready()
            first.advance(1)
            settle()

            assert taker.ready()
            assert "late" == taker.get(timeout=1)
        finally:
            clock.set_default(before)
            taker.kill()
