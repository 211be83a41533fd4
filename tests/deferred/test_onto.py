"""Functions that run on an executor."""

from __future__ import annotations

import contextvars
import logging
from concurrent.futures import Future

import gevent
import pytest

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._hanging import thread_ident
from galeph.deferred._onto import OntoDeferred, check_executor, move, submitted
from galeph.deferred.producer import owns
from galeph.errors import Cancelled, Rejected
from tests.deferred.executors import Greenlets, Threads
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


@pytest.fixture
def executor():
    return Greenlets()


def pending_then(realize):
    """A deferred that a greenlet realizes."""
    d = Deferred()
    gevent.spawn(realize, d)
    return d


BOTH = [
    lambda: deferred.success(1),
    lambda: pending_then(lambda d: d.success(1)),
]
BOTH_FAILED = [
    lambda: deferred.error(ValueError("x")),
    lambda: pending_then(lambda d: d.error(ValueError("x"))),
]


class TestWhereFunctionsRun:
    @pytest.mark.parity("DEF-19")
    @pytest.mark.parametrize("make", BOTH)
    def test_chain(self, make, executor):
        """Each function of a chain runs on the executor, and the value arrives."""
        seen = []
        d = make().onto(executor).chain(lambda x: (seen.append(executor.is_here()), x + 1)[1], str)

        assert "2" == d.get()
        assert [True] == seen
        assert 2 == len(executor.used)

    @pytest.mark.parity("DEF-19", "MISS-54")
    @pytest.mark.parametrize("make", BOTH_FAILED)
    def test_catch(self, make, executor):
        """So does the handler of catch: what the stage API has no exceptionallyAsync for."""
        d = make().onto(executor).catch(ValueError, lambda e: (str(e), executor.is_here()))

        assert ("x", True) == d.get()
        assert "x" == make().onto(executor).catch(str).get()

    @pytest.mark.parity("DEF-19")
    @pytest.mark.parametrize("make", BOTH + BOTH_FAILED)
    def test_finally(self, make, executor):
        """So does the function of finally_, which the outcome waits for."""
        seen = []

        def slow():
            gevent.sleep(0.001)
            seen.append(executor.is_here())

        d = make().onto(executor).finally_(slow)
        d.wait()

        assert [True] == seen
        assert (1 if d.successful() else "ValueError('x')") == (d.value or repr(d.exception))

    @pytest.mark.parity("DEF-19", "DEF-01")
    @pytest.mark.parametrize("make", BOTH)
    def test_listeners(self, make, executor):
        """So do listeners and links, on a deferred made for the executor too."""
        own = deferred.deferred(executor=executor)
        seen = []

        def see(_):
            seen.append(executor.is_here())

        for d in (make().onto(executor), own):
            assert d.on_realized(see, see) is d
            assert d.add_listener(deferred.listener(see))
            d.link(see)
        own.success(1)
        settle()

        assert [True] * 6 == seen
        assert 6 == len(executor.used)

    @pytest.mark.parity("DEF-01")
    def test_without_an_executor(self):
        """A plain deferred's functions run in the caller, or in galeph's greenlet."""
        caller = gevent.getcurrent()
        seen = []

        def see(_):
            seen.append(gevent.getcurrent())

        deferred.success(1).on_realized(see, see)
        d = deferred.deferred()
        d.on_realized(see, see)
        d.success(1)
        settle()

        assert caller is seen[0]
        assert seen[1].is_parked

    @pytest.mark.parity("DEF-19")
    def test_what_comes_of_it_stays_there(self, executor):
        """What is made of it by chain, catch and finally_ is on the executor as well."""
        d = deferred.success(1).onto(executor)

        for derived in (d.chain(str), d.catch(str), d.finally_(int)):
            assert derived._executor is executor
            assert derived.chain(lambda _: executor.is_here()).get() is True

    def test_in_threads(self):
        """On an executor of threads the functions run there, and everything else here."""
        here = thread_ident()
        d = pending_then(lambda d: d.success(1)).onto(Threads())
        inner = pending_then(lambda d: d.success(2))
        seen = []

        d = d.chain(lambda x: (x, thread_ident()), lambda got: (seen.append(got), inner)[1])

        assert 2 == d.get()
        assert 1 == seen[0][0]
        assert here != seen[0][1]

    def test_of_the_standard_library(self, executor):
        """An executor may return a future of the standard library."""

        class AtOnce:
            def submit(self, fn, *args):
                future = Future()
                future.set_result(fn(*args))
                return future

        assert 2 == deferred.success(1).onto(AtOnce()).chain(lambda x: x + 1).get()

    def test_context(self, executor):
        """Each function runs in the context it was given in."""
        seen = []
        d = Deferred()
        token = WHO.set("me")
        on = d.onto(executor)
        on.on_realized(lambda _: seen.append(WHO.get()), id)
        chained = on.chain(lambda _: WHO.get())
        WHO.reset(token)
        d.success(1)

        assert "me" == chained.get()
        assert ["me"] == seen


