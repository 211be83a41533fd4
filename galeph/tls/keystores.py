"""Key stores in PKCS #12, as Java, Windows and browsers export them.

The package ``cryptography`` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from galeph.tls.material import is_path, to_pem

__all__ = ["load_keystore"]


def load_keystore(store: Any, password: str | bytes | None = None) -> dict[str, bytes]:
    """Read a key store into options of ``tls=``.

    ``tls={**tls.load_keystore("me.p12", "secret"), "ca": "ca.pem"}``. A store with a private key
    becomes ``certfile`` and ``keyfile``; one of certificates alone, a trust store, becomes ``ca``.

    Args:
        store: a path, the contents as bytes, an open binary file, or what cryptography's
            ``load_pkcs12`` has returned.
        password: of the store; None where it has none.

    Raises:
        ImportError: the package ``cryptography`` is missing: ``pip install 'galeph[selfsigned]'``.
        OSError: the file cannot be read.
        ValueError: that is no key store, or the password is wrong.
    """
    try:
        from cryptography.hazmat.primitives.serialization import pkcs12
    except ImportError as error:
        text = "tls.load_keystore() needs cryptography: pip install 'galeph[selfsigned]'"
        raise ImportError(text) from error

    if password is not None and not isinstance(password, (str, bytes)):
        raise TypeError(f"password must be str or bytes, not {type(password).__name__}")
    if isinstance(store, str) and not store:
        raise ValueError("store must not be empty")
    if not hasattr(store, "additional_certs"):
        data = Path(store).read_bytes() if is_path(store) else _read(store)
        secret = password.encode() if isinstance(password, str) else password
        try:
            store = pkcs12.load_pkcs12(data, secret)
        except ValueError as error:
            raise ValueError(f"store or password is not right: {error}") from error
    others = [one.certificate for one in store.additional_certs]
    if store.key is None:
        own = [] if store.cert is None else [store.cert.certificate]
        if not own and not others:
            raise ValueError("store: it is empty")
        return {"ca": to_pem("store", [*own, *others])}
    if store.cert is None:
        raise ValueError("store: it has a private key without its certificate")
    return {
        "certfile": to_pem("store", [store.cert.certificate, *others]),
        "keyfile": to_pem("store", store.key),
    }


def _read(store: Any) -> bytes:
    data = store.read() if hasattr(store, "read") else store
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"store must be a path, bytes or an open binary file, not {store!r}")
    return bytes(data)
