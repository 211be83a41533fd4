"""What a stage may answer."""

from __future__ import annotations

import pytest

from galeph.deferred import Deferred
from galeph.stream import Stream, consume, source
from galeph.stream.operators import Derived
from galeph.stream.steps import AS_IT_IS, ENOUGH, SKIP, Many, NotYet, until_ready
from tests.stream.scenes import settle, waiting


class Stage:
    """A stage out of one or two functions."""

    def __init__(self, step, finish=tuple):
        self.step = step
        self.finish = finish


def staged(upstream, step, finish=tuple):
    return Derived(source(upstream), Stage(step, finish), "staged")


def test_one_message_for_one():
    """Whatever is none of the special answers is a message."""
    assert [1, None, ()] == list(staged([1, None, ()], lambda message: message))
    assert [1, None] == list(Derived(source([1, None]), AS_IT_IS, "same"))


def test_none_and_several():
    """SKIP, and Many, which may be empty."""
    answers = {1: SKIP, 2: Many([2, 2]), 3: Many([]), 4: Many(iter([4]))}

    assert [2, 2, 4] == list(staged([1, 2, 3, 4], answers.get))


class TestEnough:
    def test_ends_the_output_and_closes_the_source(self):
        """In place of a message."""
        upstream = Stream(9)
        upstream.put_all([1, 2, 3])

        assert [1] == list(staged(upstream, lambda n: n if n < 2 else ENOUGH))
        assert upstream.closed

    def test_ends_a_series(self):
        """Behind what it gave; the rest of it is not asked for."""
        upstream = Stream(9)
        upstream.put_all([1, 2])

        assert ["a"] == list(staged(upstream, lambda _: Many(["a", ENOUGH, "b"])).map(str))
        assert upstream.closed

    def test_closes_everything_above_that_has_nothing_else(self):
        """Up to where somebody else draws on it."""
        upstream, seen = Stream(9), []
        middle = upstream.map(str)
        ended = staged(middle.map(len), lambda n: Many([n, ENOUGH]))
        consume(middle, seen.append)
        done = consume(ended, lambda _: None)
        upstream.put_all([1, 2])
        settle()

        assert done.get(timeout=1) is True
        assert not upstream.closed
        assert ["1", "2"] == seen

    def test_leaves_what_is_below_to_its_own_end(self):
        """Stages there flush."""
        upstream = Stream(9)
        upstream.put_all([1, 2])
        ended = staged(upstream, lambda n: Many([n, ENOUGH])).batch(5)

        assert [[1]] == list(ended)


class TestNotYet:
    def test_has_the_step_taken_again(self):
        """With the same message, when what it waits for has happened."""
        calls, wakes = [], []

        def step(message):
            calls.append(message)
            if len(calls) < 3:
                raise NotYet(wakes.append)
            return message

        taker = waiting(staged(["a", "b"], step).take)
        assert (["a"], 1) == (calls, len(wakes))
        wakes.pop()()
        settle()
        assert (["a", "a"], 1) == (calls, len(wakes))
        wakes.pop()()
        assert "a" == taker.get(timeout=1)
        assert ["a"] * 3 == calls

    def test_may_be_over_at_once(self):
        """Then it is taken again soon."""
        tried = []

        def step(message):
            if not tried:
                tried.append(message)
                raise NotYet(lambda wake: wake())
            return message

        assert ["a"] == list(staged(["a"], step))

    def test_wakes_once(self):
        """Being called again, or too late, changes nothing."""
        wakes = []

        def step(message):
            if not wakes:
                raise NotYet(lambda wake: wakes.append(wake))
            return message

        end = staged(["a", "b"], step)
        taker = waiting(end.take)
        for _ in range(3):
            wakes[0]()
        assert "a" == taker.get(timeout=1)
        wakes[0]()
        assert "b" == end.take()

    @pytest.mark.parametrize("in_series", [False, True])
    def test_is_called_off_when_the_operator_is_closed(self, in_series):
        """What was arranged is undone, and the message is dropped."""
        undone, wakes = [], []

        class Series:
            def __iter__(self):
                return self

            def __next__(self):
                raise NotYet(arrange)

        def arrange(wake):
            wakes.append(wake)
            return lambda: undone.append(True)

        def step(_):
            if in_series:
                return Many(Series())
            raise NotYet(arrange)

        upstream, seen = Stream(9), []
        end = staged(upstream, step)
        consume(end.map(str), seen.append)
        beside = []
        consume(upstream, beside.append)
        upstream.put_all(["a", "b"])
        settle()
        assert ([], ["a"]) == (undone, beside)
        end.close()
        settle()

        assert [True] == undone
        assert ([], ["a", "b"]) == (seen, beside)
        wakes[0]()
        settle()

    def test_is_called_off_when_the_operator_is_dropped(self):
        """Nobody could have what comes of it."""
        undone, wakes = [], []

        def arrange(wake):
            wakes.append(wake)
            return lambda: undone.append(True)

        def step(_):
            raise NotYet(arrange)

        upstream, beside = Stream(9), []
        end = staged(upstream, step)
        waiting(end.try_take, 0.001).join(1)
        upstream.put_all(["a"])
        waiting(end.try_take, 0.001).join(1)
        consume(upstream, beside.append)
        upstream.put("b")
        del end
        settle()

        assert [True] == undone
        assert ["a", "b"] == beside
        wakes[0]()
        settle()

    def test_takes_no_greenlet_and_holds_nobody_up(self):
        """A second operator on the same source goes on until the next message."""
        pending, upstream, beside = Deferred(), Stream(9), []

        def step(message):
            if not pending.ready():
                raise until_ready(pending)
            return message

        slow = staged(upstream, step)
        done = consume(slow, lambda _: None)
        consume(upstream, beside.append)
        upstream.put_all(["a", "b"])
        upstream.close()
        settle()
        assert ["a"] == beside
        pending.success(None)

        assert done.get(timeout=1) is True
        assert ["a", "b"] == beside