class TestOnto:
    @pytest.mark.parity("DEF-19")
    def test_same_executor(self, executor):
        """What is there already is returned itself; the others are new."""
        d = Deferred()
        on = d.onto(executor)

        assert d.onto(None) is d
        assert on.onto(executor) is on
        assert on is not d
        assert on.onto(Greenlets()) is not on
        assert type(on.onto(None)) is Deferred

    @pytest.mark.parity("DEF-19")
    @pytest.mark.parametrize("make", BOTH)
    def test_same_value(self, make, executor):
        """The value is the same there and back."""
        assert 1 == make().onto(executor).get()
        assert 1 == move(move(make(), executor), None).get()
        assert [] == executor.used

    @pytest.mark.parity("DEF-19")
    @pytest.mark.parametrize("make", BOTH_FAILED)
    def test_same_error(self, make, executor):
        """So is the error."""
        with pytest.raises(ValueError, match="x"):
            make().onto(executor).get()

    def test_errors_of_functions(self, executor):
        """What a function raises on the executor is the outcome, as without one."""

        def fail(*_):
            raise KeyError("k")

        for d in (
            deferred.success(1).onto(executor).chain(fail),
            deferred.success(1).onto(executor).finally_(fail),
            deferred.error(ValueError()).onto(executor).catch(fail),
        ):
            with pytest.raises(KeyError):
                d.get()

    def test_listener_that_fails(self, executor, caplog):
        """What a listener raises there is logged; one that was killed ends quietly."""

        def fail(_):
            raise ValueError("broken listener")

        def killed(_):
            raise gevent.GreenletExit

        d = deferred.success(1).onto(executor)
        with caplog.at_level(logging.ERROR, "galeph.deferred"):
            d.on_realized(fail, fail)
            d.on_realized(killed, killed)
            settle()

        assert ["a listener of a deferred failed"] == caplog.messages
        assert ["broken listener"] == [str(record.exc_info[1]) for record in caplog.records]

    def test_full(self, caplog):
        """If the executor is full, a stage fails with what it raised, and a listener is logged."""
        full = Greenlets(room=0)
        d = Deferred()
        on = d.onto(full)
        ran = []
        stages = [on.chain(ran.append), on.catch(ran.append), on.finally_(ran.append)]
        on.on_realized(ran.append, ran.append)
        d.success(1)
        settle()

        assert [Rejected, type(None), Rejected] == [type(stage.exception) for stage in stages]
        assert ["a listener of a deferred failed"] == caplog.messages
        deferred.success(1).onto(full).on_realized(ran.append, ran.append)
        assert ["a listener of a deferred failed"] * 2 == caplog.messages
        assert [] == ran

    def test_owner(self, executor):
        """A resource goes along, and is given back if nobody takes it there."""
        disposed, d = [], Deferred()
        owns(d, disposed.append)
        waiter = gevent.spawn(d.onto(executor).chain().get)
        gevent.sleep(0)
        waiter.kill()

        assert d.cancelled()
        assert d.success("late") is False
        assert ["late"] == disposed

    def test_owner_while_finally_runs(self, executor):
        """Cancelled while the function of finally_ runs there, the resource is given back."""
        disposed, d, gate = [], Deferred(), Deferred()
        owns(d, disposed.append)
        derived = d.onto(executor).finally_(gate.get)
        d.success("v")
        settle()
        assert [] == disposed
        derived.cancel()

        assert ["v"] == disposed
        gate.success(None)

    @pytest.mark.parametrize(
        "use",
        [
            lambda d: d.chain(1),
            lambda d: d.catch(1),
            lambda d: d.finally_(1),
            lambda d: d.link(1),
            lambda d: d.on_realized(1, id),
            lambda d: d.on_realized(id, 1),
        ],
    )
    def test_wrong_arguments(self, use, executor):
        """What cannot be called is a TypeError at once, not on the executor."""
        with pytest.raises(TypeError, match="must be callable, not 1"):
            use(deferred.success(1).onto(executor))

        assert [] == executor.used

    @pytest.mark.parametrize("wrong", [1, object(), "submit"])
    def test_wants_an_executor(self, wrong):
        """What has no submit is a TypeError that names the argument."""
        for use in (Deferred().onto, check_executor, lambda x: deferred.future_with(x, id, 1)):
            with pytest.raises(TypeError, match="executor must have a method submit"):
                use(wrong)

    def test_shows_what_it_is(self, executor):
        """Its repr tells it from a plain one."""
        on = deferred.success(1).onto(executor)

        assert isinstance(on, OntoDeferred)
        assert "<OntoDeferred value=1>" == repr(on)


