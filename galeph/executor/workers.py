"""How a task is run: in a greenlet of its own, or in an OS thread.

How many at a time is for the executor to say. It is told when a task begins, and when it has ended:
that is before its result is known, so whoever has waited for the result may count on the worker.
Once for each task that was started, whatever becomes of it. None of this blocks or switches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Protocol

from gevent import Greenlet

from galeph.deferred import Deferred, Executor, ThreadPool
from galeph.deferred.producer import keep, on_cancel, stopped
from galeph.errors import Cancelled
from galeph.executor.current import HERE

__all__ = ["GreenletWorkers", "Task", "ThreadWorkers", "Workers"]


class Task:
    """A function, and the deferred of what it returns.

    Args:
        fn: what to call.
        args: with what.
        kwargs: with what else.
        executor: what is the current executor meanwhile; None for that of whoever made this.
        arrived_at: the time.
    """

    __slots__ = (
        "_args",
        "_executor",
        "_fn",
        "_kwargs",
        "arrived_at",
        "began_at",
        "context",
        "greenlet",
        "made",
        "number",
    )

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        executor: Executor | None,
        arrived_at: float,
    ) -> None:
        # A deferred on an executor submits the `run` of the context its function was given in:
        # then that is the task's.
        owner = getattr(fn, "__self__", None)
        if type(owner) is Context and args and fn == owner.run:
            self.context, self._fn, self._args = owner, args[0], args[1:]
        else:
            self.context, self._fn, self._args = copy_context(), fn, args
        self._kwargs = kwargs
        self._executor = executor
        self.made: Deferred[Any] = Deferred()
        self.arrived_at = arrived_at
        self.began_at: float | None = None
        # Of its worker, while it has one.
        self.number: int | None = None
        self.greenlet: Any = None

    def call(self) -> Any:
        """Call the function; in the task's context, that is."""
        if self._executor is None:
            return self._fn(*self._args, **self._kwargs)
        token = HERE.set(self._executor)
        try:
            return self._fn(*self._args, **self._kwargs)
        finally:
            HERE.reset(token)


class Workers(Protocol):
    """Those who run tasks."""

    def start(self, task: Task) -> None:
        """Have a task begin soon, but not at once. If this raises, nothing has happened."""

    def stop(self, task: Task) -> None:
        """Kill a task that was started, if that is possible."""


class GreenletWorkers:
    """Each task has a greenlet of its own.

    Args:
        name: what the greenlets are called, with the number of the task's worker behind.
        greenlet_class: what they are.
        began: called when a task begins, if it does.
        ended: called when a task has ended; maybe a second time, which means nothing.
    """

    __slots__ = ("_began", "_ended", "_greenlet_class", "_name")

    def __init__(
        self,
        *,
        name: str,
        greenlet_class: type[Greenlet[..., Any]],
        began: Callable[[Task], object],
        ended: Callable[[Task], object],
    ) -> None:
        self._name = name
        self._greenlet_class = greenlet_class
        self._began = began
        self._ended = ended

    def start(self, task: Task) -> None:
        greenlet = task.greenlet = self._greenlet_class(self._work, task)
        greenlet.name = f"{self._name}-{task.number}"
        # A greenlet killed before its first switch runs no `except` and no `finally`.
        greenlet.rawlink(lambda _: self._look_after(task))
        on_cancel(task.made, lambda _: greenlet.kill(block=False))
        greenlet.start()

    def stop(self, task: Task) -> None:
        task.greenlet.kill(block=False)

    def _work(self, task: Task) -> None:
        made = task.made
        if made.ready():
            return
        self._began(task)
        try:
            value = task.context.run(self._call, task)
        except BaseException as error:
            # Out of the traceback: this frame, which would keep the task as long as the error
            # lives, and those of the two calls between.
            keep(error, 3)
            made.error(stopped(error))
            del task, made
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise
        else:
            made.success(value)

    def _call(self, task: Task) -> Any:
        try:
            return task.call()
        finally:
            task.made._on_cancel = None
            self._ended(task)

    def _look_after(self, task: Task) -> None:
        """In the hub: the greenlet has ended, or was killed before it began."""
        self._ended(task)
        if not task.made.ready():
            task.made.error(Cancelled("the greenlet that did the work was killed"))


class ThreadWorkers:
    """Each task has an OS thread, of a pool that has as many as are needed.

    Args:
        began: called when a task was given to a thread.
        ended: called when a task has ended.
    """

    __slots__ = ("_began", "_ended", "_threads")

    def __init__(self, *, began: Callable[[Task], object], ended: Callable[[Task], object]) -> None:
        self._threads = ThreadPool(sys.maxsize, most_waiting=0)
        self._began = began
        self._ended = ended

    def start(self, task: Task) -> None:
        running = self._threads.submit(task.context.run, task.call)
        self._began(task)
        # In the hub and later, also if the thread is done already.
        running.rawlink(lambda done: self._finish(task, done))

    def stop(self, task: Task) -> None:
        """Do nothing: a thread cannot be stopped."""

    def _finish(self, task: Task, running: Deferred[Any]) -> None:
        self._ended(task)
        error = running.exception
        if error is None:
            task.made.success(running.value)
        else:
            task.made.error(error)
