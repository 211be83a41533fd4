"""What must be as it was after a thousand failures (SECURITY: resource leaks).

The plugin of `galeph.testing` looks at greenlets, descriptors and watchers after each test; here
also the counters of servers and pools are looked at.
"""

from __future__ import annotations

import gc
import traceback
from contextlib import ExitStack, contextmanager

import gevent
import pytest
from gevent import socket

from galeph import http, stream, tcp
from galeph.errors import GalephError, TransportError
from galeph.testing import no_leaks
from tests.faults.kit.proxy import fault_proxy
from tests.faults.scenes import quiet, serving_tcp, settle, settled
from tests.http.raw import GET, Reader, post, serving
from tests.http.scripted import OK, pool_of, scripted
from tests.transport.certificates import client_context, server_context
from tests.transport.wire import reset

BODY = b"x" * 1000
# What a client has said when it resets: nothing, a part of a head, a head, a part of a body, all.
PHASES = {
    "connected": b"",
    "head begun": GET[:10],
    "head": post(BODY)[:-1000],
    "body begun": post(BODY)[:-500],
    "all": post(BODY),
    "pipelined": GET + GET[:10],
}


@pytest.fixture
def rounds(long_form):
    """How often each phase is gone through: in the short form all of them make a thousand."""
    return 1000 if long_form else 200


@pytest.mark.long
@pytest.mark.attack(291)
class TestResets:
    """A peer connects and resets, in every phase."""

    @pytest.mark.parametrize("phase", PHASES)
    def test_http_server(self, phase, caplog, rounds):
        """The server is as it was before, and the one client that behaves is answered."""

        def handler(request):
            request.body.read()
            gevent.sleep(0)
            return {"body": iter([b"a", b"b"])}

        with serving(handler) as server, no_leaks(), connected(server.port) as other:
            for _ in range(rounds):
                with connected(server.port) as sock:
                    sock.sendall(PHASES[phase])
                    reset(sock)
            other.sendall(GET)
            assert b"ab" == Reader(other).read().body
            assert settled(server, active=1, accepted=rounds + 1)
        assert quiet(caplog)

    @pytest.mark.parametrize("words", [b"", b"hello"])
    def test_tcp_server(self, words, caplog, rounds):
        """The same for a server of TCP that reads, writes and links the stream to itself."""

        def handler(stream_, _):
            if words:
                stream_.take()
                stream_.put(b"x" * 100_000)
            return stream.connect(stream_, stream_)

        with serving_tcp(handler) as server, no_leaks():
            for _ in range(rounds):
                with connected(server.port) as sock:
                    sock.sendall(words)
                    reset(sock)
            assert settled(server, accepted=rounds)
        assert quiet(caplog)

    @pytest.mark.parametrize("size", [0, 3, 200])
    def test_tls_server(self, size, caplog, rounds):
        """The same in the TLS handshake."""
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
        with serving_tcp(lambda s, info: None, tls=server_context()) as server:
            with no_leaks():
                for _ in range(rounds):
                    with connected(server.port) as sock:
                        sock.sendall(hello[:size])
                        reset(sock)
                assert settled(server, accepted=rounds)
            assert rounds == server.stats().failed_handshakes
        assert quiet(caplog)

    @pytest.mark.parametrize("said", [b"", OK[:10], OK[:-1]])
    def test_http_client(self, said, rounds):
        """A server that resets: the pool is empty afterwards, and every request has its error."""

        def script(peer):
            peer.read()
            peer.send(said)
            peer.reset()

        with scripted(script) as server, pool_of() as pool, no_leaks():
            for _ in range(rounds):
                with pytest.raises(GalephError):
                    http.get(server.url, pool=pool).result(10).bytes()
            assert 0 == pool.stats().connections


def connected(port):
    return socket.create_connection(("127.0.0.1", port), 10)


