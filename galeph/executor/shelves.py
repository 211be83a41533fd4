"""The objects of a pool, and who waits for them: the books that `InstrumentedPool` keeps.

Objects are told apart by identity, since they may be equal. Nothing here calls anything of the
user's, and nothing blocks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

from galeph.deferred import Deferred
from galeph.executor.stats import METRICS, Meter

__all__ = ["Receipt", "Shelf", "Shelves"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Shelf(Generic[K, T]):
    """What there is of one key.

    ``making`` are the objects being made; ``surplus`` says how many to destroy when they come
    back. ``waiting`` is who waits, and since when.
    """

    __slots__ = ("idle", "key", "lent", "making", "meter", "surplus", "waiting")

    def __init__(self, key: K, meter: Meter) -> None:
        self.key = key
        self.meter = meter
        # By identity, the one that came back last at the end.
        self.idle: dict[int, T] = {}
        self.lent = 0
        self.making = 0
        self.surplus = 0
        self.waiting: OrderedDict[Deferred[T], float] = OrderedDict()

    @property
    def size(self) -> int:
        """How many objects there are, those being made included."""
        return len(self.idle) + self.lent + self.making

    @property
    def oldest(self) -> float | None:
        """Since when the first of those who wait has; None if nobody does."""
        return next(iter(self.waiting.values()), None)

    def settle(self, now: float) -> None:
        """Tell the meter how many objects there are and how many of them are lent."""
        self.meter.settle(now, busy=self.lent, workers=len(self.idle) + self.lent)


class Receipt(NamedTuple, Generic[K, T]):
    """Says that an object is lent: from which shelf, and since when. Another time is another."""

    shelf: Shelf[K, T]
    thing: T
    since: float


class Shelves(Generic[K, T]):
    """The shelves of a pool.

    Args:
        sample_period: seconds between two samples, for the meters.
    """

    __slots__ = ("_idle", "_lent", "_sample_period", "by_key", "total")

    def __init__(self, sample_period: float) -> None:
        self._sample_period = sample_period
        self.by_key: dict[K, Shelf[K, T]] = {}
        # How many objects there are, those being made included.
        self.total = 0
        self._lent: dict[int, Receipt[K, T]] = {}
        # The one that has lain here longest first.
        self._idle: OrderedDict[int, Shelf[K, T]] = OrderedDict()

    def __iter__(self) -> Iterator[Shelf[K, T]]:
        return iter(self.by_key.values())

    def shelf(self, key: K, now: float) -> Shelf[K, T]:
        """Return the shelf of a key; make one if there is none."""
        shelf = self.by_key.get(key)
        if shelf is None:
            meter = Meter(METRICS, sample_period=self._sample_period, now=now)
            shelf = self.by_key[key] = Shelf(key, meter)
        return shelf

    def count(self) -> tuple[int, int]:
        """How many objects are lent, and how many lie idle."""
        return len(self._lent), len(self._idle)

    def __contains__(self, thing: object) -> bool:
        return id(thing) in self._lent or id(thing) in self._idle

    # Lending

    def lend(self, shelf: Shelf[K, T], thing: T, now: float) -> Receipt[K, T]:
        """An object that is on no list is lent."""
        shelf.lent += 1
        shelf.settle(now)
        receipt = self._lent[id(thing)] = Receipt(shelf, thing, now)
        return receipt

    def is_lent_on(self, receipt: Receipt[K, T]) -> bool:
        """Whether an object has not come back since it was lent on this."""
        return self._lent.get(id(receipt.thing)) is receipt

    def take_back(self, key: K, thing: T, now: float) -> Shelf[K, T]:
        """An object that was lent is on no list any more; return its shelf.

        Raises:
            ValueError: it is not lent, or of another key.
        """
        entry = self._lent.get(id(thing))
        if entry is None or entry.shelf.key != key:
            raise ValueError(f"thing must be an object of {key!r} that is lent, not {thing!r}")
        shelf, _, since = self._lent.pop(id(thing))
        shelf.lent -= 1
        shelf.meter.finish(now - since)
        shelf.settle(now)
        return shelf

    # Lying idle

    def lay_down(self, shelf: Shelf[K, T], thing: T, now: float) -> None:
        """An object that is on no list lies idle."""
        shelf.idle[id(thing)] = thing
        self._idle[id(thing)] = shelf
        shelf.settle(now)

    def take_newest(self, shelf: Shelf[K, T]) -> T:
        """Take the idle object that was used last: the others are left to lie."""
        identity, thing = shelf.idle.popitem()
        del self._idle[identity]
        return thing

    def take_oldest(self, shelf: Shelf[K, T]) -> T:
        """Take the idle object that has not been used for longest."""
        identity = next(iter(shelf.idle))
        del self._idle[identity]
        return shelf.idle.pop(identity)

    def idlest_but(self, shelf: Shelf[K, T]) -> Shelf[K, T] | None:
        """Return the shelf, but not this one, with the object that has lain idle for longest."""
        return next((other for other in self._idle.values() if other is not shelf), None)
