"""`kill_walk`: an interruption at every switch of a scenario, one after the other.

A greenlet can be killed, or leave by a `gevent.Timeout`, wherever it can switch. Code that waits
must be right at every one of these places, and there are more of them than one would list: between
the moment a waiter is served and the moment it runs, for one. So a scenario is played once whole,
while `greenlet.settrace` counts its switches, and then again for each of them and each kind of
interruption.

The exception is not raised at the switch itself but, as by `gevent.Greenlet.kill` and by gevent's
timers, thrown by the hub, in line behind what has been scheduled by then. What is scheduled later
finds a greenlet that has left. Every order of the two that a real interruption can bring about
comes up, since every greenlet's turn begins with a switch.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import gevent
import greenlet
from gevent import get_hub, getcurrent
from gevent.exceptions import LoopExit

from galeph.testing.leaks import no_leaks

__all__ = ["Victim", "kill_walk"]

R = TypeVar("R")

# A play ends in milliseconds; what is stuck on nothing at all is noticed at once.
_LIMIT = 10.0


class Victim:
    """Whom a scenario lets `kill_walk` throw at: whatever calls `run`, for as long as that lasts.

    Attributes:
        thrown: what was thrown in this play, once it has been; None until then, and in the play
            that is only counted.
    """

    def __init__(self, exception: BaseException | None, number: int) -> None:
        self.thrown: BaseException | None = None
        self._exception = exception
        self._number = number
        self._switches = 0
        self._target: greenlet.greenlet | None = None
        self._spawned: list[gevent.Greenlet[..., Any]] = []
        self._error: BaseException | None = None

    def spawn(self, fn: Callable[..., object], *args: Any) -> gevent.Greenlet[..., Any]:
        """Start a greenlet that runs ``fn(*args)`` and may be thrown at.

        It ends quietly by what is thrown at it, and by errors that have it as their cause. Any
        other error fails the walk.
        """
        started = gevent.spawn(self._run_quietly, fn, args)
        self._spawned.append(started)
        return started

    def run(self, fn: Callable[..., R], *args: Any) -> R:
        """Call ``fn(*args)`` in this greenlet, which may be thrown at until it returns.

        For what a scenario does not start itself: a function in an operator, in a greenlet of the
        library's own. What it raises, what was thrown included, passes through.

        Raises:
            RuntimeError: another greenlet is in here.
        """
        if self._target is not None:
            raise RuntimeError("the victim is one greenlet at a time")
        self._target = getcurrent()
        try:
            # The switch that has brought it here.
            self._count()
            return fn(*args)
        finally:
            self._target = None

    def join(self) -> None:
        """Block until everything that was spawned has ended."""
        gevent.joinall(self._spawned)

    def _run_quietly(self, fn: Callable[..., object], args: tuple[Any, ...]) -> object:
        try:
            return self.run(fn, *args)
        except BaseException as error:
            if not self._explains(error):
                self._error = error
            return None

    def _explains(self, error: BaseException) -> bool:
        """Whether an error comes of what was thrown; then it forgets where it has been."""
        chain = [error]
        while chain[-1] is not self.thrown and (cause := chain[-1].__cause__) is not None:
            chain.append(cause)
        if chain[-1] is not self.thrown:
            return False
        for each in chain:
            # The frames would keep alive what a scenario may want to see collected.
            each.__traceback__ = None
        return True

    # Counting and throwing

    def _count(self) -> None:
        if self._target is None:
            return
        self._switches += 1
        if self._switches == self._number:
            get_hub().loop.run_callback(self._throw)

    def _throw(self) -> None:
        target, exception = self._target, self._exception
        if target is not None and exception is not None:
            self.thrown = exception
            target.throw(exception)

    def _play(self, scenario: Callable[[Victim], object]) -> None:
        """Run the scenario, traced."""
        previous: Any = greenlet.gettrace()

        def trace(event: str, ends: Any) -> None:
            if event in ("switch", "throw"):
                self._count()
            if previous is not None:
                previous(event, ends)

        greenlet.settrace(trace)
        try:
            with gevent.Timeout(_LIMIT, ref=False) as limit:
                scenario(self)
        except LoopExit as error:
            raise AssertionError("stuck: nothing is left that could go on") from error
        except gevent.Timeout as error:
            if error is not limit:
                raise
            raise AssertionError(f"stuck: the scenario did not end within {_LIMIT:g} s") from error
        finally:
            greenlet.settrace(previous)
        if self._error is not None:
            raise self._error


def kill_walk(
    scenario: Callable[[Victim], object],
    *,
    at_least: int,
    exceptions: tuple[type[BaseException], ...] = (greenlet.GreenletExit, gevent.Timeout),
    settle: float | None = 1.0,
) -> int:
    """Play a scenario again and again, interrupted at another switch each time.

    ``scenario(victim)`` builds its world anew, has somebody be the victim (`Victim.spawn`,
    `Victim.run`), lets it all run, and asserts at its end what must hold however the victim has
    fared::

        def scenario(victim):
            stream = Stream()
            taken = []
            victim.spawn(lambda: taken.append(stream.take()))
            stream.put_async("a")
            victim.join()
            assert ["a"] == taken + list(iter(partial(stream.try_take, 0), None))

        kill_walk(scenario, at_least=2)

    It is played whole first, while the switches of the process are counted for as long as there
    is a victim: N. Then, for each kind of exception, N times, with the exception thrown at the
    victim at the k-th switch.

    Blocks until all of that is done. Call it from the main greenlet.

    Args:
        scenario: see above. It should come out with the same switches each time.
        at_least: how many switches it is known to have. With fewer, the walk shows less than it
            is meant to.
        exceptions: what to throw: classes, called without arguments.
        settle: how many seconds the loop may run after a play before a greenlet, descriptor or
            watcher counts as left behind (`no_leaks`); None does not look.

    Returns:
        N.

    Raises:
        AssertionError: there are fewer switches than ``at_least``, or none at which the victim
            could be interrupted; or a play got stuck, or has left something.
        BaseException: what the scenario raised, or the victim for no reason that was thrown.

        Whichever it is, a note on it says in which play it was.
    """
    counted = Victim(None, 0)
    _play(counted, scenario, "played whole", settle)
    number = counted._switches
    if number < at_least:
        raise AssertionError(f"the scenario has {number} switches, and should have {at_least}")
    for exception in exceptions:
        was_thrown = False
        for switch in range(1, number + 1):
            victim = Victim(exception(), switch)
            play = f"{exception.__name__} at switch {switch} of {number}"
            _play(victim, scenario, play, settle)
            was_thrown = was_thrown or victim.thrown is not None
        if not was_thrown:
            raise AssertionError(f"{exception.__name__} has never reached the victim")
    return number


def _play(
    victim: Victim, scenario: Callable[[Victim], object], play: str, settle: float | None
) -> None:
    try:
        with nullcontext() if settle is None else no_leaks(settle):
            victim._play(scenario)
    except BaseException as error:
        gevent.killall(victim._spawned, block=False)
        error.add_note(f"kill_walk: {play}")
        raise


for _name in __all__:
    globals()[_name].__module__ = "galeph.testing"  # where users find them
del _name
