"""Whether the peer of a WebSocket is alive, by a clock that moves only when told to."""

import struct

import pytest

from galeph.http._websocket_keepalive import Keepalive
from galeph.testing import ManualClock


class Wire:
    """What a Keepalive does to its WebSocket."""

    def __init__(self):
        self.sent = []
        self.given_up = 0
        self.can_listen = True

    def listen(self):
        return self.can_listen

    def give_up(self):
        self.given_up += 1


@pytest.fixture
def clock():
    with ManualClock() as clock:
        yield clock


def keepalive(wire, interval=20.0, timeout=20.0):
    return Keepalive(
        interval, timeout, send=wire.sent.append, listen=wire.listen, give_up=wire.give_up
    )


def numbered(*numbers):
    return [struct.pack("!I", number) for number in numbers]


@pytest.mark.parity("WS-S-15", "WS-C-11")
def test_silent_peer_is_pinged_after_the_interval(clock):
    """Not before; and once, until it has answered."""
    wire = Wire()
    alive = keepalive(wire)
    clock.advance(19.9)
    early = list(wire.sent)
    clock.advance(0.1)
    asked = list(wire.sent)
    clock.advance(19.9)
    alive.stop()

    assert (early, asked, wire.sent) == ([], numbered(1), numbered(1))
    assert wire.given_up == 0


@pytest.mark.parity("WS-S-15", "WS-S-16")
def test_peer_that_does_not_answer_is_given_up(clock):
    """After the interval and the timeout, once."""
    wire = Wire()
    keepalive(wire)
    clock.advance(39.9)
    early = wire.given_up
    clock.advance(1000)

    assert (early, wire.given_up) == (0, 1)


@pytest.mark.parametrize("answers", [True, False])
def test_peer_that_answers_is_asked_again(clock, answers):
    """A pong, or anything else that is heard of the peer, is good for another interval."""
    wire = Wire()
    alive = keepalive(wire)
    for _ in range(5):
        clock.advance(25)
        alive.heard()
        if answers:
            alive.receive_pong(wire.sent[-1])
    alive.stop()

    assert wire.given_up == 0
    assert wire.sent == numbered(1, 2, 3, 4, 5)[: 5 if answers else 1]


def test_busy_peer_is_never_asked(clock):
    """Who sends within every interval is alive."""
    wire = Wire()
    alive = keepalive(wire)
    for _ in range(100):
        clock.advance(19)
        alive.heard()
    alive.stop()

    assert wire.sent == []


def test_time_in_which_we_do_not_listen_does_not_count(clock):
    """While unread messages keep us from reading, silence is our own."""
    wire = Wire()
    wire.can_listen = False
    alive = keepalive(wire)
    clock.advance(1000)
    deaf = wire.given_up, list(wire.sent)
    wire.can_listen = True
    clock.advance(39)
    asked = wire.given_up, list(wire.sent)
    clock.advance(1)
    alive.stop()

    assert deaf == (0, [])
    assert asked == (0, numbered(1))
    assert wire.given_up == 1


def test_time_in_which_the_process_stood_still_does_not_count(clock):
    """What the peer sent meanwhile has to be read first: a late timer is no verdict."""
    wire = Wire()
    alive = keepalive(wire)
    clock.advance(20)
    # The process was stopped for a minute: the timer fires that much too late.
    alive._due_at -= 60
    clock.advance(20)
    alive.stop()

    assert wire.given_up == 0


def test_no_interval_never_pings(clock):
    """None switches it off; the user's own pings work all the same."""
    wire = Wire()
    alive = keepalive(wire, interval=None)
    clock.advance(1000)
    answer = alive.ping(b"mine")
    alive.receive_pong(b"mine")

    assert wire.sent == [b"mine"]
    assert answer.result(1) is True


def test_no_timeout_never_gives_up(clock):
    """A silent peer is asked once, and waited for as long as it takes."""
    wire = Wire()
    alive = keepalive(wire, timeout=None)
    clock.advance(1000)
    alive.stop()

    assert (wire.sent, wire.given_up) == (numbered(1), 0)


def test_only_the_right_pong_is_an_answer(clock):
    """A pong that answers nothing of ours is ignored; nobody waits after the end."""
    wire = Wire()
    alive = keepalive(wire)
    first, second = alive.ping(), alive.ping()
    alive.receive_pong(b"other")
    early = first.ready()
    alive.receive_pong(wire.sent[0])
    third = alive.ping()
    alive.stop()

    assert early is False
    assert [d.result(1) for d in (first, second, third)] == [True, True, False]
    assert wire.sent == numbered(1, 2)


def test_cancelled_ping_disturbs_no_other(clock):
    """Whoever gives up waiting for the answer leaves the others alone."""
    wire = Wire()
    alive = keepalive(wire)
    first, second = alive.ping(), alive.ping()
    first.cancel()
    alive.receive_pong(wire.sent[0])
    alive.stop()

    assert second.result(1) is True
