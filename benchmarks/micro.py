"""Cases without a network: small operations, compared in one process.

The contenders share a process of their own on the server core. Each is asked for a repeat of
about ten milliseconds, in turn, again and again: a disturbance of the machine then falls on
neighbors alike, and the median of many short repeats forgets it. `repeats` is what runs in there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.machine import SERVER_CORE, pinned_to
from benchmarks.model import Disqualified, Plan, Round, Row, Sample
from benchmarks.profiler import record

__all__ = ["MicroCase", "Operation"]

# Does the operation so many times.
Operation = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class MicroCase:
    """`operations` are factories: what they do before they return is not measured."""

    name: str
    title: str
    operations: dict[str, Callable[[], Operation]]
    rows: tuple[Row, ...]

    @property
    def contenders(self) -> tuple[str, ...]:
        return tuple(self.operations)

    def measure(self, plan: Plan) -> Iterator[Round]:
        names = [name for name in self.operations if plan.wants(name)]
        for line in self._lines(plan.seconds, names):
            yield {
                name: Sample(result) if isinstance(result, float) else result
                for name, result in json.loads(line).items()
            }

    def profile(self, contender: str, plan: Plan, output: str) -> None:
        process = self._start(plan.warmup + plan.seconds, [contender])
        with record(process.pid, plan.seconds, output):
            process.communicate()

    def _lines(self, seconds: float, names: list[str]) -> Iterator[str]:
        process = self._start(seconds, names)
        output, _ = process.communicate()
        if process.returncode:
            raise Disqualified(f"the process of {self.name} ended with {process.returncode}")
        yield from output.splitlines()

    def _start(self, seconds: float, names: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.repeats", self.name, str(seconds), *names],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=pinned_to(SERVER_CORE),  # noqa: PLW1509  (this process has no threads)
        )
