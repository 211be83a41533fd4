"""An open WebSocket as a stream: how messages pass, and how it ends."""

import gc
import socket
import weakref

import gevent
import gevent.socket
import pytest
from gevent.queue import Full

from galeph.errors import WebSocketClosed
from galeph.http import Timeouts, WebSocket
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.websocket.engine import WebSocketEngine
from galeph.transport.sockets import SocketTransport
from tests.http.websocket_pairs import QUIET, open_pair, shut, soon
from tests.protocol.websocket import frames
from tests.protocol.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.threads import in_thread

BOTH = pytest.mark.parametrize("role", list(Role), ids=lambda role: role.value)


# -- messages


@pytest.mark.parity("WS-S-03")
def test_messages_come_as_they_were_sent(either_ws_pair):
    """Text is taken as str, binary as bytes, fragments in one piece, in order."""
    websocket, peer = either_ws_pair
    peer.send(
        (TEXT, "é".encode()), (BINARY, b"b"), (TEXT,), (TEXT, b"in "), (BINARY, bytes(70_000))
    )
    peer.send_raw(peer.frame(TEXT, b"a", fin=False) + peer.frame(CONTINUATION, b"b"))

    taken = [websocket.take() for _ in range(6)]

    assert taken == ["é", b"b", "", "in ", bytes(70_000), "ab"]


@pytest.mark.parity("WS-S-04")
def test_messages_go_out_as_they_were_put(either_ws_pair):
    """str is sent as text, bytes and other buffers as binary; put says True."""
    websocket, peer = either_ws_pair
    accepted = [websocket.put(m) for m in ("é", b"b", bytearray(b"c"), memoryview(b"d"), "")]

    received = [peer.receive() for _ in accepted]

    assert accepted == [True] * 5
    assert received == [
        (TEXT, "é".encode()),
        *[(BINARY, c) for c in (b"b", b"c", b"d")],
        (TEXT, b""),
    ]


def test_what_cannot_be_sent_is_refused_and_harms_nothing(ws_pair):
    """A message that is none is the caller's error; the next one passes."""
    websocket, peer = ws_pair
    with pytest.raises(TypeError):
        websocket.put(object())
    with pytest.raises(ValueError, match="surrogates"):
        websocket.put("\udc00")
    websocket.put("next")

    assert peer.receive() == (TEXT, b"next")


def test_many_messages_in_one_read_are_taken_one_by_one(ws_pair):
    """What arrived together is parsed only as it is taken."""
    websocket, peer = ws_pair
    peer.send(*[(TEXT, b"%d" % i) for i in range(1000)])

    assert [websocket.take() for _ in range(1000)] == [str(i) for i in range(1000)]


def test_try_take_waits_no_longer_than_asked(ws_pair):
    """Without a message in time there is none lost: the next take gets it."""
    websocket, peer = ws_pair
    first = websocket.try_take(0.01, timeout_value="late")
    at_once = websocket.try_take(0, timeout_value="none")
    peer.send((TEXT, b"a"))
    second = websocket.try_take(5)

    assert (first, at_once, second) == ("late", "none", "a")


def test_killed_taker_takes_nothing_with_it(ws_pair):
    """A greenlet killed in its take leaves the message to the next."""
    websocket, peer = ws_pair
    taker = gevent.spawn(websocket.take)
    gevent.sleep(0)
    peer.send((TEXT, b"a"))
    taker.kill()

    assert websocket.take() == "a"


def test_kills_at_any_moment_lose_no_message(ws_pair):
    """Takers come and are killed while messages flow: each message is taken once, in order."""
    websocket, peer = ws_pair
    count = 300
    taken = []

    def take_on():
        while True:
            taken.append(int(websocket.take()))

    def send():
        for i in range(count):
            peer.send((TEXT, b"%d" % i))
            gevent.sleep(0 if i % 3 else 0.0005)

    sender = gevent.spawn(send)
    with gevent.Timeout(20):
        while len(taken) < count:
            taker = gevent.spawn(take_on)
            for _ in range(len(taken) % 4):
                gevent.sleep(0)
            gevent.sleep(0.0005 * (len(taken) % 3))
            taker.kill()
    sender.get()

    assert taken == list(range(count))


