"""`ConnectionPool`: connections that outlive their requests.

The `Planner` decides, this carries out: it opens connections in the greenlets of the requests that
need them, wakes those that waited, closes what is to be closed. A connection comes back by
itself when its response has been read; see `H1ClientConnection`. What gives something back
(`release`, `discard`, a waiter that leaves) never blocks, switches or locks, so a greenlet may be
killed, or a `gevent.Timeout` arrive, at any point, and no slot is lost.

A pool belongs to the hub that uses it first. In a forked child it starts empty: the connections
are the parent's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Self, Unpack

from gevent import get_hub, spawn_raw
from gevent.hub import Waiter

from galeph import clock
from galeph._arguments import check_count, check_seconds, check_type
from galeph.dns import default_resolver
from galeph.errors import PoolFull, PoolTimeout, ResourceClosed
from galeph.http.agreement import check_protocols
from galeph.http.h1_client import H1ClientConnection
from galeph.http.pool_planner import Action, Close, Give, Planner, Slot, Ticket
from galeph.http.timeouts import Timeouts
from galeph.message.url import Target
from galeph.protocol.limits import Limits
from galeph.transport import forks
from galeph.transport.base import Transport
from galeph.transport.client_options import ClientOptions, ClientSettings
from galeph.transport.connect import connect
from galeph.transport.deadlines import Deadlines
from galeph.transport.names import Resolver, check_resolver
from galeph.transport.timelimit import TimeLimit

__all__ = [
    "ConnectionPool",
    "PoolStats",
    "connection_pool",
    "default_pool",
]

# What two requests must agree on to share a connection: scheme, host and port; TLS context and
# the name to verify.
_Key = tuple[tuple[str, str, int], Any, str | None]
# Of option dicts: a program has a handful.
_MAX_TLS_CONTEXTS = 64
_HTTP_VERSIONS = ("http/1.1",)
_LOGGER = logging.getLogger("galeph.client")

# As a server's, except for what a caller asked for himself: a body gathered in memory may be
# larger, and one that is streamed is his to stop.
_LIMITS = Limits(max_buffered_body_bytes=64 * 1024 * 1024, max_body_bytes=None)


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What a pool holds now, and what it has done.

    ``connections`` counts the open ones and those being opened, ``idle`` those of them that no
    request uses; ``waiting`` is how many requests wait for one. ``opened`` and ``reused`` count
    how often a request got a new connection and how often a used one.
    """

    connections: int
    idle: int
    waiting: int
    opened: int
    reused: int


class _Waiting(Ticket[H1ClientConnection]):
    """A ticket and the greenlet behind it."""

    __slots__ = ("waiter",)

    def __init__(self, key: _Key, *, wants_fresh: bool) -> None:
        super().__init__(key, wants_fresh=wants_fresh)
        self.waiter: Waiter[None] | None = None


