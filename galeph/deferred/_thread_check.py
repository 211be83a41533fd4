"""The debug check that a thing is used only in the thread it belongs to.

What belongs to a hub has no locks: an operation from a foreign thread would not fail, it would
lose something some day. With ``GALEPH_DEBUG=1`` in the environment when galeph is imported, the
operations named in `checks_thread` raise instead, and it is noted where each instance is made.
Without it the class is left as it is, so nothing is paid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from gevent import get_hub

from galeph.deferred._origins import IS_DEBUG, notes_origin

__all__ = ["checks_thread"]

C = TypeVar("C", bound=type)


def checks_thread(names: str, *, of: str, is_on: bool = IS_DEBUG) -> Callable[[C], C]:
    """Have these methods of a class raise RuntimeError when the calling thread is the wrong one.

    The owner is the hub that an instance has in ``_hub``.

    Args:
        names: the methods, separated by spaces.
        of: what the class is, and what to do from another thread; the end of the error's text.
        is_on: whether to do anything at all.
    """

    def decorate(cls: C) -> C:
        if is_on:
            for name in names.split():
                setattr(cls, name, _checked(name, getattr(cls, name), of))
        return notes_origin(cls, is_on=is_on)

    return decorate


def _checked(name: str, method: Callable[..., Any], of: str) -> Callable[..., Any]:
    @wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if get_hub() is not self._hub:
            raise RuntimeError(f"{name}() called outside the thread that made this {of}")
        return method(self, *args, **kwargs)

    return checked
