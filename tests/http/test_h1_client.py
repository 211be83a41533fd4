"""A client's connection: whatever a server or the network does, the caller learns it once."""

from __future__ import annotations

import contextlib

import gevent
import gevent.event
import pytest
from gevent.pool import Group

from galeph import http
from galeph.errors import (
    ConnectionLost,
    GalephError,
    IncompleteBody,
    RemoteProtocolError,
    ResourceClosed,
    TimedOut,
)
from tests.http.scripted import OK, once, pool_of, response, scripted

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH_ANSWER = response(b"0123456789abcdef", "X-A: b")
CHUNKED_ANSWER = CHUNKED + b"5\r\n01234\r\nb;x=y\r\n56789abcdef\r\n0\r\nX-T: 1\r\n\r\n"
BODY = b"0123456789abcdef"


def fetch(url, pool, **options):
    """Get the whole of a response."""
    return http.get(url, pool=pool, **options).result(5).bytes()


def eventually(condition, within=5.0):
    """Whether ``condition`` becomes true in time."""
    with gevent.Timeout(within, exception=False):
        while not condition():
            gevent.sleep(0.002)
    return condition()


def cut(answer, at, how):
    """Send the first bytes of an answer, then end the connection by FIN or RST."""

    def script(peer):
        peer.read()
        peer.send(answer[:at])
        if how == "rst":
            # Give the bytes time to be read: a reset may overtake them.
            gevent.sleep(0.001)
            peer.reset()

    return script


class TestTruncation:
    @pytest.mark.parametrize("answer", [LENGTH_ANSWER, CHUNKED_ANSWER], ids=["length", "chunked"])
    @pytest.mark.fault("F2", part="client")
    @pytest.mark.attack(218)
    def test_an_end_at_each_byte(self, answer):
        """A response cut by a FIN at any byte is an error, with its body seen as a part at most."""
        head_ends = answer.index(b"\r\n\r\n") + 4
        for at in range(len(answer)):
            with scripted(cut(answer, at, "fin")) as server, pool_of() as pool:
                pending = http.get(server.url, pool=pool)
                if at < head_ends:
                    with pytest.raises(ConnectionLost):
                        pending.result(5)
                else:
                    received = pending.result(5)
                    part = b""
                    with pytest.raises(IncompleteBody):
                        while piece := received.body.read1(4):
                            part += piece
                    with pytest.raises(IncompleteBody):
                        received.body.read()
                    assert BODY.startswith(part)
                assert 0 == pool.stats().connections
            assert 1 == server.accepted

    @pytest.mark.parametrize("answer", [LENGTH_ANSWER, CHUNKED_ANSWER], ids=["length", "chunked"])
    @pytest.mark.fault("F1", part="client")
    def test_a_reset_at_each_byte(self, answer):
        """A response cut by a RST at any byte is an error in one place, and nothing is left."""
        for at in range(len(answer)):
            with scripted(cut(answer, at, "rst")) as server, pool_of() as pool:
                with pytest.raises((ConnectionLost, IncompleteBody)):
                    fetch(server.url, pool)
                assert 0 == pool.stats().connections
            assert 1 == server.accepted

    @pytest.mark.parity("HTTP-C-74")
    def test_a_body_until_close_that_is_reset(self):
        """Where only the end of the connection ends a body, a reset is no such end."""
        with scripted(cut(b"HTTP/1.0 200 OK\r\n\r\nbegin", 99, "rst")) as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)
            with pytest.raises(IncompleteBody):
                received.bytes()

    @pytest.mark.parity("HTTP-C-72")
    def test_broken_chunks(self):
        """A body whose framing breaks is an error at the place where it breaks."""
        with scripted(CHUNKED + b"2\r\nok\r\nxyz\r\n") as server, pool_of() as pool:
            received = http.get(server.url, pool=pool).result(5)
            with pytest.raises(RemoteProtocolError):
                received.bytes()

            assert 0 == pool.stats().connections

    def test_a_server_that_says_nothing(self):
        """A connection closed without an answer is lost, and was not retried when it was new."""
        with scripted(lambda peer: peer.read()) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool)
            with pytest.raises(ConnectionLost, match="before it had answered"):
                pending.result(5)

        assert 1 == server.accepted


