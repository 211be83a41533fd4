"""Where functions hung on a deferred run: one parked greenlet a hub.

User code must not run in the hub (it may block there never) and should not run in the greenlet
that realizes a deferred (that greenlet has its own work, and may be releasing something). So the
entries of a realized deferred go into one queue a hub, and a greenlet works the queue off in
order. Between batches it is parked; making a greenlet for every entry would take 15 µs of the
27 µs that one costs then.

One greenlet alone would deadlock: an entry that waits for a later one would wait for ever. Hence
the *hand-over*. Before an entry runs, a callback is left with the loop; the hub gets to it only
when the runner has blocked, or when the batch is done. If there is still work, it wakes the
parked runner or makes another. Whoever finishes parks, unless somebody is parked already. So
entries start in order, each once, and a blocked entry holds up nobody.

An entry that realizes another deferred only appends to the queue (a tail call): chains of any
length need no stack. A long queue gives way to the loop's I/O every few milliseconds.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any, Protocol, cast

from gevent.hub import Hub
from greenlet import getcurrent, greenlet

from galeph.deferred._entries import EntryQueue

__all__ = ["Runner", "RunnerGreenlet", "Work", "runner_of"]

# How long a queue may keep the loop from its I/O: what gevent allows its own callbacks (the
# interpreter's switch interval).
_SLICE = 0.005
# The clock is read after this many entries; a look costs 50 ns, an entry about 1 µs.
_LOOKS_AT_CLOCK = 15


class Work(Protocol):
    """Work that is no entry of a deferred: a stream's, or a report."""

    _entries: Any

    def run(self, work: Any, /) -> None:
        """Do it, in a runner greenlet. May block, must not raise."""


class RunnerGreenlet(greenlet):
    """A greenlet that works a queue off. Parked, it is no leak: it waits for the next deferred."""

    is_parked: bool = False


class Runner:
    """The queue of one hub, and the greenlets that work it off.

    What is queued is a realized deferred; it stays at the head until its last entry has begun.
    (``_hanging.dispatch`` puts it there.)
    """

    __slots__ = ("_is_resting", "_parked", "hub", "is_called", "work")

    def __init__(self, hub: Hub) -> None:
        self.hub: Any = hub
        self.work: deque[Any] = deque()
        self.is_called = False
        self._parked: RunnerGreenlet | None = None
        self._is_resting = False

    def __repr__(self) -> str:
        parked = "parked" if self._parked is not None else "not parked"
        return f"<Runner with {len(self.work)} waiting, {parked}>"

    def submit(self, work: Work) -> None:
        """Queue work that is its own entry. Never switches; only for the hub's own thread."""
        work._entries = work
        self.work.append(work)
        if not self.is_called:
            self.call()

    def call(self) -> None:
        """Have the hub see to the queue as soon as it comes to run."""
        self.is_called = True
        self.hub.loop.run_callback(self._hand_over)

    def _hand_over(self) -> None:
        """In the hub: nobody is running entries now, so have somebody do it if there are any."""
        self.is_called = False
        if not self.work or self._is_resting:
            return
        runner = self._parked
        if runner is None:
            runner = RunnerGreenlet(self._serve, self.hub)
        else:
            self._parked = None
            runner.is_parked = False
        runner.switch()

    def _serve(self) -> None:
        me = cast("RunnerGreenlet", getcurrent())
        while True:
            self._run_batch()
            if self._parked is not None:
                return
            self._parked = me
            me.is_parked = True
            try:
                self.hub.switch()
            except BaseException:
                # Thrown at from outside (a forgotten Timeout of an entry's, a kill of everything).
                if self._parked is me:
                    self._parked = None
                raise

    def _run_batch(self) -> None:
        work = self.work
        head = entry = queue = None
        until = monotonic() + _SLICE
        done = 0
        while work:
            if not self.is_called:
                self.call()
            head = work[0]
            entry = head._entries
            if type(entry) is EntryQueue:
                queue = entry
                entry, _ = queue.popitem(last=False)
                if not queue:
                    work.popleft()
                    head._entries = None
            else:
                work.popleft()
                head._entries = None
                if entry is None:
                    continue
            try:
                entry.run(head)
            except BaseException as error:
                # It may write to a log, and so block, after run() has used up the first one.
                if not self.is_called:
                    self.call()
                entry.fail(error)
            done += 1
            if not done & _LOOKS_AT_CLOCK and monotonic() >= until:
                self._rest()
                until = monotonic() + _SLICE
        # A frame that an error was raised under outlives its function, with what it names.
        head = entry = queue = None

    def _rest(self) -> None:
        """Let the loop see its I/O: a callback or ``sleep(0)`` would be run before it.

        Not `give_way`, which is for work of the lowest priority: what others wait for is here.
        """
        self._is_resting = True
        timer = self.hub.loop.timer(0)
        try:
            self.hub.wait(timer)
        finally:
            timer.close()
            self._is_resting = False
            if self.work and not self.is_called:
                self.call()


def runner_of(hub: Any) -> Runner:
    """The hub's runner. It is kept on the hub, so that it goes with it."""
    try:
        runner: Runner = hub.galeph_runner
    except AttributeError:
        runner = hub.galeph_runner = Runner(hub)
    return runner
