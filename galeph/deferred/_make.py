"""Making deferreds: pending, realized, from a function, from what others have made."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from gevent import Greenlet

from galeph._arguments import check_callable, check_flag
from galeph.deferred._coerce import copy_when_ready, said_by
from galeph.deferred._deadlock import Descent, circular
from galeph.deferred._deferred import Deferred
from galeph.deferred._dropped import DROPPED, report_soon
from galeph.deferred._outcome import DEFERRABLE, Deferrable, keep, stopped
from galeph.deferred._waiting import MISSING
from galeph.deferred.producer import hold_hub, on_cancel
from galeph.errors import Cancelled

if TYPE_CHECKING:
    from galeph.deferred._onto import Executor

__all__ = ["deferred", "error", "future", "is_deferrable", "success", "to_deferred", "unwrap"]

D = TypeVar("D")
T = TypeVar("T")

_KILLED = "the greenlet that did the work was killed"
P = ParamSpec("P")


def deferred(*, from_thread: bool = False, executor: Executor | None = None) -> Deferred[Any]:
    """Make a pending deferred.

    Args:
        from_thread: an OS thread will realize it. The hub of the calling thread is its owner and
            keeps running until then, so that waiting for it is no `Deadlock`.
        executor: where functions hung on it run (see `Deferred.onto`).

    Raises:
        TypeError: ``from_thread`` is not True or False, or ``executor`` is none.
    """
    check_flag("from_thread", from_thread)
    if DROPPED.left:
        report_soon()
    made: Deferred[Any] = Deferred()
    if from_thread:
        hold_hub(made)
    return made if executor is None else made.onto(executor)


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
    check_callable("fn", fn)
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


def is_deferrable(x: object) -> bool:
    """Whether ``x`` is something that arrives later: what `to_deferred` takes."""
    return isinstance(x, DEFERRABLE)


@overload
def to_deferred(x: Deferred[T], default: Any = MISSING) -> Deferred[T]: ...
@overload
def to_deferred(x: object) -> Deferred[Any]: ...
@overload
def to_deferred(x: object, default: D) -> Deferred[Any] | D: ...
def to_deferred(x: Any, default: Any = MISSING) -> Any:
    """Make a deferred of something else that arrives later. Never blocks.

    Args:
        x: an AsyncResult, a Greenlet (killed, it counts as `Cancelled`), a
            `concurrent.futures.Future` (until it is done the hub keeps running; cancelling the
            deferred cancels it) or a `Deferrable`. A Deferred is returned as it is.
        default: what to return if ``x`` is none of these, instead of raising.

    Raises:
        TypeError: ``x`` is none of these.
    """
    if isinstance(x, Deferred):
        return x
    if isinstance(x, Deferrable):
        return said_by(x, Deferred)
    if not isinstance(x, DEFERRABLE):
        if default is MISSING:
            raise TypeError(f"x must be a deferred, AsyncResult, Greenlet or Future, not {x!r}")
        return default
    made: Deferred[Any] = Deferred()
    copy_when_ready(x, made)
    return made


def unwrap(x: Any) -> Any:
    """Follow realized deferreds, and what else arrives later and has, down to what they hold.

    Never blocks. A value that must be given back is taken by this.

    Returns:
        The first value that is not deferrable; or the deferred that is still pending or has
        failed.

    Raises:
        Deadlock: it has itself as its value, directly or further down.
    """
    way = Descent()
    while isinstance(x, DEFERRABLE):
        if way.was_at(x):
            raise circular(x)
        x = to_deferred(x)
        if not x.successful():
            return x
        x = x.get()
    return x
