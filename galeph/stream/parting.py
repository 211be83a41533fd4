"""`partition_by`: a source of streams, each with the messages that belong together.

The stage puts each message into the stream that is open, its *part*, and lets the lane pause until
somebody has taken it there. It is a reservoir: what is done with a part, by operators or whoever,
must not be in the way of the messages that the part is still to get. So it reads one message ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from galeph._arguments import check_callable
from galeph.deferred import Deferred
from galeph.stream.boxed import Pool
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import Source
from galeph.stream.operators import Reservoir
from galeph.stream.queue_stream import Stream
from galeph.stream.steps import SKIP, until_ready

__all__ = ["partition_by"]

A = TypeVar("A")


def partition_by(fn: Callable[[A], object], source: Source[A] | Iterable[A]) -> Source[Source[A]]:
    """Return a source of sources: of consecutive messages for which ``fn`` returns equal values.

    The next part comes only when the one before has been taken to its end, or closed: the messages
    that still belong to a closed part are dropped. ``fn`` may block. What it raises, and what
    ``source`` fails with, fails the part that is open and the returned source.

    Raises:
        TypeError: ``fn`` is not callable, or ``source`` cannot be made a source.
    """
    check_callable("fn", fn)
    return _Parted(to_source(source), _Sort(fn))


class _Part(Stream[Any]):
    """The stream of what belongs together."""

    # What fills it: held here, because whoever takes from this needs it.
    _operator: Reservoir | None = None


class _Parts(Pool):
    """Where a part waits to be taken."""

    # The part does not hold the operator before that: it lies with the source's lane.

    def _hand_over(self, message: _Part) -> bool:
        message._operator = self._reservoir
        return super()._hand_over(message)

    def _take_from_line(self) -> Any:
        message = super()._take_from_line()
        if isinstance(message, _Part):
            message._operator = self._reservoir
        return message


class _Parted(Reservoir):
    """What `partition_by` returns."""

    stage: _Sort

    def __init__(self, source: Source[Any], stage: _Sort) -> None:
        super().__init__(source, stage, "partition_by", _Parts())

    def conclude(self, error: BaseException | None) -> None:
        if error is not None and self.stage.part is not None:
            self.stage.part.fail(error)
        super().conclude(error)

    def _end_below(self) -> None:
        self.stage.finish()
        super()._end_below()


class _Sort:
    """The stage that puts messages where they belong."""

    __slots__ = ("_fn", "_key", "_put", "part")

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self._fn = fn
        self._key: object = None
        # The last message, until somebody has taken it in its part.
        self._put: Deferred[bool] | None = None
        self.part: Stream[Any] | None = None

    def step(self, message: Any) -> Any:
        if self._put is not None and not self._put.ready():
            raise until_ready(self._put)
        key = self._fn(message)
        part = self.part
        if part is not None and key == self._key:
            self._put = part.put_async(message)
            return SKIP
        if part is not None:
            part.close()
        new = _Part()
        self._put = new.put_async(message)
        self.part, self._key = new, key
        return new

    def finish(self) -> Iterable[Any]:
        if self.part is not None:
            self.part.close()
        return ()
