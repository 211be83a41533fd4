"""A time limit on a piece of blocking work, which raises galeph's error and not gevent's.

Used where something is done once a connection (resolving, connecting, a handshake). What recurs a
request is swept instead; see `galeph.transport.deadlines`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from gevent import get_hub, getcurrent

from galeph import clock

__all__ = ["TimeLimit"]

# A timer that is later than this was kept from running: the hub was blocked, or the process stood
# still. Meanwhile nobody could read what had arrived, so nobody's time has run out yet.
_LATE = 1.0


class TimeLimit:
    """Raise ``make_error()`` in the greenlet that entered, if it has not left in time.

    None is no limit. The error arrives at a point where the greenlet is blocked, never later than
    the end of the ``with`` block. ``has_expired`` says afterwards whether it was raised.

    When the process stood still, the limit is as much later as its timer was, by no more than its
    own length: what had arrived meanwhile is read first.
    """

    __slots__ = (
        "_callback",
        "_clock",
        "_due",
        "_greenlet",
        "_make_error",
        "_seconds",
        "_timer",
        "has_expired",
    )

    def __init__(self, seconds: float | None, make_error: Callable[[], Exception]) -> None:
        self._seconds = seconds
        self._make_error = make_error
        self._clock: clock.Clock = clock.default()
        self._timer: clock.Timer | None = None
        self._greenlet: Any = None
        self._callback: Any = None
        self._due = 0.0
        self.has_expired = False

    def __enter__(self) -> Self:
        if self._seconds is not None:
            self._greenlet = getcurrent()
            self._start(self._seconds)
        return self

    def _start(self, seconds: float) -> None:
        self._due = self._clock.monotonic() + seconds
        self._timer = self._clock.start_timer(seconds, self._expire)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._greenlet = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        callback, self._callback = self._callback, None
        if callback is not None:
            callback.stop()

    def _expire(self) -> None:
        # In the hub, where another clock may be the default.
        late = self._clock.monotonic() - self._due
        if late > _LATE and self._seconds is not None:
            self._start(min(late, self._seconds))
            return
        # A manual clock may call this from any greenlet; only the hub may throw into another.
        self._callback = get_hub().loop.run_callback(self._throw)

    def _throw(self) -> None:
        greenlet = self._greenlet
        if greenlet is not None:
            self.has_expired = True
            greenlet.throw(self._make_error())
