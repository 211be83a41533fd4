"""In which order addresses are tried: RFC 6724 section 6, and turns among equals. Pure.

Which source address the kernel would take towards a destination is an argument. Of the ten rules
those are left out that need to know more about the machine (3, 4, 7), and the ninth, the longest
common prefix, which says nothing between networks and would send everybody to the same of several
servers; the tenth is the turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from itertools import groupby

__all__ = ["in_turns", "sort_addresses"]

_Address = IPv4Address | IPv6Address

# RFC 6724 section 2.1: prefix, precedence, label. The longest prefix decides.
_POLICY = (
    (IPv6Network("::1/128"), 50, 0),
    (IPv6Network("::ffff:0:0/96"), 35, 4),
    (IPv6Network("::/96"), 1, 3),
    (IPv6Network("2001::/32"), 5, 5),
    (IPv6Network("2002::/16"), 30, 2),
    (IPv6Network("3ffe::/16"), 1, 12),
    (IPv6Network("fec0::/10"), 1, 11),
    (IPv6Network("fc00::/7"), 3, 13),
    (IPv6Network("::/0"), 40, 1),
)
# Section 3.1: link-local (and loopback), site-local, global.
_LINK, _SITE, _GLOBAL = 0x2, 0x5, 0xE
# More turns would serve nobody, and cost memory.
_MAX_TURNS = 16
# Asking the kernel takes a socket. Of addresses of one kind all but a few leave by the same way.
_MOST_ASKED = 8

SourceOf = Callable[[str], str | None]


def sort_addresses(addresses: Iterable[str], source_of: SourceOf) -> list[list[str]]:
    """Return the addresses in groups, the group to try first in front; equals in one group.

    Args:
        addresses: as text.
        source_of: the address the kernel would use towards one, or None if there is no way. It is
            called for the first few; for the others what holds for one of their kind is taken.
    """
    known: dict[tuple[int, int, int], str | None] = {}
    keyed = []
    for number, address in enumerate(addresses):
        kind = _kind(ip_address(address))
        if number < _MOST_ASKED or kind not in known:
            source = source_of(address)
            known[kind] = known.get(kind) or source
        else:
            source = known[kind]
        keyed.append((_rank(kind, source), address))
    keyed.sort(key=lambda pair: pair[0])
    return [[address for _, address in group] for _, group in groupby(keyed, lambda pair: pair[0])]


def in_turns(groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the orders to give out one after the other: each member of a group leads in turn."""
    turns = min(max(map(len, groups), default=0), _MAX_TURNS)
    return tuple(
        tuple(address for group in groups for address in _rotated(group, turn))
        for turn in range(turns)
    )


def _rotated(group: Sequence[str], turn: int) -> Sequence[str]:
    at = turn % len(group)
    return [*group[at:], *group[:at]]


def _kind(address: _Address) -> tuple[int, int, int]:
    """Precedence, label and scope: all that the rules look at."""
    return *_policy(address), _scope(address)


def _rank(kind: tuple[int, int, int], source: str | None) -> tuple[bool, bool, bool, int, int]:
    """Smaller is better: rules 1, 2, 5, 6 and 8."""
    precedence, label, scope = kind
    if source is None:
        return True, False, False, -precedence, scope
    _, own_label, own_scope = _kind(ip_address(source))
    return False, scope != own_scope, label != own_label, -precedence, scope


def _policy(address: _Address) -> tuple[int, int]:
    if isinstance(address, IPv4Address):
        return 35, 4
    return _policy6(int(address))


@lru_cache(maxsize=256)
def _policy6(number: int) -> tuple[int, int]:
    address = IPv6Address(number)
    for prefix, precedence, label in _POLICY:
        if address in prefix:
            return precedence, label
    raise AssertionError("::/0 has every address")


def _scope(address: _Address) -> int:
    if address.is_link_local or address.is_loopback:
        return _LINK
    if isinstance(address, IPv6Address) and address.is_site_local:
        return _SITE
    return _GLOBAL
