"""`Request`: what was asked for, on both sides."""

from __future__ import annotations

import pytest

from galeph import http
from galeph.errors import BodyTooLarge, DecodingError, LocalProtocolError
from galeph.http.body import BodyReader
from galeph.message.headers import Headers
from galeph.message.url import parse_url
from galeph.protocol import events
from galeph.transport.base import ConnectionInfo


class FakeExchange:
    """An exchange whose request has this body."""

    info = ConnectionInfo("10.0.0.1", 1234, "10.0.0.2", 80)
    max_buffered_bytes = 10
    trailers = Headers({"X-Sum": "1"})

    def __init__(self, body=b""):
        self._body = body
        self.continued = 0

    def open_body(self):
        return BodyReader(buffered=self._body)

    def continue_(self):
        self.continued += 1


def received(target="/", body=b"", **headers):
    """A request as a server's handler gets it."""
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    event = events.Request("POST", target, fields, authority="h:81")
    return http.Request._from_event(event, FakeExchange(body), "http")


class TestMade:
    def test_of_a_url(self):
        """A request made of a URL knows its parts."""
        request = http.Request("GET", "https://H:443/a b?c=d", {"X": "y"}, b"body")

        assert ("https", "h", "/a%20b", "c=d") == (
            request.scheme,
            request.host,
            request.path,
            request.query_string,
        )
        assert ("https://h/a%20b?c=d", "/a%20b?c=d") == (request.url, request.target)
        assert ("y", b"body") == (request.headers["x"], request.body)

    def test_of_a_path(self):
        """A request made of a path has no host; its URL is the path."""
        request = http.Request("GET", "/a?b")

        assert ("http", "", "/a?b") == (request.scheme, request.host, request.url)

    def test_of_a_target(self):
        """What the client makes of a checked URL is the same request."""
        target = parse_url("http://h:81/a?b=c")
        request = http.Request._to_target("GET", target, Headers(), b"")

        assert ("http://h:81/a?b=c", "h:81") == (request.url, request.host)

    def test_headers_are_its_own(self):
        """Changing the request's headers does not change those it was made of."""
        headers = Headers({"A": "b"})
        http.Request("GET", "/", headers).headers["A"] = "c"

        assert "b" == headers["A"]

    @pytest.mark.attack(192)
    @pytest.mark.parametrize("url", ["/a\r\nX: y", "http://h\0/", "ftp://h/", "http://u:p@h/"])
    def test_bad_urls(self, url):
        """What is no URL to ask for is a ValueError."""
        with pytest.raises(ValueError, match="url"):
            http.Request("GET", url)

    def test_it_has_no_connection(self):
        """A request that no server received has no peer, body file or trailers."""
        request = http.Request("GET", "/", body=b"x")
        for name in ("remote_addr", "remote_port", "server_name", "server_port", "tls"):
            with pytest.raises(LocalProtocolError):
                getattr(request, name)
        with pytest.raises(LocalProtocolError):
            request.continue_()
        with pytest.raises(TypeError):
            request.read()
        with pytest.raises(TypeError):
            request.stream  # noqa: B018


class TestReceived:
    def test_the_target_is_raw(self):
        """Path and query are as they were sent; `query` is decoded."""
        request = received("/%41%2F?a=%C3%A4&a=b+c&d")

        assert ("/%41%2F", "a=%C3%A4&a=b+c&d") == (request.path, request.query_string)
        assert ["ä", "b c"] == request.query.getall("a")
        assert "" == request.query["d"]
        assert "http://h:81/%41%2F?a=%C3%A4&a=b+c&d" == request.url

    def test_a_query_that_is_no_text(self):
        """A query that is no UTF-8 is a DecodingError when it is asked for."""
        with pytest.raises(DecodingError):
            received("/?a=%ff").query  # noqa: B018

    def test_who_asks_whom(self):
        """The addresses and ports are those of the connection."""
        request = received()

        assert ("10.0.0.1", 1234, "10.0.0.2", 80, None) == (
            request.remote_addr,
            request.remote_port,
            request.server_name,
            request.server_port,
            request.tls,
        )

    def test_the_body_is_one_file(self):
        """`body` is always a file, the same one, and `stream` shares its position."""
        request = received(body=b"abc")

        assert request.body is request.body
        assert b"a" == request.body.read(1)
        assert b"bc" == request.stream.take()

    def test_text_json_and_form(self):
        """The body is decoded as Content-Type says."""
        assert "ä" == received(body=b"\xe4", Content_Type="text/plain; charset=latin1").text()
        assert {"a": 1} == received(body=b'{"a": 1}').json()
        form = received(body=b"a=1&a=2", Content_Type="application/x-www-form-urlencoded").form()
        assert ["1", "2"] == form.getall("a")

    @pytest.mark.parametrize(
        ("call", "body", "content_type"),
        [
            ("text", b"\xff", "text/plain"),
            ("text", b"x", "text/plain; charset=klingon"),
            ("text", b"x", "text/plain; charset=undefined"),
            ("json", b"{", "application/json"),
            ("json", b"[" * 9, "application/json"),
            ("form", b"a=1", "text/plain"),
            ("form", b"a=%ff", "application/x-www-form-urlencoded"),
            ("form", b"a=\xff", "application/x-www-form-urlencoded"),
        ],
    )
    def test_what_cannot_be_decoded(self, call, body, content_type):
        """A body that is not what it claims is a DecodingError."""
        with pytest.raises(DecodingError):
            getattr(received(body=body, Content_Type=content_type), call)()

    def test_too_large_for_memory(self):
        """A body above the server's limit is not gathered."""
        assert b"x" * 10 == received(body=b"x" * 10).read()
        with pytest.raises(BodyTooLarge):
            received(body=b"x" * 11).read()

    def test_trailers_and_continue(self):
        """Trailers and `continue_` are the exchange's."""
        request = received()
        request.continue_()

        assert "1" == request.trailers["X-Sum"]
        assert 1 == request._exchange.continued

    def test_its_repr(self):
        """The repr is method and URL."""
        assert "<Request POST http://h:81/a>" == repr(received("/a"))
