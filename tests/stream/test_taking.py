"""What a stream gives, as the series of an operator that was given the stream."""

from __future__ import annotations

import gc
from functools import partial

import gevent
import pytest
from gevent.event import Event

from galeph import stream as streams
from galeph.deferred import future
from galeph.stream import Stream, connect
from galeph.stream.interfaces import END
from galeph.stream.steps import NotYet
from galeph.stream.taking import Taking
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire, yielding


def same(message):
    return message


@pytest.fixture
def reader():
    """An operator that a series may be of."""
    return Stream().map(str)


class TestTaking:
    def test_is_the_series_of_the_messages(self, reader):
        """To the end, and no further."""
        stream = Stream(9)
        stream.put_all("ab")
        stream.close()
        taking = Taking(stream, reader)

        assert ["a", "b"] == [each.open() for each in taking]
        assert END is next(taking, END)

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_says_when_to_ask_again(self, reader, make):
        """Of a queue and of what takes a greenlet; a message that comes meanwhile is kept."""
        stream, calls = make(), []
        taking = Taking(stream, reader)
        with pytest.raises(NotYet) as caught:
            next(taking)
        caught.value.arrange(lambda: calls.append("now"))
        gevent.sleep(0)
        (stream.put if make is Stream else stream.arrive)("a")
        while not calls:
            gevent.sleep(0)

        assert "a" == next(taking).open()

    def test_leaves_what_nobody_got(self, reader):
        """A take that is under way is withdrawn; what it has got is the stream's next."""
        stream = Stream(9)
        waiting, served = Taking(stream, reader), Taking(stream, reader)
        for each in (served, waiting):
            with pytest.raises(NotYet):
                next(each)
        stream.put("a")
        waiting.let_go()
        served.let_go()
        stream.put("b")

        assert ["a", "b"] == [stream.take(), stream.take()]

    @pytest.mark.parametrize("way", ["concat", "mapcat", "concat map", "mapcat map"])
    @pytest.mark.parametrize("turns", range(9))
    def test_what_was_taken_ahead_is_there_again(self, way, turns):
        """In order, once the operator and what is behind it are dropped."""
        stream, taken = Stream(9), []
        first, *others = way.split()
        sources = [stream]
        made = streams.concat(sources) if first == "concat" else streams.mapcat(same, sources)
        made = [made.map(same) if others else made]
        taker = waiting(lambda: taken.append(made[0].take()))
        stream.put_all("abc")
        for _ in range(turns):
            gevent.sleep(0)
        taker.kill()
        del taker
        made.clear()
        for _ in range(3):
            gc.collect()
            settle()

        assert list("abc") == taken + [stream.try_take(0) for _ in range(3 - len(taken))]

    def test_what_stands_for_a_message_goes_back_as_that(self):
        """To the source, and what was taken for it to the stream: it waits in the operator."""
        source, stream = Stream(9), Stream(9)
        source.put_all([1, 2])
        made = source.mapcat(lambda _: stream)
        taker = waiting(made.take)
        taker.kill()
        stream.put_async("a")
        settle()
        assert 1 == made.box.description()["pending_puts"]
        del made, taker
        for _ in range(3):
            gc.collect()
            settle()

        assert [1, 2] == [source.take(), source.take()]
        assert "a" == stream.try_take(0)

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_goes_with_its_operator(self, make):
        """Its take is withdrawn, though nobody holds it but the stream."""
        stream, reader = make(), Stream().map(str)
        with pytest.raises(NotYet):
            next(Taking(stream, reader))
        settle()
        del reader
        settle()
        (stream.put_async if make is Stream else stream.arrive)("a")

        assert 0 == stream.link_count
        assert "a" == stream.take()


def test_what_was_under_way_to_a_sink_comes_back_in_order():
    """From a chain that is dropped when its connection was cancelled."""
    for turns in range(12):
        inner, sink = Stream(9), Stream()
        inner.put_all(range(4))
        joined = streams.concat(streams.source([inner]))
        held = [joined.map(yielding(int)).map(yielding(int))]
        del joined
        connection = connect(held[0], sink)
        for _ in range(turns):
            gevent.sleep(0)
        connection.cancel()
        settle()
        taken = list(iter(partial(sink.try_take, 0, None, None), None))
        held.clear()
        for _ in range(4):
            gc.collect()
            settle()
        inner.close()

        assert [0, 1, 2, 3] == taken + list(inner), turns


