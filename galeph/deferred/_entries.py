"""What can hang on a deferred: listeners, links and galeph's own callbacks.

An entry is registered while its deferred is pending (or has others queued) and runs once, after
the deferred is realized: in the hub's runner, in the context of its registration. The one
exception is `Inline`, for code of galeph's own that neither blocks nor raises.

Stages, the entries whose outcome is another deferred, are in ``_stages``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from gevent import GreenletExit, get_hub

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = ["Entry", "Inline", "Link", "Listener", "pass_on"]

_log = logging.getLogger("galeph.deferred")


class Entry:
    """One thing hung on a deferred, its ``source``. Without the source, it has begun."""

    __slots__ = ("context", "source")

    # Whether it runs where the deferred is realized, and is nobody's interest in the outcome.
    is_inline = False

    source: Deferred[Any] | None
    context: Context

    def run(self) -> None:
        """Run as queued work. Never raises."""
        source = self.source
        self.source = None
        if source is None:
            return
        source._queued -= 1
        source._take()
        try:
            self.context.run(self.call, source)
        except Exception:
            _log.exception("a listener of a deferred failed")
        except BaseException as error:
            pass_on(error, self)

    def run_at_once(self, source: Deferred[Any]) -> None:
        """Run in the caller's greenlet, with what it raises for the caller."""
        source._take()
        copy_context().run(self.call, source)

    def call(self, source: Deferred[Any]) -> None:
        """Give the outcome to whoever registered."""
        raise NotImplementedError


class Listener(Entry):
    """A pair of functions, of which one is called."""

    __slots__ = ("on_error", "on_success")

    def __init__(
        self, on_success: Callable[[Any], object], on_error: Callable[[BaseException], object]
    ) -> None:
        self.on_success = on_success
        self.on_error = on_error

    def call(self, source: Deferred[Any]) -> None:
        error = source.exception
        if error is None:
            self.on_success(source.value)
        else:
            self.on_error(error)


class Link(Entry):
    """A function that is called with the deferred itself."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self.fn = fn

    def call(self, source: Deferred[Any]) -> None:
        self.fn(source)


class Inline(Entry):
    """A function of galeph's own that neither blocks nor raises."""

    __slots__ = ("args", "fn")

    is_inline = True

    def __init__(self, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.fn = fn
        self.args = args

    def run(self) -> None:
        self.fn(*self.args)


def pass_on(error: BaseException, entry: Entry) -> None:
    """Do with what stopped an entry as gevent does with what stops a greenlet."""
    if not isinstance(error, GreenletExit):
        get_hub().handle_error(entry, type(error), error, error.__traceback__)
