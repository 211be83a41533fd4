"""Time, as something that can be handed over.

Everything in galeph that waits, or measures a wait, asks a `Clock`. The system clock uses the
monotonic clock for waits, so that a jump of the wall clock makes nothing early or late;
`galeph.testing.ManualClock` moves only when a test says so. Pure code (``message/``,
``protocol/``) knows no clock at all and takes ``now`` as an argument.

A timer's function runs in the hub: it must neither block nor raise, which is why `start_timer`
is for building on, not for user code.
"""

from __future__ import annotations

import time as _time
from collections.abc import Callable
from typing import Any, Protocol

from gevent import get_hub, sleep

__all__ = ["Clock", "SystemClock", "Timer", "default", "set_default"]


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


def default() -> Clock:
    """The clock that everything uses which was not given one."""
    return _default


def set_default(clock: Clock) -> Clock:
    """Replace the default clock and return the one it was. Meant for tests."""
    global _default
    previous, _default = _default, clock
    return previous
