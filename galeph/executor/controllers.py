"""How large an executor or a pool should be.

A controller answers two questions. May it grow, now that somebody wants more than there is? And,
after each control period, by how much should it be changed, given what was measured? It decides
and does nothing; what it is asked must be answered without waiting.

The utilization controllers do what Dirigiste's do. The target divides the utilization that was not
exceeded in nine tenths of the period's samples: so many times too small, or too large, it is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from galeph._arguments import check_count, check_number
from galeph.executor.stats import Stats

__all__ = [
    "Controller",
    "FixedController",
    "PoolController",
    "PoolUtilizationController",
    "UtilizationController",
    "changes_of",
    "check_methods",
]

K = TypeVar("K")
K_contra = TypeVar("K_contra", contravariant=True)


class Controller(Protocol):
    """Sizes an executor. Its methods must not block."""

    def can_grow(self, num_workers: int, /) -> bool:
        """Whether there may be one worker more than these, for a task that finds no room."""

    def adjustment(self, stats: Stats, /) -> int:
        """By how many workers to grow, or if negative to shrink, after such a control period."""


class PoolController(Protocol[K]):
    """Sizes a pool. Its methods must not block."""

    def can_grow(self, key: K, num_objects: int, total: int, /) -> bool:
        """Whether there may be one object more than these for a key, and than ``total`` in all."""

    def adjustments(self, stats: Mapping[K, Stats], /) -> Mapping[K, int]:
        """By how many objects to change each key, after such a control period."""


@dataclass(frozen=True, slots=True)
class FixedController:
    """So many workers, no more and no less."""

    num_workers: int

    def __post_init__(self) -> None:
        check_count("num_workers", self.num_workers, least=1)

    def can_grow(self, num_workers: int, /) -> bool:
        return num_workers < self.num_workers

    def adjustment(self, stats: Stats, /) -> int:
        return self.num_workers - stats.num_workers


@dataclass(frozen=True, slots=True)
class UtilizationController:
    """As many workers as keep utilization near a target.

    It shrinks by half at most at a time, since what is quiet now may soon be busy again.

    Args:
        target: which part of the workers should be busy; above 0, at most 1.
        max_workers: how many there may be at most; None for any number.
    """

    target: float
    max_workers: int | None = None

    def __post_init__(self) -> None:
        _check_target(self.target)
        check_count("max_workers", self.max_workers, least=1, optional=True)

    def can_grow(self, num_workers: int, /) -> bool:
        return self.max_workers is None or num_workers < self.max_workers

    def adjustment(self, stats: Stats, /) -> int:
        change = _change(stats, self.target)
        if change < 0:
            return max(change, -math.ceil(stats.num_workers / 2))
        if self.max_workers is not None:
            return min(change, max(0, self.max_workers - stats.num_workers))
        return change


@dataclass(frozen=True, slots=True)
class PoolUtilizationController:
    """As many objects of each key as keep their utilization near a target.

    Args:
        target: which part of the objects of a key should be in use; above 0, at most 1.
        max_per_key: how many objects of one key there may be at most.
        max_total: how many objects there may be at most.
    """

    target: float
    max_per_key: int
    max_total: int

    def __post_init__(self) -> None:
        _check_target(self.target)
        check_count("max_per_key", self.max_per_key, least=1)
        check_count("max_total", self.max_total, least=1)

    def can_grow(self, key: object, num_objects: int, total: int, /) -> bool:  # noqa: ARG002  (a controller's signature)
        return num_objects < self.max_per_key and total < self.max_total

    def adjustments(self, stats: Mapping[Any, Stats], /) -> dict[Any, int]:
        return {key: _change(measured, self.target) for key, measured in stats.items()}


def check_methods(controller: object, kind: str, *names: str) -> None:
    """See that an argument is a controller of this kind."""
    for name in names:
        if not callable(getattr(controller, name, None)):
            raise TypeError(f"controller must be a {kind}, with {name}(), not {controller!r}")


def changes_of(adjustments: Mapping[K, int]) -> dict[K, int]:
    """Return what a controller wants, when it is whole numbers.

    Raises:
        TypeError: it is not.
    """
    return {key: operator.index(change) for key, change in adjustments.items()}


def _change(stats: Stats, target: float) -> int:
    """How many workers are missing at this utilization to have the target's."""
    utilization = stats.quantile("utilization", 0.9) or 0.0
    # To the nanopart: the quotient of two decimals must not round up to one worker more.
    wanted = math.ceil(round(stats.num_workers * utilization / target, 9))
    return wanted - stats.num_workers


def _check_target(target: float) -> None:
    check_number("target", target)
    if target > 1:
        raise ValueError(f"target must be above 0 and at most 1, not {target!r}")
