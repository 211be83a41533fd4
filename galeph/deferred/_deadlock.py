"""Waits that nothing alive can end.

gevent throws `LoopExit` into the main greenlet of a thread whose loop has nothing left to run. It
says that something is waited for, not what. Whoever waited for something of galeph's hands it in
here, and gets it back as a `Deadlock` that does: the thing, where it was made, and why nobody will
do what is waited for. It is a `LoopExit` as well, for those who catch that.
"""

from __future__ import annotations

from gevent.exceptions import LoopExit

from galeph.deferred._origins import IS_DEBUG, origin_of
from galeph.errors import Deadlock

__all__ = ["LoopDeadlock", "raise_deadlock"]


class LoopDeadlock(Deadlock, LoopExit):
    """A `Deadlock` that is gevent's `LoopExit` too."""

    # LoopExit makes its text of three arguments of the hub's.
    __str__ = Exception.__str__
    __repr__ = Exception.__repr__


def raise_deadlock(error: BaseException, thing: object, act: str) -> None:
    """Raise `Deadlock` if ``error`` says that the loop is out of work; else do nothing.

    Args:
        error: what came out of a wait.
        thing: what was waited for.
        act: what nobody can do, to be followed by the thing: ``"complete"``.
    """
    if not isinstance(error, LoopExit) or isinstance(error, Deadlock):
        return
    place = origin_of(thing)
    if place is not None:
        made = f"made at {place}"
    elif IS_DEBUG:
        made = "made by galeph itself"
    else:
        made = "GALEPH_DEBUG=1 in the environment tells where it was made"
    raise LoopDeadlock(
        f"nobody can {act} {thing!r} ({made}): this thread waits for it and has nothing else to "
        "do, no greenlet that can go on, no timer and no socket; and no other thread has been "
        "announced, as deferred(from_thread=True) does"
    ) from error
