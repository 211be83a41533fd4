"""The options of a datagram socket as one value that checks itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import get_args

from galeph._arguments import check_count, check_flag
from galeph.transport.datagrams import Policy
from galeph.transport.multicast import check_interface
from galeph.transport.wiretap import Wiretap, to_wiretap

__all__ = ["DatagramOptions"]

_MOST_MODE = 0o777
_MOST_HOPS = 255
# There is room for so many, at each receive. No system lets a socket send as much by default.
_MOST_PACKET_BYTES = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramOptions:
    """What `galeph.udp.socket` takes beside addresses, and where it is explained.

    Raises:
        TypeError, ValueError: an option is not what it should be; the text names it.
    """

    broadcast: bool = False
    # None is what the system does.
    multicast_ttl: int | None = None
    multicast_loopback: bool | None = None
    multicast_interface: str | None = None
    reuse_address: bool = False
    reuse_port: bool = False
    # As asked for or not at all, and not as the system happens to be set up.
    dual_stack: bool = False
    # Nobody else may send unless that is asked for.
    unix_mode: int = 0o600
    on_socket: Callable[[socket.socket], object] | None = None
    # Four wake-ups of 16.
    buffer: int = 64
    policy: Policy = "block"
    # No UDP packet is longer; a unix datagram may be.
    max_packet_bytes: int = 65536
    wiretap: bool | str | int | Wiretap | None = None
    tap: Wiretap | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("broadcast", "reuse_address", "reuse_port", "dual_stack"):
            check_flag(name, getattr(self, name))
        loopback = self.multicast_loopback
        if loopback is not None and not isinstance(loopback, bool):
            raise TypeError(f"multicast_loopback must be True, False or None, not {loopback!r}")
        check_count("multicast_ttl", self.multicast_ttl, least=0, most=_MOST_HOPS, optional=True)
        check_interface("multicast_interface", self.multicast_interface)
        check_count("unix_mode", self.unix_mode, least=0)
        if self.unix_mode > _MOST_MODE:
            raise ValueError(f"unix_mode must be at most 0o777, got {self.unix_mode:#o}")
        if self.on_socket is not None and not callable(self.on_socket):
            raise TypeError(f"on_socket must be callable, not {self.on_socket!r}")
        check_count("buffer", self.buffer, least=1)
        check_count("max_packet_bytes", self.max_packet_bytes, least=1, most=_MOST_PACKET_BYTES)
        object.__setattr__(self, "tap", to_wiretap(self.wiretap))
        if self.policy not in get_args(Policy):
            known = ", ".join(get_args(Policy))
            raise ValueError(f"policy must be one of {known}, not {self.policy!r}")
