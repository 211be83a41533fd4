"""Reading a WebSocket while nobody takes: noticed closes, answered pings, bounded look-ahead."""

import gevent
import pytest

from galeph.errors import WebSocketClosed
from tests.http.websocket_pairs import soon
from tests.protocol.websocket.frames import BINARY, PING, PONG, TEXT


def test_peers_close_is_noticed_by_who_only_puts(eager_standby, ws_pair):
    """A live feed ends when its reader leaves: put says False."""
    websocket, peer = ws_pair
    with gevent.Timeout(5):
        websocket.put("0")
        peer.send_raw(peer.close_frame(1001))
        while websocket.put("more"):
            gevent.sleep(0.002)

    assert websocket.close_code == 1001


def test_pings_are_answered_while_nobody_takes(eager_standby, ws_pair):
    """The standby reads; the message in front stays for whoever takes next."""
    websocket, peer = ws_pair
    peer.send((TEXT, b"a"), (PING, b"p"))

    assert peer.receive() == (PONG, b"p")
    assert websocket.take() == "a"


@pytest.mark.parity("WS-S-28", "WS-C-21")
def test_standby_reads_sixteen_messages_ahead(eager_standby, ws_pair):
    """Then reading stops, and the peer feels it; every message comes in order afterwards."""
    websocket, peer = ws_pair
    count = 2000
    sender = gevent.spawn(lambda: [peer.send((BINARY, b"%08d" % i)) for i in range(count)])
    soon(lambda: websocket._session.standby.is_full and not websocket._session.standby.is_reading)
    ahead = len(websocket._session.standby)
    taken = [websocket.take() for _ in range(count)]

    assert ahead == 16
    assert taken == [b"%08d" % i for i in range(count)]
    sender.get(timeout=5)


@pytest.mark.attack(174)
def test_standby_keeps_a_bounded_number_of_bytes(eager_standby, ws_pair):
    """Of large messages one is read beyond 64 KiB, not sixteen."""
    websocket, peer = ws_pair
    sender = gevent.spawn(lambda: [peer.send((BINARY, bytes(50_000))) for _ in range(60)])
    soon(lambda: websocket._session.standby.is_full and not websocket._session.standby.is_reading)

    assert len(websocket._session.standby) == 2
    assert not sender.ready()
    assert [len(websocket.take()) for _ in range(60)] == [50_000] * 60
    sender.get(timeout=5)


def test_taker_sends_the_standby_away(eager_standby, ws_pair):
    """Once somebody takes again there is one greenlet less, and the taker reads itself."""
    websocket, peer = ws_pair
    soon(lambda: websocket._session.standby.is_reading)
    taker = gevent.spawn(websocket.take)
    soon(lambda: not websocket._session.standby.is_reading)
    peer.send((TEXT, b"a"))

    assert taker.get(timeout=5) == "a"


def test_take_without_waiting_finds_what_the_standby_read(eager_standby, ws_pair):
    """try_take(0) finds messages that have arrived, and disturbs nobody if there are none."""
    websocket, peer = ws_pair
    soon(lambda: websocket._session.standby.is_reading)
    nothing = websocket.try_take(0)
    peer.send((TEXT, b"a"), (TEXT, b"b"))
    soon(lambda: len(websocket._session.standby) == 2)

    assert nothing is None
    assert [websocket.try_take(0), websocket.try_take(0), websocket.try_take(0)] == ["a", "b", None]
    assert websocket._session.standby.is_reading


def test_no_standby_while_somebody_takes_now_and_then(eager_standby, ws_pair):
    """A loop of takes is never disturbed by the standby."""
    websocket, peer = ws_pair
    for _ in range(20):
        peer.send((TEXT, b"a"))
        gevent.sleep(0.003)

        assert websocket.take() == "a"
        assert not websocket._session.standby.is_reading


@pytest.mark.parametrize("says_goodbye", [True, False])
def test_talkative_peer_that_leaves_is_noticed(eager_standby, ws_pair, says_goodbye):
    """Though too much waits to be read on, puts are refused; and no message is lost by that."""
    websocket, peer = ws_pair
    peer.send(*[(TEXT, b"x")] * 40)
    if says_goodbye:
        peer.send_raw(peer.close_frame(1001))
    soon(lambda: websocket._session.standby.is_full and not websocket._session.standby.is_reading)
    peer.transport.send_eof()
    with gevent.Timeout(5):
        while websocket.put("news"):
            gevent.sleep(0.01)
    taken = [websocket.take() for _ in range(40)]

    assert taken == ["x"] * 40
    if says_goodbye:
        assert websocket.take("end") == "end"
    else:
        with pytest.raises(WebSocketClosed, match="1006"):
            websocket.take()
    assert websocket.wait_closed(5)
    assert websocket.close_code == (1001 if says_goodbye else 1006)
