"""What the driver does when time runs out, and when not, on a clock that a test moves."""

from __future__ import annotations

import contextlib

import gevent
import gevent.event
import pytest
from gevent import socket

from galeph import http
from galeph.testing import ManualClock
from tests.http.raw import GET, Reader, connected, get, post, read_to_end, serving
from tests.transport.wire import read_to_the_end

# Little enough that only what the peer reads makes room; the kernel takes a few times as much.
BUFFER_BYTES = 64 * 1024
MEGABYTE = 1024 * 1024


@pytest.fixture
def clock():
    """A clock that stands at 0 and is the default."""
    with ManualClock() as clock:
        yield clock


@contextlib.contextmanager
def serving_narrowly(handler, **options):
    """A server whose kernel buffers are small, and a client of the same kind."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with (
            serving(handler, listen_socket=listener, **options) as server,
            socket.socket() as client,
        ):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            client.settimeout(5)
            client.connect(listener.getsockname())
            yield server, client


def receive_exactly(sock, size):
    """So many bytes, and not one more off the socket."""
    received = bytearray()
    while len(received) < size:
        piece = sock.recv(min(65536, size - len(received)))
        assert piece
        received += piece
    return bytes(received)


class TestHead:
    def test_one_that_begins_on_a_quiet_connection(self, clock):
        """The time for a head counts from its first byte, though the sweep was not due to look."""
        timeouts = http.Timeouts(head=0.5)
        with serving(lambda _: None, timeouts=timeouts) as server, connected(server) as sock:
            clock.advance(0)
            sock.sendall(GET[:10])
            clock.advance(1)

            assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")

    def test_one_that_begins_on_an_idle_connection(self, clock):
        """It is the same for the second request of a connection."""
        timeouts = http.Timeouts(head=0.5)
        with serving(lambda _: None, timeouts=timeouts) as server, connected(server) as sock:
            sock.sendall(GET)
            assert 204 == Reader(sock).read().status
            clock.advance(5)
            sock.sendall(GET[:10])
            clock.advance(1)

            assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")

    def test_that_dribbles(self, clock):
        """What follows the first byte moves no deadline; a head that is whole in time is served."""
        with (
            serving(lambda _: {"body": "in time"}) as server,
            connected(server) as slow,
            connected(server) as slower,
        ):
            for at in range(29):
                slow.sendall(GET[at : at + 1])
                slower.sendall(GET[at : at + 1])
                clock.advance(1)
            slow.sendall(GET[29:])

            assert b"in time" == Reader(slow).read().body

            clock.advance(2)

            assert read_to_end(slower).startswith(b"HTTP/1.1 408 ")

    @pytest.mark.attack(36)
    @pytest.mark.parametrize(
        ("piece", "pause", "status"),
        [
            (b"X: y\r\n", 0, 431),
            (b"X: y\r\n", 0.2, 431),
            (b"X: y\r\n", 0.25, 408),
            (b"X: y\r\n", 600, 408),
            (b"y" * 70, 0, 431),
            (b"y" * 70, 0.2, 431),
            (b"y" * 70, 0.5, 408),
            (b"Z: " + b"z" * 1000 + b"\r\n", 0, 431),
            (b"Z: " + b"z" * 1000 + b"\r\n", 1, 408),
        ],
    )
    def test_endless(self, clock, piece, pause, status):
        """A head that goes on and on is refused by the limit it reaches first, be it the 128
        fields, the 8 KiB of one, the 64 KiB or the 30 seconds of all."""
        with serving(lambda _: None) as server, connected(server) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n")
            if not piece.endswith(b"\n"):
                sock.sendall(b"Y: ")
            for _ in range(140):
                clock.advance(pause)
                if server.stats().counts["refusals"]:
                    break
                sock.sendall(piece)
            received = read_to_end(sock)

        assert received.startswith(b"HTTP/1.1 %d " % status)
        assert b"Connection: close\r\n" in received
        assert 1 == received.count(b"HTTP/1.1 ")

    @pytest.mark.attack(19)
    def test_half_a_preface_of_http_2(self, clock):
        """Half of HTTP/2's preface and then silence is a head that does not arrive in time."""
        with serving(lambda _: None) as server, connected(server) as sock:
            sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[:12])
            clock.advance(29)

            assert 1 == server.stats().active

            clock.advance(3)

            assert read_to_end(sock).startswith(b"HTTP/1.1 408 ")


SIX_MEGABYTES = pytest.mark.parametrize(
    "body",
    [b"x" * 6 * MEGABYTE, [b"x" * MEGABYTE] * 6, [b"x" * 65536] * 96],
    ids=["whole", "large-pieces", "small-pieces"],
)


