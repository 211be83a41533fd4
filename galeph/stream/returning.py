"""What becomes of messages under way when the operator they are at is closed, or dropped.

They go back to where they come from, in order. In a chain those that stand further down are the
earlier ones; so what is given back is looked for from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from galeph.stream.loans import UNKNOWN, First, Loan, Made, Parcel, Returns, give_back, ledger
from galeph.stream.steps import RETURNED, SKIP, Drawing, Ending, State

if TYPE_CHECKING:
    from galeph.stream.lanes import Lane
    from galeph.stream.links import Branch, Link
    from galeph.stream.operators import Derived

__all__ = [
    "drop_series",
    "leave_with",
    "lend",
    "name_again",
    "return_from",
    "return_held",
    "return_lent",
    "return_value",
    "rewind",
    "taken_from_dead",
]


def lend(lane: Lane, at: Branch | None, value: Any = UNKNOWN) -> Sequence[Loan]:
    """Pass the message of a lane to the account of the operator that ``at`` leads to.

    ``value`` is what it is, if it has not passed that operator. Then there is one loan; none if
    the message was given back already.
    """
    way = lane._way or lane.link
    message, loans = lane._loaded, lane._loans
    lane._loaded, lane._loans, lane._way = SKIP, (), None
    lane._is_fresh = False
    if message is RETURNED or type(value) is Ending:
        return ()
    if message is not SKIP and way.lends and type(message) is not Ending:
        loan = Loan(way, message, loans, at, value)  # type: ignore[arg-type]  # it is a branch
        if lane.is_shared and way is lane.link:
            loan.is_shared = True
        return (loan,)
    return loans if value is UNKNOWN else (Loan(at, value, loans),)  # type: ignore[arg-type]


def leave_with(lane: Lane, derived: Derived, parcel: Parcel) -> None:
    """Have a message leave an operator that has made it, or drawn it, or had it come back."""
    if parcel.way is not None:
        _leave_drawn(lane, derived, parcel)
        return
    lane._leave(derived, parcel.value)
    lane._loans = parcel.loans
    if lane._entering is not None:
        lane._loaded, lane._way = parcel.value, lane._entering


def _leave_drawn(lane: Lane, derived: Derived, parcel: Parcel) -> None:
    """Have a message leave that has come from a stream which the operator was given."""
    value, inner = parcel.value, parcel.loans
    way: Branch = parcel.way  # type: ignore[assignment]  # it has one
    loans: Sequence[Loan] = ()
    if lane._loaded is RETURNED:
        # So is this, and it comes to nothing here.
        returns = Returns()
        give_back((Loan(way, value, inner),), returns)
        returns.send()
        lane._leave(derived, value)
        return
    if lane._loaded is not SKIP or lane._loans:
        # It stands for the message that the stream was made of.
        loans = lend(lane, derived.branch)
    lane._leave(derived, value)
    if not loans and (lane._goal is derived or derived._outlet is None):
        # As of a link: a loan is made only where it has to wait.
        lane._loaded, lane._way, lane._loans = value, way, inner
        return
    loan = Loan(way, value, inner)
    lane._loans = (*loans, loan) if loans else (loan,)
    if lane._entering is not None:
        lane._loaded, lane._way = value, lane._entering


def name_again(lane: Lane, derived: Derived, message: Any) -> None:
    """Know the first message of a series by itself, when it leaves the operator that has made it.

    From further down it goes back there, before the others.
    """
    if lane._loaded is not RETURNED:
        lane._loans = lend(lane, derived.branch)
        lane._loaded, lane._way = message, lane._entering


def return_value(
    lane: Lane, at: Branch | Link | None, value: Any = UNKNOWN, returns: Returns | None = None
) -> None:
    """Give the message back, or note it in ``returns``; the other arguments are those of `lend`."""
    notes = Returns() if returns is None else returns
    give_back(lend(lane, at, value), notes)  # type: ignore[arg-type]  # no link
    if returns is None:
        notes.send()


def drop_series(lane: Lane) -> None:
    """Take out the last series, whose operator has ended; give it back if nothing has left it."""
    branch, messages = lane._folded.pop()
    if lane._is_fresh:
        return_value(lane, branch)
    branch.drop(messages)


# -- dropped


def return_lent(way: Branch, links: Sequence[Link | Branch]) -> None:
    """Give back what a dead operator had, and what is on its way to it. Never switches.

    Args:
        way: leads to the operator.
        links: all ways on from the same source.
    """
    loans = ledger(way)
    source = way.source
    lanes = [way.lane] if way in links else []
    if way.unfolded_by is not None:
        lanes.append(way.unfolded_by)
    if loans and source._is_fed and links == [way]:
        lanes.append(source._end_of_lane())  # type: ignore[attr-defined]  # an operator
    for lane in lanes:
        loans.extend(taken_from_dead(lane))
    if loans:
        returns = Returns()
        give_back(loans, returns)
        returns.send()


def return_from(lane: Lane, box_gone: object) -> None:
    """Give back a message that rests where nobody can take it any more. Never switches."""
    outlet = None if lane._entering is None else lane._entering.source._outlet
    if outlet is not None and lane._resting is box_gone:
        # With what the operator had, if there is something.
        outlet.drop_dead(is_sure=True)
    if lane._resting is box_gone:
        returns = Returns()
        give_back(taken_from_dead(lane), returns)
        returns.send()


def taken_from_dead(lane: Lane) -> Sequence[Loan]:
    """Take out the message of a lane if the operator that it is at is gone; return its loan."""
    loans: Sequence[Loan] = ()
    if lane._resting is not None:
        box_gone = lane._resting
        if box_gone() is None:
            if lane._pause is not None:
                # Or it would be resumed by what is dropped.
                lane._pause.call_off()
            for branch, messages in lane._folded[::-1]:
                branch.drop(messages)
            if lane._resting is box_gone:
                loans = _taken_out(lane)
                lane.release()
    elif lane.state in (State.QUEUED, State.STALLED):
        entering = lane._entering
        if entering is not None and entering.is_dead:
            loans = lend(lane, entering, lane._value)  # type: ignore[arg-type]  # a branch
            lane._entering = lane._value = None
        elif _is_whole_series(lane) and lane._folded[-1][0].is_dead:
            loans = lend(lane, None)
    if lane.state is not State.CARRYING:
        # They would hold what the operator takes from.
        for entry in [entry for entry in lane._folded if entry[0].is_dead]:
            lane._folded.remove(entry)
            entry[0].drop(entry[1])
    return loans


def _is_whole_series(lane: Lane) -> bool:
    """Whether its message is a series that nothing has left yet."""
    return lane._is_fresh and bool(lane._folded)


def _taken_out(lane: Lane) -> Sequence[Loan]:
    if lane._entering is not None:
        return lend(lane, lane._entering, lane._value)  # type: ignore[arg-type]  # a branch
    if lane._loaded is not SKIP:
        return lend(lane, None)
    # They stand in the ledger of the operator that is gone.
    lane._loans = ()
    return ()


def rewind(lane: Lane, way: Branch) -> Sequence[Loan]:
    """Take out the message of a lane that has come by ``way``, wherever it is; return its loan."""
    message = lane._loaded
    is_here = message is not SKIP and message is not RETURNED and (lane._way or lane.link) is way
    if lane.is_idle or not is_here or type(message) is Ending:
        return ()
    loans = lend(lane, None)
    _drop_later_series(lane, way)
    if lane.state is State.CARRYING:
        _mark_returned(lane)
    elif lane.state is State.WAITING:
        derived = None if lane._resting is None else lane._resting()
        if derived is not None:
            derived.box._withdraw(lane)
        lane._leaving = None
        lane.release()
    else:
        lane._entering = lane._leaving = lane._value = None
    return loans


def _drop_later_series(lane: Lane, way: Branch) -> None:
    """Drop what is left of series that came of a message, which goes back to before ``way``.

    What is made stays: it came of others, or is an end.
    """
    above = 0
    for position, (branch, _) in enumerate(lane._folded, 1):
        if branch is way.source._branch:
            above = position
    for entry in lane._folded[above:]:
        if not isinstance(entry[1], Made):
            lane._folded.remove(entry)
            entry[0].drop(entry[1])


def _mark_returned(lane: Lane) -> None:
    """Have what a greenlet is just making of a message come to nothing."""
    lane._loaded = RETURNED
    if lane._goal is not None:
        lane._goal = RETURNED


# -- closed


def return_held(
    nodes: Sequence[Derived], lanes: Sequence[Lane], *, is_end: bool, closed: Sequence[Branch] = ()
) -> None:
    """Give back what some operators hold, and what stands before them. Never switches.

    Args:
        nodes: operators, one behind the other, that have been closed; the last first.
        lanes: those that bring messages there.
        is_end: whether nothing is connected below them.
        closed: the ways to operators above that were closed before, when a greenlet may have been
            in the function of one; the last first.
    """
    for lane in lanes:
        for way, messages in lane._folded:
            if isinstance(messages, Drawing) and way.derived in nodes:
                # Or it would take what goes back.
                messages.withdraw()
    returns = Returns()
    for way in reversed(closed):
        for lane in lanes:
            _return_before(lane, way, returns, is_carried=is_end)
    for node in reversed(nodes):
        for lane in lanes:
            _return_before(lane, node.branch, returns, is_carried=is_end)
            _return_begun(lane, node.branch, returns, is_carried=is_end)
        node.return_rest(returns)
        give_back(node.held, returns)
        for lane in lanes:
            _return_made(lane, node, returns, is_last=node is nodes[0])
        if node is not nodes[0]:
            # What lies in the last can still be taken.
            give_back(node.take_out_made(), returns)
    returns.send()


def _return_before(lane: Lane, branch: Branch, returns: Returns, *, is_carried: bool) -> None:
    """Note the message if it stands before an operator that has been closed."""
    if lane._entering is not branch:
        return
    if lane.state is not State.CARRYING:
        return_value(lane, branch, lane._value, returns)
        lane._entering = lane._value = None
    elif is_carried and type(lane._value) is not Ending:
        # A greenlet is in the function of that. What it returns is for nobody.
        return_value(lane, branch, lane._value, returns)
        _mark_returned(lane)


def _return_begun(lane: Lane, branch: Branch, returns: Returns, *, is_carried: bool) -> None:
    """Note the message if it is a series of an operator that has been closed, still a whole one."""
    if not _is_whole_series(lane) or lane._folded[-1][0] is not branch:
        return
    if lane.state is not State.CARRYING:
        return_value(lane, branch, returns=returns)
    elif is_carried:
        # A greenlet is in what makes the first of it.
        return_value(lane, branch, returns=returns)
        _mark_returned(lane)


def _return_made(lane: Lane, node: Derived, returns: Returns, *, is_last: bool) -> None:
    """Note what an operator that has been closed has made, and not sent.

    What had come back there before something was connected to the last of them goes there.
    """
    kinds = (Made,) if is_last else (Made, First)
    for way, messages in lane._folded:
        if way is node.branch and type(messages) in kinds:
            give_back(messages.take_out(), returns)  # type: ignore[attr-defined]  # it is a Made
