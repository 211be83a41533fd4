"""`source` and `sink`: make a stream of what is not one.

Sources: streams, gevent queues, and anything iterable; generators are read in the greenlet that
takes. Sinks: streams and gevent queues. A queue knows no end, so closing what stands for one leaves
the queue as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, overload

import gevent
from gevent.queue import Channel, Empty, Full, ShutDown, SimpleQueue

from galeph.deferred.producer import stopped
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing, Sink, Source

__all__ = ["sink", "source"]

T = TypeVar("T")

# What iterates, but hardly ever as the caller means it: characters and numbers.
_NO_SERIES = (str, bytes, bytearray, memoryview)
_QUEUES = (SimpleQueue, Channel)


@overload
def source(x: Source[T]) -> Source[T]: ...
@overload
def source(x: Iterable[T]) -> Source[T]: ...
@overload
def source(x: object) -> Source[Any]: ...
def source(x: Any) -> Source[Any]:
    """Return ``x`` as a source: a stream itself, a gevent queue, an iterable, a generator.

    Raises:
        TypeError: ``x`` is none of these. Text and bytes are refused too; wrap them in a list.
    """
    if isinstance(x, Source):
        return x
    if isinstance(x, _QUEUES):
        return _QueueSource(x)
    if isinstance(x, Iterable) and not isinstance(x, _NO_SERIES):
        return _IterableSource(x)
    raise TypeError(f"x must be a stream, a gevent queue or an iterable, not {type(x).__name__}")


def sink(x: object) -> Sink[Any]:
    """Return ``x`` as a sink: a stream itself, or a gevent queue.

    Raises:
        TypeError: ``x`` is neither.
    """
    if isinstance(x, Sink):
        return x
    if isinstance(x, _QUEUES):
        return _QueueSink(x)
    raise TypeError(f"x must be a stream or a gevent queue, not {type(x).__name__}")


class _IterableSource(ActiveSource[Any]):
    """The items of an iterable, fetched in the greenlet that takes."""

    _kind = "iterable"

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__()
        self._items: Iterator[Any] | None = iter(items)

    def _receive(self) -> Any:
        items = self._items
        if items is None:
            self._raise_error()
            return END
        try:
            return next(items)
        except StopIteration:
            self._finish(None)
            return END
        except Exception as error:
            self._finish(error)
            raise
        except BaseException as error:
            # A kill in the middle of a generator ends it; what it had still to give is missing.
            if getattr(items, "gi_frame", items) is None:
                self._finish(stopped(error))
            raise

    def _finish(self, error: BaseException | None) -> None:
        self._items = None
        self._end(error)

    def close(self) -> None:
        """Take no more items. An iterator that can be closed is closed, in a greenlet."""
        items, self._items = self._items, None
        if items is None:
            return
        self._end()
        if hasattr(items, "close"):
            # It runs the generator's `finally`, which may block.
            gevent.spawn(self._close, items)

    def _close(self, items: Any) -> None:
        # Not while somebody is inside it.
        turn = self._turn()
        turn.acquire(self._hub)
        try:
            items.close()
        finally:
            turn.release()


class _QueueSource(ActiveSource[Any]):
    """The messages of a gevent queue."""

    _kind = "queue"

    def __init__(self, queue: Any) -> None:
        super().__init__()
        self._queue = queue

    def _receive(self) -> Any:
        if self._ended:
            return END
        try:
            return self._queue.get()
        except ShutDown:
            self._end()
            return END

    def _receive_ready(self) -> Any:
        if self._ended:
            return END
        try:
            return self._queue.get_nowait()
        except Empty:
            return EXPIRED
        except ShutDown:
            self._end()
            return END

    def close(self) -> None:
        """Take no more from the queue. It stays as it is."""
        self._end()


class _QueueSink(ActiveSink[Any]):
    """A gevent queue to put into."""

    _kind = "queue"

    def __init__(self, queue: Any) -> None:
        super().__init__()
        self._queue = queue

    def _transmit(self, message: Any) -> bool:
        try:
            self._queue.put(message)
        except ShutDown:
            self._shut()
            return False
        return True

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        if self._closed:
            return False
        try:
            self._queue.put_nowait(message)
        except Full:
            return EXPIRED
        except ShutDown:
            self._shut()
            return False
        return True

    def close(self) -> None:
        """Put no more into the queue. It stays as it is."""
        self._shut()

    def fail(self, error: BaseException) -> None:  # noqa: ARG002  (a queue cannot tell it)
        """Put no more into the queue, which cannot say why."""
        self._shut()
