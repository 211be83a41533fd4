"""One line for each thing a peer brings about, and not a million: a logger with a rate.

A peer can make a server log as often as it can connect. Lines above the rate are counted, and the
count is written with the first line of a later second. Each level has a rate of its own, so that
a flood of failed handshakes, at DEBUG, hides no refusal and a flood of refusals no failure.

A server has one for all that its listener, its connections and the protocol on top have to say.
"""

from __future__ import annotations

import logging

from galeph import clock

__all__ = ["PeerLog"]

_PER_SECOND = 10


class _Rate:
    """What one level has left of this second."""

    __slots__ = ("left", "second", "suppressed")

    def __init__(self) -> None:
        self.second = -1
        self.left = 0
        self.suppressed = 0


class PeerLog:
    """Writes at most ten lines a second of each level to one logger."""

    __slots__ = ("_logger", "_rates")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._rates: dict[int, _Rate] = {}

    def log(
        self, level: int, message: str, *args: object, exc_info: BaseException | None = None
    ) -> None:
        """Write a line, unless ten of its level were written in this second.

        Not for the hub: a handler of the logger may block.
        """
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        rate = self._rates.get(level)
        if rate is None:
            rate = self._rates[level] = _Rate()
        # Everything is counted before anything is written: writing may switch greenlets.
        second = int(clock.default().monotonic())
        told = 0
        if second != rate.second:
            rate.second, rate.left = second, _PER_SECOND
            told, rate.suppressed = rate.suppressed, 0
        if rate.left <= 0:
            rate.suppressed += 1
            return
        rate.left -= 1
        if told:
            logger.log(level, "%d lines about peers were suppressed", told)
        logger.log(level, message, *args, exc_info=exc_info)