class TestProtocolViolations:
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 101 + OK, id="endless-1xx"),
            pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", id="unasked-101"),
            pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000 + b"\r\n\r\n", id="long-field"),
            pytest.param(b"HTTP/1.1 200 " + b"x" * 9000 + b"\r\n\r\n", id="long-status-line"),
            pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", id="many-fields"),
            pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 12000, id="endless-head"),
            pytest.param(b"HTTP/1.1 99 Low\r\n\r\n", id="status-99"),
            pytest.param(b"HTTP/1.1 1000 High\r\n\r\n", id="status-1000"),
            pytest.param(b"HTTP/1.1 2OO OK\r\n\r\n", id="status-letters"),
            pytest.param(b"HTTP/1.1200 OK\r\n\r\n", id="no-space"),
            pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", id="version-2"),
            pytest.param(b"<html>hello</html>\r\n\r\n", id="http-0.9"),
            pytest.param(
                CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n0\r\n\r\n", id="length-and-coding"
            ),
            pytest.param(response(b"ok", "Content-Length: 3"), id="two-lengths"),
            pytest.param(response(b"ok", "Transfer-Encoding: gzip", length=False), id="coding"),
            pytest.param(CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", id="coding-in-1.0"),
            pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative-length"),
            pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare-lf"),
        ],
    )
    @pytest.mark.attack(211, 212, 213, 214, 215)
    def test_what_is_no_response_is_refused(self, answer):
        """What breaks the protocol fails the request, and its connection is never used again."""
        script = once(answer, then=lambda peer: peer.wait_closed())
        with scripted(script) as server, pool_of() as pool:
            with pytest.raises(RemoteProtocolError):
                http.get(server.url, pool=pool).result(5)

            assert 0 == pool.stats().connections

    @pytest.mark.attack(212)
    def test_100_after_the_final_response(self):
        """An interim response behind the final one belongs to no request."""
        with scripted(OK + b"HTTP/1.1 100 Continue\r\n\r\n") as server, pool_of() as pool:
            assert b"ok" == fetch(server.url, pool)

            assert 0 == pool.stats().connections

    @pytest.mark.attack(216)
    @pytest.mark.parity("HTTP-C-71")
    def test_bytes_behind_a_response_are_no_answer(self):
        """Bytes beyond the response end the connection; the next request gets its own answer."""
        forged = response(b"forged")
        with scripted(once(OK + forged), OK) as server, pool_of() as pool:
            assert b"ok" == fetch(server.url, pool)
            assert b"ok" == fetch(server.url, pool)

        assert 2 == server.accepted

    @pytest.mark.attack(216)
    def test_bytes_on_an_idle_connection_are_no_answer(self):
        """A connection that was spoken to while it was idle is not used again."""
        arrived = gevent.event.Event()

        def script(peer):
            peer.read()
            peer.send(OK)
            arrived.wait(5)
            peer.send(response(b"forged"))
            arrived.clear()
            peer.wait_closed()

        with scripted(script, OK) as server, pool_of() as pool:
            assert b"ok" == fetch(server.url, pool)
            arrived.set()
            while arrived.is_set():
                gevent.sleep(0.001)
            assert b"ok" == fetch(server.url, pool)

        assert 2 == server.accepted

    @pytest.mark.attack(217)
    @pytest.mark.parametrize(
        ("method", "answer"),
        [
            ("HEAD", response(b"surprise")),
            ("GET", response(b"surprise", status="204 No Content")),
            ("GET", response(b"surprise", status="304 Not Modified")),
        ],
    )
    def test_a_body_where_there_is_none_is_ignored(self, method, answer):
        """A body behind HEAD, 204 or 304 is no body, and ends the connection."""
        with scripted(once(answer), OK) as server, pool_of() as pool:
            assert b"" == http.request(method, server.url, pool=pool).result(5).bytes()
            assert b"ok" == fetch(server.url, pool)

        assert 2 == server.accepted


