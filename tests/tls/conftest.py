"""Certificates in files, for the tests of TLS contexts."""

from __future__ import annotations

import pytest

from tests.transport.certificates import authority


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Certificate, key, both in one, the key encrypted, and the authority."""
    from cryptography.hazmat.primitives import serialization

    folder = tmp_path_factory.mktemp("certificates")
    issued = authority().issue_cert("localhost")
    chain, key = issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()
    loaded = serialization.load_pem_private_key(key, None)
    encrypted = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"open sesame"),
    )
    contents = {
        "cert": chain,
        "key": key,
        "both": key + chain,
        "encrypted": encrypted,
        "ca": authority().cert_pem.bytes(),
        "junk": b"junk",
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f"{name}.pem"
        paths[name].write_bytes(content)
    return paths
