"""How a task is run: in a greenlet of its own, or in an OS thread."""

from __future__ import annotations

import subprocess
import sys
from contextvars import ContextVar
from textwrap import dedent

import gevent
import pytest
from gevent.monkey import get_original

from galeph import deferred, executor
from galeph.errors import Rejected
from galeph.executor.workers import GreenletWorkers, Task, ThreadWorkers

VARIABLE = ContextVar("variable", default="unset")
get_ident = get_original("_thread", "get_ident")
sleep = get_original("time", "sleep")


@pytest.fixture
def log():
    return []


@pytest.fixture(params=["greenlets", "threads"])
def crew(request, log):
    """Workers of either kind, which write what they tell."""

    def note(what):
        return lambda task: log.append((what, task.made.ready()))

    if request.param == "threads":
        return ThreadWorkers(began=note("began"), ended=note("ended"))
    return GreenletWorkers(
        name="worker", greenlet_class=gevent.Greenlet, began=note("began"), ended=note("ended")
    )


def task_of(fn, *args, on=None):
    return Task(fn, args, {}, executor=on, arrived_at=0.0)


class TestBothKinds:
    def test_ended_before_the_result_is_known(self, crew, log):
        """The executor hears that a task has begun, and that it has ended before others do."""
        task = task_of(int, "5")
        crew.start(task)
        value = task.made.result(timeout=5)
        gevent.sleep(0.001)

        assert 5 == value
        assert [("began", False), ("ended", False)] == log[:2]

    def test_failed(self, crew, log):
        """So it does of one that fails."""
        task = task_of(int, "no number")
        crew.start(task)
        with pytest.raises(ValueError, match="no number"):
            task.made.result(timeout=5)
        gevent.sleep(0.001)

        assert [("began", False), ("ended", False)] == log[:2]

    def test_does_not_begin_at_once(self, crew):
        """Whoever starts a task goes on first."""
        task = task_of(int)
        crew.start(task)

        assert not task.made.ready()

        task.made.result(timeout=5)
        gevent.sleep(0)

    def test_context_and_executor(self, crew):
        """A task runs in the context it was made in, with its executor as the current one."""
        on = executor.fixed_executor(1)
        token = VARIABLE.set("mine")
        task = task_of(lambda: (VARIABLE.get(), executor.current()), on=on)
        VARIABLE.reset(token)
        crew.start(task)

        assert ("mine", on) == task.made.result(timeout=5)
        gevent.sleep(0)


class TestThreads:
    def test_in_other_threads(self):
        """Tasks run in OS threads, several at a time, while this one goes on."""
        arrived = []

        def task():
            arrived.append(get_ident())
            while len(arrived) < 2:
                sleep(0.001)
            return get_ident()

        with executor.fixed_executor(2, in_threads=True) as made:
            tasks = [made.submit(task) for _ in range(2)]
            idents = {task.result(timeout=5) for task in tasks}

        assert 2 == len(idents)
        assert get_ident() not in idents

    def test_as_many_as_workers(self):
        """No more run at a time than there are workers."""
        running, most = [], []

        def task():
            running.append(1)
            most.append(len(running))
            sleep(0.002)
            running.pop()

        with executor.fixed_executor(2, in_threads=True) as made:
            for task in [made.submit(task) for _ in range(10)]:
                task.result(timeout=5)

        assert 10 == len(most)
        assert max(most) <= 2

    def test_rejects(self):
        """With no worker free and no queue, a task is rejected."""
        lock = get_original("_thread", "allocate_lock")()
        lock.acquire()
        with executor.utilization_executor(0.5, 1, in_threads=True) as made:
            task = made.submit(lock.acquire)
            with pytest.raises(Rejected):
                made.submit(print)
            lock.release()

            assert task.result(timeout=5)
        lock.release()

    def test_cancelled(self):
        """A cancelled task runs on: its worker is busy until then, and its result is dropped."""
        lock = get_original("_thread", "allocate_lock")()
        lock.acquire()
        made = executor.fixed_executor(1, in_threads=True)
        began = deferred.deferred(from_thread=True)
        task = made.submit(lambda: began.success(None) and lock.acquire())
        began.result(timeout=5)
        ended = made.shutdown(cancel=True)
        gevent.sleep(0.001)
        before = ended.ready()
        lock.release()
        ended.result(timeout=5)
        lock.release()

        assert task.cancelled()
        assert not before

    def test_hung_functions(self):
        """Deferreds may have their functions run there."""
        with executor.fixed_executor(1, in_threads=True) as made:
            told = deferred.success(1).onto(made).chain(lambda _: (get_ident(), executor.current()))
            ident, current = told.result(timeout=5)

        assert get_ident() != ident
        assert made is current

    @pytest.mark.parity("EXEC-02")
    def test_ends_with_the_program(self):
        """A task that still runs in a thread keeps no program from ending."""
        code = """
            import gevent, time
            from galeph import executor
            pool = executor.fixed_executor(1, in_threads=True)
            task = pool.submit(time.sleep, 600)
            gevent.sleep(0.01)
            print("end")
        """
        done = subprocess.run(
            [sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60
        )

        assert ("end\n", "", 0) == (done.stdout, done.stderr, done.returncode)
