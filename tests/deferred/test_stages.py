"""chain, catch and finally_: what a stage makes of an outcome, wherever it arrives."""

from __future__ import annotations

import contextvars
import gc
import itertools
import weakref

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.hub import Hub
from greenlet import getcurrent

from galeph import deferred
from galeph.deferred import Deferred
from galeph.errors import Cancelled, TimedOut
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


def inc(x):
    return x + 1


def later(value):
    """A deferred that a greenlet realizes."""
    d = Deferred()
    gevent.spawn(d.success, value)
    return d


def later_error(error):
    d = Deferred()
    gevent.spawn(d.error, error)
    return d


class TestChain:
    @pytest.mark.parity("DEF-24")
    def test_realized(self):
        """On a realized deferred everything runs at once; the result is realized."""
        d = deferred.success(1).chain(inc, inc, str)

        assert d.ready()
        assert "3" == d.get()

    def test_pending(self):
        """On a pending deferred the functions run when the value has come."""
        source = Deferred()
        d = source.chain(inc, inc)

        assert not d.ready()
        source.success(1)
        assert 3 == d.get()

    @pytest.mark.parity("DEF-24")
    def test_no_functions(self):
        """Without functions it passes the outcome on."""
        source = Deferred()
        d = source.chain()
        source.success(1)

        assert 1 == d.get()
        assert 1 == deferred.success(1).chain().get()

    @pytest.mark.parity("DEF-24")
    @pytest.mark.parametrize("length", range(1, 6))
    def test_asynchronous_at_each_position(self, length):
        """A function that returns a deferred pauses the chain, at any place of any length."""
        for places in itertools.product([False, True], repeat=length):
            fns = [(lambda x: later(x + 1)) if is_later else inc for is_later in places]

            assert length == deferred.success(0).chain(*fns).get()
            assert length == later(0).chain(*fns).get()

    @pytest.mark.parity("DEF-24")
    def test_other_things_that_arrive(self):
        """AsyncResults, greenlets and nested deferreds are waited for, down to the plain value."""
        plain = AsyncResult()
        gevent.spawn(plain.set, 3)

        d = later(later(1)).chain(
            lambda x: gevent.spawn(inc, x),
            lambda x: deferred.success(deferred.success(later(x))),
            lambda x: [x, plain],
            lambda pair: pair[1],
        )

        assert 3 == d.get()

    @pytest.mark.parity("DEF-24")
    def test_nested_values_are_unwrapped(self):
        """A chain without functions gives the plain value at the bottom."""
        nested = deferred.success(deferred.success(later(1)))

        assert 1 == nested.chain().get()
        assert 1 == later(nested).chain().get()

    @pytest.mark.parity("DEF-25")
    @pytest.mark.parametrize("make", [deferred.success, later])
    @pytest.mark.parametrize("is_async", [False, True])
    def test_error_skips_the_rest(self, make, is_async):
        """An error, raised or arriving, skips what is left and becomes the outcome."""
        error = ValueError("x")
        ran = []

        def fail(_):
            if is_async:
                return later_error(error)
            raise error

        d = make(1).chain(inc, fail, ran.append, ran.append)

        with pytest.raises(ValueError, match="x") as caught:
            d.get()
        assert caught.value is error
        assert [] == ran

    @pytest.mark.parity("DEF-25")
    def test_failed_source(self):
        """A failed deferred runs no function."""
        ran = []
        error = ValueError("x")

        for source in (deferred.error(error), later_error(error)):
            d = source.chain(ran.append)
            with pytest.raises(ValueError, match="x"):
                d.get()

        assert [] == ran

    @pytest.mark.parity("DEF-26")
    def test_result_realized_by_somebody_else(self):
        """When the result has an outcome already, stages that have not begun never run."""
        source, gate = Deferred(), Deferred()
        ran = []
        not_begun = source.chain(ran.append)
        half_way = source.chain(lambda _: gate, ran.append)

        not_begun.success("mine")
        source.success(1)
        settle()
        half_way.cancel()
        gate.success(2)
        settle()

        assert [] == ran
        assert "mine" == not_begun.get()

    def test_result_realized_between_two_functions(self):
        """A function may decide the result itself; the next one does not run then."""
        source = Deferred()
        ran = []
        d = source.chain(lambda _: d.success("early"), ran.append)

        source.success(1)
        settle()

        assert [] == ran
        assert "early" == d.get()

    def test_functions_may_wait(self):
        """A function may block on the very thing that another stage of the same source brings."""
        source = Deferred()
        second = Deferred()
        first = source.chain(lambda _: second.get())
        source.chain(second.success)

        source.success(1)

        assert 1 == first.get()

    def test_never_in_the_hub(self):
        """A chain made or realized in the hub runs its functions in a greenlet."""
        pending, realized = Deferred(), deferred.success(1)
        seen = []

        def where(_):
            seen.append(isinstance(getcurrent(), Hub))

        pending.chain(where)
        loop = gevent.get_hub().loop
        loop.run_callback(pending.success, 1)
        loop.run_callback(realized.chain, where)
        settle()

        assert [False, False] == seen

    def test_context(self):
        """Each stage runs in a copy of the context it was registered in."""
        source = Deferred()
        seen = []

        def look(_):
            seen.append(WHO.get())
            WHO.set("set by a stage")
            return later(None)

        token = WHO.set("me")
        try:
            pending = source.chain(look, look)
            at_once = deferred.success(1).chain(look, look)
            source.success(1)
            pending.get()
            at_once.get()

            assert "me" == WHO.get()
            assert sorted(["me", "set by a stage"] * 2) == sorted(seen)
        finally:
            WHO.reset(token)

    @pytest.mark.parametrize("kind", [gevent.GreenletExit, gevent.Timeout])
    def test_stopping_the_caller(self, kind):
        """At once, a kill or a foreign Timeout goes through to the caller it was meant for."""

        def stop(_):
            raise kind

        with pytest.raises(kind):
            deferred.success(1).chain(stop)

    @pytest.mark.parametrize(
        ("kind", "expected"), [(gevent.GreenletExit, Cancelled), (gevent.Timeout, TimedOut)]
    )
    def test_stopping_the_runner(self, kind, expected):
        """In galeph's greenlet they end the result, with the cause chained."""
        source = Deferred()

        def stop(_):
            raise kind

        d = source.chain(stop)
        source.success(1)

        with pytest.raises(expected) as caught:
            d.get()
        assert isinstance(caught.value.__cause__, kind)

    def test_own_timeout(self):
        """A stage whose own Timeout runs out fails with TimedOut; nobody is left waiting."""
        source = Deferred()

        def slow(_):
            with gevent.Timeout(0.001):
                gevent.sleep(10)

        d = source.chain(slow)
        source.success(1)

        with pytest.raises(TimedOut):
            d.get()

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    def test_exit_in_the_runner(self, kind, galeph_hub_errors):
        """SystemExit in a stage cancels the result, and goes on to the main greenlet."""
        source = Deferred()

        def leave(_):
            raise kind

        d = source.chain(leave)
        source.success(1)

        with pytest.raises(kind):
            gevent.sleep(1)
        # Printed as well, if it is a KeyboardInterrupt.
        galeph_hub_errors.clear()
        assert d.cancelled()
        assert isinstance(d.exception.__cause__, kind)

    def test_traceback(self):
        """The traceback holds the user's frames and none of galeph's between them."""

        def culprit(_):
            raise ValueError("x")

        source = Deferred()
        later_result = source.chain(culprit)
        source.success(1)
        settle()
        for d in (deferred.success(1).chain(culprit), later_result, later(1).chain(inc, culprit)):
            with pytest.raises(ValueError, match="x") as caught:
                d.get()

            names = [frame.name for frame in caught.traceback]
            assert ["get", "culprit"] == names[1:]

    def test_error_keeps_nothing_alive(self):
        """An error does not hold the deferreds it passed."""
        source = Deferred()

        def culprit(_):
            raise ValueError("x")

        gc.collect()
        gc.disable()
        try:
            d = source.chain(culprit).chain(inc)
            source.success(1)
            settle()
            error = d.exception
            alive = [weakref.ref(d), weakref.ref(source)]
            del d, source

            assert isinstance(error, ValueError)
            assert [None, None] == [ref() for ref in alive]
        finally:
            gc.enable()

    def test_wrong_arguments(self):
        """What cannot be called is a TypeError, before any function runs."""
        ran = []

        with pytest.raises(TypeError, match="fns must be callable, not 1"):
            deferred.success(0).chain(ran.append, 1)

        assert [] == ran


