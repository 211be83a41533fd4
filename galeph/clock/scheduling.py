"""Functions that are called at some time: once, or again and again.

The timers are the default clock's, asked for when the call is made. Until its time comes, such a
call is a timer and no greenlet. The function never runs in the hub: it gets a greenlet of its own,
in a copy of the caller's context, and may block.

Whoever asked holds a `Deferred`. Realizing that, in whatever way, is how a call is called off:
`cancel` for most, `timeout` for a limit.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar, overload

from galeph._arguments import check_callable, check_finite, check_seconds
from galeph._clock import Timer, default
from galeph.deferred import Deferred, connect, future
from galeph.deferred.producer import on_cancel, on_ready
from galeph.errors import Cancelled

__all__ = ["call_at", "call_later", "every"]

_log = logging.getLogger("galeph.clock")

P = ParamSpec("P")
T = TypeVar("T")


@overload
def call_later(
    seconds: float, fn: Callable[P, Deferred[T]], /, *args: P.args, **kwargs: P.kwargs
) -> Deferred[T]: ...
@overload
def call_later(
    seconds: float, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> Deferred[T]: ...
def call_later(
    seconds: float, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Deferred[Any]:
    """Call ``fn(*args, **kwargs)`` once, after so many seconds. Returns at once.

    Args:
        seconds: how long from now; 0 or less means as soon as this greenlet lets others run.
        fn: what to call. It may block. If it returns something that arrives later, the result
            is what arrives.
        *args: its arguments.
        **kwargs: its keyword arguments.

    Returns:
        A deferred of what ``fn`` returns or raises. Realized before the time, it takes the timer
        along and ``fn`` is not called. Cancelled while ``fn`` runs, it kills the greenlet.

    Raises:
        TypeError: ``fn`` is not callable.
        ValueError: ``seconds`` is infinite or no number.
    """
    check_callable("fn", fn)
    check_finite("seconds", seconds)
    made: Deferred[Any] = Deferred()
    context = copy_context()

    def begin() -> None:
        if made.ready():
            return
        running = context.run(future, fn, *args, **kwargs)
        on_cancel(made, running.cancel)
        connect(running, made)

    if seconds <= 0:
        begin()
    else:
        timer = default().start_timer(seconds, begin)
        on_ready(made, timer.cancel)
    return made


@overload
def call_at(
    timestamp: float, fn: Callable[P, Deferred[T]], /, *args: P.args, **kwargs: P.kwargs
) -> Deferred[T]: ...
@overload
def call_at(
    timestamp: float, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> Deferred[T]: ...
def call_at(
    timestamp: float, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Deferred[Any]:
    """Call ``fn(*args, **kwargs)`` once, at a moment; in all else like `call_later`.

    How long that is from now is decided by the wall clock now: setting the clock afterwards
    makes the call neither earlier nor later.

    Args:
        timestamp: seconds since the epoch. If it has passed, the call is made at once.
        fn: what to call.
        *args: its arguments.
        **kwargs: its keyword arguments.
    """
    check_finite("timestamp", timestamp)
    return call_later(timestamp - default().time(), fn, *args, **kwargs)


def every(period: float, fn: Callable[[], object], *, initial_delay: float = 0.0) -> Deferred[None]:
    """Call ``fn()`` again and again, at a fixed rate. Returns at once.

    The times are those of a fixed grid, ``initial_delay + n * period`` from now. Calls do not
    overlap: the times that pass while ``fn`` still runs are left out.

    A call that raises is the last one. Its exception is logged, and is the error of the deferred.

    Args:
        period: seconds between the beginnings of two calls.
        fn: what to call. It may block.
        initial_delay: seconds until the first call; 0 makes it as soon as this greenlet lets
            others run.

    Returns:
        A deferred without a value. Realizing it, by `cancel` or otherwise, ends the calls; one
        that has begun runs to its end.

    Raises:
        TypeError: ``fn`` is not callable.
        ValueError: ``period`` is not positive, or ``initial_delay`` is negative.
    """
    check_callable("fn", fn)
    check_seconds("period", period, optional=False, finite=True)
    check_seconds("initial_delay", initial_delay, zero=True, optional=False, finite=True)
    job = _Job(period, fn)
    job.begin(initial_delay)
    return job.end


class _Job:
    """The calls of one `every`."""

    __slots__ = ("_clock", "_context", "_count", "_fn", "_period", "_start", "_timer", "end")

    def __init__(self, period: float, fn: Callable[[], object]) -> None:
        self.end: Deferred[None] = Deferred()
        self._fn = fn
        self._period = period
        self._context = copy_context()
        self._clock = default()
        self._start = 0.0
        self._count = 0
        self._timer: Timer | None = None
        on_ready(self.end, self._stop)

    def begin(self, initial_delay: float) -> None:
        self._start = self._clock.monotonic() + initial_delay
        if initial_delay > 0:
            self._timer = self._clock.start_timer(initial_delay, self._call)
        else:
            self._call()

    def _call(self) -> None:
        self._timer = None
        if not self.end.ready():
            running = self._context.run(future, self._fn)
            # The greenlet may be killed before it has begun; a listener hears of that too.
            running.on_realized(self._go_on, self._fail)

    def _go_on(self, _: object) -> None:
        if self.end.ready():
            return
        passed = self._clock.monotonic() - self._start
        periods = min(passed / self._period, sys.float_info.max)
        self._count = max(self._count + 1, math.ceil(periods))
        due = self._count * self._period
        self._timer = self._clock.start_timer(max(0.0, due - passed), self._call)

    def _fail(self, error: BaseException) -> None:
        if self.end.error(error):
            # Looked at, so that it is not reported a second time as one that nobody saw.
            _ = self.end.exception
        if not isinstance(error, Cancelled):
            _log.error("%r failed and is not called again", self._fn, exc_info=error)

    def _stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
