"""`buffer`, `dropping` and `sliding`: sources that take messages in before anybody asks.

They are reservoirs: an operator on the source fills a stream, and that is what is taken from. What
happens to a message that does not fit makes the difference: it waits, or it goes, or the oldest
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from galeph._arguments import check_buffer, check_count
from galeph.deferred import Deferred, success
from galeph.stream.boxed import Pool
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import EXPIRED, Nothing, Source
from galeph.stream.operators import Reservoir
from galeph.stream.ownership import checks_owner
from galeph.stream.queue_stream import Stream
from galeph.stream.steps import AS_IT_IS

__all__ = ["buffer", "dropping", "sliding"]

A = TypeVar("A")


def buffer(
    limit: float,
    source: Source[A] | Iterable[A],
    *,
    metric: Callable[[A], float] | None = None,
) -> Source[A]:
    """Return a source that takes messages of ``source`` ahead, as many as it has room for.

    One more waits in line for that room, and holds ``source`` back.

    Args:
        limit: how much may be stored.
        source: a source, or what `galeph.stream.source` makes one of.
        metric: what a message counts for (default: 1 each); see `galeph.stream.Stream`.

    Raises:
        TypeError: ``limit`` is no number, ``metric`` is not callable, or ``source`` cannot be made
            a source.
        ValueError: ``limit`` is not a whole number, and there is no ``metric``.
    """
    check_buffer("limit", limit, is_metered=metric is not None)
    return Reservoir(to_source(source), AS_IT_IS, "buffer", Pool(limit, metric=metric))


@overload
def dropping(n: int) -> Stream[Any]: ...
@overload
def dropping(n: int, source: Source[A] | Iterable[A]) -> Source[A]: ...
def dropping(n: int, source: Any = None) -> Source[Any]:
    """Return a stream that stores ``n`` messages, and drops what is put when it is full.

    A put is always accepted, and never waits. How many messages were dropped is said by the
    stream's `description`. With ``source``, return a source of what is left of it; closing either
    closes the other.

    Raises:
        TypeError: ``n`` is no integer, or ``source`` cannot be made a source.
        ValueError: ``n`` is negative.
    """
    check_count("n", n, least=0)
    return _window(_Dropping(n), "dropping", source)


@overload
def sliding(n: int) -> Stream[Any]: ...
@overload
def sliding(n: int, source: Source[A] | Iterable[A]) -> Source[A]: ...
def sliding(n: int, source: Any = None) -> Source[Any]:
    """Return a stream that stores the last ``n`` messages put: when it is full, the oldest goes.

    A put is always accepted, and never waits. How many messages were dropped is said by the
    stream's `description`. With ``source``, return a source of what is left of it; closing either
    closes the other.

    Raises:
        TypeError: ``n`` is no integer, or ``source`` cannot be made a source.
        ValueError: ``n`` is not above 0.
    """
    check_count("n", n, least=1)
    return _window(_Sliding(n), "sliding", source)


def _window(stream: _Window, name: str, source: Any) -> Source[Any]:
    if source is None:
        stream._kind = name
        return stream
    return Reservoir(to_source(source), AS_IT_IS, name, stream, is_upstream=True)


@checks_owner("put _put put_async")
class _Window(Pool):
    """A stream that always accepts."""

    _dropped = 0

    def put(self, message: Any) -> bool:
        return self._put(message, 0) is True

    def _put(self, message: Any, timeout: float | None) -> bool | Nothing:  # noqa: ARG002  (it never waits)
        accepted = super()._put(message, 0)
        if accepted is EXPIRED:
            self._make_room_for(message)
            return True
        return accepted

    def _offer(self, message: Any, receipt: Any) -> bool | Nothing:  # noqa: ARG002  (it never waits)
        if self._closed:
            return False
        if not self._accept(message, 1):
            self._make_room_for(message)
        return True

    def put_async(self, message: Any) -> Deferred[bool]:
        return success(self._offer(message, None) is True)

    def _make_room_for(self, message: Any) -> None:
        raise NotImplementedError

    def description(self) -> dict[str, object]:
        return super().description() | {"dropped": self._dropped}


class _Dropping(_Window):
    def _make_room_for(self, message: Any) -> None:  # noqa: ARG002  (there is none)
        self._dropped += 1


class _Sliding(_Window):
    def _make_room_for(self, message: Any) -> None:
        self._messages.popleft()
        self._messages.append(message)
        self._dropped += 1
