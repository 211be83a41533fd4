"""Throw-away certificates for the tests of TLS."""

from __future__ import annotations

import functools
import ssl

import trustme


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


def certificate_files(folder):
    """A certificate and its key in files."""
    issued = authority().issue_cert("localhost", "127.0.0.1")
    certificate, key = folder / "certificate", folder / "key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


@functools.cache
def server_context(*, alpn: tuple[str, ...] = (), asks_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if asks_client:
        authority().configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@functools.cache
def client_context(*, alpn: tuple[str, ...] = (), has_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if has_certificate:
        authority().issue_cert("client@example.org").configure_cert(context)
    return context
