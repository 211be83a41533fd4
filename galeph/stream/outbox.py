"""`Outbox`: the box of an operator or a joint, which knows what its messages were made of.

A message that a lane brings while a greenlet waits for it is handed over as a `Parcel`: if the
greenlet is killed before it runs the message stays here, and if nobody holds the operator then what
it was made of goes back. Who takes a message gets it without its loans, and has settled them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from galeph.stream.interfaces import END, Nothing
from galeph.stream.lanes import Lane
from galeph.stream.lines import AsyncTaker
from galeph.stream.loans import Loan, Parcel, are_void, settle
from galeph.stream.ownership import checks_owner
from galeph.stream.queue_stream import Stream
from galeph.stream.returning import lend

if TYPE_CHECKING:
    from galeph.stream.joints import Joint
    from galeph.stream.links import Branch

__all__ = ["Outbox"]


@checks_owner("take _take _draw")
class Outbox(Stream[Any]):
    """A stream that parcels lie in."""

    # What lies here can be taken again by whoever has drawn it.
    takes_back = True
    # The way to the operator whose box this is, if it is one.
    branch: Branch | None = None
    # The joint whose box this is, if it is one. It has the links; weak, because it holds this.
    joint: ref[Joint] | None = None
    # The lane whose message is being offered.
    _bringer: Lane | None = None
    # The operator. Held from here while something draws on what it has left behind.
    _owner: Any = None

    def _draw(self, timeout: float | None) -> Any:
        """Take a message for somebody further on, and its loans, if it has any: a Parcel."""
        try:
            while self._is_void(message := super()._take(timeout)):
                pass
        except BaseException:
            self._resend_left()
            raise
        return message

    def take(self, default: Any = None) -> Any:
        try:
            while self._is_void(message := super().take(default)):
                pass
        except BaseException:
            self._resend_left()
            raise
        return _opened(message)

    def _take(self, timeout: float | None) -> Any:
        return _opened(self._draw(timeout))

    def drop_void(self) -> bool:
        """Take out what lies here first, as far as that is nobody's any more. Never switches.

        Returns whether that was something.
        """
        count = len(self._messages)
        while self._messages and self._is_void(self._messages[0]):
            self._messages.popleft()
        return len(self._messages) < count

    def _is_void(self, message: Any) -> bool:
        if type(message) is not Parcel or not are_void(message.loans):
            return False
        # Whoever comes for it found something here, and so has not asked for more.
        derived = None if self.branch is None else self.branch.derived
        joint = None if self.joint is None else self.joint()
        if derived is not None:
            derived.root().kick()
        elif joint is not None:
            joint.look_soon()
        return True

    def _take_from_line(self) -> Any:
        first = self._putters[0]
        if type(first) is Lane and self.branch is not None:
            first.message = Parcel.of(first.message, lend(first, self.branch))
        return super()._take_from_line()

    def _offer(self, message: Any, receipt: Any) -> bool | Nothing:
        if not self._takers or type(receipt) is not Lane:
            return super()._offer(message, receipt)
        self._bringer = receipt
        try:
            return super()._offer(message, receipt)
        finally:
            self._bringer = None

    def _hand_over(self, message: Any) -> bool:
        takers = self._takers
        while takers and type(takers[0]) is AsyncTaker:
            # It has it at once.
            taker = takers.pop(0)
            parcel = message if type(message) is Parcel else Parcel(message, ())
            if taker.serve(parcel.value):
                settle(parcel.loans)
                if not takers:
                    self._reopen_room()
                return True
        if takers and self._bringer is not None and self.branch is not None:
            message = Parcel.of(message, lend(self._bringer, self.branch))
        return super()._hand_over(message)

    def take_out(self) -> list[Loan]:
        """Return the loans of what lies here, in order; that is gone then. Never switches.

        Of what is not known where it comes from nothing happens.
        """
        loans: list[Loan] = []
        for taker in tuple(self._handed):
            if type(taker.outcome) is Parcel:
                loans.extend(taker.outcome.loans)
                # It has not run yet, and finds that this has ended.
                taker.outcome = END
                self._handed.remove(taker)
        for _ in range(len(self._messages)):
            message = self._messages.popleft()
            if type(message) is Parcel:
                loans.extend(message.loans)
            else:
                self._messages.append(message)
        for putter in tuple(self._putters):
            if type(putter) is Lane and self.branch is not None:
                putter.message = Parcel.of(putter.message, lend(putter, self.branch))
            if type(putter.message) is Parcel:
                loans.extend(putter.message.loans)
                self._withdraw(putter)
                if type(putter) is Lane:
                    putter.release()
        return loans

    def _flush(self) -> None:
        if self.branch is not None:
            self._owner = self.branch.derived

    def _resend_left(self) -> None:
        """Send what a taker has left here who was interrupted. Never switches.

        At once: what has been connected meanwhile is just about to be given the next.
        """
        if self.branch is not None and self._messages:
            _resend(self.branch)

    def _arrived(self) -> None:
        super()._arrived()
        if self.branch is not None and self._messages:
            # Soon: a link that has left it here is just about to be taken out.
            self._call_soon(_resend, self.branch)
        joint = None if self.joint is None else self.joint()
        if joint is not None:
            joint._arrived()


def _resend(branch: Branch) -> None:
    derived = branch.derived
    if derived is not None and not derived.box._takers:
        derived.resend()


def _opened(message: Any) -> Any:
    return message.open() if type(message) is Parcel else message