def test_takers_are_served_in_their_order(ws_pair):
    """Several greenlets may take: each gets one message, first come first served."""
    websocket, peer = ws_pair
    takers = [gevent.spawn(websocket.take) for _ in range(5)]
    gevent.sleep(0)
    peer.send(*[(TEXT, b"%d" % i) for i in range(5)])
    gevent.joinall(takers, timeout=5)

    assert [taker.value for taker in takers] == ["0", "1", "2", "3", "4"]


def test_concurrent_puts_never_mix(ws_pair):
    """Frames of greenlets that put at once come out whole."""
    websocket, peer = ws_pair
    messages = [bytes([65 + i]) * 200_000 for i in range(8)]
    putters = [gevent.spawn(websocket.put, message) for message in messages]

    received = [peer.receive() for _ in messages]

    gevent.joinall(putters, timeout=5)
    assert sorted(received) == [(BINARY, message) for message in messages]


def test_put_blocks_while_the_peer_does_not_read(ws_pair):
    """Put returns when the kernel has the bytes: nothing is buffered by the WebSocket."""
    websocket, peer = ws_pair
    big = bytes(8_000_000)
    putter = gevent.spawn(websocket.put, big)
    done = putter.join(timeout=0.1)

    assert done is None
    assert not putter.ready()
    assert peer.receive() == (BINARY, big)
    assert putter.get(timeout=5) is True


@pytest.mark.parity("MISS-52")
def test_try_put_waits_no_longer_than_asked(ws_pair):
    """What could not go out in time is withdrawn; what had begun is sent whole, and counts."""
    websocket, peer = ws_pair
    first = websocket.try_put(bytes(8_000_000), 0.05, "late")
    second = websocket.try_put(b"withdrawn", 0.05, "late")
    now = websocket.try_put(b"now", 0, "full")
    with pytest.raises(Full):
        websocket.put_nowait(b"now")
    received = peer.receive()
    websocket.put(b"next")
    third = peer.receive()
    now_empty = websocket.try_put(b"now", 0)
    fourth = peer.receive()

    assert (first, second, now, now_empty) == (True, "late", "full", True)
    assert received == (BINARY, bytes(8_000_000))
    assert (third, fourth) == ((BINARY, b"next"), (BINARY, b"now"))


def test_killed_putter_leaves_no_half_message(ws_pair):
    """A put that has begun is finished in the background; the stream stays usable."""
    websocket, peer = ws_pair
    putter = gevent.spawn(websocket.put, bytes(8_000_000))
    gevent.sleep(0.01)
    putter.kill()
    last = gevent.spawn(websocket.put, "last")

    assert peer.receive() == (BINARY, bytes(8_000_000))
    assert peer.receive() == (TEXT, b"last")
    assert last.get(timeout=5) is True


def test_try_take_finds_what_is_in_the_kernel(ws_pair):
    """A limit of 0 finds a message that has arrived, though nobody has read it yet."""
    websocket, peer = ws_pair
    nothing = websocket.try_take(0, timeout_value="none")
    peer.send((PING, b"p"), (TEXT, b"a"))
    found = websocket.try_take(0, timeout_value="none")

    assert (nothing, found) == ("none", "a")
    assert peer.receive() == (PONG, b"p")


def test_message_given_back_is_the_next(eager_standby, ws_pair):
    """A taker that cannot use its message gives it back, before all others, standby or not."""
    websocket, peer = ws_pair
    peer.send((TEXT, b"a"), (TEXT, b"b"))
    websocket._give_back(websocket.take())
    soon(lambda: websocket._session.standby.is_reading)

    assert [websocket.take(), websocket.take()] == ["a", "b"]


# -- clean ends


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (1001, 1001), (None, 1005)])
@pytest.mark.parity("WS-S-26", "WS-C-14")
def test_clean_close_by_the_peer_drains(either_ws_pair, code, seen):
    """The close frame is echoed; messages before it are taken, then takes give their default."""
    websocket, peer = either_ws_pair
    peer.send_raw(peer.frame(TEXT, b"last") + peer.close_frame(code))
    taken = [websocket.take(), websocket.take("end"), websocket.take("end")]
    echo = peer.receive()
    peer.close()

    assert taken == ["last", "end", "end"]
    assert echo == (CLOSE, b"" if code is None else code.to_bytes(2, "big"))
    assert websocket.drained
    assert websocket.closed
    assert websocket.put("late") is False
    assert websocket.wait_closed(5)
    assert websocket.close_code == seen


