"""What an operator has taken from its source and nobody has got yet, and how it gets back there.

A message that leaves its lane and is not delivered is a `Loan`: it is in the list of a `batch`, in
a tuple of a `zip`, it was served to a taker that has not returned yet. What has been made of it, if
that lies somewhere, lies there as a `Parcel`, with its loans.

A loan stands in the ledgers (`Branch.lent`) of two ways: of that its lane began with, and of that
before the operator that has it. These outlive the operator. When it dies what is still in the
ledger goes back, the last first: to the source of the operator, or if nobody has that either to
where the lane began. So the ledgers are the only thing to be asked; whoever else knows a loan may
be garbage together with the operator.

Whoever gets the message settles the loan. Each is settled or given back once; later calls do
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

if TYPE_CHECKING:
    from galeph.stream.interfaces import Source
    from galeph.stream.lanes import Lane
    from galeph.stream.links import Branch
    from galeph.stream.operators import Derived

__all__ = [
    "UNKNOWN",
    "First",
    "Loan",
    "Made",
    "Parcel",
    "Returns",
    "are_void",
    "give_back",
    "ledger",
    "settle",
]

UNKNOWN: Final[Any] = object()


class Loan:
    """A message that is not where it came from, and nowhere else yet.

    Args:
        way: where its lane began, or the last point where it was one message again.
        message: what it was there: that is given back.
        inner: the loans of what ``message`` was made of.
        at: the way to the operator that has it (default: ``way``).
        value: what it was before that operator; UNKNOWN if it has passed that.
    """

    __slots__ = ("at", "inner", "is_shared", "message", "number", "value", "way")

    def __init__(
        self,
        way: Branch,
        message: Any,
        inner: Sequence[Loan] = (),
        at: Branch | None = None,
        value: Any = UNKNOWN,
    ) -> None:
        self.way = way
        # Whether other ways from where its own begins were given the same.
        self.is_shared = False
        self.message = message
        self.inner = inner
        self.value = value
        way.loan_count = self.number = way.loan_count + 1
        way.lent[self] = None
        if way.is_out:
            way.owe()
        if at is None or at is way:
            self.at = way
            return
        self.at = at
        at.lent[self] = None
        if at.is_out:
            at.owe()

    def strike(self) -> bool:
        """Take it out of the ledgers; False if it was settled or given back before."""
        way, at = self.way, self.at
        if way.lent.pop(self, self) is self:
            return False
        if way.is_indebted:
            way.look_for_debt()
        if at is not way:
            del at.lent[self]
            if at.is_indebted:
                at.look_for_debt()
        return True

    @property
    def can_lie_above(self) -> bool:
        """Whether it can be taken from what the operator that has it takes from."""
        at = self.at
        return at is not self.way and self.value is not UNKNOWN and _takes_back(at.source)

    def lay_above(self, returns: Returns) -> None:
        """Have it lie there."""
        returns.add(self.at.source, Parcel(self.value, (self,)))
        self._move_up()

    def later(self) -> list[Loan]:
        """List those that came by the same way after it, in their order."""
        loans = []
        for loan in reversed(self.way.lent):
            if loan is self:
                break
            if loan.way is self.way:
                loans.append(loan)
        return loans[::-1]

    def return_far(self, returns: Returns) -> Sequence[Loan]:
        """Give it back where its way begins; or return the loans to be given back in its place."""
        way = self.way
        self.strike()
        if self.is_shared and not way.is_alone:
            # Others have it.
            settle(self.inner)
        elif self.inner and not _takes_back(way.source):
            return self.inner
        else:
            returns.add(way.source, Parcel.of(self.message, self.inner))
        return ()

    def _move_up(self) -> None:
        """Have it lie in the operator that the one which has had it takes from."""
        at, above = self.at, self.at.source._branch
        del at.lent[self]
        if at.is_indebted:
            at.look_for_debt()
        self.at, self.value = above, UNKNOWN  # type: ignore[assignment]  # that is an operator
        self.at.lent[self] = None


def ledger(way: Branch) -> list[Loan]:
    """Return what stands in the ledger of a way, in the order of the messages."""
    return sorted(way.lent, key=attrgetter("number"))


def _takes_back(source: Source[Any]) -> bool:
    """Whether it has made what is to go back there itself, and lets that be taken again."""
    return bool(getattr(source, "takes_back", False))


def settle(loans: Iterable[Loan]) -> None:
    """Hear that somebody has got them. Never switches."""
    waiting = [loans]
    for some in waiting:
        for loan in some:
            if loan.strike() and loan.inner:
                waiting.append(loan.inner)  # noqa: PERF401  (with a generator it costs twice as much)


def are_void(loans: Sequence[Loan]) -> bool:
    """Whether some of what a message was made of has been given back meanwhile.

    Then it is nobody's any more, and the rest of that goes back, too.
    """
    if len(loans) == 1 and not loans[0].inner and loans[0] in loans[0].way.lent:
        # As most are.
        return False
    waiting = [loans]
    for some in waiting:
        for loan in some:
            if loan not in loan.way.lent:
                returns = Returns()
                give_back(loans, returns)
                returns.send()
                return True
            waiting.append(loan.inner)
    return False


def give_back(loans: Iterable[Loan], returns: Returns) -> None:
    """Give them back, the last of them first. Never switches.

    One goes as near as it can, if all before it do. With one that goes back to where its way begins
    goes all that has come by there after it, wherever that is by now.
    """
    waiting = _planned(loans)
    seen = set()
    while waiting:
        loan, is_far = waiting.pop()
        if loan not in loan.way.lent:
            continue
        if not is_far:
            loan.lay_above(returns)
            continue
        later = loan.later()
        if loan.way not in seen:
            seen.add(loan.way)
            later.extend(loan.way.take_back())
        if later:
            waiting.append((loan, True))
            waiting.extend((each, True) for each in later)
        else:
            waiting.extend(_planned(loan.return_far(returns)))


def _planned(loans: Iterable[Loan]) -> list[tuple[Loan, bool]]:
    plan = []
    is_far = False
    for loan in loans:
        is_far = is_far or not loan.can_lie_above
        plan.append((loan, is_far))
    return plan


class Returns:
    """What goes back, each to its source; collected the last first, so that the order stays."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        # By identity: a stream of somebody's own may be equal to others.
        self._notes: dict[int, tuple[Source[Any], list[Any]]] = {}

    def add(self, source: Source[Any], message: Any) -> None:
        """Note a message; those noted before come behind it."""
        self._notes.setdefault(id(source), (source, []))[1].append(message)

    def send(self) -> None:
        """Give each source what was noted for it. Never switches."""
        notes, self._notes = self._notes, {}
        for source, messages in notes.values():
            source._give_back_all(messages[::-1])
            if source._is_fed:
                source.resend()  # type: ignore[attr-defined]  # an operator


