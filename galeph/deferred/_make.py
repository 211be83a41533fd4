"""Making deferreds: pending, realized, from a function, from what others have made."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar, overload

from gevent import Greenlet

from galeph.deferred._coerce import copy_when_ready
from galeph.deferred._deferred import Deferred
from galeph.deferred._dropped import DROPPED, report_soon
from galeph.deferred._outcome import DEFERRABLE, keep, stopped
from galeph.deferred.producer import hold_hub, on_cancel
from galeph.errors import Cancelled

__all__ = ["deferred", "error", "future", "success", "to_deferred"]

T = TypeVar("T")

_KILLED = "the greenlet that did the work was killed"
P = ParamSpec("P")


def deferred(*, from_thread: bool = False) -> Deferred[Any]:
    """Make a pending deferred.

    Args:
        from_thread: an OS thread will realize it. The hub of the calling thread is its owner and
            keeps running until then, so that waiting for it is no `LoopExit`.
    """
    if DROPPED.left:
        report_soon()
    made: Deferred[Any] = Deferred()
    if from_thread:
        hold_hub(made)
    return made


def success(value: T) -> Deferred[T]:
    """Make a deferred that holds a value."""
    made: Deferred[T] = Deferred()
    made.success(value)
    return made


def error(exception: BaseException) -> Deferred[Any]:
    """Make a deferred that holds an error.

    Raises:
        TypeError: ``exception`` is no exception.
    """
    made: Deferred[Any] = Deferred()
    made.error(exception)
    return made


def future(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
    """Call ``fn(*args, **kwargs)`` in a greenlet of its own, in a copy of the caller's context.

    Returns at once. Cancelling the deferred kills the greenlet, or keeps it from starting; a
    greenlet that waits for the deferred and is killed leaves it running.

    Returns:
        A deferred of what it returns or raises: `Cancelled` if the greenlet was killed,
        `TimedOut` if a `gevent.Timeout` of its own ended it, each with the cause chained.

    Raises:
        TypeError: ``fn`` is not callable.
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, not {fn!r}")
    if DROPPED.left:
        report_soon()
    made: Deferred[T] = Deferred()
    greenlet = Greenlet(_compute, made, copy_context(), fn, args, kwargs)
    # A greenlet killed before its first switch runs no `except` and no `finally`.
    greenlet.rawlink(lambda _: made.ready() or made.error(Cancelled(_KILLED)))
    on_cancel(made, lambda _: greenlet.kill(block=False))
    greenlet.start()
    return made


def _compute(
    made: Deferred[Any],
    context: Any,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    if made.ready():
        return
    try:
        value = context.run(fn, *args, **kwargs)
    except BaseException as error:
        made._on_cancel = None
        made._fail(stopped(error), keep(error, 1))
        # This frame outlives its function with the error, and would keep the deferred.
        del made
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise
    else:
        made._on_cancel = None
        made.success(value)


@overload
def to_deferred(x: Deferred[T]) -> Deferred[T]: ...
@overload
def to_deferred(x: object) -> Deferred[Any]: ...
def to_deferred(x: Any) -> Deferred[Any]:
    """Make a deferred of something else that arrives later. Never blocks.

    Args:
        x: an AsyncResult, a Greenlet (killed, it counts as `Cancelled`) or a
            `concurrent.futures.Future` (until it is done the hub keeps running; cancelling the
            deferred cancels it). A Deferred is returned as it is.

    Raises:
        TypeError: ``x`` is none of these.
    """
    if isinstance(x, Deferred):
        return x
    if not isinstance(x, DEFERRABLE):
        raise TypeError(f"x must be a deferred, AsyncResult, Greenlet or Future, not {x!r}")
    made: Deferred[Any] = Deferred()
    copy_when_ready(x, made)
    return made
