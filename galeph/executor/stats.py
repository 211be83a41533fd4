"""What is measured of an executor or of a key of a pool, and what comes of it.

A `Meter` is told what happens and when; it knows no clock. Two kinds of things are measured. A
latency is a value of each task. Utilization, the queue's length and the rates are sampled: each
sample says how it was on average since the one before. Samples that were not taken because nothing
happened are made up for when the next is: otherwise a pool used for a moment in each hour would
look busy.

Measured is by *control periods*. `Stats` are the values of one, or of two, to be asked for their
quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from random import random
from typing import Any, Literal, get_args

__all__ = ["METRICS", "QUANTILES", "Meter", "Metric", "Stats", "check_metrics"]

Metric = Literal[
    "queue_length",
    "queue_latency",
    "task_latency",
    "task_arrival_rate",
    "task_completion_rate",
    "task_rejection_rate",
    "utilization",
]

METRICS: frozenset[Metric] = frozenset(get_args(Metric))
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)

# Of so many values the 0.999 quantile still stands on four.
_MOST_VALUES = 4096


class Stats:
    """What was measured, as distributions.

    ``num_workers`` is how many workers there are (of a pool: objects). Latencies are seconds, rates
    are tasks per second, utilization is the part of the workers that was busy, from 0 to 1.
    """

    __slots__ = ("_values", "num_workers")

    def __init__(self, num_workers: int, values: Mapping[Metric, Iterable[float]]) -> None:
        self.num_workers = num_workers
        self._values = {metric: sorted(measured) for metric, measured in values.items()}

    def __repr__(self) -> str:
        medians = (f"{name}={values[0.5]:g}" for name, values in self._each((0.5,)))
        return f"<Stats num_workers={self.num_workers} {' '.join(medians)}".rstrip() + ">"

    def quantile(self, metric: Metric, part: float) -> float | None:
        """Return the value that so large a part of those measured does not exceed.

        Args:
            metric: which.
            part: from 0, the least one, to 1, the greatest; 0.5 is the median.

        Returns:
            A value that was measured; None if none was.

        Raises:
            ValueError: there is no such metric, or ``part`` is not from 0 to 1.
        """
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(sorted(METRICS))}, not {metric!r}")
        if not 0 <= part <= 1:
            raise ValueError(f"part must be from 0 to 1, not {part!r}")
        values = self._values.get(metric)
        return values[max(0, math.ceil(part * len(values)) - 1)] if values else None

    def to_dict(self, quantiles: Iterable[float] = QUANTILES) -> dict[str, Any]:
        """Return ``num_workers`` and, of each metric of which there are values, its quantiles.

        ::

            {"num_workers": 4, "task_latency": {0.5: 0.012, 0.9: 0.2, ...}, ...}
        """
        return {"num_workers": self.num_workers, **dict(self._each(tuple(quantiles)))}

    def _each(self, quantiles: tuple[float, ...]) -> Iterable[tuple[Metric, dict[float, Any]]]:
        for metric, values in self._values.items():
            if values:
                yield metric, {part: self.quantile(metric, part) for part in quantiles}


def check_metrics(metrics: Collection[str] | None) -> frozenset[Metric]:
    """See that these are names of metrics; None is none of them."""
    if metrics is not None and (isinstance(metrics, str) or not isinstance(metrics, Collection)):
        raise TypeError(f"metrics must be names of metrics or None, not {metrics!r}")
    chosen: frozenset[Any] = frozenset(metrics or ())
    if unknown := chosen - METRICS:
        known = ", ".join(sorted(METRICS))
        raise ValueError(f"metrics must be among {known}, not {', '.join(map(repr, unknown))}")
    return chosen


class _Values:
    """A fair choice of at most so many values."""

    __slots__ = ("chosen", "count")

    def __init__(self) -> None:
        self.chosen: list[float] = []
        self.count = 0

    def add(self, value: float) -> None:
        self.count += 1
        if self.count <= _MOST_VALUES:
            self.chosen.append(value)
            return
        place = int(random() * self.count)  # noqa: S311  (no secret)
        if place < _MOST_VALUES:
            self.chosen[place] = value


class Meter:
    """What has happened since the control period began, and in the one before.

    Args:
        metrics: what to collect.
        sample_period: seconds between two samples.
        now: the time.
    """

    __slots__ = (
        "_area",
        "_arrived",
        "_before",
        "_busy",
        "_busy_area",
        "_completed",
        "_metrics",
        "_rejected",
        "_rests",
        "_sample_period",
        "_sampled_at",
        "_settled_at",
        "_values",
        "_workers",
    )

    def __init__(self, metrics: frozenset[Metric], *, sample_period: float, now: float) -> None:
        self._metrics = metrics
        self._sample_period = sample_period
        self._before: dict[Metric, _Values] = {}
        self._values: dict[Metric, _Values] = {metric: _Values() for metric in metrics}
        self._arrived = self._completed = self._rejected = 0
        self._busy = self._workers = 0
        # Worker-seconds since the last sample: of all, and of those that were busy.
        self._area = self._busy_area = 0.0
        self._settled_at = self._sampled_at = now
        self._rests = True

    # Being told

    def arrive(self) -> None:
        """A task has come, to be taken or not."""
        self._arrived += 1

    def reject(self) -> None:
        """It was not taken."""
        self._rejected += 1

    def begin(self, waited: float) -> None:
        """A task has begun after waiting so long."""
        self._add("queue_latency", waited)

    def finish(self, lasted: float) -> None:
        """A task has ended after running so long."""
        self._completed += 1
        self._add("task_latency", lasted)

    def settle(self, now: float, *, busy: int, workers: int) -> None:
        """From now on so many of so many workers are busy."""
        passed = now - self._settled_at
        self._area += passed * max(self._workers, self._busy)
        self._busy_area += passed * self._busy
        self._settled_at = now
        self._busy, self._workers = busy, workers

    # Being asked

    def sample(self, now: float, queue_length: int) -> bool:
        """Take a sample.

        Returns:
            Whether there is anything to sample. If not, it rests until `resume`.
        """
        if self._rests:
            self._make_up(now)
            return False
        self.settle(now, busy=self._busy, workers=self._workers)
        passed = now - self._sampled_at
        if passed > 0:
            counts = self._arrived, self._completed, self._rejected
            self._add("task_arrival_rate", self._arrived / passed)
            self._add("task_completion_rate", self._completed / passed)
            self._add("task_rejection_rate", self._rejected / passed)
            self._add("queue_length", queue_length)
            self._add("utilization", self._busy_area / self._area if self._area else 0.0)
            self._arrived = self._completed = self._rejected = 0
            self._area = self._busy_area = 0.0
            self._sampled_at = now
            self._rests = not (self._busy or queue_length or any(counts))
        return not self._rests

    def resume(self, now: float, *, is_new: bool) -> None:
        """Something is about to happen, maybe after a rest.

        Args:
            now: the time.
            is_new: whether a control period begins now, so that what was before is no part of it.
        """
        if is_new:
            self._start_sampling(now)
        elif self._rests:
            self._make_up(now)
        self._rests = False

    def close_period(self, now: float, queue_length: int) -> Stats:
        """Return what was measured in this control period, and begin another."""
        if self._rests:
            self._make_up(now)
        elif self._is_sample_due(now) or not any(v.count for v in self._values.values()):
            # A sample of this very moment; or the only one of a period shorter than a sample's.
            self.sample(now, queue_length)
        stats = Stats(self._workers, {name: v.chosen for name, v in self._values.items()})
        self._before = self._values
        self._values = {metric: _Values() for metric in self._metrics}
        return stats

    def stats(self) -> Stats:
        """Return what was measured in this control period and the one before."""
        values: dict[Metric, list[float]] = {}
        for period in (self._before, self._values):
            for metric, measured in period.items():
                values.setdefault(metric, []).extend(measured.chosen)
        return Stats(self._workers, values)

    def _is_sample_due(self, now: float) -> bool:
        return round((now - self._sampled_at) / self._sample_period) > 0

    def _make_up(self, now: float) -> None:
        """Add the samples of a time in which nothing happened."""
        missed = round((now - self._sampled_at) / self._sample_period)
        for _ in range(min(missed, _MOST_VALUES)):
            for metric in (
                "task_arrival_rate",
                "task_completion_rate",
                "task_rejection_rate",
                "queue_length",
                "utilization",
            ):
                self._add(metric, 0.0)
        self._start_sampling(now)

    def _start_sampling(self, now: float) -> None:
        self._area = self._busy_area = 0.0
        self._settled_at = self._sampled_at = now

    def _add(self, metric: Metric, value: float) -> None:
        values = self._values.get(metric)
        if values is not None:
            values.add(value)
