"""A clock that cannot start timers when told so."""

from __future__ import annotations

from galeph.testing import ManualClock


class BrokenClock(ManualClock):
    """A manual clock whose timers may fail."""

    is_broken = False

    def start_timer(self, seconds, fn, *args, ref=True):
        if self.is_broken:
            raise ArithmeticError("no timers")
        return super().start_timer(seconds, fn, *args, ref=ref)
