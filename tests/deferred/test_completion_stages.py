"""What Java's completion stages do, on chain, zip, alt, catch and finally_.

Each function here but `when_complete`, which knows the outcome, is one line of the table in the
documentation; each test is a behavior that Manifold's own tests assert of the stage it is named
after.
"""

from __future__ import annotations

from concurrent.futures import Future

import gevent
import pytest
from greenlet import getcurrent

from galeph import deferred
from galeph.deferred import Deferred
from tests.deferred.executors import Greenlets


def then_apply(d, fn):
    return d.chain(fn)


def then_run(d, fn):
    return d.chain(lambda _: fn())


def then_combine(d, other, fn):
    return deferred.zip(d, other).chain(lambda pair: fn(*pair))


def apply_to_either(d, other, fn):
    return deferred.alt(d, other).chain(fn)


def handle(d, fn):
    whole = d.chain(lambda value: (value, None)).catch(lambda error: (None, error))
    return whole.chain(lambda pair: fn(*pair))


def exceptionally(d, fn):
    return d.catch(fn)


def when_complete(d, fn):
    def after_error(error):
        try:
            fn(None, error)
        finally:
            raise error

    def after_value(value):
        try:
            fn(value, None)
        except Exception as error:
            return value, error
        return value, None

    def outcome(pair):
        value, error = pair
        if error is not None:
            raise error
        return value

    return d.chain(after_value).catch(after_error).chain(outcome)


def later(value):
    """A deferred that a greenlet realizes, with an error if the value is one."""
    d = Deferred()
    gevent.spawn(d.error if isinstance(value, Exception) else d.success, value)
    return d


def there(value):
    """A realized deferred."""
    return deferred.error(value) if isinstance(value, Exception) else deferred.success(value)


def add(a, b):
    return a + b


both = pytest.mark.parametrize("make", [there, later])


class TestThen:
    @pytest.mark.parity("DEF-47")
    @both
    def test_apply_accept_run(self, make):
        """chain applies, accepts and runs: with the value or without, with a result or not."""
        seen = []

        assert 2 == then_apply(make(1), lambda x: x + 1).get()
        assert then_apply(make(1), seen.append).get() is None
        assert "ran" == then_run(make(1), lambda: "ran").get()
        assert [1] == seen

    @pytest.mark.parity("DEF-47")
    @both
    def test_both(self, make):
        """zip and chain combine two values, accept both, and run after both."""
        seen = []

        assert 3 == then_combine(make(1), make(2), add).get()
        assert then_combine(make(1), make(2), lambda *pair: seen.append(pair)).get() is None
        assert "ran" == then_run(deferred.zip(make(1), make(2)), lambda: "ran").get()
        assert [(1, 2)] == seen

    @pytest.mark.parity("DEF-47")
    @both
    def test_either(self, make):
        """alt and chain apply to either, accept either, and run after either."""
        seen = []

        assert 2 == apply_to_either(make(1), Deferred(), lambda x: x + 1).get()
        assert apply_to_either(Deferred(), make(1), seen.append).get() is None
        assert "ran" == then_run(deferred.alt(Deferred(), make(1)), lambda: "ran").get()
        assert [1] == seen

    @pytest.mark.parity("DEF-47")
    @both
    def test_async(self, make):
        """What `Async` is there, future and flow are here: another greenlet, on an executor or not.

        With an executor it is onto.
        """
        executor = Greenlets()
        here = getcurrent()

        def is_elsewhere(*_):
            return getcurrent() is not here

        assert make(1).chain(lambda _: deferred.future(is_elsewhere)).get() is True
        assert make(1).chain(deferred.flow(is_elsewhere)).get() is True
        on = make(1).onto(executor)
        for d in (
            then_apply(on, lambda _: executor.is_here()),
            handle(on, lambda *_: executor.is_here()),
            deferred.zip(make(1), on).onto(executor).chain(lambda _: executor.is_here()),
            deferred.alt(Deferred(), on).onto(executor).chain(lambda _: executor.is_here()),
        ):
            assert d.get() is True

    @pytest.mark.parity("DEF-48")
    def test_a_deferred_as_a_value(self):
        """chain unwraps, as stages do not; a deferred that is meant as a value goes in a tuple."""
        inner = Deferred()

        assert (inner,) == there(1).chain(lambda _: (inner,), lambda pair: pair).get()
        assert "inner" == there(1).chain(lambda _: later("inner")).get()

    @pytest.mark.parity("DEF-49")
    @both
    def test_failed_input(self, make):
        """On an error no function runs, and the error is carried on; in either place of a pair."""
        error = ValueError("x")
        ran = []

        for d in (
            then_apply(make(error), ran.append),
            then_run(make(error), lambda: ran.append(1)),
            then_combine(make(error), make(2), lambda *_: ran.append(1)),
            then_combine(make(1), make(error), lambda *_: ran.append(1)),
            apply_to_either(make(error), Deferred(), ran.append),
        ):
            with pytest.raises(ValueError, match="x") as caught:
                d.get()
            assert caught.value is error
        assert [] == ran

    @pytest.mark.parity("DEF-50")
    @both
    def test_compose(self, make):
        """A function may return whatever arrives later, a finished future of others' too."""
        done = Future()
        done.set_result("done")

        assert "later" == make(1).chain(lambda _: later("later")).get()
        assert "done" == make(1).chain(lambda _: done).get()
        assert 1 == make(1).chain(lambda x: gevent.spawn(int, x)).get()

    @pytest.mark.parity("DEF-55")
    @both
    def test_function_that_fails(self, make):
        """What a function raises is the outcome; nobody waits for ever."""
        error = ValueError("x")

        def fail(*_):
            raise error

        for d in (
            then_apply(make(1), fail),
            then_run(make(1), fail),
            then_combine(make(1), make(2), fail),
            apply_to_either(make(1), Deferred(), fail),
            handle(make(1), fail),
            exceptionally(make(KeyError()), fail),
            when_complete(make(1), fail),
        ):
            with pytest.raises(ValueError, match="x") as caught:
                d.get()
            assert caught.value is error

    @pytest.mark.parity("DEF-54")
    @pytest.mark.parametrize("name", ["chain", "catch", "finally_", "link"])
    @pytest.mark.parametrize("make", [there, later, lambda _: deferred.error(KeyError())])
    def test_no_function(self, name, make):
        """None in the place of a function is a TypeError where it is given, on any deferred."""
        d = make(1)

        with pytest.raises(TypeError, match="must be callable, not None"):
            getattr(d, name)(None)
        d.wait()


