"""`Service`: results become responses, failures become answers, and what all responses say."""

from __future__ import annotations

import contextvars
import logging
from types import SimpleNamespace

import gevent
import pytest

from galeph import deferred, errors, http
from galeph.http.service import Service, to_response
from galeph.testing import ManualClock
from galeph.transport.base import ConnectionInfo


def make(**options):
    return Service(
        lambda _: None,
        limits=http.Limits(),
        timeouts=http.Timeouts(),
        context=contextvars.copy_context(),
        **options,
    )


def asked(target):
    """A request as a server has it."""
    request = http.Request("GET", target)
    request._exchange = SimpleNamespace(info=ConnectionInfo("127.0.0.9", 1, "127.0.0.1", 2))
    return request


class TestResults:
    def test_response(self):
        """A Response is itself."""
        response = http.Response()

        assert response is to_response(response)

    @pytest.mark.parametrize(
        ("result", "status", "body"),
        [
            (None, 204, None),
            ({}, 200, None),
            ({"status": 201, "body": "x"}, 201, "x"),
        ],
    )
    def test_shorthand(self, result, status, body):
        """None and dicts stand for responses."""
        response = to_response(result)

        assert (status, body) == (response.status, response.body)

    def test_later(self):
        """A Deferred and a Greenlet are waited for."""
        assert 204 == to_response(deferred.success(deferred.success(None))).status
        assert b"x" == to_response(gevent.spawn(lambda: {"body": b"x"})).body

    @pytest.mark.parametrize(
        ("result", "named"),
        [(42, "42"), ("text", "text"), ({"statos": 200}, "statos"), (http.Response, "Response")],
    )
    def test_wrong(self, result, named):
        """Anything else is a TypeError that shows it and says what is expected."""
        with pytest.raises(TypeError, match=named):
            to_response(result)


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "status"),
        [(errors.BodyTooLarge("x"), 413), (errors.DecodingError("x"), 400)],
    )
    def test_of_the_peer(self, error, status, caplog):
        """What the peer did is answered, counted, and one line that is no bug's."""
        caplog.set_level(logging.INFO)
        service = make()
        answer = service.answer_failure(asked("/"), error)

        assert status == answer.status
        [record] = caplog.records
        assert logging.INFO == record.levelno
        assert f"127.0.0.9:1 refused: x, answered {status}" == record.getMessage()
        assert 1 == service.counts()["refusals"]

    def test_of_the_handler(self, caplog):
        """A bug is one ERROR with its traceback, and 500."""
        error = ZeroDivisionError("x")
        answer = make().answer_failure(asked("/p?q=secret"), error)

        assert 500 == answer.status
        [record] = caplog.records
        assert (logging.ERROR, error) == (record.levelno, record.exc_info[1])
        assert "127.0.0.9:1 GET /p: the handler failed" == record.getMessage()

    def test_of_the_error_handler(self, caplog):
        """An error handler that fails is a second bug, and the answer is still 500."""

        def fails(_, __):
            raise KeyError

        answer = make(error_handler=fails).answer_failure(asked("/"), ValueError())

        assert 500 == answer.status
        assert [
            "127.0.0.9:1 GET /: the handler failed",
            "127.0.0.9:1 GET /: the error_handler failed",
        ] == caplog.messages


class TestFields:
    def test_once_a_second(self):
        """The date is made anew only when the second has changed."""
        with ManualClock() as clock:
            service = make()
            first = service.default_fields()

            assert first is service.default_fields()

            clock.advance(1)

            assert first != service.default_fields()
            assert ["Server", "Date"] == [name for name, _ in first]

    def test_no_server(self):
        """Without a server header only the date is sent."""
        assert ["Date"] == [name for name, _ in make(server_header=None).default_fields()]

    def test_forwarded(self):
        """Fields that belong to the connection a response came on are not passed on."""
        response = http.Response(
            headers=[
                ("Connection", "close, X-Private"),
                ("Transfer-Encoding", "chunked"),
                ("Keep-Alive", "5"),
                ("X-Private", "1"),
                ("X-Public", "2"),
            ]
        )

        assert (("X-Public", "2"),) == make().fields_to_forward(response).raw
        assert 5 == len(response.headers.raw)
