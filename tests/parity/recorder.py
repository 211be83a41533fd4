"""Records which rows, attacks and faults the passing tests of a run carry.

A plugin of this suite (registered by ``tests/conftest.py``). At the end of a run it writes
``last_run.json``, from which ``make parity`` prints its table. A test counts when setup, call and
teardown all passed; a row that one test proves and another one fails is not proved. A fault may
be proved in parts (``fault("F1", part="tls")``): each part is a claim of its own, and is recorded
by its name. A mark with an id that no table knows ends the run before the first test.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.parity import tables

_KINDS = ("parity", "attack", "fault")


class Claim(NamedTuple):
    """What one mark says its test proves; ``part`` is empty where that is the whole row."""

    kind: str
    name: str
    part: str = ""


class Recorder:
    """Collects the outcome of every marked test, and writes the record when the run ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._marks: dict[str, list[Claim]] = {}
        self._phases: dict[str, set[str]] = {}
        self._failed: set[str] = set()
        self._deselected = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        wrong = [problem for item in items for problem in problems_of(item)]
        if wrong:
            raise pytest.UsageError(*wrong)
        self._marks = {item.nodeid: list(claims_of(item)) for item in items}

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected += len(items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.passed and not hasattr(report, "wasxfail"):
            self._phases.setdefault(report.nodeid, set()).add(report.when)

    def pytest_sessionfinish(self) -> None:
        config = self._config
        if config.option.collectonly or config.getoption("--no-record", default=False):
            return
        text = json.dumps(self.record(), indent=1, sort_keys=True)
        # A name of its own for each process: several runs may end in one checkout at once.
        unfinished = tables.LAST_RUN.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(tables.LAST_RUN)

    def record(self) -> dict[str, object]:
        """What this run has shown, ready for JSON."""
        passed = {
            node
            for node, phases in self._phases.items()
            if phases == {"setup", "call", "teardown"} and node not in self._failed
        }
        refuted = {claim for node in self._failed for claim in self._marks.get(node, ())}
        shown = {claim for node in passed for claim in self._marks.get(node, ())} - refuted
        record: dict[str, object] = {
            kind: sorted({claim.name for claim in shown if claim.kind == kind}) for kind in _KINDS
        }
        record["fault_parts"] = _parts_of(shown)
        record["passed"] = len(passed)
        record["failed"] = len(self._failed)
        record["whole_suite"] = not self._deselected and self._ran_everything()
        return record

    def _ran_everything(self) -> bool:
        # args_source says where the paths came from; the ini's testpaths mean "all of it".
        return self._config.args_source == pytest.Config.ArgsSource.TESTPATHS


def claims_of(item: pytest.Item) -> Iterator[Claim]:
    """What a test's marks say it proves."""
    for kind in ("parity", "attack"):
        for mark in item.iter_markers(kind):
            for name in mark.args:
                yield Claim(kind, str(name))
    for mark in item.iter_markers("fault"):
        if mark.args:
            yield Claim("fault", str(mark.args[0]), _part_of(mark))


def problems_of(item: pytest.Item) -> Iterator[str]:
    """What is wrong with a test's marks, as lines for the one who wrote them."""
    for kind in _KINDS:
        for mark in item.iter_markers(kind):
            if not mark.args:
                yield f"{item.nodeid}: mark {kind} names nothing"
            elif kind == "fault" and (len(mark.args) > 2 or mark.kwargs.keys() - {"part"}):
                yield f"{item.nodeid}: mark fault takes one name and one part"
            elif kind != "fault" and mark.kwargs:
                yield f"{item.nodeid}: mark {kind} has no parts"
    known = {"parity": _PARITY, "attack": _ATTACKS, "fault": _FAULTS}
    for claim in claims_of(item):
        if claim.name not in known[claim.kind]:
            yield f"{item.nodeid}: there is no {claim.kind} {claim.name}"


def _part_of(mark: pytest.Mark) -> str:
    """The part that a fault mark names, by its place or by ``part=``."""
    return str(mark.args[1] if len(mark.args) > 1 else mark.kwargs.get("part", ""))


def _parts_of(shown: set[Claim]) -> dict[str, list[str]]:
    """For each fault that is shown in parts, which; one that is shown whole has none."""
    whole = {claim.name for claim in shown if claim.kind == "fault" and not claim.part}
    parts: dict[str, list[str]] = {}
    for claim in sorted(shown):
        if claim.part and claim.name not in whole:
            parts.setdefault(claim.name, []).append(claim.part)
    return parts


_PARITY = frozenset(tables.parity_titles())
_ATTACKS = frozenset(map(str, tables.ATTACKS))
_FAULTS = frozenset(tables.FAULTS)
