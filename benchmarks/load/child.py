"""Run a load generator on the load core and read the one line of JSON it ends with."""

from __future__ import annotations

import json
import resource
import subprocess

from benchmarks.machine import LOAD_CORE, pinned_to
from benchmarks.model import Disqualified

__all__ = ["run_load"]


def run_load(argv: list[str], seconds: float) -> dict[str, float]:
    """Run `argv`; give its numbers, with ``load_busy``: its CPU share of the load core.

    A generator that is busy all the time measures itself and not the server.
    """
    before = _children_cpu_seconds()
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 30,
        preexec_fn=pinned_to(LOAD_CORE),  # safe: this process has no threads
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise Disqualified(f"the load generator ended with {done.returncode}: {done.stderr[-200:]}")
    numbers: dict[str, float] = json.loads(lines[-1])
    numbers["load_busy"] = round((_children_cpu_seconds() - before) / numbers["seconds"], 3)
    return numbers


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
