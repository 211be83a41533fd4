"""`connect` and its like: let the messages of a source flow by themselves.

`connect` into a sink, `drain_into` one that is to stay open, `connect_via` a function into a sink,
`consume` and `consume_async` into a function. How they flow is ``links``; here are only the
arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from galeph._arguments import check_callable, check_flag, check_seconds
from galeph.deferred import Deferred
from galeph.stream.callbacks import Callback, Function
from galeph.stream.coerce import sink as to_sink
from galeph.stream.coerce import source as to_source
from galeph.stream.links import Link

if TYPE_CHECKING:
    from galeph.stream.coerce import CanBeSink, CanBeSource

__all__ = ["connect", "connect_via", "consume", "consume_async", "drain_into"]

T = TypeVar("T")


def connect(
    source: CanBeSource[T],
    sink: CanBeSink[T],
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
        the source failed with, what a put raised, or `TimedOut`. An error that fails the sink too,
        and so whoever takes from that, is not reported if nobody asks for it here. Cancelling it
        disconnects the two and leaves both open.

    Raises:
        TypeError: one of the two is no stream and cannot be made one, or an option is of another
            type than it should be; the text names it.
        ValueError: ``timeout`` is not above 0.
    """
    _check_options(downstream, upstream, timeout)
    link = Link(
        to_source(source)._origin(),
        to_sink(sink)._target(),
        downstream=downstream,
        upstream=upstream,
        timeout=timeout,
        description=description,
    )
    return link.deferred


def consume(source: CanBeSource[T], fn: Callable[[T], object]) -> Deferred[bool]:
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
    check_callable("fn", fn)
    return connect(source, Function(fn), description={"op": "consume"})


def consume_async(source: CanBeSource[T], fn: Callable[[T], object]) -> Deferred[bool]:
    """Call ``fn(message)`` for every message of ``source``, each when the one before has arrived.

    As `consume`, but what ``fn`` returns counts: a Deferred (or AsyncResult, Greenlet, Future) is
    waited for, and False, returned or arriving, ends the consumption. The message it was returned
    for has been dealt with; the source is closed if nothing else is connected to it. A Deferred
    that fails is as if ``fn`` had raised.

    Returns:
        A Deferred that is True when the source is drained or ``fn`` has said False, and fails with
        what the source failed with or ``fn`` raised. Cancelling it stops the consumption and
        leaves the source open.

    Raises:
        TypeError: ``source`` cannot be made a source, or ``fn`` is not callable.
    """
    check_callable("fn", fn)
    return connect(source, Function(fn, is_asked=True), description={"op": "consume_async"})


def connect_via(
    source: CanBeSource[T],
    fn: Callable[[T], object],
    sink: CanBeSink[Any],
    *,
    downstream: bool = True,
    upstream: bool = False,
    timeout: float | None = None,
    description: object = None,
) -> Deferred[bool]:
    """Have ``fn`` called with every message of ``source``, to put into ``sink`` what it likes.

    Returns at once. ``fn`` is trusted to do the putting itself, and may block; a Deferred that it
    returns is waited for before the next message. False, returned or arriving, is taken as the
    refusal of that message and ends the connection; so ``return sink.put(...)`` is all it takes to
    pass on the end of the sink. What it raises ends the connection too, and fails the sink.

    Args:
        source: as for `connect`.
        fn: gets each message.
        sink: what ``fn`` puts into. It knows of the connection, and its end is the connection's.
        downstream: whether the end of the source closes the sink, and its failure, or that of
            ``fn``, fails it.
        upstream: whether the end of the sink closes the source even if it has others.
        timeout: the most seconds ``fn`` may take for a message. It is interrupted then, and the
            sink closed (if ``downstream``) and taken off.
        description: anything, for whoever looks at the graph.

    Returns:
        A Deferred that is True when the source is drained, the sink closed, or ``fn`` has said
        False. It fails with what the source failed with, what ``fn`` raised, or `TimedOut`.
        Cancelling it disconnects the two and leaves both open.

    Raises:
        TypeError: one of the two is no stream and cannot be made one, ``fn`` is not callable, or an
            option is of another type than it should be; the text names it.
        ValueError: ``timeout`` is not above 0.
    """
    check_callable("fn", fn)
    _check_options(downstream, upstream, timeout)
    origin = to_source(source)
    return connect(
        origin,
        Callback(fn, to_sink(sink)._target(), downstream=downstream),
        upstream=upstream,
        timeout=timeout,
        description=description,
    )


def drain_into(source: CanBeSource[T], sink: CanBeSink[T]) -> Deferred[bool]:
    """Put everything that ``source`` has and will have into ``sink``, and leave ``sink`` open.

    Returns at once. It is `connect` that does not pass on the end of the source.

    Returns:
        A Deferred that is True when the source is drained or the sink closed, and fails with what
        the source failed with or a put raised. Cancelling it disconnects the two.

    Raises:
        TypeError: one of the two is no stream and cannot be made one.
    """
    return connect(source, sink, downstream=False, description={"op": "drain_into"})


def _check_options(downstream: object, upstream: object, timeout: object) -> None:
    check_flag("downstream", downstream)
    check_flag("upstream", upstream)
    check_seconds("timeout", timeout)
