"""loop and recur: rounds that may wait, in any number."""

from __future__ import annotations

import contextvars
import sys

import gevent
import pytest
from gevent.hub import Hub
from greenlet import getcurrent

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._loop import Recur
from galeph.errors import Cancelled
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


def later(value):
    """A deferred that a greenlet realizes."""
    d = Deferred()
    gevent.spawn(d.success, value)
    return d


def depth():
    """How many frames the caller's stack has."""
    frame, count = sys._getframe(1), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count


class TestRounds:
    @pytest.mark.parity("DEF-41")
    def test_at_once(self):
        """Rounds that do not wait run at once; what comes is a deferred all the same."""
        d = deferred.loop(lambda n: deferred.recur(n - 1) if n else "done", 3)

        assert isinstance(d, Deferred)
        assert "done" == d.get(block=False)

    @pytest.mark.parity("DEF-41")
    @pytest.mark.parametrize("wrap", [later, deferred.success, lambda x: later(later(x))])
    def test_deferreds_of_either(self, wrap):
        """A round may return a deferred, of a value or of another round."""

        def body(n, total):
            return wrap(deferred.recur(n - 1, total + n) if n else total)

        assert 6 == deferred.loop(body, 3, 0).get()

    @pytest.mark.parity("DEF-41")
    def test_mixed(self):
        """Rounds that wait and rounds that do not may follow each other."""
        kinds = [later, deferred.success, lambda x: x]

        def body(n):
            if n == 30:
                return "done"
            return kinds[n % 3](deferred.recur(n + 1))

        assert "done" == deferred.loop(body, 0).get()

    @pytest.mark.parity("DEF-41")
    def test_stack_of_a_million_rounds(self):
        """A million rounds at once, or on realized deferreds, run on the stack of the first."""
        depths = set()

        def body(n):
            if not n % 1000:
                depths.add(depth())
            if n == 1_000_000:
                return n
            next_one = deferred.recur(n + 1)
            return next_one if n % 2 else deferred.success(next_one)

        assert 1_000_000 == deferred.loop(body, 0).get()
        assert 1 == len(depths)

    def test_rounds_that_wait_for_nothing_let_others_run(self):
        """Somebody else may end a loop that would go on for ever."""
        is_over = []
        gevent.spawn(is_over.append, True)
        d = deferred.loop(lambda: is_over or deferred.recur())

        assert [True] == d.get()

    def test_a_kill_reaches_who_runs_its_rounds(self):
        """A greenlet inside an endless loop can be killed."""
        runs = gevent.spawn(deferred.loop, deferred.recur)
        gevent.sleep(0)
        runs.kill(timeout=5)

        assert runs.dead

    @pytest.mark.long
    @pytest.mark.parity("DEF-41")
    def test_stack_of_rounds_that_wait(self, long_form):
        """Neither do rounds that wait grow it."""
        count = 1_000_000 if long_form else 20_000
        depths = set()
        turn = []

        def body(n):
            depths.add(depth())
            if n == count:
                return n
            d = Deferred()
            turn.append(d)
            return d

        result = deferred.loop(body, 0)
        for n in range(count):
            turn.pop().success(deferred.recur(n + 1))
            while not turn and not result.ready():
                gevent.sleep(0)

        assert count == result.get()
        # The first round runs in the caller, the others in the runner.
        assert 2 >= len(depths)

    @pytest.mark.parity("DEF-42")
    def test_arguments_are_the_functions_own(self):
        """What a round is given is whatever the one before handed on, unpacked as it likes."""

        def body(numbers, *rest, total):
            first, *others = numbers
            total += first + sum(rest)
            return deferred.recur(others, total) if others else total

        def unpacking(numbers, total=0):
            return body(numbers, total=total)

        assert 6 == deferred.loop(unpacking, [1, 2, 3]).get()

    @pytest.mark.parity("DEF-42")
    def test_only_deferreds_pause_it(self):
        """Other things that arrive later are values to a loop."""
        greenlet = gevent.spawn(int)
        seen = []

        def body(x):
            seen.append(x)
            return greenlet if x is greenlet else deferred.recur(greenlet)

        d = deferred.loop(body, 0)

        assert d.value is greenlet
        assert [0, greenlet] == seen
        greenlet.join()


class TestErrors:
    @pytest.mark.parity("DEF-41")
    @pytest.mark.parametrize("at", [0, 3])
    @pytest.mark.parametrize("wrap", [later, lambda x: x])
    def test_raised(self, at, wrap):
        """What a round raises fails the loop, in the first round or later."""
        error = ValueError("x")

        def body(n):
            if n == at:
                raise error
            return wrap(deferred.recur(n + 1))

        with pytest.raises(ValueError, match="x") as caught:
            deferred.loop(body, 0).get()
        assert caught.value is error
        assert "body" == caught.traceback[-1].name

    def test_arriving(self):
        """So does a deferred that fails."""
        failing = Deferred()
        d = deferred.loop(lambda: failing)
        failing.error(ValueError("x"))

        with pytest.raises(ValueError, match="x"):
            d.get()

    def test_realized_by_somebody_else(self):
        """Once the loop has an outcome no further round begins."""
        rounds = []
        gate = Deferred()

        def body():
            rounds.append(1)
            return gate

        d = deferred.loop(body)
        d.cancel()
        gate.success(deferred.recur())
        settle()

        assert [1] == rounds
        with pytest.raises(Cancelled):
            d.get()

    @pytest.mark.parametrize("kind", [gevent.GreenletExit, gevent.Timeout])
    def test_stopping_the_caller(self, kind):
        """At once, a kill or a foreign Timeout goes through to the caller."""

        def stop():
            raise kind

        with pytest.raises(kind):
            deferred.loop(stop)

    def test_wants_a_callable(self):
        """What cannot be called is a TypeError."""
        with pytest.raises(TypeError, match="fn must be callable"):
            deferred.loop(1)


class TestWhereItRuns:
    def test_never_in_the_hub(self):
        """A loop begun in the hub runs in a greenlet."""
        seen = []

        def body():
            seen.append(isinstance(getcurrent(), Hub))
            return later(None)

        gevent.get_hub().loop.run_callback(deferred.loop, body)
        settle()

        assert [False] == seen

    def test_context(self):
        """Its rounds share a copy of the caller's context."""
        seen = []

        def body(n):
            seen.append(WHO.get())
            WHO.set(f"round {n}")
            return later(deferred.recur(n + 1)) if n < 2 else None

        token = WHO.set("me")
        try:
            deferred.loop(body, 0).get()
            assert "me" == WHO.get()
        finally:
            WHO.reset(token)

        assert ["me", "round 0", "round 1"] == seen

    def test_marker(self):
        """recur only says what the next round is given."""
        marker = deferred.recur(1, "a")

        assert isinstance(marker, Recur)
        assert (1, "a") == marker.args
