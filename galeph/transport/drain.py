"""How a server ends: in order if it can, and in time.

A drain tells every connection, by the hook it registered (`Connection.on_drain`) or, if it has
none and says it is idle, by closing it. What is left at the deadline is cut: transport reset,
greenlet killed. All of this is callbacks; a drain needs no greenlet, and a closed server leaves
none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from galeph import clock
from galeph.deferred import Deferred

if TYPE_CHECKING:
    from galeph.transport.serving import Connection

__all__ = ["Drain", "DrainReport"]

# What a killed greenlet gets to clean up before the drain is over without it.
_GRACE = 1.0


@dataclass(frozen=True, slots=True)
class DrainReport:
    """How a server's connections ended after `Server.close`.

    ``idle`` were closed at once, ``finished`` ended by themselves in time, ``cut`` were still at
    work at the timeout; of these, ``stuck`` did not end although their greenlet was killed.
    """

    idle: int
    finished: int
    cut: int
    stuck: int
    seconds: float


class Drain:
    """The end of a server: counts how its connections end, and cuts what takes too long.

    Args:
        connections: those of the server; whoever ends is taken out of it, and `note_end` called.
        on_end: called once, when none is left or the rest is given up.
    """

    def __init__(self, connections: set[Connection], on_end: Callable[[], object]) -> None:
        self._connections = connections
        self._on_end = on_end
        self._clock = clock.default()
        self._started = self._clock.monotonic()
        self._deadline = float("inf")
        self._timer: clock.Timer | None = None
        self._promises: list[Deferred[DrainReport]] = []
        self._report: DrainReport | None = None
        self._total = len(connections)
        self._idle = 0
        self._cut = 0

    def begin(self) -> None:
        """Tell every connection, or close it if it is idle."""
        for connection in tuple(self._connections):
            if connection.greenlet.dead:  # a Ctrl-C has hit its very last line
                connection.transport.close()
                self._connections.discard(connection)
                continue
            self._idle += connection.is_idle
            connection.drain()
        self.note_end()

    def end_within(self, timeout: float) -> Deferred[DrainReport]:
        """Cut what is left after ``timeout`` seconds, or sooner if that was said before."""
        promise: Deferred[DrainReport] = Deferred()
        if self._report is not None:
            promise.success(self._report)
            return promise
        self._promises.append(promise)
        deadline = self._clock.monotonic() + timeout
        if deadline < self._deadline and not self._cut:
            self._deadline = deadline
            self._set_timer(timeout, self._cut_all)
        return promise

    def note_end(self) -> None:
        """Look whether that was the last one."""
        if not self._connections and self._report is None:
            self._finish()

    def _cut_all(self) -> None:
        left = tuple(self._connections)
        self._cut = len(left)
        self._set_timer(_GRACE, self._finish)
        for connection in left:
            connection.cut()

    def _set_timer(self, seconds: float, fn: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.start_timer(seconds, fn)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._report = DrainReport(
            idle=self._idle,
            finished=self._total - self._idle - self._cut,
            cut=self._cut,
            stuck=len(self._connections),
            seconds=self._clock.monotonic() - self._started,
        )
        self._on_end()
        promises, self._promises = self._promises, []
        for promise in promises:
            promise.success(self._report)
