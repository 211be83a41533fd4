"""`Taking`: what a stream gives, as the series of an operator that was given the stream.

`concat` and `mapcat` draw on streams that are no part of the graph. Each message is known by itself
from there on, and stands in the ledger of a `Draft`, a way from the stream to the operator: from
further down it goes back to the operator, and if nobody holds that to the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub, on_ready
from galeph.stream.awaiting import OperatorTaker, ParcelTaker
from galeph.stream.interfaces import END, EXPIRED, Source
from galeph.stream.joints import Joint
from galeph.stream.lanes import Lane
from galeph.stream.links import Branch
from galeph.stream.loans import Loan, Parcel, Returns, give_back, ledger
from galeph.stream.nesting import call_in_turn, take_inside
from galeph.stream.operators import Derived
from galeph.stream.outbox import Outbox
from galeph.stream.queue_stream import Stream
from galeph.stream.returning import lend, rewind
from galeph.stream.steps import SKIP, Drawing, NotYet

__all__ = ["Draft", "Taking"]


class Draft(Branch):
    """The way that the messages of a stream go to an operator which is not connected to it.

    The stream's outlet does not know it before `leave`: with an outlet a put takes longer.
    """

    __slots__ = ("_box", "_taking")

    def __init__(self, source: Source[Any], derived: Derived, taking: Taking) -> None:
        self.source = source
        self._taking: Taking | None = taking
        # The lane that a message waits in is in its line.
        self._box: Stream[Any] | None = derived.box
        self._held = None
        self._derived = ref(derived, taking._let_go_soon)
        self.lent = {}
        self.loan_count = 0
        self.is_out = self.is_indebted = False
        self.unfolded_by = None

    @property
    def is_alone(self) -> bool:
        """Always: whatever else draws on the stream gets other messages."""
        return True

    def take_back(self) -> list[Loan]:
        loans = [loan for lane in self._lanes() for loan in rewind(lane, self)]
        if self._taking is not None:
            loans.extend(self._taking.take_out())
        return loans

    def leave(self) -> None:
        """Be known to the stream alone from now on, as long as something stands here."""
        for lane in self._lanes():
            if lane._way is self and lane._loaded is not SKIP:
                lane._loans = lend(lane, None)
        self._box = self._taking = None
        self.is_out = True
        if self.lent:
            self.owe()

    def _lanes(self) -> list[Lane]:
        receipts = () if self._box is None else self._box._putters
        return [receipt for receipt in receipts if type(receipt) is Lane]


class Taking(Drawing):
    """The messages of a stream, as a series for a lane, which waits without a greenlet.

    The stream holds it to the end: what was taken there must not be lost to those who still have
    the stream when the operator is dropped.

    Args:
        stream: where they are.
        reader: the operator whose series it is.
    """

    __slots__ = (
        "_is_over",
        "_source",
        "_stream",
        "_take",
        "_taken",
        "_way",
    )

    def __init__(self, stream: Source[Any], reader: Derived) -> None:
        self._stream = stream
        self._source = source = stream._real_source()
        self._is_over = False
        self._way = Draft(source, reader, self)
        # A queue takes from nobody else, and need not be counted: a tenth of what a message costs.
        is_queue = isinstance(source, Stream)
        self._take = source._take if is_queue else partial(take_inside, _drawing_from(source))
        # A take that is under way.
        self._taken: Deferred[Any] | None = None
        if isinstance(source._drawn_by, Taking):
            source._drawn_by._way.leave()
        source._drawn_by = self

    def __next__(self) -> Any:
        message = END if self._is_over else self._next()
        if message is END:
            self._end()
            raise StopIteration
        if type(message) is Parcel:
            message.way = self._way
            return message
        return Parcel(message, (), self._way)

    def _next(self) -> Any:
        taken = self._taken
        if taken is None:
            message = self._take(0)
            if message is not EXPIRED:
                return message
            taken = self._taken = _draw_async(self._source)
        if not taken.ready():
            raise NotYet(self._wait)
        self._taken = None
        return taken.get()

    def _wait(self, wake: Callable[[], None]) -> Callable[[], None]:
        if self._taken is not None:
            on_ready(self._taken, wake)
        return self.withdraw

    def withdraw(self) -> None:
        taken, self._taken = self._taken, None
        if taken is None or taken.cancel():
            return
        if taken.exception is None and taken.value is not END:
            self._source._give_back(taken.value)

    def take_out(self) -> list[Loan]:
        """Take out what a take has got and nobody has asked for yet. Never switches."""
        taken = self._taken
        if taken is None or not taken.ready() or taken.exception or taken.value is END:
            return []
        self._taken = None
        message = taken.value
        if type(message) is Parcel:
            return [Loan(self._way, message.value, message.loans)]
        return [Loan(self._way, message)]

    def _end(self) -> None:
        self._is_over = True
        self._way.leave()
        if self._source._drawn_by is self:
            self._source._drawn_by = None

    # Ending before the stream has

    def stop(self) -> None:
        """Take no more, and close the stream. Never switches."""
        self.withdraw()
        if not self._is_over:
            self._end()
            call_in_turn(self._stream.close)

    def _let_go_soon(self, _: object) -> None:
        """Hear that the operator has died. In the garbage collector, on any thread."""
        call_in_hub(self._source._hub, self.let_go)

    def let_go(self) -> None:
        self.withdraw()
        returns = Returns()
        give_back([*ledger(self._way), *self._way.take_back()], returns)
        returns.send()
        self._end()


# -- taking from an operator, with the loans


def _drawing_from(source: Source[Any]) -> Callable[[float | None], Any]:
    if isinstance(source, Derived):
        return partial(source._take, is_parcel=True)
    return source._draw if isinstance(source, Joint) else source._take


def _draw_async(source: Source[Any]) -> Deferred[Any]:
    """Return a Deferred of the next message, a Parcel if it has loans, or END."""
    taker: ParcelTaker
    if isinstance(source, Derived) and isinstance(source.box, Outbox):
        taker = OperatorTaker(source, (source.root(),), END, is_parcel=True)
        taker.begin()
    elif isinstance(source, Joint):
        taker = ParcelTaker(source.box)
        if not taker.begin():
            source.look_soon()
    else:
        return source.take_async(END)
    return taker.deferred
