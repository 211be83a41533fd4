"""What a bad network does to packets: pure, and the same again with the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

TCP, UDP = 6, 17
# Where the header of IPv4 has its version and its protocol (RFC 791 section 3.1).
_PROTOCOL_AT = 9


@dataclass(frozen=True)
class Weather:
    """What happens to the packets of one protocol.

    Attributes:
        delay: seconds every packet is under way.
        drop: the share of packets that are lost.
        reorder: the share of packets that take three times as long, and so are overtaken.
    """

    delay: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0


class Forecast:
    """Says of one packet after the other how long it takes.

    Args:
        by_protocol: the weather for each protocol number; what has none passes at once.
        seed: the same one has the same packets lost.
    """

    def __init__(self, by_protocol, seed):
        self._by_protocol = by_protocol
        self._random = random.Random(seed)

    def delay_of(self, packet):
        """Seconds until a packet of IPv4 arrives; None when it never does."""
        weather = self._by_protocol.get(packet[_PROTOCOL_AT])
        if weather is None:
            return 0.0
        chance = self._random.random()
        if chance < weather.drop:
            return None
        if chance < weather.drop + weather.reorder:
            return 3 * weather.delay
        return weather.delay
