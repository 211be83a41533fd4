"""`Response`: what a handler returns and what a client gets."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from galeph import http
from galeph.errors import DecodingError, ResourceClosed, StatusError
from galeph.http.body import BodyReader
from galeph.message.headers import Headers
from galeph.protocol import events


def received(body=b"", status=200, **headers):
    """A response as a client gets it, its body complete."""
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    event = events.Response(status, fields, "Reason")
    return http.Response._from_event(event, BodyReader(buffered=body), None, "http://h/")


class TestMade:
    def test_defaults(self):
        """A response without arguments is an empty 200."""
        response = http.Response()

        assert (200, (), None, None) == (
            response.status,
            response.headers.raw,
            response.body,
            response.trailers,
        )

    def test_headers_of_any_kind(self):
        """Headers are taken as mapping, pairs or `Headers`; a list repeats the name."""
        assert ["1", "2"] == http.Response(headers={"A": ["1", "2"]}).headers.get_all("a")
        assert "3" == http.Response(headers=[("A", 3)]).headers["a"]

    @pytest.mark.parametrize("status", [199, 1000, 0, -200])
    def test_statuses_that_are_none(self, status):
        """A status is from 200 to 999."""
        with pytest.raises(ValueError, match="status"):
            http.Response(status)

    def test_a_status_of_the_standard_library(self):
        """It is its number."""
        response = http.Response(HTTPStatus.NOT_FOUND)

        assert (404, int) == (response.status, type(response.status))

    @pytest.mark.parametrize("status", ["200", 200.0, True, None])
    def test_statuses_that_are_no_numbers(self, status):
        """A status is an int."""
        with pytest.raises(TypeError, match="status"):
            http.Response(status)

    @pytest.mark.attack(193)
    def test_headers_that_cannot_be_sent(self):
        """A header or trailer that must not be sent is an error where it is made."""
        with pytest.raises(ValueError, match="X"):
            http.Response(headers={"X": "a\r\nb"})
        with pytest.raises(ValueError, match="a b"):
            http.Response(trailers={"a b": "c"})

    def test_trailers_may_be_set(self):
        """Trailers are given at once, or later."""
        response = http.Response(trailers={"A": "b"})
        assert "b" == response.trailers["a"]
        response.trailers = {"A": "c"}
        assert "c" == response.trailers["a"]
        response.trailers = None
        assert response.trailers is None

    def test_a_made_response_has_no_body_to_read(self):
        """Only what a client received can be read."""
        for read in (http.Response(body=b"x").bytes, http.Response(body="x").text):
            with pytest.raises(TypeError):
                read()

    def test_closing_closes_the_body(self):
        """`close` closes a body that can be closed, and no other."""

        class Body:
            closed = False

            def close(self):
                self.closed = True

        body = Body()
        with http.Response(body=body):
            pass
        http.Response(body=b"x").close()

        assert body.closed


class TestReceived:
    def test_what_it_is(self):
        """Status, reason and URL can be read; the repr has status and reason."""
        response = received(status=404)

        assert (404, "Reason", "http://h/", False) == (
            response.status,
            response.reason,
            response.url,
            response.ok,
        )
        assert "<Response 404 Reason>" == repr(response)
        assert "<Response 404 Not Found>" == repr(http.Response(404))

    def test_raise_for_status(self):
        """Below 400 it returns itself, from 400 it raises with itself."""
        good, bad = received(status=399), received(status=400)

        assert good is good.raise_for_status()
        with pytest.raises(StatusError, match="400 Reason for http://h/") as caught:
            bad.raise_for_status()
        assert bad is caught.value.response

    def test_lines_are_decoded(self):
        """Lines are text in the declared charset, without their ends."""
        response = received(b"\xe4\r\n\nb", Content_Type="text/plain; charset=latin1")

        assert ["ä", "", "b"] == list(response.lines())

    @pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=klingon"])
    def test_what_cannot_be_decoded(self, content_type):
        """Text that is none is a DecodingError with the response."""
        for read in (lambda one: one.text(), lambda one: list(one.lines())):
            response = received(b"\xff", Content_Type=content_type)
            with pytest.raises(DecodingError) as caught:
                read(response)

            assert response is caught.value.response

    def test_json_by_another_parser(self):
        """`json` takes the function that parses; what it cannot parse is a DecodingError."""
        assert 12 == received(b"12").json(int)
        with pytest.raises(DecodingError):
            received(b"twelve").json(int)

    def test_stream_and_body_share_a_position(self):
        """`stream` gives what `body` has not."""
        response = received(b"abc")

        assert b"a" == response.body.read(1)
        assert [b"bc"] == list(response.stream)

    def test_after_closing(self):
        """A closed response has no body any more."""
        response = received(b"abc")
        response.close()
        response.close()

        with pytest.raises(ResourceClosed):
            response.bytes()