BELOW = {
    "nothing": lambda made: made,
    "map": lambda made: made.map(yielding(same)),
    "two maps": lambda made: made.map(yielding(same)).map(yielding(same)),
    "batch": lambda made: made.map(yielding(same)).batch(3),
    "zip": streams.zip,
    "map zip": lambda made: streams.zip(made.map(yielding(same))),
    "realize_each": lambda made: made.map(partial(future, yielding(same))).realize_each(),
}


def flat(message):
    """Everything that a message holds, in order."""
    return (
        [one for each in message for one in flat(each)]
        if type(message) in (list, tuple)
        else [message]
    )


def rest(source):
    """Everything that can be taken there without waiting."""
    taken = []
    while (message := source.try_take(0, None, None)) is not None:
        taken.extend(flat(message))
        settle()
    return taken


def begin(made, way, got):
    """Have somebody want a message; return what ends that, and sees to what it has got already."""
    if way == "take":
        taker = gevent.spawn(lambda made: got.extend(flat(made.pop().take([]))), [made])
        return taker.kill
    if way == "take_async":
        taken = made.take_async()

        def cancel():
            if not taken.cancel() and taken.get() is not None:
                got.extend(flat(taken.get()))

        return cancel
    sink = Stream()
    connection = connect(made, sink)

    def disconnect():
        connection.cancel()
        settle()
        got.extend(rest(sink))

    return disconnect


def want_for(turns, made, way, got):
    """Have somebody want a message for so many turns of the loop."""
    end = begin(made, way, got)
    for _ in range(turns):
        gevent.sleep(0)
    end()


def let_go(held):
    """Drop what is held, and wait until all that dies with it is gone."""
    held.clear()
    for _ in range(4):
        settle()
        gc.collect()
    settle()


@pytest.mark.parametrize("first", ["concat", "mapcat"])
@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("way", ["take", "take_async", "connect"])
class TestNothingIsLost:
    """At whatever turn of the loop it happens."""

    def made(self, first, outer):
        return streams.concat(outer) if first == "concat" else streams.mapcat(same, outer)

    @pytest.mark.parametrize("is_held", [True, False])
    def test_when_it_is_dropped(self, first, below, way, is_held):
        """What nobody has got is the stream's next, whoever holds the source of the streams."""
        for turns in range(12):
            inner, got = Stream(9), []
            outer = [streams.source([inner])]
            made = [BELOW[below](self.made(first, outer[0]))]
            if not is_held:
                outer.clear()
            inner.put_all(range(4))
            want_for(turns, made[0], way, got)
            let_go(made)
            inner.close()

            assert [0, 1, 2, 3] == got + list(inner), turns

    def test_when_what_is_below_is_dropped(self, first, below, way):
        """What nobody has got is the next of the operator that is still held."""
        for turns in range(12):
            inner, got = Stream(9), []
            made = self.made(first, streams.source([inner]))
            chain = [BELOW[below](made)]
            inner.put_all(range(4))
            want_for(turns, chain[0], way, got)
            let_go(chain)
            inner.close()

            assert [0, 1, 2, 3] == got + list(made), turns

    def test_when_it_is_closed(self, first, below, way):
        """The stream has again what nobody has got, though it may be closed, too."""
        for turns in range(12):
            inner, got = Stream(9), []
            outer = Stream(9)
            outer.put(inner)
            made = BELOW[below](self.made(first, outer))
            inner.put_all(range(4))
            end = begin(made, way, got)
            for _ in range(turns):
                gevent.sleep(0)
            made.close()
            settle()
            end()
            left = rest(made)
            returned = rest(inner)

            assert sorted(returned) == returned, turns
            assert [0, 1, 2, 3] == sorted(got + left + returned), turns
            assert (first == "concat" and outer.empty()) is inner.closed, turns


@pytest.mark.parametrize("first", ["concat", "mapcat"])
def test_a_take_that_is_under_way_does_not_get_what_goes_back(first):
    """When all is closed while the operator below waits for the rest of a list."""
    for turns in range(6):
        inner, outer = Stream(9), Stream(9)
        outer.put(inner)
        made = streams.concat(outer) if first == "concat" else streams.mapcat(same, outer)
        lists = made.map(yielding(same)).batch(3)
        inner.put_all([1, 2])
        taker = gevent.spawn(lists.take)
        for _ in range(turns):
            gevent.sleep(0)
        taker.kill()
        lists.close()
        settle()

        assert [1, 2] == rest(inner), turns


