"""HTTP over TLS: the same answers, and quiet refusals of what is no TLS."""

from __future__ import annotations

import logging
import ssl
import struct
from functools import partial

import gevent
import pytest
import trustme
from gevent import socket, subprocess

from galeph import http, tls
from galeph.errors import ConnectionLost, IncompleteBody
from tests.http.raw import GET, connected, get, post, read_to_end, serving
from tests.transport.tls_peer import TLSPeer

CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


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


def peer_on(sock, ca, name="localhost"):
    """The client side of TLS, which trusts ``ca``."""
    context = ssl.create_default_context(cafile=ca)  # noqa: TID251  (not galeph's client)
    return TLSPeer(sock, context, name)


def talk_tls(server, ca, sent, name="localhost"):
    """Send over TLS; return what came back and by which version."""
    with connected(server) as sock:
        peer = peer_on(sock, ca, name)
        peer.handshake()
        peer.send(sent)
        return peer.read_to_end(), peer.tls.version()


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


def client_hello(server_name):
    """A ClientHello of TLS 1.2 that asks for a server by this name, as records."""
    ciphers = b"\xc0\x2b\xc0\x2f"
    names = b"\0" + struct.pack("!H", len(server_name)) + server_name
    names = struct.pack("!H", len(names)) + names
    extensions = struct.pack("!HH", 0, len(names)) + names
    # supported_groups and signature_algorithms: P-256, and what goes with it.
    extensions += b"\0\x0a\0\4\0\2\0\x17" + b"\0\x0d\0\6\0\4\4\3\x08\x04"
    body = b"\3\3" + b"r" * 32 + b"\0" + struct.pack("!H", len(ciphers)) + ciphers + b"\1\0"
    body += struct.pack("!H", len(extensions)) + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    pieces = [message[at : at + 16384] for at in range(0, len(message), 16384)]
    return b"".join(b"\x16\3\1" + struct.pack("!H", len(piece)) + piece for piece in pieces)


SERVER_HELLO, ALERT = 22, 21


@pytest.mark.attack(182)
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (b"localhost", SERVER_HELLO),
        (b"LOCALHOST", SERVER_HELLO),
        (b"unknown.example", SERVER_HELLO),
        (b"127.0.0.1", SERVER_HELLO),
        (b"a" * 256, ALERT),
        (b"a" * 65_000, ALERT),
    ],
    ids=["right", "upper-case", "unknown", "address", "long", "64-kilobytes"],
)
def test_server_name(certificate, name, answer):
    """Whatever server is asked for, the one there is answers; an endless name is an alert."""
    options, _ = certificate
    with serving(lambda _: None, tls=options) as server, connected(server) as sock:
        sock.sendall(client_hello(name))
        received = sock.recv(5)

        assert answer == received[0]
        if answer == ALERT:
            assert 2 == len(read_to_end(sock))
            assert 0 == server.stats().active


@pytest.mark.attack(182)
def test_no_server_name(certificate):
    """A client that asks for no server by name gets the one there is."""
    options, ca = certificate
    with serving(lambda _: {"body": "x"}, tls=options) as server:
        received, _ = talk_tls(server, ca, get("/", "Connection: close"), name="127.0.0.1")

    assert received.endswith(b"\r\n\r\nx")


