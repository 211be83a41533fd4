"""One line for each refused peer, and not a million: a logger with a rate.

A peer can make a server log as often as it can connect. Lines above the rate are counted, and the
count is written with the first line of a later second.
"""

from __future__ import annotations

import logging

from galeph import clock

__all__ = ["PeerLog"]

_PER_SECOND = 10


class PeerLog:
    """Writes at most ten lines a second about peers to one logger."""

    __slots__ = ("_left", "_logger", "_second", "_suppressed")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._second = -1
        self._left = 0
        self._suppressed = 0

    def log(self, level: int, message: str, *args: object) -> None:
        """Write a line, unless ten were written in this second."""
        if not self._logger.isEnabledFor(level):
            return
        second = int(clock.default().monotonic())
        if second != self._second:
            self._second = second
            self._left = _PER_SECOND
            if self._suppressed:
                suppressed, self._suppressed = self._suppressed, 0
                self._logger.log(level, "%d lines about peers were suppressed", suppressed)
        if self._left <= 0:
            self._suppressed += 1
            return
        self._left -= 1
        self._logger.log(level, message, *args)
