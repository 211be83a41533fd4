"""`source` and `sink`: make a stream of what is not one.

| what | as a source | as a sink |
|---|---|---|
| a stream | itself | itself |
| a gevent queue or channel | its messages (`galeph.stream.queues`) | puts into it |
| ``queue.Queue``, ``queue.SimpleQueue`` | its messages, never blocking the thread | puts into it |
| a deferred, AsyncResult, Greenlet, Future | its value, then the end | a deferred only: its value |
| a file object | its bytes in pieces, or its lines | writes to it |
| any other iterable | its items, in the greenlet that takes | |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, overload

from galeph.deferred import Deferred, is_deferrable, to_deferred
from galeph.stream.deferreds import DeferredSink, DeferredSource
from galeph.stream.files import FileSink, FileSource, is_readable, is_writable
from galeph.stream.interfaces import Sink, Source
from galeph.stream.iterables import IterableSource, SequenceSource
from galeph.stream.ownership import check_owner
from galeph.stream.queues import QueueSink, QueueSource, is_queue

__all__ = ["can_be_sink", "can_be_source", "is_sink", "is_source", "is_stream", "sink", "source"]

if TYPE_CHECKING:
    import queue

    from gevent.queue import Channel, SimpleQueue

T = TypeVar("T")
D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class _Readable(Protocol[T_co]):
    def read(self, size: int, /) -> T_co: ...


class _Writable(Protocol[T_contra]):
    def write(self, message: T_contra, /) -> object: ...


if TYPE_CHECKING:
    # What `source` and `sink` take, for annotations, as far as types can tell: a file may still be
    # refused because it would block the hub.
    _Queue: TypeAlias = SimpleQueue[T] | Channel[T] | queue.Queue[T] | queue.SimpleQueue[T]
    CanBeSource: TypeAlias = Source[T] | Iterable[T] | Deferred[T] | _Queue[T] | _Readable[T]
    CanBeSink: TypeAlias = Sink[T] | Deferred[T] | _Queue[T] | _Writable[T]

# What iterates, but hardly ever as the caller means it: characters and numbers.
_NO_SERIES = (str, bytes, bytearray, memoryview)


class _Missing(Enum):
    MISSING = "missing"


_MISSING: Final = _Missing.MISSING


def is_stream(x: object) -> bool:
    """Whether ``x`` can be taken from or put into as it is."""
    return isinstance(x, (Source, Sink))


def is_source(x: object) -> bool:
    """Whether ``x`` can be taken from as it is."""
    return isinstance(x, Source)


def is_sink(x: object) -> bool:
    """Whether ``x`` can be put into as it is."""
    return isinstance(x, Sink)


def can_be_source(x: object) -> bool:
    """Whether `source` makes a source of ``x``, and what takes a source takes ``x``."""
    return is_source(x) or _source_maker(x) is not None


def can_be_sink(x: object) -> bool:
    """Whether `sink` makes a sink of ``x``, and what takes a sink takes ``x``."""
    return is_sink(x) or _sink_maker(x) is not None


@overload
def source(x: Source[T]) -> Source[T]: ...
@overload
def source(x: Deferred[T]) -> Source[T]: ...
@overload
def source(x: Iterable[T]) -> Source[T]: ...
@overload
def source(x: object) -> Source[Any]: ...
@overload
def source(x: Source[T], default: object) -> Source[T]: ...
@overload
def source(x: object, default: D) -> Source[Any] | D: ...
def source(x: Any, default: Any = _MISSING) -> Any:
    """Return ``x`` as a source, or ``default``.

    A stream is itself. Others, as the module's table has them, are used through what is returned:
    closing that closes a file or a generator, and leaves a queue, a collection or a deferred as it
    is.

    Args:
        x: see there.
        default: what to return if ``x`` cannot be made a source.

    Raises:
        TypeError: it cannot, and there is no ``default``. Text and bytes are refused too; wrap them
            in a list.
    """
    if isinstance(x, Source):
        # All that connects or draws on a stream comes by here.
        check_owner(x, "used as a source")
        return x
    make = _source_maker(x)
    if make is not None:
        return make(x)
    if default is _MISSING:
        raise TypeError(
            "a source must be a stream, a queue, something deferred, a file that does not block "
            f"the hub or an iterable, not {type(x).__name__}"
        )
    return default


@overload
def sink(x: Sink[T]) -> Sink[T]: ...
@overload
def sink(x: object) -> Sink[Any]: ...
@overload
def sink(x: Sink[T], default: object) -> Sink[T]: ...
@overload
def sink(x: object, default: D) -> Sink[Any] | D: ...
def sink(x: Any, default: Any = _MISSING) -> Any:
    """Return ``x`` as a sink, or ``default``.

    A stream is itself. Others, as the module's table has them, are used through what is returned:
    closing that closes a file, fails a deferred that has got no message, and leaves a queue as it
    is.

    Args:
        x: see there.
        default: what to return if ``x`` cannot be made a sink.

    Raises:
        TypeError: it cannot, and there is no ``default``.
    """
    if isinstance(x, Sink):
        check_owner(x, "used as a sink")
        return x
    make = _sink_maker(x)
    if make is not None:
        return make(x)
    if default is _MISSING:
        raise TypeError(
            "a sink must be a stream, a queue, a deferred or a file that does not block the hub, "
            f"not {type(x).__name__}"
        )
    return default


def _source_maker(x: object) -> Callable[[Any], Source[Any]] | None:
    if is_queue(x):
        return QueueSource
    if is_deferrable(x):
        return _of_deferrable
    # Exactly these: only of them is it known that an index costs nothing and runs no code.
    if type(x) in {list, tuple, range}:
        return SequenceSource
    if isinstance(x, _NO_SERIES):
        return None
    if callable(getattr(x, "read", None)):
        # Not by its lines if it is refused: that would block as well.
        return FileSource if is_readable(x) else None
    return IterableSource if isinstance(x, Iterable) else None


def _sink_maker(x: object) -> Callable[[Any], Sink[Any]] | None:
    if is_queue(x):
        return QueueSink
    if isinstance(x, Deferred):
        return DeferredSink
    return FileSink if is_writable(x) else None


def _of_deferrable(x: Any) -> Source[Any]:
    return DeferredSource(to_deferred(x))
