"""`Taking`: what a stream gives, as the series of an operator that was given the stream.

`concat` and `mapcat` draw on streams that are no part of the graph. Each message is known by itself
from there on: from further down it goes back to the operator, and if nobody holds that to the
stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub, on_ready
from galeph.stream.interfaces import END, EXPIRED, Source
from galeph.stream.lanes import Lane
from galeph.stream.loans import Parcel
from galeph.stream.nesting import call_in_turn, take_inside
from galeph.stream.queue_stream import Stream
from galeph.stream.returning import return_value
from galeph.stream.steps import Drawing, NotYet

if TYPE_CHECKING:
    from galeph.stream.operators import Derived

__all__ = ["Taking"]


class Taking(Drawing):
    """The messages of a stream, as a series for a lane, which waits without a greenlet.

    The stream holds it to the end: what was taken there must not be lost to those who still have
    the stream when the operator is dropped.

    Args:
        stream: where they are.
        reader: the operator whose series it is.
        is_one: whether they stand for a message that was given for them; see `Many`.
    """

    __slots__ = (
        "_box",
        "_given",
        "_is_one",
        "_is_over",
        "_reader",
        "_source",
        "_stream",
        "_take",
        "_taken",
    )

    def __init__(self, stream: Source[Any], reader: Derived, *, is_one: bool = False) -> None:
        self._stream = stream
        self._source = source = stream._real_source()
        self._is_one = is_one
        self._is_over = False
        self._reader: ref[Derived] | None = ref(reader, self._let_go_soon)
        # Where what is given lies until somebody has it, and how much was given.
        self._box = reader.box
        self._given = 0
        # A queue takes from nobody else, and need not be counted: a tenth of what a message costs.
        is_queue = isinstance(source, Stream)
        self._take = source._take if is_queue else partial(take_inside, source._take)
        # A take that is under way.
        self._taken: Deferred[Any] | None = None
        source._drawn_by = self

    def __next__(self) -> Any:
        message = END if self._is_over else self._next()
        if message is END:
            self._end()
            raise StopIteration
        self._given += 1
        if self._is_one:
            # The first is known by what was given.
            self._is_one = False
            return message
        return Parcel(message, ())

    def _next(self) -> Any:
        taken = self._taken
        if taken is None:
            message = self._take(0)
            if message is not EXPIRED:
                return message
            taken = self._taken = self._source.take_async(END)
        if not taken.ready():
            raise NotYet(self._wait)
        self._taken = None
        return taken.get()

    def _wait(self, wake: Callable[[], None]) -> Callable[[], None]:
        if self._taken is not None:
            on_ready(self._taken, wake)
        return self._withdraw

    def _withdraw(self) -> None:
        """Take back the take that is under way, and give back what it has got. Never switches."""
        taken, self._taken = self._taken, None
        if taken is None or taken.cancel():
            return
        if taken.exception is None and taken.value is not END:
            self._source._give_back(taken.value)

    def _end(self) -> None:
        self._is_over = True
        # One whose operator the collector has found keeps its callback, and so this.
        self._reader = None
        if self._source._drawn_by is self:
            self._source._drawn_by = None

    # Ending before the stream has

    def stop(self) -> None:
        """Take no more, and close the stream. Never switches."""
        self._withdraw()
        if not self._is_over:
            self._end()
            call_in_turn(self._stream.close)

    def _let_go_soon(self, _: object) -> None:
        """Hear that the operator has died. In the garbage collector, on any thread."""
        call_in_hub(self._source._hub, self.let_go)

    def let_go(self) -> None:
        # From the last to the first: each becomes the stream's next.
        self._withdraw()
        box = self._box
        for receipt in reversed(tuple(box._putters)):
            message = receipt.message
            box._withdraw(receipt)
            if type(receipt) is Lane:
                # What it stands for.
                return_value(receipt, None)
            receipt.release()
            self._give_back(message)
        while box._messages:
            self._give_back(box._messages.pop())
        self._end()

    def _give_back(self, message: Any) -> None:
        # What it has not given was the last of a stream before.
        if self._given:
            self._given -= 1
            self._source._give_back(message.value if type(message) is Parcel else message)
