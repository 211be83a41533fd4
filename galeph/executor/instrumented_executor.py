"""`InstrumentedExecutor`: so many greenlets at a time, and the rest waits or is turned away.

A *worker* is the right to run one task, not a greenlet that stands ready: each task has a greenlet
of its own, so nothing of one is left for the next (a `gevent.Timeout` that was never closed, a
greenlet-local), killing one kills no other, and idle workers cost nothing. How a task is run is
``workers``; here is decided which, and how many. A worker that becomes free begins the next task,
and that neither switches nor blocks.
"""

from __future__ import annotations

import logging
import operator
from collections import OrderedDict
from collections.abc import Callable, Collection
from itertools import count
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from gevent import Greenlet, get_hub
from gevent._hub_local import get_hub_if_exists

from galeph import clock
from galeph._arguments import check_callable, check_count, check_flag, check_type
from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready
from galeph.errors import Rejected, ResourceClosed
from galeph.executor.controllers import (
    Controller,
    FixedController,
    UtilizationController,
    check_methods,
)
from galeph.executor.crossing import submit_across
from galeph.executor.current import HERE
from galeph.executor.stats import METRICS, Meter, Metric, Stats, check_metrics
from galeph.executor.ticker import Ticker, check_period
from galeph.executor.workers import GreenletWorkers, Task, ThreadWorkers, Workers

__all__ = ["InstrumentedExecutor", "fixed_executor", "utilization_executor"]

_log = logging.getLogger("galeph.executor")

P = ParamSpec("P")
T = TypeVar("T")

_SHUT_DOWN = "the executor was shut down"

_numbers = count(1)


