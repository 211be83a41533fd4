"""What a lane sends before all that it brings: what lies in an operator, and ends.

When something is connected to an operator, what lies there untaken goes to that first. When an
operator is closed, its end goes before what has not come there yet. When one gets a second way on,
what has left it goes before all that leaves it by lanes of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from galeph.stream.loans import First, Made, Parcel
from galeph.stream.returning import lend
from galeph.stream.steps import Ending

if TYPE_CHECKING:
    from galeph.stream.lanes import Lane
    from galeph.stream.operators import Derived
    from galeph.stream.outlets import Outlet

__all__ = ["finish_below", "insert", "put_behind", "send_first"]


def insert(lane: Lane, derived: Derived, messages: Iterable[Any]) -> None:
    """Have ``messages`` leave ``derived`` before all that the lane still brings there.

    What has left it already, and is on its way from there, is not overtaken.
    """
    above = derived.ways_here()
    behind = 0
    for position, (branch, _) in enumerate(lane._folded, 1):
        if branch in above:
            behind = position
    branch = derived.branch
    if branch.unfolded_by is None or branch.unfolded_by.is_idle:
        # So that the series goes with the operator.
        branch.unfolded_by = lane
    series = messages if isinstance(messages, Made) else Made(messages)
    lane._folded.insert(behind, (branch, series))


def send_first(lane: Lane, derived: Derived, messages: list[Any]) -> None:
    """Have ``messages`` leave ``derived`` before all that the lane brings there.

    What is connected to it has just been. Never switches.
    """
    outlet = derived._outlet
    if outlet is not None:
        # So that nothing passes there without looking.
        outlet.busy[lane] = None
    insert(lane, derived, First(lane, derived, messages))
    lane.outlet.revive(lane)


def finish_below(lane: Lane, derived: Derived) -> None:
    """Have nothing else leave ``derived`` while the lane has something below. Never switches.

    There are several ways on from there now, which have lanes of their own; and two lanes in one
    operator would change the order.
    """
    outlet: Outlet = derived._outlet  # type: ignore[assignment]  # it has ways on
    if lane.is_idle or lane in outlet.busy:
        return
    below = _series_below(lane, derived)
    if below or _stands_below(lane, derived):
        outlet.busy[lane] = None
        behind = lane._folded.index(below[0]) if below else len(lane._folded)
        lane._folded.insert(behind, (derived.branch, First(lane, derived, [])))


def put_behind(lane: Lane, derived: Derived, value: Any) -> None:
    """Let what is to be sent first from ``derived`` go before what the lane has brought there.

    And what is to be sent first from further down.
    """
    if type(value) is not Ending:
        value = Parcel.of(value, lend(lane, derived.branch))
    lane._entering = lane._leaving = lane._value = None
    folded, way = lane._folded, derived.branch
    first = [each for each in folded if each[0] is way and type(each[1]) is First]
    if first:
        first += _series_below(lane, derived)
        for each in first:
            folded.remove(each)
    else:
        # It was forgotten with the rest, because the lane was.
        derived._outlet.lane_is_idle(lane)  # type: ignore[union-attr]  # it has one
    folded.append((way, Made([value])))
    folded.extend(first)


def _series_below(lane: Lane, derived: Derived) -> list[Any]:
    """List the lane's series of operators below ``derived``."""
    above = derived.ways_here()
    return [each for each in lane._folded if each[0] not in above]


def _stands_below(lane: Lane, derived: Derived) -> bool:
    """Whether the lane's message has left ``derived``."""
    way = lane._entering
    if way is None:
        derived_at = lane._leaving if lane._resting is None else lane._resting()
        way = None if derived_at is None else derived_at.branch
    while way is not None and way.source is not derived:
        way = way.source._branch
    return way is not None