class TestFutureWith:
    @pytest.mark.parity("DEF-20")
    def test_value(self, executor):
        """It calls the function with the arguments on the executor, later."""
        d = deferred.future_with(executor, lambda a, *, b: (a + b, executor.is_here()), 1, b=2)

        assert not d.ready()
        assert (3, True) == d.get()

    @pytest.mark.parity("DEF-20")
    def test_context(self, executor):
        """The function runs in a copy of the caller's context."""
        token = WHO.set("me")
        try:
            d = deferred.future_with(executor, WHO.get)
            assert "me" == submitted(executor, WHO.get).get()
        finally:
            WHO.reset(token)

        assert "me" == d.get()

    @pytest.mark.parity("DEF-20")
    def test_realized_before_it_starts(self, executor):
        """If somebody realizes it first, the function is not called."""
        seen = []
        d = deferred.future_with(executor, seen.append, 1)

        d.success("mine")
        settle()

        assert [] == seen
        assert "mine" == d.get()

    @pytest.mark.parity("DEF-20")
    def test_full(self):
        """A full executor raises in the caller."""
        with pytest.raises(Rejected):
            deferred.future_with(Greenlets(room=0), int)

    def test_error(self, executor, galeph_unseen_errors):
        """What the function raises is the error, reported for one deferred at most."""

        def fail():
            raise ValueError("x")

        with pytest.raises(ValueError, match="x"):
            deferred.future_with(executor, fail).get()
        assert [] == galeph_unseen_errors()

    def test_cancel(self):
        """Cancelling it cancels what the executor returned."""
        work = Deferred()

        class Never:
            def submit(self, *_):
                return work

        d = deferred.future_with(Never(), int)

        assert d.cancel("enough")
        assert work.cancelled()

    def test_work_that_was_cancelled(self):
        """Work that the executor cancels is Cancelled."""
        work = Deferred()

        class Never:
            def submit(self, *_):
                return work

        d = deferred.future_with(Never(), int)
        work.cancel()

        with pytest.raises(Cancelled):
            d.get()

    def test_wants_a_callable(self, executor):
        """What cannot be called is a TypeError at once."""
        with pytest.raises(TypeError, match="fn must be callable"):
            deferred.future_with(executor, 1)
