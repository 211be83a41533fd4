"""One message into many streams: offered to all of them first, then waited for.

`put_to_each` does it by the short way, where a stream has room or a greenlet waits to take. What
`Stream.put` does then is written out there in one loop, because a bus calls it for every message
(measured with 1,000 streams: 32 ns each, and 60 with a call). It knows the lines of
`galeph.stream.queue_stream`.

A `Delivery` does the rest: a message that a stream has no room for stands in its line as a
`Receipt`, and the delivery is over when all receipts are settled. So it takes no greenlet to wait
for many streams, and none of them waits for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gevent.exceptions import LoopExit

from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel, on_ready, raise_deadlock
from galeph.stream.interfaces import EXPIRED, Nothing, Sink
from galeph.stream.queue_stream import Stream
from galeph.stream.waiters import Waiter

__all__ = ["Delivery", "Receipt", "put_to_each"]


def put_to_each(streams: Iterable[Stream[Any]], message: Any) -> list[Stream[Any]]:
    """Put ``message`` into each of several streams without waiting. Never switches.

    Returns:
        Those it did not go into: closed, full, connected to others, or never used before. Each
        is to be put into by itself.
    """
    left: list[Stream[Any]] = []
    for stream in streams:
        messages = stream._messages
        # `_room` is below 0 where anything else is to be looked at, and what nobody has put into
        # yet has no line that could be shorter.
        if len(messages) < stream._room and stream._outlet is None:
            messages.append(message)
            continue
        takers = stream._takers
        if takers and type(takers[0]) is Waiter:
            taker = takers.pop(0)
            taker.outcome = message
            taker._wake_up = stream._call_soon(taker._greenlet.switch)
            stream._handed.append(taker)
            if not takers:
                stream._reopen_room()
        else:
            left.append(stream)
    return left


class Receipt:
    """A message on its way into one stream that has no room for it yet.

    Args:
        on_settled: called with the receipt once it is known whether the message is accepted. It
            must neither switch nor raise.
    """

    __slots__ = (
        "_deferred",
        "_delivery",
        "_on_settled",
        "is_accepted",
        "message",
        "sink",
        "weight",
    )

    def __init__(
        self,
        delivery: Delivery,
        sink: Sink[Any],
        message: Any,
        on_settled: Callable[[Receipt], object],
    ) -> None:
        self._delivery = delivery
        self.sink = sink
        self._on_settled: Callable[[Receipt], object] | None = on_settled
        self.is_accepted = False
        # Of a sink without a line, which puts in a greenlet of its own.
        self._deferred: Deferred[bool] | None = None
        self.message = message
        self.weight: float = 1

    def offer(self) -> bool | Nothing:
        """Put without waiting; with EXPIRED it is settled later."""
        sink = self.sink
        if not sink._sink_is_passive:
            return self._put_later()
        if isinstance(sink, Stream) and sink._outlet is not None and sink._metric is None:
            # It may go straight on to where the stream leads. (With a metric that would be asked
            # twice.)
            accepted = sink._put(self.message, 0)
            if accepted is not EXPIRED:
                return accepted
        return sink._offer(self.message, self)

    def _put_later(self) -> bool | Nothing:
        deferred = self.sink.put_async(self.message)
        if deferred.ready():
            return deferred.get() is True
        self._deferred = deferred
        on_ready(deferred, self._put_has_ended)
        return EXPIRED

    def _put_has_ended(self) -> None:
        deferred = self._deferred
        if deferred is not None:
            # Looked at, so that its error is not reported: the sink has ended with it.
            self.serve(deferred.exception is None and deferred.value is True)

    def serve(self, accepted: object) -> bool:
        """Hear what has become of the message. Only the first call counts; never switches."""
        on_settled, self._on_settled = self._on_settled, None
        if on_settled is not None:
            self.is_accepted = accepted is True
            on_settled(self)
            self._delivery.settle(self)
        return True

    def withdraw(self) -> None:
        """Take the message back, if it is not accepted yet. Never switches."""
        if self._deferred is not None:
            self._deferred.cancel()
        else:
            self.sink._withdraw(self)
        self.serve(False)


class Delivery:
    """One message, and the streams that have not accepted it yet.

    First every stream is offered it (`offer`). Then the one who delivers waits, in one of the two
    ways.
    """

    __slots__ = ("_receipts", "_waiter")

    def __init__(self) -> None:
        self._receipts: dict[Receipt, None] = {}
        # Who is told when all receipts are settled.
        self._waiter: Waiter | Deferred[bool] | None = None

    @property
    def is_done(self) -> bool:
        """Whether no stream keeps the message waiting."""
        return not self._receipts

    def offer(
        self, sink: Sink[Any], message: Any, on_settled: Callable[[Receipt], object]
    ) -> Receipt | bool:
        """Offer the message to one stream. Never waits.

        Returns:
            Whether the stream has accepted it; or the receipt, if that is still to be seen.
            ``on_settled`` is called for a receipt only.

        Raises:
            Exception: what the stream's metric has raised; it has not got the message.
        """
        receipt = Receipt(self, sink, message, on_settled)
        accepted = receipt.offer()
        if accepted is not EXPIRED:
            return accepted is True
        self._receipts[receipt] = None
        return receipt

    def settle(self, receipt: Receipt) -> None:
        """Hear that one of the streams has accepted or refused. Never switches."""
        self._receipts.pop(receipt, None)
        waiter = self._waiter
        if self._receipts or waiter is None:
            return
        self._waiter = None
        if isinstance(waiter, Waiter):
            waiter.serve(True)
        else:
            waiter.success(True)

    def withdraw(self) -> None:
        """Take the message back from all that have not accepted it. Never switches."""
        for receipt in tuple(self._receipts):
            receipt.withdraw()

    def wait(self, hub: Any, topic: object) -> None:
        """Block until every stream has accepted or refused.

        An exception that arrives here withdraws the message from those that have done neither.

        Args:
            hub: of the greenlet that waits.
            topic: what the message was published on.
        """
        if self.is_done:
            return
        waiter = self._waiter = Waiter(hub.loop.run_callback)
        try:
            waiter.wait()
        except BaseException as error:
            self._waiter = None
            if isinstance(error, LoopExit):
                slowest = next(iter(self._receipts)).sink
                act = f"take what was published on topic {topic!r} from"
                self.withdraw()
                raise_deadlock(error, slowest, act)
            self.withdraw()
            raise

    def later(self) -> Deferred[bool]:
        """Return a Deferred that is True when every stream has accepted or refused.

        Cancelling it withdraws the message from those that have done neither.
        """
        deferred: Deferred[bool] = Deferred()
        if self.is_done:
            deferred.success(True)
        else:
            self._waiter = deferred
            on_cancel(deferred, lambda _: self.withdraw())
        return deferred
