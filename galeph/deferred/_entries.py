"""What can hang on a deferred: listeners, links and galeph's own callbacks.

An entry is registered while its deferred is pending (or has others queued) and runs once, after
the deferred is realized: in the hub's runner, in the context of its registration. The one
exception is `Inline`, for code of galeph's own that neither blocks nor raises.

Stages, the entries whose outcome is another deferred, are in ``_stages``.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from gevent import Timeout, get_hub

from galeph.deferred._outcome import NOTHING

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = ["Callbacks", "Entry", "EntryQueue", "Inline", "Link", "pass_on"]

_log = logging.getLogger("galeph.deferred")

_FEW = 64


class Entry:
    """One thing hung on a deferred."""

    __slots__ = ("context",)

    # Whether it runs where the deferred is realized, and is nobody's interest in the outcome.
    is_inline = False

    context: Context

    def is_void(self) -> bool:
        """Whether nothing would be done when it is run."""
        return False

    def run(self, source: Deferred[Any]) -> None:
        """Do with the outcome of ``source`` what there is to do. May block and raise."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Take what a queued `run` raised. Does not raise."""
        if isinstance(error, (Exception, Timeout)):
            _log.error("a listener of a deferred failed", exc_info=error)
        else:
            pass_on(error, self)

    def run_at_once(self, source: Deferred[Any]) -> None:
        """Run in the caller's greenlet: what is no `Exception` was meant for that, not for us."""
        try:
            self.run(source)
        except Exception as error:
            self.fail(error)


class Callbacks(Entry):
    """A pair of functions, of which one is called."""

    __slots__ = ("on_error", "on_success")

    def __init__(
        self,
        on_success: Callable[[Any], object],
        on_error: Callable[[BaseException], object],
        context: Context,
    ) -> None:
        self.context = context
        self.on_success = on_success
        self.on_error = on_error

    def run(self, source: Deferred[Any]) -> None:
        value = source._take()
        if value is not NOTHING:
            self.context.run(self.on_success, value)
        else:
            self.context.run(self.on_error, source._exc_info[1])


class Link(Entry):
    """A function that is called with the deferred itself."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[Any], object], context: Context) -> None:
        self.context = context
        self.fn = fn

    def run(self, source: Deferred[Any]) -> None:
        source._take()
        self.context.run(self.fn, source)


class Inline(Entry):
    """A function of galeph's own that neither blocks nor raises."""

    __slots__ = ("args", "fn")

    is_inline = True

    def __init__(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.fn = fn
        self.args = args

    def run(self, source: Deferred[Any]) -> None:  # noqa: ARG002  (an Entry's signature)
        self.fn(*self.args)


class EntryQueue(OrderedDict[Entry, None]):
    """Several entries on one deferred, in order. A single one hangs there by itself.

    What thousands wait for besides something of their own, they leave one by one and from any
    place: in a deque each would look for its own among all the others.
    """

    __slots__ = ("has_inline", "sweep_at")

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__()
        for entry in entries:
            self[entry] = None
        self.has_inline = False
        # So many may hang there before those are looked for whose outcome is decided.
        self.sweep_at = _FEW

    def sweep(self) -> bool:
        """Take off what is void, all but the last; return whether anything was."""
        before = len(self)
        for entry in tuple(self)[:-1]:
            if entry.is_void():
                self.pop(entry, None)
        self.sweep_at = max(_FEW, 2 * len(self))
        return len(self) < before


def pass_on(error: BaseException, entry: Entry) -> None:
    """Do with SystemExit and KeyboardInterrupt as gevent does when they end a greenlet."""
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        get_hub().handle_error(entry, type(error), error, error.__traceback__)
