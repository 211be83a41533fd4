"""Loops whose rounds may wait: `loop` and `recur`.

A loop is a stage that goes on with itself. A round that is over at once is the next turn of a
``while``, one that has to wait hangs the stage on what it waits for: neither grows a stack.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from time import monotonic
from typing import Any

from gevent import get_hub, getcurrent
from gevent.event import AsyncResult

from galeph._arguments import check_callable
from galeph.deferred._deadlock import Descent, circular
from galeph.deferred._deferred import Deferred
from galeph.deferred._fairness import give_way
from galeph.deferred._stages import Stage

__all__ = ["Loop", "Recur", "loop", "recur"]

_ready = AsyncResult.ready


# How long rounds that wait for nothing may keep others from running: what gevent allows its own
# callbacks. The clock is read after this many of them; a look costs 50 ns.
_SLICE = 0.005
_LOOKS_AT_CLOCK = 63


class Recur:
    """What a round returns to have another one."""

    __slots__ = ("args",)

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args


class Loop(Stage):
    """A function that is called until it returns something else than a `Recur`."""

    __slots__ = ("_fn",)

    def __init__(self, fn: Callable[..., Any], result: Deferred[Any], context: Context) -> None:
        super().__init__(result, context)
        self._fn = fn

    def run(self, source: Deferred[Any]) -> None:
        result = self.result
        call = self.context.run
        way: Descent | None = None
        rounds = 0
        until = monotonic() + _SLICE
        while True:
            value = source._value
            while type(value) is Recur:
                if _ready(result):
                    return
                rounds += 1
                if not rounds & _LOOKS_AT_CLOCK and monotonic() >= until:
                    _let_others_run()
                    until = monotonic() + _SLICE
                value = call(self._fn, *value.args)
                source = result
                way = None
            if isinstance(value, Deferred):
                source = value
                if not _ready(source):
                    self.hang_on(source)
                    return
                if way is None:
                    way = Descent()
                if way.was_at(source):
                    result._fail(circular(source), None)
                    return
            elif source is result:
                result.success(value)
                return
            else:
                self.end_as(source)
                return


def _let_others_run() -> None:
    hub = get_hub()
    if getcurrent() is not hub:
        give_way(hub)


def loop(fn: Callable[..., Any], /, *args: Any) -> Deferred[Any]:
    """Call ``fn(*args)``, and again for as long as it returns `recur`.

    The rounds run at once, in the caller's greenlet, until one of them returns a deferred that is
    pending; from then on as functions given to `chain` do. No number of rounds needs a stack, and
    after each 5 ms of rounds that wait for nothing others get a turn.

    Args:
        fn: returns ``recur(*args)`` for another round with these, or a value, or a deferred of
            either. Of what arrives later only deferreds are waited for: a greenlet is a value.
            What it raises ends the loop.
        args: for the first round.

    Returns:
        A deferred of the value. If somebody else realizes it, no further round begins.

    Raises:
        TypeError: ``fn`` is not callable.
    """
    check_callable("fn", fn)
    result: Deferred[Any] = Deferred()
    first: Deferred[Any] = Deferred()
    first.success(Recur(args))
    first._hang(Loop(fn, result, copy_context()))
    return result


def recur(*args: Any) -> Any:
    """Make what a function given to `loop` returns to be called again, with ``args``."""
    return Recur(args)