class TestLength:
    def test_one_chain_of_100_000(self):
        """100,000 functions in one chain need no stack, synchronous or not."""
        fns = [inc] * 100_000

        assert 100_000 == deferred.success(0).chain(*fns).get()
        assert 100_000 == later(0).chain(*fns).get()

    @pytest.mark.long
    def test_linked(self, long_form):
        """Any number of stages, each linked to the one before, need no stack."""
        count = 1_000_000 if long_form else 100_000
        first = d = Deferred()
        for _ in range(count):
            d = d.chain(inc)

        first.success(0)

        assert count == d.get(timeout=60)

    @pytest.mark.attack(298)
    def test_abandoned(self):
        """A long chain that is dropped while pending is freed without a stack, and at once."""
        first = d = Deferred()
        alive = weakref.ref(first)
        for _ in range(200_000):
            d = d.chain(inc)
        last = weakref.ref(d)

        del first, d

        assert alive() is None
        assert last() is None

    def test_nested_100_000(self):
        """A deferred of a deferred of a deferred, 100,000 deep, unwraps and passes on."""
        bottom = Deferred()
        d = bottom
        for _ in range(100_000):
            d = deferred.success(d)

        result = d.chain(inc)
        bottom.success(1)

        assert 2 == result.get()

    def test_fairness(self):
        """While a long queue of stages runs, timers still fire."""
        fired = []
        timer = gevent.spawn_later(0.001, fired.append, 1)
        first = d = Deferred()

        def look(x):
            gevent.get_hub()
            return x + len(fired)

        for _ in range(100_000):
            d = d.chain(look)
        first.success(0)

        assert 0 < d.get()
        timer.join()


