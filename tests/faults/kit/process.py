"""Programs of the kit, each in a process of its own, asked and answering in lines of JSON.

A fault injector must not share a hub, a descriptor table or a garbage collector with what it
tests: it would be seen by the leak oracle, and stand still when the hub does. So each is a program
(``python -m tests.faults.kit.proxy``), which prints one line when it is ready and one for every
line it is sent; its end of input is its end.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import gevent
from gevent import subprocess

ROOT = Path(__file__).resolve().parents[3]
# How long a program may take over one answer, on a machine that does much else.
_PATIENCE = 60.0


class Program:
    """A running program that speaks lines of JSON. Its first is ``ready``."""

    def __init__(self, process):
        self._process = process
        self.ready = self._read()

    @property
    def pid(self):
        return self._process.pid

    def ask(self, **command):
        """Send one command; return the answer."""
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self):
        with gevent.Timeout(_PATIENCE):
            line = self._process.stdout.readline()
        assert line, f"{self._process.args[1:]} has ended"
        return json.loads(line)

    def complaints(self):
        """All it has written to its standard error, once it has ended (``stderr=PIPE``)."""
        return self._process.stderr.read().decode()

    def wait(self):
        """Let it end by itself; return its exit status."""
        self._process.stdin.close()
        return self._process.wait(_PATIENCE)


@contextmanager
def running(*arguments, before=(), env=None, stderr=None):
    """Run ``python arguments...`` for the length of a block; yields the `Program`."""
    process = subprocess.Popen(
        [*before, sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()


def serve_commands(ready, answer, commands=sys.stdin):
    """The other side: say that we are ready, then answer every command until there are no more."""
    _print(ready)
    for line in commands:
        _print(answer(json.loads(line)))


def _print(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