class Parcel:
    """A message that lies somewhere, and the loans it was made of.

    Args:
        way: that it has come by, if it has none yet: whoever has it for long is to make it one.
    """

    __slots__ = ("loans", "value", "way")

    def __init__(self, value: Any, loans: Sequence[Loan], way: Branch | None = None) -> None:
        self.value = value
        self.loans = loans
        self.way = way

    @staticmethod
    def of(value: Any, loans: Sequence[Loan]) -> Any:
        """Return a parcel of it; the message itself where there are no loans."""
        return Parcel(value, loans) if loans else value

    def open(self) -> Any:
        """Return the message to whoever gets it."""
        settle(self.loans)
        return self.value


class Made(Iterator[Any]):
    """What an operator has made, as a series: parcels, mostly."""

    __slots__ = ("_messages",)

    def __init__(self, messages: Iterable[Any]) -> None:
        self._messages = list(messages)

    def __next__(self) -> Any:
        if not self._messages:
            raise StopIteration
        return self._messages.pop(0)

    def take_out(self) -> list[Loan]:
        """Take out the parcels that are left; return their loans."""
        parcels = [each for each in self._messages if type(each) is Parcel]
        self._messages = [each for each in self._messages if type(each) is not Parcel]
        return [loan for parcel in parcels for loan in parcel.loans]


class First(Made):
    """What leaves an operator before all else, as a series."""

    __slots__ = ("_derived", "_lane")

    def __init__(self, lane: Lane, derived: Derived, messages: list[Any]) -> None:
        super().__init__(messages)
        self._lane = lane
        self._derived = ref(derived)

    def __next__(self) -> Any:
        self.let_go()
        return super().__next__()

    def let_go(self) -> None:
        """Have the lane pass from now on as any does. Never switches."""
        derived = self._derived()
        if derived is not None and derived._outlet is not None:
            derived._outlet.lane_is_idle(self._lane)
