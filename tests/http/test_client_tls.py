"""The client over TLS: the certificate proves the host, and connections know their identity."""

from __future__ import annotations

import io
import ssl

import gevent
import pytest
import trustme
from cryptography import x509
from gevent import socket

from galeph import http
from galeph.errors import CertificateError, IncompleteBody, TLSError
from galeph.testing import no_leaks
from tests.http.raw import serving
from tests.http.scripted import OK, pool_of, scripted
from tests.transport.certificates import authority, client_context, server_context


@pytest.fixture
def server():
    """A galeph server with a certificate for localhost and 127.0.0.1."""

    def handler(request):
        return http.Response(body=request.read() or b"hello")

    with serving(handler, tls=server_context()) as running:
        yield running


def ca():
    return authority().cert_pem.bytes()


def test_a_request_over_tls(server):
    """An https request is answered, and its connection is used again."""
    with pool_of(tls={"ca": ca()}) as pool:
        url = f"https://localhost:{server.port}/"
        for _ in range(3):
            assert b"hello" == http.get(url, pool=pool).result(5).bytes()
        assert b"x" * 300_000 == http.post(url, body=b"x" * 300_000, pool=pool).result(5).bytes()

        assert (1, 3) == (pool.stats().opened, pool.stats().reused)


def test_a_context_of_the_callers(server):
    """A request may bring its own context, in place of the pool's."""
    with pool_of() as pool:
        url = f"https://127.0.0.1:{server.port}/"
        for _ in range(2):
            assert b"hello" == http.get(url, pool=pool, tls=client_context()).result(5).bytes()

        assert 1 == pool.stats().opened


def test_an_unknown_authority_is_refused(server):
    """By default the certificate has to be one the system trusts."""
    with pool_of() as pool, pytest.raises(CertificateError):
        http.get(f"https://localhost:{server.port}/", pool=pool).result(5)


def test_the_certificate_must_be_the_hosts():
    """A certificate for another name is refused; `server_hostname` says which to expect."""
    answer = http.Response(body=b"other")
    with (
        serving(lambda _: answer, tls=server_context(), host="127.0.0.2") as other,
        pool_of(tls={"ca": ca()}) as pool,
    ):
        url = f"https://127.0.0.2:{other.port}/"
        with pytest.raises(CertificateError):
            http.get(url, pool=pool).result(5)
        named = {"ca": ca(), "server_hostname": "localhost"}

        assert b"other" == http.get(url, pool=pool, tls=named).result(5).bytes()


def test_connections_are_not_shared_across_identities(server):
    """Equal options share connections; another context or another name does not."""
    with pool_of(tls={"ca": ca()}) as pool:
        url = f"https://localhost:{server.port}/"
        for tls in (None, {"ca": ca()}, client_context(), {"insecure": True}, None):
            assert b"hello" == http.get(url, pool=pool, tls=tls).result(5).bytes()

        assert (3, 2) == (pool.stats().opened, pool.stats().reused)


@pytest.mark.parity("TLS-08")
def test_an_open_file_is_read_once(server):
    """An authority given as an open file is read once in a pool, by one connection after the other
    and by several at once; another open file is another authority."""
    url = f"https://localhost:{server.port}/"
    tls = {"ca": io.BytesIO(ca())}
    with pool_of(tls=tls) as pool:
        for _ in range(2):
            waiting = [http.get(url, pool=pool) for _ in range(3)]
            assert [b"hello"] * 3 == [one.result(5).bytes() for one in waiting]
        assert b"hello" == http.get(url, pool=pool, tls=tls).result(5).bytes()
        assert 3 == pool.stats().opened

        with pytest.raises(CertificateError):
            other = trustme.CA().cert_pem.bytes()
            http.get(url, pool=pool, tls={"ca": io.BytesIO(other)}).result(5)


