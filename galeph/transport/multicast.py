"""Multicast: what a socket sends to groups, and which groups it hears.

The structures are those of ip(7) and ipv6(7): an interface is told by its number, which the system
knows for its name; IPv4 also takes an address of the interface in its place. Number 0 leaves
it to the system, which looks at its routes.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from galeph.errors import TransportError

__all__ = ["Membership", "check_group", "check_interface", "sending_options"]

_MREQN = struct.Struct("=4s4si")
_MREQ6 = struct.Struct("=16sI")
_ANY = bytes(4)
# Linux: off, a socket gets what comes for the groups it has joined. On, the default, it also gets
# what comes for those that any other socket of the machine has joined.
Option = tuple[int, int, int | bytes]

_ONLY_OURS: dict[int, list[Option]] = (
    {4: [(socket.IPPROTO_IP, 49, 0)], 6: [(socket.IPPROTO_IPV6, 29, 0)]}
    if sys.platform == "linux"
    else {4: [], 6: []}
)


def check_group(group: Any) -> IPv4Address | IPv6Address:
    """Return the address of a multicast group; raise TypeError or ValueError if it is none."""
    if not isinstance(group, str):
        raise TypeError(f"group must be an address as str, not {group!r}")
    try:
        address = ip_address(group)
    except ValueError:
        raise ValueError(f"group must be an address, not {group!r}") from None
    if not address.is_multicast:
        raise ValueError(f"group must be a multicast address, {group} is not")
    return address


def check_interface(name: str, interface: Any) -> None:
    """Raise TypeError or ValueError unless ``interface`` is None or text."""
    if interface is not None and not isinstance(interface, str):
        raise TypeError(f"{name} must be a name or an IPv4 address as str, not {interface!r}")
    if interface == "":
        raise ValueError(f"{name} must not be empty")


@dataclass(frozen=True, slots=True)
class Membership:
    """A group as joined through an interface, None being the one the system chooses."""

    group: IPv4Address | IPv6Address
    interface: str | None

    def joining(self) -> list[Option]:
        """What to set on a socket to hear the group, and not those that others have joined.

        Raises:
            TransportError: there is no such interface.
        """
        is_ipv4 = self.group.version == 4
        join = self._request(socket.IP_ADD_MEMBERSHIP if is_ipv4 else socket.IPV6_JOIN_GROUP)
        return [*_ONLY_OURS[self.group.version], join]

    def leaving(self) -> list[Option]:
        """What to set on a socket to hear the group no more. Raises as `joining`."""
        is_ipv4 = self.group.version == 4
        return [self._request(socket.IP_DROP_MEMBERSHIP if is_ipv4 else socket.IPV6_LEAVE_GROUP)]

    def _request(self, option: int) -> Option:
        if self.group.version == 4:
            data = _MREQN.pack(self.group.packed, *_ipv4_interface(self.interface))
            return socket.IPPROTO_IP, option, data
        data = _MREQ6.pack(self.group.packed, _index(self.interface))
        return socket.IPPROTO_IPV6, option, data


def sending_options(
    family: int, *, ttl: int | None, loopback: bool | None, interface: str | None
) -> list[Option]:
    """What to set on a socket for what it sends to groups; None leaves it to the system.

    Raises:
        TransportError: there is no such interface.
    """
    found: list[Option] = []
    if family == socket.AF_INET6:
        level = socket.IPPROTO_IPV6
        names = (
            socket.IPV6_MULTICAST_HOPS,
            socket.IPV6_MULTICAST_LOOP,
            socket.IPV6_MULTICAST_IF,
        )
    else:
        level = socket.IPPROTO_IP
        names = (socket.IP_MULTICAST_TTL, socket.IP_MULTICAST_LOOP, socket.IP_MULTICAST_IF)
    for option, value in zip(names, (ttl, loopback), strict=False):
        if value is not None:
            found.append((level, option, int(value)))
    if interface is not None:
        if family == socket.AF_INET6:
            found.append((level, names[2], _index(interface)))
        else:
            found.append((level, names[2], _MREQN.pack(_ANY, *_ipv4_interface(interface))))
    return found


def _ipv4_interface(interface: str | None) -> tuple[bytes, int]:
    """An interface's address and number; 0 is none."""
    if interface is not None:
        try:
            return IPv4Address(interface).packed, 0
        except ValueError:
            pass
    return _ANY, _index(interface)


def _index(interface: str | None) -> int:
    if interface is None:
        return 0
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        # Before Python 3.13 it comes without a number.
        text = f"there is no interface {interface!r}"
        raise TransportError(errno.ENODEV, text) from error
