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
from weakref import ref

from gevent import get_hub, getcurrent

from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub, on_ready
from galeph.stream.interfaces import END, EXPIRED, Source
from galeph.stream.queue_stream import Stream
from galeph.stream.steps import Drawing, NotYet, State

if TYPE_CHECKING:
    from galeph.stream.lanes import Lane
    from galeph.stream.operators import Derived

__all__ = ["MOST_NESTED", "Taking", "call_in_turn", "go_inside", "resume_in_turn", "take_inside"]

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


class Taking(Drawing):
    """The messages of a source, as a series for a lane, which waits without a greenlet.

    While it waits the source holds it, so that it hears of the end of the operator whatever else is
    dropped with that: the take must not outlive it.

    Args:
        source: where they are.
        reader: the operator whose series it is.
    """

    __slots__ = ("_reader", "_take", "_taken", "source")

    def __init__(self, source: Source[Any], reader: Derived) -> None:
        self.source = source
        self._reader = ref(reader, self._let_go_soon)
        # A queue takes from nobody else, and need not be counted: a tenth of what a message costs.
        is_queue = isinstance(source, Stream)
        self._take = source._take if is_queue else partial(take_inside, source._take)
        # A take that is under way.
        self._taken: Deferred[Any] | None = None

    def __next__(self) -> Any:
        message = self._next()
        if message is END:
            raise StopIteration
        return message

    def _next(self) -> Any:
        taken = self._taken
        if taken is None:
            message = self._take(0)
            if message is not EXPIRED:
                return message
            taken = self._taken = self.source.take_async(END)
            self.source._drawn_by = self
        if not taken.ready():
            raise NotYet(self._wait)
        self._taken = None
        self._leave()
        return taken.get()

    def _leave(self) -> None:
        """Be held by the source no longer than that is needed."""
        self.source._drawn_by = None

    def _wait(self, wake: Callable[[], None]) -> Callable[[], None]:
        if self._taken is not None:
            on_ready(self._taken, wake)
        return self.withdraw

    def withdraw(self) -> None:
        """Take back the take that is under way, and give back what it has got. Never switches."""
        taken, self._taken = self._taken, None
        if taken is None:
            return
        self._leave()
        if taken.cancel():
            return
        if taken.exception is None and taken.value is not END:
            self.source._give_back(taken.value)

    def _let_go_soon(self, _: object) -> None:
        """Hear that the operator has died. In the garbage collector, on any thread."""
        call_in_hub(self.source._hub, self.let_go)

    def let_go(self) -> None:
        self.withdraw()


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
