"""How things end: other kinds of result, and greenlets that were stopped, in a deferred's words.

`DEFERRABLE` names the foreign results that count as "a value that arrives later". What stopped a
greenlet that was computing a deferred must not reach the greenlets that wait for it as what it
was: a `GreenletExit` would end them without a word, and a `gevent.Timeout` would look like one of
their own. `stopped` says it as galeph's own errors, the original chained.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import gevent
from gevent import Greenlet, GreenletExit
from gevent.event import AsyncResult

from galeph.errors import Cancelled, TimedOut

if TYPE_CHECKING:
    from types import TracebackType

    from galeph.deferred._deferred import Deferred

__all__ = ["DEFERRABLE", "copy_outcome", "copy_when_ready", "stopped"]

DEFERRABLE = (AsyncResult, Greenlet, Future)


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


def copy_outcome(source: Any, target: Deferred[Any]) -> bool:
    """Realize ``target`` as the finished ``source`` was. False if it was realized before."""
    if isinstance(source, Future):
        return _copy_future(source, target)
    error = source.exception
    if error is None:
        value = source.value
        # gevent counts a killed greenlet as successful, with the exit as its value.
        if isinstance(value, GreenletExit) and isinstance(source, Greenlet):
            return target.error(stopped(value))
        return target.success(value)
    return target._fail(stopped(error), _origin(source, error))


def _origin(source: Any, error: BaseException) -> TracebackType | None:
    if error.__traceback__ is not None:
        return error.__traceback__
    info = source.exc_info
    return info[2] if info else None


def _copy_future(source: Future[Any], target: Deferred[Any]) -> bool:
    if source.cancelled():
        return target.error(Cancelled("the future was cancelled"))
    error = source.exception()
    if error is None:
        return target.success(source.result())
    return target.error(stopped(error))


def copy_when_ready(source: Any, target: Deferred[Any]) -> None:
    """Realize ``target`` as soon as ``source``, a deferrable, is finished. Never switches."""
    if isinstance(source, Future):
        target.on_cancel(lambda _: source.cancel())
        if not source.done():
            target.hold_hub()
        source.add_done_callback(lambda done: _copy_future(done, target))
    elif source.ready():
        copy_outcome(source, target)
    else:
        source.rawlink(target)
