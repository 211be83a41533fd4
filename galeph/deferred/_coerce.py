"""Other results that arrive later, brought into a deferred.

gevent counts a killed greenlet as successful, with the exit as its value; here it is `Cancelled`.
"""

from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gevent import Greenlet, GreenletExit

from galeph.deferred._outcome import Deferrable, stopped
from galeph.deferred.producer import hold_hub, on_cancel
from galeph.errors import Cancelled

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = ["copy_outcome", "copy_when_ready", "said_by"]


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
        if not source.done():
            on_cancel(target, lambda _: source.cancel())
            hold_hub(target)
        source.add_done_callback(lambda done: _copy_future(done, target))
    elif source.ready():
        copy_outcome(source, target)
    else:
        source.rawlink(target)


def said_by(source: Deferrable, kind: type[Deferred[Any]]) -> Deferred[Any]:
    """The deferred that a `Deferrable` of the user's says it is."""
    said = source.to_deferred()
    if not isinstance(said, kind):
        name = type(source).__name__
        raise TypeError(f"{name}.to_deferred() must return a Deferred, not {said!r}")
    return said
