"""Several deferreds as one: all of them (`zip`), the first of them (`alt`), one into another.

`zip` and `alt` hang one arrival on each argument. Whatever decides the result, the arrivals that
are left withdraw, so that a source outliving the result keeps nothing of it, and one that owns
its value is left to dispose of it. A value stays with its source until all have come: if the
result fails before that, nobody has taken it.
"""

from __future__ import annotations

import builtins
import random
from collections.abc import Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from galeph.deferred._deferred import Deferred
from galeph.deferred._hanging import listen, unlisten
from galeph.deferred._outcome import DEFERRABLE, NOTHING
from galeph.deferred._ownership import give_back_all, hand_on_all
from galeph.deferred._stages import Chain, Stage
from galeph.deferred.producer import on_cancel, owns

__all__ = ["alt", "connect", "zip"]

T = TypeVar("T")


class _Arrival(Stage):
    """What hangs on one argument; knows where its value is now."""

    __slots__ = ("_join", "bottom", "source")

    def __init__(self, join: _Join) -> None:
        self._join = join
        self.result = join.result
        self.source: Deferred[Any] | None = None
        self.bottom: Deferred[Any] | None = None

    def hang_on(self, source: Deferred[Any]) -> None:
        self.source = source
        listen(source, self)
        if source._is_owner:
            self._join.inherit()

    def run(self, source: Deferred[Any]) -> None:
        self.source = None
        if self.result.ready():
            source._let_go(None)
        else:
            self.look_at(source)

    def look_at(self, value: Any) -> None:
        """Go down to the bottom, and tell if it was there."""
        bottom = self.reach(value)
        if bottom is not None:
            self.bottom = bottom
            if bottom._is_owner:
                self._join.inherit()
            if not self.result.ready():
                self._join.arrived(self, bottom)

    def withdraw(self, reason: BaseException | None) -> None:
        """Leave what it hangs on, or holds the value."""
        source, self.source = self.source, None
        if source is not None:
            unlisten(source, self)
            source._excuse()
            source._let_go(reason)
        bottom, self.bottom = self.bottom, None
        if bottom is not None:
            bottom._let_go(reason)


class _Join:
    """The arrivals for one result."""

    __slots__ = ("arrivals", "result")

    def __init__(self) -> None:
        self.result: Deferred[Any] = Deferred()
        self.arrivals: list[_Arrival] = []

    def arrived(self, arrival: _Arrival, bottom: Deferred[Any]) -> None:
        """One of the arguments is realized. Called once for each, unless the result is."""
        raise NotImplementedError

    def look_at(self, xs: Sequence[Any]) -> None:
        """Have an arrival look at each of the arguments, until the result is decided."""
        self.arrivals = [_Arrival(self) for _ in xs]
        for arrival, x in builtins.zip(self.arrivals, xs, strict=True):
            if isinstance(x, DEFERRABLE):
                if not self.result.ready():
                    arrival.look_at(x)
                elif isinstance(x, Deferred):
                    x._excuse()
            elif not self.result.ready():
                there: Deferred[Any] = Deferred()
                there.success(x)
                arrival.look_at(there)

    def inherit(self) -> None:
        """One of the arguments owns its value: so does the result."""
        if not self.result._is_owner:
            on_cancel(self.result, self.leave)
            owns(self.result)

    def leave(self, reason: BaseException | None) -> None:
        """Have all arrivals withdraw."""
        arrivals, self.arrivals = self.arrivals, []
        for arrival in arrivals:
            arrival.withdraw(reason)


class _All(_Join):
    """Waits for every argument to arrive."""

    __slots__ = ("missing",)

    def __init__(self, count: int) -> None:
        super().__init__()
        self.missing = count

    def arrived(self, arrival: _Arrival, bottom: Deferred[Any]) -> None:
        if bottom._value is NOTHING:
            arrival.end_as(bottom)
            self.leave(None)
            return
        self.missing -= 1
        if not self.missing:
            arrivals, self.arrivals = self.arrivals, []
            self.finish([arrival.bottom for arrival in arrivals if arrival.bottom is not None])

    def finish(self, bottoms: list[Deferred[Any]]) -> None:
        """Make the list, and take the values from those that own them."""
        owners = [bottom for bottom in bottoms if bottom._is_owner]
        if owners:
            hand_on_all(owners, self.result)
            duties = [(one, one._bond, one._value) for one in owners if one._dispose is not None]
            if duties:
                owns(self.result, partial(give_back_all, duties))
        self.result.success([bottom._value for bottom in bottoms])


class _First(_Join):
    """Waits for one argument to arrive."""

    __slots__ = ()

    def arrived(self, arrival: _Arrival, bottom: Deferred[Any]) -> None:
        arrival.bottom = None
        arrival.end_as(bottom)
        self.leave(None)


def zip(*xs: Any) -> Deferred[list[Any]]:  # noqa: A001  (the name of the API)
    """Wait for all of several values.

    Args:
        xs: what arrives later (deferreds, AsyncResults, greenlets, futures), and plain values.

    Returns:
        A deferred of the list of values, in the order of the arguments. The first error known
        becomes its error, at once; one that is there already does not wait for the others.
    """
    join = _All(len(xs))
    if not xs:
        join.result.success([])
    join.look_at(xs)
    return join.result


def alt(*xs: Any) -> Deferred[Any]:
    """Wait for the first of several values.

    Args:
        xs: what arrives later, and plain values, which have arrived. Of several that are there,
            one is picked at random.

    Returns:
        A deferred of the value, or of the error, that came first. The work behind the others goes
        on, unless it is for a value that must be given back and that nobody else waits for.

    Raises:
        ValueError: there are no arguments, so none can be first.
    """
    if not xs:
        raise ValueError("xs must hold at least one value: of none there is no first")
    join = _First()
    join.look_at(random.sample(xs, len(xs)))
    return join.result


def connect(source: Any, target: Deferred[Any]) -> bool:
    """Have the outcome of ``source`` become that of ``target``, unless it gets one before.

    Args:
        source: what arrives later, or a plain value.
        target: a deferred.

    Returns:
        False if ``target`` was realized already, so that nothing was connected.

    Raises:
        TypeError: ``target`` is no deferred.
    """
    if not isinstance(target, Deferred):
        raise TypeError(f"target must be a Deferred, not {target!r}")
    if target.ready():
        return False
    if not isinstance(source, DEFERRABLE):
        return target.success(source)
    Chain((), target, copy_context()).pass_through(source)
    return True
