"""Injected system call errors: they happen, and strace says so."""

from __future__ import annotations

from tests.faults.kit.process import running
from tests.faults.kit.strace import injecting

LISTING = """
import os
from tests.faults.kit.process import serve_commands

def list_folder(command):
    try:
        return len(os.listdir("/"))
    except OSError as error:
        return error.strerror

serve_commands(None, list_folder)
"""


def test_injecting(tmp_path):
    """The chosen calls fail with the chosen error, the others do not."""
    with running("-c", LISTING) as program:
        with injecting(program.pid, "getdents64", "error=EIO:when=2", tmp_path / "log") as strace:
            answers = [program.ask() for _ in range(2)]
            calls = strace.calls()
        afterwards = program.ask()

    assert "Input/output error" in answers
    assert 1 == len(calls)
    assert afterwards > 0
