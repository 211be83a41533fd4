"""`Operable`: the operators as methods of a source.

What they do stands in the modules of the operators, which are built on sources; so each is imported
where it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from galeph.stream.endpoint import Endpoint

if TYPE_CHECKING:
    from galeph.deferred import Deferred
    from galeph.stream.interfaces import Source

__all__ = ["NOT_GIVEN", "Operable"]

R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)

# Stands for an argument that was left out, where None would mean something.
NOT_GIVEN: Any = object()


class Operable(Endpoint, Generic[T_co]):
    """What sources of sources are made with, as methods."""

    # One by one

    def map(self, fn: Callable[[T_co], R]) -> Source[R]:
        """Return a source of what ``fn`` makes of each message; see `galeph.stream.map`."""
        from galeph.stream import stages

        return stages.map(fn, self._as_source())

    def filter(self, predicate: Callable[[T_co], object]) -> Source[T_co]:
        """Return a source of the messages ``predicate`` is true of; see `galeph.stream.filter`."""
        from galeph.stream import stages

        return stages.filter(predicate, self._as_source())

    def mapcat(self, fn: Callable[[T_co], Iterable[R]]) -> Source[R]:
        """Return a source of the elements of what ``fn`` returns; see `galeph.stream.mapcat`."""
        from galeph.stream import stages

        return stages.mapcat(fn, self._as_source())

    def realize_each(self) -> Source[Any]:
        """Return a source of what the messages bring later; see `galeph.stream.realize_each`."""
        from galeph.stream import stages

        return stages.realize_each(self._as_source())

    # All together

    def reductions(
        self, fn: Callable[[Any, T_co], Any], *, initial: Any = NOT_GIVEN
    ) -> Source[Any]:
        """Return a source of all values on the way; see `galeph.stream.reductions`."""
        from galeph.stream import reducing

        return reducing.reductions(fn, self._as_source(), initial=initial)

    def reduce(self, fn: Callable[[Any, T_co], Any], *, initial: Any = NOT_GIVEN) -> Deferred[Any]:
        """Make one value of all messages; see `galeph.stream.reduce`."""
        from galeph.stream import reducing

        return reducing.reduce(fn, self._as_source(), initial=initial)

    def transform(
        self, fn: Callable[[Iterator[T_co]], Iterable[R]], *, buffer: float = 0
    ) -> Source[R]:
        """Return a source of what a generator function yields; see `galeph.stream.transform`."""
        from galeph.stream import transforming

        return transforming.transform(fn, self._as_source(), buffer=buffer)

    def partition_by(self, fn: Callable[[T_co], object]) -> Source[Source[T_co]]:
        """Return a source of sources, one for each run; see `galeph.stream.partition_by`."""
        from galeph.stream import parting

        return parting.partition_by(fn, self._as_source())

    def batch(
        self,
        size: float,
        *,
        latency: float | None = None,
        metric: Callable[[T_co], float] | None = None,
    ) -> Source[list[T_co]]:
        """Return a source of lists of messages; see `galeph.stream.batch`."""
        from galeph.stream import batching

        return batching.batch(size, self._as_source(), latency=latency, metric=metric)

    # In their own time

    def throttle(self, max_rate: float, *, max_backlog: float | None = None) -> Source[T_co]:
        """Return a source of at most so many messages a second; see `galeph.stream.throttle`."""
        from galeph.stream import pacing

        return pacing.throttle(max_rate, self._as_source(), max_backlog=max_backlog)

    def buffer(
        self, limit: float, *, metric: Callable[[T_co], float] | None = None
    ) -> Source[T_co]:
        """Return a source that stores messages ahead; see `galeph.stream.buffer`."""
        from galeph.stream import windows

        return windows.buffer(limit, self._as_source(), metric=metric)

    def _as_source(self) -> Source[T_co]:
        return cast("Source[T_co]", self)
