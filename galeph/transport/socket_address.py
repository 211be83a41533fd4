"""The addresses of sockets: from how the system gives them to how people write them."""

from __future__ import annotations

import os
from typing import Any

from galeph.transport.base import address_text

__all__ = ["MAPPED", "datagram_address_text", "host_and_port", "host_text"]

# How IPv6 writes an address of IPv4 (RFC 4291 section 2.5.5.2).
MAPPED = "::ffff:"


def host_text(address: Any) -> str:
    """Return the host of an IP address, with its interface if it needs one."""
    host: str = address[0]
    if len(address) == 4 and address[3]:
        # A link-local address means nothing without its interface.
        host = f"{host.partition('%')[0]}%{address[3]}"
    return host


def host_and_port(address: Any) -> tuple[str, int]:
    """Return host and port of an address; IPv4 on a socket for both is written as IPv4.

    A unix socket's is its path, or ``@`` and its name, and 0; without a name it is "" and 0.
    """
    if address.__class__ is not tuple:
        if isinstance(address, bytes) and address:
            address = "@" + os.fsdecode(address[1:])
        return address or "", 0
    host = host_text(address)
    if host.startswith(MAPPED):
        bare = host[len(MAPPED) :]
        if "." in bare and ":" not in bare:
            host = bare
    return host, address[1]


def datagram_address_text(address: Any) -> str:
    """Write an address as people do, also that of a unix socket without a name."""
    return address_text(*host_and_port(address)) or "a unix socket without a name"
