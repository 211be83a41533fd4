"""Making deferreds: pending, realized, from a function."""

from __future__ import annotations

import contextvars
import gc
import queue
import weakref
from concurrent.futures import Future

import gevent
import gevent.queue
import pytest
from gevent.event import AsyncResult
from greenlet import getcurrent

from galeph import deferred, stream
from galeph.deferred import Deferred
from galeph.errors import Cancelled, TimedOut
from tests.deferred import threads
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


class TestPending:
    @pytest.mark.parity("DEF-01")
    def test_plain(self):
        """deferred() makes a pending one that belongs to nobody yet."""
        d = deferred.deferred()

        assert not d.ready()
        assert d.hub is None

    def test_from_thread_keeps_the_hub(self):
        """With from_thread the wait is no LoopExit: the hub runs until the thread realizes it."""

        def wait():
            d = deferred.deferred(from_thread=True)
            threads.start(d.success, 1, after=0.02)
            return d.chain(lambda x: x + 1).get()

        assert 2 == wait()

    def test_lets_go_when_realized(self):
        """Realized, in this thread or another, it leaves no active watcher."""
        one, other = deferred.deferred(from_thread=True), deferred.deferred(from_thread=True)
        one.success(1)
        threads.start(other.error, ValueError(), after=0.001)

        with pytest.raises(ValueError):
            other.get()

        # The leak check of the suite sees the watchers.
        assert one.ready()

    def test_lets_go_when_dropped(self):
        """Dropped unrealized, it does not hold the hub for ever."""
        d = deferred.deferred(from_thread=True)
        alive = weakref.ref(d)
        del d
        gc.collect()
        settle()

        assert alive() is None


class TestRealized:
    @pytest.mark.parity("DEF-07")
    def test_success(self):
        """success(v) is born with a value; nobody can change it or claim it."""
        d = deferred.success(1)

        assert d.ready()
        assert d.success(2) is False
        assert d.error(ValueError()) is False
        assert d.claim() is None
        assert 1 == d.get()

    @pytest.mark.parity("DEF-07")
    def test_error(self):
        """error(e) is born failed."""
        d = deferred.error(KeyError("k"))

        assert d.success(2) is False
        assert d.error(ValueError()) is False
        assert d.claim() is None
        with pytest.raises(KeyError):
            d.get()

    def test_error_wants_an_exception(self):
        """What is no exception is a TypeError."""
        with pytest.raises(TypeError, match="exception must be"):
            deferred.error("text")