@pytest.mark.parametrize("first", [streams.concat, partial(streams.mapcat, same)])
@pytest.mark.parametrize("above", BELOW)
@pytest.mark.parametrize("below", BELOW)
def test_what_an_operator_has_given_goes_back_to_its_source(first, above, below):
    """When that is dropped together with all that was made of it."""
    for way in ("take", "take_async", "connect"):
        for turns in range(12):
            source, got = Stream(9), []
            made = [BELOW[below](first(streams.source([BELOW[above](source)])))]
            source.put_all(range(4))
            want_for(turns, made[0], way, got)
            let_go(made)
            source.close()

            assert [0, 1, 2, 3] == got + list(source), (way, turns)


def test_what_an_operator_has_given_can_be_taken_there_again():
    """When it is held; and it goes on to its source when that is dropped, too."""
    source = Stream(9)
    operator = [source.map(str)]
    chain = [streams.concat(streams.source(operator)).batch(9)]
    connection = connect(chain[0], Stream())
    source.put_all(range(4))
    settle()
    connection.cancel()
    chain.clear()
    for _ in range(4):
        settle()
        gc.collect()

    assert ["0", "1"] == [operator[0].take(), operator[0].take()]
    operator.clear()
    for _ in range(4):
        settle()
        gc.collect()
    assert [2, 3] == [source.try_take(0), source.try_take(0)]


def test_a_stream_that_has_ended_has_its_messages_again():
    """When they lie further down, and the next stream was begun."""
    first, second = Stream(9), Stream(9)
    first.put_all([1, 2])
    first.close()
    chain = [streams.concat(streams.source([first, second])).batch(9)]
    connection = connect(chain[0], Stream())
    settle()
    second.put_async(3)
    settle()
    connection.cancel()
    chain.clear()
    for _ in range(4):
        settle()
        gc.collect()
    settle()
    second.close()

    assert [1, 2] == list(first)
    assert [3] == list(second)


def test_two_may_draw_on_one_stream():
    """Both leave there what nobody has got."""
    inner = Stream(9)
    chains = [streams.concat([inner]).batch(9) for _ in range(2)]
    connections = [connect(chain, Stream()) for chain in chains]
    settle()
    for message in range(4):
        inner.put_async(message)
        settle()
    for connection in connections:
        connection.cancel()
    chains.clear()
    del connections, connection
    for _ in range(4):
        settle()
        gc.collect()
    settle()
    inner.close()

    assert [0, 1, 2, 3] == sorted(inner)


@pytest.mark.parametrize("make", [streams.zip, lambda source: source.batch(2, latency=1)])
def test_what_fails_while_it_is_waited_for(make):
    """The failure is that of what was made of it."""
    source = Stream()
    made = streams.concat(streams.source([make(source)]))
    taker = waiting(partial(pytest.raises, ValueError, made.take))
    source.fail(ValueError("cut"))

    assert "cut" == str(taker.get().value)


def test_what_is_being_made_for_one_that_is_closed_goes_back():
    """To the operator that is just about to give it, beside the message that it stands for."""
    source, outer, gate = Stream(9), Stream(9), Event()
    source.put("a")
    outer.put("o")
    inner = source.map(lambda message: (gate.wait(), message)[1])
    made = outer.mapcat(lambda _: inner)
    taker = waiting(made.take, "END")
    made.close()
    gate.set()

    assert "END" == taker.get()
    assert "o" == outer.take()
    assert "a" == inner.take()


def test_what_waits_in_one_is_not_lost_to_another_on_the_same_stream():
    """Which has begun to draw on that later: whatever of the first the collector finds at once."""
    inner = Stream(9)
    first, second = [streams.concat([inner])], streams.concat([inner])
    first.append(first)
    taker = waiting(first[0].take)
    taker.kill()
    inner.put_async("a")
    settle()
    other = waiting(second.take)
    del taker, first
    for _ in range(4):
        settle()
        gc.collect()

    assert "a" == other.get()
