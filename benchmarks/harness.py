"""Run a case and judge it: rounds in, medians and ratios out, as one plain document.

A ratio is taken inside each round, between samples that are neighbors in time, and the median
of these ratios is what the tables show: a machine that slows down for a while slows both sides.
The middle half of the ratios stands beside it, so that nobody reads more into the digits than
there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import count
from statistics import median, quantiles
from typing import Any

from benchmarks.machine import describe
from benchmarks.model import Case, Plan, Round, Row, Sample

__all__ = ["run"]

Document = dict[str, Any]

# Below this share of its core a server waited: for the load generator, or for another process.
_BUSY_SERVER = 0.85
_BUSY_LOAD = 0.95


def run(case: Case, plan: Plan, on_round: Callable[[int, Round], None]) -> Document:
    """Measure `case` and give its document; `on_round` hears of every finished round."""
    machine = describe()
    rounds: list[Round] = []
    for number, results in zip(count(1), case.measure(plan), strict=False):
        rounds.append(results)
        on_round(number, results)
    contenders = {
        name: _summary([results[name] for results in rounds])
        for name in case.contenders
        if plan.wants(name)
    }
    return {
        "case": case.name,
        "title": case.title,
        "machine": machine,
        "plan": {**asdict(plan), "only": sorted(plan.only), "rounds": len(rounds)},
        "contenders": contenders,
        "comparisons": [
            _compare(row, rounds, contenders)
            for row in case.rows
            if plan.wants(row.subject) and plan.wants(row.peer)
        ],
    }


def _summary(results: list[Sample | str]) -> Document:
    failure = next((result for result in results if isinstance(result, str)), None)
    samples = [result for result in results if isinstance(result, Sample)]
    if failure or not samples:
        return {"failure": failure or "not measured", "rates": []}
    return {
        "failure": None,
        "median_rate": _digits(median(sample.rate for sample in samples)),
        "rates": [_digits(sample.rate) for sample in samples],
        "facts": {
            name: _digits(median(sample.facts[name] for sample in samples))
            for name in samples[0].facts
        },
    }


def _compare(row: Row, rounds: list[Round], contenders: Document) -> Document:
    failures = [
        f"{name}: {contenders[name]['failure']}"
        for name in (row.subject, row.peer)
        if contenders[name]["failure"]
    ]
    compared = {**asdict(row), "ratio": None, "low": None, "high": None, "notes": failures}
    if failures:
        return {**compared, "verdict": "not measured"}
    ratios = []
    for results in rounds:
        subject, peer = results[row.subject], results[row.peer]
        assert isinstance(subject, Sample)
        assert isinstance(peer, Sample)
        ratios.append(row.ratio(subject, peer))
    ratio = median(ratios)
    low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {
        **compared,
        "ratio": _digits(ratio),
        "low": _digits(low),
        "high": _digits(high),
        "ratios": [_digits(each) for each in ratios],
        "verdict": _verdict(row, ratio),
        "notes": [
            *_doubts(row.subject, contenders[row.subject]["facts"]),
            *_doubts(row.peer, contenders[row.peer]["facts"]),
        ],
    }


def _verdict(row: Row, ratio: float) -> str:
    if row.goal is not None and row.meets(ratio, row.goal):
        return "goal"
    if row.hold is not None:
        return "hold" if row.meets(ratio, row.hold) else "short"
    return "reference"


def _doubts(name: str, facts: dict[str, float]) -> list[str]:
    """Say what makes this contender's number doubtful."""
    if facts.get("server_busy", 1) >= _BUSY_SERVER:
        return []
    if facts.get("load_busy", 0) >= _BUSY_LOAD:
        return [f"{name}: the load generator was the limit, the server can do more"]
    return [f"{name}: used only {facts['server_busy']:.0%} of its core (a shared machine?)"]


def _digits(value: float) -> float:
    """Four digits say all that a benchmark knows."""
    return float(f"{value:.4g}") if value < 1000 else round(value)
