"""`transform`: a generator function over the messages of a source.

As an operator it is a stage like others: each message is answered with the series of what the
function yields before it asks for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from gevent.exceptions import LoopExit

from galeph._arguments import check_buffer, check_callable
from galeph.deferred.producer import raise_deadlock
from galeph.stream.boxed import Pool
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import Source
from galeph.stream.inverted import Inverted
from galeph.stream.operators import Derived, Reservoir
from galeph.stream.steps import ENOUGH, Many

__all__ = ["raise_stuck", "transform"]

A = TypeVar("A")
B = TypeVar("B")


def transform(
    fn: Callable[[Iterator[A]], Iterable[B]],
    source: Source[A] | Iterable[A],
    *,
    buffer: float = 0,
) -> Source[B]:
    """Return a source of what a generator function makes of the messages.

    ``fn(messages)`` reads from an iterator and yields what is to be sent; at the end of ``source``
    the iterator ends, and what is yielded then is sent before the end. If it returns before, the
    returned source ends, and ``source`` is closed if nothing else is connected to it. It runs in a
    greenlet of its own and may block. What it raises fails the returned source, and closes
    ``source``; if ``source`` fails, it is ended as by a kill. ::

        def pairs(messages):
            for first in messages:
                yield first, next(messages, None)

    Args:
        fn: a generator function, or anything else that makes an iterable of an iterator, such as
            ``lambda messages: itertools.islice(messages, 10)``.
        source: a source, or what `galeph.stream.source` makes one of.
        buffer: how many outputs may be made before they are wanted; with 0 only when they are.

    Raises:
        TypeError: ``fn`` is not callable, ``buffer`` is no number, or ``source`` cannot be made a
            source.
        ValueError: ``buffer`` is not a whole number.
    """
    check_callable("fn", fn)
    check_buffer("buffer", buffer, is_metered=False)
    stage = _Transform(fn)
    made = to_source(source)
    if buffer > 0:
        return _Buffered(made, stage, "transform", Pool(buffer))
    return _Transformed(made, stage, "transform")


def raise_stuck(error: LoopExit, function: Inverted) -> None:
    """Raise `Deadlock` if ``error`` ended the wait for a function that waits itself."""
    raise_deadlock(
        error,
        function._fn,
        "end the wait of",
        remark="the function of a stream: it puts into that stream, perhaps, or takes from it",
    )


class _Transform:
    """The stage of a function."""

    __slots__ = ("_inverted", "_is_told")

    def __init__(self, fn: Callable[[Iterator[Any]], Iterable[Any]]) -> None:
        self._inverted = Inverted(fn)
        self._is_told = False

    def step(self, message: Any) -> Any:
        self._inverted.feed(message)
        return Many(self)

    def finish(self) -> Iterable[Any]:
        self._inverted.end()
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._inverted)
        except LoopExit as error:
            raise_stuck(error, self._inverted)
            raise
        except StopIteration:
            if self._is_told or not self._inverted.has_had_enough:
                raise
            self._is_told = True
            return ENOUGH

    def stop(self) -> None:
        """Have the function end. Soon; never switches."""
        self._inverted.stop()


class _Transformed(Derived):
    """What `transform` returns."""

    stage: _Transform

    def detach(self) -> Source[Any]:
        self.stage.stop()
        return super().detach()


class _Buffered(Reservoir):
    """What `transform` returns if it may work ahead."""

    stage: _Transform

    def detach(self) -> Source[Any]:
        self.stage.stop()
        return super().detach()
