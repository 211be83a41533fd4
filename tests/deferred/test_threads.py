"""in_thread: a pool of its own, bounded on all sides."""

from __future__ import annotations

import contextvars
import gc
import os
import subprocess
import sys
import textwrap
import time
import weakref

import gevent
import pytest
from gevent.monkey import get_original

from galeph import deferred
from galeph.deferred import _threads
from galeph.deferred._hanging import thread_ident
from galeph.deferred._threads import ThreadPool
from galeph.errors import Cancelled, Rejected, ResourceBusy, TimedOut
from tests.deferred import threads
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")
allocate_lock = get_original("_thread", "allocate_lock")


class Gate:
    """Holds OS threads until it is opened."""

    def __init__(self):
        self.lock = allocate_lock()
        self.lock.acquire()
        self.waiting = []

    def pass_through(self, value=None):
        self.waiting.append(value)
        with self.lock:
            return value

    def open(self):
        self.lock.release()


def wait_until(condition):
    """Block the greenlet until something in a thread has happened."""
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.001)


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(_threads, "_IDLE_AFTER", 0.02)
    pool = ThreadPool(2, most_waiting=3)
    yield pool
    wait_until(lambda: repr(pool).startswith("<ThreadPool with 0 of 2 threads, 0 idle, 0 waiting"))


@pytest.fixture
def gate():
    return Gate()


class TestInThread:
    def test_value(self):
        """It calls the function with the arguments in another OS thread."""
        d = deferred.in_thread(lambda a, *, b: (a + b, thread_ident()), 1, b=2)

        total, thread = d.get()
        assert 3 == total
        assert thread_ident() != thread

    def test_error(self):
        """What it raises is the error, with the traceback."""

        def culprit():
            raise ValueError("x")

        with pytest.raises(ValueError, match="x") as caught:
            deferred.in_thread(culprit).get()
        assert ["get", "culprit"] == [frame.name for frame in caught.traceback][1:]

    def test_keeps_the_hub(self):
        """The wait is no deadlock, also in a thread whose hub has nothing else to do."""
        sleep = get_original("time", "sleep")

        def wait():
            return deferred.in_thread(lambda: (sleep(0.01), "done")[1]).get()

        assert "done" == threads.run(wait)

    def test_context(self):
        """The function runs in a copy of the caller's context."""
        token = WHO.set("me")
        try:
            d = deferred.in_thread(lambda: (WHO.get(), WHO.set("thread"))[0])
        finally:
            WHO.reset(token)

        assert "me" == d.get()
        assert "nobody" == WHO.get()

    def test_others_run_meanwhile(self):
        """The hub goes on while the function blocks its thread."""
        gate = Gate()
        d = deferred.in_thread(gate.pass_through, 1)
        ticks = [gevent.sleep(0.001) for _ in range(3)]
        gate.open()

        assert 3 == len(ticks)
        assert 1 == d.get()

    def test_does_not_use_the_hubs_own_pool(self):
        """The hub's thread pool, where names are looked up, has nothing of it."""
        gates = [Gate() for _ in range(10)]
        pending = [deferred.in_thread(gate.pass_through) for gate in gates]
        wait_until(lambda: all(gate.waiting for gate in gates))
        began = time.perf_counter()

        assert 1 == gevent.get_hub().threadpool.apply(int, (1,))
        took = time.perf_counter() - began
        for gate in gates:
            gate.open()
        gevent.joinall([gevent.spawn(d.get) for d in pending])

        assert took < 5

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, gevent.GreenletExit])
    def test_exit(self, kind):
        """What would end a thread cancels the deferred, and ends neither thread nor program."""

        def leave():
            raise kind

        with pytest.raises(Cancelled) as caught:
            deferred.in_thread(leave).get()
        assert isinstance(caught.value.__cause__, kind)
        assert 1 == deferred.in_thread(int, 1).get()

    def test_may_use_gevent(self, pool):
        """A function may use gevent in its thread; its hub ends with the thread."""

        def work():
            gevent.sleep(0.001)
            return gevent.get_hub()

        hub = pool.submit(work).get()

        assert hub is not gevent.get_hub()
        wait_until(lambda: hub.loop is None)

    def test_wants_a_callable(self):
        """What cannot be called is a TypeError at once."""
        with pytest.raises(TypeError, match="fn must be callable"):
            deferred.in_thread(1)

    def test_is_freed(self, pool):
        """When it is done, neither a thread nor a cycle keeps what it was about."""

        class Argument:
            pass

        argument = Argument()
        gc.collect()
        gc.disable()
        try:
            d = pool.submit(lambda x: x, argument)
            d.wait()
            alive = [weakref.ref(d), weakref.ref(argument)]
            wait_until(lambda: "1 idle" in repr(pool) or "0 of 2" in repr(pool))
            settle()
            del d, argument

            assert [None, None] == [ref() for ref in alive]
        finally:
            gc.enable()


