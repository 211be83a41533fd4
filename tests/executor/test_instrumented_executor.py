"""So many greenlets at a time, and the rest waits or is turned away."""

from __future__ import annotations

import gc
import subprocess
import sys
import traceback
import weakref
from contextvars import ContextVar, copy_context
from textwrap import dedent

import gevent
import pytest
from gevent import Greenlet, get_hub
from gevent.event import Event

from galeph import executor
from galeph.deferred import Deferred
from galeph.errors import Cancelled, Rejected, ResourceClosed, TimedOut
from galeph.executor import FixedController, InstrumentedExecutor
from galeph.testing import ManualClock
from tests.deferred import threads

VARIABLE = ContextVar("variable", default="unset")


@pytest.fixture
def manual():
    with ManualClock() as manual:
        yield manual


@pytest.fixture
def log():
    return []


@pytest.fixture
def gate():
    """What tasks wait for; opened at the end, so that none stays."""
    gate = Event()
    yield gate
    gate.set()


def traceback_of(task):
    """The entries of the traceback that the error of a deferred was stored with."""
    return traceback.extract_tb(task.exc_info[2])


def busy(made, gate, count=1):
    """Submit so many tasks that wait for the gate, and let them begin."""
    tasks = [made.submit(gate.wait) for _ in range(count)]
    gevent.sleep(0)
    return tasks


class TestSubmit:
    def test_returns(self):
        """The deferred has what the function returns, with its arguments."""
        with executor.fixed_executor(2) as made:
            assert 6 == made.submit(lambda a, *, b: a * b, 2, b=3).get()

    def test_raises(self):
        """The deferred fails with what the function raises."""
        with executor.fixed_executor(2) as made, pytest.raises(ValueError, match="no number"):
            made.submit(int, "no number").get()

    def test_at_once(self, log):
        """Submitting returns at once; the function runs in a greenlet of its own."""
        with executor.fixed_executor(1) as made:
            task = made.submit(gevent.getcurrent)
            log.append(task.ready())

        assert [False] == log
        assert task.get() not in {get_hub(), gevent.getcurrent()}

    @pytest.mark.parity("EXEC-13")
    def test_at_most_so_many(self, log):
        """No more run at a time than there are workers; the others follow in their order."""
        running = []

        def task(number):
            running.append(number)
            log.append(len(running))
            gevent.sleep(0.001)
            running.remove(number)
            return number

        with executor.fixed_executor(3) as made:
            tasks = [made.submit(task, number) for number in range(30)]
            results = [task.get() for task in tasks]

        assert list(range(30)) == results
        assert 3 == max(log)

    def test_order(self, log):
        """Tasks begin in the order they were submitted."""
        with executor.fixed_executor(1) as made:
            for number in range(10):
                made.submit(log.append, number)

        assert list(range(10)) == log

    def test_worker_is_free_before_the_result_is_known(self):
        """Whoever has waited for a task finds its worker free."""
        with InstrumentedExecutor(controller=FixedController(1)) as made:
            results = [made.submit(int, number).get() for number in range(5)]

        assert list(range(5)) == results

    def test_context(self):
        """A task runs in a copy of the context it was submitted in."""

        def task():
            before = VARIABLE.get()
            VARIABLE.set("changed inside")
            return before

        token = VARIABLE.set("caller's")
        with executor.fixed_executor(1) as made:
            tasks = [made.submit(task), made.submit(task)]
            VARIABLE.reset(token)
            results = [task.get() for task in tasks]

        assert ["caller's", "caller's"] == results
        assert "unset" == VARIABLE.get()

    def test_given_context(self):
        """A task given as the `run` of a context, as deferreds give theirs, runs in that one."""
        context = copy_context()
        context.run(VARIABLE.set, "given")
        with executor.fixed_executor(1) as made:
            told = made.submit(
                context.run, lambda key: (VARIABLE.get(), executor.current(), key), 1
            )

            assert ("given", made, 1) == told.get()

    def test_nothing_left_for_the_next(self, manual, log):
        """A Timeout that a task forgot ends no later one."""

        def careless():
            gevent.Timeout.start_new(0.001)

        with executor.fixed_executor(1) as made:
            made.submit(careless)
            made.submit(gevent.sleep, 0.005).chain(lambda _: log.append("unharmed")).get()

        assert ["unharmed"] == log

    def test_no_function(self):
        """What cannot be called is refused at once."""
        with executor.fixed_executor(1) as made, pytest.raises(TypeError, match="fn"):
            made.submit(None)

    def test_from_another_thread(self):
        """Another thread is told that it may not."""
        with executor.fixed_executor(1) as made:
            submitted = threads.run(made.submit, print)
            ended = threads.run(made.shutdown)

        assert isinstance(submitted, RuntimeError)
        assert isinstance(ended, RuntimeError)

    def test_repr(self, gate):
        """The repr says how many workers are busy and how many tasks wait."""
        with executor.fixed_executor(2, name="pool") as made:
            busy(made, gate, 3)
            during = repr(made)
            gate.set()

        assert "<InstrumentedExecutor pool: 2 of 2 workers busy, 1 waiting>" == during
        assert "<InstrumentedExecutor pool: 0 of 2 workers busy, 0 waiting, shut down>" == repr(
            made
        )


