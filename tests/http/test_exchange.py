"""The seam between a request and its connection, seen by whoever takes the connection over."""

import logging

import gevent
import pytest

from galeph.errors import HandshakeFailed, LocalProtocolError
from galeph.http import Headers, Response
from galeph.http.exchange import HandshakeRefused
from tests.http.raw import connected, serving, talk

UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"


class Shouting:
    """A protocol that answers every line in capitals."""

    def __init__(self, transport, received):
        self.transport = transport
        self.received = received
        self.hosted = []
        self.drained = 0

    def host(self, error):
        self.hosted.append(error)
        if isinstance(error, Exception):
            self.transport.send(b"OH NO\n")
            return
        data = self.received or self.transport.recv()
        while data:
            self.transport.send(data.upper())
            data = self.transport.recv()

    def explains(self, error):
        return isinstance(error, EOFError)

    def drain(self):
        self.drained += 1
        self.transport.close()


def switch(request):
    fields = Headers({"Connection": "Upgrade", "Upgrade": "shout"})
    return request._exchange.switch_protocol(fields, Shouting)


def test_tenant_gets_the_connection_and_what_came_behind_the_request():
    """After the 101 the tenant is hosted in the connection's greenlet; its end is the end."""
    tenants = []

    def handler(request):
        tenants.append(switch(request))
        return "ignored"

    with serving(handler) as server:
        answer = talk(server, UPGRADE + b"hello\n", b"more\n", half_close=True)
    head, _, rest = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nUpgrade: shout" in head
    assert rest == b"HELLO\nMORE\n"
    assert tenants[0].hosted == [None]


@pytest.mark.parametrize("makes", [gevent.spawn, lambda fn: fn()])
def test_awaited_result_of_a_handler_may_switch(makes):
    """It does not matter whether the handler or the greenlet it returned has switched."""
    with serving(lambda request: makes(lambda: switch(request) and 42)) as server:
        answer = talk(server, UPGRADE + b"hello\n", half_close=True)

    assert answer.endswith(b"\r\n\r\nHELLO\n")


def test_tenant_is_told_what_the_handler_raised(caplog):
    """The error is logged once, with its traceback, and the tenant can say so in its own words."""

    def handler(request):
        switch(request)
        raise LookupError("bug")

    with serving(handler) as server:
        answer = talk(server, UPGRADE)

    assert answer.endswith(b"\r\n\r\nOH NO\n")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "LookupError: bug" in caplog.text


def test_error_that_the_tenant_explains_is_no_bug(caplog):
    """A handler that only passes on that its peer has gone has not failed."""

    def handler(request):
        switch(request)
        raise EOFError

    with serving(handler) as server:
        talk(server, UPGRADE)

    assert caplog.records == []


def test_tenant_is_told_when_the_server_shuts_down():
    """`drain` is called once, from no greenlet of the connection's."""
    tenants = []

    def handler(request):
        tenants.append(switch(request))

    with serving(handler) as server, connected(server) as sock:
        sock.sendall(UPGRADE + b"hello\n")
        while not sock.recv(65536).endswith(b"HELLO\n"):
            pass
        server.close(timeout=5)
        end = sock.recv(65536)

    assert end == b""
    assert tenants[0].drained == 1


def test_connection_is_handed_over_once():
    """After an upgrade, or an answer, there is nothing left to switch."""
    failures = []

    def twice(request):
        switch(request)
        with pytest.raises(LocalProtocolError) as caught:
            switch(request)
        failures.append(caught.value)

    kept = []

    def late(request):
        kept.append(request)

    with serving(twice) as server:
        talk(server, UPGRADE, half_close=True)
    with serving(late) as server:
        talk(server, UPGRADE, half_close=True)
        with pytest.raises(LocalProtocolError, match=r"^the request has been answered already"):
            switch(kept[0])
        with pytest.raises(LocalProtocolError, match=r"^the request has been answered already"):
            kept[0].continue_()

    assert len(failures) == 1


def test_refused_handshake_is_answered_with_its_response(caplog):
    """The exact refusal goes out, one line says so, and no traceback."""
    caplog.set_level(logging.INFO, "galeph")

    def handler(_):
        raise HandshakeRefused("no shouting", Response(426, {"Upgrade": "whisper"}, b"hush\n"))

    with serving(handler) as server:
        answer = talk(server, UPGRADE, half_close=True)
        refusals = server.stats().counts["refusals"]

    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nUpgrade: whisper\r\n" in answer
    assert answer.endswith(b"hush\n")
    assert refusals == 1
    assert "refused: no shouting, answered 426" in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    assert issubclass(HandshakeRefused, HandshakeFailed)
