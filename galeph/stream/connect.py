"""`connect` and `consume`: let the messages of a source flow by themselves.

How they flow is ``links``; here are only the arguments, and the sink that is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from galeph.deferred import Deferred
from galeph.stream.active import ActiveSink
from galeph.stream.coerce import sink as to_sink
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import Sink, Source
from galeph.stream.links import Link

__all__ = ["connect", "consume"]

T = TypeVar("T")


def connect(
    source: Source[T] | Iterable[T],
    sink: Sink[T],
    *,
    downstream: bool = True,
    upstream: bool = False,
    timeout: float | None = None,
    description: object = None,
) -> Deferred[bool]:
    """Have every message of ``source`` put into ``sink``, from now on. Returns at once.

    Several sinks on one source get every message each: it is offered to all, and the next is taken
    when all have accepted it, so the slowest sets the pace. A sink that is closed is taken off;
    with the last one the source is closed.

    Args:
        source: a source, or what `galeph.stream.source` makes one of.
        sink: a sink, or what `galeph.stream.sink` makes one of.
        downstream: whether the end of the source closes the sink, and its failure fails it.
        upstream: whether the end of this sink closes the source even if it has others.
        timeout: the most seconds a message may wait for this sink. After that the sink is closed
            (if ``downstream``) and taken off.
        description: anything, for whoever looks at the graph.

    Returns:
        A Deferred that is True when the source is drained or the sink closed, and fails with what
        the source failed with, what a put raised, or `TimedOut`. Cancelling it disconnects the two
        and leaves both open.

    Raises:
        TypeError: one of the two is no stream and cannot be made one.
        ValueError: ``timeout`` is not above 0.
    """
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be above 0 seconds, not {timeout!r}")
    link = Link(
        to_source(source)._origin(),
        to_sink(sink)._target(),
        downstream=downstream,
        upstream=upstream,
        timeout=timeout,
        description=description,
    )
    return link.deferred


def consume(source: Source[T] | Iterable[T], fn: Callable[[T], object]) -> Deferred[bool]:
    """Call ``fn(message)`` for every message of ``source``. Returns at once.

    One after the other, each when the one before has returned; ``fn`` may block. If it raises,
    that is the end: it is not called any more, and the source is closed if nothing else is
    connected to it.

    Returns:
        A Deferred that is True when the source is drained, and fails with what the source failed
        with or ``fn`` raised. Cancelling it stops the consumption and leaves the source open.

    Raises:
        TypeError: ``source`` cannot be made a source, or ``fn`` is not callable.
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, not {type(fn).__name__}")
    return connect(source, _Function(fn), description={"op": "consume"})


class _Function(ActiveSink[Any]):
    """A function that messages are given to."""

    _kind = "function"

    def __init__(self, fn: Callable[[Any], object]) -> None:
        super().__init__()
        self._fn = fn

    def _put(self, message: Any, timeout: float | None) -> bool:  # noqa: ARG002  (there is none)
        self._fn(message)
        return True

    def _transmit(self, message: Any) -> bool:
        return self._put(message, None)

    def close(self) -> None:
        self._shut()

    def fail(self, error: BaseException) -> None:  # noqa: ARG002  (the function has no say)
        self._shut()
