"""Which resolver names go to where none is named: one a hub, made at first use.

galeph's own does what the C library would only where that asks the files and the DNS; what
``/etc/nsswitch.conf`` says decides. In the forked child of a process it is made anew, with the hub.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gevent import get_hub

from galeph.dns.resolver import Resolver
from galeph.dns.system import SystemResolver
from galeph.dns.system_files import hosts_services, uses_only_dns
from galeph.errors import ResolveError

__all__ = ["default_resolver", "make_default"]

_NSSWITCH = "/etc/nsswitch.conf"


def default_resolver() -> Resolver | SystemResolver:
    """Return the resolver of clients that were given none.

    It is a `Resolver` where the machine's ``hosts`` come of files, DNS and its own name only, else
    a `SystemResolver`. Closed or in a forked child it is replaced by a new one.
    """
    hub: Any = get_hub()
    known, pid = getattr(hub, "galeph_resolver", (None, 0))
    if known is None or pid != os.getpid() or getattr(known, "closed", False):
        known = make_default(_read(_NSSWITCH))
        # Kept on the hub, so that it goes with it.
        hub.galeph_resolver = known, os.getpid()
    return known


def make_default(nsswitch: str) -> Resolver | SystemResolver:
    """Make the resolver for a machine with this ``nsswitch.conf``."""
    services = hosts_services(nsswitch)
    if not uses_only_dns(services):
        return SystemResolver()
    return Resolver(fallback=_OwnName() if "myhostname" in services else None)


class _OwnName:
    """Knows what ``nss-myhostname`` does, by asking the system for the names it knows."""

    def __init__(self) -> None:
        self._system = SystemResolver(threads=1)

    def addresses(self, host: str) -> Sequence[str]:
        if host not in {socket.gethostname().lower(), "_gateway", "_outbound"}:
            raise ResolveError(socket.EAI_NONAME, f"{host} is not this machine")
        return self._system.addresses(host)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