class TestEitherOutcome:
    @pytest.mark.parity("DEF-51")
    @both
    def test_handle(self, make):
        """handle sees the value or the error, and what it returns is a value."""
        error = ValueError("x")

        assert (1, None) == handle(make(1), lambda *pair: pair).get()
        assert (None, error) == handle(make(error), lambda *pair: pair).get()

    @pytest.mark.parity("DEF-51")
    @both
    def test_handle_that_fails(self, make):
        """It is called once: not again with what it raised itself."""
        calls = []

        def fail(*pair):
            calls.append(pair)
            raise KeyError("k")

        with pytest.raises(KeyError):
            handle(make(1), fail).get()
        assert [(1, None)] == calls

    @pytest.mark.parity("DEF-51")
    @both
    def test_exceptionally(self, make):
        """catch runs on an error only; a value passes through."""
        assert "x" == exceptionally(make(ValueError("x")), str).get()
        assert 1 == exceptionally(make(1), pytest.fail).get()

    @pytest.mark.parity("DEF-52")
    @both
    def test_when_complete(self, make):
        """A side effect sees the outcome and keeps it."""
        seen = []
        error = ValueError("x")

        assert 1 == when_complete(make(1), lambda *pair: seen.append(pair)).get()
        with pytest.raises(ValueError, match="x") as caught:
            when_complete(make(error), lambda *pair: seen.append(pair)).get()

        assert caught.value is error
        assert [(1, None), (None, error)] == seen

    @pytest.mark.parity("DEF-52")
    @both
    def test_when_complete_that_fails(self, make):
        """What it raises replaces a value; of two errors the first one stays."""
        calls = []

        def fail(*pair):
            calls.append(pair)
            raise KeyError("k")

        with pytest.raises(KeyError):
            when_complete(make(1), fail).get()
        with pytest.raises(ValueError, match="x"):
            when_complete(make(ValueError("x")), fail).get()
        assert 2 == len(calls)

    @pytest.mark.parity("DEF-52")
    @both
    def test_finally(self, make):
        """finally_ is a side effect that need not know the outcome."""
        ran = []

        assert 1 == make(1).finally_(lambda: ran.append(1)).get()
        with pytest.raises(ValueError, match="x"):
            make(ValueError("x")).finally_(lambda: ran.append(2)).get()
        assert [1, 2] == ran
