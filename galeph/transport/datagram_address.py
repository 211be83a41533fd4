"""The addresses of datagram sockets, as the system has them and as people write them."""

from __future__ import annotations

import os
from typing import Any

from galeph.transport.base import address_text

__all__ = ["MAPPED", "datagram_address_text", "host_and_port"]

# How IPv6 writes an address of IPv4 (RFC 4291 section 2.5.5.2).
MAPPED = "::ffff:"


def host_and_port(address: Any) -> tuple[str, int]:
    """Host and port of an address as sockets give it.

    A unix socket's is its path, or ``@`` and its name, and 0; without a name it is "" and 0.
    """
    if address.__class__ is not tuple:
        if isinstance(address, bytes):
            address = "@" + os.fsdecode(address[1:])
        return address or "", 0
    host = address[0]
    if len(address) == 4:
        if address[3]:
            # A link-local address means nothing without its interface.
            host = f"{host.partition('%')[0]}%{address[3]}"
        elif host.startswith(MAPPED):
            host = host[len(MAPPED) :]
    return host, address[1]


def datagram_address_text(address: Any) -> str:
    """Write an address as sockets give it the way people do."""
    return address_text(*host_and_port(address)) or "a unix socket without a name"
