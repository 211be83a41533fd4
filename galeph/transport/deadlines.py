"""Deadlines of many connections by one sweep a second, not by a timer each.

A connection carries a mark, ``deadline``, that is set by plain assignment: on the path of a
request that costs a clock read and nothing else. The sweep looks at a connection only when the
second comes in which its mark *was* due when it was last looked at, and at the latest every two
seconds: with ten thousand connections a tick costs two milliseconds.

A mark that moves to an *earlier* second is met up to two seconds late, unless it is announced
with `hurry` (a head that begins to dribble in on a connection that was idle).
"""

from __future__ import annotations

from typing import Any, Protocol

from gevent import get_hub

from galeph.clock import Clock, Timer
from galeph.clock import default as default_clock

__all__ = ["NEVER", "Deadlines", "Guarded", "hub_deadlines"]

NEVER = float("inf")
# How long a connection is left alone at most before its mark is looked at again: a mark that has
# moved to an earlier second is met at most this much later.
_RECHECK_AFTER = 2
# A process that was stopped, or whose hub was blocked, for longer than this must first read what
# has arrived meanwhile: nobody's time has run out while nobody could look.
_PAUSE = 3.0


def hub_deadlines() -> Deadlines:
    """Return the one that clients share: one a hub and clock, made at first use."""
    hub: Any = get_hub()
    shared: Deadlines | None = getattr(hub, "galeph_deadlines", None)
    if shared is None or shared.clock is not default_clock():
        # Kept on the hub, so that it goes with it.
        shared = hub.galeph_deadlines = Deadlines(default_clock())
    return shared


class Guarded(Protocol):
    """Something whose time can run out."""

    deadline: float

    def expire(self) -> None:
        """Act on the deadline: runs in the hub, so it neither blocks nor raises."""


class Deadlines:
    """Watches over the deadlines of everything registered with `watch`."""

    __slots__ = ("_buckets", "_due", "_ticked", "_timer", "clock")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._buckets: dict[int, set[Guarded]] = {}
        # The second in whose bucket each guarded stands.
        self._due: dict[Guarded, int] = {}
        self._timer: Timer | None = None
        self._ticked = 0.0

    def __len__(self) -> int:
        return len(self._due)

    def watch(self, guarded: Guarded) -> None:
        """Begin to watch; the deadline may be changed by assignment from now on."""
        self._place(guarded, self.clock.monotonic())
        if self._timer is None:
            self._ticked = self.clock.monotonic()
            self._timer = self.clock.start_timer(1.0, self._tick, ref=False)

    def hurry(self, guarded: Guarded) -> None:
        """Take note that the deadline is earlier than it was."""
        second = self._due.get(guarded)
        if second is not None and guarded.deadline < second:
            self._remove(guarded, second)
            self._place(guarded, self.clock.monotonic())

    def forget(self, guarded: Guarded) -> None:
        """Stop watching. Never switches."""
        second = self._due.pop(guarded, None)
        if second is not None:
            self._remove(guarded, second)
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clear(self) -> None:
        """Stop watching all of them. Never switches."""
        for guarded in list(self._due):
            self.forget(guarded)

    def _place(self, guarded: Guarded, now: float) -> None:
        due = min(guarded.deadline, now + _RECHECK_AFTER)
        second = int(max(due, now)) + 1
        self._due[guarded] = second
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = {guarded}
        else:
            bucket.add(guarded)

    def _remove(self, guarded: Guarded, second: int) -> None:
        bucket = self._buckets.get(second)
        if bucket is not None:
            bucket.discard(guarded)
            if not bucket:
                del self._buckets[second]

    def _tick(self) -> None:
        now = self.clock.monotonic()
        paused = now - self._ticked > _PAUSE
        self._ticked = now
        self._timer = self.clock.start_timer(1.0, self._tick, ref=False)
        if not paused:
            for second in [one for one in self._buckets if one <= now]:
                for guarded in self._buckets.pop(second, ()):
                    if guarded not in self._due:
                        continue  # forgotten by what another one's expiry brought about
                    if guarded.deadline <= now:
                        # Once is enough: whoever expires sets a new deadline or is forgotten.
                        guarded.deadline = NEVER
                        self._place(guarded, now)
                        guarded.expire()
                        self.hurry(guarded)
                    else:
                        self._place(guarded, now)
