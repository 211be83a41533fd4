"""Which addresses a name may have: a hook against rebinding, and the one policy that many want.

A name is its owner's to point wherever he likes, also at ``127.0.0.1`` or into the network of
whoever asks. A program that fetches what others name must look at the address, not at the name,
and at the moment of connecting (CWE-918); a `Resolver` with a policy does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

__all__ = ["Policy", "public_only"]

Policy = Callable[[str, str], bool]


def public_only(host: str, address: str) -> bool:
    """Allow addresses of the public Internet only: a `policy` for `Resolver`.

    Not those of this machine, of private and of link-local networks, nor any that is set apart
    (RFC 6890); an IPv4 address inside of an IPv6 one counts as what it is.
    """
    del host
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if inner is not None:
            found = inner
        elif found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.is_global and not found.is_multicast


# RFC 6052: the rest of these is an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
