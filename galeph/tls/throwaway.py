"""Certificates nobody signed, for trying things out. The package ``cryptography`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from galeph.tls.contexts import server_context
from galeph.transport.arguments import check_host

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["make_certificate", "self_signed"]

# Long enough for a day's work on a machine whose clock is off, too short to be left in place.
_VALID_BEFORE, _VALID_AFTER = timedelta(days=1), timedelta(days=30)


def self_signed(*hosts: str, alpn: Sequence[str] = ()) -> SSLContext:
    """Make a server's context with a certificate nobody signed, new at every call.

    For trying things out: clients must be told to accept it (``tls={"insecure": True}``).

    Args:
        hosts: names and addresses it is for; by default those of this machine's loopback.
        alpn: as for `server_context`; a server that is given the context cannot add to it.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        ImportError: the package ``cryptography`` is missing: ``pip install 'galeph[selfsigned]'``.
    """
    for host in hosts:
        check_host(host, name="hosts")
        if not host or not host.isascii():
            raise ValueError(f"hosts must be names or addresses in ASCII, not {host!r}")
    try:
        pem = make_certificate(hosts or ("localhost", "127.0.0.1", "::1"))
    except ImportError as error:
        text = "tls.self_signed() needs cryptography: pip install 'galeph[selfsigned]'"
        raise ImportError(text) from error
    return server_context(certfile=pem, alpn=alpn)


def make_certificate(hosts: Sequence[str]) -> bytes:
    """A new key and a certificate for ``hosts`` that it signs itself, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0][:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID_BEFORE)
        .not_valid_after(now + _VALID_AFTER)
        .add_extension(x509.SubjectAlternativeName(list(map(_general_name, hosts))), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
