"""IPv4 and IPv6 addresses of one name: asked for at once, and put into order.

Of the two answers the one for IPv6 is not waited for longer than 50 ms once there are IPv4
addresses (RFC 8305 section 3, the resolution delay): there are servers that never answer it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Literal, get_args

from gevent.monkey import get_original

from galeph.deferred import future
from galeph.dns.answers import Kind, Reading
from galeph.dns.lookup import Lookup
from galeph.dns.ordering import sort_addresses

__all__ = ["AddressTypes", "check_address_types", "find_addresses", "in_order", "only_wanted"]

AddressTypes = Literal["ipv4_only", "ipv6_only", "ipv4_preferred", "ipv6_preferred"]

_A, _AAAA = 1, 28
RESOLUTION_DELAY = 0.05


def check_address_types(value: Any) -> None:
    """Raise ValueError unless ``value`` says which addresses are wanted, or is None."""
    if value is not None and value not in get_args(AddressTypes):
        known = ", ".join(get_args(AddressTypes))
        raise ValueError(f"address_types must be one of {known} or None, not {value!r}")


def find_addresses(
    lookup: Lookup, name: str, types: AddressTypes | None
) -> tuple[list[Reading], bool]:
    """Block until a name's addresses are known; return what was read, and whether that is all."""
    if types == "ipv4_only":
        return [lookup.find(name, _A)], True
    if types == "ipv6_only":
        return [lookup.find(name, _AAAA)], True
    beside = future(lookup.find, name, _AAAA)
    try:
        first = lookup.find(name, _A)
        if first.kind is Kind.FOUND:
            beside.wait(RESOLUTION_DELAY)
            if not beside.ready():
                lookup.trace.append(f"{name} AAAA: not waited for any longer")
                return [first], False
        return [first, beside.get()], True
    finally:
        beside.cancel("it is not needed")


def only_wanted(addresses: Sequence[str], types: AddressTypes | None) -> list[str]:
    """Leave out the addresses of a family that is not wanted."""
    return [each for each in addresses if types != ("ipv4_only" if ":" in each else "ipv6_only")]


def in_order(addresses: Sequence[str], types: AddressTypes | None) -> list[list[str]]:
    """Return addresses in groups of equals, those to try first in front."""
    if len(addresses) < 2:
        return [[*addresses]] if addresses else []
    if types is None:
        return sort_addresses(addresses, _source_of)
    of_6 = [each for each in addresses if ":" in each]
    of_4 = [each for each in addresses if ":" not in each]
    first, second = (of_4, of_6) if types.startswith("ipv4") else (of_6, of_4)
    return [*sort_addresses(first, _source_of), *sort_addresses(second, _source_of)]


def _source_of(address: str) -> str | None:
    """The address the kernel would use towards one. Connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with get_original("socket", "socket")(family, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 53))
            source: str = sock.getsockname()[0]
    except OSError:
        return None
    return source.partition("%")[0]
