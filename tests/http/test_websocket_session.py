"""What goes on below a WebSocket's stream: floods, backlogs, and streams nobody holds any more."""

import gc
import logging
import weakref

import gevent
import pytest
from gevent import get_hub

from galeph import stream
from galeph.errors import WebSocketClosed
from galeph.http import Timeouts
from galeph.http.websocket import websocket_client, websocket_connection
from galeph.protocol.engine import Role
from tests.http.raw import serving
from tests.http.websocket_pairs import open_pair, shut, soon
from tests.protocol.websocket.frames import CLOSE, CONTINUATION, PING, PONG, TEXT

BOTH = pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)
GOING_AWAY = (CLOSE, b"\x03\xe9")
TOO_MANY = (CLOSE, b"\x03\xf0too many control frames")


def frames_parsed(websocket, call):
    """How many frames were parsed between two looks of the loop at its sockets, at most.

    And what ``call`` returned, while which they were.
    """
    engine = websocket._session.engine
    next_event = type(engine).next_event
    counts = [0]

    def counted(self):
        counts[-1] += 1
        return next_event(self)

    look = get_hub().loop.prepare()
    look.start(lambda: counts.append(0))
    type(engine).next_event = counted
    try:
        result = call()
    finally:
        type(engine).next_event = next_event
        look.stop()
        look.close()
    return max(counts), result


# -- floods


@BOTH
@pytest.mark.attack(173)
@pytest.mark.parametrize("opcode", [PING, PONG])
def test_flood_of_control_frames_is_refused(role, opcode, caplog):
    """Beyond the budget: 1008, one line in the log, and the connection is closed."""
    caplog.set_level(logging.INFO, "galeph")
    websocket, peer = open_pair(role)
    flood = gevent.spawn(peer.send_raw, peer.frame(opcode) * 12_000)
    with pytest.raises(WebSocketClosed) as caught:
        websocket.take()
    while (received := peer.receive())[0] == PONG:
        pass
    flood.get(timeout=5)
    peer.close()

    assert received == TOO_MANY
    assert caught.value.code == websocket.close_code == 1008
    assert websocket.wait_closed(5)
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "too many control frames, closed with 1008" in caplog.text


@pytest.mark.attack(169, 173)
@pytest.mark.parametrize("kind", ["pings", "fragments", "messages"])
def test_standby_leaves_others_their_turn(eager_standby, kind):
    """While nobody takes, a flood is read in the same small parts."""
    websocket, peer = open_pair(max_fragments=None)
    data = {
        "pings": peer.frame(PING) * 3000,
        "fragments": peer.frame(TEXT, fin=False) + peer.frame(CONTINUATION, fin=False) * 3000,
        "messages": peer.frame(TEXT) * 10,
    }[kind]
    soon(lambda: websocket._session.standby.is_reading)

    def flood():
        peer.send_raw(data)
        soon(lambda: websocket._session.keepalive._heard_at > began)
        gevent.sleep(0.05)

    began = websocket._session.keepalive._heard_at
    most, _ = frames_parsed(websocket, flood)
    shut(websocket, peer)

    assert 0 < most <= 65


@pytest.mark.attack(173)
def test_try_take_looks_at_one_turn_of_frames():
    """A limit of 0 never waits, so it does not work a flood off either: the next one goes on."""
    websocket, peer = open_pair()
    peer.send_raw(peer.frame(PONG) * 1000 + peer.frame(TEXT, b"a"))
    calls = 0
    found = None
    while found is None:
        most, found = frames_parsed(websocket, lambda: websocket.try_take(0))
        calls += 1
        assert most <= 65
    shut(websocket, peer)

    assert found == "a"
    assert 10 <= calls <= 30


# -- backlogs


@BOTH
def test_close_in_the_middle_of_a_flood_does_not_parse_it_at_once(role):
    """Close never blocks: what had arrived is worked off in turns, and stays takeable, in order."""
    websocket, peer = open_pair(role)
    count = 5000
    peer.send_raw(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(count)))
    first = websocket.take()
    at_once, began = frames_parsed(websocket, websocket.close)
    closing, _ = frames_parsed(websocket, lambda: gevent.sleep(0.1))
    taken = list(websocket)
    shut(websocket, peer)

    assert began is True
    assert at_once <= 65
    assert closing <= 65
    assert len(taken) > 1000
    assert [first, *taken] == [str(i) for i in range(len(taken) + 1)]
    assert websocket.drained


def test_takers_work_off_the_backlog_themselves():
    """While our close frame cannot go out, what had arrived before can be taken all the same."""
    websocket, peer = open_pair(timeouts=Timeouts(websocket_close=0.5, ping_interval=None))
    peer.send_raw(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(500)))
    putter = gevent.spawn(websocket.put, bytes(8_000_000))
    first = websocket.take()
    websocket.close()
    drained_early = websocket.drained
    most, taken = frames_parsed(websocket, lambda: list(websocket))
    peer.close()

    assert [first, *taken] == [str(i) for i in range(500)]
    assert most <= 65
    assert not drained_early
    assert websocket.drained
    assert putter.get(timeout=5) is False
    assert websocket.wait_closed(5)


@pytest.mark.attack(173, 175)
def test_flood_while_we_close_leaves_others_their_turn():
    """What still comes before the peer's close frame is dropped, in small parts."""
    websocket, peer = open_pair()
    websocket.close()
    ours = peer.receive()

    def flood():
        peer.send_raw(peer.frame(TEXT) * 5000 + peer.close_frame(1000))
        websocket.wait_closed(5)

    most, _ = frames_parsed(websocket, flood)
    peer.close()

    assert ours == (CLOSE, b"\x03\xe8")
    assert 0 < most <= 65
    assert websocket.close_code == 1000


