"""Who stands in the lines of a queue stream, and how greenlets wait there.

All who stand there are served the same way: ``serve(outcome)``, which never switches and answers
whether the outcome was wanted. Those in the line of puts hold their message and what it weighs.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from gevent import getcurrent

from galeph.clock import default as default_clock
from galeph.deferred import Deferred
from galeph.deferred.producer import raise_deadlock
from galeph.stream.interfaces import END, Nothing
from galeph.stream.running import run_soon
from galeph.stream.waiters import WAITING, Waiter

if TYPE_CHECKING:
    from galeph.stream.queue_stream import Stream

__all__ = [
    "MOST_WAITING",
    "AsyncPutter",
    "AsyncTaker",
    "Putter",
    "hand_out",
    "lay_first",
    "leave_handed",
    "wait_to_put",
    "wait_to_take",
    "warn_soon",
]

_log = logging.getLogger("galeph.stream")

# How many puts, or takes, may wait in one stream. More is a program that has lost sight of it, and
# would use up the memory.
MOST_WAITING: Final = 16_384


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


def hand_out(stream: Stream[Any], messages: list[Any]) -> list[Any]:
    """Give those who wait in ``take`` the first of some messages; return the others.

    Those come first who were served already and have not run: they were served what comes next.
    """
    messages = [*messages, *(taker.outcome for taker in stream._handed)]
    for taker in stream._handed:
        taker.outcome = messages.pop(0)
    count = 0
    while count < len(messages) and stream._takers and stream._hand_over(messages[count]):
        count += 1
    return messages[count:]


def lay_first(stream: Stream[Any], message: Any) -> None:
    """Give a message to the first who waits in ``take``, or make it the next. Never switches."""
    if stream._takers and stream._hand_over(message):
        return
    if type(stream._messages) is not deque:
        # Nothing has ever been stored.
        stream._messages = deque()
        stream._reopen_room()
    stream._messages.appendleft(message)
    if stream._weights is not None:
        # It was accepted already, and asking the metric again would run user code here.
        stream._weights.appendleft(0)
    stream._arrived()


def wait_to_put(stream: Stream[Any], putter: Putter, timeout: float | None = None) -> Any:
    """Stand in the line of puts; return what the putter is served, or EXPIRED after the limit.

    An exception that comes before that takes it out of the line.
    """
    if not stream._line_up(putter):
        return False
    timer = None
    if timeout is not None:
        timer = default_clock().start_timer(timeout, stream._expire_put, putter)
    switch = stream._hub.switch
    try:
        # A loop, as in Waiter.wait, which is written out here for its 5 %.
        while putter.outcome is WAITING:
            switch()
    except BaseException as error:
        putter.stop()
        if putter.outcome is WAITING:
            stream._withdraw(putter)
        raise_deadlock(error, stream, "take from")
        raise
    finally:
        if timer is not None:
            timer.cancel()
    return putter.outcome


def wait_to_take(stream: Stream[Any], timeout: float | None = None) -> Any:
    """Stand in the line of takes; return the message, END, or EXPIRED after the limit.

    An exception that comes before that takes the taker out of the line, and leaves a message that
    it was served already to the next.
    """
    taker = Waiter(stream._call_soon)
    if not stream._stand_in_line(taker):
        return stream._take_end()
    timer = None
    if timeout is not None:
        timer = default_clock().start_timer(timeout, stream._expire_take, taker)
    switch = stream._hub.switch
    try:
        while taker.outcome is WAITING:
            switch()
    except BaseException as error:
        taker.stop()
        if taker.outcome is WAITING:
            stream._leave_line(taker)
        elif type(taker.outcome) is not Nothing:
            lay_first(stream, leave_handed(stream._handed, taker))
        raise_deadlock(error, stream, "put to")
        raise
    finally:
        if timer is not None:
            timer.cancel()
    message = taker.outcome
    if type(message) is not Nothing:
        stream._handed.remove(taker)
        if stream._closed:
            stream._look_for_end()
    elif message is END and stream._failure is not None:
        raise stream._failure.with_traceback(stream._failure_trace)
    return message


class AsyncTaker:
    """A `take_async` in the line of takers."""

    __slots__ = ("_default", "deferred")

    def __init__(self, default: Any) -> None:
        self.deferred: Deferred[Any] = Deferred()
        self._default = default

    def serve(self, outcome: Any) -> bool:
        """Realize the deferred; False if it was cancelled before."""
        return _realize(self.deferred, self._default if outcome is END else outcome)


class AsyncPutter:
    """A `put_async` in the line of putters."""

    __slots__ = ("deferred", "message", "weight")

    def __init__(self, message: Any) -> None:
        self.deferred: Deferred[bool] = Deferred()
        self.message = message
        self.weight: float = 1

    def serve(self, outcome: Any) -> bool:
        """Realize the deferred; False if it was cancelled before."""
        return _realize(self.deferred, outcome)


def _realize(deferred: Deferred[Any], value: Any) -> bool:
    if not deferred.success(value):
        return False
    if deferred._on_cancel is not None:
        # It would keep the stream alive for whoever still holds the outcome.
        deferred._on_cancel = None
    return True


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


def warn_soon(text: str) -> None:
    """Write a warning into the log: soon, because writing may block. Never switches."""
    run_soon(_Warning(text))


class _Warning:
    """A line for the log."""

    __slots__ = ("_entries", "_text")

    def __init__(self, text: str) -> None:
        self._entries: Any = None
        self._text = text

    def run(self, _: object) -> None:
        """Write it, in a runner greenlet."""
        _log.warning(self._text)
