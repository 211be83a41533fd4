"""Stages: what is computed from one deferred's outcome and becomes the outcome of another.

A stage has a source and a result. It runs at once in the caller's greenlet when the source is
realized and nothing is queued on it, else later in the hub's runner; either way in a context of
its own, a copy of the one it was registered in.

Wherever a value is itself something that arrives later, the stage goes down to the plain value
at the bottom. If that is not there yet, the stage hangs itself on what is pending and goes on
when it comes: nothing waits on a stack, and a chain of any length runs as a queue of stages.

A source that holds a resource hands the ownership on. A result that is called off withdraws its
stage, so that nobody hangs on the source any more; a value that passes through unchanged takes
along how to dispose of it.

Every frame that an error passes stays in its traceback, and what is in those frames stays alive:
galeph's own are taken out before the error is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from gevent import GreenletExit, get_hub
from gevent._util import _NONE
from gevent.event import AsyncResult
from greenlet import getcurrent, greenlet

from galeph.deferred._entries import Entry, pass_on
from galeph.deferred._outcome import DEFERRABLE, copy_when_ready, stopped

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = ["Catch", "Chain", "Finally", "Stage"]

_ready = AsyncResult.ready


class Stage(Entry):
    """A step from a source to a result, which whoever hangs it on a source sets."""

    __slots__ = ("greenlet", "result")

    result: Deferred[Any]

    def __init__(self) -> None:
        self.greenlet: greenlet | None = None

    # Running

    def run(self) -> None:
        source = self.source
        self.source = None
        result = self.result
        if source is None:
            return
        source._queued -= 1
        if _ready(result):
            source._let_go(None)
            return
        if result._is_owner:
            self.greenlet = getcurrent()
        try:
            self.context.run(self.advance, source)
        except BaseException as error:
            self._fail(error)
            if not isinstance(error, Exception):
                pass_on(error, self)
        finally:
            self.greenlet = None

    def run_at_once(self, source: Deferred[Any]) -> None:
        """Run in the caller's greenlet: what is no `Exception` was meant for that, not for us."""
        context = self.context = copy_context()
        try:
            context.run(self.advance, source)
        except Exception as error:
            self._fail(error)

    def advance(self, source: Deferred[Any]) -> None:
        """Go on with the outcome of ``source``. What it raises becomes the result's error."""
        raise NotImplementedError

    # Looking for the bottom

    def reach(self, value: Any) -> Deferred[Any] | None:
        """Go down from something deferrable to what holds a plain value or an error.

        Returns:
            It; or None if it is not there yet. Then the stage hangs on what is pending.
        """
        while True:
            inner: Deferred[Any]
            if hasattr(value, "_take"):
                inner = value
            else:
                inner = type(self.result)()
                copy_when_ready(value, inner)
            if not _ready(inner):
                self.hang_on(inner)
                return None
            value = inner._value
            if not isinstance(value, DEFERRABLE):
                return inner

    def hang_on(self, source: Deferred[Any]) -> None:
        """Run when ``source`` is realized."""
        self.source = source
        source._listen(self)
        if source._is_owner and not self.result._is_owner:
            self.result.owns()
            self.result.on_cancel(self.withdraw)

    # Ending

    def succeed(self, bottom: Deferred[Any]) -> None:
        """Give the result the value of ``bottom``, and with it the duty to dispose of it."""
        result = self.result
        if bottom._is_owner:
            bottom._take()
            result.owns(bottom._dispose)
        result.success(bottom._value)

    def fail_as(self, bottom: Deferred[Any]) -> None:
        """Give the result the error of ``bottom``."""
        error = bottom.exception
        self.result._fail(error, bottom._traceback)  # type: ignore[arg-type]  # it has failed

    def _fail(self, error: BaseException) -> None:
        trace = error.__traceback__
        # Out of the traceback: run() or run_at_once(), and advance().
        for _ in range(2):
            if trace is not None:
                trace = trace.tb_next
        error.__traceback__ = trace
        self.result._fail(stopped(error), trace)

    def withdraw(self, reason: BaseException) -> None:
        """Nobody wants the result any more. Never switches."""
        source = self.source
        if source is not None:
            source._unlisten(self)
            source._let_go(reason)
        elif self.greenlet is not None:
            get_hub().loop.run_callback(self._interrupt, self.greenlet)

    def _interrupt(self, runner: greenlet) -> None:
        if self.greenlet is runner:
            runner.throw(GreenletExit)


class Chain(Stage):
    """Functions, each fed with the value of the one before."""

    __slots__ = ("rest",)

    def __init__(self, fns: tuple[Callable[[Any], Any], ...]) -> None:
        self.rest: Iterator[Callable[[Any], Any]] = iter(fns)
        self.greenlet = None

    def advance(self, source: Deferred[Any]) -> None:
        bottom: Deferred[Any] | None = source
        value = source._value
        if value is _NONE or isinstance(value, DEFERRABLE):
            bottom = self.reach(source)
            if bottom is None:
                return
            value = bottom._value
            if value is _NONE:
                self.fail_as(bottom)
                return
        result = self.result
        for fn in self.rest:
            if bottom is not None:
                bottom._take()
                bottom = None
            if _ready(result):
                return
            value = fn(value)
            if isinstance(value, DEFERRABLE):
                bottom = self.reach(value)
                if bottom is None:
                    return
                value = bottom._value
                if value is _NONE:
                    self.fail_as(bottom)
                    return
        if bottom is not None:
            self.succeed(bottom)
        else:
            result.success(value)


class _Handles(Protocol):
    def __call__(self, error: Any, /) -> Any: ...


class Catch(Stage):
    """A function that turns some errors into values."""

    __slots__ = ("handler", "types")

    def __init__(
        self, types: type[BaseException] | tuple[type[BaseException], ...], handler: _Handles
    ) -> None:
        self.types = types
        self.handler: _Handles | None = handler
        self.greenlet = None

    def advance(self, source: Deferred[Any]) -> None:
        bottom = self.reach(source)
        if bottom is None:
            return
        error = bottom.exception
        if error is None:
            self.succeed(bottom)
            return
        handler, self.handler = self.handler, None
        if handler is None or not isinstance(error, self.types):
            self.fail_as(bottom)
            return
        value = handler(error)
        if isinstance(value, DEFERRABLE):
            # The handler is spent: an error from here on is the result's.
            bottom = self.reach(value)
            if bottom is None:
                return
            if bottom._value is _NONE:
                self.fail_as(bottom)
            else:
                self.succeed(bottom)
        else:
            self.result.success(value)


class Finally(Stage):
    """A function without argument, called on either outcome."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn = fn
        self.greenlet = None

    def advance(self, source: Deferred[Any]) -> None:
        bottom = self.reach(source)
        if bottom is None:
            return
        self.fn()
        if bottom._value is _NONE:
            self.fail_as(bottom)
        else:
            self.succeed(bottom)
