"""`source_only` and `sink_only`: a duplex stream of which only one side is handed out.

A view has no state of its own. What is connected to it is connected to the stream behind it, and
closing it closes that stream, both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from galeph.deferred import Deferred
from galeph.stream.interfaces import Nothing, Sink, Source

__all__ = ["SinkView", "SourceView", "sink_only", "source_only"]

T = TypeVar("T")


def source_only(stream: Source[T]) -> Source[T]:
    """Return a view of ``stream`` that can be taken from and not be put into.

    Closing it closes the stream.

    Raises:
        TypeError: ``stream`` is no source.
    """
    if not isinstance(stream, Source):
        raise TypeError(f"stream must be a source, not {type(stream).__name__}")
    return SourceView(stream)


def sink_only(stream: Sink[T]) -> Sink[T]:
    """Return a view of ``stream`` that can be put into and not be taken from.

    Closing it closes the stream.

    Raises:
        TypeError: ``stream`` is no sink.
    """
    if not isinstance(stream, Sink):
        raise TypeError(f"stream must be a sink, not {type(stream).__name__}")
    return SinkView(stream)


class SourceView(Source[T]):
    """What `source_only` returns."""

    def __init__(self, stream: Source[T]) -> None:
        super().__init__()
        self._stream = stream

    def _origin(self) -> Source[Any]:
        return self._stream._origin()

    def take(self, default: Any = None) -> Any:
        return self._stream.take(default)

    def _take(self, timeout: float | None) -> T | Nothing:
        return self._stream._take(timeout)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return self._stream.take_async(default)

    def _give_back(self, message: Any) -> None:
        self._stream._give_back(message)

    def close(self) -> None:
        self._stream.close()

    @property
    def drained(self) -> bool:
        return self._stream.drained

    @property
    def error(self) -> BaseException | None:
        return self._stream.error

    def on_drained(self, fn: Callable[[], object]) -> None:
        self._stream.on_drained(fn)

    @property
    def link_count(self) -> int:
        return self._stream.link_count

    def description(self) -> dict[str, object]:
        return _one_side(self._stream.description(), "source", "inbound")


class SinkView(Sink[T]):
    """What `sink_only` returns."""

    def __init__(self, stream: Sink[T]) -> None:
        super().__init__()
        self._stream = stream

    def _target(self) -> Sink[Any]:
        return self._stream._target()

    def put(self, message: T) -> bool:
        return self._stream.put(message)

    def _put(self, message: T, timeout: float | None) -> bool | Nothing:
        return self._stream._put(message, timeout)

    def put_async(self, message: T) -> Deferred[bool]:
        return self._stream.put_async(message)

    def close(self) -> None:
        self._stream.close()

    def fail(self, error: BaseException) -> None:
        self._stream.fail(error)

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def on_closed(self, fn: Callable[[], object]) -> None:
        self._stream.on_closed(fn)

    @property
    def link_count(self) -> int:
        return self._stream.link_count

    def description(self) -> dict[str, object]:
        return _one_side(self._stream.description(), "sink", "outbound")


def _one_side(facts: dict[str, object], end: str, direction: str) -> dict[str, object]:
    """What is said of a stream, of which only one side is shown."""
    facts |= {"sink": False, "source": False, end: True}
    # Only what has to do with a network has directions.
    return facts | {"direction": direction} if "direction" in facts else facts
