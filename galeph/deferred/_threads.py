"""Functions in OS threads: a bounded pool with a bounded queue.

Not the hub's own thread pool: names are looked up there, and a lookup would wait behind whatever
was put there (a second, behind ten functions that take one). That pool also blocks who hands
something in when all its threads are busy.

Threads are started as they are needed and end when nothing has come for some seconds. They are
real ones also in a patched process, and know each other by a real lock, which is held for a few
instructions and never while a function runs. A forked child has none of them and starts its own.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import cache
from queue import Empty
from typing import Any, ParamSpec, TypeVar

from gevent._hub_local import get_hub_if_exists
from gevent.monkey import get_original

from galeph._arguments import check_callable, check_count
from galeph.deferred._deferred import Deferred
from galeph.deferred._dropped import DROPPED, report_soon
from galeph.deferred._outcome import keep, stopped
from galeph.deferred.producer import hold_hub, on_cancel
from galeph.errors import Rejected

__all__ = ["ThreadPool", "in_thread"]

T = TypeVar("T")
P = ParamSpec("P")

_start_new_thread = get_original("_thread", "start_new_thread")
_allocate_lock = get_original("_thread", "allocate_lock")
_SimpleQueue = get_original("queue", "SimpleQueue")

# As many as gevent has for its own: enough for blocking calls, few enough to share the GIL.
_THREADS = 10
# A hundred for each thread: what stands behind those will not be served soon.
_MOST_WAITING = 1000
# After this long without work a thread gives its stack back; starting one takes 0.1 ms.
_IDLE_AFTER = 10.0


class _Job:
    """A function, and the deferred of what it returns."""

    __slots__ = ("args", "context", "fn", "kwargs", "made")

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.context: Context = copy_context()
        self.made: Deferred[Any] = Deferred()

    def run(self) -> None:
        made = self.made
        if made.ready():
            return
        try:
            value = self.context.run(self.fn, *self.args, **self.kwargs)
        except BaseException as error:
            made._on_cancel = None
            # SystemExit and the like end no thread of ours: the deferred says what it was.
            made._fail(stopped(error), keep(error, 1))
            # As in a future: this frame outlives its function with the error.
            del self, made
        else:
            made._on_cancel = None
            made.success(value)


class ThreadPool:
    """OS threads that run functions. An executor; for any number of hubs.

    Args:
        threads: how many there are at most.
        most_waiting: how many functions may wait for a thread at most.

    Raises:
        TypeError, ValueError: one of them is no int, or too small; the text names it.
    """

    def __init__(self, threads: int = _THREADS, *, most_waiting: int = _MOST_WAITING) -> None:
        check_count("threads", threads, least=1)
        check_count("most_waiting", most_waiting, least=0)
        self._limit = threads
        self._most_waiting = most_waiting
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock: Any = _allocate_lock()
        self._jobs: deque[_Job] = deque()
        # Wakes idle threads, one for each item; which job a thread finds then does not matter,
        # nor if another has taken it.
        self._bell: Any = _SimpleQueue()
        self._threads = 0
        # How many of them wait for a job, or are about to look for one.
        self._idle = 0

    def __repr__(self) -> str:
        return (
            f"<ThreadPool with {self._threads} of {self._limit} threads, {self._idle} idle, "
            f"{len(self._jobs)} waiting>"
        )

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Do what `in_thread` does, in this pool."""
        check_callable("fn", fn)
        if DROPPED.left:
            report_soon()
        if self._pid != os.getpid():
            self._begin()
        job = _Job(fn, args, kwargs)
        made: Deferred[T] = job.made
        # Before a thread can be done with it.
        on_cancel(made, lambda _: self._withdraw(job))
        hold_hub(made)
        try:
            self._put(job)
        except BaseException:
            made.cancel()
            raise
        return made

    def _put(self, job: _Job) -> None:
        with self._lock:
            waiting = len(self._jobs)
            free = self._idle + self._limit - self._threads
            if waiting >= free + self._most_waiting:
                raise Rejected(f"{self._most_waiting} functions wait for {self._limit} threads")
            self._jobs.append(job)
            if waiting < self._idle:
                self._bell.put(None)
            elif self._threads < self._limit:
                try:
                    _start_new_thread(self._serve, ())
                except BaseException:
                    self._jobs.pop()
                    raise
                self._threads += 1
                self._idle += 1

    def _withdraw(self, job: _Job) -> None:
        if self._pid != os.getpid():
            return  # the parent's, and so is the lock
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)

    # In a thread

    def _serve(self) -> None:
        try:
            while (job := self._next_job()) is not None:
                job.run()
                # Nothing of it is to live on in this frame while the thread waits.
                del job
                with self._lock:
                    self._idle += 1
        finally:
            hub = get_hub_if_exists()
            if hub is not None:
                # A function of the user's has used gevent here.
                hub.destroy(destroy_loop=True)

    def _next_job(self) -> _Job | None:
        """Wait for something to do, as an idle thread; None when the thread is to end."""
        has_expired = False
        while True:
            with self._lock:
                if self._jobs:
                    self._idle -= 1
                    return self._jobs.popleft()
                if has_expired:
                    self._idle -= 1
                    self._threads -= 1
                    return None
            try:
                self._bell.get(timeout=_IDLE_AFTER)
            except Empty:
                has_expired = True


@cache
def _pool() -> ThreadPool:
    return ThreadPool()


def in_thread(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
    """Call ``fn(*args, **kwargs)`` in an OS thread, in a copy of the caller's context.

    For what blocks without gevent's knowing: C libraries, computations. Returns at once. The hub
    keeps running until the function has returned. Cancelling the deferred takes the function off
    the queue; one that runs already cannot be stopped, and what it returns is dropped.

    At most 10 functions run at a time and 1000 wait, in the whole process.

    Returns:
        A deferred of what it returns or raises.

    Raises:
        TypeError: ``fn`` is not callable.
        Rejected: too many are waiting already. Try again later.
    """
    return _pool().submit(fn, *args, **kwargs)