@pytest.mark.parity("WS-S-27")
def test_server_closes_the_connection_first(ws_pair):
    """After both close frames the server closes TCP; the peer sees the end at once."""
    websocket, peer = ws_pair
    peer.send_raw(peer.close_frame(1000, b"bye"))
    websocket.take()

    assert peer.receive() == (CLOSE, b"\x03\xe8bye")
    assert peer.receive() is None
    assert websocket.close_reason == "bye"


@pytest.mark.parity("WS-C-15")
def test_client_waits_for_the_server_to_close():
    """After both close frames the client leaves TCP to the server (RFC 6455 section 7.1.1)."""
    websocket, peer = open_pair(Role.CLIENT)
    websocket.close()
    ours = peer.receive()
    peer.send_raw(peer.close_frame(1000))
    early = websocket.wait_closed(0.05)
    peer.close()

    assert ours == (CLOSE, b"\x03\xe8")
    assert early is False
    assert websocket.wait_closed(5)
    assert websocket.close_code == 1000


@pytest.mark.parity("WS-S-21", "WS-S-23")
def test_close_begins_and_says_so_once(either_ws_pair):
    """The first close sends a frame behind what was put; later calls and puts say False."""
    websocket, peer = either_ws_pair
    websocket.put("last")
    answers = [websocket.close(4000, "done"), websocket.close(), websocket.put("late")]
    received = [peer.receive(), peer.receive()]
    peer.send_raw(peer.close_frame(4000, b"done"))
    peer.close()

    assert answers == [True, False, False]
    assert received == [(TEXT, b"last"), (CLOSE, b"\x0f\xa0done")]
    assert websocket.wait_closed(5)
    assert (websocket.close_code, websocket.close_reason) == (4000, "done")
    assert websocket.drained


@pytest.mark.parity("WS-S-24")
def test_one_of_many_closes_wins(ws_pair):
    """Of ten greenlets that close at once one is told that it did, and its code is sent."""
    websocket, peer = ws_pair
    closers = [gevent.spawn(websocket.close, 4000 + i) for i in range(10)]
    gevent.joinall(closers)
    winners = [i for i, closer in enumerate(closers) if closer.value]
    _, payload = peer.receive()

    assert len(winners) == 1
    assert int.from_bytes(payload, "big") == 4000 + winners[0]


@pytest.mark.parametrize(
    ("code", "reason"), [(999, ""), (1005, ""), (1006, ""), (5000, ""), (1000, "x" * 124)]
)
@pytest.mark.parity("WS-S-22")
def test_close_that_cannot_be_sent_is_refused(ws_pair, code, reason):
    """A reserved code or a long reason is the caller's error, and closes nothing."""
    websocket, _ = ws_pair
    with pytest.raises(ValueError, match=r"code|reason"):
        websocket.close(code, reason)

    assert not websocket.closed


def test_waiting_taker_is_told_when_we_close(ws_pair):
    """Close wakes who waits for a message: there will be none."""
    websocket, _ = ws_pair
    taker = gevent.spawn(websocket.take, "end")
    gevent.sleep(0)
    websocket.close()

    assert taker.get(timeout=5) == "end"
    assert websocket.drained


def test_take_after_close_does_not_wait_for_the_peer(ws_pair):
    """While the closing handshake goes on, takers already know that it is over."""
    websocket, peer = ws_pair
    websocket.close()
    ours = peer.receive()

    assert ours == (CLOSE, b"\x03\xe8")
    assert websocket.try_take(1, "end", "late") == "end"
    assert not websocket.wait_closed(0)


def test_what_has_arrived_stays_takeable_after_close(ws_pair):
    """Close does not throw messages away that were there before it."""
    websocket, peer = ws_pair
    peer.send((TEXT, b"a"), (TEXT, b"b"), (TEXT, b"c"))
    first = websocket.take()
    websocket.close()
    drained_early = websocket.drained
    peer.send((TEXT, b"late"))
    rest = [websocket.take("end") for _ in range(3)]

    assert first == "a"
    assert rest == ["b", "c", "end"]
    assert not drained_early
    assert websocket.drained


