"""How deep streams may reach into one another: a take inside a take, an end that brings another.

A chain of operators is gone through in a loop. But a source may hold others: those that a `concat`
gives one after another, those that a `zip` draws on. A take from it takes from one of them, and
that perhaps from one of its own, each seven to ten frames further down. So a take counts those that
it stands in, by a number that its greenlet carries (`take_inside`, `go_inside`). Below the
last that has room nobody takes at once: it is asked for the message, and brings it from a greenlet
with a stack of its own. That takes a turn of the loop, so a take without waiting finds nothing
there, as with a connection.

What never switches cannot wait for the loop: an end that brings another, a lane that has room and
lets another go on. There the next is dealt with when the first has been (`call_in_turn`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub, getcurrent

from galeph.stream.interfaces import EXPIRED
from galeph.stream.steps import State

if TYPE_CHECKING:
    from galeph.stream.lanes import Lane

__all__ = ["MOST_NESTED", "call_in_turn", "go_inside", "resume_in_turn", "take_inside"]

# How many takes may stand in one another in one greenlet. Seven to ten frames each: a quarter of
# the stack that Python allows by default, the rest is the program's.
MOST_NESTED: Final = 24


def take_inside(take: Callable[[Any], Any], timeout: float | None) -> Any:
    """Call ``take(timeout)`` in another take: EXPIRED at once if too many stand in one another."""
    greenlet: Any = getcurrent()
    depth = getattr(greenlet, "galeph_nested", 0)
    if depth >= MOST_NESTED:
        return EXPIRED
    greenlet.galeph_nested = depth + 1
    try:
        return take(timeout)
    finally:
        greenlet.galeph_nested = depth


def go_inside(greenlet: Any) -> bool:
    """Count a greenlet, that is to be started on this one's stack, as one take further down.

    False if that is too far: it then has to be started by the hub, and counts from the start.
    """
    depth = getattr(getcurrent(), "galeph_nested", 0)
    if depth >= MOST_NESTED:
        return False
    greenlet.galeph_nested = depth + 1
    return True


def call_in_turn(fn: Callable[[], object]) -> None:
    """Call ``fn()``; if that is what another such call brings, not before that one is over.

    So the first call returns when all that it brings are over. Never switches, as ``fn`` must not.
    If one raises, the others are called by the loop.
    """
    greenlet: Any = getcurrent()
    brought = getattr(greenlet, "galeph_turns", None)
    if brought is not None:
        brought.append(fn)
        return
    left = [fn]
    try:
        while left:
            brought = greenlet.galeph_turns = []
            try:
                left.pop()()
            finally:
                # In their order, and before what comes from further up.
                left += reversed(brought)
    finally:
        greenlet.galeph_turns = None
        for each in reversed(left):
            get_hub().loop.run_callback(call_in_turn, each)


def resume_in_turn(lane: Lane) -> None:
    """Have a lane that waits for others go on, and then those that wait for it. Never switches."""
    if lane.outlet.parents:
        call_in_turn(partial(_resume, lane))
    else:
        _resume(lane)


def _resume(lane: Lane) -> None:
    if lane.state is State.WAITING:
        lane.resume()
