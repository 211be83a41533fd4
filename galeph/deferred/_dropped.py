"""Errors that nobody ever saw.

A deferred that failed (otherwise than with `Cancelled`) while nobody hung on it gets a `Witness`.
Looking at the outcome dismisses it. If instead the deferred dies, the witness dies with it, and
its finalizer puts the exception on a bounded deque. That is all a finalizer may do: the garbage
collector runs it anywhere, in the hub and in sections that must not switch, and a log handler of
a patched process blocks.

The deque is emptied in ordinary greenlet time: by the hub's runner, when the next deferred fails
or is made by a function of this package; by whoever sweeps from time to time, through
`report_dropped`; at exit. Each error is one line on the logger ``galeph.deferred``, with its
traceback.

An ``except Exception as error: d.error(error)`` ties error, traceback, frame and deferred into a
cycle. Such a deferred dies at the next full collection, not before.
"""

from __future__ import annotations

import atexit
import gc
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gevent._hub_local import get_hub_if_exists

from galeph._arguments import check_flag
from galeph.deferred._runner import runner_of
from galeph.errors import Cancelled

__all__ = [
    "DROPPED",
    "DroppedErrors",
    "Witness",
    "detect_dropped_errors",
    "dropped_errors",
    "report_dropped",
    "report_soon",
    "take_dropped",
    "witness",
]

_log = logging.getLogger("galeph.deferred")

# An error holds its frames, so what waits to be logged is bounded; the newest are kept.
_KEPT = 1000


class DroppedErrors:
    """What witnesses have left behind, and whether there are witnesses at all."""

    __slots__ = ("collected", "is_enabled", "left")

    def __init__(self) -> None:
        self.is_enabled = True
        # Where they go instead of the log, inside of dropped_errors().
        self.collected: list[BaseException] | None = None
        self.left: deque[BaseException] = deque(maxlen=_KEPT)

    def take(self) -> list[BaseException]:
        """Remove and return the errors that were dropped since the last time."""
        left = self.left
        return [left.popleft() for _ in range(len(left))]


DROPPED = DroppedErrors()


class _Report:
    """The work of writing the lines, for a runner's queue."""

    __slots__ = ("_entries",)

    _entries: Any

    def run(self, _: object, /) -> None:
        report_dropped()

    def fail(self, error: BaseException, /) -> None:
        """Leave it: a log handler that fails cannot be told so by a log."""


class Witness:
    """Dies with its deferred; still armed then, it tells."""

    __slots__ = ("exception",)

    def __init__(self, exception: BaseException) -> None:
        self.exception: BaseException | None = exception

    def __del__(self) -> None:
        if self.exception is not None:
            DROPPED.left.append(self.exception)


def witness(exception: BaseException) -> Witness | None:
    """Make a witness, and see to what earlier ones have left."""
    if DROPPED.left:
        report_soon()
    # Whoever cancels or kills knows it, as with a greenlet.
    return None if isinstance(exception, Cancelled) else Witness(exception)


def report_soon() -> None:
    """Have the errors dropped so far logged by the runner of this thread's hub, if it has one."""
    hub = get_hub_if_exists()
    if hub is not None and hub.loop is not None:
        runner_of(hub).submit(_Report())


def detect_dropped_errors(enabled: bool) -> bool:  # noqa: FBT001  (a switch)
    """Switch the detection of dropped errors on (as it is at first) or off.

    Deferreds that failed before are not affected.

    Returns:
        What it was before.

    Raises:
        TypeError: ``enabled`` is not True or False.
    """
    check_flag("enabled", enabled)
    before, DROPPED.is_enabled = DROPPED.is_enabled, enabled
    return before


@contextmanager
def dropped_errors() -> Iterator[list[BaseException]]:
    """Count the errors dropped in a ``with`` block instead of logging them.

    The list it gives is complete when the block has ended, which collects garbage first. What
    deferreds of the whole process drop in the meantime is in it. Detection is on inside the block::

        with deferred.dropped_errors() as dropped:
            ...
        assert [] == dropped

    Raises:
        RuntimeError: it is used inside of another one.
    """
    if DROPPED.collected is not None:
        raise RuntimeError("dropped_errors() cannot be used inside of another one")
    gc.collect()
    report_dropped()
    found: list[BaseException] = []
    before = detect_dropped_errors(enabled=True)
    DROPPED.collected = found
    try:
        yield found
    finally:
        gc.collect()
        report_dropped()
        DROPPED.collected = None
        detect_dropped_errors(enabled=before)


def take_dropped() -> list[BaseException]:
    """Return the errors dropped so far and not yet logged; they will not be logged any more.

    For tests. Collect garbage first: most dropped deferreds are part of a cycle.
    """
    return DROPPED.take()


def report_dropped() -> None:
    """Log the errors dropped so far. Blocks as the log handlers do; not for the hub."""
    errors = DROPPED.take()
    if DROPPED.collected is not None:
        DROPPED.collected += errors
        return
    for error in errors:
        _log.error(
            "a deferred died in an error that nobody saw (%s): get() it, catch() it, or put a"
            " listener on it",
            type(error).__name__,
            exc_info=error,
        )


atexit.register(report_dropped)
