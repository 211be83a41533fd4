"""A clock that moves only when told to.

`ManualClock` is a `galeph.clock.Clock`. Given to an object, or made the default for a ``with``
block, it makes waits of any length pass in no time and in a fixed order: `advance` moves it past
one due timer after the other, and lets every greenlet run as far as it can in between, so that
what follows from the first timer has happened before the second one fires.

"As far as it can" is the loop's own word for it: an idle watcher fires when no callback, no timer
and no ready descriptor is left, loopback sockets included. Time is kept in whole nanoseconds:
ten steps of 0.1 s are one second, not a little less.

With ``jump_after`` nobody needs to advance it: whenever everything waits, the clock jumps to the
next timer by itself. What takes no part in the loop it cannot see waiting, an OS thread or another
process that will answer in a moment, which is why the loop can be given some real time first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Self

import gevent
from gevent import get_hub
from gevent.exceptions import LoopExit
from gevent.hub import Waiter

from galeph import clock as _clock
from galeph._arguments import check_finite, check_seconds
from galeph.deferred.producer import notes_origin, raise_deadlock

__all__ = ["ManualClock"]

_NANOSECONDS = 1_000_000_000
_SPINNING_AFTER = 10.0
# So many timers may lie in the heap before it is looked through for those that were cancelled.
_FEW = 64


class _ManualTimer:
    """A pending call. Cancelled it is in the heap for a while yet, without its function."""

    __slots__ = ("args", "due", "fn", "is_waited_for", "order")

    def __init__(
        self, due: float, order: int, fn: Callable[..., object], args: tuple[Any, ...], *, ref: bool
    ) -> None:
        self.due = due
        self.order = order
        self.fn: Callable[..., object] | None = fn
        self.args = args
        self.is_waited_for = ref

    def __lt__(self, other: _ManualTimer) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> None:
        self.fn, self.args = None, ()
        self.is_waited_for = False

    def fire(self) -> None:
        fn, args = self.fn, self.args
        self.cancel()
        if fn is not None:
            fn(*args)


@notes_origin
class ManualClock:
    """A clock for tests, standing still until `advance`.

    As a context manager it is the default clock inside the block::

        with ManualClock() as clock:
            greenlet = gevent.spawn(deferred.deferred().timeout(60).result)
            clock.advance(60)

    It belongs to one hub, as its sleepers do.

    Args:
        start: what `monotonic` says at first.
        wall: what `time` says at first, in seconds since the epoch.
        jump_after: None to stand still until `advance`. Otherwise the clock jumps to the next
            timer whenever the loop has had nothing to do for so many real seconds; 0 is right
            unless threads or other processes take part. While it has a timer to jump to it keeps
            the loop alive. A timer with ``ref=False`` fires on the way, but is no reason to jump.

    Raises:
        TypeError, ValueError: an argument is no finite number, or ``jump_after`` is negative.
    """

    def __init__(
        self,
        *,
        start: float = 0.0,
        wall: float = 1_735_689_600.0,
        jump_after: float | None = None,
    ) -> None:
        check_finite("start", start)
        check_finite("wall", wall)
        check_seconds("jump_after", jump_after, zero=True, finite=True)
        self._jumper = None if jump_after is None else _Jumper(jump_after, self._jump)
        self._now = round(start * _NANOSECONDS)
        self._wall_offset = round(wall * _NANOSECONDS) - self._now
        self._timers: list[_ManualTimer] = []
        self._sweep_at = _FEW
        self._order = count()
        self._advancing = False
        self._previous: _clock.Clock | None = None

    def __repr__(self) -> str:
        waiting = sum(timer.fn is not None for timer in self._timers)
        return f"<ManualClock at {self.monotonic():g} s, {waiting} waiting>"

    def __enter__(self) -> Self:
        if self._previous is not None:
            raise RuntimeError("this ManualClock is the default already")
        self._previous = _clock.set_default(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        previous, self._previous = self._previous, None
        if previous is not None:
            _clock.set_default(previous)
        if self._jumper is not None:
            self._jumper.stop()

    # The Clock

    def monotonic(self) -> float:
        """Seconds, as far as this clock has been advanced."""
        return self._now / _NANOSECONDS

    def time(self) -> float:
        """Seconds since the epoch: the wall clock it was given, moved on by `advance`."""
        return (self._now + self._wall_offset) / _NANOSECONDS

    def sleep(self, seconds: float) -> None:
        """Block the calling greenlet until the clock has been advanced by this much.

        Raises:
            Deadlock: nobody is left who could advance it.
        """
        if seconds <= 0:
            gevent.sleep(0)
            return
        waiter: Any = Waiter()
        timer = self.start_timer(seconds, waiter.switch, None)
        try:
            waiter.get()
        except LoopExit as error:
            raise_deadlock(error, self, "advance")
            raise
        finally:
            timer.cancel()

    def start_timer(
        self,
        seconds: float,
        fn: Callable[..., object],
        *args: Any,
        ref: bool = True,
    ) -> _ManualTimer:
        """Call ``fn(*args)`` in the hub once the clock has been advanced by this much.

        ``ref`` matters only to a clock that jumps; no timer of another keeps the loop alive.
        """
        nanoseconds = max(seconds * _NANOSECONDS, 0.0)
        # What is too long for a number is never due, as with a real clock.
        due = math.inf if nanoseconds == math.inf else self._now + round(nanoseconds)
        timer = _ManualTimer(due, next(self._order), fn, args, ref=ref)
        if len(self._timers) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._timers, timer)
        if self._jumper is not None and not self._advancing:
            self._jumper.start()
        return timer

    def _sweep(self) -> None:
        """Forget the timers that were cancelled, which may be most of them."""
        timers = self._timers
        timers[:] = [timer for timer in timers if timer.fn is not None]
        heapq.heapify(timers)
        self._sweep_at = max(_FEW, 2 * len(timers))

    # Moving it

    def advance(self, seconds: float) -> None:
        """Let this much time pass, timer by timer.

        Blocks until everything that can run has run: before the clock moves, after each timer
        that became due on the way (the earliest first, those of one moment in the order they
        were started) and at the end. A timer started on the way fires too when it becomes due
        within ``seconds``. ``advance(0)`` only lets everything run.

        When a timer's function raises, the hub prints it and time goes on, as with a real one.

        Args:
            seconds: by how much, not negative, and finite.

        Raises:
            TypeError, ValueError: ``seconds`` is no number, negative or has no end; `jump_wall`
                moves the wall clock back.
            RuntimeError: another greenlet is advancing this clock, or some greenlet has kept the
                loop busy for ten real seconds (a loop around ``sleep(0)``, or endless I/O): have
                it wait for what it waits for.
        """
        check_finite("seconds", seconds)
        if seconds < 0:
            raise ValueError("seconds must not be negative: a monotonic clock never goes back")
        if not seconds * _NANOSECONDS < math.inf:
            raise ValueError(f"seconds must be finite, not {seconds!r}: no clock gets there")
        if self._advancing:
            raise RuntimeError("this ManualClock is being advanced by another greenlet")
        self._advancing = True
        if self._jumper is not None:
            self._jumper.stop()
        try:
            self._advance_to(self._now + round(seconds * _NANOSECONDS))
        finally:
            self._advancing = False
            if self._jumper is not None and self._timers:
                self._jumper.start()

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back by this much; waits do not notice."""
        check_finite("seconds", seconds)
        self._wall_offset += round(seconds * _NANOSECONDS)

    def _advance_to(self, target: int) -> None:
        _run_dry()
        while self._timers and self._timers[0].due <= target:
            timer = heapq.heappop(self._timers)
            if timer.fn is None:
                continue
            self._now = int(timer.due)
            get_hub().loop.run_callback(timer.fire)
            _run_dry()
        self._now = target

    def _jump(self) -> bool:
        """In the idle hub: fire the next timer; False if nobody waits for any."""
        timers = self._timers
        while timers and timers[0].fn is None:
            heapq.heappop(timers)
        if not any(timer.is_waited_for and timer.due < math.inf for timer in timers):
            return False
        timer = heapq.heappop(timers)
        self._now = int(timer.due)
        timer.fire()
        return True


