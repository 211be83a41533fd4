"""The jumping wall clock: it jumps, and the monotonic clock does not."""

from __future__ import annotations

import pytest

from tests.faults.kit.process import running
from tests.faults.kit.wall_clock import WallClock

CLOCKS = """
import time
from tests.faults.kit.process import serve_commands

serve_commands(None, lambda command: (time.time(), time.monotonic()))
"""


@pytest.mark.parametrize("seconds", [3600, -3600, 86400, -86400])
def test_jump(tmp_path, seconds):
    """The wall clock of the program is ahead by what was asked, its monotonic clock is not."""
    clock = WallClock(tmp_path / "offset")
    with running("-c", CLOCKS, env=clock.env) as program:
        wall, monotonic = program.ask()
        clock.jump(seconds)
        later_wall, later_monotonic = program.ask()

    assert seconds == pytest.approx(later_wall - wall, abs=30)
    assert 0 <= later_monotonic - monotonic < 30
