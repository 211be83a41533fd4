"""Opening WebSockets on both sides, by hand, between ourselves, and with another implementation."""

import importlib.util
import logging
import ssl
import struct
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
import trustme
from gevent import socket
from gevent.server import StreamServer

from galeph import http, stream
from galeph.errors import (
    CertificateError,
    ConnectionLost,
    ConnectRefused,
    HandshakeFailed,
    LocalProtocolError,
    ResolveTimeout,
    TimedOut,
    WebSocketClosed,
)
from galeph.http import Limits, Request, Timeouts
from galeph.http.websocket import (
    _Tenancy,
    is_websocket_upgrade,
    websocket_client,
    websocket_connection,
)
from galeph.protocol.websocket.handshake import accept_value
from galeph.testing import ManualClock
from tests.http.raw import connected, serving, talk
from tests.http.websocket_processes import run_client, running_server
from tests.protocol.websocket.frames import CLOSE, PING, PONG, TEXT, close, cut_frame, frame, parse

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def upgrade(*more, drop=(), request_line="GET /chat HTTP/1.1"):
    """A handshake, byte for byte."""
    fields = {
        "Host": "example.com",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if name not in drop]
    return "\r\n".join([request_line, *lines, *more, "", ""]).encode("latin-1")


def echo(request):
    websocket = websocket_connection(request).result()
    for message in websocket:
        websocket.put(message)


def read_frames(sock, count):
    """So many frames that arrive on a socket."""
    data, found = b"", []
    while len(found) < count:
        data += sock.recv(65536)
        while (whole := cut_frame(data)) is not None:
            found.append(whole[0])
            data = data[whole[1] :]
    return found


def shake_hands(sock, *more, **options):
    """Open a WebSocket on a plain socket; return the fields of the answer."""
    sock.sendall(upgrade(*more, **options))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    status, *fields = head.decode("latin-1").rstrip().split("\r\n")
    assert status == "HTTP/1.1 101 Switching Protocols"
    return [tuple(field.split(": ", 1)) for field in fields]


def url_of(server, path="/"):
    return f"ws://127.0.0.1:{server.port}{path}"


# -- the server's handshake


@pytest.mark.parity("WS-S-01", "WS-S-32")
def test_one_handler_serves_pages_and_websockets():
    """On one port, and one connection, requests are answered until one becomes a WebSocket."""

    def handler(request):
        if is_websocket_upgrade(request):
            return echo(request)
        return {"body": "a page"}

    with serving(handler) as server, connected(server) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        page = sock.recv(65536)
        fields = shake_hands(sock)
        sock.sendall(frame(TEXT, b"hello"))
        echoed = read_frames(sock, 1)

    assert page.endswith(b"a page")
    assert ("Sec-WebSocket-Accept", ACCEPT) in fields
    assert echoed == [(TEXT, b"hello", True)]