def test_authorities_of_the_same_name(server):
    """Two certificates that show the same text are two."""
    name = "the authority"
    one, other = (trustme.CA(organization_name=name, organization_unit_name=name) for _ in "12")
    objects = [x509.load_pem_x509_certificate(each.cert_pem.bytes()) for each in (one, other)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    one.issue_cert("localhost").configure_cert(context)
    with serving(lambda _: http.Response(body=b"hello"), tls=context) as served, pool_of() as pool:
        url = f"https://localhost:{served.port}/"
        answer = http.get(url, pool=pool, tls={"ca": objects[0]}).result(5)
        assert b"hello" == answer.bytes()
        with pytest.raises(CertificateError):
            http.get(url, pool=pool, tls={"ca": objects[1]}).result(5)


def test_https_to_a_server_without():
    """A server that answers without TLS is a TLSError."""

    def script(peer):
        peer.fill()
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.wait_closed()

    with scripted(script) as plain, pool_of(tls={"ca": ca()}) as pool, pytest.raises(TLSError):
        http.get(f"https://127.0.0.1:{plain.port}/", pool=pool).result(5)


@pytest.mark.attack(292)
def test_failed_handshakes_leave_nothing(server):
    """After a thousand failed handshakes the pool is as empty as before, and no descriptor,
    greenlet or watcher is left."""
    with pool_of() as pool, no_leaks():
        for _ in range(1000):
            with pytest.raises(CertificateError):
                http.get(f"https://localhost:{server.port}/", pool=pool).result(5)

        assert 0 == pool.stats().connections


def wrapped_server(script):
    """One TLS connection, served by a script of a thread-free ssl object over a gevent socket."""
    from gevent.ssl import SSLContext

    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1").configure_cert(context)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    def serve():
        raw, _ = listener.accept()
        listener.close()
        with context.wrap_socket(raw, server_side=True) as sock:
            sock.recv(65536)
            script(sock)

    return listener.getsockname()[1], gevent.spawn(serve)


@pytest.mark.attack(185)
@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
    ],
    ids=["until-close", "length", "in-a-chunk", "between-chunks"],
)
def test_a_bare_end_of_tcp_is_a_truncation(cut):
    """A body that ends with the connection, and the connection without close_notify, is cut."""
    port, greenlet = wrapped_server(lambda sock: sock.sendall(cut))
    with pool_of(tls=client_context()) as pool:
        received = http.get(f"https://127.0.0.1:{port}/", pool=pool).result(5)
        with pytest.raises(IncompleteBody):
            received.bytes()

        assert 0 == pool.stats().connections
    greenlet.kill()


@pytest.mark.attack(185)
@pytest.mark.parametrize(
    "whole",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_a_bare_end_of_tcp_behind_a_body(whole):
    """Behind a body that says itself where it ends, the missing close_notify is no matter."""
    port, greenlet = wrapped_server(lambda sock: sock.sendall(whole))
    with pool_of(tls=client_context()) as pool:
        received = http.get(f"https://127.0.0.1:{port}/", pool=pool).result(5)

        assert b"body" == received.bytes()
    greenlet.kill()


def test_a_close_notify_ends_a_body():
    """A body without a length ends with close_notify."""

    def script(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nbody")
        sock.unwrap()

    port, greenlet = wrapped_server(script)
    with pool_of(tls=client_context()) as pool:
        received = http.get(f"https://127.0.0.1:{port}/", pool=pool).result(5)

        assert b"body" == received.bytes()
    greenlet.kill()


def test_an_idle_tls_connection_that_ended_is_not_used():
    """A close_notify that came while the connection was idle is seen before it is used again."""

    def script(sock):
        sock.sendall(OK)
        sock.unwrap()

    port, greenlet = wrapped_server(script)
    with pool_of(tls=client_context()) as pool:
        http.get(f"https://127.0.0.1:{port}/", pool=pool).result(5)
        gevent.sleep(0.02)
        with pytest.raises(ConnectionRefusedError):
            http.get(f"https://127.0.0.1:{port}/", pool=pool).result(5)
    greenlet.kill()
