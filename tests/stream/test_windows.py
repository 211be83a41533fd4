"""`buffer`, `dropping` and `sliding`: messages taken in before anybody asks."""

from __future__ import annotations

import gc
import weakref

import pytest

from galeph import stream as streams
from galeph.stream import Stream, connect, consume
from tests.stream.scenes import USES, collect, interruptions, settle, victim, waiting
from tests.stream.wires import Wire, yielding


def drained(stream):
    """Everything that can be taken now."""
    return list(iter(lambda: stream.try_take(0, "end", "nothing"), "nothing"))


class TestBuffer:
    @pytest.mark.parity("STR-52")
    @pytest.mark.parametrize("use", USES)
    def test_gives_every_message_in_order(self, use):
        """However it is used."""
        assert list(range(20)) == collect(streams.buffer(3, range(20)), use)

    @pytest.mark.parity("STR-52")
    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_takes_as_much_as_it_has_room_for(self, make):
        """By itself, and one more waits in its line."""
        source = make(9) if make is Stream else Wire(*range(6))
        buffered = source.buffer(3)
        if make is Stream:
            source.put_all(range(6))
        settle()

        assert 2 == (source.qsize() if make is Stream else len(source.arrived))
        assert [0, 1] == [buffered.take(), buffered.take()]
        settle()
        assert 0 == (source.qsize() if make is Stream else len(source.arrived))
        source.close()
        assert [2, 3, 4, 5] == list(buffered)

    @pytest.mark.parity("STR-52")
    def test_may_be_bounded_by_a_metric(self):
        """In bytes, say."""
        source = Stream(9)
        buffered = source.buffer(5, metric=len)
        source.put_all(["ab", "cd", "ef", "gh", "too long"])
        settle()

        assert (4, 5) == (
            buffered.description()["buffer_size"],
            buffered.description()["buffer_capacity"],
        )
        assert 2 == source.qsize()
        source.close()
        assert ["ab", "cd", "ef", "gh", "too long"] == list(buffered)

    @pytest.mark.parity("STR-63")
    def test_three_on_one_source_see_every_message(self):
        """Read one after the other, because each stores what the others are given."""
        source = Stream()
        made = [source.map(lambda n: n * 2).buffer(10) for _ in range(3)]
        putter = waiting(lambda: source.put_all(range(10)) and source.close())

        assert [list(range(0, 20, 2))] * 3 == [list(each) for each in made]
        putter.join(1)

    def test_lets_both_sides_go_at_their_own_pace(self):
        """A function above it does not wait for one below."""
        source, above, below, gate = Stream(9), [], [], Stream()
        buffered = source.map(lambda n: above.append(n) or n).buffer(9)
        done = consume(buffered.map(lambda n: gate.take() and n), below.append)
        source.put_all(range(5))
        settle()

        assert (list(range(5)), []) == (above, below)
        source.close()
        gate.put_all([True] * 5)
        assert done.get(timeout=1) is True
        assert list(range(5)) == below

    def test_a_metric_that_raises_fails_it(self):
        """Behind what was stored; the source is closed."""
        source = Stream(9)
        buffered = source.buffer(5, metric=lambda n: 1 / n)
        source.put_all([1, 0])
        settle()

        assert 1 == buffered.take()
        with pytest.raises(ZeroDivisionError):
            buffered.take()
        assert source.closed

    def test_a_failure_comes_behind_what_was_stored(self):
        """As with any stream."""
        source = Stream(9)
        buffered = source.buffer(5)
        source.put_all([1, 2])
        source.fail(ValueError("cut"))
        settle()

        assert [1, 2] == [buffered.take(), buffered.take()]
        with pytest.raises(ValueError, match="cut"):
            buffered.take()

    def test_closing_it_closes_the_source_if_it_was_the_last(self):
        """Or what is connected to it does; what was stored can still be taken."""
        source, other, sink = Stream(9), Stream(9), Stream()
        buffered, beside = source.buffer(5), source.map(str)
        source.put(1)
        settle()
        buffered.close()

        assert not source.closed
        assert [1] == list(buffered)
        beside.close()
        assert source.closed
        connect(other.buffer(5).map(str), sink)
        sink.close()
        settle()
        assert other.closed

    def test_a_dropped_one_does_not_hold_up_the_others(self):
        """Even when it is full."""
        source, seen = Stream(9), []
        buffered = source.buffer(1)
        consume(source, seen.append)
        source.put_all(range(6))
        settle()
        assert [0, 1] == seen
        watched = weakref.ref(buffered)
        del buffered
        gc.collect()
        settle()

        assert watched() is None
        assert list(range(6)) == seen

    def test_is_held_by_what_is_connected_to_it(self):
        """Or by what is taken from below it."""
        source, seen = Stream(9), []
        consume(source.buffer(5).map(str), seen.append)
        end = source.buffer(5).map(int)
        gc.collect()
        source.put_all([1, 2])
        settle()

        assert ["1", "2"] == seen
        assert [1, 2] == drained(end)

    def test_does_not_count_as_connected(self):
        """Unless something is connected to it."""
        wire = Wire()
        buffered = wire.buffer(5)
        settle()

        assert 0 == wire.link_count
        moved = connect(buffered, Stream())
        assert 1 == wire.link_count
        moved.cancel()
        assert 0 == wire.link_count
        buffered.close()
        settle()

    def test_an_interrupted_take_loses_nothing(self):
        """Thrown at after any switch, the rest comes whole."""

        def scene():
            nonlocal taken
            source, taken = Stream(), []
            buffered = source.map(yielding(lambda n: n)).buffer(2).map(yielding(lambda n: n))

            def take():
                for _ in range(3):
                    taken.append(buffered.take())

            def supply():
                producer = waiting(source.put_all, range(5))
                while len(taken) < 5:
                    taken.append(buffered.try_take(1))
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert list(range(5)) == taken, way