class TestCatch:
    @pytest.mark.parity("DEF-28", "DEF-29")
    @pytest.mark.parametrize("make", [deferred.error, later_error])
    def test_handler(self, make):
        """The handler's return value becomes the value."""
        d = make(ValueError("x")).catch(lambda error: f"mended {error}")

        assert "mended x" == d.get()

    @pytest.mark.parity("DEF-28")
    @pytest.mark.parametrize("make", [deferred.success, later])
    def test_value_passes(self, make):
        """A value passes through."""
        assert 1 == make(1).catch(pytest.fail).get()

    @pytest.mark.parity("DEF-28")
    def test_types(self):
        """With types, only those are handled; others pass untouched."""
        error = KeyError("k")

        assert 1 == deferred.error(error).catch(LookupError, lambda _: 1).get()
        assert 1 == deferred.error(error).catch((ValueError, KeyError), lambda _: 1).get()
        with pytest.raises(KeyError) as caught:
            deferred.error(error).catch(ValueError, pytest.fail).get()
        assert caught.value is error

    def test_without_types_an_exception(self):
        """catch(handler) leaves alone what is no Exception."""
        d = Deferred()
        d.error(gevent.Timeout())

        with pytest.raises(gevent.Timeout):
            d.catch(pytest.fail).get()

    @pytest.mark.parity("DEF-29")
    def test_handler_returns_a_deferred(self):
        """What the handler returns is unwrapped, its error not handled again."""
        failed = deferred.error(ValueError("first"))

        assert 1 == failed.catch(lambda _: later(1)).get()
        assert 1 == failed.catch(lambda _: deferred.success(1)).get()
        with pytest.raises(ValueError, match="second"):
            failed.catch(lambda _: later_error(ValueError("second"))).get()

    @pytest.mark.parity("DEF-29")
    def test_handler_raises(self):
        """An exception in the handler is the new error, the old one its context."""

        def handler(error):
            raise KeyError("new") from error

        for source in (deferred.error(ValueError("x")), later_error(ValueError("x"))):
            with pytest.raises(KeyError) as caught:
                source.catch(handler).get()
            assert isinstance(caught.value.__cause__, ValueError)

    def test_error_at_the_bottom(self):
        """The error of a nested deferred is handled too."""
        assert "mended" == later(later_error(ValueError())).catch(lambda _: "mended").get()

    @pytest.mark.parity("DEF-28")
    def test_waits_for_the_bottom(self):
        """Of a nested deferred that is pending it handles the error, and passes the value."""
        failing, fine = Deferred(), Deferred()
        mended = deferred.success(failing).catch(lambda error: f"mended {error}")
        passed = deferred.success(deferred.success(fine)).catch(pytest.fail)
        assert not mended.ready()
        failing.error(ValueError("x"))
        fine.success(1)

        assert "mended x" == mended.get()
        assert 1 == passed.get()

    @pytest.mark.parametrize("arguments", [(1,), (ValueError, 1), (1, inc), ((inc,), inc)])
    def test_wrong_arguments(self, arguments):
        """What is no handler, or no exception class, is a TypeError at once."""
        with pytest.raises(TypeError, match="must be"):
            deferred.success(1).catch(*arguments)


class TestFinally:
    @pytest.mark.parity("DEF-30", "DEF-31")
    @pytest.mark.parametrize("make", [deferred.success, later])
    def test_value(self, make):
        """The function runs, and the value stays."""
        ran = []

        assert 1 == make(1).finally_(lambda: ran.append("ran")).get()
        assert ["ran"] == ran

    @pytest.mark.parity("DEF-30")
    @pytest.mark.parametrize("make", [deferred.error, later_error])
    def test_error(self, make):
        """The function runs, and the error stays."""
        ran = []
        error = ValueError("x")

        with pytest.raises(ValueError, match="x") as caught:
            make(error).finally_(lambda: ran.append("ran")).get()

        assert caught.value is error
        assert ["ran"] == ran

    @pytest.mark.parity("DEF-30")
    def test_exception_replaces(self):
        """What the function raises replaces the outcome."""

        def broken():
            raise KeyError("k")

        for source in (deferred.success(1), later(1), deferred.error(ValueError())):
            with pytest.raises(KeyError):
                source.finally_(broken).get()

    def test_waits_for_the_bottom(self):
        """On a nested deferred it runs when the plain value is there."""
        inner = Deferred()
        ran = []
        d = deferred.success(inner).finally_(lambda: ran.append("ran"))

        assert [] == ran
        inner.success(1)

        assert 1 == d.get()
        assert ["ran"] == ran

    def test_wrong_argument(self):
        """What cannot be called is a TypeError."""
        with pytest.raises(TypeError, match="fn must be callable"):
            deferred.success(1).finally_(None)