class TestStaleConnections:
    """A server that closes an idle connection in the moment it is used again."""

    @staticmethod
    def leaves_on_second_request(peer):
        peer.read()
        peer.send(OK)
        peer.read()

    @pytest.mark.attack(221)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
    def test_what_may_be_repeated_is_tried_once_more(self, method):
        """An idempotent request without any answer is sent again, on a new connection."""
        with scripted(self.leaves_on_second_request, OK) as server, pool_of() as pool:
            fetch(server.url, pool)
            if method == "HEAD":
                http.head(server.url, pool=pool).result(5)
            else:
                http.request(method, server.url, body=b"x", pool=pool).result(5)

        assert ["GET", method, method] == [asked.method for asked in server.asked]

    @pytest.mark.attack(221)
    def test_a_post_is_not_repeated(self):
        """A POST that got no answer may have been carried out: the caller must know."""
        with scripted(self.leaves_on_second_request, OK) as server, pool_of() as pool:
            fetch(server.url, pool)
            with pytest.raises(ConnectionLost):
                http.post(server.url, body=b"x", pool=pool).result(5)

        assert ["GET", "POST"] == [asked.method for asked in server.asked]

    def test_a_streamed_body_is_not_repeated(self):
        """What was streamed cannot be sent again, whatever the method."""
        with scripted(self.leaves_on_second_request, OK) as server, pool_of() as pool:
            fetch(server.url, pool)
            with pytest.raises(ConnectionLost):
                http.put(server.url, body=iter([b"x"]), pool=pool).result(5)

        assert 2 == len(server.asked)

    @pytest.mark.attack(221)
    def test_a_byte_of_an_answer_forbids_it(self):
        """Once a byte of a response has come, the request was taken."""

        def script(peer):
            peer.read()
            peer.send(OK)
            peer.read()
            peer.send(b"H")

        with scripted(script, OK) as server, pool_of() as pool:
            fetch(server.url, pool)
            with pytest.raises(ConnectionLost):
                fetch(server.url, pool)

        assert 2 == len(server.asked)

    def test_it_is_tried_only_once_more(self):
        """The second connection is a new one, and when that fails too, so does the request."""
        leaves = self.leaves_on_second_request
        with scripted(leaves, leaves, lambda peer: peer.read()) as server, pool_of() as pool:
            group = Group()
            for _ in range(2):
                group.spawn(fetch, server.url, pool)
            group.join(raise_error=True)
            assert 2 == pool.stats().idle
            with pytest.raises(ConnectionLost):
                fetch(server.url, pool)

        assert 3 == server.accepted
        assert 4 == len(server.asked)  # two at first, one that was lost, one more

    @pytest.mark.fault("F4", part="client")
    @pytest.mark.parity("POOL-31", "POOL-32")
    def test_a_late_close_is_never_seen_by_a_get(self):
        """1,000 GETs to a server that closes after each answer all succeed; no POST is doubled."""

        def script(peer):
            peer.read()
            peer.send(OK)
            if peer.number % 3:
                gevent.sleep(0.0005 * (peer.number % 4))

        with scripted(script) as server, pool_of() as pool:
            posted = []
            for number in range(1000):
                assert b"ok" == fetch(server.url, pool)
                if number % 5 == 0:
                    try:
                        http.post(server.url, body=str(number), pool=pool).result(5).bytes()
                    except ConnectionLost:
                        pass
                    posted.append(str(number).encode())

        seen = [asked.body for asked in server.asked if asked.method == "POST"]
        assert len(seen) == len(set(seen))
        assert set(seen) <= set(posted)


