"""The machine: which core does what, whose CPU time was used, and what to say about it all."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["LOAD_CORE", "SERVER_CORE", "describe", "pinned_to", "session_cpu_seconds"]

_CORES = sorted(os.sched_getaffinity(0))
# The first core takes most interrupts and the harness itself, so the servers get the last one.
LOAD_CORE, SERVER_CORE = _CORES[0], _CORES[-1]

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("gevent", "greenlet", "uvicorn", "httptools", "uvloop", "aiohttp", "granian")


def pinned_to(core: int) -> Callable[[], None]:
    """Give what a child calls between fork and exec; its own children and threads inherit it."""
    return lambda: os.sched_setaffinity(0, {core})


def session_cpu_seconds(leader: int) -> float:
    """CPU time used so far by the living processes of the session that `leader` began."""
    return sum(_cpu_if_in_session(stat, leader) for stat in Path("/proc").glob("[0-9]*/stat"))


def _cpu_if_in_session(stat: Path, leader: int) -> float:
    try:
        text = stat.read_text()
    except OSError:  # ended while we looked
        return 0.0
    # proc(5): the name in parentheses may hold anything, so count from the last parenthesis.
    fields = text[text.rindex(")") + 2 :].split()
    session, user, system = int(fields[3]), int(fields[11]), int(fields[12])
    return (user + system) / _TICKS if session == leader else 0.0


def describe() -> dict[str, object]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu_model(),
        "cores": len(_CORES),
        "server_core": SERVER_CORE,
        "load_core": LOAD_CORE,
        "load_average": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in (*_PACKAGES, "gunicorn")},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