class InstrumentedExecutor:
    """Runs functions in greenlets, or OS threads, as many at a time as it has workers.

    A task that finds no free worker waits in the queue; if that is full, the controller is asked
    for one worker more; if there is to be none, the task is rejected. After each control period
    the controller may change the number of workers, on what was measured.

    It belongs to the thread that made it. One that is idle may be dropped as it is, unless it has
    a ``stats_callback``: then it ticks until `shutdown`.

    Args:
        controller: sizes it; see `Controller`, `FixedController`, `UtilizationController`.
        queue_length: how many tasks may wait for a worker. 0 hands each to a worker directly;
            None is for any number.
        stats_callback: called with `Stats` after each control period, in a greenlet.
        sample_period: seconds between two samples of utilization, queue length and rates.
        control_period: seconds between two looks at the number of workers.
        metrics: what to measure; None for nothing.
        initial_count: how many workers there are at first.
        onto: whether tasks have this executor as their `current` one. If not, they keep that of
            whoever submitted them.
        name: what its greenlets are called, with a number behind; ``galeph-pool-N`` for None.
        greenlet_class: what the greenlets are.
        in_threads: whether tasks run in OS threads instead: computations, and what blocks without
            gevent's knowing. One that runs cannot be stopped; what it returns is dropped if its
            deferred was cancelled, and its worker is busy until then.

    Raises:
        TypeError, ValueError: an argument is none.
    """

    def __init__(
        self,
        *,
        controller: Controller,
        queue_length: int | None = 0,
        stats_callback: Callable[[Stats], object] | None = None,
        sample_period: float = 0.025,
        control_period: float = 10.0,
        metrics: Collection[Metric] | None = METRICS,
        initial_count: int = 1,
        onto: bool = True,
        name: str | None = None,
        greenlet_class: type[Greenlet[..., Any]] = Greenlet,
        in_threads: bool = False,
    ) -> None:
        check_methods(controller, "Controller", "can_grow", "adjustment")
        check_count("queue_length", queue_length, least=0, optional=True)
        check_callable("stats_callback", stats_callback, optional=True)
        check_count("initial_count", initial_count, least=1)
        check_flag("onto", onto)
        check_flag("in_threads", in_threads)
        check_period("sample_period", sample_period)
        check_period("control_period", control_period)
        check_type("name", name, str, shown="str")
        _check_class(greenlet_class)
        collected = check_metrics(metrics)
        self._controller = controller
        self._queue_length = queue_length
        self._onto = onto
        self._name = f"galeph-pool-{next(_numbers)}" if name is None else name
        self._crew: Workers
        if in_threads:
            self._crew = ThreadWorkers(began=self._note_begin, ended=self._free)
        else:
            self._crew = GreenletWorkers(
                name=self._name,
                greenlet_class=greenlet_class,
                began=self._note_begin,
                ended=self._free,
            )
        self._hub = get_hub()
        self._clock = clock.default()
        self._workers = initial_count
        self._busy = 0
        # Numbers of workers that are free again; below are those never used.
        self._free_numbers: list[int] = []
        self._running: dict[Task, None] = {}
        self._queue: OrderedDict[Task, None] = OrderedDict()
        self._ended: Deferred[None] | None = None
        now = self._clock.monotonic()
        self._meter = Meter(collected, sample_period=sample_period, now=now)
        self._meter.settle(now, busy=0, workers=initial_count)
        self._ticker = Ticker(
            self._clock,
            sample=self._sample if collected else None,
            control=self._control,
            callback=stats_callback,
            sample_period=sample_period,
            control_period=control_period,
        )

    def __repr__(self) -> str:
        state = "" if self._ended is None else ", shut down"
        return (
            f"<InstrumentedExecutor {self._name}: {self._busy} of {self._workers} workers busy, "
            f"{len(self._queue)} waiting{state}>"
        )

    # Submitting

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Have ``fn(*args, **kwargs)`` called by a worker, in a copy of the caller's context.

        Never blocks. Realizing the deferred before its turn comes takes the task off the queue;
        cancelling it while the task runs kills the greenlet (a thread runs on).

        Returns:
            A deferred of what ``fn`` returns or raises: `Cancelled` if its greenlet was killed,
            `TimedOut` if a `gevent.Timeout` of its own ended it.

        Raises:
            TypeError: ``fn`` is not callable.
            Rejected: all workers are busy and no more tasks may wait. Try again later.
            ResourceClosed: it was shut down.
            RuntimeError: this thread is not the one that made it. (Where it is the `current` one,
                in tasks that run in OS threads, it takes work from these: `Rejected` and
                `ResourceClosed` are then the error of the deferred.)
        """
        check_callable("fn", fn)
        if get_hub_if_exists() is not self._hub and HERE.get() is self:
            return submit_across(self._hub, self, fn, args, kwargs)
        self._check_thread("submit")
        if self._ended is not None:
            raise ResourceClosed(_SHUT_DOWN)
        now = self._clock.monotonic()
        self._meter.resume(now, is_new=self._ticker.wake())
        self._meter.arrive()
        task = Task(fn, args, kwargs, executor=self if self._onto else None, arrived_at=now)
        if self._busy < self._workers:
            self._begin(task)
        elif self._queue_length is None or len(self._queue) < self._queue_length:
            self._queue[task] = None
            on_ready(task.made, self._withdraw, task)
        elif self._can_grow():
            self._begin(task)
            self._workers += 1
            self._settle()
        else:
            self._meter.reject()
            raise Rejected(f"{self._busy} tasks run and {len(self._queue)} wait: no more")
        return task.made

    def _can_grow(self) -> bool:
        try:
            return self._controller.can_grow(self._workers)
        except Exception:
            _log.exception("the controller of %r failed", self)
            return False

    def _check_thread(self, name: str) -> None:
        if get_hub_if_exists() is not self._hub:
            raise RuntimeError(f"{name}() called outside the thread that made this executor")

    def _withdraw(self, task: Task) -> None:
        """The deferred of a task that waits has been realized by somebody."""
        if self._queue.pop(task, self) is None:
            self._end_if_idle()

    # Running

    def _begin(self, task: Task) -> None:
        """Give a task a worker. Never switches."""
        task.number = self._free_numbers[-1] if self._free_numbers else self._busy + 1
        self._crew.start(task)
        if self._free_numbers:
            self._free_numbers.pop()
        self._running[task] = None
        self._busy += 1
        self._settle()

    def _note_begin(self, task: Task) -> None:
        task.began_at = self._clock.monotonic()
        self._meter.begin(task.began_at - task.arrived_at)

    def _free(self, task: Task) -> None:
        """A task's worker is free, unless it was before. Never switches."""
        number, task.number = task.number, None
        if number is None:
            return
        del self._running[task]
        self._free_numbers.append(number)
        self._busy -= 1
        if task.began_at is not None:
            self._meter.finish(self._clock.monotonic() - task.began_at)
        self._settle()
        self._serve()

    def _serve(self) -> None:
        """Have tasks that wait begin, as far as there are workers."""
        while self._queue and self._busy < self._workers:
            task, _ = self._queue.popitem(last=False)
            try:
                self._begin(task)
            except Exception as error:
                task.made.error(error)
        self._end_if_idle()

    # Measuring and sizing

    def stats(self) -> Stats:
        """What was measured in this control period and the one before."""
        return self._meter.stats()

    def _settle(self) -> None:
        self._meter.settle(self._clock.monotonic(), busy=self._busy, workers=self._workers)

    def _sample(self) -> bool:
        return self._meter.sample(self._clock.monotonic(), len(self._queue))

    def _control(self) -> tuple[Stats, bool]:
        stats = self._meter.close_period(self._clock.monotonic(), len(self._queue))
        change = self._adjust(stats)
        was_busy = bool(self._busy or self._queue or stats.quantile("utilization", 1.0))
        return stats, bool(change) or was_busy

    def _adjust(self, stats: Stats) -> int:
        """Change the number of workers as the controller wants it; return by how many it did."""
        try:
            wanted = operator.index(self._controller.adjustment(stats))
        except Exception:
            _log.exception("the controller of %r failed", self)
            return 0
        before = self._workers
        self._workers = max(1, before + wanted)
        self._settle()
        self._serve()
        return self._workers - before

    # Ending

    def shutdown(self, *, cancel: bool = False) -> Deferred[None]:
        """Take no more tasks; those taken are still run. Never blocks, may be called twice.

        Args:
            cancel: cancel them instead: those that wait are not begun, those that run are killed,
                unless they are in threads.

        Returns:
            A deferred that is realized when the last one has ended.
        """
        self._check_thread("shutdown")
        if self._ended is None:
            self._ended = Deferred()
            self._ticker.rest()
        if cancel:
            running = list(self._running)
            for task in [*self._queue, *running]:
                task.made.cancel(_SHUT_DOWN)
            for task in running:
                # Also one whose deferred was realized by somebody before.
                self._crew.stop(task)
        self._end_if_idle()
        # To each his own: one who cancels what he waits by stops nobody else.
        return self._ended.chain()

    def _end_if_idle(self) -> None:
        if self._ended is not None and not self._busy and not self._queue:
            self._ended.success(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Shut it down and block until the tasks have ended; after an exception, cancel them."""
        self.shutdown(cancel=error is not None).get()


def _check_class(greenlet_class: Any) -> None:
    if not (isinstance(greenlet_class, type) and issubclass(greenlet_class, Greenlet)):
        raise TypeError(f"greenlet_class must be a class of Greenlets, not {greenlet_class!r}")


def fixed_executor(
    num_workers: int, *, queue_length: int | None = None, **options: Any
) -> InstrumentedExecutor:
    """Make an executor of so many workers; as many tasks may wait as will, unless told otherwise.

    Args:
        num_workers: how many.
        queue_length: how many tasks may wait; None for any number.
        **options: those of `InstrumentedExecutor`.
    """
    controller = FixedController(num_workers)
    return InstrumentedExecutor(
        controller=controller, queue_length=queue_length, initial_count=num_workers, **options
    )


def utilization_executor(
    target: float, max_workers: int | None = None, **options: Any
) -> InstrumentedExecutor:
    """Make an executor that keeps the part of its workers that is busy near a target.

    No task waits: it finds a worker, or the executor grows by one, or it is rejected.

    Args:
        target: above 0, at most 1.
        max_workers: how many workers there may be at most; None for any number.
        **options: those of `InstrumentedExecutor`, but ``queue_length``.

    Raises:
        ValueError: utilization is not among the ``metrics``, so there is nothing to go by; or
            ``initial_count`` is more than ``max_workers``.
    """
    if "utilization" not in check_metrics(options.get("metrics", METRICS)):
        raise ValueError("metrics must contain utilization, which this executor goes by")
    controller = UtilizationController(target, max_workers)
    initial_count = options.get("initial_count", 1)
    check_count("initial_count", initial_count, least=1)
    if max_workers is not None and initial_count > max_workers:
        raise ValueError(f"initial_count must be at most {max_workers=}, not {initial_count!r}")
    return InstrumentedExecutor(controller=controller, queue_length=0, **options)
