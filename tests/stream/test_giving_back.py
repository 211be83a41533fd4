"""What an operator holds when its output is closed or dropped goes back to its source, in order."""

from __future__ import annotations

import gc

import gevent
import pytest
from gevent.event import Event

from galeph import deferred
from galeph import stream as streams
from galeph.errors import TimedOut
from galeph.stream import Stream, connect
from galeph.testing import kill_walk
from tests.stream.scenes import settle, waiting
from tests.stream.wires import yielding

MESSAGES = list(range(6))


def later(n):
    return deferred.future(lambda: yielding(int)(n))


# Each operator, how many of the messages its taker has had, and what the source has after that.
HOLDING = {
    "map": (lambda s: s.map(lambda n: gevent.sleep(60 * n) or n), [0], MESSAGES[1:]),
    "filter": (lambda s: s.filter(lambda n: gevent.sleep(60 * n) is None), [0], MESSAGES[1:]),
    "second of two": (
        lambda s: s.map(str).map(int).map(lambda n: gevent.sleep(60 * n) or n),
        [0],
        MESSAGES[1:],
    ),
    "throttle": (lambda s: s.throttle(1e-3, max_backlog=1), [0], MESSAGES[1:]),
    "realize_each": (
        lambda s: s.map(lambda n: deferred.Deferred() if n else n).realize_each(),
        [0],
        MESSAGES[1:],
    ),
    "late reductions": (
        lambda s: s.reductions(lambda _, n: deferred.Deferred()),
        [0],
        MESSAGES[1:],
    ),
    "batch": (lambda s: s.batch(9), [], MESSAGES),
    "timed batch": (lambda s: s.batch(9, latency=60), [], MESSAGES),
    "weighed batch": (lambda s: s.batch(9, latency=60, metric=lambda _: 0.1), [], MESSAGES),
    "batch of sums": (lambda s: s.batch(9).map(sum), [], MESSAGES),
    "zip": (lambda s: streams.zip(s, Stream()), [], MESSAGES),
}


@pytest.mark.parametrize("name", sorted(HOLDING))
class TestHolding:
    @pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "waiting"])
    def test_closed(self, name, is_killed):
        """It is there as soon as `close` returns, whether or not its taker still waits."""
        operator, first, rest = HOLDING[name]
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        made = operator(source)
        taker = waiting(taken.extend, made)
        assert first == taken
        if is_killed:
            taker.kill()
        made.close()
        if not is_killed and name not in ("map", "filter", "second of two"):
            taker.join()
        taker.kill()

        assert first == taken + list(made)
        assert rest == list(source)
        assert source.drained

    def test_dropped(self, name):
        """It is there once the operator has been collected, and the source is still open."""
        operator, first, rest = HOLDING[name]
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        made = operator(source)
        taker = waiting(taken.extend, made)
        taker.kill()
        del made, taker
        for _ in range(3):
            gc.collect()
            settle()

        assert first == taken
        assert rest == [source.try_take(0, None, "nothing") for _ in rest]
        assert not source.closed