class TestFuture:
    @pytest.mark.parity("DEF-20")
    def test_value(self):
        """It calls the function with the arguments, in another greenlet, later."""
        seen = []

        def work(a, *, b):
            seen.append(getcurrent())
            return a + b

        d = deferred.future(work, 1, b=2)

        assert [] == seen
        assert 3 == d.get()
        assert seen != [getcurrent()]

    def test_error(self):
        """An exception of the function is the error, with its traceback."""

        def culprit():
            raise ValueError("x")

        with pytest.raises(ValueError, match="x") as caught:
            deferred.future(culprit).get()
        assert ["get", "culprit"] == [frame.name for frame in caught.traceback][1:]

    @pytest.mark.parity("DEF-20")
    def test_context(self):
        """The function runs in a copy of the caller's context."""
        token = WHO.set("me")
        try:

            def work():
                before = WHO.get()
                WHO.set("work")
                return before

            assert "me" == deferred.future(work).get()
            assert "me" == WHO.get()
        finally:
            WHO.reset(token)

    @pytest.mark.parametrize("has_begun", [False, True])
    def test_cancel(self, has_begun):
        """Cancelling kills the greenlet, or keeps it from starting."""
        seen = []

        def work():
            seen.append("begun")
            try:
                gevent.sleep(10)
            finally:
                seen.append("ended")

        d = deferred.future(work)
        if has_begun:
            gevent.sleep(0)

        assert d.cancel() is True
        settle()

        assert (["begun", "ended"] if has_begun else []) == seen
        with pytest.raises(Cancelled):
            d.get()

    @pytest.mark.parity("DEF-20")
    def test_realized_before_it_starts(self):
        """If somebody realizes it first, the function is not called."""
        seen = []
        d = deferred.future(seen.append, 1)

        d.success("mine")
        settle()

        assert [] == seen
        assert "mine" == d.get()

    def test_timeout_stops_the_work(self):
        """When its time limit expires the work is stopped."""
        seen = []

        def work():
            try:
                gevent.sleep(10)
            except gevent.GreenletExit:
                seen.append("killed")
                raise

        d = deferred.future(work).timeout(0.005)

        with pytest.raises(TimedOut, match="no result within"):
            d.get()
        settle()
        assert ["killed"] == seen

    @pytest.mark.parametrize("has_begun", [False, True])
    def test_killed(self, has_begun):
        """A killed greenlet fails it with Cancelled, whether it had begun or not."""
        greenlets = []

        def work():
            greenlets.append(getcurrent())
            gevent.sleep(10)

        d = deferred.future(work)
        if has_begun:
            gevent.sleep(0)
            greenlets[0].kill(block=False)
        else:
            [greenlet] = [
                g
                for g in gc.get_objects()
                if isinstance(g, gevent.Greenlet) and d in getattr(g, "args", ())
            ]
            greenlet.kill(block=False)

        with pytest.raises(Cancelled, match="was killed"):
            d.get()

    def test_own_timeout(self):
        """A gevent.Timeout that ends the function is TimedOut, with the cause."""

        def work():
            with gevent.Timeout(0.001):
                gevent.sleep(10)

        with pytest.raises(TimedOut) as caught:
            deferred.future(work).get()
        assert isinstance(caught.value.__cause__, gevent.Timeout)

    def test_killing_a_waiter_leaves_the_work(self):
        """A greenlet that waits and is killed leaves the work running."""
        gate = Deferred()
        d = deferred.future(gate.get)
        waiter = gevent.spawn(d.get)
        gevent.sleep(0)
        waiter.kill()

        gate.success(1)

        assert 1 == d.get()

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    def test_exit(self, kind, galeph_hub_errors):
        """SystemExit cancels it, and goes on to the main greenlet as from any greenlet."""

        def work():
            raise kind

        d = deferred.future(work)

        with pytest.raises(kind):
            gevent.sleep(1)
        galeph_hub_errors.clear()
        assert d.cancelled()
        assert isinstance(d.exception.__cause__, kind)

    @pytest.mark.parametrize("result", [1, ValueError()])
    def test_is_freed(self, result):
        """When it is done, the deferred is freed with its last reference."""

        def work():
            if isinstance(result, Exception):
                raise result
            return result

        gc.collect()
        gc.disable()
        try:
            d = deferred.future(work)
            d.wait()
            gevent.sleep(0.001)
            alive = weakref.ref(d)
            del d

            assert alive() is None
        finally:
            gc.enable()

    def test_wants_a_callable(self):
        """What cannot be called is a TypeError at once."""
        with pytest.raises(TypeError, match="fn must be callable"):
            deferred.future(1)


class TestToDeferred:
    @pytest.mark.parity("DEF-21")
    def test_a_deferred_is_one(self):
        """A Deferred is returned as it is."""
        d = Deferred()

        assert deferred.to_deferred(d) is d

    @pytest.mark.parity("DEF-21")
    @pytest.mark.parametrize("wrong", [1, None, "text", int])
    def test_plain_values_are_none(self, wrong):
        """A plain value is a TypeError."""
        with pytest.raises(TypeError, match="x must be a deferred"):
            deferred.to_deferred(wrong)

    @pytest.mark.parity("DEF-21")
    def test_does_not_wait(self):
        """It returns at once."""
        assert not deferred.to_deferred(AsyncResult()).ready()

    @pytest.mark.parity("DEF-21")
    def test_default(self):
        """With a default, that is returned instead of raising; not if there is something."""
        d = Deferred()

        assert deferred.to_deferred(1, None) is None
        assert "none" == deferred.to_deferred([], "none")
        assert deferred.to_deferred(d, None) is d

    @pytest.mark.parity("DEF-22")
    @pytest.mark.parametrize(
        "make", [queue.Queue, gevent.queue.Queue, gevent.queue.Channel, stream.Stream]
    )
    def test_queues_are_none(self, make):
        """A queue, a channel or a stream brings many values: it is no deferred."""
        assert not deferred.is_deferrable(make())
        with pytest.raises(TypeError, match="x must be a deferred"):
            deferred.to_deferred(make())


