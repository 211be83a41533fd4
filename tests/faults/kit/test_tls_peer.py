"""The TLS peer: it speaks TLS until it misbehaves, and says how that ended."""

from __future__ import annotations

import ssl

import gevent
import pytest
from gevent import get_hub, socket

from tests.faults.kit.tls_peer import MISDEEDS, misbehave_as_client, misbehaving_server
from tests.transport.certificates import authority, client_context, server_context

# What OpenSSL answers, where that is the same whatever the random bytes are (RFC 8446 section 6).
ALERTS = {"bad_mac": 20, "oversized": 22, "renegotiation": 10}


def echo_once(listener):
    """A TLS server on the standard library, for one connection; runs in a thread."""
    sock, _ = listener.accept()
    context = server_context()
    with context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as tls:
        tls.send(tls.recv(100))
        try:
            while tls.recv(100):
                pass
        except ssl.SSLError as error:
            return error.reason
    return None


@pytest.mark.unpatched_only
@pytest.mark.parametrize("misdeed", MISDEEDS)
def test_client(misdeed):
    """As a client it gets its answer, and then what the misdeed deserves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = get_hub().threadpool.spawn(echo_once, listener)
        report = misbehave_as_client(listener.getsockname()[1], misdeed, b"hello")
        reason = serving.get()

    assert report["answer"] in ("hello", "")
    assert report["end"] in (ALERTS.get(misdeed, report["end"]), "reset")
    assert reason is not None


@pytest.mark.unpatched_only
def test_server(tmp_path):
    """As a server it answers, and then misbehaves."""
    issued = authority().issue_cert("localhost")
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)

    def ask(port):
        with (
            socket.create_connection(("127.0.0.1", port)) as sock,
            client_context().wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            tls.send(b"question")
            answer = tls.recv(100)
            with pytest.raises(ssl.SSLError, match="bad record mac"):
                tls.recv(100)
        return answer

    with misbehaving_server("bad_mac", certificate, key, b"answer") as server:
        with gevent.Timeout(20):
            answer = get_hub().threadpool.apply(ask, (server.ready["port"],))
        end = server.ask()["end"]

    assert b"answer" == answer
    assert end in (20, "reset")
