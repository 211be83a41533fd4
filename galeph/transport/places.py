"""How many connections a server may have at a time, and the word when others have to wait.

Above the limit nothing is accepted or refused: connections wait in the kernel's queue. Nobody would
know, so it is said and counted, once a time. A *time* begins with the first that has to wait and
ends when a tenth of the places is free; a server that is full for an hour, with one leaving and one
coming every moment, was full once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sized

from gevent import spawn_raw

from galeph.transport.peer_log import PeerLog

__all__ = ["Places"]


class Places:
    """The places of one server, and who has found none.

    Args:
        taken: the connections there are.
        most: how many there may be; None is no limit.
        where: the server's address, for the log line.
        peer_log: writes it.
    """

    __slots__ = ("_enough", "_most", "_peer_log", "_taken", "_where", "are_wanted", "times_full")

    def __init__(self, taken: Sized, most: int | None, where: str, peer_log: PeerLog) -> None:
        self._taken = taken
        self._most = sys.maxsize if most is None else most
        self._enough = self._most * 9 // 10
        self._where = where
        self._peer_log = peer_log
        # Whether somebody has been waiting since it was last as quiet as above.
        self.are_wanted = False
        self.times_full = 0

    def are_taken(self) -> bool:
        """Whether there are as many connections as there may be."""
        return len(self._taken) >= self._most

    def note_waiting(self) -> None:
        """A connection has to wait. Called in the hub, never switches."""
        if not self.are_wanted:
            self.are_wanted = True
            self.times_full += 1
            # In a greenlet of its own: a log handler may block, and this is the hub.
            spawn_raw(self._say)

    def note_end(self) -> None:
        """A connection has ended while places were wanted. Never switches."""
        if len(self._taken) <= self._enough:
            self.are_wanted = False

    def _say(self) -> None:
        text = "%s is full: connections wait until one of %d ends (max_connections)"
        self._peer_log.log(logging.WARNING, text, self._where, self._most)
