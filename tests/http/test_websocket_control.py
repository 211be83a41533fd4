"""Pings and pongs of a WebSocket: answered, latest only, never in the way of a reader."""

import gevent
import pytest

from tests.protocol.websocket.frames import BINARY, PING, PONG, TEXT


@pytest.mark.parity("WS-S-18", "WS-C-20")
def test_ping_is_answered_and_not_seen(either_ws_pair):
    """A ping gets a pong with its payload; who takes gets the next message."""
    websocket, peer = either_ws_pair
    peer.send((PING, b"p"), (TEXT, b"a"))

    assert websocket.take() == "a"
    assert peer.receive() == (PONG, b"p")


@pytest.mark.attack(173)
def test_only_the_latest_of_many_pings_is_answered(ws_pair):
    """A flood of pings costs one pong a read, and pongs that nobody asked for are ignored."""
    websocket, peer = ws_pair
    peer.send(*[(PING, b"%d" % i) for i in range(3000)], *[(PONG, b"x")] * 1000, (TEXT, b"end"))
    taken = websocket.take()
    pongs = [peer.receive()]
    while pongs[-1] != (PONG, b"2999"):
        pongs.append(peer.receive())

    assert taken == "end"
    assert len(pongs) < 100


@pytest.mark.attack(173)
def test_pings_of_a_peer_that_does_not_read_are_not_piled_up(ws_pair):
    """While a pong cannot be sent the next ones replace it: memory does not grow."""
    websocket, peer = ws_pair
    putter = gevent.spawn(websocket.put, bytes(8_000_000))
    taker = gevent.spawn(websocket.take)
    gevent.sleep(0.05)
    for i in range(50):
        peer.send(*[(PING, b"%d" % (i * 100 + j)) for j in range(100)])
        gevent.sleep(0)
    peer.send((TEXT, b"end"))
    taken = taker.get(timeout=5)
    after_the_message = [peer.receive() for _ in range(3)]

    assert taken == "end"
    assert after_the_message[0] == (BINARY, bytes(8_000_000))
    assert (PONG, b"4999") in after_the_message[1:]
    assert putter.get(timeout=5) is True


@pytest.mark.parity("WS-S-19", "WS-C-20")
def test_ping_is_true_when_the_peer_answers(either_ws_pair):
    """`ping` asks with a payload of its own, or the user's, whether or not anybody takes."""
    websocket, peer = either_ws_pair
    plain, mine = websocket.ping(), None
    opcode, payload = peer.receive()
    peer.send((PONG, payload))
    first = plain.result(5)
    mine = websocket.ping(b"mine")
    asked = peer.receive()
    peer.send((PONG, b"other"), (PONG, b"mine"))

    assert opcode == PING
    assert first is True
    assert asked == (PING, b"mine")
    assert mine.result(5) is True


@pytest.mark.parity("WS-S-20")
def test_pings_share_the_one_that_is_outstanding(ws_pair):
    """Ten pings at once are one frame; its pong answers all ten."""
    websocket, peer = ws_pair
    answers = [websocket.ping() for _ in range(10)]
    _, payload = peer.receive()
    peer.send((PONG, payload))

    assert [answer.result(5) for answer in answers] == [True] * 10
    websocket.put("nothing more before this")
    assert peer.receive() == (TEXT, b"nothing more before this")


@pytest.mark.parity("WS-S-19", "WS-S-29")
def test_ping_is_false_when_the_websocket_ends(ws_pair):
    """A ping that will never be answered is False; so is one on a closed WebSocket."""
    websocket, peer = ws_pair
    answer = websocket.ping()
    peer.close()

    assert answer.result(5) is False
    assert websocket.ping().result(5) is False


def test_ping_payload_is_checked(ws_pair):
    """A payload that no ping can carry is the caller's error."""
    websocket, _ = ws_pair
    with pytest.raises(ValueError, match="payload has 126 bytes"):
        websocket.ping(b"x" * 126)
    with pytest.raises(TypeError, match="payload must be bytes"):
        websocket.ping("x")

    assert not websocket.closed
