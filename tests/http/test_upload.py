"""Bodies that are sent while the answer may already be on its way."""

from __future__ import annotations

import errno
import logging

import gevent
import gevent.event
import pytest

from galeph import clock, http
from galeph.errors import ConnectionLost, TimedOut
from galeph.http.upload import Upload, in_pieces
from galeph.message.headers import Headers
from galeph.protocol import events
from galeph.protocol.engine import Role
from galeph.protocol.h1 import H1Engine
from galeph.transport.deadlines import Deadlines
from tests.http.scripted import OK, pool_of, response, scripted

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class TestEarlyAnswers:
    @pytest.mark.attack(219)
    @pytest.mark.parametrize("body", ["generator", "bytes"])
    @pytest.mark.parametrize("status", ["413 Content Too Large", "401 Unauthorized", "302 Found"])
    def test_an_early_refusal_stops_the_upload(self, body, status):
        """A final answer of 300 or above ends the upload; it is delivered, then all is closed."""
        closed = gevent.event.Event()

        def endless():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                closed.set()

        def script(peer):
            peer.read_head()
            peer.send(response(b"why", status=status))
            gevent.sleep(0.05)  # and takes no more of the body, until the client has gone
            peer.wait_closed()

        data = endless() if body == "generator" else b"x" * 50_000_000
        with scripted(script) as server, pool_of() as pool:
            received = http.post(server.url, body=data, pool=pool).result(5)

            assert (status[:3], b"why") == (str(received.status), received.bytes())
            assert 0 == pool.stats().connections
            assert body == "bytes" or closed.wait(5)

    @pytest.mark.attack(219)
    def test_a_refusal_with_a_long_answer(self):
        """The upload stops with the head of a refusal, not with the end of its body."""
        closed, go = gevent.event.Event(), gevent.event.Event()

        def endless():
            try:
                while True:
                    yield b"x"
                    gevent.sleep(0.001)
            finally:
                closed.set()

        def script(peer):
            peer.read_head()
            peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nab")
            go.wait(5)
            peer.send(b"cd")
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            received = http.post(server.url, body=endless(), pool=pool).result(5)
            assert closed.wait(5)
            go.set()

            assert b"abcd" == received.bytes()
            assert 0 == pool.stats().connections

    @pytest.mark.attack(219)
    def test_a_refusal_by_a_server_that_resets(self):
        """The answer arrives although the server resets the connection behind it."""

        def script(peer):
            peer.read_head()
            peer.send(response(b"no", status="413 Content Too Large"))
            gevent.sleep(0.02)
            peer.reset()

        with scripted(script) as server, pool_of() as pool:
            received = http.post(server.url, body=b"x" * 20_000_000, pool=pool).result(5)

            assert 413 == received.status

    @pytest.mark.fault("F25", part="client")
    def test_both_sides_stream_at_once(self):
        """An echo of more than all buffers hold completes: sending and reading go on together."""
        size = 200

        def body():
            for _ in range(size):
                yield b"x" * 65536

        def script(peer):
            peer.read_head()
            peer.send(CHUNKED)
            while (count := int(peer.until(b"\r\n"), 16)) > 0:
                peer.send(b"%x\r\n" % count + peer.exactly(count) + b"\r\n")
                peer.exactly(2)
            peer.until(b"\r\n")
            peer.send(b"0\r\n\r\n")
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            received = http.post(server.url, body=body(), pool=pool).result(5)
            got = sum(map(len, received.stream))

            assert size * 65536 == got
            assert 1 == pool.stats().idle

    def test_a_whole_answer_before_the_end_of_the_body(self):
        """A 200 that is complete while we still send ends the upload, and the connection."""

        def endless():
            while True:
                yield b"x" * 1000
                gevent.sleep(0.001)

        def script(peer):
            peer.read_head()
            peer.send(OK)
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            received = http.post(server.url, body=endless(), pool=pool).result(5)

            assert b"ok" == received.bytes()
            assert 0 == pool.stats().connections


class TestBodiesThatFail:
    @pytest.mark.parametrize("is_waited_for", [True, False])
    def test_while_the_answer_is_read(self, is_waited_for):
        """Who reads the answer is told at every read, and shown where; it is never more."""
        go = gevent.event.Event()

        def body():
            yield b"x"
            go.wait(5)
            raise LookupError("the rest is gone")

        def script(peer):
            peer.read_head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            peer.wait_closed()

        with scripted(script) as server, pool_of() as pool:
            received = http.post(server.url, body=body(), pool=pool).result(5)
            if is_waited_for:
                gevent.get_hub().loop.run_callback(go.set)
            else:
                go.set()
                gevent.sleep(0)
                gevent.sleep(0)
            names = []
            for _ in range(3):
                with pytest.raises(LookupError, match="the rest is gone") as caught:
                    received.body.read()
                names.append([entry.name for entry in caught.traceback])

            assert ["pull", "body"] == names[0][-2:]
            assert [names[0]] * 3 == names


