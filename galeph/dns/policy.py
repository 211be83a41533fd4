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
        inner = _inner(found)
        if inner is None:
            return found in _GLOBAL_UNICAST and found not in _DOCUMENTATION and found.is_global
        found = inner
    is_set_apart = any(found in network for network in _SET_APART)
    return found.is_global and not found.is_multicast and not is_set_apart


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that packets for this one go to, in the end."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


# RFC 4291 section 2.4: all that IANA has given out of IPv6. What is outside of it is for this
# machine, this network, translators of its own and what was once such, whatever `ipaddress` knows.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637
# RFC 6052: the rest of these is an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# RFC 6890, RFC 7526; some versions of `ipaddress` call them global.
_SET_APART = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