class TestQueue:
    @pytest.mark.parity("EXEC-05")
    @pytest.mark.parametrize("queue_length", [0, 1, 5])
    def test_rejects_beyond_it(self, gate, queue_length):
        """So many may wait; one more is rejected at once, and has no effect."""
        with InstrumentedExecutor(controller=FixedController(1), queue_length=queue_length) as made:
            tasks = busy(made, gate, 1 + queue_length)
            with pytest.raises(Rejected, match=f"1 tasks run and {queue_length} wait"):
                made.submit(print)
            gate.set()

        assert all(task.get() for task in tasks)

    @pytest.mark.parity("EXEC-05")
    def test_direct_by_default(self, gate):
        """Unless asked for, nothing waits: a task finds a worker or is rejected."""
        with InstrumentedExecutor(controller=FixedController(1)) as made:
            busy(made, gate)
            with pytest.raises(Rejected):
                made.submit(print)
            gate.set()

    @pytest.mark.parity("EXEC-13")
    def test_fixed_takes_any_number(self, gate):
        """A fixed executor lets any number wait, unless told otherwise."""
        with executor.fixed_executor(2) as made:
            tasks = busy(made, gate, 5000)
            gate.set()
            gevent.wait(tasks)
        with executor.fixed_executor(2, queue_length=1) as made:
            gate.clear()
            busy(made, gate, 3)
            with pytest.raises(Rejected):
                made.submit(print)
            gate.set()

        assert all(task.get() for task in tasks)

    @pytest.mark.parametrize("end", [Deferred.cancel, lambda task: task.success("by hand")])
    def test_realized_while_it_waits(self, gate, log, end):
        """A task realized before its turn is taken off: it is not run, and makes room."""
        with executor.fixed_executor(1, queue_length=1) as made:
            busy(made, gate)
            withdrawn = made.submit(log.append, "withdrawn")
            end(withdrawn)
            made.submit(log.append, "next")
            gate.set()

        assert ["next"] == log

    def test_realized_before_it_begins(self, log):
        """A task realized before its greenlet has begun is not run."""
        with executor.fixed_executor(1) as made:
            task = made.submit(log.append, "begun")
            task.success("by hand")
            after = made.submit(log.append, "after")
            after.get()

        assert ["after"] == log
        assert "by hand" == task.get()


