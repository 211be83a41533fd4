"""Servers and clients that shake hands, over a network and in memory."""

from __future__ import annotations

import ssl
import subprocess

from galeph import tcp, tls


def exchange(server_tls, client_tls):
    """What a client hears from an echo server, or what kept it from that."""

    def echo(connection, _info):
        for message in connection:
            connection.put(message)

    with tcp.start_server(echo, tls=server_tls) as server:
        try:
            with tcp.client("localhost", server.port, tls=client_tls).result(5) as client:
                client.put(b"hello")
                return client.take()
        finally:
            server.close(0)


def subject_hash(path):
    """The name OpenSSL looks a certificate up by in a folder."""
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def handshake(server, client):
    """Run a handshake of two contexts in memory; return the client's side."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (one, other):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return one


def insecure_client(alpn=()):
    return tls.client_context(insecure=True, alpn=alpn)


def negotiated(server):
    return handshake(server, insecure_client(["h2", "http/1.1"])).selected_alpn_protocol()


def peer_certificate(server):
    return handshake(server, insecure_client()).getpeercert(binary_form=True)
