"""The driver of a connection: exact answers to bad input, deadlines, bodies, and clean ends."""

from __future__ import annotations

import contextlib
import logging
import time

import gevent
import pytest
from gevent import socket

from galeph import errors, http
from galeph.testing import ManualClock
from tests.http.raw import GET, Reader, connected, get, post, read_to_end, serving, talk

SHORT = http.Timeouts(first_byte=0.2, head=0.4, body_progress=0.3, keep_alive=0.2, drain=0.3)


def peer_lines(caplog):
    """What was logged about peers at INFO or above."""
    return [one for one in caplog.records if one.name == "galeph.server" and one.levelno >= 20]


def check_cut_body(sent, caplog):
    """A request whose client leaves before its body is whole."""
    caplog.set_level(logging.INFO)
    seen = []

    def handler(request):
        try:
            request.body.read()
        except errors.IncompleteBody as error:
            seen.append(error)
        return {"body": "ok"}

    with serving(handler) as server:
        received = talk(server, sent, half_close=True)

    assert b"" == received
    assert 1 == len(seen)
    assert [] == peer_lines(caplog)


class TestRefusals:
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"G@T / HTTP/1.1\r\nHost: t\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
            (get("/", "Expect: something"), 417),
            (b"CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", 501),
            (get("/", "Transfer-Encoding: gzip"), 501),
            (get("/", "Content-Length: 99999999999"), 413),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
            (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
        ],
    )
    def test_answer(self, sent, status, caplog):
        """What must not be served gets its exact status with close, and one INFO line; nothing
        behind it is served."""
        caplog.set_level(logging.INFO)
        asked = []
        with serving(asked.append) as server:
            received = talk(server, sent + GET)

        assert received.startswith(f"HTTP/1.1 {status} ".encode())
        assert 1 == received.count(b"HTTP/1.1 ")
        assert b"Connection: close\r\n" in received
        assert [] == asked
        [line] = peer_lines(caplog)
        assert logging.INFO == line.levelno
        assert str(status) in line.getMessage()
        assert line.exc_info is None

    @pytest.mark.attack(18)
    @pytest.mark.parametrize(
        "sent",
        [
            b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160),
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        ],
        ids=["tls", "ssh"],
    )
    def test_another_protocol_on_the_plain_port(self, sent, caplog):
        """A TLS hello or a banner gets one quiet 400, one log line, and no traceback."""
        caplog.set_level(logging.INFO)
        with serving(lambda _: None) as server:
            received = talk(server, sent)

        assert received.startswith(b"HTTP/1.1 400 ")
        [line] = peer_lines(caplog)
        assert line.exc_info is None

    @pytest.mark.attack(102)
    def test_valid_then_garbage(self):
        """A valid request is answered before the garbage behind it is refused."""
        with serving(lambda _: {"body": "fine"}) as server:
            received = talk(server, GET + b"\x00\x01\x02")

        first, second = received.split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200 ")
        assert second.startswith(b"400 ")

    @pytest.mark.attack(103)
    def test_nothing_behind_an_error_is_served(self):
        """A request read ahead behind a refused one is never served."""
        asked = []
        with serving(lambda request: asked.append(request.path)) as server:
            received = talk(server, get("/1", "Content-Length: 0x1") + get("/2"))

        assert [] == asked
        assert 1 == received.count(b"HTTP/1.1 ")

    @pytest.mark.attack(19)
    def test_preface_of_http_2(self):
        """HTTP/2's preface is a version that is not spoken here: 505, once, and close."""
        asked = []
        with serving(asked.append) as server:
            received = talk(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")

        assert received.startswith(b"HTTP/1.1 505 ")
        assert b"Connection: close\r\n" in received
        assert 1 == received.count(b"HTTP/1.1 ")
        assert [] == asked

    @pytest.mark.attack(287)
    @pytest.mark.parametrize("sent", [b"\0", get("/", "Content-Length: x"), get("/bad-json")])
    def test_rate_of_lines(self, sent, caplog):
        """However many are refused, ten lines a second are written, without a traceback, and the
        rest is counted."""
        caplog.set_level(logging.INFO)
        with ManualClock() as clock, serving(lambda request: request.json()) as server:
            for _ in range(150):
                with connected(server) as sock:
                    sock.sendall(sent)
                    sock.recv(1)
                    clock.advance(0)

            assert 10 == len(peer_lines(caplog))

            clock.advance(1)
            with connected(server) as sock:
                sock.sendall(sent)
                sock.recv(1)

        assert 12 == len(peer_lines(caplog))
        assert "140 lines about peers were suppressed" == caplog.messages[-2]
        assert not [one for one in peer_lines(caplog) if one.exc_info or one.levelno > logging.INFO]


class TestPassedOn:
    @pytest.mark.attack(2)
    @pytest.mark.parametrize("line", ["X: plain", "X: \xe9"], ids=["pattern", "line-by-line"])
    @pytest.mark.parametrize("method", ["FOO", "get", "Get", "!#$%&'*+-.^_`|~"])
    def test_methods(self, method, line):
        """A method that is none anybody knows reaches the handler as it was sent, and the
        connection goes on."""
        with (
            serving(lambda request: {"status": 405, "body": request.method}) as server,
            connected(server) as sock,
        ):
            reader = Reader(sock)
            request = f"{method} / HTTP/1.1\r\nHost: t\r\n{line}\r\n\r\n".encode("latin-1")
            for _ in range(2):
                sock.sendall(request)
                answer = reader.read()

                assert (405, method.encode()) == (answer.status, answer.body)

            counts = server.stats().counts
            assert (0 if "\xe9" in line else 2) == counts["fast_heads"]
            assert 1 == server.stats().accepted

    @pytest.mark.attack(20)
    @pytest.mark.parametrize("line", ["X: plain", "X: \xe9"], ids=["pattern", "line-by-line"])
    @pytest.mark.parametrize(
        "target",
        [
            "//evil.com/x",
            "//user@evil.com/x?y",
            "///",
            "/%2e%2e/",
            "/../x",
            "/a//b",
            "/.",
            "/./a/../b",
            "/%2F%2f",
            "/a;b=c/?d=//e",
        ],
    )
    def test_targets(self, target, line):
        """A path is handed over raw: never taken for a URL without a scheme, never normalized."""
        seen = []

        def handler(request):
            seen.append((request.host, request.path, request.query_string, request.url))

        with serving(handler) as server, connected(server) as sock:
            request = f"GET {target} HTTP/1.1\r\nHost: good\r\n{line}\r\n\r\n"
            sock.sendall(request.encode("latin-1"))
            assert 204 == Reader(sock).read().status

        path, _, query = target.partition("?")
        assert [("good", path, query, f"http://good{target}")] == seen


class TestDeadlines:
    def test_after_a_slow_handler(self):
        """A deadline is met in time also when the handler took longer than it."""

        def handler(_):
            gevent.sleep(1.5)
            return {"body": "x"}

        with serving(handler, timeouts=SHORT) as server, connected(server, 8) as sock:
            sock.sendall(GET)
            Reader(sock).read()
            started = time.monotonic()

            assert b"" == sock.recv(1)
            assert time.monotonic() - started < 4.5

    @pytest.mark.attack(86)
    def test_silence(self, caplog):
        """Who connects and says nothing is closed without a word, and without a line at INFO."""
        caplog.set_level(logging.DEBUG)
        with serving(lambda _: None, timeouts=SHORT) as server:
            assert b"" == talk(server)
            assert 0 == server.stats().active
        assert [] == peer_lines(caplog)
        assert 1 == len([one for one in caplog.records if "said nothing" in one.getMessage()])

    @pytest.mark.attack(85)
    def test_slow_head(self):
        """A head that dribbles is answered 408 at its absolute deadline: no byte moves it."""
        with serving(lambda _: None, timeouts=SHORT) as server, connected(server) as sock:
            started = time.monotonic()
            received = b""
            sock.settimeout(0.1)
            for byte in GET * 3:
                try:
                    sock.sendall(bytes([byte]))
                    received += sock.recv(1000)
                except TimeoutError:
                    pass
                if received:
                    break

        assert received.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < 3

    def test_idle(self):
        """A connection that stays idle after a response is closed without a word."""
        with serving(lambda _: {"body": "x"}, timeouts=SHORT) as server:
            received = talk(server, GET)

        assert received.endswith(b"\r\n\r\nx")

    @pytest.mark.attack(79)
    def test_body_stops(self, caplog):
        """A body that makes no progress is an error for the handler, and 408 if it lets it pass."""
        seen = []

        def handler(request):
            try:
                request.body.read()
            except errors.ReadTimeout as error:
                seen.append(error)
                raise

        with serving(handler, timeouts=SHORT) as server:
            received = talk(server, post(b"abc")[:-1])

        assert received.startswith(b"HTTP/1.1 408 ")
        assert 1 == len(seen)
        assert [] == [one for one in caplog.records if one.levelno >= logging.ERROR]

    @pytest.mark.attack(88)
    def test_reader_stops(self):
        """A client that takes nothing is cut at the deadline for writes."""
        timeouts = http.Timeouts(write_progress=0.2)
        body = b"x" * 30_000_000
        with serving(lambda _: {"body": body}, timeouts=timeouts) as server:
            with connected(server) as sock:
                sock.sendall(GET)
                deadline = time.monotonic() + 4
                while server.stats().active and time.monotonic() < deadline:
                    gevent.sleep(0.05)

            assert 0 == server.stats().active

    def test_a_slow_source_is_no_slow_reader(self):
        """Time the handler takes between two pieces does not count against the reader."""

        def body():
            for _ in range(3):
                gevent.sleep(0.7)
                yield b"x"

        timeouts = http.Timeouts(write_progress=0.2, keep_alive=0.2, first_byte=0.2)
        with serving(lambda _: {"body": body()}, timeouts=timeouts) as server:
            assert talk(server, get("/", "Connection: close")).endswith(b"0\r\n\r\n")

    def test_by_the_clock_that_is_the_default(self):
        """The deadlines follow the default clock: 75 idle seconds pass when a test says so."""
        with ManualClock() as clock, serving(lambda _: None) as server, connected(server) as sock:
            sock.sendall(GET)
            Reader(sock).read()
            gevent.sleep(0.01)
            clock.advance(70)
            gevent.sleep(0.01)

            assert 1 == server.stats().active

            clock.advance(10)

            assert b"" == sock.recv(1)


class TestBodies:
    @pytest.mark.attack(108)
    def test_continue_when_the_body_is_read(self):
        """100 is sent once, when the handler first reads; not to 1.0, not without a body."""
        with serving(lambda request: {"body": request.body.read() * 2}) as server:
            with connected(server) as sock:
                request = post(b"ab", "Expect: 100-continue")
                sock.sendall(request[:-2])
                reader = Reader(sock)

                assert 100 == reader.read().status

                sock.sendall(b"ab")

                assert b"abab" == reader.read().body

            old = talk(
                server,
                b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
            )
            empty = talk(server, post(b"", "Expect: 100-continue", "Connection: close"))

        assert b"100 Continue" not in old + empty

    @pytest.mark.attack(109)
    def test_one_continue(self):
        """Said twice, in one line or two, it is still one 100."""
        with serving(lambda request: {"body": request.body.read()}) as server:
            for lines in (
                ["Expect: 100-continue, 100-continue"],
                ["Expect: 100-continue", "Expect: 100-Continue"],
            ):
                received = talk(server, post(b"ab", *lines, "Connection: close"))

                assert 1 == received.count(b"100 Continue")

    @pytest.mark.attack(111)
    def test_final_answer_instead_of_continue(self):
        """A handler that answers without reading sends no 100, and the connection ends."""
        with serving(lambda _: {"status": 401}) as server:
            received = talk(server, post(b"abc", "Expect: 100-continue")[:-3])

        assert received.startswith(b"HTTP/1.1 401 ")
        assert b"Connection: close\r\n" in received
        assert b"100 Continue" not in received

    def test_continue_by_hand(self):
        """`Request.continue_` sends 100 before the body is touched."""

        def handler(request):
            request.continue_()
            request.continue_()
            return {"body": request.body.read()}

        with serving(handler) as server:
            received = talk(server, post(b"ab", "Expect: 100-continue", "Connection: close"))

        assert 1 == received.count(b"100 Continue")

    @pytest.mark.attack(113)
    def test_failure_after_continue(self, caplog):
        """A handler that fails after 100 was sent is answered 500, and the connection ends."""

        def handler(request):
            request.continue_()
            raise ZeroDivisionError

        with serving(handler) as server:
            received = talk(server, post(b"ab", "Expect: 100-continue", "Connection: close"))

        assert b"HTTP/1.1 500 " in received

    @pytest.mark.attack(61)
    def test_small_unread_body_is_drained(self):
        """A small body the handler ignored is read and dropped; the connection goes on."""
        with serving(lambda request: {"body": request.method}) as server, connected(server) as sock:
            sock.sendall(post(b"x" * 1000) + GET)
            reader = Reader(sock)

            assert [b"POST", b"GET"] == [reader.read().body, reader.read().body]

    @pytest.mark.attack(61)
    def test_large_unread_body_ends_the_connection(self):
        """The answer to a huge ignored body arrives, the rest is never parsed as a request."""
        asked = []

        def handler(request):
            asked.append(request.method)

        with serving(handler, timeouts=SHORT) as server:
            received = talk(server, post(GET * 20_000))

        assert ["POST"] == asked
        assert received.startswith(b"HTTP/1.1 204 ")
        assert b"Connection: close\r\n" in received

    @pytest.mark.attack(60)
    @pytest.mark.parametrize("cut", [0, 1, 99])
    def test_short_body(self, cut, caplog):
        """A body cut short is an error for the handler, never an end; no 2xx, and no traceback."""
        check_cut_body(post(b"x" * 100)[: -100 + cut or None], caplog)

    @pytest.mark.attack(76)
    @pytest.mark.parametrize(
        "sent",
        [
            *(b"5\r\nabcde\r\n"[:size] for size in range(11)),
            *(b"5\r\nabcde\r\n0\r\n\r\n"[:size] for size in range(11, 15)),
            b"0\r\nX: y\r\n",
        ],
    )
    def test_short_chunks(self, sent, caplog):
        """It is the same for chunks, cut anywhere before the empty line that ends them."""
        head = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        check_cut_body(head + sent, caplog)

    @pytest.mark.attack(78)
    def test_broken_chunk(self):
        """A broken chunk is 400 with close; a valid request behind it is never served."""
        asked = []

        def handler(request):
            asked.append(request.body.read())

        broken = (
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n" + GET
        )
        with serving(handler) as server:
            received = talk(server, broken)

        assert [] == asked
        assert received.startswith(b"HTTP/1.1 400 ")
        assert 1 == received.count(b"HTTP/1.1 ")

    @pytest.mark.attack(67)
    @pytest.mark.parametrize(
        "size", [b"0x5", b"+5", b"-5", b"5_0", b" 5", b"5 ", "\u0665".encode()]
    )
    def test_a_handler_cannot_swallow_a_broken_body(self, size):
        """A malformed chunk is answered 400 even where the handler hides its error."""

        def handler(request):
            with contextlib.suppress(errors.RemoteProtocolError):
                request.body.read()
            return {"body": "fine"}

        broken = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        with serving(handler) as server:
            received = talk(server, broken + size + b"\r\nabcde\r\n0\r\n\r\n" + GET)

        assert received.startswith(b"HTTP/1.1 400 ")
        assert 1 == received.count(b"HTTP/1.1 ")

    @pytest.mark.attack(90)
    def test_chunked_body_over_the_maximum(self):
        """A chunked body is refused with 413 at the chunk that crosses the maximum."""
        chunk = b"64\r\n" + b"x" * 100 + b"\r\n"
        request = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
        read = []

        def handler(request):
            read.extend(request.stream)

        with serving(handler, limits=http.Limits(max_body_bytes=250)) as server:
            received = talk(server, request + chunk * 2, chunk * 50)

        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close\r\n" in received
        assert sum(map(len, read)) <= 250

    @pytest.mark.attack(89)
    def test_declared_body_over_the_maximum(self):
        """A declared length over the maximum is 413 before the body, and without a 100."""
        with serving(
            lambda request: {"body": request.read()}, limits=http.Limits(max_body_bytes=9)
        ) as server:
            received = talk(server, post(b"x" * 10, "Expect: 100-continue")[:-10])

        assert received.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in received

    def test_read_and_write_at_once(self):
        """A handler may answer while it reads: an echo of any size does not hang."""

        def echo(request):
            return {"body": iter(request.stream)}

        size = 3_000_000
        with serving(echo) as server, connected(server) as sock:
            sender = gevent.spawn(sock.sendall, post(b"x" * size))

            assert size == len(Reader(sock).read().body)

            sender.get(timeout=5)

    @pytest.mark.attack(114)
    @pytest.mark.parametrize("first", [b"100", b"200"])
    def test_read_in_one_greenlet_and_write_in_another(self, first, caplog):
        """Of a client that waits for a 100 the body may be read while the answer is written,
        whichever comes first: after the answer has begun no 100 is sent."""

        def handler(request):
            reading = gevent.spawn(request.body.read)
            if first == b"100":
                gevent.sleep(0.01)

            def body():
                for _ in range(100):
                    yield b"y" * 1000
                    gevent.sleep(0)
                yield reading.get()

            return {"body": body()}

        size = 30_000
        with serving(handler) as server, connected(server) as sock:
            sock.sendall(post(b"x" * size, "Expect: 100-continue", "Connection: close")[:-size])
            received = sock.recv(12)
            assert b"HTTP/1.1 " + first == received
            sender = gevent.spawn(sock.sendall, b"x" * size)
            received += read_to_end(sock)
            sender.get(timeout=5)

        assert (first == b"100") == (b"100 Continue" in received)
        assert 1 == received.count(b"HTTP/1.1 200 ")
        assert (100_000, size) == (received.count(b"y"), received.count(b"x"))
        assert [] == [one for one in caplog.records if one.levelno >= logging.ERROR]

    @pytest.mark.attack(108, 114)
    def test_echo_to_a_client_that_waits(self):
        """A response made of the body of a client that waits for a 100 begins without one."""
        with (
            serving(lambda request: {"body": iter(request.stream)}) as server,
            connected(server) as sock,
        ):
            sock.sendall(post(b"x" * 30_000, "Expect: 100-continue")[:-30_000])
            assert b"HTTP/1.1 200" == sock.recv(12)
            sock.sendall(b"x" * 30_000)
            sock.shutdown(socket.SHUT_WR)

            assert 30_000 == read_to_end(sock).count(b"x")

    def test_echo_that_breaks_off(self, caplog):
        """A response made of a body that turns out broken is cut, and nobody logs a bug."""
        broken = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n"
        with serving(lambda request: {"body": request.stream}) as server:
            received = talk(server, broken)

        assert not received.endswith(b"0\r\n\r\n")
        assert [] == [one for one in caplog.records if one.levelno >= logging.ERROR]


class TestCounts:
    def test_heads_and_chunks(self):
        """The server counts which path each head and chunk line took."""
        chunked = (
            b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n"
        )
        with serving(lambda request: {"body": request.body.read()}) as server:
            talk(server, chunked + get("/", "X: \xe9", "Connection: close"))
            counts = server.stats().counts

        assert (2, 1, 1) == (counts["requests"], counts["fast_heads"], counts["slow_heads"])
        assert (2, 1) == (counts["plain_chunks"], counts["slow_chunks"])


def test_two_connections_do_not_wait_for_each_other():
    """A handler that blocks blocks its own connection only."""
    with (
        serving(lambda request: gevent.sleep(1 if "slow" in request.path else 0)) as server,
        connected(server) as slow,
        connected(server) as quick,
    ):
        slow.sendall(get("/slow"))
        quick.sendall(GET)
        started = time.monotonic()
        Reader(quick).read()

        assert time.monotonic() - started < 0.5


def test_reset_by_the_client_is_no_error(caplog):
    """A client that resets in the middle of anything leaves no line above DEBUG."""
    caplog.set_level(logging.INFO)
    with serving(lambda _: {"body": iter([b"x" * 100_000] * 100)}) as server:
        for sent in (b"GET / HT", GET, post(b"abc")[:-1]):
            with connected(server) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                sock.sendall(sent)
                gevent.sleep(0.02)
        gevent.sleep(0.05)

        assert 0 == server.stats().active
    assert [] == peer_lines(caplog)