BAD = {
    "method": upgrade(request_line="POST /chat HTTP/1.1"),
    "version of HTTP": upgrade(request_line="GET /chat HTTP/1.0"),
    "no key": upgrade(drop=("Sec-WebSocket-Key",)),
    "two keys": upgrade(f"Sec-WebSocket-Key: {KEY}"),
    "short key": upgrade("Sec-WebSocket-Key: c2hvcnQ=", drop=("Sec-WebSocket-Key",)),
    "no upgrade": upgrade(drop=("Upgrade",)),
    "no connection": upgrade(drop=("Connection",)),
    "connection": upgrade("Connection: keep-alive", drop=("Connection",)),
    "no version": upgrade(drop=("Sec-WebSocket-Version",)),
    "body": upgrade("Content-Length: 5") + b"12345",
    "chunked body": upgrade("Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "plain request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.attack(152)
@pytest.mark.parity("WS-S-05")
def test_malformed_handshake_is_answered_400_and_closed(name, caplog):
    """The refusal is exact and short, the connection ends, and one line says so: no traceback."""
    caplog.set_level(logging.INFO, "galeph")
    with serving(echo) as server:
        answer = talk(server, BAD[name])

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Connection: close\r\n" in answer
    assert [record.levelno for record in caplog.records] == [logging.INFO]
    assert "answered 400" in caplog.text


@pytest.mark.attack(152)
@pytest.mark.parity("WS-S-06")
def test_other_version_is_answered_426():
    """Version 8 is told that we speak 13."""
    request = upgrade("Sec-WebSocket-Version: 8", drop=("Sec-WebSocket-Version",))
    with serving(echo) as server:
        answer = talk(server, request)

    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (["https://good.example"], "https://good.example", 101),
        (["https://good.example"], "https://evil.example", 403),
        (["https://good.example"], None, 403),
        ("same", "http://example.com", 101),
        ("same", "http://evil.example", 403),
        (None, "http://evil.example", 101),
    ],
)
@pytest.mark.attack(153)
def test_foreign_origin_is_answered_403(origins, origin, status):
    """One argument keeps the pages of others out."""

    def handler(request):
        websocket_connection(request, origins=origins).result()

    more = () if origin is None else (f"Origin: {origin}",)
    with serving(handler) as server:
        answer = talk(server, upgrade(*more), half_close=True)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_handler_may_answer_a_refused_handshake_itself():
    """HandshakeFailed can be caught: then it is the handler that answers."""

    def handler(request):
        try:
            websocket_connection(request).result()
        except HandshakeFailed as error:
            return {"status": 418, "body": f"{error.response.status}: {error}"}

    with serving(handler) as server:
        answer = talk(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 418 ")
    assert answer.endswith(b"400: expected a WebSocket handshake")


def test_failed_deferred_may_be_returned():
    """A handler that returns the Deferred answers with the refusal as well."""
    with serving(lambda request: websocket_connection(request)) as server:
        answer = talk(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")


def test_refusal_of_another_server_is_not_passed_on(caplog):
    """A handler whose own client's handshake failed has failed: 500, not the other's answer."""

    def handler(request):
        websocket_client(url_of(refusing)).result()

    with serving(lambda _: {"status": 403}) as refusing, serving(handler) as server:
        answer = talk(server, upgrade("Connection: close"))

    assert answer.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("half", [1, 7, 60])
@pytest.mark.attack(156)
def test_frames_glued_to_the_handshake_are_frames(half):
    """What comes behind the request, or before our 101, goes to the WebSocket."""
    glued = upgrade() + frame(TEXT, b"early") + frame(PING, b"p")
    with serving(echo) as server, connected(server) as sock:
        sock.sendall(glued[:-half])
        gevent.sleep(0.01)
        sock.sendall(glued[-half:])
        answer = b""
        while not answer.endswith(b"\x01p"):
            answer += sock.recv(65536)
    _, _, rest = answer.partition(b"\r\n\r\n")

    assert parse(rest) == [(TEXT, b"early", True), (PONG, b"p", True)]


@pytest.mark.attack(157)
def test_huge_and_slow_handshakes_are_refused():
    """Limits and deadlines of a head hold for a handshake."""
    many = [f"X-{i}: y" for i in range(200)]
    with serving(echo, timeouts=Timeouts(head=0.3)) as server:
        too_many = talk(server, upgrade(*many))
        too_long = talk(server, upgrade("X-Long: " + "y" * 10_000))
        too_slow = talk(server, upgrade()[:-10])

    assert too_many.startswith(b"HTTP/1.1 431 ")
    assert too_long.startswith(b"HTTP/1.1 431 ")
    assert too_slow.startswith(b"HTTP/1.1 408 ")


@pytest.mark.attack(154)
@pytest.mark.parity("MISS-42")
def test_subprotocol_is_agreed_on():
    """We take the first of ours that the client offers, in whichever line."""
    seen = []

    def handler(request):
        seen.append(websocket_connection(request, subprotocols=["b", "a"]).result().subprotocol)

    offers = ("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: c, b")
    with serving(handler) as server, connected(server) as sock:
        fields = shake_hands(sock, *offers)
        sock.sendall(close(1000))
        sock.recv(100)

    assert seen == ["b"]
    assert ("Sec-WebSocket-Protocol", "b") in fields


@pytest.mark.parity("WS-S-09")
def test_further_fields_go_out_with_the_101():
    """``headers`` are sent with the answer; those of the handshake cannot be."""
    failures = []

    def handler(request):
        try:
            websocket_connection(request, headers={"Upgrade": "x"})
        except ValueError as error:
            failures.append(str(error))
        websocket_connection(request, headers={"X-Room": "7"}).result()

    with serving(handler) as server, connected(server) as sock:
        fields = shake_hands(sock)

    assert ("X-Room", "7") in fields
    assert failures == ["headers: Upgrade is a part of the handshake"]


def test_arguments_are_checked_before_anything_happens():
    """What cannot be used is named."""
    request = Request("GET", "http://example.com/")
    with pytest.raises(TypeError, match="request must be"):
        websocket_connection({"uri": "/"})
    with pytest.raises(TypeError, match="origins"):
        websocket_connection(request, origins="https://a.example")
    with pytest.raises(ValueError, match="subprotocols"):
        websocket_connection(request, subprotocols=["a b"])
    with pytest.raises(LocalProtocolError):
        websocket_connection(request)
    for url in ("http://x", "ws://", "//x", "ws:x", "ws://x/#part", "", "ws://x y/"):
        with pytest.raises(ValueError, match="url"):
            websocket_client(url)
    with pytest.raises(TypeError, match="url"):
        websocket_client(b"ws://x")
    with pytest.raises(ValueError, match="tls"):
        websocket_client("ws://x", tls=True)
    with pytest.raises(ValueError, match="tls: wss does not go without"):
        websocket_client("wss://x", tls=False)
    for name, kind in (("limits", "Limits"), ("timeouts", "Timeouts")):
        for wrong in (5, {}, []):
            with pytest.raises(TypeError, match=rf"{name} must be a galeph\.http\.{kind}"):
                websocket_client("ws://x", **{name: wrong})
            with pytest.raises(TypeError, match=rf"{name} must be a galeph\.http\.{kind}"):
                websocket_connection(request, **{name: wrong})
    with pytest.raises(ValueError, match="headers: Sec-WebSocket-Key"):
        websocket_client("ws://x", headers={"Sec-WebSocket-Key": "x"})
    for wrong, error in ((0, ValueError), ("1", TypeError)):
        with pytest.raises(error, match="max_message_bytes"):
            websocket_client("ws://x", max_message_bytes=wrong)


# -- the life of a connection


@pytest.mark.parametrize("result", [None, True, "text", 42, {"status": 500}])
@pytest.mark.parity("WS-S-02")
def test_what_the_handler_returns_is_ignored(result, caplog):
    """After the upgrade a return value means nothing: the WebSocket is closed with 1000."""

    def handler(request):
        websocket_connection(request).result().put("hello")
        return result

    with serving(handler) as server, connected(server) as sock:
        shake_hands(sock)
        frames = read_frames(sock, 2)
        sock.sendall(close(1000))
        end = sock.recv(100)

    assert frames == [(TEXT, b"hello", True), (CLOSE, b"\x03\xe8", True)]
    assert end == b""
    assert caplog.text == ""


def test_deferred_that_the_handler_returns_is_waited_for():
    """`websocket_connection(r).chain(...)` is a handler too."""

    def handler(request):
        return websocket_connection(request).chain(
            lambda websocket: gevent.spawn(lambda: websocket.put(websocket.take().upper()))
        )

    with serving(handler) as server, connected(server) as sock:
        shake_hands(sock)
        sock.sendall(frame(TEXT, b"hello"))

        assert read_frames(sock, 2) == [(TEXT, b"HELLO", True), (CLOSE, b"\x03\xe8", True)]


@pytest.mark.parity("TOP-13")
def test_websocket_connected_to_itself_echoes():
    """A handler that connects the WebSocket and returns: it lives as long as the link."""

    def handler(request):
        websocket = websocket_connection(request).result()
        stream.connect(websocket, websocket)

    with serving(handler) as server:
        websocket = websocket_client(url_of(server)).result(5)
        for message in ("a", b"b", "c" * 100_000):
            websocket.put(message)
        taken = [websocket.take() for _ in range(3)]
        websocket.close()
        gone = websocket.wait_closed(5)

    assert taken == ["a", b"b", "c" * 100_000]
    assert gone
    assert websocket.close_code == 1000


def test_subscriber_of_a_quiet_topic_is_noticed_when_it_leaves():
    """A WebSocket that is only a sink ends with its peer, not with the next message."""
    topic = stream.Stream(permanent=True)
    ended = []

    def handler(request):
        websocket = websocket_connection(request).result()
        websocket.on_closed(lambda: ended.append(websocket))
        stream.connect(topic, websocket)

    with serving(handler) as server:
        websocket = websocket_client(url_of(server)).result(5)
        topic.put("news")
        news = websocket.take()
        websocket.close()
        websocket.wait_closed(5)
        with gevent.Timeout(5):
            while not ended:
                gevent.sleep(0.01)

    assert news == "news"
    assert len(ended) == 1


def test_handler_that_raises_closes_with_1011(caplog):
    """The peer learns that it was our fault, and the log has the traceback once."""

    def handler(request):
        websocket_connection(request).result()
        raise LookupError("bug")

    with serving(handler) as server:
        websocket = websocket_client(url_of(server)).result(5)
        with pytest.raises(WebSocketClosed) as caught:
            websocket.take()
        websocket.wait_closed(5)

    assert caught.value.code == 1011
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


def test_peer_that_ends_badly_is_no_bug_of_the_handler(caplog):
    """A loop over the messages raises WebSocketClosed; the log has no traceback for that."""
    caplog.set_level(logging.INFO, "galeph")
    with serving(echo) as server:
        for end in (b"", close(4000, b"why"), frame(0x3)):
            with connected(server) as sock:
                shake_hands(sock)
                sock.sendall(end)
                if end:
                    read_frames(sock, 1)

    assert [record.name for record in caplog.records] == ["galeph.websocket"]
    assert "Invalid opcode 0x3, closed with 1002" in caplog.text


def reset(sock):
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.fault("F1", part="ws")
def test_client_that_resets_at_any_byte_harms_nobody(caplog):
    """Through the handshake, a message, a ping and a close: nothing is left, and no traceback."""
    conversation = upgrade() + frame(TEXT, b"hello") + frame(PING, b"p") + close(1000)
    with serving(echo) as server, connected(server) as witness:
        shake_hands(witness)
        for end in range(len(conversation) + 1):
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.sendall(conversation[:end])
            gevent.sleep(0)
            reset(sock)
        with gevent.Timeout(2):
            while server.stats().active > 1:
                gevent.sleep(0.01)
        witness.sendall(frame(TEXT, b"unharmed"))

        assert read_frames(witness, 1) == [(TEXT, b"unharmed", True)]
    assert caplog.records == []


@pytest.mark.fault("F1", part="ws")
def test_server_that_resets_at_any_byte_fails_the_client(caplog):
    """Wherever the answer or a frame breaks off there is one error, in one place, and no hang."""
    conversation = b""

    def handle(sock, _):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(65536)
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r")[0].decode()
        nonlocal conversation
        conversation = switching(key) + frame(TEXT, b"hello", masked=False)
        sock.sendall(conversation[: ends[-1]])
        gevent.sleep(0.001)
        reset(sock)

    ends = [0]
    outcomes = []
    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    while ends[-1] <= len(conversation):
        opening = websocket_client(f"ws://127.0.0.1:{server.server_port}")
        try:
            with gevent.Timeout(5), opening.result() as websocket:
                for message in websocket:
                    assert message == "hello"
        except (HandshakeFailed, ConnectionLost, WebSocketClosed) as error:
            outcomes.append(type(error))
        ends.append(ends[-1] + 1)
    server.stop()

    assert len(outcomes) == len(ends) - 1
    assert outcomes[-1] is WebSocketClosed
    assert caplog.records == []


def test_handler_that_is_killed_ends_the_connection():
    """A killed handler leaves nothing behind."""

    def handler(request):
        websocket_connection(request).result()
        gevent.getcurrent().kill(block=False)
        gevent.sleep(5)

    with serving(handler) as server:
        websocket = websocket_client(url_of(server)).result(5)
        with pytest.raises(WebSocketClosed) as caught:
            websocket.take()
        websocket.wait_closed(5)

    assert caught.value.code in (1006, 1011)


@pytest.mark.fault("F16", part="ws")
def test_server_that_shuts_down_says_1001():
    """Draining closes WebSockets in order: "going away", which is a clean end."""
    with serving(echo) as server:
        websocket = websocket_client(url_of(server)).result(5)
        websocket.put("a")
        first = websocket.take()
        server.close(timeout=5)
        end = websocket.take("end")
        websocket.wait_closed(5)

    assert (first, end) == ("a", "end")
    assert websocket.close_code == 1001


def test_limits_and_timeouts_are_those_of_the_server():
    """A message over the server's own limit is refused with 1009."""
    with serving(echo, limits=Limits(max_message_bytes=100)) as server:
        websocket = websocket_client(url_of(server)).result(5)
        websocket.put("x" * 100)
        fits = websocket.take()
        websocket.put("x" * 101)
        with pytest.raises(WebSocketClosed) as caught:
            websocket.take()
        websocket.wait_closed(5)

    assert len(fits) == 100
    assert (caught.value.code, caught.value.reason) == (1009, "message over 100 bytes")


@pytest.mark.attack(168)
def test_client_has_a_limit_of_its_own():
    """The same holds for what a server sends."""

    def handler(request):
        websocket = websocket_connection(request).result()
        websocket.put("x" * 11)
        websocket.take()

    with serving(handler) as server:
        websocket = websocket_client(url_of(server), max_message_bytes=10).result(5)
        with pytest.raises(WebSocketClosed) as caught:
            websocket.take()
        websocket.wait_closed(5)

    assert caught.value.code == 1009


# -- hosting


class FakeLink:
    """Something connected to a stream, as far as its host can see."""

    def __init__(self, websocket):
        self.websocket = websocket
        websocket._count_pending(1)

    def end(self):
        self.websocket._count_pending(-1)


def test_host_closes_when_nothing_is_connected(ws_pair):
    """The handler has returned and nobody uses the WebSocket: it is closed with 1000."""
    websocket, peer = ws_pair
    host = gevent.spawn(_Tenancy(websocket).host, None)
    closed = peer.receive()
    peer.send_raw(peer.close_frame(1000))
    host.get(timeout=5)

    assert closed == (CLOSE, b"\x03\xe8")
    assert websocket.wait_closed(0)


def test_host_stays_while_something_is_connected(ws_pair):
    """A link keeps the WebSocket open; with the last one it is closed."""
    websocket, peer = ws_pair
    link = FakeLink(websocket)
    host = gevent.spawn(_Tenancy(websocket).host, None)
    gevent.sleep(0.02)
    stayed = not host.ready() and not websocket.closed
    websocket.put("still here")
    link.end()

    assert stayed
    assert [peer.receive(), peer.receive()] == [(TEXT, b"still here"), (CLOSE, b"\x03\xe8")]
    peer.send_raw(peer.close_frame(1000))
    host.get(timeout=5)


def test_host_leaves_when_the_peer_does(eager_standby, ws_pair):
    """A WebSocket that is connected to something ends with its peer, too."""
    websocket, peer = ws_pair
    link = FakeLink(websocket)
    host = gevent.spawn(_Tenancy(websocket).host, None)
    peer.send_raw(peer.close_frame(1001))
    host.get(timeout=5)
    link.end()

    assert websocket.close_code == 1001


def test_host_tells_the_peer_that_the_handler_failed(ws_pair):
    """An exception of the handler is 1011."""
    websocket, peer = ws_pair
    host = gevent.spawn(_Tenancy(websocket).host, ZeroDivisionError())
    closed = peer.receive()
    peer.send_raw(peer.close_frame(1011))
    host.get(timeout=5)

    assert closed == (CLOSE, b"\x03\xf3internal error")


def test_killed_host_says_a_last_word_and_leaves(ws_pair):
    """A killed connection has no time for the closing handshake, but for a close frame."""
    websocket, peer = ws_pair
    gevent.spawn(_Tenancy(websocket).host, gevent.GreenletExit()).get(timeout=5)

    assert peer.receive() == (CLOSE, b"\x03\xf3")
    assert peer.receive() is None
    assert websocket.wait_closed(0)


def test_host_killed_while_it_waits_leaves_nothing(ws_pair):
    """A host killed in the middle ends the connection at once."""
    websocket, peer = ws_pair
    FakeLink(websocket)
    host = gevent.spawn(_Tenancy(websocket).host, None)
    gevent.sleep(0)
    host.kill()

    assert websocket.wait_closed(0)
    assert peer.receive() is None


def test_drain_says_that_the_server_goes_away(ws_pair):
    """A server that shuts down closes its WebSockets with 1001."""
    websocket, peer = ws_pair
    _Tenancy(websocket).drain()

    assert peer.receive() == (CLOSE, b"\x03\xe9the server is shutting down")


# -- the client's handshake


def answering(respond):
    """A server that answers a handshake with what ``respond(key)`` returns, and then waits."""

    def handle(sock, _):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = sock.recv(65536)
            if not piece:
                return
            head += piece
        key = next(
            line.partition(": ")[2]
            for line in head.decode().split("\r\n")
            if line.lower().startswith("sec-websocket-key")
        )
        answer = respond(key)
        try:
            for piece in [answer] if isinstance(answer, bytes) else answer:
                sock.sendall(piece)
            sock.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough

    return handle


@pytest.fixture
def fake_server():
    """Start servers that answer as told; yields a function from a respond function to a URL."""
    servers = []

    def start(respond):
        server = StreamServer(("127.0.0.1", 0), answering(respond))
        server.start()
        servers.append(server)
        return f"ws://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.stop(timeout=1)


def switching(key, *more, accept=None, drop=()):
    fields = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept or accept_value(key),
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if name not in drop]
    return "\r\n".join(["HTTP/1.1 101 OK", *lines, *more, "", ""]).encode()


@pytest.mark.parametrize(
    ("respond", "reason"),
    [
        (lambda key: switching(key, accept=ACCEPT), "Accept"),
        (lambda key: switching(key, drop=("Sec-WebSocket-Accept",)), "Accept"),
        (lambda key: switching(key, drop=("Upgrade",)), "Upgrade"),
        (lambda key: switching(key, drop=("Connection",)), "Connection"),
        (lambda key: switching(key, "Sec-WebSocket-Extensions: permessage-deflate"), "extension"),
        (lambda key: switching(key, "Sec-WebSocket-Protocol: chat"), "not offered"),
        (lambda _: b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "302"),
        (lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200"),
        (lambda _: b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP"),
        (lambda _: b"\x00" * 100 + b"\r\n\r\n", "HTTP"),
    ],
)
@pytest.mark.attack(155)
@pytest.mark.parity("WS-C-17")
def test_wrong_answer_fails_the_handshake(fake_server, respond, reason):
    """Whatever is not a proper 101 to our key is refused, and the connection closed."""
    opening = websocket_client(fake_server(respond))

    with pytest.raises(HandshakeFailed, match=reason):
        opening.result(5)


@pytest.mark.parity("WS-C-17")
def test_refusal_is_there_to_be_read(fake_server):
    """HandshakeFailed has the server's response: status, fields, up to 16 KiB of the body."""
    body = b"x" * 100_000
    url = fake_server(
        lambda _: b"HTTP/1.1 401 No\r\nX-Why: secret\r\nContent-Length: 100000\r\n\r\n" + body
    )
    with pytest.raises(HandshakeFailed) as caught:
        websocket_client(url).result(5)
    response = caught.value.response

    assert (response.status, response.reason, response.headers["x-why"]) == (401, "No", "secret")
    assert len(response.text()) == 16384


@pytest.mark.attack(155)
def test_interim_responses_before_the_101_are_passed_over(fake_server):
    """100 and 103 may come first; endless ones may not."""
    url = fake_server(
        lambda key: (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
            + switching(key)
            + frame(TEXT, b"hi", masked=False)
        )
    )
    endless = fake_server(lambda _: b"HTTP/1.1 100 Continue\r\n\r\n" * 200)
    websocket = websocket_client(url).result(5)
    taken = websocket.take()
    websocket.close()

    assert taken == "hi"
    with pytest.raises(HandshakeFailed):
        websocket_client(endless).result(5)
    websocket._session.cut()


@pytest.mark.attack(157)
def test_handshake_has_a_deadline(fake_server):
    """A server that accepts and is silent, or dribbles, fails the opening in time."""

    def dribble(key):
        for octet in switching(key):
            yield bytes([octet])
            gevent.sleep(0.02)

    silent = fake_server(lambda _: b"")
    dribbling = fake_server(dribble)
    for url in (silent, dribbling):
        secret = url.replace("//", "//user:word@") + "chat?token=secret"
        with pytest.raises(TimedOut) as caught:
            websocket_client(secret, timeouts=Timeouts(websocket_open=0.2)).result(5)
        assert f"{url}chat did not open within 0.2 s" == str(caught.value)

    assert issubclass(TimedOut, TimeoutError)


def test_name_that_nobody_answers_for():
    """The look-up has a limit of its own, and the error names the host."""
    never = SimpleNamespace(addresses=lambda _: gevent.sleep(60))
    with ManualClock() as clock:
        timeouts = Timeouts(resolve=4)
        opening = websocket_client("ws://slow.example/", timeouts=timeouts, resolver=never)
        clock.advance(4.1)

        assert isinstance(opening.exception, ResolveTimeout)
        assert "resolving slow.example: no answer within 4 s" == str(opening.exception)


def test_nobody_listens():
    """A refused connection is the error of every client."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()

    with pytest.raises(ConnectRefused):
        websocket_client(f"ws://127.0.0.1:{port}").result(5)


def test_server_that_closes_instead_of_answering(fake_server):
    """An end in place of an answer fails the handshake."""
    server = StreamServer(("127.0.0.1", 0), lambda sock, _: sock.recv(65536))
    server.start()
    try:
        with pytest.raises(HandshakeFailed):
            websocket_client(f"ws://127.0.0.1:{server.server_port}").result(5)
    finally:
        server.stop()

    assert server.closed


def test_opening_that_nobody_wants_any_more_is_called_off(fake_server):
    """Killing the only greenlet that waits closes the connection; so does cancelling."""
    url = fake_server(lambda _: b"")
    waiter = gevent.spawn(lambda: websocket_client(url).result())
    gevent.sleep(0.05)
    waiter.kill()
    opening = websocket_client(url)
    gevent.sleep(0.05)

    assert opening.cancel()
    gevent.sleep(0.05)


@pytest.mark.parity("WS-C-01", "WS-C-02", "WS-C-03", "WS-C-13")
def test_client_says_what_it_was_told():
    """Path, query, host, further fields, credentials and subprotocols reach the server."""
    seen = {}

    def handler(request):
        seen.update(request.headers, target=request.target, host=request.host)
        websocket_connection(request, subprotocols=["chat"], headers={"X-Back": "1"}).result()

    with serving(handler) as server:
        url = f"ws://user:pass%20word@127.0.0.1:{server.port}/a/b?c=d"
        websocket = websocket_client(
            url, headers={"Origin": "https://x.example"}, subprotocols=["v2", "chat"]
        ).result(5)
        websocket.wait_closed(5)

    assert seen["target"] == "/a/b?c=d"
    assert seen["host"] == f"127.0.0.1:{server.port}"
    assert seen["Origin"] == "https://x.example"
    assert seen["Sec-WebSocket-Protocol"] == "v2, chat"
    assert seen["Authorization"] == "Basic dXNlcjpwYXNzIHdvcmQ="
    assert "Sec-WebSocket-Extensions" not in seen
    assert websocket.subprotocol == "chat"
    assert websocket.headers["x-back"] == "1"


# -- another implementation


def test_client_of_another_library_talks_to_our_server():
    """Text, binary, fragments, pings, a large message and a clean close, with its defaults."""
    said = run_client_against(
        echo,
        """
with connect(url, max_size=None) as ws:
    say(ws.protocol.extensions == [])
    ws.send("é"); say(ws.recv())
    ws.send(b"\\x00\\xff"); say(ws.recv().hex())
    ws.send(fragments("one ", "two ", "three")); say(ws.recv())
    ws.send(fragments(b"a", b"b")); say(ws.recv().decode())
    say(ws.ping().wait(10))
    ws.send("x" * 1_000_000); say(len(ws.recv()))
    for i in range(500): ws.send(str(i))
    say([ws.recv() for _ in range(500)] == [str(i) for i in range(500)])
    ws.close(1000, "done")
    say([ws.close_code, ws.close_reason])
""",
    )

    assert said == [True, "é", "00ff", "one two three", "ab", True, 1_000_000, True, [1000, "done"]]


@pytest.mark.attack(168)
def test_client_of_another_library_is_refused_a_large_message():
    """It sees 1009 and our reason, not a reset."""
    said = run_client_against(
        echo,
        """
with connect(url, compression=None) as ws:
    try:
        ws.send("x" * (1024 * 1024 + 1))
        ws.recv()
    except ConnectionClosed as error:
        say([error.rcvd.code, error.rcvd.reason])
""",
    )

    assert said == [[1009, "message over 1048576 bytes"]]


def test_client_of_another_library_sees_our_code_and_reason():
    """What the handler closes with arrives; a refusal is a status."""

    def handler(request):
        if request.path == "/no":
            websocket_connection(request, origins=["https://a.example"]).result()
        websocket = websocket_connection(request, subprotocols=["chat"]).result()
        websocket.close(4001, f"bye {websocket.take()}")
        websocket.wait_closed()

    said = run_client_against(
        handler,
        """
with connect(url, subprotocols=["x", "chat"]) as ws:
    say(ws.subprotocol)
    ws.send("Ann")
    try:
        ws.recv()
    except ConnectionClosed as error:
        say([error.rcvd.code, error.rcvd.reason])
try:
    connect(url + "no")
except InvalidStatus as error:
    say(error.response.status_code)
""",
    )

    assert said == ["chat", [4001, "bye Ann"], 403]


def run_client_against(handler, script):
    with serving(handler) as server:
        return run_client(url_of(server), script)


def test_our_client_talks_to_a_server_of_another_library():
    """Text, binary, fragments, pings both ways, and a clean close."""
    body = """
def handle(ws):
    ws.send(fragments("one ", "two ", "three"))
    ws.send(fragments(b"a", b"b"))
    ws.send(str(ws.ping().wait(10)))
    for message in ws:
        ws.send(message)
"""
    with running_server(body) as url:
        websocket = websocket_client(url).result(10)
        received = [websocket.take() for _ in range(3)]
        for message in ("é", b"\x00\xff", "x" * 1_000_000):
            websocket.put(message)
        echoed = [websocket.take() for _ in range(3)]
        alive = websocket.ping().result(10)
        websocket.close(1000, "done")
        gone = websocket.wait_closed(10)

    assert received == ["one two three", b"ab", "True"]
    assert echoed == ["é", b"\x00\xff", "x" * 1_000_000]
    assert alive is True
    assert gone
    assert (websocket.close_code, websocket.close_reason) == (1000, "done")


@pytest.mark.parametrize(
    ("call", "code", "reason"),
    [("ws.close(4001, 'why')", 4001, "why"), ("raise ValueError", 1011, "")],
)
def test_our_client_sees_the_code_of_another_library(call, code, reason):
    """A server that closes with a code of its own, or breaks, fails our stream with it."""
    with running_server(f"def handle(ws):\n    ws.send('last')\n    {call}\n") as url:
        websocket = websocket_client(url).result(10)
        last = websocket.take()
        with pytest.raises(WebSocketClosed) as caught:
            websocket.take()
        websocket.wait_closed(10)

    assert last == "last"
    assert (caught.value.code, caught.value.reason) == (code, reason)


def test_server_of_another_library_refuses_what_it_does_not_want():
    """Its limits and its refusals reach us as what they are."""
    body = "def handle(ws):\n    for message in ws: ws.send(message)\n"
    with running_server(body, "{'max_size': 100, 'origins': ['https://a.example']}") as url:
        with pytest.raises(HandshakeFailed) as refused:
            websocket_client(url, headers={"Origin": "https://b.example"}).result(10)
        websocket = websocket_client(url, headers={"Origin": "https://a.example"}).result(10)
        websocket.put("x" * 101)
        with pytest.raises(WebSocketClosed) as caught:
            websocket.take()
        websocket.wait_closed(10)

    assert refused.value.response.status == 403
    assert caught.value.code == 1009


# -- TLS


@pytest.mark.parity("WS-C-07", "WS-C-19")
def test_wss_verifies_the_server_unless_told_not_to():
    """By default the certificate must prove the name; the WebSocket then runs over TLS."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    with serving(echo, tls=context) as server:
        url = f"wss://localhost:{server.port}/"
        with pytest.raises(CertificateError):
            websocket_client(url).result(5)
        trusting = {"ca": ca.cert_pem.bytes()}
        with pytest.raises(CertificateError):
            websocket_client(f"wss://127.0.0.1:{server.port}/", tls=trusting).result(5)
        with websocket_client(url, tls=trusting).result(5) as websocket:
            websocket.put("x" * 300_000)
            echoed = websocket.take()
        gone = websocket.wait_closed(5)
        with websocket_client(url, tls={"insecure": True}).result(5) as other:
            other.put("insecure")
            insecure = other.take()
        other.wait_closed(5)

    assert (len(echoed), insecure) == (300_000, "insecure")
    assert gone
    assert websocket.info.tls is not None
    assert websocket.close_code == 1000


# -- the example


def test_chat_room():
    """examples/chat.py: a page for browsers, and everybody hears what one says."""
    path = Path(__file__).parents[2] / "examples" / "chat.py"
    spec = importlib.util.spec_from_file_location("chat_example", path)
    chat = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(chat)
    with serving(chat.chat) as server:
        page = talk(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        origin = {"Origin": f"http://127.0.0.1:{server.port}"}
        ann, bob = (websocket_client(url_of(server), headers=origin).result(5) for _ in range(2))
        with pytest.raises(HandshakeFailed, match="403"):
            websocket_client(url_of(server), headers={"Origin": "http://evil.example"}).result(5)
        heard = []
        ann.put("Ann")
        heard.append(ann.take())
        bob.put("Bob")
        heard += [ann.take(), bob.take()]
        ann.put("hello")
        heard += [ann.take(), bob.take()]
        ann.close()
        heard.append(bob.take())
        bob.close()
        gone = ann.wait_closed(5), bob.wait_closed(5)

    assert b"text/html" in page
    assert b"new WebSocket" in page
    assert heard == [
        "Ann has come in, 1 in the room",
        *["Bob has come in, 2 in the room"] * 2,
        *["Ann: hello"] * 2,
        "Ann has left",
    ]
    assert gone == (True, True)
    assert chat.members == set()


def test_public_names():
    """What a user imports is under `galeph.http`."""
    assert http.websocket_client is websocket_client
    assert http.websocket_connection is websocket_connection
