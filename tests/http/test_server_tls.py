"""HTTP over TLS: the same answers, and quiet refusals of what is no TLS."""

from __future__ import annotations

import logging
import ssl

import gevent
import pytest
import trustme
from gevent import socket

from galeph import http, tls
from tests.http.raw import GET, connected, get, read_to_end, serving


@pytest.fixture(scope="module")
def authority():
    """A certificate authority of this run."""
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority, tmp_path_factory):
    """Paths of a certificate for localhost, and of its authority."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {"certfile": str(folder / "server.pem")}, str(folder / "ca.pem")


def talk_tls(server, ca, sent):
    """Send over TLS with another implementation of the client side; return what came back."""
    context = ssl.create_default_context(cafile=ca)  # noqa: TID251  (a client that is not galeph)
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context.wrap_bio(inside, outside, server_hostname="localhost")
    received = []
    with connected(server) as sock:

        def step(action):
            while True:
                try:
                    return action()
                except ssl.SSLWantReadError:
                    if data := outside.read():
                        sock.sendall(data)
                    data = sock.recv(65536)
                    inside.write(data) if data else inside.write_eof()

        step(peer.do_handshake)
        peer.write(sent)
        while True:
            try:
                piece = step(lambda: peer.read(65536))
            except ssl.SSLZeroReturnError:
                break
            if not piece:
                break
            received.append(piece)
    return b"".join(received), peer.version()


def test_request(certificate):
    """A request over TLS says so, and is answered."""
    options, ca = certificate

    def handler(request):
        return {"body": f"{request.scheme} {request.tls.version}"}

    with serving(handler, tls=options) as server:
        received, version = talk_tls(server, ca, get("/", "Connection: close"))

    assert received.endswith(f"https {version}".encode())


def test_context(certificate):
    """``tls`` takes a context too."""
    options, ca = certificate
    with serving(lambda _: {"body": "x"}, tls=tls.server_context(**options)) as server:
        received, _ = talk_tls(server, ca, get("/", "Connection: close"))

    assert received.endswith(b"\r\n\r\nx")


@pytest.mark.attack(18)
def test_plain_http_on_the_tls_port(certificate, caplog):
    """Plain HTTP on the TLS port gets one alert, a DEBUG line and no traceback."""
    caplog.set_level(logging.DEBUG)
    options, _ = certificate
    asked = []
    with serving(asked.append, tls=options) as server, connected(server) as sock:
        sock.sendall(GET)
        received = read_to_end(sock)
        gevent.sleep(0.02)

        assert 1 == server.stats().failed_handshakes
        assert 0 == server.stats().active
    assert b"\x15\x03" == received[:2]
    assert 7 == len(received)
    assert [] == asked
    [line] = [one for one in caplog.records if "handshake" in one.getMessage()]
    assert (logging.DEBUG, None) == (line.levelno, line.exc_info)


@pytest.mark.attack(97)
def test_handshake_that_never_ends(certificate):
    """A client that connects and says nothing, or half a hello, is closed at the deadline."""
    options, _ = certificate
    timeouts = http.Timeouts(tls=0.2)
    with serving(lambda _: None, tls=options, timeouts=timeouts) as server:
        for sent in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with connected(server) as sock:
                if sent:
                    sock.sendall(sent)

                assert len(read_to_end(sock)) <= 7
        gevent.sleep(0.02)

        assert 0 == server.stats().active


def test_reset_in_the_handshake(certificate):
    """A client that resets in the middle of the handshake leaves nothing behind."""
    options, _ = certificate
    with serving(lambda _: None, tls=options) as server:
        with connected(server) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
            gevent.sleep(0.02)
        gevent.sleep(0.02)

        assert 0 == server.stats().active
