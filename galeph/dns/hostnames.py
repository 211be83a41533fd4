"""Host names before they are sent: what they may be, and what is tried for them. Pure.

A name that no DNS could hold (RFC 1035 section 2.3.4: labels of 63 octets, names of 255 as they
are sent, so 253 as they are written) or that is no host name (RFC 952, RFC 1123) is refused here,
before a byte is sent. International names go out as Python's ``getaddrinfo`` sends them (IDNA).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "MAX_LABEL",
    "MAX_NAME",
    "InvalidName",
    "candidates",
    "check_ascii",
    "decode_idna",
    "encode_host",
    "is_local",
    "is_nowhere",
]

MAX_NAME = 253
MAX_LABEL = 63
_HOST_LABEL = re.compile(r"[a-z0-9-]+", re.ASCII)
_IDNA_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # RFC 3490 section 3.1
_LENIENT_LABEL = re.compile(r"[a-z0-9_-]+", re.ASCII)
# RFC 6761: their addresses are known; these are no names of the DNS at all (also RFC 7686).
_LOCAL = "localhost"
_NOWHERE = ("invalid", "onion")


class InvalidName(ValueError):
    """A name that must not be sent."""


def encode_host(host: str, *, allow_underscores: bool = False) -> str:
    """Return a host name as it is asked for: in ASCII and in lower case, a last dot kept.

    Args:
        host: as the user wrote it.
        allow_underscores: whether ``_`` may stand in it, which no host name has (RFC 952) but
            some container networks use.

    Raises:
        InvalidName: it cannot be the name of a host.
    """
    if not host.isascii():
        try:
            encoded = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise InvalidName(f"{host!r} cannot be written in DNS: {error}") from error
        if encoded.count(".") != len(_IDNA_DOTS.findall(host)):
            # Some characters (U+2488 is "1.") would make two labels of one.
            raise InvalidName(f"{host!r} has dots that are hidden in other characters")
        host = encoded
    host = host.lower()
    check_ascii(host)
    pattern = _LENIENT_LABEL if allow_underscores else _HOST_LABEL
    for label in host.removesuffix(".").split("."):
        if pattern.fullmatch(label) is None:
            raise InvalidName(f"{host!r} is no host name: {label!r} stands in it")
    if host.startswith("-"):
        raise InvalidName(f"{host!r} is no host name: it begins with a hyphen")
    return host


def check_ascii(name: str) -> None:
    """Raise InvalidName unless DNS could hold a name: for names of records, not of hosts."""
    if not name.isascii() or any(char <= " " or char == "\x7f" for char in name):
        raise InvalidName(f"{name!r} has characters that no name has")
    bare = name.removesuffix(".")
    if len(bare) > MAX_NAME:
        raise InvalidName(f"a name has at most {MAX_NAME} characters, this one {len(bare)}")
    for label in bare.split("."):
        if not label:
            raise InvalidName(f"{name!r} has an empty label")
        if len(label) > MAX_LABEL:
            raise InvalidName(f"a label has at most {MAX_LABEL} characters: {label!r}")


def decode_idna(name: str) -> str:
    """Return a name as people read it: ``xn--`` labels decoded, others as they are."""
    labels = name.split(".")
    for number, label in enumerate(labels):
        if label.startswith("xn--"):
            try:
                labels[number] = label.encode("ascii").decode("idna")
            except UnicodeError:
                continue
    return ".".join(labels)


def is_local(host: str) -> bool:
    """Whether a name is this machine's by definition (RFC 6761 section 6.3)."""
    bare = host.removesuffix(".")
    return bare == _LOCAL or bare.endswith("." + _LOCAL)


def is_nowhere(host: str) -> bool:
    """Whether a name is by definition in no DNS (RFC 6761 section 6.4, RFC 7686)."""
    return host.removesuffix(".").rpartition(".")[2] in _NOWHERE


def candidates(host: str, search_domains: Sequence[str], ndots: int) -> list[str]:
    """Return the full names to try for one that may be relative, in order.

    A name that ends with a dot is full. One with at least ``ndots`` dots is tried as it is first,
    another in the search domains first, as the C library does it. None ends with a dot.
    """
    if host.endswith("."):
        return [host[:-1]]
    found = [f"{host}.{domain}" for domain in search_domains]
    found = [name for name in found if len(name) <= MAX_NAME]
    if host.count(".") >= ndots:
        return [host, *found]
    return [*found, host]
