"""One at a time, in the order of asking, and nothing lost when somebody leaves.

`Turns` orders the senders of a transport. It is not a lock from `gevent.lock`: those are not
first-in-first-out, cannot be failed as a whole, and cannot pass a place in the queue on to another
greenlet, which a send that was accepted and then killed needs. Ending a turn never switches.

A turn is handed over by scheduling the next waiter's switch. Between the scheduling and the switch
the waiter may be killed; it finds itself no longer in the queue, knows by this that the turn is
its own, and hands it on.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from gevent.hub import Waiter

__all__ = ["Turns"]


class Turns:
    """A queue of greenlets that use something one after the other.

    ``is_taken`` is True while somebody has the turn; a caller that needs no switch in between may
    go ahead without asking when it is False.
    """

    __slots__ = ("_hub", "_queue", "is_taken")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._queue: deque[Waiter[None]] | None = None
        self.is_taken = False

    def take(self) -> None:
        """Block until it is the caller's turn. Whatever is raised instead, the turn is not held."""
        if not self.is_taken:
            self.is_taken = True
            return
        waiter = self.join()
        try:
            waiter.get()
        except BaseException:
            self.leave(waiter)
            raise

    def join(self) -> Waiter[None]:
        """Queue, without blocking; the result's ``get`` returns when the turn has come."""
        waiter: Waiter[None] = Waiter(self._hub)
        if self._queue is None:
            self._queue = deque()
        self._queue.append(waiter)
        return waiter

    def leave(self, waiter: Waiter[None]) -> None:
        """Give up a place in the queue, or the turn if it has just been handed over."""
        if self._queue and waiter in self._queue:
            self._queue.remove(waiter)
        else:
            self.end()

    def pass_on(self, waiter: Waiter[None]) -> Waiter[None]:
        """Replace a place in the queue by another, whose ``get`` waits for the same turn."""
        heir: Waiter[None] = Waiter(self._hub)
        if self._queue and waiter in self._queue:
            self._queue[self._queue.index(waiter)] = heir
        else:
            heir.switch(None)  # nobody waits on it yet: this stores that the turn has come
        return heir

    def end(self) -> None:
        """Hand the turn to the next in the queue. Never switches."""
        if self._queue:
            waiter = self._queue.popleft()
            self._hub.loop.run_callback(waiter.switch, None)
        else:
            self.is_taken = False

    def fail(self, error: Exception) -> None:
        """Wake everybody in the queue with ``error``. Never switches."""
        for waiter in self._queue or ():
            self._hub.loop.run_callback(waiter.throw, error)
