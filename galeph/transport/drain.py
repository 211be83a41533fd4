"""How a server ends: in order if it can, and in time.

A drain tells every connection, by the hook it registered (`Connection.on_drain`) or, if it has
none and says it is idle, by closing it. What is left at the deadline is cut: transport reset,
greenlet killed. All of this is callbacks; a drain needs no greenlet, and a closed server leaves
none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gevent import spawn_raw

from galeph import clock
from galeph.deferred import Deferred

if TYPE_CHECKING:
    from galeph.transport.serving import Connection

__all__ = ["Drain", "DrainReport"]

_log = logging.getLogger("galeph.server")

# What a killed greenlet gets to clean up before the drain is over without it.
_GRACE = 1.0
# Of those that were cut, in a log line.
_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class DrainReport:
    """How a server's connections ended after `Server.close`.

    ``idle`` were closed at once, ``finished`` ended by themselves in time, ``cut`` were still at
    work at the timeout; of these, ``stuck`` did not end although their greenlet was killed.
    ``cut_peers`` says who they were.
    """

    idle: int
    finished: int
    cut: int
    stuck: int
    seconds: float
    cut_peers: tuple[str, ...] = ()


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
        self._timeout = float("inf")
        self._deadline = float("inf")
        self._timer: clock.Timer | None = None
        self._promises: list[Deferred[DrainReport]] = []
        self._report: DrainReport | None = None
        self._total = len(connections)
        self._idle = 0
        self._cut_peers: tuple[str, ...] = ()

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
        if deadline < self._deadline and not self._cut_peers:
            self._deadline, self._timeout = deadline, timeout
            self._set_timer(timeout, self._cut_all)
        return promise

    def note_end(self) -> None:
        """Look whether that was the last one."""
        if not self._connections and self._report is None:
            self._finish()

    def _cut_all(self) -> None:
        left = tuple(self._connections)
        self._cut_peers = tuple(connection.peer for connection in left)
        self._set_timer(_GRACE, self._finish)
        for connection in left:
            connection.cut()
        if self._timeout:
            # In a greenlet of its own: a log handler may block, and this may be the hub.
            text = "%d connections had not ended within %s s of closing, and were cut: %s"
            shown = ", ".join(self._cut_peers[:_MOST_SHOWN])
            spawn_raw(_log.error, text, len(left), self._timeout, shown)

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
            finished=self._total - self._idle - len(self._cut_peers),
            cut=len(self._cut_peers),
            stuck=len(self._connections),
            seconds=self._clock.monotonic() - self._started,
            cut_peers=self._cut_peers,
        )
        self._on_end()
        promises, self._promises = self._promises, []
        for promise in promises:
            promise.success(self._report)
