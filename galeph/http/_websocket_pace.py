"""How much of what one WebSocket has received is worked off before others get their turn.

A read brings up to 64 KiB, and that may be ten thousand frames (thirty thousand from a server):
pings, fragments, or messages of no byte. Parsed in one go they would keep every other connection
waiting for a quarter of a second, and peers that never stop would keep them waiting for ever. So
frames are counted, and after some the reader rests for one round of the hub's loop, in which every
socket that is ready is served once.

Control frames have a budget besides. They cost us work that no application ever sees, and nobody
has a use for hundreds a second: a peer that floods them is refused.
"""

from __future__ import annotations

from typing import Any

from galeph import clock as clocks
from galeph.deferred.producer import give_way

__all__ = ["Pace"]

# They take 0.1 ms, and 2 ms where all are fragments; a rest costs 10 µs.
_FRAMES_PER_TURN = 64
# Unmasking and decoding this much costs as much as a fragment.
_BYTES_PER_FRAME = 8192
# A rate that no client has for a reason; in bursts, twice as many may pass.
_MAX_CONTROLS, _CONTROL_WINDOW = 5000, 10.0


class Pace:
    """Counts the frames of one WebSocket.

    ``is_spent`` says that no more may be parsed before `rest` (or `renew`, where nobody may wait).
    """

    __slots__ = ("_controls", "_hub", "_left", "_since")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._left = _FRAMES_PER_TURN
        self._controls = 0
        self._since = clocks.default().monotonic()

    @property
    def is_spent(self) -> bool:
        """Whether others must get their turn before anything more is parsed."""
        return self._left <= 0

    def count(self, size: int = 0) -> None:
        """Note a frame, or a message with its size in bytes or characters."""
        self._left -= 1 + size // _BYTES_PER_FRAME

    def count_control(self) -> bool:
        """Note a control frame; False if the peer sends too many of them."""
        self._left -= 1
        self._controls += 1
        if self._controls <= _MAX_CONTROLS:
            return True
        now = clocks.default().monotonic()
        is_flood = now - self._since < _CONTROL_WINDOW
        self._since = now
        self._controls = 0
        return not is_flood

    def rest(self) -> None:
        """Block for one round of the hub's loop."""
        give_way(self._hub)
        self.renew()

    def renew(self) -> None:
        """Begin a turn without having rested: for a caller that must not wait."""
        self._left = _FRAMES_PER_TURN