def test_with_block_closes(ws_pair):
    """Leaving the block closes with 1000, by an exception with 1011."""
    websocket, peer = ws_pair
    with pytest.raises(ZeroDivisionError), websocket:
        1 / 0  # noqa: B018

    assert peer.receive() == (CLOSE, b"\x03\xf3internal error")

    other, its_peer = open_pair()
    with other:
        pass
    assert its_peer.receive() == (CLOSE, b"\x03\xe8")
    shut(other, its_peer)


# -- other ends


@pytest.mark.parametrize("code", [1002, 1008, 1011, 1013, 3000, 4000])
def test_close_with_another_code_fails_the_stream(either_ws_pair, code):
    """Messages before it are taken; then takes raise the code and the reason."""
    websocket, peer = either_ws_pair
    peer.send_raw(peer.frame(TEXT, b"last") + peer.close_frame(code, b"why"))
    last = websocket.take()
    with pytest.raises(WebSocketClosed) as caught:
        websocket.take()
    with pytest.raises(WebSocketClosed):
        websocket.take()

    assert last == "last"
    assert (caught.value.code, caught.value.reason) == (code, "why")
    assert peer.receive() == (CLOSE, code.to_bytes(2, "big") + b"why")
    assert not websocket.drained


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.attack(176)
def test_end_without_close_frame_is_1006(either_ws_pair, inside):
    """A peer that just leaves fails the stream with 1006, which is never sent."""
    websocket, peer = either_ws_pair
    peer.send_raw(peer.frame(TEXT, b"last"))
    if inside:
        peer.send_raw(peer.frame(TEXT, b"part", fin=False))
    peer.transport.send_eof()
    last = websocket.take()
    with pytest.raises(WebSocketClosed) as caught:
        websocket.take()

    assert last == "last"
    assert caught.value.code == websocket.close_code == 1006
    assert peer.receive() is None
    assert websocket.wait_closed(5)
    assert websocket.put("late") is False


@pytest.mark.attack(177)
def test_close_inside_a_message_never_looks_drained(ws_pair):
    """The close is echoed, without a hang, and who takes learns that a message was cut."""
    websocket, peer = ws_pair
    peer.send_raw(peer.frame(TEXT, b"par", fin=False) + peer.close_frame(1000))
    with pytest.raises(WebSocketClosed, match="1000 inside a message"):
        websocket.take()

    assert peer.receive() == (CLOSE, b"\x03\xe8")
    assert peer.receive() is None
    assert not websocket.drained


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frames.frame(TEXT, b"a", masked=False), 1002),
        (frames.frame(0x3), 1002),
        (frames.frame(TEXT, b"\xff"), 1007),
        (frames.frame(BINARY, declared=1 << 62), 1009),
    ],
)
@pytest.mark.attack(158, 160, 164, 167)
def test_broken_rule_is_answered_with_its_code_and_the_connection_closed(ws_pair, data, code):
    """The peer gets the close frame whatever it still sends, and the stream fails with the code."""
    websocket, peer = ws_pair
    peer.send_raw(peer.frame(TEXT, b"good") + data)
    good = websocket.take()
    with pytest.raises(WebSocketClosed) as caught:
        websocket.take()
    peer.send_raw(bytes(100_000))
    opcode, payload = peer.receive()

    assert good == "good"
    assert caught.value.code == websocket.close_code == code
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
    assert peer.receive() is None
    peer.close()
    assert websocket.wait_closed(5)


