"""A client's response as a handler's answer: a reverse proxy in one line."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import gevent
import pytest

from galeph import http
from galeph.stream import Stream
from tests.http.raw import GET, Reader, connected, get, serving
from tests.http.scripted import pool_of


@contextmanager
def forwarding(upstream_handler, forward=lambda response: response):
    """A server that answers with what another one has answered."""
    with serving(upstream_handler) as upstream, pool_of() as pool:

        def pass_on(request):
            url = f"http://127.0.0.1:{upstream.port}{request.path}"
            response = http.request(request.method, url, pool=pool).result(5)
            return forward(response)

        with serving(pass_on) as server:
            server.upstream = upstream
            yield server


def ask(server, request):
    with connected(server) as sock:
        sock.sendall(request)
        return Reader(sock).read(head_only=request.startswith(b"HEAD"))


HEAD = b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_that_has_no_body(status):
    """It is passed on with its fields, and without a body."""
    with forwarding(lambda _: http.Response(status, {"ETag": '"1"'})) as server:
        answer = ask(server, GET)

    assert (status, b"", '"1"') == (answer.status, answer.body, answer.headers["etag"])


def test_head():
    """The length is that of the body GET would have had."""
    with forwarding(lambda _: {"body": "five!"}) as server:
        answer = ask(server, HEAD)

    assert (200, "5") == (answer.status, answer.headers["content-length"])


def test_head_of_a_body_without_a_length():
    """No length is made up for it."""
    with forwarding(lambda _: {"body": iter([b"a", b"b"])}) as server:
        answer = ask(server, HEAD)

    assert 200 == answer.status
    assert "content-length" not in answer.headers


def test_an_empty_body():
    """It is as empty here."""
    with forwarding(lambda _: {"status": 404, "body": b""}) as server:
        answer = ask(server, GET)

    assert (404, b"", "0") == (answer.status, answer.body, answer.headers["content-length"])


@pytest.mark.parametrize("part", ["stream", "body", None])
def test_a_client_that_leaves_ends_what_is_upstream(part, caplog):
    """Though the body is quiet; both connections are given back, and nothing is said about it."""
    caplog.set_level(logging.INFO)

    def forward(response):
        return response if part is None else {"body": getattr(response, part)}

    def quiet(_):
        return {"body": Stream()}

    with forwarding(quiet, forward) as server:
        with connected(server) as sock:
            sock.sendall(GET)
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
            gevent.sleep(0.05)
        with gevent.Timeout(5):
            while server.stats().active or server.upstream.stats().active:
                gevent.sleep(0.01)
    assert [] == caplog.records


class TestOwnAnswers:
    def test_head_may_say_a_length_without_making_the_body(self):
        """RFC 9110 section 8.6: it is the length GET would have."""
        response = http.Response(headers={"Content-Length": "12345"})
        with serving(lambda _: response) as server:
            answer = ask(server, HEAD)

        assert (200, "12345") == (answer.status, answer.headers["content-length"])

    def test_205_has_no_body(self):
        """RFC 9110 section 15.3.6; one that is there is the handler's mistake."""
        with serving(lambda _: http.Response(205)) as server:
            assert "0" == ask(server, GET).headers["content-length"]
        with serving(lambda _: http.Response(205, body="x")) as server:
            assert 500 == ask(server, GET).status

    @pytest.mark.parametrize("body", [b"ab", "ab", ["a", "b"], iter([b"ab"])])
    def test_trailers_come_behind_any_body(self, body):
        """In chunks, which alone can carry them, where the bytes would have had a length."""
        response = http.Response(body=body, trailers={"X-Sum": "1"})
        with serving(lambda _: response) as server:
            answer = ask(server, GET)

        assert (b"ab", "1") == (answer.body, answer.headers["trailer:x-sum"])


class TestBadBodiesNobodyRead:
    @pytest.mark.attack(78)
    @pytest.mark.parametrize("rest", [b"zz\r\n", b"0\r\nContent-Length: 5\r\n\r\n"])
    def test_are_counted_and_logged(self, rest, caplog):
        """The answer is out; nothing behind is served, and one line says why."""
        caplog.set_level(logging.INFO)
        asked = []
        head = get("/", "Transfer-Encoding: chunked").replace(b"GET", b"POST")
        with (
            serving(lambda request: asked.append(request.path)) as server,
            connected(server) as sock,
        ):
            sock.sendall(head + b"5\r\nhello\r\n" + rest + get("/evil"))
            received = b""
            while data := sock.recv(1000):
                received += data

            assert 1 == server.stats().counts["refusals"]
        assert 1 == received.count(b"HTTP/1.1 ")
        assert ["/"] == asked
        [line] = caplog.records
        assert (logging.INFO, True) == (line.levelno, "refused" in line.getMessage())
