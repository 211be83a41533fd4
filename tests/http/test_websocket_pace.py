"""How many frames of one peer are dealt with at a time, and how many control frames at all."""

import gevent
import gevent.socket
import pytest

from galeph.http import _websocket_pace
from galeph.http._websocket_pace import Pace
from galeph.testing import ManualClock


@pytest.fixture
def clock():
    with ManualClock() as clock:
        yield clock


def small_pace(monkeypatch):
    monkeypatch.setattr(_websocket_pace, "_MAX_CONTROLS", 10)
    return Pace(gevent.get_hub())


def frames_until_spent(pace, size=0):
    count = 0
    while not pace.is_spent:
        pace.count(size)
        count += 1
    return count


def test_a_turn_is_64_frames_or_half_a_mebibyte():
    """Small frames count alike, large ones by their size."""
    pace = Pace(gevent.get_hub())
    small = frames_until_spent(pace)
    pace.renew()
    large = frames_until_spent(pace, size=64 * 1024)

    assert small == 64
    assert large == 8


def test_rest_lets_everybody_run_who_is_ready():
    """A socket that can be read is served once between two turns, and each rest begins a turn."""
    ours, theirs = gevent.socket.socketpair()
    pace = Pace(gevent.get_hub())
    served = 0

    def read_on():
        nonlocal served
        while True:
            gevent.socket.wait_read(ours.fileno())
            served += 1

    with ours, theirs:
        theirs.send(b"x")
        reader = gevent.spawn(read_on)
        gevent.sleep(0)
        for _ in range(20):
            frames_until_spent(pace)
            pace.rest()
        reader.kill()

    assert 19 <= served <= 21
    assert not pace.is_spent


def test_killed_rest_leaves_nothing_behind():
    """The timer goes with the greenlet (the leak check looks for it)."""
    pace = Pace(gevent.get_hub())
    resting = gevent.spawn(pace.rest)
    gevent.sleep(0)
    resting.kill()

    assert isinstance(resting.value, gevent.GreenletExit)


@pytest.mark.attack(173)
def test_control_frames_have_a_budget(clock, monkeypatch):
    """The last of the budget passes, one more within ten seconds does not."""
    pace = small_pace(monkeypatch)
    first = [pace.count_control() for _ in range(10)]
    clock.advance(9.9)

    assert first == [True] * 10
    assert pace.count_control() is False


def test_slow_control_frames_pass_for_ever(clock, monkeypatch):
    """A budget that lasts for ten seconds begins anew; a flood after years of calm is seen."""
    pace = small_pace(monkeypatch)
    calm = []
    for _ in range(100):
        clock.advance(1)
        calm.append(pace.count_control())
    clock.advance(1000)
    flood = [pace.count_control() for _ in range(25)]

    assert calm == [True] * 100
    assert False in flood


def test_control_frames_are_frames(monkeypatch):
    """They end a turn like others."""
    pace = Pace(gevent.get_hub())
    for _ in range(64):
        pace.count_control()

    assert pace.is_spent
