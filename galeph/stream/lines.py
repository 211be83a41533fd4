"""Who stands in the lines of a queue stream, beside the greenlets that wait in a take.

All of them are served the same way: ``serve(outcome)``, which never switches and answers whether
the outcome was wanted. Those in the line of puts hold their message and what it weighs.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from gevent import getcurrent

from galeph.deferred import Deferred
from galeph.stream.interfaces import END
from galeph.stream.waiters import WAITING, Waiter

__all__ = ["AsyncPutter", "AsyncTaker", "Putter", "leave_handed"]


class Putter(Waiter):
    """A greenlet that waits in `put`, and its message."""

    __slots__ = ("message", "weight")

    def __init__(self, call_soon: Any, message: Any, weight: float) -> None:
        # Not by way of super(): this is made for every other message that is handed over.
        self.outcome = WAITING
        self._call_soon = call_soon
        self._greenlet = getcurrent()
        self._wake_up = None
        self.message = message
        self.weight = weight


class AsyncTaker:
    """A `take_async` in the line of takers."""

    __slots__ = ("_default", "deferred")

    def __init__(self, default: Any) -> None:
        self.deferred: Deferred[Any] = Deferred()
        self._default = default

    def serve(self, outcome: Any) -> bool:
        """Realize the deferred; False if it was cancelled before."""
        return self.deferred.success(self._default if outcome is END else outcome)


class AsyncPutter:
    """A `put_async` in the line of putters."""

    __slots__ = ("deferred", "message", "weight")

    def __init__(self, message: Any) -> None:
        self.deferred: Deferred[bool] = Deferred()
        self.message = message
        self.weight: float = 1

    def serve(self, outcome: Any) -> bool:
        """Realize the deferred; False if it was cancelled before."""
        return self.deferred.success(outcome)


def leave_handed(handed: deque[Waiter], taker: Waiter) -> Any:
    """Take out a served taker that will not return its message.

    The message moves to the next one served, whose own moves on in turn: so the order stays.

    Returns:
        The message that is left over, the latest of them.
    """
    message = taker.outcome
    position = handed.index(taker)
    for later in list(handed)[position + 1 :]:
        message, later.outcome = later.outcome, message
    del handed[position]
    return message
