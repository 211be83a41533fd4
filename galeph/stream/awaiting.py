"""Takes that wait without a greenlet for what an operator, or a joint, makes next.

They stand in the line of its box, as a greenlet that takes there does, and the pump of the source
above brings them the message. Until then that source holds the operator: whoever waits for a
deferred need not hold what it comes from. If nobody has the source either, all of it is garbage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from galeph.deferred.producer import on_cancel
from galeph.stream.interfaces import END, EXPIRED
from galeph.stream.lines import AsyncTaker
from galeph.stream.loans import Parcel, settle
from galeph.stream.outbox import Outbox
from galeph.stream.queue_stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from galeph.stream.boxed import Boxed
    from galeph.stream.outlets import Outlet

__all__ = ["OperatorTaker", "ParcelTaker"]


class ParcelTaker(AsyncTaker):
    """A take in the line of a box, which gets the loans, too.

    Args:
        box: where the messages come.
    """

    __slots__ = ("_box",)

    def __init__(self, box: Stream[Any], default: Any = END) -> None:
        super().__init__(default)
        self._box = box

    def begin(self) -> bool:
        """Take what is there, or stand in line; False if it has to wait there. Never switches."""
        box = self._box
        try:
            message = box._draw(0) if isinstance(box, Outbox) else box._take(0)
        except Exception as error:
            self.deferred.error(error)
            return True
        if message is EXPIRED and box._stand_in_line(self):
            on_cancel(self.deferred, lambda _: self._leave())
            return False
        self.serve(END if message is EXPIRED else message)
        return True

    def serve(self, outcome: Any) -> bool:
        box = self._box
        if outcome is END and box._failure is not None:
            self.deferred._fail(box._failure, box._failure_trace)
            return True
        return super().serve(outcome)

    def _leave(self) -> None:
        """Come out of the line, because the deferred was cancelled. Never switches."""
        self._box._leave_line(self)


class OperatorTaker(ParcelTaker):
    """A take of the next message that an operator or a joint makes.

    Args:
        maker: which that is.
        roots: the outlets of the sources its messages come from in the end.
        default: what the deferred gets at the end.
        is_parcel: whether it gets the loans, too, and has to settle them.
    """

    __slots__ = ("_is_parcel", "_roots", "maker")

    def __init__(
        self, maker: Boxed, roots: Iterable[Outlet], default: Any, *, is_parcel: bool = False
    ) -> None:
        super().__init__(maker.box, default)
        # Who holds this holds that.
        self.maker = maker
        self._is_parcel = is_parcel
        self._roots = tuple(roots)

    def begin(self) -> bool:
        if super().begin():
            return True
        for root in self._roots:
            root.awaiting[self] = None
            root.source._count_pending(1)
            root.kick()
        return False

    def serve(self, outcome: Any) -> bool:
        self._let_go()
        if self._is_parcel or type(outcome) is not Parcel:
            return super().serve(outcome)
        is_wanted = super().serve(outcome.value)
        if is_wanted:
            settle(outcome.loans)
        return is_wanted

    def _leave(self) -> None:
        super()._leave()
        for root in self._let_go():
            # Who moves messages may be waiting for one that nobody wants any more.
            root.tell_above()

    def _let_go(self) -> list[Outlet]:
        """Be held by the sources no longer; return those that held it."""
        held = [root for root in self._roots if root.awaiting.pop(self, self) is None]
        for root in held:
            root.source._count_pending(-1)
        return held
