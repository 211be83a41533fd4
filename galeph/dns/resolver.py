"""`Resolver`: names to addresses, and to any other records, without a thread.

A look-up goes through: the cache; the address that is written as one, or that the C library would
read; what is written down (the
``hosts`` file); names that are known by definition; then, once for all who ask for it at the time,
the nameservers, with the name as it is and in the search domains, for IPv4 and IPv6 at once. What
comes back is passed by the policy, sorted (RFC 6724), kept for as long as it holds, and given out
in turns.

Files of the system are looked at again once a second at most, and when one has changed nothing
that was cached counts any more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from gevent import get_hub

from galeph import clock
from galeph.clock import default as default_clock
from galeph.deferred import Deferred, future
from galeph.dns.answers import Kind, Reading
from galeph.dns.cache import Cache
from galeph.dns.families import AddressTypes, find_addresses, in_order, only_wanted
from galeph.dns.flights import Flights
from galeph.dns.hostnames import (
    InvalidName,
    candidates,
    check_ascii,
    decode_idna,
    encode_host,
    is_local,
    is_nowhere,
)
from galeph.dns.lookup import Health, Lookup, Manners
from galeph.dns.machine import LOOK_EVERY, Machine
from galeph.dns.options import Options
from galeph.dns.ordering import in_turns
from galeph.dns.outcomes import EAI_NODATA, Failure, Outcome, failure_of
from galeph.dns.policy import Policy
from galeph.dns.questions import MAX_ADDRESSES
from galeph.dns.statistics import Counters, ResolverStats
from galeph.errors import ResolveError, ResolveTimeout, ResourceClosed
from galeph.transport import forks
from galeph.transport.arguments import is_address
from galeph.transport.names import Resolver as AnyResolver
from galeph.transport.names import read_addresses
from galeph.transport.timelimit import TimeLimit
from galeph.transport.wiretap import Wiretap, to_wiretap

__all__ = ["Answer", "Resolver"]

_LOOPBACK = ("127.0.0.1", "::1")
# An answer that IPv6 is missing from for lack of time, and those of others, are soon asked again.
_SHORT_TTL = 10.0
# Whoever owns a name says how many records it has; all names have one cache.
_MOST_RECORDS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """The records of a name.

    Attributes:
        name: what was asked for.
        rdtype: the type, as text.
        canonical_name: what the name is an alias of, or the name.
        records: dnspython's: an MX has ``preference`` and ``exchange``, a TXT ``strings``.
        ttl: how many seconds the server says they hold.
    """

    name: str
    rdtype: str
    canonical_name: str
    records: tuple[Any, ...]
    ttl: float


class Resolver:
    """A resolver with a cache of its own. It belongs to the hub (thread) that uses it first.

    Making one sends nothing. `addresses` and `query` block the calling greenlet, their forms with
    ``_async`` return a Deferred.

    Args:
        nameservers: whom to ask: addresses as ``"host"``, ``"host:port"`` or pairs (the port is 53
            otherwise), `DoT`, or any `Nameserver`. Several are tried in order. None for those of
            ``resolv.conf``.
        search_domains: for names that may be relative; None for those of ``resolv.conf``.
        ndots: from how many dots on a name is first tried as it is; None as ``resolv.conf``.
        rotate: whether the servers lead in turn; None as ``resolv.conf``.
        hosts: names and their addresses, which are asked for nowhere.
        hosts_file: more of these; None for no file.
        resolv_conf: the file; None for what holds without one.
        address_types: ``"ipv4_only"``, ``"ipv6_only"``, ``"ipv4_preferred"``, ``"ipv6_preferred"``;
            None for both, in the order of RFC 6724.
        timeout: seconds for a whole look-up; None is no limit.
        query_timeout: seconds for one answer; None as ``resolv.conf``, which is 5 if it says none.
        attempts: how often each silent server is asked; None as ``resolv.conf``, else 2.
        max_queries_per_resolve: how many questions one look-up may send.
        max_payload_size: bytes of an answer over UDP (EDNS); what is longer comes over TCP.
        min_ttl: seconds for which an answer is kept at least,
        max_ttl: and at most.
        negative_ttl: for which it is known at most that there is nothing; 0 to ask each time.
        failure_ttl: for which it is remembered that nobody could say.
        max_entries: names in the cache; 0 for none.
        edns: whether to send the EDNS record.
        recursion_desired: whether the server is to ask others.
        mixed_case: whether names are sent in random case, which is hard to forge (0x20).
        decode_idn: whether names that come back are written as people read them.
        allow_underscores: whether ``_`` may stand in the name of a host.
        policy: called as ``policy(host, address)`` for every address found; those for which it
            returns False do not count. See `public_only`. It may block.
        fallback: an object with ``addresses(host)``, asked for names the DNS does not know.
        trace: whether an error carries a note with everything that was asked.
        wiretap: log what is asked and what comes back, with a hex dump, as
            `galeph.tcp.ClientOptions` has it for connections.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """

    def __init__(
        self,
        *,
        nameservers: Sequence[Any] | None = None,
        search_domains: Sequence[str] | None = None,
        ndots: int | None = None,
        rotate: bool | None = None,
        hosts: Mapping[str, Sequence[str]] | None = None,
        hosts_file: str | os.PathLike[str] | None = "/etc/hosts",
        resolv_conf: str | os.PathLike[str] | None = "/etc/resolv.conf",
        address_types: AddressTypes | None = None,
        timeout: float | None = 15.0,
        query_timeout: float | None = None,
        attempts: int | None = None,
        max_queries_per_resolve: int = 16,
        max_payload_size: int = 1232,
        min_ttl: float = 1.0,
        max_ttl: float = 86400.0,
        negative_ttl: float = 60.0,
        failure_ttl: float = 1.0,
        max_entries: int = 1000,
        edns: bool = True,
        recursion_desired: bool = True,
        mixed_case: bool = True,
        decode_idn: bool = True,
        allow_underscores: bool = False,
        policy: Policy | None = None,
        fallback: AnyResolver | None = None,
        trace: bool = False,
        wiretap: bool | str | int | Wiretap | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        self._options = options = Options(**given)
        self._machine = Machine(options)
        self._tap = to_wiretap(options.wiretap)
        self._health = Health()
        self._counters = Counters()
        self._flights: Flights[Any, Any] = Flights()
        self._cache: Cache[Any, Any] = Cache(options.max_entries)
        # The fast path looks into it without a call between.
        self._entries = self._cache.entries
        self._look_at = 0.0
        self._hits = 0
        self._hub: Any = None
        self._closed = False
        forks.abandon_in_child(self)

    # Addresses

    def addresses(self, host: str) -> Sequence[str]:
        """Block until the addresses of a host are known; return them, at least one.

        At each call another one of equals stands in front.

        Raises:
            ResolveError: there is none. Its ``errno`` is what ``getaddrinfo`` would have:
                EAI_NONAME, EAI_NODATA, EAI_AGAIN (nobody can say now).
            ResolveTimeout: it took longer than ``timeout``.
            ResourceClosed: the resolver is or was closed.
            TypeError: ``host`` is no text.
        """
        now = default_clock().monotonic()
        entry = self._entries.get(host)
        if entry is not None and entry.expires_at > now < self._look_at:
            outcome = entry.value
            turns = outcome.turns
            if turns:
                self._hits += 1
                entry.was_used = True
                turn = outcome.turn = outcome.turn - 1
                if turn < 0:
                    turn = outcome.turn = len(turns) - 1
                return turns[turn]  # type: ignore[no-any-return]
        outcome = self._outcome_of(host, now)
        if outcome.failure is not None:
            self._counters.failed += 1
            raise outcome.failure.error()
        return outcome.turns[outcome.turn]

    def addresses_async(self, host: str) -> Deferred[Sequence[str]]:
        """Return at once a Deferred of what `addresses` returns."""
        return future(self.addresses, host)

    def _outcome_of(self, host: str, now: float) -> Outcome:
        self._prepare(now)
        if not isinstance(host, str):
            raise TypeError(f"host must be a name or an address as str, not {host!r}")
        if is_address(host):
            return Outcome(((host,),))
        read = read_addresses(host)
        if read:
            # Whoever looks whether a host is an address does not see these.
            return self._outcome(host, [[each] for each in read])
        try:
            name = encode_host(host, allow_underscores=True)
        except InvalidName as error:
            return Outcome((), Failure(socket.EAI_NONAME, str(error)))
        known: Outcome | None = self._cache.get(name, now)
        if known is not None:
            self._hits += 1
            return known
        written = self._machine.known(name) or (_LOOPBACK if is_local(name) else None)
        if written is not None:
            groups = in_order(self._wanted(written), self._options.address_types)
            outcome = self._outcome(name, groups)
            self._cache.put(name, outcome, _SHORT_TTL, now)
            return outcome
        try:
            encode_host(name, allow_underscores=self._options.allow_underscores)
        except InvalidName as error:
            return Outcome((), Failure(socket.EAI_NONAME, str(error)))
        if is_nowhere(name):
            return Outcome((), Failure(socket.EAI_NONAME, f"{host} is in no DNS by definition"))
        found: Outcome = self._share(name, self._look_up)
        return found

    def _share(self, key: Any, fn: Callable[[Any], Any]) -> Any:
        """Do the work once for all who want it now."""
        if key in self._flights:
            self._counters.shared += 1
        else:
            self._counters.misses += 1
        return self._flights.run(key, fn)

    def _look_up(self, name: str) -> Outcome:
        """Ask for a host, in the greenlet of its flight, and keep what comes of it."""
        lookup = self._new_lookup()
        outcome, ttl = self._limited(lookup, partial(self._search, lookup, name), name)
        if isinstance(outcome, Failure):
            outcome = Outcome((), outcome)
        self._cache.put(name, outcome, ttl, clock.default().monotonic())
        return outcome  # type: ignore[no-any-return]

    def _limited(self, lookup: Lookup, work: Any, name: str) -> tuple[Any, float]:
        """Do something within the limit for a whole look-up; return what it is, and its TTL."""
        seconds = self._options.timeout
        limit = TimeLimit(seconds, partial(ResolveTimeout, f"{name} not resolved in {seconds} s"))
        try:
            with limit:
                return work()  # type: ignore[no-any-return]
        except ResolveTimeout as error:
            if not limit.has_expired:
                raise
            trace = tuple(lookup.trace) if self._options.trace else ()
            return Failure(None, str(error), trace), self._options.failure_ttl

    def _search(self, lookup: Lookup, host: str) -> tuple[Outcome | Failure, float]:
        """Try the names that a host may mean, one after the other."""
        machine = self._machine
        readings: dict[str, list[Reading]] = {}
        names = candidates(host, machine.search_domains, machine.ndots)
        for name in names:
            found, is_all = find_addresses(lookup, name, self._options.address_types)
            readings[name] = found
            records = [record for each in found for record in each.records[:MAX_ADDRESSES]]
            if records:
                ttls = [each.ttl for each in found if each.ttl is not None and each.records]
                ttl = self._positive_ttl(min(ttls, default=0))
                addresses = self._wanted([record.address for record in records])
                groups = in_order(addresses, self._options.address_types)
                return self._outcome(host, groups), ttl if is_all else min(ttl, _SHORT_TTL)
        failure = failure_of(readings, host, is_first=names[0] == host.removesuffix("."))
        every = [each for found in readings.values() for each in found]
        if failure.errno == socket.EAI_NONAME and self._options.fallback is not None:
            return self._fall_back(host, failure)
        if self._options.trace:
            failure = Failure(failure.errno, failure.text, tuple(lookup.trace))
        return failure, min(map(self._ttl_of, every))

    def _fall_back(self, host: str, failure: Failure) -> tuple[Outcome | Failure, float]:
        assert self._options.fallback is not None  # noqa: S101  (narrows the type)
        try:
            addresses = self._wanted(self._options.fallback.addresses(host))
        except ResolveError:
            return failure, self._positive_ttl(0)
        return self._outcome(host, [[*addresses]] if addresses else []), _SHORT_TTL

    def _wanted(self, addresses: Sequence[str]) -> list[str]:
        return only_wanted(list(dict.fromkeys(addresses)), self._options.address_types)

    def _outcome(self, host: str, groups: list[list[str]]) -> Outcome:
        """Make the outcome of what was found, the policy willing."""
        policy = self._options.policy
        if policy is not None:
            allowed = [[each for each in group if policy(host, each)] for group in groups]
            groups, refused = [group for group in allowed if group], bool(groups)
            if refused and not groups:
                return Outcome((), Failure(socket.EAI_NONAME, f"the policy refuses {host}"))
        if not groups:
            text = f"{host} has no address of the kind that is wanted"
            return Outcome((), Failure(EAI_NODATA, text))
        return Outcome(in_turns(groups))

    # Other records

    def query(self, name: str, rdtype: str = "A") -> Answer:
        """Block until the records of a name are known; return them, at least one.

        The name is asked for as it is, in the DNS only.

        Args:
            name: full; a last dot changes nothing.
            rdtype: ``"MX"``, ``"TXT"``, ``"SRV"`` or any other that dnspython knows.

        Raises:
            ResolveError, ResolveTimeout, ResourceClosed: as `addresses`.
            TypeError, ValueError: ``name`` is no text, or there is no such type.
        """
        import dns.exception
        import dns.rdatatype

        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {name!r}")
        if not isinstance(rdtype, str):
            raise TypeError(f"rdtype must be a str, not {rdtype!r}")
        now = clock.default().monotonic()
        self._prepare(now)
        try:
            number = int(dns.rdatatype.from_text(rdtype))
        except (dns.exception.DNSException, ValueError) as error:
            raise ValueError(f"rdtype: there is no type {rdtype!r}") from error
        try:
            if not name.isascii():
                name = encode_host(name)
            check_ascii(name)
        except InvalidName as error:
            raise ResolveError(socket.EAI_NONAME, str(error)) from error
        key = name.removesuffix(".").lower(), number
        reading = self._cache.get(key, now)
        if reading is None:
            reading = self._share(key, self._find)
        else:
            self._hits += 1
        if isinstance(reading, Failure):
            self._counters.failed += 1
            raise reading.error()
        shown = decode_idna(reading.name) if self._options.decode_idn else reading.name
        return Answer(name, rdtype.upper(), shown, reading.records, float(reading.ttl or 0))

    def query_async(self, name: str, rdtype: str = "A") -> Deferred[Answer]:
        """Return at once a Deferred of what `query` returns."""
        return future(self.query, name, rdtype)

    def reverse(self, address: str) -> list[str]:
        """Block until the names of an address are known (PTR); return them, at least one.

        Raises:
            ResolveError, ResolveTimeout, ResourceClosed: as `addresses`.
            ValueError: it is no address.
        """
        import dns.reversename

        if not is_address(address):
            raise ValueError(f"address: {address!r} is none")
        pointer = dns.reversename.from_address(address).to_text()
        names = [
            each.target.to_text(omit_final_dot=True) for each in self.query(pointer, "PTR").records
        ]
        return [decode_idna(each) for each in names] if self._options.decode_idn else names

    def _find(self, key: tuple[str, int]) -> Reading | Failure:
        lookup = self._new_lookup()
        name = key[0]

        def work() -> tuple[Reading | Failure, float]:
            reading = lookup.find(*key)
            if reading.records:
                is_small = len(reading.records) <= _MOST_RECORDS_KEPT
                return reading, self._positive_ttl(reading.ttl or 0) if is_small else 0
            failure = failure_of({name: [reading]}, name, is_first=True)
            trace = tuple(lookup.trace) if self._options.trace else ()
            return Failure(failure.errno, failure.text, trace), self._ttl_of(reading)

        found, ttl = self._limited(lookup, work, name)
        self._cache.put(key, found, ttl, clock.default().monotonic())
        return found  # type: ignore[no-any-return]

    # How long

    def _positive_ttl(self, ttl: float) -> float:
        return min(max(ttl, self._options.min_ttl), self._options.max_ttl)

    def _ttl_of(self, reading: Reading) -> float:
        """For how long it is known that there is nothing, or that nobody could say."""
        if reading.kind is Kind.BAD:
            return self._options.failure_ttl
        return min(self._positive_ttl(reading.ttl or 0), self._options.negative_ttl)

    # Its life

    def _prepare(self, now: float) -> None:
        if self._closed:
            raise ResourceClosed("the resolver is closed")
        hub = get_hub()
        if self._hub is not hub:
            if self._hub is not None:
                raise RuntimeError("the resolver belongs to another hub (OS thread)")
            self._hub = hub
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            if self._machine.has_changed():
                self.clear()

    def _new_lookup(self) -> Lookup:
        options, machine = self._options, self._machine
        manners = Manners(
            query_timeout=machine.query_timeout,
            attempts=machine.attempts,
            max_queries=options.max_queries_per_resolve,
            max_payload_size=options.max_payload_size,
            edns=options.edns,
            mixed_case=options.mixed_case,
            recursion_desired=options.recursion_desired,
        )
        return Lookup(machine.servers(), manners, self._health, self._counters, tap=self._tap)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def stats(self) -> ResolverStats:
        """What it has done, and what it holds."""
        held = {"entries": len(self._cache), "in_flight": len(self._flights)}
        return self._counters.stats(hits=self._hits, **held)

    def clear(self) -> None:
        """Forget what is cached, and which servers were silent."""
        self._cache.clear()
        self._health.clear()

    def close(self) -> None:
        """End it: look-ups under way raise `ResourceClosed`. Never switches."""
        self._closed = True
        self.clear()
        self._flights.close()
        self._machine.close()
        forks.forget(self)

    def abandon(self) -> None:
        """Be new in the child of a fork, but for the cache."""
        self._hub = None
        self._flights.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._cache)} names"
        return f"<Resolver {state}>"
