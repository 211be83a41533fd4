"""System calls that fail, without a mock: ``strace -e inject`` on a running process.

The process sees the error the kernel would have given; the call itself is not made. strace(1)
writes down every call it has tampered with, so a test can say that its fault has happened.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

import gevent
from gevent import subprocess

_PATIENCE = 20.0


class Injection:
    """What strace has done so far."""

    def __init__(self, log):
        self._log = log

    def calls(self):
        """The calls that were made to fail, one line each."""
        return [line for line in self._log.read_text().splitlines() if "(INJECTED)" in line]

    def seen(self):
        """All the calls that were looked at, the failed ones among them."""
        return self._log.read_text().splitlines()


@contextmanager
def injecting(pid, call, fault, log):
    """Make a system call of a process fail for the length of a block.

    Args:
        pid: the process; it must be ours, or we root.
        call: the name of the system call.
        fault: as after ``inject=CALL:``, such as ``error=EMFILE:when=1..3``.
        log: a path for strace's notes.
    """
    command = ["strace", "-f", "-p", str(pid), "-o", str(log)]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:{fault}", "-e", "signal=none"]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        _wait_attached(strace)
        yield Injection(log)
    finally:
        if strace.poll() is None:
            os.kill(strace.pid, signal.SIGINT)
        strace.wait(_PATIENCE)
        strace.stderr.close()


def _wait_attached(strace):
    said = []
    with gevent.Timeout(_PATIENCE):
        while line := strace.stderr.readline():
            said.append(line.decode())
            if "attached" in said[-1]:
                return
    raise AssertionError(f"strace could not attach (it must be root, or our parent): {said}")
