"""Whom a client believes that was told nobody: the system's authorities, or else certifi's."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["load_default_authorities"]

# Where a user names a store to OpenSSL.
_STORES = frozenset(("SSL_CERT_FILE", "SSL_CERT_DIR"))
_LOGGER = logging.getLogger("galeph.tls")


def load_default_authorities(context: SSLContext) -> None:
    """Have a context believe the authorities of the system.

    Where the system has none (a slim container), those of the package certifi, if it is installed.
    Who has named a store by SSL_CERT_FILE or SSL_CERT_DIR gets that one alone. Without any, the
    context believes nobody, and a WARNING says so.
    """
    context.load_default_certs()
    if _has_any(context) or _STORES & os.environ.keys():
        return
    try:
        import certifi
    except ImportError:
        text = "this system has no certificate authorities and certifi is not installed: no "
        _LOGGER.warning("%scertificate will be believed", text)
        return
    context.load_verify_locations(cafile=certifi.where())


def _has_any(context: SSLContext) -> bool:
    import ssl

    if context.cert_store_stats()["x509_ca"]:
        return True
    # Those in a folder are read when they are needed, and not counted.
    folder: str | None = ssl.get_default_verify_paths().capath
    return folder is not None and any(Path(folder).glob("*.0"))
