"""What becomes of the work, and of a value that must be given back, when nobody wants it.

The rules are those of ``producer``; this is what carries them out. Nothing here switches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

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
    "give_back_all",
    "hand_on",
    "hand_on_all",
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
        # What it has instead, if anything, is no resource.
        deferred._is_taken = True
        bond, deferred._bond = deferred._bond, None
        in_own_thread(deferred, partial(_give_back, deferred, bond), value)
    return False


def in_own_thread(deferred: Deferred[Any], fn: Callable[[Any], object], argument: Any) -> None:
    """Call ``fn(argument)`` in the thread that ``deferred`` belongs to; at once if this is it."""
    hub: Any = deferred.hub
    if hub is None or hub.thread_ident == thread_ident():
        fn(argument)
    else:
        call_in_hub(hub, fn, argument)


class Bond:
    """What the deferreds of one value share: whether somebody has it, and who may still take it.

    It dies with the last of them; if the value was neither taken nor given back by then, ``fn`` is
    called in the hub.
    """

    __slots__ = ("_fn", "_holders", "_hub", "_is_cut")

    def __init__(
        self, first: Deferred[Any], fn: Callable[[], object] | None = None, hub: Any = None
    ) -> None:
        self._hub = hub
        self._fn = fn
        self._is_cut = False
        self._holders = [ref(first)]

    def join(self, deferred: Deferred[Any]) -> None:
        """The value is in this one as well."""
        self._holders = [holder for holder in self._holders if holder() is not None]
        self._holders.append(ref(deferred))

    def cut(self) -> None:
        """Somebody has the value, and gives it back himself."""
        self._fn = None
        self._is_cut = True

    def give_back(self, dispose: Callable[[Any], object], value: Any) -> None:
        """Dispose of the value if nobody has it, nor can come for it any more but here.

        What is left of its deferreds must not give it to anybody then.
        """
        holders = [holder for each in self._holders if (holder := each()) is not None]
        if self._is_cut or any(map(_is_wanted, holders)):
            return
        self.cut()
        for holder in holders:
            if holder._value is not NOTHING:
                _take_away(holder, cancelled("cancelled: who waited has left"))
        dispose(value)

    def __del__(self) -> None:
        # In the garbage collector, on any thread: no more than this.
        if self._fn is not None:
            call_in_hub(self._hub, self._fn)


class Bonds(NamedTuple):
    """Those of the values in a list."""

    bonds: list[Bond | Bonds]

    def join(self, deferred: Deferred[Any]) -> None:
        for bond in self.bonds:
            bond.join(deferred)

    def cut(self) -> None:
        for bond in self.bonds:
            bond.cut()


def _is_wanted(holder: Deferred[Any]) -> bool:
    """Whether one that has a value may still give it to somebody."""
    return has_company(holder) or (holder._value is not NOTHING and not holder._is_taken)


def take(deferred: Deferred[Any]) -> None:
    """Note that the value of an owner goes to somebody, who gives it back himself."""
    deferred._is_taken = True
    if deferred._bond is not None:
        deferred._bond.cut()


def hand_on(source: Deferred[Any], result: Deferred[Any]) -> None:
    """Have a result share the bond of the owner that it has its value from."""
    result._bond = _share(source, result)


def hand_on_all(sources: list[Deferred[Any]], result: Deferred[Any]) -> None:
    """Have a result with a list share the bonds of the owners that it has the values from."""
    result._bond = Bonds([_share(source, result) for source in sources])


def _share(source: Deferred[Any], result: Deferred[Any]) -> Bond | Bonds:
    bond = source._bond
    if bond is None:
        bond = source._bond = Bond(source)
        if source._is_taken:
            bond.cut()
    source._is_taken = True
    bond.join(result)
    return bond


def give_back_all(duties: list[tuple[Deferred[Any], Bond | Bonds | None, Any]], _: object) -> None:
    """Give back each value of a list: with the owner that it came from, and the bond of that."""
    for source, bond, value in duties:
        _give_back(source, bond, value)


def _give_back(deferred: Deferred[Any], bond: Bond | Bonds | None, value: Any) -> None:
    """Dispose of a value that nobody takes from this deferred."""
    dispose: Any = deferred._dispose
    if type(bond) is Bond:
        bond.give_back(dispose, value)
    else:
        dispose(value)


def _take_away(deferred: Deferred[Any], error: BaseException) -> None:
    """Have it fail instead of the value it has: whoever comes must not get what is given back."""
    deferred._is_taken = True
    deferred._bond = None
    deferred._claim = DECIDED
    _base_set(deferred, NOTHING)
    _base_set_exception(deferred, error)


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
    value, bond = deferred._value, deferred._bond
    if deferred._dispose is None or value is NOTHING:
        return None
    if not deferred._is_taken:
        _take_away(deferred, error)
    elif bond is None:
        return None
    _give_back(deferred, bond, value)
    return None
