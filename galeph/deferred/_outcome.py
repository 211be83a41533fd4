"""How things end, in a deferred's words.

`DEFERRABLE` names what counts as "a value that arrives later" besides deferreds. What stopped a
greenlet that was computing a deferred must not reach the greenlets that wait for it as what it
was: a `GreenletExit` would end them without a word, and a `gevent.Timeout` would look like one of
their own. `stopped` says it as galeph's own errors, the original chained.
"""

from __future__ import annotations

# AsyncResult imports it when it is given its first exception. Where that is about descriptors, of
# which none is left, the import would fail, and the waiters would never hear of anything.
import pickle  # noqa: F401
from concurrent.futures import Future
from contextlib import suppress
from inspect import CO_GENERATOR
from reprlib import recursive_repr
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import gevent
from gevent import Greenlet, GreenletExit
from gevent.event import AsyncResult
from gevent.exceptions import LoopExit

from galeph.errors import Cancelled, TimedOut

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = [
    "DECIDED",
    "DEFERRABLE",
    "NOTHING",
    "PLAIN",
    "Deferrable",
    "cancelled",
    "check_exception",
    "described",
    "frames_of_origin",
    "keep",
    "stopped",
]


class Deferrable:
    """Base class for what is to count as a value that arrives later, wherever galeph takes one.

    A class rather than a protocol: whether a value is deferrable is asked of every value a chain
    produces, and a protocol would make that ten times as dear.
    """

    def to_deferred(self) -> Deferred[Any]:
        """Return a deferred of the value. Must not block."""
        raise NotImplementedError


DEFERRABLE = (AsyncResult, Greenlet, Future, Deferrable)
# What most values are. Asking this first halves the price of the question (0.05 µs, not 0.1).
PLAIN = frozenset({bool, bytes, dict, float, int, list, str, tuple, type(None)})

_base: Any = AsyncResult()
# What an AsyncResult holds as long as it has no value.
NOTHING = _base._value
del _base


# Stands in a deferred's `_claim` once an error is on its way; equal to no token.
DECIDED = object()


def cancelled(reason: object) -> Cancelled:
    """The error of a deferred that was cancelled for a reason: a text, an exception or None."""
    if isinstance(reason, BaseException):
        # gevent's own text of a LoopExit is of the hub; that of a Deadlock names this deferred.
        is_stuck = isinstance(reason, LoopExit)
        said = "nobody could complete it, and who waited has left" if is_stuck else repr(reason)
        error = Cancelled(f"cancelled: {said}")
        error.__cause__ = reason
        return error
    return Cancelled("cancelled" if reason is None else str(reason))


def keep(error: BaseException, frames: int) -> TracebackType | None:
    """Take so many of galeph's own frames out of a caught error's traceback; return the rest.

    Whatever a frame names lives as long as the error does: its own deferred, for one. The frames
    that are left still know those they were called from, so what has returned is cleared too.
    """
    trace = error.__traceback__
    for _ in range(frames):
        if trace is not None:
            with suppress(RuntimeError):  # the frame that caught it is still running
                trace.tb_frame.clear()
            trace = trace.tb_next
    error.__traceback__ = trace
    return trace


def frames_of_origin(error: BaseException) -> TracebackType | None:
    """Return a caught error's traceback from where galeph called somebody else's code.

    To be saved with an error that is raised again and again, each time with what is returned here:
    then the traceback always shows where the error comes from, and does not grow. galeph's own
    frames above that are left out and, where they have returned, cleared: they name streams.

    Returns:
        None if the error comes from galeph itself, or from code without frames.
    """
    trace = error.__traceback__
    while trace is not None and _is_own(trace.tb_frame):
        if not trace.tb_frame.f_code.co_flags & CO_GENERATOR:  # clearing that would close it
            with suppress(RuntimeError):  # it is still running
                trace.tb_frame.clear()
        trace = trace.tb_next
    return trace


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("galeph.")


def stopped(error: BaseException) -> Exception:
    """Say in galeph's terms what ended a greenlet that was computing a deferred.

    Returns:
        ``error`` itself if it is an `Exception`; else `TimedOut` for a `gevent.Timeout` and
        `Cancelled` for a kill, SystemExit and KeyboardInterrupt, with ``error`` as the cause.
    """
    if isinstance(error, Exception):
        return error
    said: Exception
    if isinstance(error, gevent.Timeout):
        said = TimedOut(f"the work was stopped by a timeout: {error}")
    elif isinstance(error, GreenletExit):
        said = Cancelled("the greenlet that did the work was killed")
    else:
        said = Cancelled(f"the work was stopped by {type(error).__name__}")
    said.__cause__ = error
    return said


def check_exception(exception: object) -> BaseException:
    """See that something can be raised, and return it."""
    if not isinstance(exception, BaseException):
        raise TypeError(f"exception must be an exception, not {exception!r}")
    return exception


@recursive_repr("<a deferred of itself>")
def described(deferred: Deferred[Any]) -> str:
    """Say what a deferred is and how it stands."""
    name = type(deferred).__name__
    if deferred._value is not NOTHING:
        return f"<{name} value={deferred._value!r}>"
    if deferred._exc_info:
        return f"<{name} error={deferred._exc_info[1]!r}>"
    return f"<{name} pending>"