class ConnectionPool:
    """Lends connections to requests; made by `connection_pool`."""

    def __init__(
        self,
        *,
        connections_per_host: int,
        total_connections: int,
        max_waiting: int,
        idle_timeout: float,
        tls: Any,
        limits: Limits,
        timeouts: Timeouts,
        resolver: Resolver | None,
        settings: ClientSettings,
    ) -> None:
        self._settings = settings
        self.limits = limits
        self.timeouts = timeouts
        self._sizes = {
            "max_per_key": connections_per_host,
            "max_total": total_connections,
            "max_waiting": max_waiting,
        }
        self._idle_timeout = idle_timeout
        self._tls = tls
        self._resolver = resolver
        self._tls_contexts: dict[Any, tuple[Any, tuple[Any, str | None]]] = {}
        self._hub: Any = None
        self._closed = False
        self._opened = 0
        self._reused = 0
        self._start_empty()
        forks.abandon_in_child(self)

    def _start_empty(self) -> None:
        self._planner: Planner[H1ClientConnection] = Planner(**self._sizes)
        self._connections: set[H1ClientConnection] = set()
        self.deadlines = Deadlines(clock.default())

    # Lending

    def acquire(
        self, target: Target, *, tls: Any, timeouts: Timeouts, limits: Limits, fresh: bool = False
    ) -> H1ClientConnection:
        """Return a connection to ``target``; block until there is one.

        It returns by itself when an exchange on it is over, or by `discard` when it ends.

        Args:
            target: where to.
            tls: the request's own TLS options, or None for the pool's.
            timeouts: how long waiting, connecting and the handshake may take.
            limits: those of a connection that is made for this.
            fresh: True to have none that was used before.

        Raises:
            PoolTimeout: none became free in time.
            PoolFull: too many requests wait already.
            ResourceClosed: the pool is or was closed.
            RuntimeError: the pool belongs to another hub (thread).
            ConnectError, TimedOut: as `galeph.transport.connect.connect`.
        """
        self._check_usable()
        key = self._key(target, tls)
        ticket = _Waiting(key, wants_fresh=fresh)
        self._carry_out(self._planner.ask(ticket))
        if ticket.slot is None:
            self._wait(ticket, timeouts.pool)
        slot = ticket.slot
        assert slot is not None  # noqa: S101  (waiting ends with one, or raises; narrows the type)
        self._check_still_open(slot)
        connection = slot.connection
        if connection is not None:
            if connection.can_be_used():
                self._reused += 1
                return connection
            # The slot stays ours, for the connection that takes its place.
            slot.connection = None
            connection.slot = None
            connection.close()
        try:
            transport = self._open(key, timeouts)
        except BaseException:
            self._carry_out(self._planner.drop(slot))
            raise
        connection = H1ClientConnection(transport, self, limits)
        self._connections.add(connection)
        connection.slot = slot
        slot.connection = connection
        self._opened += 1
        self._check_still_open(slot)
        return connection

    def _check_still_open(self, slot: Slot[H1ClientConnection]) -> None:
        """The pool may have been closed while the slot was waited for, or filled."""
        if self._closed:
            self._carry_out(self._planner.drop(slot))
            raise ResourceClosed("the pool was closed")

    def _check_usable(self) -> None:
        if self._closed:
            raise ResourceClosed("the pool is closed")
        hub = get_hub()
        if self._hub is not hub:
            if self._hub is not None:
                raise RuntimeError("the pool belongs to another hub (OS thread)")
            self._hub = hub

    def _wait(self, ticket: _Waiting, timeout: float | None) -> None:
        """Block until the ticket has been given a slot."""
        ticket.waiter = Waiter(self._hub)
        try:
            with TimeLimit(timeout, lambda: PoolTimeout(f"no connection free in {timeout} s")):
                ticket.waiter.get()
        except BaseException:
            if ticket.slot is None:
                self._planner.withdraw(ticket)
            elif ticket.slot.connection is None:
                self._carry_out(self._planner.drop(ticket.slot))
            else:
                # It has come in the moment of leaving, and is as good as it was.
                self.release(ticket.slot.connection)
            raise

    def _open(self, key: _Key, timeouts: Timeouts) -> Transport:
        (_, host, port), tls_context, server_hostname = key
        return connect(
            host,
            port,
            timeout=timeouts.connect,
            resolve_timeout=timeouts.resolve,
            tls_context=tls_context,
            server_hostname=server_hostname,
            tls_timeout=timeouts.tls,
            resolver=default_resolver() if self._resolver is None else self._resolver,
            settings=self._settings,
        )

    def _key(self, target: Target, tls: Any) -> _Key:
        if target.scheme == "http":
            return target.origin, None, None
        return target.origin, *self._tls_identity(self._tls if tls is None else tls)

    def check_tls(self, tls: Any) -> None:
        """Raise TypeError or ValueError, naming ``tls``, unless it can be used for https."""
        self._tls_identity(tls)

    def _tls_identity(self, tls: Any) -> tuple[Any, str | None]:
        """The context that options stand for: equal options, one context, shared connections."""
        if tls is None:
            tls = True
        if tls is not True and not isinstance(tls, dict):
            return self._to_context(tls)
        key = () if tls is True else tuple((name, _identity(tls[name])) for name in sorted(tls))
        # The options themselves are kept with it: what the key knows by its id must not go.
        _, found = self._tls_contexts.get(key, (None, None))
        if found is None:
            if len(self._tls_contexts) >= _MAX_TLS_CONTEXTS:
                self._tls_contexts.clear()
            found = self._to_context(tls)
            self._tls_contexts[key] = (tls if tls is True else dict(tls), found)
        return found

    def _to_context(self, tls: Any) -> tuple[Any, str | None]:
        if tls is False:
            raise ValueError("tls: https does not go without")
        from galeph.tls import to_client_context

        if isinstance(tls, dict) and isinstance(tls.get("alpn"), (list, tuple)):
            check_protocols(tls["alpn"], _HTTP_VERSIONS)
        return to_client_context(tls, alpn=_HTTP_VERSIONS)

    # Taking back

    def release(self, connection: H1ClientConnection) -> None:
        """See `Owner`."""
        slot = connection.slot
        if slot is None:
            connection.close()
            return
        self._carry_out(self._planner.release(slot))
        if slot.is_idle:
            connection.rest(self._idle_timeout)

    def discard(self, connection: H1ClientConnection) -> None:
        """See `Owner`."""
        self._connections.discard(connection)
        slot, connection.slot = connection.slot, None
        if slot is not None:
            slot.connection = None
            self._carry_out(self._planner.drop(slot))

    def report_lost(self, connection: H1ClientConnection) -> None:
        """See `Owner`. Runs in the hub; the line is written by a greenlet."""
        # The query is left out: it may hold what is not for a log.
        method, url = connection.asked
        text = "the response to %s %s was dropped with its body unread"
        spawn_raw(_LOGGER.warning, text, method, url.partition("?")[0])

    def _carry_out(self, actions: list[Action[H1ClientConnection]]) -> None:
        for action in actions:
            if isinstance(action, Close):
                action.connection.slot = None  # the planner knows already
                action.connection.close()
                continue
            ticket = action.ticket
            if not isinstance(action, Give):
                raise PoolFull("no connection is free, and too many requests wait for one")
            waiter = getattr(ticket, "waiter", None)
            if waiter is not None:
                self._hub.loop.run_callback(waiter.switch, None)

    # The whole

    def stats(self) -> PoolStats:
        """Return what the pool holds now, and what it has done."""
        counts = self._planner.counts()
        return PoolStats(counts.slots, counts.idle, counts.waiting, self._opened, self._reused)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """End every connection. Never blocks; may be called twice.

        Requests under way and bodies that are still being read fail with `ResourceClosed`, as do
        later requests.
        """
        if self._closed:
            return
        self._closed = True
        forks.forget(self)
        for ticket in self._planner.waiting_tickets():
            self._planner.withdraw(ticket)
            waiter = getattr(ticket, "waiter", None)
            if waiter is not None:
                self._hub.loop.run_callback(waiter.throw, ResourceClosed("the pool was closed"))
        for connection in list(self._connections):
            if connection.is_idle:
                connection.close()
            else:
                connection.fail(ResourceClosed("the pool was closed"))

    def abandon(self) -> None:
        """In the child of a fork: forget the parent's connections, and begin anew."""
        self.deadlines.clear()
        self._hub = None
        self._start_empty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        stats = self.stats()
        state = "closed, " if self._closed else ""
        return (
            f"<ConnectionPool {state}connections {stats.connections}, idle {stats.idle}, "
            f"waiting {stats.waiting}>"
        )


