"""`Flights`: the same work done once for all who want it at the same time.

The work runs in a greenlet of its own, so nobody's leaving disturbs the others; when the last who
waits for it has left, it is called off.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from galeph.deferred import Deferred, future
from galeph.errors import Cancelled, ResourceClosed

__all__ = ["Flights"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Flight(Generic[V]):
    __slots__ = ("outcome", "waiting")

    def __init__(self, outcome: Deferred[V]) -> None:
        self.outcome = outcome
        self.waiting = 0


class Flights(Generic[K, V]):
    """Work under way, by its key."""

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: K) -> bool:
        return key in self._flights

    def run(self, key: K, fn: Callable[[K], V]) -> V:
        """Return ``fn(key)``: call it, or wait for the call that is under way.

        Raises:
            ResourceClosed: `close` was called.
        """
        if self._closed:
            raise ResourceClosed("the resolver is closed")
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(future(fn, key))
        flight.waiting += 1
        try:
            return flight.outcome.get()
        except Cancelled as error:
            if self._is_closed() and flight.outcome.cancelled():
                raise ResourceClosed("the resolver was closed") from error
            raise
        finally:
            flight.waiting -= 1
            if flight.outcome.ready() or not flight.waiting:
                self._land(key, flight)

    def _is_closed(self) -> bool:
        # A call, for it may have been closed while somebody waited.
        return self._closed

    def _land(self, key: K, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        # Does nothing if it has ended.
        flight.outcome.cancel("nobody waits for it any more")

    def close(self) -> None:
        """Call off what is under way: whoever waits gets `ResourceClosed`. Never switches."""
        self._closed = True
        flights, self._flights = self._flights, {}
        for flight in flights.values():
            flight.outcome.cancel("the resolver was closed")

    def abandon(self) -> None:
        """Forget what is under way: in the child of a fork nobody works on it."""
        self._flights = {}
