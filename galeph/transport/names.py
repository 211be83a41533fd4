"""From host and port to socket addresses.

An address written as one is taken as it is, at once; a name goes to the resolver of gevent's hub,
which blocks the calling greenlet only.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original

from galeph.errors import ResolveError
from galeph.transport.arguments import check_host, check_port
from galeph.transport.seam import connect_error

__all__ = ["SocketAddress", "check_endpoint", "resolve"]


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """What a socket needs to be made and then bound or connected."""

    family: int
    kind: int
    protocol: int
    address: Any


def check_endpoint(host: Any, port: Any) -> None:
    """Raise TypeError or ValueError unless ``host`` and ``port`` can name somebody to talk to."""
    check_host(host)
    if not host:
        raise ValueError("host must not be empty")
    check_port(port, least=1)


def resolve(host: str, port: int, *, kind: int = socket.SOCK_STREAM) -> list[SocketAddress]:
    """Return the addresses of ``host`` in the system's order of preference, at least one.

    Raises:
        ResolveError: it has none.
    """
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:
        # With these flags the C library asks nobody and does not block.
        found = get_original("socket", "getaddrinfo")(host, port, 0, kind, 0, numeric)
    except UnicodeError as error:
        raise connect_error(error, f"resolving {host}") from error
    except OSError:
        found = _ask(host, port, kind)
    if not found:
        raise ResolveError(socket.EAI_NONAME, f"{host} has no address")
    return [SocketAddress(one[0], one[1], one[2], one[4]) for one in found]


def _ask(host: str, port: int, kind: int) -> Any:
    try:
        return get_hub().resolver.getaddrinfo(host, port, 0, kind)
    except TimeoutError:
        # Not the resolver's answer, but a limit somebody has set around us.
        raise
    except OSError as error:
        raise connect_error(error, f"resolving {host}") from error
