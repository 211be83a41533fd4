"""`splice`: one duplex stream of a sink and a source.

Puts go to the sink, takes come from the source; it has no state of its own, and what is connected
to it is connected to the half in question. A half that is a splice or a view itself is looked
through once, as in `galeph.stream.views`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from galeph.deferred import Deferred
from galeph.stream.coerce import sink as to_sink
from galeph.stream.coerce import source as to_source
from galeph.stream.endpoint import Endpoint
from galeph.stream.interfaces import Nothing, Sink, Source
from galeph.stream.views import close_parts, fail_parts, one_side

if TYPE_CHECKING:
    from galeph.stream.coerce import CanBeSink, CanBeSource

__all__ = ["Splice", "splice"]

A = TypeVar("A")
B = TypeVar("B")


def splice(sink: CanBeSink[A], source: CanBeSource[B]) -> Splice[B, A]:
    """Return a duplex stream that puts into ``sink`` and takes from ``source``.

    Closing it closes both, the source first. It is closed when the sink is, drained when the source
    is.

    Raises:
        TypeError: ``sink`` is no sink, or ``source`` no source.
    """
    return Splice(to_sink(sink), to_source(source))


class Splice(Source[B], Sink[A]):
    """What `splice` returns."""

    _kind = "splice"

    def __init__(self, sink: Sink[A], source: Source[B]) -> None:
        super().__init__()
        self._halves = (source, sink)
        self._sink = sink._real_sink()
        self._source = source._real_source()

    def _stands_for(self) -> Sequence[Endpoint]:
        return self._halves

    def _origin(self) -> Source[Any]:
        return self._source._origin()

    def _real_source(self) -> Source[Any]:
        return self._source

    def _target(self) -> Sink[Any]:
        return self._sink._target()

    def _real_sink(self) -> Sink[Any]:
        return self._sink

    # Both ways

    def put(self, message: A) -> bool:
        return self._sink.put(message)

    def _put(self, message: A, timeout: float | None) -> bool | Nothing:
        return self._sink._put(message, timeout)

    def put_async(self, message: A) -> Deferred[bool]:
        return self._sink.put_async(message)

    def take(self, default: Any = None) -> Any:
        return self._source.take(default)

    def _take(self, timeout: float | None) -> B | Nothing:
        return self._source._take(timeout)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return self._source.take_async(default)

    def _give_back(self, message: Any) -> None:
        self._source._give_back(message)

    # Ending

    def close(self) -> None:
        close_parts(self)

    def fail(self, error: BaseException) -> None:
        fail_parts(self, error)

    @property
    def closed(self) -> bool:
        return self._sink.closed

    @property
    def drained(self) -> bool:
        return self._source.drained

    @property
    def error(self) -> BaseException | None:
        return self._source.error

    def on_closed(self, fn: Callable[[], object]) -> None:
        self._sink.on_closed(fn)

    def on_drained(self, fn: Callable[[], object]) -> None:
        self._source.on_drained(fn)

    @property
    def link_count(self) -> int:
        return sum(each.link_count for each in self._leaves())

    def description(self) -> dict[str, object]:
        source, sink = self._halves
        given, received = self._source.description(), self._sink.description()
        if source is not self._source:
            given = one_side(given, "source", "inbound")
        if sink is not self._sink:
            received = one_side(received, "sink", "outbound")
        return {
            "type": self._kind,
            "sink": received,
            "source": given,
            "synchronous": self.is_synchronous,
        }
