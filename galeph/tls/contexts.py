"""`server_context` and `client_context`: an ``ssl.SSLContext`` made safely.

TLS 1.2 or newer, no renegotiation, no compression; a client verifies the certificate and the host
name. What was asked for otherwise and is dangerous is said on the logger ``galeph.tls``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from galeph._arguments import check_count, check_flag, check_seconds
from galeph.tls.authorities import load_default_authorities
from galeph.tls.material import load_authorities, load_identity
from galeph.transport.tls_sessions import SessionCache, keep_sessions

if TYPE_CHECKING:
    # Not at run time: a program that patches after importing galeph must find `ssl` untouched.
    from ssl import SSLContext, TLSVersion

__all__ = ["CONTEXT_OPTIONS", "client_context", "server_context"]

_LOGGER = logging.getLogger("galeph.tls")
# What both sides take.
CONTEXT_OPTIONS = frozenset(
    """
    alpn ca certfile ciphers keyfile max_version min_version password verify
    """.split()  # noqa: SIM905  (quoted one by one they read worse)
)
# For TLS 1.2: forward secrecy and authenticated encryption (RFC 9325 section 4.2). A client takes
# what the ssl module takes, which goes beyond that: there are servers that have nothing better.
_SERVER_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = ("TLSv1.2", "TLSv1.3")


def server_context(
    *,
    certfile: Any,
    keyfile: Any = None,
    password: str | bytes | None = None,
    ca: Any = None,
    verify: Literal["none", "optional", "required"] = "none",
    alpn: Sequence[str] = (),
    ciphers: str | Sequence[str] | None = None,
    min_version: str | TLSVersion = "TLSv1.2",
    max_version: str | TLSVersion | None = None,
) -> SSLContext:
    """Make a context for a server.

    Certificates and keys are paths of PEM files or contents: PEM as bytes, an open file, objects
    of the package cryptography, a list of these.

    Args:
        certfile: the certificate chain, the server's own first.
        keyfile: its private key; None if that is in ``certfile`` too. Both are paths or neither.
        password: of the private key.
        ca: whom to believe about clients; also a path of a folder.
        verify: whether clients must show a certificate of ``ca``: never, if they have one, always.
        alpn: the protocols offered, the preferred one first.
        ciphers: OpenSSL's names for TLS 1.2, the preferred one first; None for those with forward
            secrecy and authenticated encryption. Those of TLS 1.3 all have both.
        min_version: "TLSv1.2" or "TLSv1.3".
        max_version: the same; None is the newest there is.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    import ssl

    modes = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
    if verify not in tuple(modes):
        raise ValueError(f"verify must be one of {', '.join(modes)}, got {verify!r}")
    if verify != "none" and ca is None:
        raise ValueError(f'ca: verify="{verify}" needs to know whom to believe about clients')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, min_version, max_version)
    _set_ciphers(context, _SERVER_CIPHERS if ciphers is None else ciphers)
    _set_protocols(context, alpn)
    load_identity(context, certfile, keyfile, password)
    context.verify_mode = modes[verify]
    if ca is not None:
        load_authorities(context, ca)
    return context


