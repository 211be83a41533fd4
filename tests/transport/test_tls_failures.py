"""Failed handshakes are counted by their class."""

from __future__ import annotations

import logging

import gevent
import pytest

from galeph import tls
from galeph.errors import ConnectionLost, TLSError, TLSTimeout
from galeph.tls.throwaway import make_certificate
from galeph.transport.connect import connect
from galeph.transport.serving import serve_connections
from galeph.transport.tls_failures import handshake_failure
from tests.transport.certificates import authority, client_context
from tests.transport.wire import dialled, read_to_the_end, reset, settle

CHACHA, AES = "ECDHE+CHACHA20", "ECDHE+AESGCM"


def believing(**options):
    return tls.client_context(ca=authority().cert_pem.bytes(), **options)


def send(data):
    """A client that sends this, and waits for the end."""

    def misbehave(port):
        with dialled(port) as client:
            client.sendall(data)
            read_to_the_end(client)

    return misbehave


def leave(*, abruptly):
    """A client that is gone before it has said enough."""

    def misbehave(port):
        with dialled(port) as client:
            client.sendall(b"\x16\3\1\1\0")
            if abruptly:
                reset(client)

    return misbehave


def shake_hands(context):
    """A galeph client that is refused, at once or when the server has seen its certificate."""

    def misbehave(port):
        with pytest.raises((TLSError, ConnectionLost)):
            transport = connect("localhost", port, tls_context=context())
            try:
                transport.recv()
            finally:
                transport.close()

    return misbehave


def own_certificate():
    """Of an authority that the server does not know."""
    return believing(certfile=make_certificate(["me"]))


CASES = {
    "silence": (lambda port: send(b"")(port), "timeout"),
    "end": (leave(abruptly=False), "left"),
    "reset": (leave(abruptly=True), "left"),
    "http": (send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "not_tls"),
    "ssh": (send(b"SSH-2.0-OpenSSH_9.2\r\n"), "not_tls"),
    "zeros": (send(b"\0" * 100), "not_tls"),
    "version": (
        send(b"\x16\3\1\0\x2f\1\0\0\x2b\3\2" + b"r" * 32 + b"\0\0\4\0\x2f\0\x35\1\0"),
        "no_common",
    ),
    "cipher": (
        shake_hands(lambda: believing(max_version="TLSv1.2", ciphers=AES)),
        "no_common",
    ),
    "no certificate": (shake_hands(believing), "client_certificate"),
    "wrong certificate": (shake_hands(own_certificate), "client_certificate"),
    "does not believe us": (shake_hands(tls.client_context), "refused"),
    "malformed": (send(b"\x16\3\1\0\5\1\0\0\1x"), "other"),
}


@pytest.mark.parity("TLS-34")
@pytest.mark.parametrize("case", CASES)
def test_on_a_server(case, caplog):
    """Whatever the client does, it is one line without a traceback, and counted in its class; the
    next client is served."""
    caplog.set_level(logging.DEBUG, "galeph.server")
    misbehave, expected = CASES[case]
    issued = authority().issue_cert("localhost").private_key_and_cert_chain_pem.bytes()
    context = tls.server_context(
        certfile=issued, ca=authority().cert_pem.bytes(), verify="required", ciphers=CHACHA
    )
    timeout = 0.05 if case == "silence" else 10
    served = []
    with serve_connections(served.append, tls_context=context, tls_timeout=timeout) as server:
        misbehave(server.port)
        assert settle(lambda: server.stats().failed_handshakes and not server.stats().active)
        gevent.sleep(0)
        (line,) = caplog.records

        assert {expected: 1} == server.stats().failed_handshakes_by
        assert 1 == server.stats().failed_handshakes
        assert [] == served
        assert (None, True) == (line.exc_info, "TLS handshake failed" in line.message)
        assert line.levelno == logging.DEBUG

        server._tls_timeout = 10
        connect("localhost", server.port, tls_context=client_context(has_certificate=True)).close()
        assert settle(lambda: 1 == len(served))


def error(reason):
    made = TLSError(1, "text")
    made.reason = reason
    return made


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (TLSTimeout("late"), "timeout"),
        (ConnectionLost(104, "reset"), "left"),
        (TLSError("left"), "left"),
        (error("TLSV1_ALERT_UNKNOWN_CA"), "refused"),
        (error("SSLV3_ALERT_BAD_CERTIFICATE"), "refused"),
        (error("NO_APPLICATION_PROTOCOL"), "no_common"),
        (error("UNRECOGNIZED_NAME"), "no_common"),
        (error("BAD_RECORD_TYPE"), "other"),
    ],
)
def test_classes(failure, expected):
    """Classes follow from the error alone."""
    assert expected == handshake_failure(failure)
