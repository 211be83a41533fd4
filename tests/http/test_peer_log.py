"""`PeerLog`: a line for each refused peer, ten a second at most."""

from __future__ import annotations

import logging

from galeph.http.peer_log import PeerLog
from galeph.testing import ManualClock


def test_rate(caplog):
    """Ten lines a second are written, the rest counted, and the count told a second later."""
    caplog.set_level(logging.INFO)
    with ManualClock() as clock:
        log = PeerLog(logging.getLogger("galeph.server"))
        for number in range(25):
            log.log(logging.INFO, "line %d", number)

        assert [f"line {number}" for number in range(10)] == caplog.messages

        clock.advance(1)
        log.log(logging.INFO, "next")

        assert ["15 lines about peers were suppressed", "next"] == caplog.messages[10:]


def test_level_that_is_off(caplog):
    """A line nobody would see takes no place."""
    caplog.set_level(logging.INFO)
    log = PeerLog(logging.getLogger("galeph.server"))
    for _ in range(100):
        log.log(logging.DEBUG, "quiet")
    log.log(logging.INFO, "loud")

    assert ["loud"] == caplog.messages
