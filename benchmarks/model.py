"""The words the harness, the cases and the reports share. Pure values, no processes.

A *case* is one piece of work; its *contenders* do it. A *sample* is one measurement of one
contender. A *row* compares two contenders of a case and says what the ratio should be: ``hold``
is what a change must not fall below, ``goal`` where the library is going.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

__all__ = ["Case", "Disqualified", "Plan", "Round", "Row", "Sample"]


class Disqualified(Exception):
    """The contender did not do the work it was given; the message says how it failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure, and whom."""

    rounds: int
    seconds: float
    warmup: float
    only: frozenset[str] = frozenset()

    def wants(self, contender: str) -> bool:
        return not self.only or contender in self.only


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: a rate in units of work a second, with what was seen beside it.

    Where it is no speed, ``unit`` says what it is a rate of.
    """

    rate: float
    facts: dict[str, float] = field(default_factory=dict)
    unit: str = "/s"


# Contender -> what it did in this round, or the words of its disqualification.
Round = dict[str, Sample | str]


@dataclass(frozen=True, slots=True)
class Row:
    """Compare `subject` with `peer`: speeds (at least) or costs a unit of work (at most)."""

    peer: str
    hold: float | None = None
    goal: float | None = None
    subject: str = "galeph"
    bound: Literal["at least", "at most"] = "at least"

    def ratio(self, subject: Sample, peer: Sample) -> float:
        speed = subject.rate / peer.rate
        return speed if self.bound == "at least" else 1 / speed

    def meets(self, ratio: float, wanted: float) -> bool:
        return ratio >= wanted if self.bound == "at least" else ratio <= wanted


class Case(Protocol):
    """One piece of work. `servers.ServerCase` and `micro.MicroCase` are the two kinds."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def rows(self) -> tuple[Row, ...]: ...
    @property
    def contenders(self) -> tuple[str, ...]: ...

    def measure(self, plan: Plan) -> Iterator[Round]:
        """Yield one round after the other: every wanted contender once, in the same order."""
        ...

    def profile(self, contender: str, plan: Plan, output: str) -> None:
        """Run one contender under py-spy and write its flame graph to `output`."""
        ...