class TestGrowing:
    @pytest.mark.parity("EXEC-09")
    def test_asks_whether_it_may(self, gate, log):
        """With all workers busy and the queue full, the controller is asked for one more."""

        class UpToThree:
            def can_grow(self, num_workers):
                log.append(num_workers)
                return num_workers < 3

            def adjustment(self, stats):
                return 0

        with InstrumentedExecutor(controller=UpToThree()) as made:
            busy(made, gate, 3)
            with pytest.raises(Rejected):
                made.submit(print)
            gate.set()

        assert [1, 2, 3] == log

    @pytest.mark.parity("EXEC-11")
    @pytest.mark.parametrize(("options", "expected"), [({}, 1), ({"initial_count": 4}, 4)])
    def test_initial_count(self, gate, options, expected):
        """It begins with one worker, or as many as asked for."""

        class Never:
            def can_grow(self, num_workers):
                return False

            def adjustment(self, stats):
                return 0

        with InstrumentedExecutor(controller=Never(), **options) as made:
            busy(made, gate, expected)
            with pytest.raises(Rejected):
                made.submit(print)
            gate.set()

            assert expected == made.stats().num_workers

    def test_failing_controller(self, gate, caplog):
        """What `can_grow` raises is logged, and there is no more room."""

        class Broken(FixedController):
            def can_grow(self, num_workers):
                raise ZeroDivisionError

        with InstrumentedExecutor(controller=Broken(1)) as made:
            busy(made, gate)
            with pytest.raises(Rejected):
                made.submit(print)
            gate.set()

            assert 1 == made.stats().num_workers
        assert [ZeroDivisionError] == [record.exc_info[0] for record in caplog.records]

    @pytest.mark.parity("EXEC-14")
    def test_utilization_executor_grows_on_demand(self, gate):
        """A utilization executor has no queue: it grows with the tasks, up to its maximum."""
        with executor.utilization_executor(0.9, 50) as made:
            busy(made, gate, 50)
            with pytest.raises(Rejected, match="0 wait"):
                made.submit(print)
            gate.set()
        with executor.utilization_executor(0.9) as unbounded:
            gate.clear()
            busy(unbounded, gate, 2000)
            gate.set()

        assert 50 == made.stats().num_workers
        assert 2000 == unbounded.stats().num_workers

    @pytest.mark.parity("EXEC-14")
    @pytest.mark.parametrize("max_workers", [2, None])
    def test_utilization_executor_begins_within_its_maximum(self, gate, max_workers):
        """It may begin with as many workers as it may have, and not with more."""
        with executor.utilization_executor(0.9, max_workers, initial_count=2) as made:
            busy(made, gate, 2)
            gate.set()

            assert 2 == made.stats().num_workers
        with pytest.raises(ValueError, match="initial_count must be at most max_workers=2, not 3"):
            executor.utilization_executor(0.9, 2, initial_count=3)

    @pytest.mark.parity("EXEC-14")
    def test_no_queue_for_a_utilization_executor(self):
        """It cannot be given a queue."""
        with pytest.raises(TypeError, match="queue_length"):
            executor.utilization_executor(0.9, queue_length=5)

    @pytest.mark.parity("EXEC-14")
    def test_utilization_executor_keeps_to_its_target(self, manual, gate):
        """After a burst it shrinks, period by period, until the target part of it is busy."""
        made = executor.utilization_executor(0.5, 64, control_period=10.0)
        burst, steady = busy(made, gate, 40), []
        sizes = []
        lasting = Event()
        gate.set()
        manual.advance(0)
        steady = [made.submit(lasting.wait) for _ in range(4)]
        for _ in range(6):
            manual.advance(10)
            sizes.append(made.stats().num_workers)
        lasting.set()
        made.shutdown().get()

        assert [20, 10, 8, 8, 8, 8] == sizes
        assert all(task.get() for task in burst + steady)

    def test_utilization_must_be_measured(self):
        """A utilization executor that does not measure utilization is refused."""
        for metrics in (None, {"task_latency"}):
            with pytest.raises(ValueError, match="utilization"):
                executor.utilization_executor(0.5, metrics=metrics)


