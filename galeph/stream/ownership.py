"""The debug check of `galeph.deferred.producer.checks_thread`, as streams have it.

What it points to are the two calls of a stream that are meant for other threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gevent import get_hub

from galeph.deferred.producer import IS_DEBUG, checks_thread

__all__ = ["IS_DEBUG", "check_owner", "checks_owner"]

C = TypeVar("C", bound=type)

_STREAM = "stream; from other threads use put_threadsafe() and close_threadsafe()"


def checks_owner(names: str, *, of: str = _STREAM, is_on: bool = IS_DEBUG) -> Callable[[C], C]:
    """Have these methods raise RuntimeError in the wrong thread; see `checks_thread`."""
    return checks_thread(names, of=of, is_on=is_on)


def check_owner(stream: Any, what: str) -> None:
    """In debug mode, raise RuntimeError unless a stream belongs to this thread.

    Args:
        stream: the stream.
        what: is done to it.
    """
    if IS_DEBUG and get_hub() is not stream._hub:
        raise RuntimeError(f"{what} outside the thread that made this {_STREAM}")