class _Jumper:
    """Calls a function when the loop has been idle for a while, until that returns False."""

    __slots__ = ("_after", "_idle", "_jump", "_quiet", "_stirring")

    def __init__(self, after: float, jump: Callable[[], bool]) -> None:
        self._after = after
        self._jump = jump
        self._idle: Any = None
        self._quiet: Any = None
        self._stirring: Any = None

    def start(self) -> None:
        if self._idle is None and self._quiet is None:
            self._idle = get_hub().loop.idle()
            self._idle.start(self._on_idle)

    def stop(self) -> None:
        for watcher in (self._idle, self._quiet, self._stirring):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._idle = self._quiet = self._stirring = None

    def _on_idle(self) -> None:
        if self._after:
            self._wait_for_quiet()
        else:
            self._leap()

    def _wait_for_quiet(self) -> None:
        """Jump when the loop's next turn is the timer's; otherwise something has stirred."""
        self.stop()
        loop = get_hub().loop
        self._quiet = loop.timer(self._after)
        self._quiet.start(self._on_quiet, update=True)
        self._stirring = loop.prepare(ref=False)
        # In its second turn, that is: the first is the one that goes to sleep.
        self._stirring.start(self._on_turn, [])

    def _on_turn(self, turns: list[None]) -> None:
        turns.append(None)
        if len(turns) > 1:
            self.stop()
            self.start()

    def _on_quiet(self) -> None:
        self.stop()
        self.start()
        self._leap()

    def _leap(self) -> None:
        if not self._jump():
            self.stop()


def _run_dry() -> None:
    """Block until no greenlet of this hub can go on by itself."""
    hub = get_hub()
    watcher: Any = hub.loop.idle()
    with gevent.Timeout(_SPINNING_AFTER) as limit:
        try:
            hub.wait(watcher)
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            raise RuntimeError(
                f"the loop was still busy after {_SPINNING_AFTER:g} s: some greenlet never waits"
            ) from expired
        finally:
            watcher.close()
