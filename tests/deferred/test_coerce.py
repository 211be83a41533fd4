"""Other results that arrive later, in a deferred."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from galeph import deferred
from galeph.deferred import Deferred
from galeph.errors import Cancelled, TimedOut
from tests.deferred.threads import settle


def fail():
    raise ValueError("x")


def quiet(monkeypatch):
    monkeypatch.setattr(gevent.get_hub(), "print_exception", lambda *_: None)


class TestAsyncResult:
    @pytest.mark.parity("DEF-21")
    def test_ready(self):
        """A finished one realizes the deferred at once, either way."""
        value, error = AsyncResult(), AsyncResult()
        value.set(1)
        error.set_exception(ValueError("x"))

        assert 1 == deferred.to_deferred(value).get(block=False)
        with pytest.raises(ValueError, match="x"):
            deferred.to_deferred(error).get(block=False)

    @pytest.mark.parity("DEF-21")
    def test_pending(self):
        """A pending one realizes it later."""
        value, error = AsyncResult(), AsyncResult()
        one, other = deferred.to_deferred(value), deferred.to_deferred(error)
        value.set(1)
        error.set_exception(ValueError("x"))

        assert 1 == one.get()
        with pytest.raises(ValueError, match="x"):
            other.get()

    def test_of_a_thread_pool(self):
        """What gevent's thread pool returns is one."""
        pool = ThreadPool(1)
        try:
            assert 1 == deferred.to_deferred(pool.spawn(int, 1)).get()
        finally:
            pool.kill()

    def test_chain_takes_it(self):
        """A function of a chain may return one."""
        result = AsyncResult()
        d = deferred.success(1).chain(lambda _: result, lambda x: x + 1)
        result.set(1)

        assert 2 == d.get()


class TestGreenlet:
    @pytest.mark.parity("DEF-21")
    def test_value(self):
        """Its value is the value, before it has ended and after."""
        greenlet = gevent.spawn(int, 1)
        before = deferred.to_deferred(greenlet)
        greenlet.join()

        assert 1 == before.get()
        assert 1 == deferred.to_deferred(greenlet).get()

    def test_error(self, galeph_hub_errors):
        """Its error is the error, with the traceback."""
        greenlet = gevent.spawn(fail)
        before = deferred.to_deferred(greenlet)
        greenlet.join()
        galeph_hub_errors.clear()

        for d in (before, deferred.to_deferred(greenlet)):
            with pytest.raises(ValueError, match="x") as caught:
                d.get()
            assert "fail" == caught.traceback[-1].name

    def test_killed(self):
        """gevent calls a killed greenlet successful; here it is Cancelled."""
        greenlet = gevent.spawn(gevent.sleep, 10)
        before = deferred.to_deferred(greenlet)
        gevent.sleep(0)
        greenlet.kill()

        for d in (before, deferred.to_deferred(greenlet)):
            with pytest.raises(Cancelled):
                d.get()

    def test_timed_out(self, galeph_hub_errors):
        """One that a gevent.Timeout ended is TimedOut: the waiter has no such timeout."""

        def slow():
            with gevent.Timeout(0.001):
                gevent.sleep(10)

        greenlet = gevent.spawn(slow)
        with pytest.raises(TimedOut):
            deferred.to_deferred(greenlet).get()
        greenlet.join()
        galeph_hub_errors.clear()

    def test_link_target(self):
        """A deferred is a link target as an AsyncResult is."""
        d = Deferred()
        gevent.spawn(int, 1).link(d)

        assert 1 == d.get()

    def test_link_target_obeys_the_rule(self):
        """A link does not overwrite an outcome."""
        d = deferred.success("first")
        greenlet = gevent.spawn(int, 1)
        greenlet.link(d)
        greenlet.join()
        settle()

        assert "first" == d.get()

    def test_exit_as_a_value_of_something_else(self):
        """A GreenletExit that is the value of something else is a value."""
        result = AsyncResult()
        exit_ = gevent.GreenletExit()
        result.set(exit_)

        assert deferred.to_deferred(result).get() is exit_


class TestFuture:
    @pytest.mark.parity("DEF-21")
    def test_done(self):
        """A finished one realizes the deferred at once, in any of its three ways."""
        value, error, cancelled = Future(), Future(), Future()
        value.set_result(1)
        error.set_exception(ValueError("x"))
        cancelled.cancel()

        assert 1 == deferred.to_deferred(value).get(block=False)
        with pytest.raises(ValueError, match="x"):
            deferred.to_deferred(error).get(block=False)
        with pytest.raises(Cancelled):
            deferred.to_deferred(cancelled).get(block=False)

    def test_as_what_a_deferred_is_called_with(self):
        """A finished one is copied like any other result."""
        value, error, cancelled = Future(), Future(), Future()
        value.set_result(1)
        error.set_exception(ValueError("x"))
        cancelled.cancel()
        made = [Deferred() for _ in range(3)]
        for d, source in zip(made, (value, error, cancelled), strict=True):
            d(source)

        assert [1, "x", True] == [made[0].value, str(made[1].exception), made[2].cancelled()]

    @pytest.mark.parity("DEF-21")
    def test_from_a_thread(self):
        """A thread's result arrives in the hub, which runs until then."""
        executor = ThreadPoolExecutor(1)
        sleep = get_original("time", "sleep")
        try:

            def work():
                sleep(0.01)
                return 1

            assert 1 == deferred.to_deferred(executor.submit(work)).get()
            with pytest.raises(ValueError, match="x"):
                deferred.to_deferred(executor.submit(fail)).get()
            assert 1 == deferred.success(0).chain(lambda _: executor.submit(work)).get()
        finally:
            executor.shutdown()

    def test_cancel(self):
        """Cancelling the deferred cancels the future."""
        future = Future()
        d = deferred.to_deferred(future)

        assert d.cancel()
        assert future.cancelled()
