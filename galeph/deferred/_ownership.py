"""What becomes of the work, and of a value that must be given back, when nobody wants it.

The rules are those of ``producer``; this is what carries them out. Nothing here switches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from gevent.event import AsyncResult

from galeph.deferred._crossing import call_in_hub
from galeph.deferred._hanging import has_company, thread_ident
from galeph.deferred._outcome import DECIDED, NOTHING, cancelled
from galeph.errors import Cancelled

if TYPE_CHECKING:
    from galeph.deferred._deferred import Deferred

__all__ = [
    "Bond",
    "Bonds",
    "Left",
    "call_off",
    "cancel",
    "hand_on",
    "in_own_thread",
    "let_go",
    "refuse",
    "take",
]

_base_set = AsyncResult.set
_base_set_exception = AsyncResult.set_exception


def refuse(deferred: Deferred[Any], token: object | None, value: Any = NOTHING) -> bool:
    """See to a call that does not decide the outcome; always False."""
    if deferred._value is NOTHING and deferred._claim is not DECIDED:
        if token is None:
            return False  # claimed by somebody else
        if deferred._claim is None:
            raise RuntimeError("a token for a deferred that nobody has claimed")
        raise RuntimeError("the token is not that of this deferred's claim")
    dispose = deferred._dispose
    if dispose is not None and value is not NOTHING and value is not deferred._value:
        in_own_thread(deferred, dispose, value)
    return False


def in_own_thread(deferred: Deferred[Any], fn: Callable[[Any], object], argument: Any) -> None:
    """Call ``fn(argument)`` in the thread that ``deferred`` belongs to; at once if this is it."""
    hub: Any = deferred.hub
    if hub is None or hub.thread_ident == thread_ident():
        fn(argument)
    else:
        call_in_hub(hub, fn, argument)


class Bond:
    """Dies with the last deferred of a value; if nobody has taken it, ``fn`` is called in the hub.

    The deferreds that a value goes through unchanged share it.
    """

    __slots__ = ("_fn", "_hub")

    def __init__(self, hub: Any, fn: Callable[[], object]) -> None:
        self._hub = hub
        self._fn: Callable[[], object] | None = fn

    def cut(self) -> None:
        """Somebody has the value, and gives it back himself."""
        self._fn = None

    def __del__(self) -> None:
        # In the garbage collector, on any thread: no more than this.
        if self._fn is not None:
            call_in_hub(self._hub, self._fn)


class Bonds(NamedTuple):
    """Those of the values in a list."""

    bonds: list[Bond | Bonds]

    def cut(self) -> None:
        for bond in self.bonds:
            bond.cut()


def take(deferred: Deferred[Any]) -> None:
    """Note that the value of an owner goes to somebody, who gives it back himself."""
    deferred._is_taken = True
    if deferred._bond is not None:
        deferred._bond.cut()


def hand_on(sources: list[Deferred[Any]], result: Deferred[Any]) -> None:
    """Have a result share the bonds of the owners it has its value, or values, from."""
    bonds: list[Bond | Bonds] = []
    for source in sources:
        source._is_taken = True
        if source._bond is not None:
            bonds.append(source._bond)
    if bonds:
        result._bond = bonds[0] if len(bonds) == 1 else Bonds(bonds)


class Left(NamedTuple):
    """A deferred that somebody has left, and why.

    A function given to `on_cancel` may return one, in place of letting go of it: rows of deferreds
    are left in a loop, because they may be longer than a stack.
    """

    deferred: Deferred[Any]
    reason: BaseException | None


def call_off(deferred: Deferred[Any], reason: BaseException) -> None:
    """Tell whoever does the work that it is not wanted any more."""
    fn, deferred._on_cancel = deferred._on_cancel, None
    if fn is not None:
        in_own_thread(deferred, partial(_leave, fn), reason)


def _leave(fn: Callable[[BaseException], object], reason: BaseException) -> None:
    left = fn(reason)
    if type(left) is Left:
        let_go(*left)


def cancel(deferred: Deferred[Any], reason: object) -> bool:
    """Do what `Deferred.cancel` says."""
    error = cancelled(reason)
    if not deferred._fail(error, None):
        return False
    call_off(deferred, error)
    return True


def let_go(deferred: Deferred[Any], reason: BaseException | None) -> None:
    """See to an owner after somebody who waited or hung on it left without the outcome.

    Of one that owns nothing yet it is noted: that it does may turn out later (see `owns`).
    """
    left: object = Left(deferred, reason)
    while type(left) is Left:
        left = _let_go(*left)


def _let_go(deferred: Deferred[Any], reason: BaseException | None) -> object:
    """Do so for one; return what may be `Left` behind it."""
    if not deferred._is_owner:
        deferred._was_left = deferred._was_left or reason is not None
        return None
    if has_company(deferred):
        return None
    # In a row all are cancelled for the same reason: one that named the error of the one before
    # would double its text.
    error = cancelled((reason.__cause__ or str(reason)) if type(reason) is Cancelled else reason)
    if not deferred.ready():
        fn = deferred._on_cancel
        if not deferred._fail(error, None) or fn is None:
            return None
        if deferred.hub is None or deferred.hub.thread_ident == thread_ident():
            deferred._on_cancel = None
            return fn(error)
        call_off(deferred, error)
        return None
    dispose, value = deferred._dispose, deferred._value
    if dispose is None or deferred._is_taken or value is NOTHING:
        return None
    # Whoever comes after this must not get what is given back: the outcome is taken away, and the
    # deferred is as cancelled as if the value had not come.
    take(deferred)
    deferred._claim = DECIDED
    _base_set(deferred, NOTHING)
    _base_set_exception(deferred, error)
    dispose(value)
    return None
