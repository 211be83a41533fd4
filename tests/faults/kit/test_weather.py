"""The weather: how many packets are late or lost, and that it is the same every time."""

from __future__ import annotations

from collections import Counter

from tests.faults.kit.weather import TCP, UDP, Forecast, Weather

PACKET = {protocol: bytes([0x45, *bytes(8), protocol, *bytes(10)]) for protocol in (TCP, UDP)}
BAD = Weather(delay=1, drop=0.2, reorder=0.3)


def test_shares():
    """About the told shares are dropped and overtaken; what has no weather passes at once."""
    forecast = Forecast({UDP: BAD}, seed=1)
    fates = Counter(forecast.delay_of(PACKET[UDP]) for _ in range(10_000))

    assert {None, 1, 3} == set(fates)
    assert 1800 < fates[None] < 2200
    assert 2800 < fates[3] < 3200
    assert 0 == forecast.delay_of(PACKET[TCP])


def test_repeatable():
    """The same seed means the same fates."""
    first, second = (Forecast({UDP: BAD}, seed=7) for _ in range(2))
    fates = [[one.delay_of(PACKET[UDP]) for _ in range(100)] for one in (first, second)]

    assert fates[0] == fates[1]
