"""`Subscription`: the end of a stream for one who only takes, and whom others put for.

Whoever puts holds the stream, and must not hold it for ever: once nobody can take from it any
more, nobody should have to put. So everything that takes holds the subscription, and not only the
stream behind it: greenlets, links, operators, pending takes. When the last of them lets go, the
subscription dies, and who watches it with a weak reference hears of that; at once, without the
garbage collector, unless the user has made it part of a cycle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready
from galeph.stream.interfaces import Nothing, Source
from galeph.stream.outlets import Outlet
from galeph.stream.ownership import checks_owner
from galeph.stream.queue_stream import Stream

__all__ = ["QueueSubscription", "Subscription", "subscription"]

T_co = TypeVar("T_co", covariant=True)


def subscription(
    source: Source[T_co], close: Callable[[], object], **facts: object
) -> Subscription[T_co]:
    """Make a subscription.

    Args:
        source: where its messages are.
        close: what `Subscription.close` does. It must never switch, and should close ``source``.
        facts: what its `description` says besides.
    """
    kind = QueueSubscription if type(source) is Stream else Subscription
    return kind(source, close, facts)


@checks_owner("close")
class Subscription(Source[T_co], Generic[T_co]):
    """A source that others put into for as long as somebody holds it.

    It ends when it is closed, or when what it subscribes to ends. Messages that are stored by then
    can still be taken.
    """

    # In a slot what every take needs: with a thousand subscriptions the dict of each is another
    # piece of memory to fetch, a tenth of what a take costs. (Everything else is in the dict.)
    __slots__ = ("_source",)

    _kind = "subscription"
    _source: Source[T_co]

    def __init__(
        self, source: Source[T_co], close: Callable[[], object], facts: dict[str, object]
    ) -> None:
        super().__init__()
        self._source = source
        self._close = close
        self._facts = facts
        self._source_is_passive = source._source_is_passive

    # What leads out of it leads out of its source.

    @property
    def _outlet(self) -> Outlet | None:
        return self._source._outlet

    @_outlet.setter
    def _outlet(self, outlet: Outlet | None) -> None:
        if outlet is not None:
            # The pump lives as long as the source, so that is what it must hold. The links have
            # the subscription.
            outlet.source = self._source
        self._source._outlet = outlet

    @property
    def link_count(self) -> int:
        return self._source.link_count

    # Taking

    def _take(self, timeout: float | None) -> T_co | Nothing:
        return self._source._take(timeout)

    def _give_back(self, message: Any) -> None:
        self._source._give_back(message)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        """Return at once a Deferred of the next message, or of ``default`` at the end.

        The subscription lives at least until then. Cancelling the Deferred withdraws the take.
        """
        taken = self._source.take_async(default)
        on_ready(taken, _let_go, self)
        return taken

    # Ending

    def close(self) -> None:
        """Unsubscribe. Whoever waits for room here is let go."""
        self._close()

    @property
    def drained(self) -> bool:
        return self._source.drained

    @property
    def error(self) -> BaseException | None:
        return self._source.error

    def on_drained(self, fn: Callable[[], object]) -> None:
        self._source.on_drained(fn)

    def description(self) -> dict[str, object]:
        facts = {"type": self._kind, **self._facts, "sink": False, "source": True}
        return {**self._source.description(), **facts}


@checks_owner("take")
class QueueSubscription(Subscription[T_co]):
    """One to a queue, as nearly all are; it only takes a message the shorter way."""

    __slots__ = ()

    _source: Stream[T_co]

    def take(self, default: Any = None) -> Any:
        # What `Stream.take` does when there is one, written out: two fifths of a take.
        source = self._source
        messages = source._messages
        if messages and not source._is_eventful:
            return messages.popleft()
        return source.take(default)


def _let_go(_: object) -> None:
    pass