@pytest.mark.attack(184)
def test_renegotiation(certificate):
    """A client that wants another handshake on its connection is refused."""
    options, ca = certificate
    assert tls.server_context(**options).options & ssl.OP_NO_RENEGOTIATION
    with serving(lambda _: {"body": "x"}, tls=options) as server:
        command = ["openssl", "s_client", "-tls1_2", "-CAfile", ca, "-connect"]
        client = subprocess.Popen(
            [*command, f"127.0.0.1:{server.port}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = client.communicate(b"R\n", timeout=10)
        gevent.sleep(0.01)

        assert b"RENEGOTIATING" in output
        assert b"no renegotiation" in output
        assert 0 == server.stats().active
        received, _ = talk_tls(server, ca, get("/", "Connection: close"))
        assert received.endswith(b"x")


@pytest.mark.attack(186)
@pytest.mark.parametrize("where", ["before", "behind-hello", "behind-finished"])
def test_plain_text_around_the_handshake(certificate, where):
    """Bytes in clear before the handshake, in it or right behind it are never a request."""
    options, ca = certificate
    asked = []
    with serving(asked.append, tls=options) as server, connected(server) as sock:
        peer = peer_on(sock, ca)
        if where == "before":
            sock.sendall(GET)
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.do_handshake()
        peer.flush(GET if where == "behind-hello" else b"")
        if where == "behind-finished":
            peer.handshake()
            peer.flush(GET)
        read_to_end(sock)
        gevent.sleep(0.01)

        assert [] == asked
        assert 0 == server.stats().counts["requests"]
        assert 0 == server.stats().active


@pytest.mark.attack(191)
@pytest.mark.parametrize("how", ["certificates", "context"])
def test_another_certificate_under_load(authority, tmp_path, how):
    """A certificate that is loaded while clients come and stay, by `reload` or into a context of
    the user's, is shown to those who come then; nobody is dropped."""
    path, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)

    def renew(name):
        issued = authority.issue_cert("localhost", common_name=name)
        issued.private_key_and_cert_chain_pem.write_to_path(path)

    def come(server):
        with connected(server) as sock:
            peer = peer_on(sock, ca)
            peer.handshake()
            peer.send(get("/", "Connection: close"))
            assert peer.read_to_end().endswith(b"x")
            subject = dict(field for (field,) in peer.tls.getpeercert()["subject"])
            return subject["commonName"]

    def stay(server):
        answers = 0
        with connected(server) as sock:
            peer = peer_on(sock, ca)
            peer.handshake()
            while not is_over.is_set():
                peer.send(GET)
                answers += peer.read().endswith(b"x")
                gevent.sleep(0)
        return answers

    is_over = gevent.event.Event()
    renew("old")
    if how == "certificates":
        shown = tls.certificates(certfile=path)
        load = shown.reload
    else:
        shown = tls.server_context(certfile=path)
        load = partial(shown.load_cert_chain, path)
    with serving(lambda _: {"body": "x"}, tls=shown) as server:
        staying = [gevent.spawn(stay, server) for _ in range(4)]
        before = {come(server) for _ in range(10)}
        renew("new")
        load()
        after = {come(server) for _ in range(10)}
        is_over.set()
        answers = [one.get(timeout=5) for one in staying]

        assert ({"old"}, {"new"}) == (before, after)
        assert all(answers)
        assert sum(answers) + 20 == server.stats().counts["requests"]
        assert 24 == server.stats().accepted


@pytest.mark.attack(185)
@pytest.mark.parametrize(
    "sent",
    [post(b"x" * 10)[:-1], CHUNKED + b"5\r\nab", CHUNKED + b"5\r\nabcde\r\n0\r\n"],
    ids=["length", "chunk", "last-chunk"],
)
def test_end_without_close_notify(certificate, sent):
    """A request's body that a bare end of TCP cuts short is an error for the handler."""
    options, ca = certificate
    seen = []

    def handler(request):
        try:
            request.read()
        except (IncompleteBody, ConnectionLost) as error:
            seen.append(error)
            raise

    with serving(handler, tls=options) as server:
        with connected(server) as sock:
            peer = peer_on(sock, ca)
            peer.handshake()
            peer.send(sent)
            sock.shutdown(socket.SHUT_WR)
            read_to_end(sock)

        assert 1 == len(seen)
        assert 0 == server.stats().active


@pytest.mark.attack(185)
def test_end_without_close_notify_behind_a_request(certificate, caplog):
    """Behind a complete request a bare end of TCP takes nothing from its answer, and is no line."""
    caplog.set_level(logging.INFO)
    options, ca = certificate
    with (
        serving(lambda request: {"body": request.read()}, tls=options) as server,
        connected(server) as sock,
    ):
        peer = peer_on(sock, ca)
        peer.handshake()
        peer.send(post(b"whole"))
        sock.shutdown(socket.SHUT_WR)

        assert peer.read().endswith(b"whole")
        read_to_end(sock)
        assert 0 == server.stats().active
    assert [] == caplog.records