class TestControl:
    @pytest.mark.parity("EXEC-03", "EXEC-09")
    def test_adjusts_after_each_period(self, manual, gate, log):
        """After each control period the controller is shown what was measured, and obeyed."""

        class Wants:
            def __init__(self, *changes):
                self.changes = iter(changes)

            def can_grow(self, num_workers):
                return False

            def adjustment(self, stats):
                log.append(
                    (manual.monotonic(), stats.num_workers, stats.quantile("utilization", 1))
                )
                return next(self.changes, 0)

        made = InstrumentedExecutor(controller=Wants(3, -2, -100), queue_length=9)
        busy(made, gate, 5)
        running = []
        for _ in range(4):
            manual.advance(10)
            running.append(repr(made))
        gate.set()
        made.shutdown().get()

        assert [(10.0, 1, 1.0), (20.0, 4, 1.0), (30.0, 2, 1.0), (40.0, 1, 1.0)] == log
        assert "4 of 4 workers busy, 1 waiting" in running[0]
        # Workers whose tasks run go when those end.
        assert "4 of 2 workers busy, 1 waiting" in running[1]
        assert "4 of 1 workers busy, 1 waiting" in running[2]

    @pytest.mark.parity("EXEC-03")
    def test_controller_is_mandatory(self):
        """There is no size that would be right for all."""
        with pytest.raises(TypeError, match="controller"):
            InstrumentedExecutor()

    @pytest.mark.parametrize("missing", ["can_grow", "adjustment"])
    def test_half_a_controller(self, missing):
        """It has both methods."""

        class Half:
            pass

        there = {"can_grow", "adjustment"} - {missing}
        setattr(Half, there.pop(), FixedController(1).can_grow)

        with pytest.raises(TypeError, match=rf"controller must be .* {missing}\(\)"):
            InstrumentedExecutor(controller=Half())

    @pytest.mark.parametrize("adjustment", [lambda: 1 // 0, lambda: None, lambda: 0.5])
    def test_failing_controller(self, manual, gate, caplog, adjustment):
        """What it raises, or that it returns no whole number, is logged; nothing is changed."""

        class Broken(FixedController):
            def adjustment(self, stats):
                return adjustment()

        made = InstrumentedExecutor(controller=Broken(1))
        busy(made, gate)
        manual.advance(20)
        gate.set()
        made.shutdown().get()

        assert 2 == len(caplog.records)
        assert "the controller of" in caplog.text
        assert 1 == made.stats().num_workers

    @pytest.mark.parity("EXEC-06")
    def test_stats_callback(self, manual, log):
        """The callback gets the statistics of each control period, also of quiet ones."""
        made = executor.fixed_executor(1, stats_callback=lambda s: log.append(s), control_period=5)
        manual.advance(5)
        made.submit(manual.sleep, 2)
        manual.advance(10)
        made.shutdown().get()
        manual.advance(10)
        latencies = [stats.to_dict().get("task_latency", {}).get(0.5) for stats in log]

        assert [None, 2.0, None] == latencies

    @pytest.mark.parity("EXEC-08")
    def test_control_period(self, manual, log):
        """A control period has ten seconds, or as many as asked for."""
        made = executor.fixed_executor(1, stats_callback=lambda _: log.append(manual.monotonic()))
        manual.advance(25)
        made.shutdown()
        other = executor.fixed_executor(
            1, stats_callback=lambda _: log.append(manual.monotonic()), control_period=0.5
        )
        manual.advance(1)
        other.shutdown()

        assert [10.0, 20.0, 25.5, 26.0] == log

    @pytest.mark.parity("EXEC-07")
    @pytest.mark.parametrize(("options", "expected"), [({}, 40), ({"sample_period": 0.1}, 10)])
    def test_sample_period(self, manual, gate, options, expected):
        """A sample is taken every 25 ms, or as often as asked for."""
        stats = []
        made = executor.fixed_executor(
            1, stats_callback=stats.append, control_period=1.0, **options
        )
        busy(made, gate)
        manual.advance(1)
        gate.set()
        made.shutdown().get()

        assert expected == len(stats[0]._values["utilization"])

    def test_idle_costs_nothing(self, manual, gate):
        """After a control period without work no timer is left; the next task starts them anew."""
        made = executor.fixed_executor(1)
        busy(made, gate)
        manual.advance(1)
        gate.set()
        manual.advance(20)
        idle = repr(manual)
        made.submit(print, end="")
        again = repr(manual)
        made.shutdown().get()

        assert ", 0 waiting" in idle
        assert ", 2 waiting" in again
        assert ", 0 waiting" in repr(manual)

    def test_idle_is_garbage(self, manual):
        """An executor that is idle may be dropped without shutting it down."""
        made = executor.fixed_executor(1)
        made.submit(int).get()
        manual.advance(20)
        gone = weakref.ref(made)
        del made
        gc.collect()

        assert gone() is None


class TestMetrics:
    @pytest.mark.parity("EXEC-10")
    def test_all_by_default(self, manual, gate):
        """Unless asked otherwise everything is measured."""
        made = executor.fixed_executor(1)
        busy(made, gate, 2)
        manual.advance(0.5)
        gate.set()
        manual.advance(0.5)
        stats = made.stats()
        made.shutdown().get()

        assert {"num_workers", *executor.METRICS} == set(stats.to_dict())

    @pytest.mark.parity("EXEC-10")
    @pytest.mark.parametrize("metrics", [{"task_latency"}, ["queue_length", "task_latency"]])
    def test_chosen(self, manual, gate, metrics):
        """Only what is asked for is measured."""
        made = executor.fixed_executor(1, metrics=metrics)
        busy(made, gate)
        manual.advance(0.5)
        gate.set()
        manual.advance(0.5)
        stats = made.stats()
        made.shutdown().get()

        assert {"num_workers", *metrics} == set(stats.to_dict())

    @pytest.mark.parity("EXEC-10")
    def test_none(self, manual, gate):
        """None is for measuring nothing, without a timer for samples."""
        made = executor.fixed_executor(1, metrics=None)
        busy(made, gate)
        waiting = repr(manual)
        manual.advance(0.5)
        gate.set()
        made.shutdown().get()

        assert {"num_workers": 1} == made.stats().to_dict()
        assert "1 waiting" in waiting

    def test_unknown(self):
        """A metric there is none of is refused, with the list of those there are."""
        with pytest.raises(ValueError, match=r"metrics must be among queue_latency.*'speed'"):
            executor.fixed_executor(1, metrics={"speed"})

    def test_values(self, manual):
        """Latencies are seconds, rates per second, utilization a part, of what happened."""
        stats = []
        made = executor.fixed_executor(
            2, queue_length=1, stats_callback=stats.append, sample_period=1.0, control_period=4.0
        )
        for _ in range(3):
            made.submit(manual.sleep, 1)
        with pytest.raises(Rejected):
            made.submit(manual.sleep, 1)
        manual.advance(4)
        made.shutdown().get()
        measured = stats[0].to_dict([0, 0.5, 1])

        assert {0: 0.0, 0.5: 0.0, 1: 1.0} == measured["queue_latency"]
        assert {0: 1.0, 0.5: 1.0, 1: 1.0} == measured["task_latency"]
        assert {0: 0.0, 0.5: 0.0, 1: 4.0} == measured["task_arrival_rate"]
        assert {0: 0.0, 0.5: 0.0, 1: 1.0} == measured["task_rejection_rate"]
        assert 2.0 == measured["task_completion_rate"][1]
        assert {0: 0.0, 0.5: 0.0, 1: 1.0} == measured["utilization"]


class TestWorkers:
    @pytest.mark.parity("EXEC-04")
    def test_names(self, gate):
        """Greenlets are named after their pool and worker; pools have numbers of their own."""
        with executor.fixed_executor(2) as made, executor.fixed_executor(2) as other:
            names = [
                pool.submit(lambda: (gate.wait(), gevent.getcurrent().name)[1])
                for pool in (made, made, other)
            ]
            gate.set()
            first, second, third = (name.get() for name in names)
        base, _, number = first.rpartition("-")

        assert base.startswith("galeph-pool-")
        assert "1" == number
        assert f"{base}-2" == second
        assert third.endswith("-1")
        assert third != first

    @pytest.mark.parity("EXEC-02", "EXEC-04")
    def test_given_name_and_class(self):
        """The name and the class of the greenlets can be chosen; their tasks know the executor."""

        class Mine(Greenlet):
            pass

        def task():
            greenlet = gevent.getcurrent()
            return type(greenlet), greenlet.name, executor.current()

        with executor.fixed_executor(1, name="workers", greenlet_class=Mine) as made:
            told = [made.submit(task).get(), made.submit(task).get()]

        assert [(Mine, "workers-1", made)] * 2 == told

    @pytest.mark.parity("EXEC-02")
    def test_ends_with_the_program(self):
        """A task that still runs keeps no program from ending."""
        code = """
            import gevent
            from galeph import executor
            pool = executor.fixed_executor(1)
            pool.submit(gevent.sleep, 600)
            gevent.sleep(0)
            print("end")
        """
        done = subprocess.run(
            [sys.executable, "-c", dedent(code)], capture_output=True, text=True, timeout=60
        )

        assert ("end\n", "", 0) == (done.stdout, done.stderr, done.returncode)

    @pytest.mark.parity("EXEC-12")
    def test_onto(self):
        """Tasks have their executor as the current one, and with them what they start."""
        with executor.fixed_executor(1) as made:
            direct = made.submit(executor.current)
            hung = made.submit(lambda: Deferred().timeout(0, 1).chain(lambda _: executor.current()))

            assert made is direct.get()
            assert made is hung.chain().get()
        assert executor.current() is None

    @pytest.mark.parity("EXEC-12")
    def test_not_onto(self):
        """If asked, tasks keep the current executor of whoever submitted them."""
        with executor.fixed_executor(1) as outer, executor.fixed_executor(1, onto=False) as made:
            bare = made.submit(executor.current)
            with executor.with_executor(outer):
                told = made.submit(executor.current)

            assert bare.get() is None
            assert outer is told.get()

    def test_failing_class(self, gate):
        """A greenlet that cannot be made fails its task, if nobody is there to be told at once."""
        fails = []

        class Picky(Greenlet):
            def __init__(self, *args):
                if fails:
                    raise MemoryError("no room")
                super().__init__(*args)

        with executor.fixed_executor(1, greenlet_class=Picky) as made:
            busy(made, gate)
            waiting = made.submit(int)
            fails.append(1)
            gate.set()
            with pytest.raises(MemoryError):
                waiting.get()
            with pytest.raises(MemoryError):
                made.submit(int)
            fails.clear()

            assert 0 == made.submit(int).get()


class TestBeingStopped:
    def test_cancelled(self, gate, log):
        """Cancelling a task that runs kills its greenlet, and frees the worker."""

        def task():
            try:
                gate.wait()
            except gevent.GreenletExit:
                log.append("killed")
                raise

        with executor.fixed_executor(1) as made:
            running = made.submit(task)
            gevent.sleep(0)
            running.cancel()
            after = made.submit(log.append, "after")
            after.get()

        assert ["killed", "after"] == log
        assert running.cancelled()

    def test_killed_before_it_begins(self, log):
        """A greenlet killed before its first switch leaves neither task nor worker behind."""
        made = executor.fixed_executor(1)
        task = made.submit(log.append, "begun")
        (running,) = made._running
        running.greenlet.kill()
        with pytest.raises(Cancelled):
            task.get()
        made.submit(log.append, "after").get()
        made.shutdown().get()

        assert ["after"] == log

    def test_own_timeout(self):
        """A task ended by a gevent.Timeout of its own fails with `TimedOut`."""

        def task():
            with gevent.Timeout(0.001):
                gevent.sleep(5)

        with executor.fixed_executor(1) as made:
            with pytest.raises(TimedOut) as caught:
                made.submit(task).get()

            assert isinstance(caught.value.__cause__, gevent.Timeout)
            assert 0 == made.submit(int).get()

    def test_waiter_is_killed(self, gate):
        """A greenlet that waits for a task and is killed leaves it running."""
        with executor.fixed_executor(1) as made:
            task = made.submit(lambda: gate.wait() and "done")
            waiter = gevent.spawn(task.get)
            gevent.sleep(0)
            waiter.kill()
            gate.set()

            assert "done" == task.get()

    def test_exit_goes_on(self, galeph_hub_errors):
        """A task's KeyboardInterrupt goes on as gevent does with one, and the worker is free."""

        def task():
            raise KeyboardInterrupt

        made = executor.fixed_executor(1)
        interrupted = made.submit(task)
        with pytest.raises(KeyboardInterrupt):
            gevent.sleep(0.01)
        galeph_hub_errors.clear()
        after = made.submit(int).get()
        made.shutdown().get()

        assert interrupted.cancelled()
        assert 0 == after

    def test_holds_nothing(self):
        """Once a task has ended, its function and arguments are garbage, its error included."""

        class Thing:
            pass

        def work(thing):
            del thing
            raise ValueError("broken")

        with executor.fixed_executor(1) as made:
            thing = Thing()
            gone = weakref.ref(thing)
            task = made.submit(work, thing)
            task.wait()
            gevent.sleep(0)
            del thing
            gc.collect()

            assert gone() is None
            assert [work.__name__] == [entry.name for entry in traceback_of(task)]


class TestShutdown:
    def test_runs_what_it_took(self, gate, log):
        """Those taken are still run; the deferred says when the last has ended."""
        made = executor.fixed_executor(1)
        tasks = [made.submit(gate.wait), made.submit(log.append, "queued")]
        ended = made.shutdown()
        again = made.shutdown()
        with pytest.raises(ResourceClosed):
            made.submit(print)
        gevent.sleep(0)
        before = ended.ready()
        gate.set()
        ended.get()
        again.get()

        assert not before
        assert ["queued"] == log
        assert all(task.ready() for task in tasks)

    def test_cancel(self, gate, log):
        """Asked to, it cancels those that wait and kills those that run."""

        def task():
            try:
                gate.wait()
            finally:
                log.append("ended")

        made = executor.fixed_executor(2)
        tasks = [made.submit(task) for _ in range(3)]
        gevent.sleep(0)
        tasks[0].success("by hand")
        made.shutdown(cancel=True).get()

        assert ["ended", "ended"] == log
        assert ["by hand"] == [task.get() for task in tasks[:1]]
        assert all(task.cancelled() for task in tasks[1:])

    def test_idle(self):
        """An idle one is shut down at once."""
        assert executor.fixed_executor(1).shutdown().ready()

    def test_block(self, log):
        """Leaving the block waits for the tasks."""
        with executor.fixed_executor(1) as made:
            made.submit(lambda: gevent.sleep(0.005) or log.append("ended"))

        assert ["ended"] == log

    def test_block_raises(self, gate):
        """Leaving it by an exception cancels them."""
        with pytest.raises(KeyError), executor.fixed_executor(1) as made:
            task = made.submit(gate.wait)
            raise KeyError

        assert task.cancelled()

    def test_cancelled_wait(self, gate):
        """One who cancels his wait for the end stops no other's."""
        made = executor.fixed_executor(1)
        busy(made, gate)
        mine, other = made.shutdown(), made.shutdown()
        mine.cancel()
        gate.set()

        assert other.get() is None

    def test_withdrawn_last(self, gate):
        """It ends too when the last task that waited is withdrawn."""
        made = executor.fixed_executor(1)
        busy(made, gate)
        waiting = made.submit(print)
        ended = made.shutdown()
        gate.set()
        waiting.cancel()

        assert ended.get() is None


class TestArguments:
    @pytest.mark.parametrize(
        ("error", "name", "options"),
        [
            (TypeError, "controller", {"controller": None}),
            (TypeError, "stats_callback", {"stats_callback": 1}),
            (ValueError, "queue_length", {"queue_length": -1}),
            (ValueError, "initial_count", {"initial_count": 0}),
        ],
    )
    def test_wrong(self, error, name, options):
        """A wrong argument is named, before anything has happened."""
        with pytest.raises(error, match=name):
            InstrumentedExecutor(**{"controller": FixedController(1), **options})

    @pytest.mark.parity("EXEC-28")
    def test_in_one_place(self):
        """Pools and the executors that go with them are found in one module."""
        names = {
            "InstrumentedPool",
            "InstrumentedExecutor",
            "fixed_executor",
            "utilization_executor",
        }

        assert names <= set(executor.__all__)
        assert isinstance(executor.fixed_executor(1), InstrumentedExecutor)
        assert isinstance(executor.utilization_executor(0.5), InstrumentedExecutor)
