"""Programs as users run them: a process, what it prints, and its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# For a program that has ``{patch}`` where a program of a user's would patch.
PATCHES = pytest.mark.parametrize(
    "patch",
    [
        pytest.param("", id="unpatched"),
        pytest.param("from gevent import monkey; monkey.patch_all()", id="patched"),
    ],
)


def run_python(source, *arguments, cwd=ROOT, env=None, timeout=60):
    """Run a program to its end, with warnings as errors; return its stdout and its stderr.

    One that ends with another status than 0 fails the test, which shows what it printed.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *arguments],
        cwd=cwd,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if done.returncode:
        pytest.fail(f"rc {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout, done.stderr


def _environment(changes):
    return {**os.environ, "PYTHONPATH": str(ROOT), **(changes or {})}


class Program:
    """A running program whose output goes to a file that can be waited on."""

    def __init__(self, process, output):
        self.process = process
        self._output = output

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        """All it has printed so far, both streams together."""
        return self._output.read_text()

    def wait_for(self, pattern, timeout=15.0):
        """Wait until it has printed ``pattern``; return the match."""
        deadline = time.monotonic() + timeout
        while True:
            text = self.output()
            match = re.search(pattern, text, re.MULTILINE)
            if match is not None:
                return match
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(
                    f"never printed {pattern!r} (rc {self.process.poll()}):\n{text}"
                )
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM, timeout=10.0):
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)


@contextmanager
def running(tmp_path, *arguments, cwd=ROOT, env=None):
    """Run ``python arguments...`` for the length of a block; it is killed if it is still there."""
    output = tmp_path / f"output-{time.monotonic_ns()}.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=cwd,
            env=_environment({"PYTHONUNBUFFERED": "1", **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # A suite that runs in a shell's background has Ctrl-C ignored, and would pass that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        yield Program(process, output)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
