"""Greenlets that wait, so that a kill or a Timeout at any switch loses nothing.

A waiter lies in a line of the object it waits for. Whoever serves it stores the outcome *in the
waiter* and schedules its wake-up through the hub. So when an exception reaches the greenlet first,
the waiter knows whether it was served already: if not it leaves the line, and if so the wake-up is
stopped and the outcome handed on. Nothing here runs user code, and nothing but `wait` switches.

`gevent.hub.Waiter` does the same for one value, but forgets it on an exception: that is the
message a gevent queue loses.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any, Final, Self

from gevent import get_hub, getcurrent

from galeph.clock import default as default_clock

__all__ = ["WAITING", "Interruption", "Limit", "Turn", "Waiter"]


class _Waiting(Enum):
    WAITING = "waiting"


WAITING: Final = _Waiting.WAITING


class Waiter:
    """A greenlet that waits for one outcome.

    ``outcome`` is WAITING until `serve` stores something else there.

    Args:
        call_soon: the ``loop.run_callback`` of the greenlet's hub. Given, because looking it up
            is 4 % of handing a message over, and streams have it.
    """

    __slots__ = ("_call_soon", "_greenlet", "_wake_up", "outcome")

    def __init__(self, call_soon: Any) -> None:
        self.outcome: Any = WAITING
        self._call_soon = call_soon
        self._greenlet: Any = getcurrent()
        self._wake_up: Any = None

    def serve(self, outcome: Any) -> bool:
        """Store the outcome and schedule the wake-up. Always True; never switches."""
        self.outcome = outcome
        self._wake_up = self._call_soon(self._greenlet.switch)
        return True

    def wait(self) -> None:
        """Block until served.

        Raises:
            BaseException: what was thrown into the greenlet. No wake-up comes any more; whether
                ``outcome`` is still WAITING says if the waiter had been served.
        """
        switch = get_hub().switch
        try:
            # A loop, because anybody may switch to a greenlet; only `serve` counts.
            while self.outcome is WAITING:
                switch()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """See that no wake-up comes any more. Never switches."""
        if self._wake_up is not None:
            self._wake_up.stop()
        self._greenlet = self._wake_up = None


class Interruption(BaseException):
    """Thrown into a greenlet to have it leave a wait; whoever throws it catches it there."""


_LEFT: Final = Interruption()


class Limit:
    """``with Limit(seconds) as limit``: leave the block when the time is over, or at `interrupt`.

    The greenlet goes on behind the block then. With None there is no time limit. Other
    exceptions, a `gevent.Timeout` of the user's included, pass through.
    """

    __slots__ = ("_greenlet", "_hub", "_raised", "_throw", "_timer")

    def __init__(self, seconds: float | None, hub: Any) -> None:
        self._hub = hub
        self._greenlet: Any = getcurrent()
        self._raised: Interruption | None = None
        self._throw: Any = None
        self._timer = None
        if seconds is not None:
            self._timer = default_clock().start_timer(seconds, self.interrupt)

    def interrupt(self) -> None:
        """Have the greenlet leave the block it is blocked in. Never switches."""
        if self._raised is None:
            # Through run_callback, because a manual clock fires its timers in the test's greenlet.
            self._raised = Interruption()
            self._throw = self._hub.loop.run_callback(self._greenlet.throw, self._raised)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> bool:
        if self._timer is not None:
            self._timer.cancel()
        if self._raised is None:
            # Too late from now on.
            self._raised = _LEFT
        elif self._throw is not None:
            self._throw.stop()
        return error is not None and error is self._raised


class Turn:
    """One greenlet at a time, strictly in the order they asked.

    A released turn belongs to the first in line from that moment, so nobody can overtake it.
    """

    __slots__ = ("_is_taken", "_line")

    def __init__(self) -> None:
        self._is_taken = False
        self._line: deque[Waiter] | None = None

    @property
    def is_taken(self) -> bool:
        """Whether somebody has the turn."""
        return self._is_taken

    def acquire(self, hub: Any) -> None:
        """Block until it is the caller's turn; an exception meanwhile gives it up."""
        if not self._is_taken:
            self._is_taken = True
            return
        if self._line is None:
            self._line = deque()
        waiter = Waiter(hub.loop.run_callback)
        self._line.append(waiter)
        try:
            waiter.wait()
        except BaseException:
            if waiter.outcome is WAITING:
                self._line.remove(waiter)
            else:
                self.release()
            raise

    def release(self) -> None:
        """Give the turn to the first in line. Never switches."""
        if self._line:
            self._line.popleft().serve(None)
        else:
            self._is_taken = False
