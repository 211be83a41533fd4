"""When samples are taken and control periods end.

Two timers of the clock, both housekeeping: they keep no loop alive. They rest while nothing
happens, so that an idle executor costs nothing and may be dropped without being shut down; unless
somebody wants to be told what was measured, also when that is nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

from galeph._arguments import check_seconds
from galeph.clock import Clock, Timer
from galeph.deferred import future

__all__ = ["Ticker", "check_period"]

_log = logging.getLogger("galeph.executor")

S = TypeVar("S")


class Ticker(Generic[S]):
    """Has samples taken, and control periods ended. Never switches.

    Args:
        clock: whose timers they are.
        sample: takes a sample, in the hub. False when there will be nothing to sample until
            `wake`; None for one that takes none.
        control: ends a control period, in a greenlet and in the context of now, and never twice
            at a time. Returns what was measured, and whether there will be anything to control.
        callback: called with what was measured; what it raises is logged.
        sample_period: seconds.
        control_period: seconds.
    """

    __slots__ = (
        "_callback",
        "_clock",
        "_context",
        "_control",
        "_control_period",
        "_control_timer",
        "_is_controlling",
        "_sample",
        "_sample_period",
        "_sample_timer",
    )

    def __init__(
        self,
        clock: Clock,
        *,
        sample: Callable[[], bool] | None,
        control: Callable[[], tuple[S, bool]],
        callback: Callable[[S], object] | None,
        sample_period: float,
        control_period: float,
    ) -> None:
        self._clock = clock
        self._context = copy_context()
        self._sample = sample
        self._control = control
        self._callback = callback
        self._sample_period = sample_period
        self._control_period = control_period
        self._sample_timer: Timer | None = None
        self._control_timer: Timer | None = None
        self._is_controlling = False
        if callback is not None:
            self.wake()

    def wake(self) -> bool:
        """Begin to tick, where it does not; return whether a control period begins by it."""
        if self._sample_timer is None and self._sample is not None:
            self._sample_timer = self._start(self._sample_period, self._on_sample)
        if self._control_timer is not None:
            return False
        self._control_timer = self._start(self._control_period, self._on_control)
        return True

    def rest(self) -> None:
        """Stop ticking until `wake`."""
        for timer in (self._sample_timer, self._control_timer):
            if timer is not None:
                timer.cancel()
        self._sample_timer = self._control_timer = None

    def _on_sample(self) -> None:
        self._sample_timer = None
        if self._sample is not None and self._sample():
            self._sample_timer = self._start(self._sample_period, self._on_sample)

    def _on_control(self) -> None:
        self._control_timer = self._start(self._control_period, self._on_control)
        # The controller and the callback are the user's, and must not run in the hub.
        if not self._is_controlling:
            self._is_controlling = True
            self._context.run(future, self._end_period)

    def _end_period(self) -> None:
        try:
            measured, goes_on = self._control()
            if self._callback is not None:
                try:
                    self._callback(measured)
                except Exception:
                    _log.exception("the stats_callback %r failed", self._callback)
            elif not goes_on:
                self.rest()
        finally:
            self._is_controlling = False

    def _start(self, seconds: float, fn: Callable[[], object]) -> Timer:
        return self._clock.start_timer(seconds, fn, ref=False)


def check_period(name: str, seconds: float) -> None:
    """See that an argument is a period."""
    check_seconds(name, seconds, optional=False, finite=True)