def test_fail_closes_with_1011_and_raises_the_error(ws_pair):
    """A stream connected to this one that failed ends it; who takes sees that error."""
    websocket, peer = ws_pair
    websocket.fail(LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        websocket.take()
    with pytest.raises(TypeError, match="error must be an exception"):
        websocket.fail("no exception")

    assert peer.receive() == (CLOSE, b"\x03\xf3")


def test_a_time_to_wait_that_is_none(ws_pair):
    """What is no time is refused by name, and the WebSocket goes on."""
    websocket, peer = ws_pair
    for timeout, error in (("1", TypeError), (True, TypeError), (float("nan"), ValueError)):
        with pytest.raises(error, match="timeout"):
            websocket.wait_closed(timeout)

    assert websocket.wait_closed(-1) is False
    assert websocket.put("still here") is True
    assert (TEXT, b"still here") == peer.receive()


def test_lost_connection_ends_a_loop_of_puts(ws_pair):
    """Once the peer is gone put says False and raises nothing."""
    websocket, peer = ws_pair
    peer.transport.abort()
    with gevent.Timeout(5):
        while websocket.put(bytes(10_000)):
            gevent.sleep(0)

    assert websocket.put("x") is False
    with pytest.raises(WebSocketClosed, match="1006"):
        websocket.take()
    assert websocket.wait_closed(5)


# -- patience


@pytest.mark.attack(175)
def test_close_that_is_never_answered_ends_in_time():
    """Without the peer's close frame the connection is cut after the limit; data is ignored."""
    websocket, peer = open_pair(timeouts=Timeouts(websocket_close=0.1, ping_interval=None))
    websocket.close()
    peer.send((TEXT, b"late"), (TEXT, b"later"))

    assert websocket.wait_closed(0.02) is False
    assert websocket.wait_closed(5)
    assert websocket.close_code == 1006
    assert websocket.take("end") == "end"
    peer.close()


@pytest.mark.attack(175)
def test_tcp_connection_that_is_never_closed_ends_in_time():
    """A server that does not close after the close frames is cut off by the client."""
    websocket, peer = open_pair(
        Role.CLIENT, timeouts=Timeouts(websocket_close=0.1, ping_interval=None)
    )
    peer.send_raw(peer.close_frame(1000))
    websocket.take()

    assert websocket.wait_closed(5)
    assert websocket.close_code == 1000
    peer.close()


@pytest.mark.attack(174, 175)
def test_close_to_a_peer_that_does_not_read_ends_in_time():
    """A put that cannot go out ends with the connection: it says False."""
    websocket, peer = open_pair(timeouts=Timeouts(websocket_close=0.1, ping_interval=None))
    putter = gevent.spawn(websocket.put, bytes(8_000_000))
    gevent.sleep(0)
    websocket.close()

    assert putter.get(timeout=5) is False
    assert websocket.wait_closed(5)
    peer.close()


@BOTH
@pytest.mark.attack(174)
@pytest.mark.parity("WS-S-15")
def test_silent_peer_is_pinged_and_given_up(eager_standby, role):
    """Without any answer the WebSocket ends with 1011, though nobody takes."""
    websocket, peer = open_pair(
        role, timeouts=Timeouts(ping_interval=0.05, ping_timeout=0.1, drain=0.2)
    )
    ping, close = peer.receive(), peer.receive()

    assert ping[0] == PING
    assert close == (CLOSE, b"\x03\xf3no answer to a ping in 0.1 s")
    with pytest.raises(WebSocketClosed, match="1011 no answer"):
        websocket.take()
    assert websocket.wait_closed(5)
    peer.close()


@pytest.mark.attack(174)
def test_peer_that_neither_reads_nor_answers_is_given_up():
    """A producer stuck on a reader that has stopped is freed by the ping's timeout."""
    websocket, peer = open_pair(
        timeouts=Timeouts(ping_interval=0.05, ping_timeout=0.05, drain=0.05)
    )
    putter = gevent.spawn(websocket.put, bytes(8_000_000))

    assert putter.get(timeout=5) is False
    assert websocket.wait_closed(5)
    assert websocket.close_code == 1011
    peer.close()


def test_application_that_does_not_take_is_not_the_peers_fault(eager_standby):
    """While unread messages keep us from hearing pongs nobody is given up."""
    websocket, peer = open_pair(timeouts=Timeouts(ping_interval=0.02, ping_timeout=0.02, drain=1))
    peer.send(*[(TEXT, b"x")] * 40)
    gevent.sleep(0.2)
    taken = [websocket.take() for _ in range(40)]

    assert taken == ["x"] * 40
    shut(websocket, peer)


# -- facts


@pytest.mark.parity("TOP-19")
def test_description_says_how_it_stands(ws_pair):
    """Plain data for people: who, what was agreed, how it ended."""
    websocket, peer = ws_pair
    before = websocket.description()
    websocket.close(4001, "enough")
    peer.send_raw(peer.close_frame(4001, b"enough"))
    assert websocket.wait_closed(5)
    after = websocket.description()

    assert before["type"] == "websocket"
    assert before["role"] == "server"
    assert before["direction"] == "duplex"
    assert set(before["connection"]) == {"local_address", "remote_address", "tls"}
    assert (before["readable"], after["readable"]) == (True, False)
    assert (before["writable"], after["writable"]) == (True, False)
    assert before["close_code"] is None
    assert (after["close_code"], after["close_reason"]) == (4001, "enough")
    assert (before["closed"], after["closed"]) == (False, True)
    assert "4001" in repr(websocket)


def test_ended_websocket_is_collected():
    """Nothing keeps a WebSocket that is over: no timer, no greenlet, no cycle the collector cannot
    take."""
    websocket, peer = open_pair(timeouts=Timeouts())
    peer.close()
    with pytest.raises(WebSocketClosed):
        websocket.take()
    reference = weakref.ref(websocket)
    del websocket
    gevent.sleep(0)
    gc.collect()

    assert reference() is None


def test_engine_is_asked_for_the_role():
    """A pair of our own WebSockets understands itself in both directions."""
    left, right = (
        WebSocket(
            SocketTransport(sock),
            WebSocketEngine(role),
            headers=Headers(),
            subprotocol=None,
            timeouts=QUIET,
        )
        for sock, role in zip(socket.socketpair(), Role, strict=True)
    )
    left.put("to the right")
    right.put(b"to the left")
    taken = right.take(), left.take()
    left.close(1000, "done")

    assert taken == ("to the right", b"to the left")
    assert right.take("end") == "end"
    assert left.wait_closed(5)
    assert right.wait_closed(5)
    assert right.close_reason == "done"


# -- fairness


def turns_of_others(websocket, messages):
    """How often somebody whose I/O is always ready got a turn while ``messages`` were taken."""
    reading, writing = socket.socketpair()
    writing.send(b"x")
    turns = 0

    def watch():
        nonlocal turns
        while True:
            gevent.socket.wait_read(reading.fileno())
            turns += 1

    with reading, writing:
        watcher = gevent.spawn(watch)
        for _ in range(messages):
            websocket.take()
        watcher.kill()
    return turns


@pytest.mark.attack(173)
@BOTH
@pytest.mark.parametrize("flood", [(PING,), (PONG,), (TEXT,), (TEXT, b"", CONTINUATION)], ids=str)
def test_flood_of_frames_leaves_others_their_turn(role, flood):
    """However many frames arrive at once, others run after every 64 of them."""
    websocket, peer = open_pair(role, max_fragments=None)
    count = 4800
    if len(flood) == 3:
        opening, payload, opcode = flood
        data = peer.frame(opening, payload, fin=False) + peer.frame(opcode, fin=False) * count
        messages = peer.frame(opcode)
    else:
        data = peer.frame(*flood) * count
        messages = peer.frame(TEXT)
    gevent.spawn(peer.send_raw, data + messages)
    turns = turns_of_others(websocket, count + 1 if flood == (TEXT,) else 1)
    shut(websocket, peer)

    assert turns >= count // 64


# -- threads


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("put", ["a"]),
        ("try_put", ["a", 0]),
        ("put_async", ["a"]),
        ("take", []),
        ("try_take", [0]),
        ("take_async", []),
        ("ping", []),
        ("close", []),
        ("fail", [ValueError()]),
        ("wait_closed", [0]),
    ],
)
def test_foreign_threads_are_refused(ws_pair, name, args):
    """In debug mode every operation says from another thread what to call, and does nothing."""
    websocket, peer = ws_pair
    peer.send((TEXT, b"waiting"))
    error = in_thread(getattr(websocket, name), *args)

    assert isinstance(error, RuntimeError)
    assert "put_threadsafe() and close_threadsafe()" in str(error)
    assert not websocket.closed
    assert "waiting" == websocket.take()


def test_foreign_threads_get_nothing_that_was_read_ahead(ws_pair):
    """A take is refused also where one from the right thread would not have to wait."""
    websocket, peer = ws_pair
    standby = websocket._session.standby
    standby.listen()
    peer.send((TEXT, b"read ahead"))
    soon(lambda: len(standby) == 1)

    assert isinstance(in_thread(websocket.take), RuntimeError)
    assert "read ahead" == websocket.take()


def test_calls_for_other_threads(ws_pair):
    """`put_threadsafe` and `close_threadsafe` do what they are for."""
    websocket, peer = ws_pair
    future = in_thread(websocket.put_threadsafe, "from elsewhere")

    assert (TEXT, b"from elsewhere") == peer.receive()
    assert future.result(0) is True

    in_thread(websocket.close_threadsafe)

    assert CLOSE == peer.receive()[0]