def connection_pool(
    *,
    connections_per_host: int = 32,
    total_connections: int = 1024,
    max_waiting: int = 4096,
    idle_timeout: float = 60.0,
    tls: Any = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    resolver: Resolver | None = None,
    **options: Unpack[ClientOptions],
) -> ConnectionPool:
    """Make a pool of connections, to be given to requests as ``pool=``.

    A context manager that closes when left. Nothing is opened before the first request.

    Args:
        connections_per_host: how many to one scheme, host and port; further requests wait, in
            their order. A greenlet of an ordinary worker pool seldom has to, and a server does
            not take it for an attack.
        total_connections: how many in all; an idle one to another server makes place.
        max_waiting: how many requests may wait; one more fails with `PoolFull`.
        idle_timeout: seconds after which an unused connection is closed. Below what servers wait
            for (nginx 75, Apache and AWS 60 or less say so in Keep-Alive, which is heeded).
        tls: for https: an ``ssl.SSLContext``, or a dict of options for
            `galeph.tls.client_context`; None verifies against the system's certificates.
        limits: sizes above which a response is refused; a request's own come first.
        timeouts: how long a server may take; a request's own come first.
        resolver: who knows the addresses of hosts, for all connections of the pool: a
            `galeph.dns.Resolver`, or any object with ``addresses(host)``. It stays yours to
            close. None for `galeph.dns.default_resolver`.
        options: what is done with the sockets: `galeph.tcp.ClientOptions`.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """
    check_count("connections_per_host", connections_per_host, least=1)
    check_count("total_connections", total_connections, least=1)
    check_count("max_waiting", max_waiting, least=0)
    check_seconds("idle_timeout", idle_timeout, optional=False, finite=True)
    check_type("limits", limits, Limits, shown="galeph.http.Limits")
    check_type("timeouts", timeouts, Timeouts, shown="galeph.http.Timeouts")
    check_resolver(resolver)
    pool = ConnectionPool(
        connections_per_host=connections_per_host,
        total_connections=total_connections,
        max_waiting=max_waiting,
        idle_timeout=idle_timeout,
        tls=tls,
        limits=_LIMITS if limits is None else limits,
        timeouts=Timeouts() if timeouts is None else timeouts,
        resolver=resolver,
        settings=ClientSettings(**options),
    )
    if tls is not None:
        pool.check_tls(tls)
    return pool


def _identity(option: Any) -> Any:
    """What makes two values of a TLS option the same: plain data what it says, others who they are.

    A certificate shows the same text as another one of the same name, an open file is read once.
    """
    if option is None or isinstance(option, (str, bytes, int, float)):
        return option
    if isinstance(option, PathLike):
        return fspath(option)
    if isinstance(option, (list, tuple)):
        return tuple(map(_identity, option))
    return id(option), type(option)


def default_pool() -> ConnectionPool:
    """Return the pool of requests that name none: one a hub, made at first use."""
    hub: Any = get_hub()
    pool: ConnectionPool | None = getattr(hub, "galeph_pool", None)
    if pool is None or pool.closed:
        # Kept on the hub, so that it goes with it.
        pool = hub.galeph_pool = connection_pool()
    return pool
