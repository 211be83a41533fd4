"""Time, as something that can be handed over.

Everything in galeph that waits, or measures a wait, asks a `Clock`. The system clock uses the
monotonic clock for waits, so that a jump of the wall clock makes nothing early or late;
`galeph.testing.ManualClock` moves only when a test says so. Pure code (``message/``,
``protocol/``) knows no clock at all and takes ``now`` as an argument.

A timer's function runs in the hub: it must neither block nor raise, which is why `start_timer`
is for building on, not for user code. `galeph.clock.call_later` and `every` are for that; they
return deferreds, and deferreds have timers, so what a clock is stands here, below both, and
``galeph.clock`` shows it all in one place.
"""

from __future__ import annotations

import time as _time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from gevent import get_hub, sleep

__all__ = ["Clock", "SystemClock", "Timer", "check_limit", "default", "set_default", "with_clock"]


def check_limit(name: str, seconds: Any) -> None:
    """Raise TypeError or ValueError unless ``seconds`` can limit a wait: a number, or None.

    A timer of the loop that is not a number is never due, and stops all others.
    """
    kind = type(seconds)
    if kind is int or seconds is None:
        return
    if kind is not float and (kind is bool or not isinstance(seconds, (int, float))):
        raise TypeError(f"{name} must be a number of seconds or None, not {seconds!r}")
    if seconds != seconds:  # noqa: PLR0124  (only what is not a number)
        raise ValueError(f"{name} must be a number of seconds, got {seconds}")


class Timer(Protocol):
    """A pending call; what `Clock.start_timer` returns."""

    def cancel(self) -> None:
        """Make sure the call does not happen any more. Never switches, may be called twice."""


class Clock(Protocol):
    """What time it is, and how to be called later."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def time(self) -> float:
        """Seconds since the epoch, by the wall clock."""

    def sleep(self, seconds: float) -> None:
        """Block the calling greenlet, and only it, for at least this long."""

    def start_timer(
        self, seconds: float, fn: Callable[..., object], *args: Any, ref: bool = True
    ) -> Timer:
        """Call ``fn(*args)`` in the hub after this long. ``fn`` must neither block nor raise.

        ``ref=False`` is for housekeeping: such a timer does not keep the hub's loop alive.
        """


class _HubTimer:
    """One libev timer that fires once."""

    __slots__ = ("_watcher",)

    def __init__(
        self, seconds: float, fn: Callable[..., object], args: tuple[Any, ...], *, ref: bool
    ) -> None:
        self._watcher: Any = get_hub().loop.timer(seconds, ref=ref)
        # update=True: libev caches "now"; after a long computation a timer counted from the
        # cached time would fire early.
        self._watcher.start(self._fire, fn, args, update=True)

    def _fire(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.cancel()
        fn(*args)

    def cancel(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()


class SystemClock:
    """The machine's clock and the hub's timers."""

    # Read twice a request: the functions themselves, without a call of ours around them.
    monotonic = staticmethod(_time.monotonic)
    time = staticmethod(_time.time)

    def sleep(self, seconds: float) -> None:
        sleep(seconds)

    def start_timer(
        self, seconds: float, fn: Callable[..., object], *args: Any, ref: bool = True
    ) -> Timer:
        return _HubTimer(seconds, fn, args, ref=ref)


_default: Clock = SystemClock()
# What `with_clock` says for this context, else None. The look costs 15 ns.
_HERE: ContextVar[Clock | None] = ContextVar("galeph.clock", default=None)


def default() -> Clock:
    """The clock that everything uses which was not given one."""
    here = _HERE.get()
    return _default if here is None else here


def set_default(clock: Clock) -> Clock:
    """Replace the default clock of the whole process and return the one it was.

    For tests, and for programs that need another kind of timer. Whatever waits asks for the default
    when it begins to, so a timer that runs stays with the clock it was started on. What is made to
    keep time goes by the clock that was the default when it was made: `every`, `throttle`,
    `periodically`, `batch`, ``connect(timeout=)``. The blocks of `with_clock` keep theirs.
    """
    _check_clock(clock)
    global _default
    previous, _default = _default, clock
    return previous


def _check_clock(clock: Any) -> None:
    names = ("monotonic", "time", "sleep", "start_timer")
    if isinstance(clock, type) or not all(callable(getattr(clock, name, None)) for name in names):
        raise TypeError(f"clock must be a Clock, with {', '.join(names)}, not {clock!r}")


@contextmanager
def with_clock(clock: Clock) -> Iterator[Clock]:
    """Make ``clock`` the default inside a ``with`` block.

    It is so for this context only (`contextvars`): for the greenlet in the block, and for what
    galeph runs in a copy of its context, also later: functions hung on deferreds there, those of
    `deferred.future` and `call_later`. Others do not notice; neither does a greenlet started by
    `gevent.spawn`, which begins with an empty context.
    """
    _check_clock(clock)
    token = _HERE.set(clock)
    try:
        yield clock
    finally:
        _HERE.reset(token)
