"""TLS contexts: made safely, and made of whatever ``tls=`` was given.

Everything here is a plain ``ssl.SSLContext``; galeph runs it over memory buffers, so a context of
your own works as well, whether it was made before or after gevent patched the process. The
defaults: TLS 1.2 or newer, no renegotiation, no compression, and on a client the certificate and
the host name are verified.

Wherever galeph takes ``tls=``, it takes

- None or False: no TLS;
- True: on a client, `client_context()`; a server cannot do without a certificate;
- an ``ssl.SSLContext``, used as it is, never changed;
- a dict of the options of `server_context` or `client_context`; on a client also
  ``server_hostname``, the name to verify where it is not the host connected to.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from galeph._arguments import check_flag, named
from galeph.transport.arguments import check_host, check_tls_side
from galeph.transport.tls import check_context

if TYPE_CHECKING:
    # Not at run time: a program that patches after importing galeph must find `ssl` untouched.
    from ssl import SSLContext, TLSVersion

    AnyPath = str | os.PathLike[str]

__all__ = [
    "client_context",
    "self_signed",
    "server_context",
    "to_client_context",
    "to_server_context",
]

_VERSIONS = ("TLSv1.2", "TLSv1.3")
# Of a self-signed certificate: long enough for a day's work on a machine whose clock is off, too
# short to be left in place.
_VALID_BEFORE, _VALID_AFTER = timedelta(days=1), timedelta(days=30)
_SERVER_OPTIONS = frozenset(
    ("certfile", "keyfile", "password", "ca", "alpn", "verify", "ciphers", "min_version"),
)
_CLIENT_OPTIONS = _SERVER_OPTIONS | {"insecure", "server_hostname"}


def server_context(
    *,
    certfile: AnyPath,
    keyfile: AnyPath | None = None,
    password: str | bytes | None = None,
    ca: AnyPath | bytes | None = None,
    verify: Literal["none", "optional", "required"] = "none",
    alpn: Sequence[str] = (),
    ciphers: str | None = None,
    min_version: str | TLSVersion = "TLSv1.2",
) -> SSLContext:
    """Make a context for a server.

    Args:
        certfile: the certificate chain, as a PEM file, the server's own first.
        keyfile: its private key; None if that is in ``certfile`` too.
        password: of the private key.
        ca: whom to believe about clients: a PEM file, a directory of them, or PEM as bytes.
        verify: whether clients must show a certificate of ``ca``: never, if they have one, always.
        alpn: the protocols offered, the preferred one first.
        ciphers: OpenSSL's cipher list for TLS 1.2.
        min_version: "TLSv1.2" or "TLSv1.3".

    Raises:
        OSError: a file cannot be read.
        ValueError: an argument is not what it should be; the text names it.
    """
    import ssl

    modes = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
    if verify not in tuple(modes):
        raise ValueError(f"verify must be one of {', '.join(modes)}, got {verify!r}")
    if verify != "none" and ca is None:
        raise ValueError(f'ca: verify="{verify}" needs to know whom to believe about clients')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, min_version, ciphers, alpn)
    _load_certificate(context, certfile, keyfile, password)
    context.verify_mode = modes[verify]
    if ca is not None:
        _load_ca(context, ca)
    return context


def client_context(
    *,
    ca: AnyPath | bytes | None = None,
    certfile: AnyPath | None = None,
    keyfile: AnyPath | None = None,
    password: str | bytes | None = None,
    verify: Literal["required", "none"] = "required",
    insecure: bool = False,
    alpn: Sequence[str] = (),
    ciphers: str | None = None,
    min_version: str | TLSVersion = "TLSv1.2",
) -> SSLContext:
    """Make a context for a client.

    Args:
        ca: whom to believe: a PEM file, a directory of them, or PEM as bytes; None for those the
            system believes.
        certfile: the client's own certificate chain, if it is to show one.
        keyfile: its private key; None if that is in ``certfile`` too.
        password: of the private key.
        verify: "none" is the same as ``insecure``.
        insecure: accept any certificate of anybody. For tests; it protects against nothing.
        alpn: the protocols offered, the preferred one first.
        ciphers: OpenSSL's cipher list for TLS 1.2.
        min_version: "TLSv1.2" or "TLSv1.3".

    Raises:
        OSError: a file cannot be read.
        ValueError: an argument is not what it should be; the text names it.
    """
    import ssl

    if verify not in ("required", "none"):
        raise ValueError(f"verify must be required or none on a client, got {verify!r}")
    check_flag("insecure", insecure)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, min_version, ciphers, alpn)
    # RFC 9525 section 6.1: a certificate without alternative names proves none.
    context.hostname_checks_common_name = False
    if certfile is not None:
        _load_certificate(context, certfile, keyfile, password)
    elif keyfile is not None or password is not None:
        what = "a keyfile" if keyfile is not None else "a password"
        raise ValueError(f"certfile: there is {what}, but no certificate it belongs to")
    if insecure or verify == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs()
    else:
        _load_ca(context, ca)
    return context


def self_signed(*hosts: str, alpn: Sequence[str] = ()) -> SSLContext:
    """Make a server's context with a certificate nobody signed, new at every call.

    For trying things out: clients must be told to accept it (``tls={"insecure": True}``).

    Args:
        hosts: names and addresses it is for; by default those of this machine's loopback.
        alpn: as for `server_context`.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        ImportError: the package ``cryptography`` is missing: ``pip install 'galeph[selfsigned]'``.
    """
    for host in hosts:
        check_host(host, name="hosts")
        if not host or not host.isascii():
            raise ValueError(f"hosts must be names or addresses in ASCII, not {host!r}")
    try:
        pem = _make_certificate(hosts or ("localhost", "127.0.0.1", "::1"))
    except ImportError as error:
        text = "tls.self_signed() needs cryptography: pip install 'galeph[selfsigned]'"
        raise ImportError(text) from error
    # The ssl module takes a key from a file only. Nobody else can read this one.
    fd, path = tempfile.mkstemp(suffix=".pem", prefix="galeph-")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(pem)
        return server_context(certfile=path, alpn=alpn)
    finally:
        Path(path).unlink()


# What ``tls=`` may be


def to_server_context(tls: Any, *, alpn: Sequence[str] = ()) -> SSLContext | None:
    """Make a server's context of what a user gave as ``tls=``; None for no TLS.

    Args:
        tls: see the module.
        alpn: the protocols to offer where ``tls`` is a dict that does not say.

    Raises:
        TypeError, ValueError: ``tls`` is nothing of the kind, True, or the context of a client.
        OSError: a file that it names cannot be read.
    """
    if tls is True:
        raise ValueError(
            "tls=True names no certificate for the server: give its options "
            "(certfile, keyfile), or tls.self_signed() to try things out",
        )
    if tls is None or tls is False:
        return None
    if isinstance(tls, Mapping):
        options = _checked(tls, _SERVER_OPTIONS)
        if "certfile" not in options:
            raise ValueError("tls: certfile is missing; a server needs a certificate")
        return _made(server_context, {"alpn": alpn, **options})
    return _as_context(tls, is_server=True)


def to_client_context(
    tls: Any,
    *,
    alpn: Sequence[str] = (),
) -> tuple[SSLContext | None, str | None]:
    """Make a client's context of what a user gave as ``tls=``, and the host name to verify.

    The name is None where the dict does not say: then it is the host connected to.

    Raises:
        TypeError, ValueError: ``tls`` is nothing of the kind, or the context of a server.
        OSError: a file that it names cannot be read.
    """
    if tls is None or tls is False:
        return None, None
    if tls is True:
        return client_context(alpn=alpn), None
    if isinstance(tls, Mapping):
        options = _checked(tls, _CLIENT_OPTIONS)
        server_hostname = options.pop("server_hostname", None)
        if server_hostname is not None:
            check_host(server_hostname, name="tls: server_hostname")
            if not server_hostname:
                raise ValueError("tls: server_hostname must not be empty (None is the host)")
        return _made(client_context, {"alpn": alpn, **options}), server_hostname
    return _as_context(tls, is_server=False), None


def _checked(options: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    unknown = [name for name in options if name not in known]
    if unknown:
        text = f"tls: unknown option {unknown[0]!r}; there are {', '.join(sorted(known))}"
        raise TypeError(text)
    return dict(options)


def _made(make: Callable[..., SSLContext], options: dict[str, Any]) -> SSLContext:
    try:
        return make(**options)
    except (TypeError, ValueError) as error:
        raise named("tls", error) from error


def _as_context(tls: Any, *, is_server: bool) -> SSLContext:
    try:
        check_context(tls)
    except TypeError:
        text = f"tls must be {'True, ' * (not is_server)}an ssl.SSLContext or a dict of options"
        raise TypeError(f"{text}, not {tls!r}") from None
    check_tls_side(tls, is_server=is_server)
    context: SSLContext = tls
    return context


# Filling a context


def _harden(
    context: SSLContext,
    min_version: str | TLSVersion,
    ciphers: str | None,
    alpn: Sequence[str],
) -> None:
    import ssl

    # A client that renegotiates can make a server compute without end (and CVE-2009-3555).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if isinstance(min_version, str):
        if min_version not in _VERSIONS:
            raise ValueError(f"min_version must be TLSv1.2 or TLSv1.3, got {min_version!r}")
        min_version = ssl.TLSVersion[min_version.replace(".", "_")]
    elif not isinstance(min_version, ssl.TLSVersion):
        raise TypeError(f"min_version must be TLSv1.2 or TLSv1.3, not {min_version!r}")
    elif min_version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raise ValueError(f"min_version must be TLSv1.2 or TLSv1.3, got {min_version.name}")
    context.minimum_version = min_version
    if ciphers is not None:
        if not isinstance(ciphers, str):
            raise TypeError(f"ciphers must be OpenSSL's cipher list as str, not {ciphers!r}")
        try:
            context.set_ciphers(ciphers)
        except ssl.SSLError as error:
            raise ValueError(f"ciphers: OpenSSL knows none of {ciphers!r}") from error
    protocols = _checked_alpn(alpn)
    if protocols:
        context.set_alpn_protocols(protocols)


def _checked_alpn(alpn: Any) -> list[str]:
    if isinstance(alpn, (str, bytes)) or not isinstance(alpn, Iterable):
        raise TypeError(f"alpn must be a list of protocol names, not {alpn!r}")
    protocols = list(alpn)
    for protocol in protocols:
        if not isinstance(protocol, str):
            raise TypeError(f"alpn: the name of a protocol must be a str, not {protocol!r}")
        if not protocol.isascii() or not 0 < len(protocol) < 256:  # RFC 7301 section 3.1
            raise ValueError(f"alpn: a protocol has 1 to 255 bytes of ASCII, not {protocol!r}")
    return protocols


def _load_certificate(
    context: SSLContext,
    certfile: AnyPath,
    keyfile: AnyPath | None,
    password: str | bytes | None,
) -> None:
    import ssl

    def no_password() -> str:
        # Without this OpenSSL would ask on the terminal, and block everything.
        raise ValueError("password: the private key is encrypted, and none was given")

    for name, file in (("certfile", certfile), ("keyfile", keyfile)):
        if file is not None and not isinstance(file, (str, bytes, os.PathLike)):
            raise TypeError(f"{name} must be a path, not {file!r}")
    if password is not None and not isinstance(password, (str, bytes)):
        raise TypeError(f"password must be str or bytes, not {type(password).__name__}")
    try:
        context.load_cert_chain(certfile, keyfile, password or no_password)
    except FileNotFoundError as error:
        # OpenSSL does not say which.
        missing = (
            certfile if keyfile is None or not Path(os.fsdecode(certfile)).exists() else keyfile
        )
        name = "keyfile" if missing is keyfile else "certfile"
        raise FileNotFoundError(
            error.errno, f"{name}: {error.strerror}", os.fsdecode(missing)
        ) from None
    except ssl.SSLError as error:
        raise ValueError(f"certfile, keyfile or password is not right: {error}") from error


def _load_ca(context: SSLContext, ca: AnyPath | bytes) -> None:
    import ssl

    if not isinstance(ca, (str, bytes, os.PathLike)):
        raise TypeError(f"ca must be a path or PEM as bytes, not {ca!r}")
    if not ca:  # the path "" would be the current directory
        raise ValueError("ca must not be empty")
    try:
        if isinstance(ca, bytes):
            context.load_verify_locations(cadata=ca.decode("ascii"))
        elif Path(ca).is_dir():
            context.load_verify_locations(capath=ca)
        else:
            context.load_verify_locations(cafile=ca)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"ca holds no certificates in PEM: {error}") from error
    except FileNotFoundError as error:
        text = f"ca: {error.strerror}"
        raise FileNotFoundError(error.errno, text, os.fsdecode(ca)) from None


# Making a certificate


def _make_certificate(hosts: Sequence[str]) -> bytes:
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
