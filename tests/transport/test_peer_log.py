"""`PeerLog`: a line for each refused peer, ten a second at most."""

from __future__ import annotations

import logging

from galeph.testing import ManualClock
from galeph.transport.peer_log import PeerLog


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


def test_a_rate_for_each_level(caplog):
    """What one level has too much of takes nothing from another, and is counted apart."""
    caplog.set_level(logging.DEBUG)
    with ManualClock() as clock:
        log = PeerLog(logging.getLogger("galeph.server"))
        for _ in range(12):
            log.log(logging.DEBUG, "a peer's doing")
        log.log(logging.ERROR, "a failure")

        assert "a failure" == caplog.messages[-1]

        clock.advance(1)
        caplog.clear()
        log.log(logging.ERROR, "another")
        log.log(logging.DEBUG, "again")

        assert ["another", "2 lines about peers were suppressed", "again"] == caplog.messages


def test_traceback(caplog):
    """A line may show an exception."""
    log = PeerLog(logging.getLogger("galeph.server"))
    error = ZeroDivisionError()
    log.log(logging.ERROR, "failed", exc_info=error)

    assert error is caplog.records[0].exc_info[1]
