"""A wall clock that jumps, for one process: Debian's libfaketime, which leaves the monotonic alone.

The offset stands in a file that the library reads again at every call, so a test can move the
clock of a program that runs.
"""

from __future__ import annotations

from pathlib import Path

_LIBRARY = "faketime/libfaketime.so.1"


class WallClock:
    """The clock of the programs that are started with `env`."""

    def __init__(self, file):
        self._file = file
        self.jump(0)

    @property
    def env(self):
        """What to put into a program's environment."""
        return {
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds):
        """From now on the clock is so far ahead of (or behind) the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.replace(self._file)


def _library():
    for folder in Path("/usr/lib").glob("*"):
        if (folder / _LIBRARY).exists():
            return folder / _LIBRARY
    raise AssertionError(f"no {_LIBRARY}: install Debian's package faketime")
