"""F1 and F2: a peer that resets, or ends, at each byte of what it says or is told.

The cutting proxy stands between a client and a server of galeph; both are watched. Where one
conversation over TLS has thousands of bytes, the short form takes every 83rd and the long form
all of them; plain conversations are cut at every byte always.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from galeph import http, tcp
from galeph.errors import ConnectionLost, IncompleteBody, ResourceClosed, TLSError, TransportError
from tests.faults.kit.proxy import fault_proxy
from tests.faults.scenes import echoes, quiet, serving_tcp, settled
from tests.http.raw import serving
from tests.transport.certificates import client_context, server_context

REQUEST = b"a question of 32 bytes, to a dot.\n"
RESPONSE = b"an answer of fifty bytes, with the end in its end.\n"
# Not a divisor of anything: over several runs of the conversation it meets other places.
STRIDE = 83


@dataclass
class Seen:
    """What one side saw of one conversation."""

    received: bytes = b""
    error: Exception | None = None


@dataclass
class Heard:
    """The conversations of the server's side, in their order."""

    all: list[Seen] = field(default_factory=list)

    def handler(self, stream_, _):
        """Answer a question; echo what asks for nothing else (the witness)."""
        seen = Seen()
        try:
            while not seen.received.endswith(b"\n"):
                piece = stream_.take()
                if piece is None:
                    break
                seen.received += piece
            if seen.received == REQUEST:
                stream_.put(RESPONSE)
        except ConnectionLost as error:
            seen.error = error
        if seen.received == b"unharmed\n":
            stream_.put(seen.received)
            return self.handler(stream_, _)
        self.all.append(seen)
        return None


def new_context():
    """One that resumes no session of another conversation: that would shorten the handshake."""
    return client_context.__wrapped__()


def converse(port, is_tls):
    """One conversation; what the client saw of it."""
    seen = Seen()
    tls = new_context() if is_tls else None
    try:
        with tcp.client("127.0.0.1", port, tls=tls).result(10) as stream_:
            stream_.put(REQUEST)
            for piece in stream_:
                seen.received += piece
    except TransportError as error:  # a `ConnectError` where it was reset before it was there
        seen.error = error
    return seen


@contextmanager
def tcp_scene(is_tls):
    """A server, what it hears, a witness connected to it, and a proxy before it."""
    heard = Heard()
    options = {"tls": server_context()} if is_tls else {}
    to = new_context() if is_tls else None
    with (
        serving_tcp(heard.handler, **options) as server,
        fault_proxy(server.port) as proxy,
        tcp.client("127.0.0.1", server.port, tls=to).result(10) as witness,
    ):
        assert echoes(witness)
        yield server, heard, proxy, is_tls
        assert echoes(witness)


# The size of a signature differs by some bytes from one handshake to the next.
SLACK = 8
# The record of a close_notify in TLS 1.3: what is last, and no part of any message.
CLOSE_NOTIFY = 24


def places(proxy, direction, long_form, is_tls):
    """Where to cut a conversation like the one that has just been had."""
    length = proxy.passed()[direction]
    return range(0, length - SLACK * is_tls, 1 if long_form or not is_tls else STRIDE)


@pytest.mark.parametrize("direction", ["request", "response"])
class TestTCP:
    @pytest.mark.fault("F1", part="tcp")
    def test_reset(self, direction, caplog):
        """A reset is a `ConnectionLost` where somebody waits, and nothing anywhere else."""
        self.sweep("rst", direction, caplog)

    @pytest.mark.fault("F2", part="tcp")
    def test_end(self, direction, caplog):
        """An end is the end after exactly what had come; TCP itself knows no messages."""
        self.sweep("fin", direction, caplog)

    def sweep(self, how, direction, caplog):
        with tcp_scene(is_tls=False) as (server, heard, proxy, to):
            assert RESPONSE == converse(proxy.port, to).received
            for place in places(proxy, direction, long_form=True, is_tls=False):
                heard.all.clear()
                before = server.stats().accepted
                proxy.cut_at(place, how, of=direction)
                client = converse(proxy.port, to)
                assert settled(server, active=1, accepted=before + 1)
                if direction == "response":
                    assert RESPONSE[:place] == client.received
                    assert (how == "rst") == (client.error is not None)
                else:
                    assert b"" == client.received
                    for seen in heard.all:  # none where it was reset before it was accepted
                        assert REQUEST[:place] == seen.received
                        assert (how == "rst") == isinstance(seen.error, ConnectionLost)
            assert quiet(caplog)


