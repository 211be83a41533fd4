"""The child process of a `MicroCase`: ``CASE SECONDS CONTENDER...``.

Prints one line of JSON a round: what each contender did in a second, or why it could not be made.
"""

from __future__ import annotations

import gc
import json
import sys
import time

from benchmarks.cases import load_cases
from benchmarks.micro import MicroCase, Operation

_REPEAT_SECONDS = 0.01
_FEWEST_ROUNDS = 15


def main(case_name: str, seconds: str, *names: str) -> None:
    case = load_cases()[case_name]
    assert isinstance(case, MicroCase)
    ready: dict[str, tuple[Operation, int]] = {}
    failed: dict[str, str] = {}
    for name in names:
        try:
            operation = case.operations[name]()
            ready[name] = operation, _repeat_size(operation)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()  # what the imports left need not be walked again between two repeats
    for _ in range(max(_FEWEST_ROUNDS, round(float(seconds) / _REPEAT_SECONDS))):
        rates = {name: size / _timed(run, size) for name, (run, size) in ready.items()}
        print(json.dumps(rates | failed))


def _repeat_size(operation: Operation) -> int:
    """Find how many operations fill a repeat; warms up on the way."""
    size = 64
    while (lasted := _timed(operation, size)) < _REPEAT_SECONDS / 2:
        size *= 2
    return max(1, round(size * _REPEAT_SECONDS / lasted))


def _timed(operation: Operation, size: int) -> float:
    gc.collect()
    began = time.perf_counter()
    operation(size)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
