"""Listeners that can be taken off again.

`Deferred.on_realized` is for those that stay. A listener is two functions and nothing more: it may
be put on several deferreds, and on one several times.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from gevent.event import AsyncResult

from galeph._arguments import check_callable
from galeph.deferred._entries import Callbacks, EntryQueue
from galeph.deferred._hanging import adopt, unlisten

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = ["HungListener", "Listener", "listener", "take_off"]

_ready = AsyncResult.ready


class Listener:
    """Two functions, of which one is called with the outcome of each deferred it is put on."""

    __slots__ = ("on_error", "on_success")

    def __init__(
        self, on_success: Callable[[Any], object], on_error: Callable[[BaseException], object]
    ) -> None:
        self.on_success = on_success
        self.on_error = on_error


class HungListener(Callbacks):
    """A listener on one deferred."""

    __slots__ = ("listener",)

    def __init__(self, listener: Listener, context: Context) -> None:
        _check_listener(listener)
        super().__init__(listener.on_success, listener.on_error, context)
        self.listener = listener


def listener(
    on_success: Callable[[Any], object], on_error: Callable[[BaseException], object] | None = None
) -> Listener:
    """Make a listener for `Deferred.add_listener` and `Deferred.cancel_listener`.

    Args:
        on_success: is called with the value.
        on_error: is called with the error; left out, nothing is done with it.
    """
    check_callable("on_success", on_success)
    if on_error is None:
        on_error = _ignore
    check_callable("on_error", on_error)
    return Listener(on_success, on_error)


def _check_listener(listener: object) -> None:
    if not isinstance(listener, Listener):
        text = f"listener must be what galeph.deferred.listener makes, not {listener!r}"
        raise TypeError(text)


def take_off(deferred: Deferred[Any], listener: Listener) -> bool:
    """Take a listener off a pending deferred; False if it is not there to be taken off."""
    if _ready(deferred) or deferred.hub is None:
        return False
    adopt(deferred)
    entries = deferred._entries
    for entry in entries if isinstance(entries, EntryQueue) else (entries,):
        if isinstance(entry, HungListener) and entry.listener is listener:
            unlisten(deferred, entry)
            # A foreign thread may have realized it by now; off it is all the same.
            return True
    return False


def _ignore(_: BaseException) -> None:
    pass
