"""Lanes and stages: how one message passes a chain of operators."""

from __future__ import annotations

import gc
from itertools import count

import gevent
import pytest

from galeph.stream import Stream, connect, consume, source
from galeph.stream.operators import Derived
from galeph.stream.steps import SKIP, Many
from tests.stream.scenes import interruptions, settle, victim, waiting
from tests.stream.wires import Wire, yielding


class Stage:
    """A stage out of one or two functions."""

    def __init__(self, step, finish=tuple):
        self.step = step
        self.finish = finish


def staged(upstream, step, finish=tuple):
    return Derived(source(upstream), Stage(step, finish), "staged")


def repeat(n):
    return Many([n] * n)


def pairs(upstream):
    """Two messages make one; what is left over comes at the end."""
    held = []

    def step(message):
        held.append(message)
        if len(held) < 2:
            return SKIP
        pair = tuple(held)
        held.clear()
        return pair

    return staged(upstream, step, lambda: [tuple(held)] if held else [])


class TestMany:
    def test_is_unfolded_one_at_a_time(self):
        """A series is delivered in order, and an empty one is nothing."""
        assert [1, 2, 2, 3, 3, 3] == list(staged([1, 2, 0, 3], repeat))

    def test_is_not_unfolded_further_than_wanted(self):
        """An endless series is no problem: backpressure holds inside it."""
        endless = staged([1], lambda _: Many(count()))

        assert [0, 1, 2] == [endless.take() for _ in range(3)]
        sink = Stream(2)
        moved = connect(staged([1], lambda _: Many(count())), sink)
        settle()
        assert (2, 1) == (sink.qsize(), sink.description()["pending_puts"])
        moved.cancel()
        settle()

    def test_nests(self):
        """A series of series, through a chain, comes out in its order."""
        chain = staged(staged([2, 3], lambda n: Many(range(1, n + 1))), repeat).map(str)

        assert list("122122333") == list(chain)

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_reaches_several_sinks_at_their_pace(self, make):
        """Below a fork every message of the series goes to all."""
        upstream = make()
        unfolded = staged(upstream, repeat)
        sinks = [Stream(), Stream(9)]
        for sink in sinks:
            connect(unfolded, sink)
        if make is Wire:
            upstream.arrive(3)
            upstream.arrive(1)
            upstream.end()
        else:
            gevent.spawn(lambda: upstream.put_all([3, 1]) and upstream.close())
        settle()

        assert 1 == sinks[1].qsize()
        assert [3, 3, 3, 1] == list(sinks[0])
        assert [3, 3, 3, 1] == list(sinks[1])

    def test_two_forks_unfold_independently(self):
        """One with a long series does not keep the other's messages back."""
        upstream = Stream()
        long, short = staged(upstream, lambda _: Many(range(4))), upstream.map(str)
        waiting(upstream.put, 1)

        assert 0 == long.take()
        assert "1" == short.take()
        assert [1, 2, 3] == [long.take() for _ in range(3)]

    def test_a_series_that_raises_fails_the_output(self):
        """What came before is delivered."""

        def broken():
            yield 1
            raise ValueError("cut")

        upstream = Stream(5)
        failing = staged(upstream, lambda _: Many(broken()))
        upstream.put("a")

        assert 1 == failing.take()
        with pytest.raises(ValueError, match="cut"):
            failing.take()
        assert upstream.closed


class TestFinish:
    def test_flushes_at_the_end_of_the_source(self):
        """What a stage held back comes before the end, through the stages below."""
        assert [(0, 1), (2, 3), (4,)] == list(pairs(range(5)))
        assert ["((0, 1), (2,))"] == list(pairs(pairs(range(3))).map(str))

    def test_flushes_into_what_is_connected(self):
        """Sinks get it before they are closed."""
        upstream, sink = Stream(9), Stream(9)
        connect(pairs(upstream), sink)
        upstream.put_all(range(3))
        upstream.close()

        assert [(0, 1), (2,)] == list(sink)

    def test_does_not_flush_a_failure(self):
        """A stream that was cut has no proper end."""
        upstream = Stream(9)
        paired = pairs(upstream)
        upstream.put_all(range(3))
        upstream.fail(ValueError("cut"))

        assert (0, 1) == paired.take()
        with pytest.raises(ValueError, match="cut"):
            paired.take()

    def test_an_exception_in_it_fails_the_output(self):
        """Like one in the step."""
        failing = staged([1], lambda message: message, lambda: 1 / 0)

        assert 1 == failing.take()
        with pytest.raises(ZeroDivisionError):
            failing.take()


class TestInterruptions:
    def test_an_interrupted_step_is_taken_again_with_the_same_message(self):
        """So a kill in the middle of a function loses nothing."""
        calls = []

        def step(message):
            calls.append(message)
            if len(calls) == 1:
                gevent.sleep(60)
            return message

        upstream = Stream(9)
        upstream.put_all("ab")
        stepped = staged(upstream, step)
        waiting(stepped.take).kill()

        assert ["a"] == calls
        assert ["a", "b"] == [stepped.take(), stepped.take()]
        assert list("aab") == calls

    def test_a_series_goes_on_after_an_interrupted_take(self):
        """Thrown at after any switch, the rest of the series comes with the next take."""

        def scene():
            nonlocal taken
            upstream, taken = Stream(9), []
            chain = staged(upstream, lambda n: Many(range(n))).map(yielding(lambda n: n))

            def take():
                for _ in range(2):
                    taken.append(chain.take())

            def supply():
                upstream.put_all([3, 2])
                settle()
                while len(taken) < 5:
                    taken.append(chain.try_take(1))

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert [0, 1, 2, 0, 1] == taken, way

    def test_an_operator_dropped_in_the_middle_of_a_series_frees_the_rest(self):
        """The series of an operator that nobody holds is forgotten."""
        upstream, seen = Stream(9), []
        unfolded = staged(upstream, repeat)
        end = unfolded.map(str)
        upstream.put_all([3, 4])
        assert "3" == end.take()
        consume(upstream, seen.append)
        settle()

        assert [] == seen
        del unfolded, end
        for _ in range(2):
            # Source and outlet know each other, so it may be as late as the next collection.
            settle()
            gc.collect()
        settle()
        assert [4] == seen