# -- streams that nobody holds any more


@BOTH
def test_websocket_that_is_dropped_is_closed_with_1001(role, caplog):
    """Without a call: the peer is told, both ends are closed, and a warning says so."""
    websocket, peer = open_pair(role, timeouts=Timeouts())
    session = websocket._session
    del websocket
    told = peer.receive()
    peer.send_raw(peer.close_frame(1001))
    peer.close()

    assert told == GOING_AWAY
    assert session.gone.wait(5) is None
    assert session.gone.ready()
    assert session.transport.fileno() == -1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "a WebSocket was dropped without being closed" in caplog.text


def test_dropped_while_the_standby_reads(eager_standby):
    """The greenlet that reads meanwhile is no owner."""
    websocket, peer = open_pair()
    session = websocket._session
    soon(lambda: session.standby.is_reading)
    del websocket

    assert peer.receive() == GOING_AWAY
    peer.close()
    assert session.gone.get(timeout=5) is None


def test_dropped_with_messages_that_wait(eager_standby):
    """What nobody can take any more is thrown away, and does not keep it."""
    websocket, peer = open_pair()
    session = websocket._session
    peer.send(*[(TEXT, b"x")] * 40)
    soon(lambda: session.standby.is_full and not session.standby.is_reading)
    del websocket

    assert peer.receive() == GOING_AWAY
    peer.close()
    assert session.gone.get(timeout=5) is None


@pytest.mark.parametrize("call", ["take", "put", "wait_closed"])
def test_owner_that_is_killed_closes_it(call):
    """A greenlet killed in any of the methods takes its WebSocket with it."""
    websocket, peer = open_pair(timeouts=Timeouts())
    session = websocket._session

    def own(websocket):
        {
            "take": websocket.take,
            "put": lambda: websocket.put(bytes(2_000_000)),
            "wait_closed": websocket.wait_closed,
        }[call]()

    owner = gevent.spawn(own, websocket)
    del websocket
    gevent.sleep(0.02)
    kept = not session.is_over
    owner.kill()
    # A dead greenlet has its GreenletExit, and that the frames it went through.
    del owner
    frames = [peer.receive()]
    while frames[-1] is not None and frames[-1][0] != CLOSE:
        frames.append(peer.receive())
    peer.close()

    assert kept
    assert frames[-1] == GOING_AWAY
    assert session.gone.get(timeout=5) is None


@pytest.mark.parametrize("hold", ["link in", "link out", "ping", "take_async"])
def test_what_refers_to_it_keeps_it(hold):
    """A link, a pending ping and a pending take are reasons to live; without them it goes."""
    websocket, peer = open_pair()
    session = websocket._session
    other = stream.Stream()
    if hold == "link in":
        held = stream.connect(other, websocket)
    elif hold == "link out":
        held = stream.connect(websocket, other)
    elif hold == "ping":
        held = websocket.ping()
    else:
        held = websocket.take_async("end")
    del websocket
    gc.collect()
    gevent.sleep(0.02)
    kept = not session.is_over
    if hold == "ping":
        peer.send((PONG, peer.receive()[1]))
    elif hold == "take_async":
        peer.send((TEXT, b"a"))
    elif hold == "link in":
        other.close()
    else:
        peer.send((TEXT, b"a"))
        other.take()
        other.close()
        peer.send((TEXT, b"b"))
    seen = peer.receive()
    peer.close()

    assert kept
    assert held.ready()
    assert seen[0] == CLOSE
    assert session.gone.get(timeout=5) is None


def test_closed_one_may_be_dropped(caplog):
    """Who has called close owes nothing more: the closing handshake is ended without him."""
    websocket, peer = open_pair(Role.CLIENT)
    session = websocket._session
    websocket.close(4000, "done")
    del websocket
    told = peer.receive()
    peer.send_raw(peer.close_frame(4000))
    peer.close()

    assert told == (CLOSE, b"\x0f\xa0done")
    assert session.gone.get(timeout=5) is None
    assert session.close_code == 4000
    assert caplog.records == []


def test_dropped_one_is_garbage_at_once():
    """No cycle of ours keeps an open WebSocket until the next collection."""
    gc.disable()
    try:
        websocket, peer = open_pair(timeouts=Timeouts())
        websocket.put("a")
        peer.send((TEXT, b"b"))
        websocket.take()
        reference = weakref.ref(websocket)
        session = websocket._session
        del websocket
        is_gone = reference() is None
    finally:
        gc.enable()
    peer.close()

    assert is_gone
    assert session.gone.get(timeout=5) is None


def test_collector_in_another_thread_harms_nothing():
    """Wherever the last reference goes, the work is done in the WebSocket's own hub."""
    websocket, peer = open_pair()
    session = websocket._session
    box = [websocket]
    del websocket
    get_hub().threadpool.apply(box.clear)

    assert peer.receive() == GOING_AWAY
    peer.close()
    assert session.gone.get(timeout=5) is None


def test_dropped_client_frees_both_ends():
    """Between ourselves: client and server have no connection left."""

    def handler(request):
        for message in websocket_connection(request).result():
            raise AssertionError(message)

    with serving(handler) as server:
        opening = websocket_client(f"ws://127.0.0.1:{server.port}/")
        opening.wait(5)
        before = server.stats().active
        del opening
        with gevent.Timeout(5):
            while server.stats().active:
                gevent.sleep(0.01)

    assert before == 1
