"""Where foreign exceptions stop: ``OSError`` and ``ssl.SSLError`` become galeph's errors.

Two tables, one for a connection that is being made and one for a connection that exists, because
the same number means different things: ``ETIMEDOUT`` while connecting is a `ConnectTimeout`, later
it is a peer that fell silent, and the connection is lost. Whatever is not in a table becomes the
root of its family. The foreign exception is always chained as the cause, so nothing is hidden.

The TLS classes are taken from ``_ssl``: importing ``ssl`` before a program patches it makes gevent
warn, rightly, and nothing here may happen at import.
"""

from __future__ import annotations

import errno
import os
from _ssl import (
    SSLCertVerificationError,
    SSLEOFError,
    SSLError,
    SSLSyscallError,
    SSLZeroReturnError,
)
from collections.abc import Mapping
from socket import gaierror
from types import MappingProxyType
from typing import TypeVar

from galeph.errors import (
    CertificateError,
    ConnectError,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    GalephError,
    ResolveError,
    TLSError,
    TransportError,
)

__all__ = ["connect_error", "connection_error", "tls_error"]

E = TypeVar("E", bound=BaseException)

_LOST = (
    errno.ECONNRESET,
    errno.EPIPE,
    errno.ECONNABORTED,
    errno.ESHUTDOWN,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.EBADF,
)
_ON_CONNECTION: Mapping[int | None, type[TransportError]] = MappingProxyType(
    dict.fromkeys(_LOST, ConnectionLost),
)


def connection_error(error: OSError, peer: str) -> TransportError:
    """Translate what a call on an existing connection raised.

    Returns:
        The error to raise, its cause set, its text naming the peer.
    """
    mapped = _ON_CONNECTION.get(error.errno, TransportError)
    return _chained(mapped(error.errno, f"{_text(error)} (peer {peer})"), error)


def connect_error(error: OSError | UnicodeError, target: str) -> GalephError:
    """Translate what resolving a name or connecting raised; ``target`` says what was tried.

    A ``UnicodeError`` is how Python says that a host name cannot be written in DNS.
    """
    if isinstance(error, UnicodeError):
        return _chained(ResolveError(f"{error} ({target})"), error)
    text = f"{_text(error)} ({target})"
    if isinstance(error, gaierror):
        return _chained(ResolveError(error.errno, text), error)
    if error.errno == errno.ECONNREFUSED:
        return _chained(ConnectRefused(error.errno, text), error)
    if error.errno == errno.ETIMEDOUT:
        return _chained(ConnectTimeout(text), error)
    return _chained(ConnectError(error.errno, text), error)


def tls_error(error: SSLError, peer: str) -> TransportError:
    """Translate what OpenSSL raised, in the handshake or later."""
    if isinstance(error, (SSLEOFError, SSLZeroReturnError, SSLSyscallError)):
        text = f"the connection ended without a TLS close_notify (peer {peer})"
        return _chained(ConnectionLost(errno.ECONNRESET, text), error)
    text = f"{_text(error)} (peer {peer})"
    mapped: TLSError
    if isinstance(error, SSLCertVerificationError):
        mapped = CertificateError(error.errno, text)
        mapped.verify_code = error.verify_code
        mapped.verify_message = error.verify_message
    else:
        mapped = TLSError(error.errno, text)
    # Set by OpenSSL's binding on the instance, and what readers of ``ssl.SSLError`` look at.
    mapped.library = getattr(error, "library", "")
    mapped.reason = getattr(error, "reason", "")
    return _chained(mapped, error)


def _chained(error: E, cause: BaseException) -> E:
    error.__cause__ = cause
    return error


def _text(error: OSError) -> str:
    """What the system says about it, without the number (which the new error carries itself)."""
    if error.strerror:
        return error.strerror
    if error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