class TestGivingUp:
    """Killed, timed out or cancelled: nothing of a request survives its last waiter."""

    @staticmethod
    def waits_for_head(peer):
        peer.read()
        peer.wait_closed()

    @staticmethod
    def waits_for_body(peer):
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        peer.wait_closed()

    @staticmethod
    def takes_no_body(peer):
        peer.read_head()
        gevent.sleep(10)

    @pytest.mark.attack(293)
    @pytest.mark.parametrize("how", ["kill", "timeout"])
    @pytest.mark.parametrize("where", ["head", "body", "upload", "start"])
    def test_a_greenlet_that_leaves_takes_everything_along(self, how, where):
        """A kill or a Timeout at any wait gives back connection, slot and greenlets."""
        script = {"body": self.waits_for_body, "upload": self.takes_no_body}.get(
            where, self.waits_for_head
        )
        body = b"x" * 50_000_000 if where == "upload" else None

        def work():
            with gevent.Timeout(0.03 if how == "timeout" else None, exception=False):
                http.request("PUT", server.url, body=body, pool=pool).result().bytes()

        with scripted(script) as server, pool_of() as pool:
            greenlet = gevent.spawn(work)
            if how == "kill":
                gevent.sleep(0 if where == "start" else 0.03)
                greenlet.kill()
            else:
                greenlet.join(5)

            # A Timeout leaves a body as it is, to be read on; as it was dropped, it is found.
            assert eventually(lambda: 0 == pool.stats().connections)

    @pytest.mark.attack(293)
    @pytest.mark.parametrize("how", ["kill", "timeout"])
    def test_a_greenlet_that_leaves_the_queue_takes_its_place_along(self, how):
        """A kill or a Timeout while waiting for a connection leaves the queue to the others."""

        def work():
            with gevent.Timeout(0.02 if how == "timeout" else None, exception=False):
                http.get(server.url, pool=pool).result()

        with scripted(self.waits_for_head) as server, pool_of(connections_per_host=1) as pool:
            holder = http.get(server.url, pool=pool)
            gevent.sleep(0.01)
            greenlet = gevent.spawn(work)
            gevent.sleep(0.01)
            assert 1 == pool.stats().waiting
            if how == "kill":
                greenlet.kill()

            assert eventually(lambda: 0 == pool.stats().waiting)
            assert holder.cancel()
            assert eventually(lambda: 0 == pool.stats().connections)

    @pytest.mark.parity("CANCEL-01", "CANCEL-03")
    def test_cancelling_closes_the_connection(self):
        """`cancel` fails the Deferred, and the server sees the connection end."""
        ended = gevent.event.Event()

        def script(peer):
            peer.read()
            peer.wait_closed()
            ended.set()

        with scripted(script) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool)
            gevent.sleep(0.02)

            assert pending.cancel()
            assert ended.wait(5)
            assert 0 == pool.stats().connections
            assert not pending.cancel()

    @pytest.mark.parity("CANCEL-05")
    def test_cancelled_while_connecting(self):
        """A request cancelled before it had a connection opens none that stays."""
        with scripted(OK) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool)
            gevent.sleep(0)
            pending.cancel()
            gevent.sleep(0.02)

            assert 0 == pool.stats().connections

    def test_a_response_that_comes_too_late_is_closed(self):
        """A response that arrives although its request was cancelled gives its connection up."""
        with scripted(self.waits_for_body) as server, pool_of() as pool:
            pending = http.get(server.url, pool=pool)
            while not pool.stats().opened:
                gevent.sleep(0)
            pending._on_cancel = None  # as if the kill of the work had come a moment too late
            pending.cancel()

            assert eventually(lambda: 0 == pool.stats().connections, within=0.5)
        assert 1 == len(server.asked)

    @pytest.mark.attack(296)
    def test_a_dropped_response_is_found(self, caplog):
        """A response dropped with its body unread gives its connection back, with a warning.

        It names what was asked for, and no secret that may stand in it.
        """
        with scripted(self.waits_for_body) as server, pool_of() as pool:
            url = server.url.replace("//", "//user:word@") + "some/where?token=secret"
            http.post(url, pool=pool).result(5)

            assert eventually(lambda: 0 == pool.stats().connections)
        text = f"the response to POST {server.url}some/where was dropped with its body unread"
        assert [text] == caplog.messages

    @pytest.mark.attack(220)
    @pytest.mark.parametrize("how", ["unread", "cancel", "timeout", "timeout-body", "no-http"])
    def test_what_did_not_end_well_is_never_pooled(self, how):
        """After a body left unread, a cancel, a timeout or an answer that is none, the connection
        is closed: what may still come on it is never the next request's answer."""

        def script(peer):
            peer.read()
            if how == "no-http":
                peer.send(b"HTTP/1.1 2OO OK\r\n\r\n")
            elif how in ("unread", "timeout-body"):
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            has_asked.set()
            gevent.sleep(0.05)
            with contextlib.suppress(OSError):
                peer.send(b"cde" + response(b"the wrong one"))
            peer.wait_closed()

        has_asked = gevent.event.Event()
        with scripted(script, OK) as server, pool_of() as pool:
            deadline = 0.02 if how.startswith("timeout") else None
            pending = http.get(server.url, pool=pool, deadline=deadline)
            has_asked.wait(5)
            if how == "unread":
                pending.result(5).close()
            elif how == "cancel":
                pending.cancel()
            elif how == "timeout-body":
                with pytest.raises(TimedOut):
                    pending.result(5).bytes()
            else:
                with pytest.raises(RemoteProtocolError if how == "no-http" else TimedOut):
                    pending.result(5)

            assert eventually(lambda: 0 == pool.stats().connections)
            assert b"ok" == fetch(server.url, pool)
        assert 2 == server.accepted

    def test_closing_the_pool_ends_everything(self):
        """Requests that wait for a head, a body or a connection fail when the pool is closed."""
        failures = []

        def work():
            try:
                http.get(server.url, pool=pool).result().bytes()
            except GalephError as error:
                failures.append(type(error))

        scripts = [self.waits_for_head, self.waits_for_body]
        with scripted(*scripts) as server:
            pool = http.connection_pool(connections_per_host=2)
            group = Group()
            for _ in range(3):
                group.spawn(work)
                gevent.sleep(0.01)
            pool.close()
            group.join(timeout=5)

        assert [ResourceClosed] * 3 == failures
        assert 0 == pool.stats().connections