class Ticket(deferred.Deferrable):
    """Something of a user's own that arrives later."""

    def __init__(self, arriving):
        self.arriving = arriving

    def to_deferred(self):
        return self.arriving


class TestDeferrable:
    @pytest.mark.parity("DEF-08")
    @pytest.mark.parametrize(
        "make",
        [Deferred, AsyncResult, gevent.Greenlet, Future, lambda: Ticket(Deferred())],
    )
    def test_what_arrives_later(self, make):
        """Deferreds, what gevent and the standard library have, and a user's own are deferrable."""
        assert deferred.is_deferrable(make())

    @pytest.mark.parity("DEF-08")
    @pytest.mark.parametrize("x", [None, 1, [], Deferred, id])
    def test_what_does_not(self, x):
        """Plain values are not."""
        assert not deferred.is_deferrable(x)

    @pytest.mark.parity("DEF-08")
    def test_realized(self):
        """A deferred is ready when it has a value or an error, and only then."""
        pending, claimed = Deferred(), Deferred()
        claimed.claim()

        assert not pending.ready()
        assert not claimed.ready()
        assert deferred.success(None).ready()
        failed = deferred.error(ValueError())
        assert failed.ready()
        failed.exception  # noqa: B018  (seen)

    @pytest.mark.parity("DEF-21")
    @pytest.mark.parametrize("is_there", [True, False])
    def test_of_the_users_own(self, is_there):
        """A user's Deferrable is taken wherever a value that arrives later is."""
        arriving, target = Deferred(), Deferred()
        if is_there:
            arriving.success(1)
        else:
            gevent.spawn(arriving.success, 1)
        deferred.connect(Ticket(arriving), target)

        assert 1 == deferred.to_deferred(Ticket(arriving)).get()
        assert 2 == deferred.success(0).chain(lambda _: Ticket(arriving), lambda x: x + 1).get()
        assert [1, 2] == deferred.zip(Ticket(arriving), 2).get()
        assert 1 == deferred.alt(Ticket(arriving)).get()
        assert 1 == deferred.error(ValueError()).catch(lambda _: Ticket(arriving)).get()
        assert 1 == target.get()

    def test_that_says_nothing_of_use(self):
        """One that is no deferred after all is a TypeError that names the class."""
        with pytest.raises(TypeError, match=r"Ticket.to_deferred\(\) must return a Deferred"):
            deferred.to_deferred(Ticket(1))
        with pytest.raises(TypeError, match=r"Ticket.to_deferred\(\) must return a Deferred"):
            deferred.success(Ticket(1)).chain().get()

    def test_must_be_written(self):
        """The method is the subclass's to write."""
        with pytest.raises(NotImplementedError):
            deferred.to_deferred(deferred.Deferrable())


class TestUnwrap:
    @pytest.mark.parity("DEF-23")
    def test_to_the_plain_value(self):
        """Realized deferreds, and others that are done, are followed to what they hold."""
        result, future = AsyncResult(), Future()
        result.set(deferred.success(Ticket(deferred.success("bottom"))))
        future.set_result(result)

        assert "bottom" == deferred.unwrap(deferred.success(future))
        assert "plain" == deferred.unwrap("plain")

    @pytest.mark.parity("DEF-23")
    def test_to_what_is_pending_or_has_failed(self):
        """They are followed to the first that is pending, or failed; that one is returned."""
        pending, failed = Deferred(), deferred.error(ValueError())

        assert deferred.unwrap(deferred.success(deferred.success(pending))) is pending
        assert deferred.unwrap(deferred.success(failed)) is failed
        failed.exception  # noqa: B018  (seen)

    def test_does_not_wait(self):
        """What is pending elsewhere comes back as a deferred of it."""
        result = AsyncResult()
        d = deferred.unwrap(result)
        result.set(1)

        assert 1 == d.get()