def test_a_part_that_waits_for_its_reader_holds_nothing_back():
    """Closing a `partition_by` gives back the message that it has read ahead."""
    source = Stream(9)
    source.put_all(MESSAGES)
    parts = source.partition_by(lambda n: n // 4)
    part = parts.take()
    settle()
    parts.close()

    assert MESSAGES == list(part) + list(source)


def test_closed_inside_a_chain_it_ends_what_is_below():
    """Whatever is on its way to it, or kept there."""
    for turns in range(6):
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        batch = source.map(same).batch(3)
        sums = batch.map(same)
        taker = gevent.spawn(lambda sums=sums, taken=taken: taken.extend(flat(list(sums))))
        for _ in range(turns):
            gevent.sleep(0)
        batch.close()
        taker.join(timeout=1)

        assert taker.ready()
        assert sums.drained
        assert MESSAGES == taken + list(source)


def test_what_comes_back_to_reductions_is_not_counted_again():
    """It had counted it when something further down was dropped: it has the sum then."""
    for turns in range(12):
        source = Stream(9)
        source.put_all([1, 2, 3])
        middle = source.reductions(lambda a, b: a + b).map(same)
        last = middle.map(same)
        taker = last.take_async()
        for _ in range(turns):
            gevent.sleep(0)
        taken = [] if taker.cancel() else [taker.value]
        del last, taker
        for _ in range(3):
            gc.collect()
            settle()
        source.close()

        assert [1, 3, 6] == taken + list(middle)


def test_what_is_waited_for_is_forgotten_with_its_message():
    """The message goes back to the source with an earlier one, and that comes first again."""
    source, started = Stream(9), []
    source.put_all([0, 1])

    def start(n):
        started.append((n, deferred.Deferred()))
        return started[-1][1]

    late = source.map(start).realize_each()
    last = late.mapcat(lambda n: [n]).batch(2)
    taker = last.take_async()
    settle()
    started[0][1].success(0)
    settle()
    assert [0, 1] == [n for n, _ in started]
    taker.cancel()
    del taker, last
    for _ in range(3):
        gc.collect()
        settle()
    taker = waiting(lambda: [late.take(), late.take()])
    for _ in range(3):
        for n, pending in started:
            pending.success(n)
        settle()

    assert [0, 1] == taker.get(timeout=1)


@pytest.mark.parametrize("middle", ["map", "mapcat", "reductions"])
def test_what_is_on_its_way_to_what_is_dropped_keeps_its_order(middle):
    """It comes back one by one, to an operator that is still held."""
    for turns in range(12):
        source = Stream(9)
        source.put_all(MESSAGES)
        held = {
            "map": lambda s: s.map(same),
            "mapcat": lambda s: s.mapcat(whole),
            "reductions": lambda s: s.reductions(lambda _, n: same(n)),
        }[middle](source)
        dropped = [held.map(later).realize_each().batch(9, latency=60)]
        taker = gevent.spawn(lambda taken: taken.pop().take(), dropped)
        for _ in range(turns):
            gevent.sleep(0)
        taker.kill()
        del taker
        dropped.clear()
        for _ in range(4):
            gc.collect()
            settle()
        source.close()

        assert MESSAGES == list(held), turns


def test_what_a_closed_output_gets_after_that_goes_back_when_it_is_dropped():
    """From a function that was running when it was closed, and what is connected below, too."""
    for turns in range(1, 5):
        source, sink = Stream(9), Stream(9)
        source.put_all(MESSAGES)
        first = source.map(same)
        second = first.map(same)
        streams.connect(second, sink)
        for _ in range(turns):
            gevent.sleep(0)
        first.close()
        second.close()
        settle()
        taken = list(sink)
        del first, second, sink
        for _ in range(3):
            gc.collect()
            settle()

        assert MESSAGES == taken + list(source)


@pytest.mark.parametrize("below", ["map", "batch", "timed batch", "zip"])
def test_what_is_closed_above_first_loses_nothing(below):
    """The function of that still runs when the output is closed."""
    for turns in range(6):
        source, other = Stream(9), Stream(9)
        source.put_all(MESSAGES)
        other.put_all(OTHERS)
        closed = source.map(same)
        made = COMPOSED[below](closed, other)
        taken = []
        taker = gevent.spawn(lambda made=made, taken=taken: taken.extend(flat(list(made))))
        for _ in range(turns):
            gevent.sleep(0)
        closed.close()
        made.close()
        taker.join(timeout=1)

        assert MESSAGES == [n for n in taken if n < COUNT] + list(source)


@pytest.mark.parametrize(
    "chain",
    [
        lambda s, wait: s.batch(2, latency=60).map(wait),
        lambda s, wait: s.map(same).map(same).batch(2).map(wait),
        lambda s, wait: s.map(later).realize_each().batch(2).mapcat(wait),
    ],
    ids=["timed", "fused", "late"],
)
def test_the_last_of_a_list_goes_back_although_the_source_has_ended(chain):
    """Wherever it is when the output is closed."""
    for turns in range(12):
        source, taken = Stream(9), []
        source.put(0)
        made = chain(source, whole)
        taker = waiting(lambda made=made, taken=taken: taken.extend(flat(list(made))))
        source.close()
        for _ in range(turns):
            gevent.sleep(0)
        made.close()
        taker.join(timeout=1)

        assert [0] == taken + list(source)


@pytest.mark.parametrize("is_running", [True, False], ids=["running", "killed"])
def test_a_series_of_which_nobody_has_got_anything_is_the_message(is_running):
    """Closed in the middle of what makes it, the source has that again."""
    source, gate, taken = Stream(9), Event(), []
    source.put_all(MESSAGES)

    def slow(n):
        yield gate.wait() and n

    made = source.mapcat(slow)
    taker = waiting(taken.extend, made)
    if not is_running:
        taker.kill()
    made.close()
    gate.set()
    taker.join(1)

    assert [] == taken + list(made)
    assert MESSAGES == list(source)


def flat(x):
    """The messages that something was made of."""
    if isinstance(x, (list, tuple)):
        return [n for part in x for n in flat(part)]
    return [x]


def same(x):
    """Waits, and changes nothing."""
    gevent.sleep(0)
    return x


def whole(x):
    gevent.sleep(0)
    return [x]


def late_stream(x):
    return streams.source([later(x)]).realize_each()


# Operators of one or two sources, which change none of the messages.
COMPOSED = {
    "map": lambda s, _: s.map(same),
    "filter": lambda s, _: s.filter(lambda n: same(n) == n),
    "throttle": lambda s, _: s.throttle(2000, max_backlog=1),
    "realize_each": lambda s, _: s.map(later).realize_each(),
    "reductions": lambda s, _: s.reductions(lambda _, n: later(n)),
    "batch": lambda s, _: s.batch(2),
    "weighed batch": lambda s, _: s.batch(2, metric=lambda _: same(1)),
    "timed batch": lambda s, _: s.batch(2, latency=60),
    "list by list": lambda s, _: s.batch(1, latency=60),
    "zip": streams.zip,
    "zip of maps": lambda s, t: streams.zip(s.map(same), t.map(same)),
    "zip map": lambda s, t: streams.zip(s, t).map(same),
    "zip mapcat": lambda s, t: streams.zip(s, t).mapcat(whole),
    "zip throttle": lambda s, t: streams.zip(s, t).throttle(2000, max_backlog=1),
    "zip batch": lambda s, t: streams.zip(s, t).batch(2),
    "zip batch map": lambda s, t: streams.zip(s, t).batch(2).map(same),
    "zip of zips": lambda s, t: streams.zip(streams.zip(s), streams.zip(t).map(same)).map(same),
    "zip of batches": lambda s, t: streams.zip(s.batch(2), t.map(same).batch(2)),
    "zip of timed": lambda s, t: streams.zip(s.batch(2, latency=60), t.map(same)),
    "map batch": lambda s, _: s.map(same).batch(2),
    "map map batch": lambda s, _: s.map(same).map(same).batch(3),
    "map timed": lambda s, _: s.map(same).batch(2, latency=60),
    "timed map": lambda s, _: s.batch(2, latency=60).map(same),
    "batch map": lambda s, _: s.batch(2).map(same),
    "batch map map": lambda s, _: s.batch(2).map(same).map(same),
    "batch mapcat": lambda s, _: s.batch(2).mapcat(whole),
    "batch batch": lambda s, _: s.map(same).batch(2).map(same).batch(2),
    "batch zip": lambda s, t: streams.zip(s.map(same).batch(2).map(same), t).map(same),
    "mapcat of streams": lambda s, _: s.mapcat(lambda n: streams.source([n]).map(same)),
    "mapcat of late streams": lambda s, _: s.mapcat(late_stream),
    "map mapcat of streams map": lambda s, _: s.map(same).mapcat(late_stream).map(same),
    "concat of lists": lambda s, _: streams.concat(s.map(whole)),
    "concat of lists map": lambda s, _: streams.concat(s.map(whole)).map(same).batch(2),
    "map mapcat map": lambda s, _: s.map(same).mapcat(whole).map(same),
    "mapcat of streams batch": lambda s, _: s.mapcat(late_stream).batch(2).map(same),
    "zip of mapcats of streams": (
        lambda s, t: streams.zip(s.mapcat(late_stream), t.mapcat(late_stream)).map(same)
    ),
    "batch throttle": lambda s, _: s.batch(2).throttle(2000, max_backlog=1),
    "map reductions batch": (
        lambda s, _: s.map(same).reductions(lambda _, n: later(n)).batch(2).map(same)
    ),
}
# Those in which nobody ever waits.
PROMPT = ("batch", "zip", "zip batch")
COUNT = len(MESSAGES)
OTHERS = [10 + n for n in MESSAGES]


class Scene:
    """An operator of two sources, and what became of their messages."""

    def __init__(self, operator):
        self.sources = Stream(9), Stream(9)
        self.taken = []
        # Only here, so that it can be dropped.
        self.held = [operator(*self.sources)]

    def put(self, count=COUNT):
        for source, messages in zip(self.sources, (MESSAGES, OTHERS), strict=True):
            source.put_all(messages[:count])

    def take(self, count):
        """Take so many from the operator, in a greenlet that may be killed."""
        for _ in range(count):
            # Named: what stays in the frame of a generator would be held there.
            message = self.held[0].take()
            self.taken += flat(message)

    def close(self):
        self.held[0].close()
        settle()
        self.taken += flat(list(self.held[0]))

    def drop(self):
        self.held.clear()
        for _ in range(4):
            gc.collect()
            settle()

    def check(self, count=COUNT):
        """Each is with a taker or in its source, in order."""
        for source, messages in zip(self.sources, (MESSAGES, OTHERS), strict=True):
            rest = []
            while (message := source.try_take(0, "end", "nothing")) not in ("end", "nothing"):
                rest.append(message)
            assert messages[:count] == [n for n in self.taken if n in messages] + rest


@pytest.mark.parametrize("end", ["close", "drop"])
@pytest.mark.parametrize("name", COMPOSED)
class TestAnyInterleaving:
    def test_of_one_taker(self, name, end):
        """Killed at any switch; then it is closed or dropped."""

        def scenario(victim):
            scene = Scene(COMPOSED[name])
            scene.put()
            victim.spawn(scene.take, 1 if name == "batch batch" else 2)
            victim.join()
            getattr(scene, end)()
            scene.check()

        if name not in PROMPT:
            kill_walk(scenario, at_least=1)

    def test_of_one_that_waits(self, name, end):
        """It is served when it waits already, and then killed at any switch."""

        def scenario(victim):
            scene = Scene(COMPOSED[name])
            victim.spawn(scene.take, 1 if name == "batch batch" else 2)
            settle()
            scene.put()
            victim.join()
            getattr(scene, end)()
            scene.check()

        kill_walk(scenario, at_least=1)

    def test_of_several(self, name, end):
        """One of two that wait is killed at any switch, the other when that is over."""

        def scenario(victim):
            scene = Scene(COMPOSED[name])
            victim.spawn(scene.take, 1)
            other = gevent.spawn(scene.take, 1)
            settle()
            scene.put(4)
            victim.join()
            settle()
            other.kill()
            # What ended it knows the frames, and they the operator.
            del other
            getattr(scene, end)()
            # Who of the two was first is not said.
            scene.taken.sort()
            scene.check(4)

        kill_walk(scenario, at_least=1)

    def test_killed_just_after_it_was_served(self, name, end):
        """Before it has run again; whether it waits in the operator or in a source."""
        for takers in (1, 2):
            for turns in range(12):
                scene = Scene(COMPOSED[name])
                greenlets = [gevent.spawn(scene.take, 1) for _ in range(takers)]
                settle()
                scene.put(4)
                for _ in range(turns):
                    gevent.sleep(0)
                gevent.killall(greenlets)
                greenlets.clear()
                getattr(scene, end)()
                scene.taken.sort()
                scene.check(4)


class TestWhoComesLater:
    """A connection made meanwhile has not seen what others hold."""

    @pytest.mark.parametrize("end", ["cancelled", "sink closed", "timed out"])
    def test_gets_what_waits_in_the_line_of_a_sink_that_is_given_up(self, end):
        """Before what came behind it."""
        source, full, late = Stream(9), Stream(), Stream(9)
        limit = 0.001 if end == "timed out" else None
        first = connect(source, full, timeout=limit)
        source.put_all([1, 2])
        settle()
        connect(source, late)
        if end == "cancelled":
            first.cancel()
        elif end == "sink closed":
            full._abandon()
        else:
            with pytest.raises(TimedOut):
                first.get(timeout=1)
        settle()
        source.close()

        assert [1, 2] == list(late)

    @pytest.mark.parametrize("end", ["closed", "dropped"])
    @pytest.mark.parametrize("name", sorted(HOLDING))
    def test_gets_what_an_operator_holds_that_ends(self, name, end):
        """Nothing of it is lost; what has come by meanwhile may be before it."""
        make, expected, rest = HOLDING[name]
        source, late, taken = Stream(9), Stream(9), []
        held = [make(source)]
        reader = waiting(lambda: [taken.append(each) for each in held[0]])
        source.put_all(MESSAGES)
        settle()
        connect(source, late)
        reader.kill()
        if end == "closed":
            held[0].close()
        held.clear()
        del reader
        for _ in range(3):
            gc.collect()
            settle()
        source.close()

        assert expected == taken
        assert rest == sorted(late)
