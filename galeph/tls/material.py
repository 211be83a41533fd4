"""Certificates, private keys and authorities, in whatever they come, into a context.

They are paths, or contents: PEM as bytes or text, an open file, objects of the package
``cryptography``, lists of these. OpenSSL takes a certificate and its key from files only, so
contents go through a file in memory that nobody else can open and that is gone at once.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["is_path", "load_authorities", "load_identity", "to_pem"]

_PEM = b"-----BEGIN "
_CERTIFICATES = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----.*?-----END \1-----", re.DOTALL
)


def is_path(value: Any) -> bool:
    """Whether this names a file, and is not its contents."""
    return isinstance(value, os.PathLike) or (
        isinstance(value, str) and not value.lstrip().startswith(_PEM.decode())
    )


def to_pem(name: str, value: Any) -> bytes:
    """Make PEM of contents: bytes, text, an open file, an object of cryptography's, or a list.

    Raises:
        TypeError: it is nothing of the kind; the text begins with ``name``.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if hasattr(value, "read"):
        return to_pem(name, value.read())
    if hasattr(value, "public_bytes") or hasattr(value, "private_bytes"):
        return _from_cryptography(value)
    if isinstance(value, Sequence):
        return b"\n".join(to_pem(name, one) for one in value)
    text = "a path, PEM as bytes, an open file, an object of cryptography's or a list of these"
    raise TypeError(f"{name} must be {text}, not {value!r}")


def _from_cryptography(value: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem = serialization.Encoding.PEM
    if hasattr(value, "private_bytes"):
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return value.private_bytes(pem, pkcs8, plain)  # type: ignore[no-any-return]
    return value.public_bytes(pem)  # type: ignore[no-any-return]


# Into a context


def load_identity(
    context: SSLContext, certfile: Any, keyfile: Any, password: str | bytes | None
) -> None:
    """Give a context its certificate, with the chain behind it, and its private key.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError: an option is not what it should be; the text names it.
    """
    if password is not None and not isinstance(password, (str, bytes)):
        raise TypeError(f"password must be str or bytes, not {type(password).__name__}")
    for name, given in (("certfile", certfile), ("keyfile", keyfile)):
        if isinstance(given, str) and not given:
            raise ValueError(f"{name} must not be empty")
    if keyfile is not None and is_path(certfile) != is_path(keyfile):
        path, contents = ("certfile", "keyfile") if is_path(certfile) else ("keyfile", "certfile")
        raise ValueError(
            f"{path} is a path and {contents} is not: give both as paths or both as contents"
        )
    if is_path(certfile):
        _load_files(context, os.fspath(certfile), keyfile and os.fspath(keyfile), password)
        return
    pem = to_pem("certfile", certfile)
    if keyfile is not None:
        pem = b"\n".join((to_pem("keyfile", keyfile), pem))
    with _in_memory(pem) as path:
        _load_files(context, path, None, password)


def _load_files(
    context: SSLContext, certfile: str, keyfile: str | None, password: str | bytes | None
) -> None:
    import ssl

    def no_password() -> str:
        # Without this OpenSSL would ask on the terminal, and block everything.
        raise ValueError("password: the private key is encrypted, and none was given")

    for name, file in (("certfile", certfile), ("keyfile", keyfile)):
        if file is not None and not Path(file).exists():
            # OpenSSL does not say which.
            raise FileNotFoundError(2, f"{name}: {os.strerror(2)}", file)
    try:
        context.load_cert_chain(certfile, keyfile, password or no_password)
    except ssl.SSLError as error:
        raise ValueError(f"certfile, keyfile or password is not right: {error}") from error


def load_authorities(context: SSLContext, ca: Any) -> None:
    """Have a context believe these authorities, beside those it believes already.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError: ``ca`` is not what it should be.
    """
    import ssl

    if isinstance(ca, str) and not ca:  # the path "" would be the current directory
        raise ValueError("ca must not be empty")
    try:
        if not is_path(ca):
            found = [match[0] for match in _CERTIFICATES.finditer(to_pem("ca", ca))]
            if not found:
                raise ValueError("ca holds no certificates in PEM")
            context.load_verify_locations(cadata=b"\n".join(found).decode("ascii"))
        elif Path(ca).is_dir():
            context.load_verify_locations(capath=ca)
        else:
            context.load_verify_locations(cafile=ca)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"ca: {error.strerror}", os.fspath(ca)) from None
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ValueError(f"ca holds no certificates in PEM: {error}") from error


@contextmanager
def _in_memory(contents: bytes) -> Iterator[str]:
    """A path under which this process, and no other user, finds ``contents`` for a while."""
    try:
        fd = os.memfd_create("galeph")
        path = f"/proc/self/fd/{fd}"
        is_file = not Path(path).exists()
        if is_file:
            os.close(fd)
    except (AttributeError, OSError):
        is_file = True
    if is_file:  # no memfd, or no /proc: a file of mode 0600
        fd, path = tempfile.mkstemp(suffix=".pem", prefix="galeph-")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(contents)
            file.flush()
            yield path
    finally:
        if is_file:
            Path(path).unlink()
