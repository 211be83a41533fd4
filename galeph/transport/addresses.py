"""What a server may be told to listen on: hosts with ports, unix sockets, several of them.

This is the notation alone; the sockets are made by `galeph.transport.binding`. A unix socket is a
path, as an ``os.PathLike`` or as ``"unix:/run/app.sock"``; ``"unix:@name"`` is one in Linux's
abstract namespace, which has no file. Everything else is ``(host, port)``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from galeph.transport.arguments import check_host, check_port
from galeph.transport.base import address_text

__all__ = [
    "InetAddress",
    "ListenAddress",
    "UnixAddress",
    "bound_address_text",
    "to_address",
    "to_addresses",
]

# What Linux keeps of a unix socket's name (unix(7)): for a path, with the NUL that ends it.
_MOST_PATH_BYTES = 107
_PREFIX = "unix:"


@dataclass(frozen=True, slots=True)
class InetAddress:
    """A host, by name or address, and a port; 0 is one that the system chooses."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket, by its path; an abstract one by ``@`` and its name."""

    path: str

    @property
    def is_abstract(self) -> bool:
        """Whether it has a name and no file."""
        return self.path.startswith("@")

    @property
    def name(self) -> str:
        """What ``bind`` and ``connect`` take."""
        return "\0" + self.path[1:] if self.is_abstract else self.path

    def __str__(self) -> str:
        return _PREFIX + self.path


ListenAddress = InetAddress | UnixAddress


def to_addresses(address: Any) -> list[ListenAddress]:
    """Read the ``address`` of a server: one, or a list of several.

    Raises:
        TypeError, ValueError: it is not what it should be; the text names it.
    """
    if not isinstance(address, list):
        return [to_address(address)]
    if not address:
        raise ValueError("address must not be an empty list: name what to listen on")
    return [to_address(one) for one in address]


def to_address(address: Any) -> ListenAddress:
    """Read a single address.

    Raises:
        TypeError, ValueError: it is not what it should be; the text names it.
    """
    if isinstance(address, tuple):
        if len(address) != 2:
            raise ValueError(f"address must be (host, port), not {address!r}")
        check_host(address[0], name="address: the host")
        check_port(address[1], name="address: the port")
        return InetAddress(*address)
    if isinstance(address, os.PathLike):
        return _to_unix(os.fspath(address))
    if isinstance(address, str):
        if not address.startswith(_PREFIX):
            raise ValueError(f"address must be (host, port) or 'unix:path', not {address!r}")
        return _to_unix(address.removeprefix(_PREFIX))
    raise TypeError(
        f"address must be (host, port), a path, 'unix:path' or a list of these, not {address!r}"
    )


def _to_unix(path: Any) -> UnixAddress:
    if not isinstance(path, str):
        raise TypeError(f"address must be a path of text, not {path!r}")
    if path in ("", "@"):
        raise ValueError("address must have a path after 'unix:'")
    if "\0" in path:
        raise ValueError(f"address must not hold a NUL: {path!r}")
    if len(os.fsencode(path)) > _MOST_PATH_BYTES:
        raise ValueError(
            f"address must be at most {_MOST_PATH_BYTES} bytes, as the system has it: {path!r}"
        )
    return UnixAddress(path)


def bound_address_text(address: Any) -> str:
    """Write what ``getsockname`` says of a listening socket in this notation."""
    if isinstance(address, tuple):
        return address_text(address[0], address[1])
    if isinstance(address, bytes):
        return f"{_PREFIX}@{address[1:].decode(errors='replace')}"
    return f"{_PREFIX}{address}"