class TestPieces:
    def test_bytes_in_pieces(self):
        """Bytes are sent in pieces of at most 256 KiB, with their length."""
        data = bytes(range(256)) * 3000
        pieces = list(in_pieces(data))

        assert data == b"".join(pieces)
        assert [262144, 262144, 243712] == [len(piece) for piece in pieces]
        assert len(data) == in_pieces(data).length

    def test_a_large_piece_is_sent_in_slices(self):
        """One message above 256 KiB arrives whole, and shows progress on its way."""
        with scripted(OK) as server, pool_of() as pool:
            http.put(server.url, body=iter([b"x" * 1_000_000]), pool=pool).result(5)

        assert b"x" * 1_000_000 == server.asked[0].body


class TestClosing:
    class Body:
        """An iterable that knows when it was closed."""

        def __init__(self, *pieces):
            self._pieces = pieces
            self.closed = 0

        def __iter__(self):
            return iter(self._pieces)

        def close(self):
            self.closed += 1

    def test_a_body_is_closed_once_when_it_was_sent(self):
        """A body that can be closed is closed when it has been sent."""
        body = self.Body(b"a", b"b")
        with scripted(OK) as server, pool_of() as pool:
            http.post(server.url, body=body, pool=pool).result(5)

        assert 1 == body.closed

    def test_a_body_is_closed_when_its_request_was_cancelled_at_once(self):
        """A body whose sending had no time to begin is closed as well."""
        body = self.Body(b"a")
        with scripted(OK) as server, pool_of() as pool:
            pending = http.post(server.url, body=body, pool=pool)
            while not pool.stats().opened:
                gevent.sleep(0)
            pending.cancel()
            gevent.sleep(0.02)

        assert 1 == body.closed

    def test_a_close_that_fails_is_logged(self, caplog):
        """An exception of the body's `close` is a line in the log, and harms nobody."""

        class Bad(self.Body):
            def close(self):
                raise ZeroDivisionError

        caplog.set_level(logging.ERROR, "galeph.client")
        with scripted(OK) as server, pool_of() as pool:
            assert b"ok" == http.post(server.url, body=Bad(b"a"), pool=pool).result(5).bytes()

        assert "closing a request's body failed" in caplog.text

    def test_a_timeout_of_the_bodys_own(self):
        """A `gevent.Timeout` that the body lets through fails the request as TimedOut."""

        def body():
            yield b"a"
            with gevent.Timeout(0.01):
                gevent.sleep(5)

        with scripted(lambda peer: peer.wait_closed()) as server, pool_of() as pool:
            pending = http.post(server.url, body=body(), pool=pool)
            with pytest.raises(TimedOut) as caught:
                pending.result(5)

        assert isinstance(caught.value.__cause__, gevent.Timeout)

    def test_a_body_runs_in_the_callers_context(self):
        """Context variables of the caller are seen where the body is fetched."""
        from contextvars import ContextVar

        variable = ContextVar("variable")

        def body():
            yield variable.get()

        variable.set(b"mine")
        with scripted(OK) as server, pool_of() as pool:
            pending = http.post(server.url, body=body(), pool=pool)
            variable.set(b"changed")
            pending.result(5)

        assert b"mine" == server.asked[0].body


class TestAPeerThatLeaves:
    def test_the_answer_is_left_to_the_reader(self):
        """A send that fails ends the upload and nothing else: there may be an answer to read."""

        class Lost:
            def send(self, _):
                raise ConnectionLost(errno.EPIPE, "gone")

        class Connection:
            failures = []
            ended = 0

            def fail(self, error):
                self.failures.append(error)

            def upload_ended(self):
                self.ended += 1

        connection, deadlines = Connection(), Deadlines(clock.default())
        engine = H1Engine(Role.CLIENT, http.Limits())
        upload = Upload(connection, Lost(), engine, deadlines, 30.0)
        head = events.Request("PUT", "/", Headers(), authority="h", end_stream=False)
        body = in_pieces(b"x")
        upload.start(head, body)
        gevent.sleep(0.01)

        assert ([], 1, False) == (connection.failures, connection.ended, upload.is_done)
        assert body.is_taken
        assert 0 == len(deadlines)
