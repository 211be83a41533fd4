"""Watch a running contender with py-spy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import LOAD_CORE, pinned_to

__all__ = ["record"]

# A prime, so that the samples do not march in step with a periodic task.
_RATE = 397


@contextmanager
def record(pid: int, seconds: float, output: str) -> Iterator[None]:
    """Sample `pid` and its children while the block runs; write a flame graph to `output`.

    Raises:
        SystemExit: py-spy is missing or may not read the process; the message says what to do.
    """
    beside = Path(sys.executable).with_name("py-spy")
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        raise SystemExit("py-spy is not installed: pip install py-spy")
    command = [program, "record", "--pid", str(pid), "--subprocesses", "--nonblocking"]
    command += ["--rate", str(_RATE), "--duration", str(max(1, round(seconds))), "-o", output]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=pinned_to(LOAD_CORE),  # noqa: PLW1509  (this process has no threads)
    )
    try:
        yield
    finally:
        _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"py-spy failed (it needs the right to trace, as root has):\n{errors}")