class TestBounds:
    def test_threads(self, pool, gate):
        """No more threads run than may, and further functions wait for their turn, in order."""
        pending = [pool.submit(gate.pass_through, n) for n in range(5)]
        wait_until(lambda: len(gate.waiting) == 2)

        assert "<ThreadPool with 2 of 2 threads, 0 idle, 3 waiting>" == repr(pool)
        gate.open()
        assert list(range(5)) == [d.get() for d in pending]
        assert list(range(2, 5)) == gate.waiting[2:]

    def test_full(self, pool, gate):
        """A full queue is Rejected, which is ResourceBusy, at once; then nothing was queued."""
        pending = [pool.submit(gate.pass_through, n) for n in range(5)]

        with pytest.raises(Rejected, match="3 functions wait for 2 threads") as caught:
            pool.submit(int)
        assert isinstance(caught.value, ResourceBusy)
        gate.open()
        assert list(range(5)) == [d.get() for d in pending]
        wait_until(lambda: "0 waiting" in repr(pool))
        assert 1 == pool.submit(int, 1).get()

    def test_threads_are_used_again(self, pool):
        """An idle thread takes the next function."""
        first = pool.submit(thread_ident).get()
        wait_until(lambda: "1 idle" in repr(pool) or "0 of 2" in repr(pool))
        if "1 idle" in repr(pool):
            assert "1 of 2 threads" in repr(pool)
        second = pool.submit(thread_ident).get()

        assert isinstance(first, int)
        assert isinstance(second, int)

    def test_no_thread_can_be_started(self, pool, monkeypatch):
        """If the system gives no thread, that is raised, and nothing is left of the function."""

        def fail(*_):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patched:
            patched.setattr(_threads, "_start_new_thread", fail)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                pool.submit(int)

        assert "<ThreadPool with 0 of 2 threads, 0 idle, 0 waiting>" == repr(pool)
        assert 1 == pool.submit(int, 1).get()

    def test_is_an_executor(self, pool):
        """It takes the functions of a deferred that is moved onto it."""
        thread = deferred.success(1).onto(pool).chain(lambda _: thread_ident()).get()

        assert thread_ident() != thread

    @pytest.mark.parametrize("arguments", [{"threads": 0}, {"most_waiting": -1}])
    def test_wrong_sizes(self, arguments):
        """Sizes that make no sense are a ValueError that names them."""
        with pytest.raises(ValueError, match=next(iter(arguments))):
            ThreadPool(**arguments)

    def test_many(self, pool):
        """Thousands of functions from several hubs are each run once."""
        seen = []

        def work():
            return [pool.submit(seen.append, n).get() for n in range(500)]

        pool._most_waiting = 10_000
        came = [threads.start(work) for _ in range(3)]
        pending = [pool.submit(seen.append, n) for n in range(500)]
        wait_until(lambda: all(came))
        for d in pending:
            d.get()

        assert sorted(list(range(500)) * 4) == sorted(seen)


class TestCancelling:
    def test_queued(self, pool, gate):
        """Cancelled while it waits, a function is taken off and its place is free at once."""
        running = [pool.submit(gate.pass_through) for _ in range(2)]
        queued = [pool.submit(gate.pass_through, n) for n in range(3)]
        wait_until(lambda: len(gate.waiting) == 2)

        assert queued[1].cancel() is True
        assert "2 waiting" in repr(pool)
        replaced = pool.submit(gate.pass_through, "replaced")
        gate.open()
        for d in (*running, replaced):
            d.get()

        assert 1 not in gate.waiting
        with pytest.raises(Cancelled):
            queued[1].get()
        assert [0, 2] == [queued[0].get(), queued[2].get()]

    def test_running(self, pool, gate):
        """Cancelled while it runs, the deferred fails at once, and what comes is dropped."""
        d = pool.submit(gate.pass_through, "late")
        wait_until(lambda: gate.waiting)

        assert d.timeout(0) is d
        with pytest.raises(TimedOut):
            d.get()
        gate.open()
        settle()

    def test_realized_by_somebody_else(self, pool, gate):
        """A function whose deferred has an outcome when its turn comes is not called."""
        ran = []
        running = [pool.submit(gate.pass_through) for _ in range(2)]
        d = pool.submit(ran.append, 1)
        d.success("mine")
        gate.open()
        for each in running:
            each.get()
        wait_until(lambda: "0 waiting" in repr(pool))

        assert [] == ran
        assert "mine" == d.get()


class TestFork:
    def test_child_starts_its_own(self):
        """A forked child, which has none of the threads, starts its own; both programs end."""
        program = textwrap.dedent(
            """
            import os, gevent
            from galeph import deferred

            assert 1 == deferred.in_thread(int, 1).get()
            pid = gevent.fork()
            if not pid:
                assert 2 == deferred.in_thread(int, 2).get(timeout=5)
                raise SystemExit(7)
            assert 7 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert 3 == deferred.in_thread(int, 3).get(timeout=5)
            print("done")
            """
        )
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

        assert ("done", "") == (done.stdout.strip(), done.stderr)

    def test_cancelled_in_the_child(self):
        """In a child, functions of the parent's are left alone."""
        pool = ThreadPool(1)
        pool._pid -= 1
        pool._lock.acquire()

        pool._withdraw(None)

        assert pool._lock.locked()