@pytest.mark.long
@pytest.mark.attack(293)
class TestGivingUp:
    """A client that times out or is killed, in every phase, leaves nothing on either side."""

    @pytest.mark.parametrize("how", ["timeout", "kill"])
    @pytest.mark.parametrize("phase", ["connect", "tls", "send", "receive"])
    def test_tcp_client(self, phase, how, rounds):
        """Descriptors, greenlets, timers and waiters are back where they were."""
        block = b"x" * 10_000_000
        heard = []

        def handler(stream_, _):
            heard.append(1)
            gevent.sleep(60)

        def attempt(port):
            tls = client_context() if phase == "tls" else None
            with tcp.client("127.0.0.1", port, tls=tls).result() as client:
                if phase == "send":
                    client.put(block)
                client.take()

        with serving_tcp(handler) as server, full_backlog() as full:
            port = full if phase == "connect" else server.port
            with no_leaks():
                for _ in range(rounds // 10):
                    trying = [gevent.spawn(given_up, how, attempt, port) for _ in range(10)]
                    gevent.joinall(trying, raise_error=True)
                for connection in server.connections:
                    connection.cut()
                assert settled(server)
        assert phase == "connect" or heard

    @pytest.mark.parametrize("how", ["timeout", "kill"])
    @pytest.mark.parametrize("said", [b"", OK[:20], OK[:-1]], ids=["silent", "head", "body"])
    def test_http_client(self, said, how, rounds):
        """And the pool's places are free."""

        def script(peer):
            peer.read()
            peer.send(said)
            peer.wait_closed()

        def attempt():
            with http.get(server.url, pool=pool).result() as response:
                response.bytes()

        with scripted(script) as server, pool_of(connections_per_host=10) as pool, no_leaks():
            for _ in range(rounds // 10):
                trying = [gevent.spawn(given_up, how, attempt) for _ in range(10)]
                gevent.joinall(trying, raise_error=True)
            stats = pool.stats()
            assert (0, 0) == (stats.connections, stats.waiting)


def given_up(how, attempt, *arguments):
    """Attempt something that will not end, and give up after some milliseconds."""
    if how == "timeout":
        with gevent.Timeout(0.005, False):
            attempt(*arguments)
    else:
        worker = gevent.spawn(attempt, *arguments)
        gevent.sleep(0.005)
        worker.kill()


@contextmanager
def full_backlog():
    """A port where nobody is accepted and no more connections fit into the queue."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        gevent.sleep(0.05)
        yield listener.getsockname()[1]


@pytest.mark.long
@pytest.mark.attack(295)
@pytest.mark.parametrize("kind", ["tcp", "http", "drain"])
def test_connections_that_the_server_ends(kind, rounds):
    """Whoever ends a connection, it is counted off, and room for the next."""
    if kind == "tcp":
        server = tcp.start_server(lambda s, info: s.put(b"bye"), max_connections=3)
        words = b""
    else:
        server = http.start_server(
            lambda _: {"body": "bye", "headers": {"Connection": "close"}},
        )
        words = GET
    with no_leaks():
        for _ in range(rounds):
            with connected(server.port) as sock:
                sock.sendall(words)
                answer = b"".join(iter(lambda: sock.recv(1000), b""))
            assert answer.endswith(b"bye")
        assert settled(server, accepted=rounds)
    if kind == "drain":
        idle = [connected(server.port) for _ in range(50)]
        assert settled(server, active=50)
        server.close(timeout=5)
        for sock in idle:
            assert b"" == sock.recv(1)
            sock.close()
    server.close(timeout=0)
    server.wait(5)

    assert 0 == server.stats().active


@pytest.mark.attack(297)
class TestRaisingAgain:
    """An error that is raised again and again keeps no frames of those who caught it."""

    @staticmethod
    def depths(attempt):
        """How many frames the traceback has, at the first, and after many more."""

        def frames():
            with pytest.raises(GalephError) as caught:
                attempt()
            return len(traceback.extract_tb(caught.value.__traceback__))

        first = frames()
        for _ in range(1000):
            last = frames()
        return first, last

    @pytest.mark.parametrize("is_tls", [False, True], ids=["tcp", "tls"])
    def test_broken_connection(self, is_tls):
        """A stream that was cut raises an error of the same depth at every take."""
        options = {"tls": server_context()} if is_tls else {}
        to = {"tls": client_context()} if is_tls else {}
        with (
            serving_tcp(lambda s, info: s.take(), **options) as server,
            fault_proxy(server.port) as proxy,
            tcp.client("127.0.0.1", proxy.port, **to).result(5) as client,
        ):
            assert settle(lambda: server.stats().active == 1)
            for connection in server.connections:
                connection.transport.abort()
            first, last = self.depths(client.take)

        assert first == last

    def test_truncated_body(self):
        """So does a body that breaks off, at every read."""

        def script(peer):
            peer.read()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")

        with scripted(script) as server, pool_of() as pool:
            body = http.get(server.url, pool=pool).result(5).body
            first, last = self.depths(body.read)

        assert first == last

    def test_failed_deferred(self):
        """So does the outcome of a connection that failed, at every get."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            refused = tcp.client("127.0.0.1", unused.getsockname()[1])
            first, last = self.depths(refused.result)

        assert first == last

    def test_frames_are_let_go(self):
        """What the frames of those who caught it held is free when they have gone.

        An error knows where it was raised first and last: of a thousand, two may live as long as
        the connection.
        """

        class Held:
            pass

        def fail(held):
            with pytest.raises(TransportError):
                client.take()

        with (
            serving_tcp(lambda s, info: s.fail(OSError(s.take()))) as server,
            tcp.client("127.0.0.1", server.port).result(5) as client,
        ):
            client.put(b"go")
            for _ in range(1000):
                fail(Held())
            gc.collect()
            alive = [one for one in gc.get_objects() if type(one) is Held]

        assert len(alive) <= 2