@pytest.mark.parametrize(
    ("window", "left"),
    [
        pytest.param(
            streams.dropping, list(range(10)), marks=pytest.mark.parity("STR-59"), id="dropping"
        ),
        pytest.param(
            streams.sliding, list(range(1, 11)), marks=pytest.mark.parity("STR-60"), id="sliding"
        ),
    ],
)
class TestWindows:
    def test_of_a_source(self, window, left):
        """Eleven in, ten out: the first or the last."""
        source = Stream(11)
        source.put_all(range(11))
        source.close()
        made = window(10, source)
        settle()

        assert left == list(made)
        assert 1 == made.description()["dropped"]

    def test_of_its_own(self, window, left):
        """A stream that always accepts, in every way of putting."""
        stream = window(10)
        ways = [stream.put, lambda n: stream.try_put(n, 0), lambda n: stream.put_async(n).get()]

        assert [True] * 11 == [ways[n % 3](n) for n in range(11)]
        stream.close()
        assert [False] * 3 == [way(99) for way in ways]
        assert left == list(stream)
        assert 1 == stream.description()["dropped"]

    def test_as_a_sink(self, window, left):
        """What is connected to it is never held back."""
        source, stream = Stream(), window(10)
        connect(source, stream)
        for n in range(11):
            assert source.try_put(n, 0) or waiting(source.put, n).get(timeout=1)
        settle()

        assert left == drained(stream)

    def test_what_is_wanted_is_not_dropped(self, window, left):
        """A take that waits gets it, and so does what is connected."""
        stream, sink = window(1), Stream(20)
        takers = [waiting(stream.take) for _ in range(3)]
        assert all(stream.put(n) for n in range(3))

        assert [0, 1, 2] == [taker.get(timeout=1) for taker in takers]
        connect(stream, sink)
        for n in range(11):
            assert stream.put(n)
        assert list(range(11)) == drained(sink)
        assert 0 == stream.description()["dropped"]
        del left

    @pytest.mark.parity("STR-61")
    def test_both_ends_close_together(self, window, left):
        """Downstream and upstream, even if the source has others; with a failure too."""
        source, other, failing = Stream(9), Stream(9), Stream(9)
        ended, closed, failed = window(5, source), window(5, other), window(5, failing)
        seen = []
        consume(other, seen.append)
        source.put(1)
        source.close()
        closed.close()
        failing.fail(ValueError("cut"))
        settle()

        assert [1] == list(ended)
        assert other.closed
        with pytest.raises(ValueError, match="cut"):
            failed.take()
        del left

    @pytest.mark.parity("STR-61")
    def test_what_closes_below_closes_the_source(self, window, left):
        """Through the window, even if the source has others."""
        source, sink, seen = Stream(9), Stream(), []
        connect(window(5, source), sink)
        consume(source, seen.append)
        sink.close()
        settle()

        assert source.closed
        del left

    def test_its_size_is_checked(self, window, left):
        """An error names it before anything is connected."""
        with pytest.raises(TypeError, match="n must be an int"):
            window(1.5)
        with pytest.raises(ValueError, match="n must be at least"):
            window(-1, [])
        del left

    def test_is_collected_when_dropped(self, window, left):
        """With what it holds."""
        source = Stream(9)
        made = window(5, source)
        source.put(1)
        settle()
        watched = weakref.ref(made)
        del made
        gc.collect()
        settle()
        source.put(2)
        settle()

        assert watched() is None
        assert 1 == source.qsize()
        del left


def test_a_window_of_nothing_gives_only_to_who_waits():
    """Dropping may be that; sliding could not keep the last."""
    stream = streams.dropping(0)
    assert stream.put("lost")
    taker = waiting(stream.take)
    assert stream.put("taken")

    assert "taken" == taker.get(timeout=1)
    with pytest.raises(ValueError, match="at least 1"):
        streams.sliding(0)
