"""`flow`: a function in blocking style, that returns a deferred when it is called.

What Manifold's let-flow and go-off do by rewriting code, a greenlet does as it is: inside the
function `Deferred.get` waits, `Stream.take` takes, `Stream.put` puts. What is done for it are the
arguments: those that arrive later are waited for, all at once, before it begins.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial, wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar, overload

from galeph._arguments import check_callable
from galeph.deferred._combine import zip
from galeph.deferred._deadlock import Descent, circular
from galeph.deferred._deferred import Deferred
from galeph.deferred._make import future, is_deferrable, to_deferred
from galeph.deferred._onto import Executor, check_executor, future_with
from galeph.deferred._waiting import wait_untaken
from galeph.deferred.producer import owns

__all__ = ["flow"]

T = TypeVar("T")


@overload
def flow(fn: Callable[..., Deferred[T]], /) -> Callable[..., Deferred[T]]: ...
@overload
def flow(fn: Callable[..., T], /) -> Callable[..., Deferred[T]]: ...
@overload
def flow(
    *, executor: Executor | None
) -> Callable[[Callable[..., T]], Callable[..., Deferred[T]]]: ...
def flow(fn: Callable[..., Any] | None = None, /, *, executor: Executor | None = None) -> Any:
    """Make a function in blocking style return a deferred: ``@flow``, ``@flow(executor=...)``.

    Calling it returns at once. In a greenlet of its own, and in a copy of the caller's context,
    arguments that arrive later are waited for together, and arrive in the function as values; the
    first error known among them is the outcome, and the function is not called. Where it waits
    inside, it says so, by ``.get()``.

    Cancelling the deferred kills the greenlet.

    Args:
        fn: the function. If it returns something that arrives later, that is waited for as well.
        executor: has a method ``submit(fn, *args)`` that returns a deferred. The function runs
            there when the arguments have come; if there is no room, what ``submit`` raises is the
            outcome.

    Returns:
        The function that returns a deferred of what ``fn`` returns or raises.
    """
    if fn is None:
        if executor is not None:
            check_executor(executor)
        return partial(_decorate, executor)
    return _decorate(executor, fn)


def _decorate(executor: Executor | None, fn: Callable[..., Any]) -> Callable[..., Deferred[Any]]:
    check_callable("fn", fn)
    if isgeneratorfunction(fn):
        raise TypeError(f"fn must return, not yield: {fn!r} is a generator function")

    @wraps(fn)
    def start(*args: Any, **kwargs: Any) -> Deferred[Any]:
        return future(_run, executor, fn, args, kwargs)

    return start


def _run(
    executor: Executor | None,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    call = partial(fn, *args, **kwargs)
    arriving = None
    if any(map(is_deferrable, args)) or any(map(is_deferrable, kwargs.values())):
        arriving = zip(*args, *kwargs.values())
        call = partial(_call_with, arriving, fn, len(args), kwargs)
    if executor is None:
        return _wait_for(call())
    if arriving is None:
        return _wait_for(_called_off_with_us(future_with(executor, call)))
    return _run_there(executor, call, arriving)


def _call_with(arriving: Deferred[list[Any]], fn: Any, count: int, names: Iterable[str]) -> Any:
    values = arriving.get()
    return fn(*values[:count], **dict(builtins.zip(names, values[count:], strict=True)))


def _run_there(executor: Executor, call: Callable[[], Any], arriving: Deferred[list[Any]]) -> Any:
    """Have an executor call a function with values that it takes when it begins, if it does."""
    wait_untaken(arriving)
    if arriving.exception is not None:
        return arriving.get()
    # Whoever pops it has the values; it may be a thread that does.
    turn = [None]

    def begin() -> Any:
        turn.pop()
        return call()

    try:
        return _wait_for(_called_off_with_us(future_with(executor, begin)))
    except BaseException:
        with suppress(IndexError):
            turn.pop()
            arriving._let_go(None)
        raise


def _called_off_with_us(work: Deferred[Any]) -> Deferred[Any]:
    """If the greenlet is killed, so is the work it waits for."""
    owns(work)
    return work


def _wait_for(value: Any) -> Any:
    way = Descent()
    while is_deferrable(value):
        if way.was_at(value):
            raise circular(value)
        value = to_deferred(value).get()
    return value
