"""What a lane sends before all that it brings: what lies in an operator, and ends.

When something is connected to an operator, what lies there untaken goes to that first. When an
operator is closed, its end goes before what has not come there yet.
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

__all__ = ["insert", "put_behind", "send_first"]


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


def put_behind(lane: Lane, derived: Derived, value: Any) -> None:
    """Let what is to be sent first from ``derived`` go before what the lane has brought there."""
    if type(value) is not Ending:
        value = Parcel.of(value, lend(lane, derived.branch))
    lane._entering = lane._leaving = lane._value = None
    folded = lane._folded
    folded.append((derived.branch, Made([value])))
    for entry in folded:
        if entry[0] is derived.branch and type(entry[1]) is First:
            folded.remove(entry)
            folded.append(entry)
            return
    # It was forgotten with the rest, because the lane was.
    derived._outlet.lane_is_idle(lane)  # type: ignore[union-attr]  # it has one