class TestWriting:
    @SIX_MEGABYTES
    def test_slow_but_steady_reader(self, clock, body):
        """Who takes some all the time gets all, though that takes longer than progress may."""
        timeouts = http.Timeouts(write_progress=10)
        answer = {"body": body if isinstance(body, bytes) else iter(body)}
        with serving_narrowly(lambda _: answer, timeouts=timeouts) as (_, client):
            client.sendall(get("/", "Connection: close"))
            received = b""
            for _ in range(5):
                clock.advance(8)
                received += receive_exactly(client, MEGABYTE)
            clock.advance(8)
            received += read_to_end(client)

        _, _, content = received.partition(b"\r\n\r\n")
        assert 6 * MEGABYTE == content.count(b"x")

    @pytest.mark.attack(88)
    @SIX_MEGABYTES
    def test_reader_that_stops(self, clock, body):
        """Who stops taking is reset when the time is up, be it in the middle of a response."""
        timeouts = http.Timeouts(write_progress=10)
        answer = {"body": body if isinstance(body, bytes) else iter(body)}
        with serving_narrowly(lambda _: answer, timeouts=timeouts) as (server, client):
            client.sendall(GET)
            receive_exactly(client, MEGABYTE)
            clock.advance(9)

            assert 1 == server.stats().active

            clock.advance(4)

            assert 0 == server.stats().active
            received, is_orderly = read_to_the_end(client)
            assert not is_orderly
            assert len(received) < MEGABYTE

    def test_a_read_that_ends_meanwhile_brings_no_old_deadline_back(self, clock):
        """Another greenlet that reads the body while a piece is being written, and ends later,
        leaves the time as it is then: what the next piece takes is not the reader's fault."""
        may_go_on = gevent.event.Event()
        has_read = gevent.event.Event()

        def handler(request):
            reader = request.body
            gevent.spawn(lambda: (clock.sleep(1), reader.read(), has_read.set()))

            def body():
                yield b"x" * MEGABYTE
                may_go_on.wait()
                yield b"y"

            return {"body": body()}

        timeouts = http.Timeouts(write_progress=10)
        with serving_narrowly(handler, timeouts=timeouts) as (server, client):
            client.sendall(post(b"abc", "Connection: close")[:-3])
            clock.advance(2)
            received = receive_exactly(client, MEGABYTE)
            clock.advance(2)
            client.sendall(b"abc")
            assert has_read.wait(5)
            clock.advance(30)

            assert 1 == server.stats().active

            may_go_on.set()
            received += read_to_end(client)

        assert received.endswith(b"1\r\ny\r\n0\r\n\r\n")

    @pytest.mark.parametrize("request_", [GET, post(b"x")], ids=["get", "post"])
    def test_client_that_asks_and_does_not_listen(self, clock, request_):
        """Who asks on and on and takes none of the answers is reset when the time is up."""
        timeouts = http.Timeouts(write_progress=10)
        answer = {"body": b"x" * 50_000}
        with serving_narrowly(lambda _: answer, timeouts=timeouts) as (server, client):
            client.sendall(request_ * 40)
            clock.advance(9)

            assert 1 == server.stats().active
            assert server.stats().counts["requests"] < 40

            clock.advance(4)

            assert 0 == server.stats().active


class TestLingering:
    @pytest.mark.attack(95)
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"G@T / HTTP/1.1\r\nHost: t\r\n\r\n", 400),
            (get("/", "Connection: close"), 204),
            (post(b"", path="/large").replace(b"Length: 0", b"Length: 200000"), 413),
            (post(b"", path="/ignored").replace(b"Length: 0", b"Length: 50000"), 204),
        ],
        ids=["no-http", "close", "too-large", "ignored"],
    )
    def test_client_that_goes_on_sending(self, clock, sent, status):
        """A client that has been answered and still sends meets no reset before it has read the
        answer: our side is ended, and what it sends is taken."""
        limits = http.Limits(max_body_bytes=100_000, max_drain_bytes=40_000)
        with serving(lambda _: None, limits=limits) as server, connected(server) as sock:
            sock.sendall(sent)
            for _ in range(5):
                clock.advance(0)
                sock.sendall(b"x" * 5000)
            clock.advance(0)

            received, is_orderly = read_to_the_end(sock)
            assert received.startswith(b"HTTP/1.1 %d " % status)
            assert b"Connection: close\r\n" in received
            assert is_orderly
            assert 1 == server.stats().active

            sock.shutdown(socket.SHUT_WR)
            clock.advance(0)

            assert 0 == server.stats().active

    @pytest.mark.parametrize(("sent", "active"), [(99_999, 1), (100_000, 0)])
    def test_no_more_bytes_than_it_may_be(self, clock, sent, active):
        """It takes `max_drain_bytes` and not one more."""
        limits = http.Limits(max_drain_bytes=100_000)
        with serving(lambda _: None, limits=limits) as server, connected(server) as sock:
            sock.sendall(b"\0\r\n")
            read_to_end(sock)
            sock.sendall(b"x" * sent)
            clock.advance(0)

            assert active == server.stats().active

    def test_no_longer_than_it_may_be(self, clock):
        """It is over when its time is up, though the sweep was not due to look."""
        timeouts = http.Timeouts(drain=0.5)
        with serving(lambda _: None, timeouts=timeouts) as server, connected(server) as sock:
            sock.sendall(b"\0\r\n")
            read_to_end(sock)
            clock.advance(0)

            assert 1 == server.stats().active

            clock.advance(1)

            assert 0 == server.stats().active


class TestDraining:
    def test_no_longer_than_it_may_be(self, clock):
        """The rest of a body that nobody read is waited for as long as that may take, and then
        the connection ends."""
        timeouts = http.Timeouts(drain=0.5)
        with serving(lambda _: None, timeouts=timeouts) as server, connected(server) as sock:
            sock.sendall(post(b"x" * 1000)[:-1])
            assert 204 == Reader(sock).read().status
            clock.advance(1)

            # Then it lingers, as after every answer that ends a connection.
            assert b"" == sock.recv(1)
            clock.advance(1)
            gevent.sleep(0)

            assert 0 == server.stats().active

    def test_next_request_behind_the_rest(self, clock):
        """When the rest comes in time the next request is served, in a time of its own."""
        with serving(lambda _: None) as server, connected(server) as sock:
            reader = Reader(sock)
            sock.sendall(post(b"x" * 1000)[:-1])
            assert 204 == reader.read().status
            clock.advance(1)
            sock.sendall(b"x")
            clock.advance(60)
            sock.sendall(GET)

            assert 204 == reader.read().status
