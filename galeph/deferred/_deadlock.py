"""Waits that nothing alive can end.

gevent throws `LoopExit` into the main greenlet of a thread whose loop has nothing left to run. It
says that something is waited for, not what. Whoever waited for something of galeph's hands it in
here, and gets it back as a `Deadlock` that does: the thing, where it was made, and why nobody will
do what is waited for. It is a `LoopExit` as well, for those who catch that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.exceptions import LoopExit

from galeph.deferred._origins import IS_DEBUG, origin_of
from galeph.errors import Deadlock

__all__ = ["Descent", "LoopDeadlock", "circular", "deadlock", "raise_deadlock"]


class LoopDeadlock(Deadlock, LoopExit):
    """A `Deadlock` that is gevent's `LoopExit` too."""

    # LoopExit makes its text of three arguments of the hub's.
    __str__ = Exception.__str__
    __repr__ = Exception.__repr__

    def __reduce__(self) -> tuple[Callable[..., LoopDeadlock], tuple[Any, ...]]:
        return _again, self.args


def _again(*args: Any) -> LoopDeadlock:
    return LoopDeadlock(*args)


# A traceback is to show the class that can be caught by that name, not the one behind it.
LoopDeadlock.__name__ = LoopDeadlock.__qualname__ = Deadlock.__name__
LoopDeadlock.__module__ = Deadlock.__module__


class Descent:
    """A way down from value to value, each of which may be another's; notices that it is a circle.

    As Brent does: with one place on the way, which moves on after twice as many steps each time.
    """

    __slots__ = ("_left", "_place", "_span")

    def __init__(self) -> None:
        self._place: object = None
        self._span = self._left = 1

    def was_at(self, thing: object) -> bool:
        """Go on to ``thing``; True if the way has led there before, in some round or the next."""
        if thing is self._place:
            return True
        self._left -= 1
        if not self._left:
            self._place = thing
            self._left = self._span = 2 * self._span
        return False


def circular(thing: object) -> LoopDeadlock:
    """The error of who looks for the value of what is, directly or further down, its own value."""
    return LoopDeadlock(f"{thing!r} has itself as its value, at some depth: so it has none")


def _made(thing: object) -> str:
    place = origin_of(thing)
    if place is not None:
        return f"made at {place}"
    if IS_DEBUG:
        return "made by galeph itself"
    return "GALEPH_DEBUG=1 in the environment tells where it was made"


def deadlock(
    error: BaseException, thing: object, act: str, *, remark: str | None = None
) -> LoopDeadlock | None:
    """Return `Deadlock`, to be raised from ``error``, if that says that the loop is out of work.

    Args:
        error: what came out of a wait.
        thing: what was waited for.
        act: what nobody can do, to be followed by the thing: ``"complete"``.
        remark: what to say of the thing, if not where it was made.
    """
    if not isinstance(error, LoopExit) or isinstance(error, Deadlock):
        return None
    return LoopDeadlock(
        f"nobody can {act} {thing!r} ({remark or _made(thing)}): this thread waits for it and has "
        "nothing else to do, no greenlet that can go on, no timer and no socket; and no other "
        "thread has been announced, as deferred(from_thread=True) does"
    )


def raise_deadlock(
    error: BaseException, thing: object, act: str, *, remark: str | None = None
) -> None:
    """Raise `Deadlock` from ``error`` where `deadlock` returns one; else do nothing."""
    told = deadlock(error, thing, act, remark=remark)
    if told is not None:
        raise told from error