def client_context(
    *,
    ca: Any = None,
    certfile: Any = None,
    keyfile: Any = None,
    password: str | bytes | None = None,
    verify: Literal["required", "none"] = "required",
    insecure: bool = False,
    alpn: Sequence[str] = (),
    ciphers: str | Sequence[str] | None = None,
    min_version: str | TLSVersion = "TLSv1.2",
    max_version: str | TLSVersion | None = None,
    session_cache_size: int = 100,
    session_timeout: float | None = None,
) -> SSLContext:
    """Make a context for a client.

    Connections with one context resume each other's sessions, so make it once. Certificates and
    keys are given as for `server_context`.

    Args:
        ca: whom to believe, and nobody else; also a path of a folder. None for those the system
            believes, or those of the package certifi where the system has none.
        certfile: the client's own certificate chain, if it is to show one.
        keyfile: its private key; None if that is in ``certfile`` too.
        password: of the private key.
        verify: "none" is the same as ``insecure``.
        insecure: accept any certificate of anybody. For tests; it protects against nothing, and
            each time a WARNING says so.
        alpn: the protocols offered, the preferred one first.
        ciphers: OpenSSL's names for TLS 1.2, the preferred one first; those of 1.3 are all good.
        min_version: "TLSv1.2" or "TLSv1.3".
        max_version: the same; None is the newest there is.
        session_cache_size: of how many servers a session is kept; 0 to resume none.
        session_timeout: seconds a session is kept; None for as long as its server says.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    import ssl

    if verify not in ("required", "none"):
        raise ValueError(f"verify must be required or none on a client, got {verify!r}")
    check_flag("insecure", insecure)
    is_insecure = insecure or verify == "none"
    if is_insecure and ca is not None:
        raise ValueError("ca: it says whom to believe, and insecure to believe anybody")
    if certfile is None and (keyfile is not None or password is not None):
        what = "a keyfile" if keyfile is not None else "a password"
        raise ValueError(f"certfile: there is {what}, but no certificate it belongs to")
    check_count("session_cache_size", session_cache_size, least=0)
    check_seconds("session_timeout", session_timeout)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, min_version, max_version)
    _set_ciphers(context, ciphers)
    _set_protocols(context, alpn)
    # RFC 9525 section 6.1: a certificate without alternative names proves none.
    context.hostname_checks_common_name = False
    keep_sessions(context, SessionCache(session_cache_size, session_timeout))
    if certfile is not None:
        load_identity(context, certfile, keyfile, password)
    if is_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _LOGGER.warning("insecure: these TLS connections believe any certificate of anybody")
    elif ca is None:
        load_default_authorities(context)
    else:
        load_authorities(context, ca)
    return context


def _harden(
    context: SSLContext, min_version: str | TLSVersion, max_version: str | TLSVersion | None
) -> None:
    import ssl

    # A client that renegotiates can make a server compute without end (and CVE-2009-3555).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.minimum_version = _version("min_version", min_version)
    if max_version is not None:
        context.maximum_version = _version("max_version", max_version)
        if context.maximum_version < context.minimum_version:
            raise ValueError(f"max_version {max_version} is older than min_version {min_version}")
    keylog = os.environ.get("SSLKEYLOGFILE")
    if keylog and not sys.flags.ignore_environment:
        context.keylog_filename = keylog
        _LOGGER.warning("the keys of these TLS connections are written to %s", keylog)


def _version(name: str, version: str | TLSVersion) -> TLSVersion:
    import ssl

    known = {each: ssl.TLSVersion[each.replace(".", "_")] for each in _VERSIONS}
    if not isinstance(version, (str, ssl.TLSVersion)):
        raise TypeError(f"{name} must be TLSv1.2 or TLSv1.3, not {version!r}")
    found = [each for text, each in known.items() if version in (text, each)]
    if not found:
        shown = version.name if isinstance(version, ssl.TLSVersion) else repr(version)
        raise ValueError(f"{name} must be TLSv1.2 or TLSv1.3, got {shown}")
    return found[0]


def _set_ciphers(context: SSLContext, ciphers: str | Sequence[str] | None) -> None:
    import ssl

    if ciphers is None:
        return
    try:
        names = ciphers if isinstance(ciphers, str) else ":".join(ciphers)
    except TypeError:
        raise TypeError(f"ciphers must be OpenSSL's names as str, not {ciphers!r}") from None
    try:
        context.set_ciphers(names)
    except ssl.SSLError as error:
        raise ValueError(f"ciphers: OpenSSL knows none of {names!r}") from error


def _set_protocols(context: SSLContext, alpn: Any) -> None:
    if isinstance(alpn, (str, bytes)) or not isinstance(alpn, Iterable):
        raise TypeError(f"alpn must be a list of protocol names, not {alpn!r}")
    protocols = list(alpn)
    for protocol in protocols:
        if not isinstance(protocol, str):
            raise TypeError(f"alpn: the name of a protocol must be a str, not {protocol!r}")
        if not protocol.isascii() or not 0 < len(protocol) < 256:  # RFC 7301 section 3.1
            raise ValueError(f"alpn: a protocol has 1 to 255 bytes of ASCII, not {protocol!r}")
    if protocols:
        context.set_alpn_protocols(protocols)
