"""F32: peers that speak TLS until they do not."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import gevent
import pytest
from gevent import socket

from galeph import http, stream, tcp
from galeph.errors import CertificateError, IncompleteBody, TransportError
from tests.faults.kit.proxy import fault_proxy
from tests.faults.kit.tls_peer import MISDEEDS, misbehave_as_client, misbehaving_server
from tests.faults.scenes import echoes, quiet, serving_tcp, settled
from tests.http.raw import GET, serving
from tests.transport.certificates import (
    authority,
    certificate_files,
    client_context,
    server_context,
)

# Alerts of RFC 8446 section 6: what a server answers to each misdeed.
ALERTS = {
    "bad_mac": {20},
    "garbage": {10, 20, 22, 70},
    "oversized": {22},
    "alert_storm": {10, "reset", 100},
    "renegotiation": {10},
    "no_close_notify": {"eof"},
}
# RFC 5246 section 7.2.2: no_renegotiation, a warning after which the peer gives up.
NO_RENEGOTIATION = 100
STRIDE = 61


@pytest.mark.fault("F32", part="server")
@pytest.mark.attack(187)
@pytest.mark.parametrize("misdeed", MISDEEDS)
@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_client_that_misbehaves(misdeed, kind, caplog):
    """The connection dies with the right alert and one line; its neighbor and the listener live."""
    caplog.set_level("DEBUG", "galeph")
    serve = {
        "tcp": lambda: serving_tcp(lambda s, info: stream.connect(s, s), tls=server_context()),
        "http": lambda: serving(lambda _: {"body": "fine"}, tls=server_context()),
    }[kind]
    with (
        serve() as server,
        socket.create_connection(("127.0.0.1", server.port)) as neighbor,
        gevent.Timeout(60),
    ):
        neighbor_port = neighbor.getsockname()[1]
        report = misbehave_as_client(server.port, misdeed, GET)
        assert settled(server, active=1)  # the neighbor, who has not said a word
        # A fatal alert may overtake the answer.
        expected = GET.decode() if kind == "tcp" else "fine"
        assert expected in (report["answer"] or expected)
        if kind == "tcp":
            with tcp.client("127.0.0.1", server.port, tls=client_context()).result(5) as client:
                assert echoes(client)

    assert report["end"] in ALERTS[misdeed]
    assert quiet(caplog)
    lines = [one.getMessage() for one in caplog.records if one.name == "galeph.server"]
    # The neighbor, who is cut at the end, has one too.
    assert 1 == len([line for line in lines if f":{neighbor_port}" not in line]), lines


@pytest.mark.fault("F32", part="server")
@pytest.mark.attack(184)
def test_renegotiation(caplog):
    """A second handshake in a connection of TLS 1.2 is refused; it is no data, either."""
    heard = []

    def handler(stream_, _):
        for piece in stream_:
            heard.append(piece)
            stream_.put(piece)

    with serving_tcp(handler, tls=server_context()) as server:
        report = misbehave_as_client(server.port, "renegotiation", b"before", "1.2")
        assert settled(server)

    assert {"answer": "before", "end": NO_RENEGOTIATION} == report
    assert [b"before"] == heard
    assert quiet(caplog)


@pytest.mark.fault("F32", part="client")
@pytest.mark.parametrize("misdeed", ["bad_mac", "garbage", "oversized", "no_close_notify"])
def test_server_that_misbehaves(misdeed, tmp_path):
    """Who asked gets the error in the body, and the connection is not used again."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"
    with (
        misbehaving_server(misdeed, *certificate_files(tmp_path), answer) as server,
        http.connection_pool(tls=client_context()) as pool,
    ):
        pending = http.get(f"https://127.0.0.1:{server.ready['port']}/", pool=pool)
        with pytest.raises((TransportError, IncompleteBody)):
            pending.result(20).bytes()
        assert 0 == pool.stats().connections


@pytest.mark.fault("F32", part="client")
def test_whole_answer_before_the_misdeed(tmp_path):
    """What comes after a complete message does not take it back (attack 185)."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"
    with (
        misbehaving_server("no_close_notify", *certificate_files(tmp_path), answer) as server,
        http.connection_pool(tls=client_context()) as pool,
    ):
        url = f"https://127.0.0.1:{server.ready['port']}/"
        assert b"whole" == http.get(url, pool=pool).result(20).bytes()


@pytest.mark.long
@pytest.mark.fault("F32", part="corrupt")
@pytest.mark.parametrize("direction", ["request", "response"])
def test_a_changed_byte(direction, long_form, caplog):
    """One changed byte anywhere in a conversation never becomes data, on either side."""
    said, answered = b"what the client says", b"what the server says, which is a little longer"
    heard, told = [], []

    def handler(stream_, _):
        pieces = b""
        try:
            while len(pieces) < len(said) and (piece := stream_.take()):
                pieces += piece
            heard.append(pieces)
            stream_.put(answered)
        except TransportError:
            heard.append(pieces)

    def converse(port):
        got = b""
        try:
            with tcp.client("127.0.0.1", port, tls=client_context()).result(10) as client:
                client.put(said)
                for piece in client:
                    got += piece
        except TransportError:
            pass
        told.append(got)

    with serving_tcp(handler, tls=server_context()) as server, fault_proxy(server.port) as proxy:
        converse(proxy.port)
        assert ([said], [answered]) == (heard, told)
        length = proxy.passed()[direction]
        for place in range(0, length - 8, 1 if long_form else STRIDE):
            proxy.corrupt(place, of=direction)
            with gevent.Timeout(30):
                converse(proxy.port)
            assert settled(server)

    assert set(heard) <= {b"", said}
    assert set(told) <= {b"", answered}
    assert quiet(caplog)


@pytest.mark.fault("F32", part="expired")
def test_certificate_that_expires_while_pooled():
    """What was proved when the connection was made goes on; a new connection is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    expired = authority().issue_cert("localhost", "127.0.0.1", not_after=yesterday)
    with (
        serving(lambda _: {"body": "fine"}, tls=context) as server,
        http.connection_pool(tls=client_context()) as pool,
        # With a context, and so with sessions, of its own.
        http.connection_pool(tls={"ca": authority().cert_pem.bytes()}) as newcomer,
    ):
        url = f"https://127.0.0.1:{server.port}/"
        assert b"fine" == http.get(url, pool=pool).result(5).bytes()
        # From here on new connections meet the certificate that has run out.
        expired.configure_cert(context)
        assert b"fine" == http.get(url, pool=pool).result(5).bytes()
        with pytest.raises(CertificateError, match="expired"):
            http.get(url, pool=newcomer).result(5)
        assert (1, 0) == (pool.stats().connections, newcomer.stats().connections)
