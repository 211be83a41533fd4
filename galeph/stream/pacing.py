"""`throttle` and `periodically`: how often messages come.

Both wait with timers of the clock that was the default when they were made, and hold no greenlet
meanwhile.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from galeph._arguments import check_callable, check_number, check_seconds
from galeph.clock import Timer
from galeph.clock import default as default_clock
from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready, stopped
from galeph.stream.boxed import Boxed
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import Source
from galeph.stream.operators import Derived
from galeph.stream.queue_stream import Stream
from galeph.stream.running import pass_on, run_soon
from galeph.stream.steps import NotYet

__all__ = ["periodically", "throttle"]

A = TypeVar("A")
B = TypeVar("B")

# Less than this is the rounding of sums of periods.
_NO_TIME = 1e-9
# The digits of a second that the wall clock can tell, as a float of seconds since the epoch.
_WALL_CLOCK_DIGITS = 6
# Moments that are less apart are the same one, rounded twice.
_WALL_CLOCK_ROUNDING = 2e-6


# -- throttle


def throttle(
    max_rate: float, source: Source[A] | Iterable[A], *, max_backlog: float | None = None
) -> Source[A]:
    """Return a source of the same messages, at most ``max_rate`` of them a second.

    The first comes at once. What is not used of the rate adds up while there are no messages, and
    may then be spent in a burst.

    Args:
        max_rate: messages a second.
        source: a source, or what `galeph.stream.source` makes one of.
        max_backlog: how many messages may come in one burst (default: one second's worth). Below 2
            there are no bursts.

    Raises:
        ValueError: ``max_rate`` is not above 0, or ``max_backlog`` is negative.
        TypeError: one of them is no number, or ``source`` cannot be made a source.
    """
    check_number("max_rate", max_rate)
    backlog = max_rate if max_backlog is None else max_backlog
    check_number("max_backlog", backlog, zero=True)
    return Derived(to_source(source), _Throttle(max_rate, backlog), "throttle")


class _Throttle:
    """The stage that has messages wait for their time.

    Each message is due one period after the one before, at the earliest. In idle times that moment
    stays behind, by as much as a burst may make up for.
    """

    __slots__ = ("_clock", "_due", "_most_behind", "_period")

    def __init__(self, max_rate: float, backlog: float) -> None:
        self._period = 1 / max_rate
        self._most_behind = (max(backlog, 1) - 1) * self._period
        # Kept: moments of two clocks cannot be compared.
        self._clock = default_clock()
        self._due = self._clock.monotonic()

    def step(self, message: Any) -> Any:
        now = self._clock.monotonic()
        due = max(self._due, now - self._most_behind)
        if due - now > _NO_TIME:
            raise NotYet(partial(self._wake_after, due - now))
        self._due = due + self._period
        return message

    def finish(self) -> Iterable[Any]:
        return ()

    def _wake_after(self, seconds: float, wake: Callable[[], None]) -> Callable[[], None]:
        return self._clock.start_timer(seconds, wake).cancel


# -- periodically


def periodically(
    period: float, fn: Callable[[], B], *, initial_delay: float | None = None
) -> Source[B]:
    """Return a source of what ``fn()`` returns, called every ``period`` seconds.

    ``fn`` is called in a greenlet, in a copy of the current context, and may block; the calls that
    it is late for are left out. What it raises fails the returned source, behind the results before
    it, and is not logged there: takes raise it, and connections end in it. One result is stored. If
    another comes while that waits to be taken, ``fn`` is called no more until both are wanted, and
    then again at the next multiple of the period. Closing the source ends it all.

    Args:
        period: seconds from call to call.
        fn: what is called, without arguments.
        initial_delay: seconds until the first call (default: until the wall clock shows a multiple
            of the period).

    Raises:
        ValueError: ``period`` is not above 0, or ``initial_delay`` is negative.
        TypeError: one of them is no number, or ``fn`` is not callable.
    """
    check_seconds("period", period, optional=False)
    if initial_delay is not None:
        check_seconds("initial_delay", initial_delay, zero=True, optional=False)
    check_callable("fn", fn)
    ticker = _Ticker(period, fn)
    ticker.start(ticker.until_next_multiple() if initial_delay is None else initial_delay)
    return ticker


class _Results(Stream[Any]):
    """Where the results lie."""

    _ticker: _Ticker | None = None

    def _shut(self) -> None:
        super()._shut()
        if self._ticker is not None:
            self._ticker.stop()


class _Ticker(Boxed):
    """What `periodically` returns.

    While it ticks its timer keeps it. When a result has nobody to go to there is no timer, so one
    that is dropped is collected.
    """

    def __init__(self, period: float, fn: Callable[[], Any]) -> None:
        box = _Results(1)
        super().__init__(box, "periodically")
        box._ticker = self
        self._period = period
        self._fn = fn
        self._context = copy_context()
        # Kept, as the moments below are by this one.
        self._clock = default_clock()
        self._entries: Any = None
        self._timer: Timer | None = None
        # The first call by the monotonic clock, and how many periods after it the next is due.
        # Counted, not added up: clocks round, and a moment that comes out a little early would be
        # met again.
        self._first: float = 0
        self._count = 0

    def until_next_multiple(self) -> float:
        """Return the seconds until the wall clock shows a multiple of the period."""
        left = round(self._period - self._clock.time() % self._period, _WALL_CLOCK_DIGITS)
        # The next one, if this is the multiple that is now.
        return left if left > _WALL_CLOCK_ROUNDING else left + self._period

    def start(self, delay: float) -> None:
        """Have the function called after so many seconds, and on from there. Never switches."""
        self._first, self._count = self._clock.monotonic() + delay, 0
        self._timer = self._clock.start_timer(delay, run_soon, self)

    def stop(self) -> None:
        """Have the function called no more. Never switches."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def run(self, _: object) -> None:
        """Call the function, in a runner greenlet, which is galeph's own."""
        if self.box.closed:
            return
        try:
            result = self._context.copy().run(self._fn)
        except BaseException as error:
            self.box.fail(stopped(error))
            pass_on(error, self)
            return
        put = self.box.put_async(result)
        if put.ready():
            self._go_on()
        else:
            on_ready(put, self._start_again, put)

    def _go_on(self) -> None:
        if not self.box.closed:
            passed = self._clock.monotonic() - self._first
            # More than one further if the function was slow.
            periods = min(passed / self._period, sys.float_info.max)
            self._count = max(self._count + 1, math.floor(periods) + 1)
            self._wait(max(0.0, self._count * self._period - passed))

    def _start_again(self, put: Deferred[bool]) -> None:
        if put.value and not self.box.closed:
            delay = self.until_next_multiple()
            self._first, self._count = self._clock.monotonic() + delay, 0
            self._wait(delay)

    def _wait(self, delay: float) -> None:
        """Go on after so many seconds. A clock that cannot do that ends it, with its error."""
        try:
            self._timer = self._clock.start_timer(delay, run_soon, self)
        except Exception as error:
            self.box.fail(error)
