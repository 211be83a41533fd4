"""Deferreds whose functions run on an executor, and functions run there.

All that is known of an executor is `submit`. What it gives back is waited for as any other value
that arrives later, so it may run the function in a greenlet, in an OS thread or elsewhere: stages
go on, and listeners end, in the hub the deferred belongs to.

`OntoDeferred` changes the functions, not the stages: each is replaced by one that submits it, in a
copy of the context of its stage. What a deferred on an executor is chained to is on it too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar

from galeph._arguments import check_callable
from galeph.deferred._coerce import copy_outcome
from galeph.deferred._deferred import Deferred
from galeph.deferred._listeners import HungListener, Listener
from galeph.deferred._make import to_deferred
from galeph.deferred._outcome import NOTHING
from galeph.deferred._ownership import take
from galeph.deferred._stages import Chain, Finally
from galeph.deferred.producer import on_cancel, on_ready
from galeph.errors import Cancelled

__all__ = ["Executor", "OntoDeferred", "check_executor", "future_with", "move", "submitted"]

_log = logging.getLogger("galeph.deferred")

T = TypeVar("T")
P = ParamSpec("P")


class Executor(Protocol):
    """Where functions can be run: all that deferreds want to know of it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Have ``fn(*args)`` called; return a deferred of what it returns.

        An AsyncResult, a Greenlet or a `concurrent.futures.Future` will do as well.

        Raises:
            Rejected: there is no room for more work.
        """


def check_executor(executor: object) -> None:
    """See that an argument is an executor."""
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have a method submit(fn, *args), not {executor!r}")


def submitted(executor: Executor, fn: Callable[..., Any], /, *args: Any) -> Deferred[Any]:
    """Submit a function in a copy of the current context; may block as the executor does."""
    return to_deferred(executor.submit(copy_context().run, fn, *args))


class OntoDeferred(Deferred[T]):
    """A deferred that gives the functions hung on it to an executor."""

    _executor: Executor

    def chain(self, *fns: Callable[[Any], Any]) -> Deferred[Any]:
        for fn in fns:
            check_callable("fns", fn)
        return self._derive(super().chain(*[_Submitting(self._executor, fn) for fn in fns]))

    def catch(self, types: Any, handler: Any = None, /) -> Deferred[Any]:
        if handler is None:
            types, handler = Exception, types
        check_callable("handler", handler)
        return self._derive(super().catch(types, partial(submitted, self._executor, handler)))

    def finally_(self, fn: Callable[[], object]) -> Deferred[T]:
        check_callable("fn", fn)
        result: Deferred[Any] = Deferred()
        submit = partial(submitted, self._executor, fn)
        self._hang(_FinallyOnto(submit, result, copy_context()))
        return self._derive(result)

    def link(self, callback: Callable[[Any], object]) -> None:
        check_callable("callback", callback)
        super().link(self._told(callback))

    def on_realized(
        self, on_success: Callable[[T], object], on_error: Callable[[BaseException], object]
    ) -> OntoDeferred[T]:
        check_callable("on_success", on_success)
        check_callable("on_error", on_error)
        super().on_realized(self._told(on_success), self._told(on_error))
        return self

    def add_listener(self, listener: Listener) -> bool:
        entry = HungListener(listener, copy_context())
        entry.on_success = self._told(listener.on_success)
        entry.on_error = self._told(listener.on_error)
        self._hang(entry)
        return True

    def _told(self, fn: Callable[[Any], object]) -> Callable[[Any], object]:
        return partial(_tell, self._executor, fn)

    def _derive(self, result: Deferred[Any]) -> Deferred[Any]:
        return _moved(result, self._executor, copy_context())


class _Submitting:
    """A function of a chain, called on an executor."""

    __slots__ = ("_executor", "_fn")

    def __init__(self, executor: Executor, fn: Callable[[Any], Any]) -> None:
        self._executor = executor
        self._fn = fn

    def __call__(self, value: Any) -> Deferred[Any]:
        return submitted(self._executor, self._fn, value)

    def deliver_from(self, owner: Deferred[Any], value: Any) -> Deferred[Any]:
        """Call it with the value of an owner: its own when it begins, else given back."""
        # Whoever pops it has the value; it may be a thread that does.
        turn = [None]

        def begin() -> Any:
            turn.pop()
            take(owner)
            return self._fn(value)

        def end() -> None:
            with suppress(IndexError):
                turn.pop()
                owner._let_go(None)

        try:
            work = submitted(self._executor, begin)
        except BaseException:
            end()
            raise
        on_ready(work, end)
        return work


class _FinallyOnto(Finally):
    """Waits for the function before it passes the outcome on."""

    __slots__ = ("_bottom",)

    def __init__(self, fn: Callable[[], object], result: Deferred[Any], context: Context) -> None:
        super().__init__(fn, result, context)
        self._bottom: Deferred[Any] | None = None

    def run(self, source: Deferred[Any]) -> None:
        if self._bottom is None:
            bottom = self.reach(source)
            if bottom is None:
                return
            bottom._see()
            self._bottom = bottom
            submit: Any = self.fn
            source = self.context.run(submit)
        done = self.reach(source)
        if done is None:
            return
        if done._value is NOTHING:
            self.end_as(done)
            # The value stays behind: nobody has taken it.
            self._bottom._let_go(None)
        else:
            self.end_as(self._bottom)

    def withdrawn(self, reason: BaseException | None) -> None:
        if self._bottom is not None:
            self._bottom._let_go(reason)


def _tell(executor: Executor, fn: Callable[[Any], object], outcome: Any) -> None:
    submitted(executor, fn, outcome).on_realized(_ignore, _report)


def _ignore(_: object) -> None:
    pass


def _report(error: BaseException) -> None:
    # One that was killed ends quietly, as everywhere.
    if not isinstance(error, Cancelled):
        _log.error("a listener of a deferred failed", exc_info=error)


def move(deferred: Deferred[T], executor: Executor | None) -> Deferred[T]:
    """Do what `Deferred.onto` says."""
    if deferred._executor is executor:
        return deferred
    if executor is not None:
        check_executor(executor)
    return _moved(deferred, executor, copy_context())


def _moved(deferred: Deferred[T], executor: Executor | None, context: Context) -> Deferred[T]:
    made: Deferred[T]
    if executor is None:
        made = Deferred()
    else:
        made = OntoDeferred()
        made._executor = executor
    Chain((), made, context).pass_through(deferred)
    return made


def future_with(
    executor: Executor, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
) -> Deferred[T]:
    """Have an executor call ``fn(*args, **kwargs)``, in a copy of the caller's context.

    Blocks only where the executor's ``submit`` does. Cancelling the deferred cancels what the
    executor returned; ``fn`` is not called if the deferred is realized before its turn comes.

    Returns:
        A deferred of what it returns or raises.

    Raises:
        TypeError: ``executor`` is none, or ``fn`` is not callable.
        Rejected: what ``submit`` raises when the executor is full; nothing was started.
    """
    check_executor(executor)
    check_callable("fn", fn)
    made: Deferred[T] = Deferred()
    # No keywords of ours: what an executor takes is positional.
    work = submitted(executor, _unless_realized, made, fn, args, kwargs)
    on_cancel(made, work.cancel)
    on_ready(work, _hand_over, work, made)
    return made


def _unless_realized(
    made: Deferred[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    return None if made.ready() else fn(*args, **kwargs)


def _hand_over(work: Deferred[Any], made: Deferred[Any]) -> None:
    made._on_cancel = None
    copy_outcome(work, made)
