"""`Options`: how a `Resolver` works, checked. Each default has its reason beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from galeph._arguments import check_count, check_flag, check_seconds
from galeph.dns.families import AddressTypes, check_address_types
from galeph.dns.hostnames import InvalidName, encode_host
from galeph.dns.nameservers import to_nameservers
from galeph.dns.policy import Policy
from galeph.transport.arguments import is_address
from galeph.transport.names import Resolver as AnyResolver
from galeph.transport.wiretap import Wiretap, to_wiretap

__all__ = ["Options"]

_FLAGS = (
    "edns",
    "recursion_desired",
    "mixed_case",
    "decode_idn",
    "allow_underscores",
    "trace",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `galeph.dns.Resolver`, which says what they mean."""

    nameservers: Sequence[Any] | None = None
    search_domains: Sequence[str] | None = None
    ndots: int | None = None
    rotate: bool | None = None
    hosts: Mapping[str, Sequence[str]] | None = None
    hosts_file: str | os.PathLike[str] | None = "/etc/hosts"
    resolv_conf: str | os.PathLike[str] | None = "/etc/resolv.conf"
    address_types: AddressTypes | None = None
    # As `Timeouts.resolve`: three servers, each silent for its five seconds.
    timeout: float | None = 15.0
    query_timeout: float | None = None
    attempts: int | None = None
    # As in Aleph: a chain of aliases fits, a game of tag does not.
    max_queries_per_resolve: int = 16
    # RFC 9715: what needs no fragments, which can be forged; larger answers come over TCP.
    max_payload_size: int = 1232
    # Not 0: a name with TTL 0 would be asked for at each connection.
    min_ttl: float = 1.0
    max_ttl: float = 86400.0
    # A name that begins to exist is noticed within a minute.
    negative_ttl: float = 60.0
    # RFC 9520: a failure is to be remembered for a second at least, and shortly.
    failure_ttl: float = 1.0
    max_entries: int = 1000
    edns: bool = True
    recursion_desired: bool = True
    mixed_case: bool = True
    decode_idn: bool = True
    allow_underscores: bool = False
    policy: Policy | None = None
    fallback: AnyResolver | None = None
    trace: bool = False
    wiretap: bool | str | int | Wiretap | None = None

    def __post_init__(self) -> None:
        if self.nameservers is not None:
            to_nameservers(self.nameservers)
        self._check_names()
        self._check_files()
        for name in _FLAGS:
            check_flag(name, getattr(self, name))
        if self.rotate is not None:
            check_flag("rotate", self.rotate)
        check_address_types(self.address_types)
        for name in ("timeout", "query_timeout"):
            check_seconds(name, getattr(self, name))
        for name in ("min_ttl", "max_ttl", "negative_ttl", "failure_ttl"):
            check_seconds(name, getattr(self, name), zero=True, optional=False)
        if self.min_ttl > self.max_ttl:
            raise ValueError(f"min_ttl must not be above max_ttl, got {self.min_ttl}")
        check_count("ndots", self.ndots, least=0, optional=True)
        check_count("attempts", self.attempts, least=1, optional=True)
        check_count("max_queries_per_resolve", self.max_queries_per_resolve, least=1)
        check_count("max_payload_size", self.max_payload_size, least=512)
        if self.max_payload_size > 65535:
            raise ValueError(f"max_payload_size must be at most 65535, got {self.max_payload_size}")
        check_count("max_entries", self.max_entries, least=0)
        to_wiretap(self.wiretap)
        if self.policy is not None and not callable(self.policy):
            raise TypeError(f"policy must be a function, not {self.policy!r}")
        if self.fallback is not None and not callable(getattr(self.fallback, "addresses", None)):
            raise TypeError(f"fallback must have a method addresses(host), not {self.fallback!r}")

    def _check_names(self) -> None:
        domains = self.search_domains
        if isinstance(domains, str) or not isinstance(domains, Sequence | None):
            raise TypeError(f"search_domains must be a list of names, not {domains!r}")
        for domain in domains or ():
            try:
                encode_host(domain, allow_underscores=True)
            except InvalidName as error:
                raise ValueError(f"search_domains: {error}") from error
        self._check_hosts()

    def _check_hosts(self) -> None:
        if not isinstance(self.hosts, Mapping | None):
            raise TypeError(f"hosts must be a mapping of names to addresses, not {self.hosts!r}")
        for host, addresses in (self.hosts or {}).items():
            if not isinstance(host, str):
                raise TypeError(f"hosts: a name must be a str, not {host!r}")
            if isinstance(addresses, str) or not isinstance(addresses, Iterable):
                raise TypeError(f"hosts: {host!r} must have a list of addresses, not {addresses!r}")
            for address in addresses:
                if not is_address(address):
                    raise ValueError(f"hosts: {address!r}, for {host!r}, is no address")

    def _check_files(self) -> None:
        for name in ("hosts_file", "resolv_conf"):
            path = getattr(self, name)
            if not isinstance(path, str | os.PathLike | None):
                raise TypeError(f"{name} must be a path or None, not {path!r}")
