"""From host and port to socket addresses.

An address written as one is taken as it is, at once. A name goes to the `Resolver` that the caller
was given, and without one to the resolver of gevent's hub; either blocks the calling greenlet only.
galeph's own resolver is `galeph.dns.Resolver`, which this layer does not know.

What is written as an address is for `ipaddress` to say. The C library reads more as one (``127.1``,
``2130706433``); whoever looks at a host before he connects hardly does, so for a resolver, which
may have a policy, that is a name.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from gevent import get_hub
from gevent.monkey import get_original

from galeph.errors import ResolveError
from galeph.transport.arguments import check_host, check_port, is_address
from galeph.transport.seam import connect_error
from galeph.transport.socket_address import host_text

__all__ = [
    "Resolver",
    "SocketAddress",
    "check_endpoint",
    "check_resolver",
    "read_addresses",
    "resolve",
]

# With these flags the C library asks nobody and does not block.
_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


@runtime_checkable
class Resolver(Protocol):
    """Whoever knows the addresses of names. What `resolver=` takes; any object may be one."""

    def addresses(self, host: str) -> Sequence[str]:
        """Return the addresses of a name as text, the one to try first in front.

        May block the calling greenlet. Never called with an address, as `ipaddress` knows them;
        what else the C library reads as one, ``127.1``, comes here as a name.

        Raises:
            ResolveError: there is none; its number says why, as that of ``getaddrinfo`` does.
            ResolveTimeout: that was not known in time.
        """


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


def check_resolver(resolver: Any) -> None:
    """Raise TypeError unless ``resolver`` is None or can be asked for addresses."""
    if resolver is not None and not callable(getattr(resolver, "addresses", None)):
        raise TypeError(f"resolver must have a method addresses(host), {resolver!r} has none")


def resolve(
    host: str, port: int, *, kind: int = socket.SOCK_STREAM, resolver: Resolver | None = None
) -> list[SocketAddress]:
    """Return the addresses of ``host`` in the resolver's order of preference, at least one.

    Args:
        host: a name or an address.
        port: a number.
        kind: of the socket.
        resolver: who knows names; None for the hub's resolver.

    Raises:
        ResolveError: it has none.
    """
    found: Any = None
    if resolver is None or is_address(host):
        try:
            found = _read(host, port, kind)
        except UnicodeError as error:
            raise connect_error(error, f"resolving {host}") from error
        except OSError:
            pass
    if found is None:
        if resolver is None:
            found = _ask_hub(host, port, kind)
        else:
            found = _ask(resolver, host, port, kind)
    if not found:
        raise ResolveError(socket.EAI_NONAME, f"{host} has no address")
    return [SocketAddress(one[0], one[1], one[2], one[4]) for one in found]


def read_addresses(text: str) -> list[str]:
    """Return what ``getaddrinfo`` reads in a text without asking anybody: nothing in a name.

    That is an address, also in ``127.1``; in ``*`` the GNU C library reads two, of this machine.
    """
    try:
        found = _read(text, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [host_text(each[4]) for each in found]


def _read(address: str, port: int, kind: int) -> list[Any]:
    """What ``getaddrinfo`` makes of an address that is written as one."""
    found: list[Any] = get_original("socket", "getaddrinfo")(address, port, 0, kind, 0, _NUMERIC)
    return found


def _ask(resolver: Resolver, host: str, port: int, kind: int) -> list[Any]:
    found = []
    for address in _texts(resolver.addresses(host), host):
        try:
            found += _read(address, port, kind)
        except (OSError, UnicodeError) as error:
            text = f"the resolver has given {address!r} for {host}, which is no address"
            raise ResolveError(socket.EAI_FAIL, text) from error
    return found


def _texts(answer: Any, host: str) -> Iterable[str]:
    """What a resolver has returned, if that is what it should return."""
    # A text would be read letter by letter, and None is this machine to the C library.
    if isinstance(answer, Iterable) and not isinstance(answer, str):
        texts = list(answer)
        if all(isinstance(text, str) for text in texts):
            return texts
        answer = texts
    raise TypeError(f"resolver: addresses({host!r}) must return a list of texts, not {answer!r}")


def _ask_hub(host: str, port: int, kind: int) -> Any:
    try:
        return get_hub().resolver.getaddrinfo(host, port, 0, kind)
    except TimeoutError:
        # Not the resolver's answer, but a limit somebody has set around us.
        raise
    except OSError as error:
        raise connect_error(error, f"resolving {host}") from error
