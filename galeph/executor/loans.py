"""The deferred that a pool's object arrives in, and what becomes of one that nobody takes.

Whoever asks may stop waiting without a word (``result(timeout)``, ``get(timeout=...)``) and drop
the deferred. It dies when the pool has let go of it, and its `Bond` with it; the finalizer of that
has the object given back, in the hub, since it may run anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub

__all__ = ["Bond", "Loan"]

T = TypeVar("T")


class Bond:
    """Dies with its deferred; unless it was cut by then, ``fn`` is called in the hub."""

    __slots__ = ("_fn", "_hub")

    def __init__(self, hub: Any, fn: Callable[[], object]) -> None:
        self._hub = hub
        self._fn: Callable[[], object] | None = fn

    def cut(self) -> None:
        """Somebody has the object, and gives it back himself."""
        self._fn = None

    def __del__(self) -> None:
        if self._fn is not None:
            call_in_hub(self._hub, self._fn)


class Loan(Deferred[T]):
    """Knows whether anybody has taken its value."""

    _bond: Bond | None = None
    _has_been_taken = False

    def bind(self, bond: Bond) -> None:
        """Have ``bond`` die with this, and be cut when the value is taken."""
        self._bond = bond

    @property
    def _is_taken(self) -> bool:  # whoever takes the value says so here
        return self._has_been_taken

    @_is_taken.setter
    def _is_taken(self, is_taken: bool) -> None:
        self._has_been_taken = is_taken
        if is_taken and self._bond is not None:
            self._bond.cut()

    @property
    def value(self) -> Any:
        """The object if it has come, else None. It is taken by this."""
        if self.successful():
            self._is_taken = True
        return super().value
