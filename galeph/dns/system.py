"""`SystemResolver`: the C library's ``getaddrinfo``, in OS threads that do nothing else.

What it knows that DNS does not (mDNS, LDAP, ``systemd``) galeph has no part in. It blocks a thread
and cannot be called off; so it has threads of its own, few, and not the hub's, where a slow name
server would keep everything else waiting that was put there.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

from gevent.monkey import get_original

from galeph._arguments import check_count, check_seconds
from galeph.deferred import Deferred, ThreadPool, future
from galeph.dns.flights import Flights
from galeph.errors import Rejected, ResolveError, ResolveTimeout
from galeph.transport.seam import connect_error
from galeph.transport.socket_address import host_text
from galeph.transport.timelimit import TimeLimit

__all__ = ["SystemResolver"]

# Each holds a name that is slow; a hundred more may wait for it.
_THREADS = 4
_MOST_WAITING = 400


class SystemResolver:
    """The system's resolver, for wherever a ``resolver`` is taken. It has no cache.

    Args:
        threads: how many names are looked up at a time.
        timeout: seconds for one, with the wait for a thread; None is no limit.

    Raises:
        TypeError, ValueError: an argument is not what it should be.
    """

    def __init__(self, *, threads: int = _THREADS, timeout: float | None = 15.0) -> None:
        check_count("threads", threads, least=1)
        check_seconds("timeout", timeout)
        self._timeout = timeout
        self._pool = ThreadPool(threads, most_waiting=_MOST_WAITING)
        self._flights: Flights[str, Any] = Flights()

    def addresses(self, host: str) -> Sequence[str]:
        """Block until the addresses of a host are known; return them, at least one.

        Raises:
            ResolveError: there is none, or too many names wait; its number says why.
            ResolveTimeout: it took longer than ``timeout``. The thread goes on.
            TypeError: ``host`` is no text.
        """
        if not isinstance(host, str):
            # None is this machine to getaddrinfo.
            raise TypeError(f"host must be a name or an address as str, not {host!r}")
        text = f"{host} not resolved in {self._timeout} s"
        with TimeLimit(self._timeout, partial(ResolveTimeout, text)):
            found = self._flights.run(host, self._ask)
        if isinstance(found, (OSError, UnicodeError)):
            raise connect_error(found, f"resolving {host}") from found
        return found  # type: ignore[no-any-return]

    def addresses_async(self, host: str) -> Deferred[Sequence[str]]:
        """Return at once a Deferred of what `addresses` returns."""
        return future(self.addresses, host)

    def _ask(self, host: str) -> Sequence[str] | OSError | UnicodeError:
        try:
            found = self._pool.submit(_getaddrinfo, host).get()
        except Rejected as error:
            return ResolveError(socket.EAI_AGAIN, f"too many names wait: {error}")
        except (OSError, UnicodeError) as error:
            return error
        return tuple(dict.fromkeys(host_text(one[4]) for one in found))

    def __repr__(self) -> str:
        return f"<SystemResolver {self._pool}>"


def _getaddrinfo(host: str) -> list[Any]:
    found: list[Any] = get_original("socket", "getaddrinfo")(host, None, 0, socket.SOCK_STREAM)
    return found
