"""Sources and sinks of other people's queues: gevent's, and those of the standard library.

A queue knows no end, so closing what stands for one leaves the queue as it is: others may put into
it. One that its owner has shut down ends the source, after its last message, and closes the sink.

gevent's queues wait in the hub, and a greenlet that is killed there leaves its message.

**The standard library's** block the whole OS thread, and with it every greenlet: they are for
talking to other threads. So nobody waits in them. A take looks without waiting, and where there is
nothing it looks again, after `_FIRST_PAUSE` and then after twice as long each time up to
`_LONGEST_PAUSE`; so does a put into a full one. A message is therefore noticed up to that long
after it came, and while somebody waits the looks cost 0.3 % of a core (measured). A helper thread
that waits inside the queue would be told at once, but it would hold a message in its hand whenever
the take it waits for is killed, with nowhere to put it back.

In a patched process their locks are gevent's, and a greenlet switches in one that it need not wait
for: `threading.Condition.notify` tries the lock that is held. `queue.Queue` does that with the
message in its hand, where a kill would lose it, or would leave unwoken who waits for what was put.
So `_get_last` and `_put_last` do the same steps in another order: notify, then move.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent.lock import BoundedSemaphore
from gevent.monkey import get_original
from gevent.queue import Channel, Empty, Full, ShutDown, SimpleQueue

from galeph.clock import default as default_clock
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.waiters import Limit

__all__ = ["QueueSink", "QueueSource", "is_queue"]

# Any: gevent's types do not know that several may be asked for.
_BLOCKING: Any = ["Queue", "SimpleQueue"]

_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.02

# Python 3.13 has one of its own.
_SHUT_DOWN: tuple[type[Exception], ...] = (ShutDown, getattr(queue, "ShutDown", ShutDown))


def is_queue(x: object) -> bool:
    """Whether `QueueSource` and `QueueSink` know how to use ``x``."""
    return isinstance(x, (SimpleQueue, Channel)) or _blocks_its_thread(x)


def _blocks_its_thread(x: object) -> bool:
    # In a patched process, the module's own are gevent's.
    return isinstance(x, tuple(get_original("queue", _BLOCKING)))


def _moves_unsafely(x: Any, *methods: str) -> bool:
    """Whether a queue's own methods lose a message, or a waiter, with a greenlet killed there."""
    kind: Any = get_original("queue", "Queue")
    return (
        isinstance(x, kind)
        and isinstance(x.mutex, BoundedSemaphore)
        # What somebody has made of them is his.
        and all(getattr(type(x), method) is getattr(kind, method) for method in methods)
    )


class QueueSource(ActiveSource[Any]):
    """The messages of a queue."""

    _kind = "queue"
    _limit: Limit | None = None

    def __init__(self, messages: Any) -> None:
        super().__init__()
        self._queue = messages
        self._is_looking = _blocks_its_thread(messages)
        self._get_nowait = (
            partial(_get_last, messages)
            if _moves_unsafely(messages, "get_nowait", "get")
            else messages.get_nowait
        )

    def _receive(self) -> Any:
        if self._ended:
            return END
        try:
            with Limit(None, self._hub) as self._limit:
                return _look_until(self._get_nowait) if self._is_looking else self._queue.get()
        except _SHUT_DOWN:
            self._end()
        finally:
            self._limit = None
        return END

    def _receive_ready(self) -> Any:
        if self._ended:
            return END
        try:
            return self._get_nowait()
        except Empty:
            return EXPIRED
        except _SHUT_DOWN:
            self._end()
            return END

    def close(self) -> None:
        """Take no more from the queue. It stays as it is; a greenlet that waits gets the end."""
        self._end()
        if self._limit is not None:
            self._limit.interrupt()

    def description(self) -> dict[str, object]:
        return super().description() | _facts(self._queue)


class QueueSink(ActiveSink[Any]):
    """A queue to put into."""

    _kind = "queue"

    def __init__(self, messages: Any) -> None:
        super().__init__()
        self._queue = messages
        self._is_looking = _blocks_its_thread(messages)
        self._put_nowait = (
            partial(_put_last, messages)
            if _moves_unsafely(messages, "put_nowait", "put")
            else messages.put_nowait
        )

    def _transmit(self, message: Any) -> bool:
        try:
            if self._is_looking:
                _look_until(self._put_nowait, message)
            else:
                self._queue.put(message)
        except _SHUT_DOWN:
            self._shut()
            return False
        return True

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        if self._closed:
            return False
        try:
            self._put_nowait(message)
        except Full:
            return EXPIRED
        except _SHUT_DOWN:
            self._shut()
            return False
        return True

    def close(self) -> None:
        """Put no more into the queue. It stays as it is."""
        self._shut()

    def fail(self, error: BaseException) -> None:  # noqa: ARG002  (a queue cannot tell it)
        """Put no more into the queue, which cannot say why."""
        self._shut()

    def description(self) -> dict[str, object]:
        return super().description() | _facts(self._queue)


def _look_until(attempt: Callable[..., Any], *args: Any) -> Any:
    """Block the greenlet, and only it, until ``attempt(*args)`` neither finds it empty nor full."""
    clock = default_clock()
    pause = _FIRST_PAUSE
    while True:
        try:
            return attempt(*args)
        except (Empty, Full):
            # It is no part of what may be raised next.
            pass
        clock.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _get_last(messages: Any) -> Any:
    """`get_nowait` of a queue whose lock switches, which takes the message after all switches."""
    with messages.not_full:
        if not messages._qsize():
            raise ShutDown if getattr(messages, "is_shutdown", False) else Empty
        messages.not_full.notify()
        return messages._get()


def _put_last(messages: Any, message: Any) -> None:
    """`put_nowait` of a queue whose lock switches, which puts the message after all switches."""
    with messages.not_empty:
        if getattr(messages, "is_shutdown", False):
            raise ShutDown
        if 0 < messages.maxsize <= messages._qsize():
            raise Full
        messages.not_empty.notify()
        messages._put(message)
        messages.unfinished_tasks += 1


def _facts(messages: Any) -> dict[str, object]:
    """What a queue says of itself; a capacity of None is no limit."""
    limit = 0 if isinstance(messages, Channel) else getattr(messages, "maxsize", None)
    if limit is not None and limit <= 0 and not isinstance(messages, Channel):
        limit = None
    return {
        "of": type(messages).__name__,
        "buffer_size": messages.qsize(),
        "buffer_capacity": limit,
    }