@pytest.mark.long
@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("direction", ["request", "response"])
class TestTLS:
    @pytest.mark.fault("F1", part="tls")
    @pytest.mark.fault("F2", part="tls")
    def test_cut(self, how, direction, long_form, caplog):
        """A cut in the handshake fails it; after that nobody takes a part for the whole."""
        with tcp_scene(is_tls=True) as (server, heard, proxy, to):
            assert RESPONSE == converse(proxy.port, to).received
            for place in places(proxy, direction, long_form, is_tls=True):
                heard.all.clear()
                before = server.stats().accepted
                proxy.cut_at(place, how, of=direction)
                client = converse(proxy.port, to)
                assert settled(server, active=1, accepted=before + 1)
                self.check(client, heard, direction)
            assert quiet(caplog)

    @staticmethod
    def check(client, heard, direction):
        assert RESPONSE.startswith(client.received)
        if direction == "response":
            # Also the last bytes, the close_notify: without it the end is no end.
            assert isinstance(client.error, TransportError)
        for seen in heard.all:
            assert REQUEST.startswith(seen.received)
            assert seen.received == REQUEST or isinstance(seen.error, (ConnectionLost, TLSError))


BODY = b"the body of it all"
# The heads of both framings are alike: in the short form a chunked message is cut in its last
# bytes, which hold its chunks.
CHUNKS = 60


class Handled:
    """What the handler of the HTTP tests has seen."""

    def __init__(self):
        self.bodies = []
        self.errors = []

    def __call__(self, request):
        try:
            body = request.body.read()
        except Exception as error:
            self.errors.append(error)
            raise
        self.bodies.append(body)
        # Of known length, or in chunks.
        return {"body": body if request.path == "/length" else iter([body[:5], body[5:]])}


@contextmanager
def http_scene(is_tls):
    """The same for HTTP: the server, its handler, a proxy, and how to ask through it."""
    handled = Handled()
    options = {"tls": server_context()} if is_tls else {}
    with serving(handled, **options) as server, fault_proxy(server.port) as proxy:

        def ask(framing):
            body = BODY if framing == "length" else iter([BODY[:7], BODY[7:]])
            scheme = "https" if is_tls else "http"
            url = f"{scheme}://127.0.0.1:{proxy.port}/{framing}"
            to = {"tls": new_context()} if is_tls else {}
            with http.connection_pool(**to) as pool:
                try:
                    with http.post(url, body=body, pool=pool).result(10) as response:
                        return response.bytes()
                except (TransportError, IncompleteBody, ResourceClosed) as error:
                    return error
                finally:
                    assert pool.stats().connections == pool.stats().idle

        yield server, handled, proxy, ask


@pytest.mark.long
@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("direction", ["request", "response"])
class TestHTTP:
    @pytest.mark.fault("F1", part="http/1")
    @pytest.mark.fault("F2", part="http/1")
    @pytest.mark.attack(185)
    def test_cut(self, is_tls, how, framing, direction, long_form, caplog):
        """A part is never taken for the whole: not by the handler, not by who has asked."""
        with http_scene(is_tls) as (server, handled, proxy, ask):
            assert BODY == ask(framing)
            cuts = places(proxy, direction, long_form, is_tls)
            message_ends = cuts.stop - CLOSE_NOTIFY * is_tls
            if framing == "chunked" and not long_form:
                cuts = cuts[-CHUNKS:]
            for place in cuts:
                handled.bodies.clear()
                before = server.stats().accepted
                proxy.cut_at(place, how, of=direction)
                outcome = ask(framing)
                assert settled(server, accepted=before + 1)
                assert place >= message_ends or isinstance(outcome, Exception)
                assert place < message_ends or outcome == BODY or isinstance(outcome, Exception)
                assert handled.bodies in ([], [BODY])
                if direction == "request" and not is_tls:
                    assert [] == handled.bodies
            assert quiet(caplog)
