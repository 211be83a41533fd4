"""Key stores in PKCS #12."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    load_pem_private_key,
    pkcs12,
)

from galeph import tls
from tests.tls.scenes import exchange


@pytest.fixture
def stores(files, tmp_path):
    """Paths of a key store with a password, one without, and a trust store."""
    cert = x509.load_pem_x509_certificate(files["cert"].read_bytes())
    ca = x509.load_pem_x509_certificate(files["ca"].read_bytes())
    key = load_pem_private_key(files["key"].read_bytes(), None)
    make = pkcs12.serialize_key_and_certificates
    contents = {
        "locked": make(b"me", key, cert, [ca], BestAvailableEncryption(b"secret")),
        "open": make(b"me", key, cert, None, NoEncryption()),
        "trust": make(None, None, None, [ca], BestAvailableEncryption(b"secret")),
        "lone key": make(b"me", key, None, None, NoEncryption()),
    }
    paths = {}
    for name, content in contents.items():
        paths[name] = tmp_path / f"{name}.p12"
        paths[name].write_bytes(content)
    return paths


@pytest.mark.parity("TLS-36", "TLS-37")
def test_path_and_password(stores, files):
    """A client shows the certificate of its key store, and believes those of its trust store."""
    own = tls.load_keystore(stores["locked"], "secret")
    trust = tls.load_keystore(str(stores["trust"]), b"secret")
    server = {"certfile": files["both"], "ca": files["ca"], "verify": "required"}

    assert {"certfile", "keyfile"} == own.keys()
    assert 2 == own["certfile"].count(b"-----BEGIN CERTIFICATE-----")
    assert {"ca"} == trust.keys()
    assert b"hello" == exchange(server, {**own, **trust})


@pytest.mark.parity("TLS-37")
def test_other_forms(stores, files):
    """A store may be bytes, an open file or an object that was read already, and have no
    password."""
    data = stores["open"].read_bytes()
    expected = tls.load_keystore(stores["open"])

    assert expected == tls.load_keystore(data, None)
    assert expected == tls.load_keystore(io.BytesIO(data))
    assert expected == tls.load_keystore(pkcs12.load_pkcs12(data, None))
    assert b"hello" == exchange(expected, {"ca": files["ca"]})


@pytest.mark.parity("TLS-36")
def test_exclusive_with_insecure(stores):
    """A trust store says whom to believe; with insecure beside it, it would mean nothing."""
    with pytest.raises(ValueError, match=r"ca: .*insecure"):
        tls.client_context(**tls.load_keystore(stores["trust"], "secret"), insecure=True)


def test_refused(stores):
    """A wrong password, what is no store, and a store of which nothing can be made are
    ValueErrors; what can hold none is a TypeError."""
    for store, password in ((stores["locked"], "wrong"), (b"junk", None), (stores["locked"], None)):
        with pytest.raises(ValueError, match="store or password"):
            tls.load_keystore(store, password)
    with pytest.raises(ValueError, match="without its certificate"):
        tls.load_keystore(stores["lone key"])
    with pytest.raises(ValueError, match="empty"):
        tls.load_keystore(SimpleNamespace(key=None, cert=None, additional_certs=[]))
    with pytest.raises(TypeError, match="store must be"):
        tls.load_keystore(7)
