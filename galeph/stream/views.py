"""`source_only` and `sink_only`: a duplex stream of which only one side is handed out.

A view has no state of its own. What is connected to it is connected to the stream behind it, and
closing it closes that stream, both sides. What is behind a view of views, or of splices, is looked
up once: a call goes there at once, however many were laid over one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from galeph.deferred import Deferred
from galeph.stream.endpoint import Endpoint
from galeph.stream.interfaces import Nothing, Sink, Source

__all__ = [
    "SinkView",
    "SourceView",
    "close_parts",
    "fail_parts",
    "one_side",
    "sink_only",
    "source_only",
]

T = TypeVar("T")


def source_only(stream: Source[T]) -> Source[T]:
    """Return a view of ``stream`` that can be taken from and not be put into.

    Closing it closes the stream.

    Raises:
        TypeError: ``stream`` is no source.
    """
    if type(stream) is SourceView:
        return stream
    if not isinstance(stream, Source):
        raise TypeError(f"stream must be a source, not {type(stream).__name__}")
    return SourceView(stream)


def sink_only(stream: Sink[T]) -> Sink[T]:
    """Return a view of ``stream`` that can be put into and not be taken from.

    Closing it closes the stream.

    Raises:
        TypeError: ``stream`` is no sink.
    """
    if type(stream) is SinkView:
        return stream
    if not isinstance(stream, Sink):
        raise TypeError(f"stream must be a sink, not {type(stream).__name__}")
    return SinkView(stream)


class SourceView(Source[T]):
    """What `source_only` returns."""

    def __init__(self, stream: Source[T]) -> None:
        super().__init__()
        self._stream = stream
        self._source = stream._real_source()

    def _stands_for(self) -> Sequence[Endpoint]:
        return (self._stream,)

    def _origin(self) -> Source[Any]:
        return self._source._origin()

    def _real_source(self) -> Source[Any]:
        return self._source

    def take(self, default: Any = None) -> Any:
        return self._source.take(default)

    def _take(self, timeout: float | None) -> T | Nothing:
        return self._source._take(timeout)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return self._source.take_async(default)

    def _give_back(self, message: Any) -> None:
        self._source._give_back(message)

    def close(self) -> None:
        close_parts(self)

    @property
    def drained(self) -> bool:
        return self._source.drained

    @property
    def error(self) -> BaseException | None:
        return self._source.error

    def on_drained(self, fn: Callable[[], object]) -> None:
        self._source.on_drained(fn)

    @property
    def link_count(self) -> int:
        return sum(each.link_count for each in self._leaves())

    def description(self) -> dict[str, object]:
        return one_side(self._source.description(), "source", "inbound")


class SinkView(Sink[T]):
    """What `sink_only` returns."""

    def __init__(self, stream: Sink[T]) -> None:
        super().__init__()
        self._stream = stream
        self._sink = stream._real_sink()

    def _stands_for(self) -> Sequence[Endpoint]:
        return (self._stream,)

    def _target(self) -> Sink[Any]:
        return self._sink._target()

    def _real_sink(self) -> Sink[Any]:
        return self._sink

    def put(self, message: T) -> bool:
        return self._sink.put(message)

    def _put(self, message: T, timeout: float | None) -> bool | Nothing:
        return self._sink._put(message, timeout)

    def put_async(self, message: T) -> Deferred[bool]:
        return self._sink.put_async(message)

    def close(self) -> None:
        close_parts(self)

    def fail(self, error: BaseException) -> None:
        fail_parts(self, error)

    @property
    def closed(self) -> bool:
        return self._sink.closed

    def on_closed(self, fn: Callable[[], object]) -> None:
        self._sink.on_closed(fn)

    @property
    def link_count(self) -> int:
        return sum(each.link_count for each in self._leaves())

    def description(self) -> dict[str, object]:
        return one_side(self._sink.description(), "sink", "outbound")


# What a splice has in common with them.


def close_parts(stream: Endpoint) -> None:
    """Close what a view or a splice stands for."""
    for each in stream._leaves():
        each.close()


def fail_parts(stream: Sink[Any], error: BaseException) -> None:
    """Fail the sink that a view or a splice stands for, and close what else it does."""
    sink = stream._target()
    for each in stream._leaves():
        if each is not sink:
            each.close()
    sink.fail(error)


def one_side(facts: dict[str, object], end: str, direction: str) -> dict[str, object]:
    """What is said of a stream, of which only one side is shown."""
    facts |= {"sink": False, "source": False, end: True}
    # Only what has to do with a network has directions.
    return facts | {"direction": direction} if "direction" in facts else facts
