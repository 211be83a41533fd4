"""Why handshakes fail, as a server counts them.

A scanner, a client that is too old and a certificate that our clients do not believe look the same
in a total; in classes each is seen at a glance.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from galeph.errors import CertificateError, ResourceClosed, TimedOut

__all__ = [
    "handshake_failure",
    "is_handshake_failure",
    "mark_handshake_failure",
    "note_handshake_failure",
]

# OpenSSL's reasons, as `ssl.SSLError.reason` has them. What is not here is "other".
_REASONS = {
    "not_tls": """
        BAD_PROTOCOL_VERSION_NUMBER HTTPS_PROXY_REQUEST HTTP_REQUEST INVALID_RECORD_TYPE
        PACKET_LENGTH_TOO_LONG RECORD_LAYER_FAILURE UNKNOWN_PROTOCOL WRONG_SSL_VERSION
        WRONG_VERSION_NUMBER
        """,
    "no_common": """
        INAPPROPRIATE_FALLBACK NO_APPLICATION_PROTOCOL NO_CIPHERS_AVAILABLE NO_CIPHERS_SPECIFIED
        NO_PROTOCOLS_AVAILABLE NO_SHARED_CIPHER NO_SHARED_GROUPS NO_SHARED_SIGNATURE_ALGORITHMS
        NO_SUITABLE_GROUPS NO_SUITABLE_KEY_SHARE NO_SUITABLE_SIGNATURE_ALGORITHM
        UNRECOGNIZED_NAME UNSUPPORTED_PROTOCOL UNSUPPORTED_SSL_VERSION VERSION_TOO_LOW
        """,
    "client_certificate": "CERTIFICATE_VERIFY_FAILED PEER_DID_NOT_RETURN_A_CERTIFICATE",
}
_CLASSES = {reason: name for name, reasons in _REASONS.items() for reason in reasons.split()}


def handshake_failure(error: Exception) -> str:
    """Return the class of a failed handshake of a server.

    - ``timeout``: not done within the time limit;
    - ``left``: the client ended or broke the connection;
    - ``not_tls``: what came was no TLS;
    - ``no_common``: no version, cipher, name or protocol that both have;
    - ``client_certificate``: none where one is required, or one that proves nothing;
    - ``refused``: the client has sent an alert, for instance because it does not believe us;
    - ``other``.
    """
    if isinstance(error, TimedOut):
        return "timeout"
    if isinstance(error, CertificateError):
        return "client_certificate"
    reason = getattr(error, "reason", None)
    if not reason:
        # What OpenSSL has not said is said by the transport below.
        return "left"
    if "_ALERT_" in reason:
        return "refused"
    return _CLASSES.get(reason, "other")


def mark_handshake_failure(error: BaseException) -> None:
    """Note on an error that a handshake as the server has failed with it."""
    error._galeph_handshake = True  # type: ignore[attr-defined]  # exceptions take any attribute


def is_handshake_failure(error: BaseException) -> bool:
    """Whether a handshake as the server has failed with this error."""
    return getattr(error, "_galeph_handshake", False)


def note_handshake_failure(
    error: Exception, counts: Counter[str], log: Callable[..., object]
) -> None:
    """Count a failed handshake by its class, and say it in one DEBUG line by ``log``.

    One that we have ended ourselves, because the server is closed, has not failed.
    """
    if isinstance(error, ResourceClosed):
        log(logging.DEBUG, "closed during its TLS handshake")
        return
    counts[handshake_failure(error)] += 1
    log(logging.DEBUG, "TLS handshake failed: %s", error)
