"""`Joint`: a source that is put together from what others give, in its own time.

What needs messages of several sources, or sends by the clock, cannot lie on the way of one source
as an operator does. So it is a source of its own, with an operator at the end of each way that
leads to it (`Intake`), which brings a message when it is asked for one. It asks only when somebody
takes from it, and waits without a greenlet, in the line of each intake's box.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any
from weakref import ref

from galeph.deferred import Deferred
from galeph.stream.awaiting import OperatorTaker
from galeph.stream.boxed import Boxed
from galeph.stream.interfaces import END, EXPIRED, Nothing, Source
from galeph.stream.links import Branch
from galeph.stream.loans import UNKNOWN, Loan, Parcel, Returns, give_back
from galeph.stream.nesting import call_in_turn, take_inside
from galeph.stream.operators import Derived
from galeph.stream.outbox import Outbox
from galeph.stream.returning import return_value
from galeph.stream.steps import AS_IT_IS, Stage

__all__ = ["Intake", "Joint"]


class Joint(Boxed):
    """A queue whose messages are made when they are asked for."""

    _source_is_passive = True
    box: Outbox

    def __init__(self, sources: Iterable[Source[Any]], name: str, stage: Stage = AS_IT_IS) -> None:
        super().__init__(Outbox(), name)
        self.box.joint = ref(self)
        self._intakes = [Intake(source, self, stage, name) for source in sources]

    def _branches(self) -> Iterable[Branch]:
        return [each.branch for each in self._intakes]

    @abstractmethod
    def _make(self) -> bool | None:
        """Make a message of what the intakes hold, and `_send` it; `_finish` at an end.

        Never switches. Returns whether it has; None if that took something and more is wanted.
        """

    def _original(self, message: Any) -> Any:
        """Return what the source has given for what an intake has brought."""
        return message

    def _send(self, message: Any, loans: Sequence[Loan]) -> None:
        """Let a message be taken, and say what it was made of. Never switches."""
        self.box.put_async(Parcel.of(message, loans))
        self._arrived()

    # Taking

    def _take(self, timeout: float | None) -> Any:
        # Again if what was made went to somebody who waited already.
        while not self._is_filled and self._fetch() is not False:
            pass
        return self.box._take(timeout)

    def _draw(self, timeout: float | None) -> Any:
        """Take a message for an operator, and its loans: a Parcel."""
        while not self._is_filled and self._fetch() is not False:
            pass
        return self.box._draw(timeout)

    @property
    def _is_filled(self) -> bool:
        """Whether there is a message to be taken, or never will be one."""
        box = self.box
        return bool(box._messages or box._putters or box.closed)

    def _fetch(self) -> bool | None:
        """Get what is there, running the functions above; ask for what is not, and `_make`."""
        try:
            for each in self._intakes:
                each.fetch()
        except BaseException:
            # Others may have relied on this greenlet.
            if self.box._takers:
                self.look_soon()
            self._arrived()
            raise
        return self._make()

    def take_async(self, default: Any = None) -> Deferred[Any]:
        roots = dict.fromkeys(intake.root() for intake in self._intakes)
        taker = OperatorTaker(self, roots, default)
        if not taker.begin():
            self.look_soon()
        return taker.deferred

    def look_soon(self) -> None:
        """Make what can be made, and ask for what is missing. Never switches."""
        while not self._is_filled:
            for each in self._intakes:
                each.ask()
            made = self._make()
            if made is False or (made and not self.box._takers):
                return

    # Ending

    def _origin(self) -> Source[Any]:
        return self.box if self.box.closed else self

    def close(self) -> None:
        """Take no more messages; close the sources that nothing else is connected to."""
        if not self.box.closed:
            self._finish(None)

    def dissolve(self) -> None:
        """Close as an operator of a chain that is closed: all goes back to where that begins."""
        for loan in reversed(self.box.take_out()):
            for each in self._intakes:
                if loan.at is each.branch:
                    each.held.insert(0, loan)
        if self.box.closed:
            # Nobody has got the last of what it has made.
            for each in self._intakes:
                each.return_unsent()
        else:
            self.close()

    def _finish(self, error: BaseException | None) -> None:
        """End in order, or with ``error``; what the intakes hold goes back. Never switches."""
        if error is None:
            self.box.close()
        else:
            self.box.fail(error)
        for each in self._intakes:
            each.message = END
            each.close()
            # Behind what that brings.
            call_in_turn(each.return_unsent)
        self._end(error)


class Intake(Derived):
    """One of the ways to a joint, and the message that it has brought."""

    def __init__(self, source: Source[Any], joint: Joint, stage: Stage, name: str) -> None:
        super().__init__(source, stage, name)
        self._joint = joint
        # EXPIRED: there is none yet; END: there will be none.
        self.message: Any = EXPIRED
        self._is_asked = False
        # One for each message that was brought and is not sent, in their order.
        self.held: list[Loan] = []

    def _in_graph(self) -> Source[Any]:
        return self._joint._in_graph()

    def fetch(self) -> None:
        """Get a message, if one is there; ask for one if not. Runs the functions above it."""
        if self.message is not EXPIRED or self._is_asked:
            return
        self._is_asked = True
        try:
            self._bring(self._taken(self._take_inside))
        finally:
            self._is_asked = False
        self.ask()

    def ask(self) -> None:
        """Have the next message brought here. Never switches."""
        if self.message is not EXPIRED or self._is_asked:
            return
        self._bring(self._taken(self._draw))
        if self.message is EXPIRED:
            self._is_asked = True
            self.box._stand_in_line(self)
            self.root().kick()

    def _take_inside(self, timeout: float) -> Any:
        return take_inside(partial(self._take, is_parcel=True), timeout)

    def _taken(self, take: Callable[[float], Any]) -> Any:
        try:
            return take(0)
        except Exception as error:
            if self.error is not error:
                raise
            return END

    def serve(self, outcome: Any) -> bool:
        """Hear that the message asked for is there. Always True; never switches."""
        self._is_asked = False
        self._bring(outcome)
        self._joint.look_soon()
        return True

    def take_out(self, count: int = 1) -> list[Loan]:
        """Return the loans of the first messages that were brought: they are sent now."""
        loans = self.held[:count]
        del self.held[:count]
        return loans

    def return_unsent(self) -> None:
        """Give back what is not sent, if the source has ended and this was closed then."""
        returns = Returns()
        give_back(self.take_out(len(self.held)), returns)
        returns.send()

    def _bring(self, message: Any) -> None:
        loans: Sequence[Loan] = ()
        if type(message) is Parcel:
            message, loans = message.value, message.loans
        if not isinstance(message, Nothing):
            self.held.append(self._account(self._joint._original(message), loans))
        self.message = message

    def _account(self, original: Any, loans: Sequence[Loan]) -> Loan:
        """Return the one loan of a message, which was ``original`` before this."""
        if len(loans) == 1 and loans[0].at is self.branch:
            loans[0].value = original
            return loans[0]
        return Loan(self.branch, original, loans)

    def _store_rest(self) -> None:
        """Leave it: nobody takes from here."""

    def return_rest(self, returns: Returns) -> None:
        for receipt in reversed(tuple(self.box._putters)):
            return_value(receipt, self.branch, UNKNOWN, returns)
            self.box._withdraw(receipt)
            receipt.release()
