"""`Machine`: whom to ask and what is known already, from the files of the system and the options.

What an option says goes before the files. These are looked at again at most once a second.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from galeph.dns.hostnames import encode_host
from galeph.dns.nameservers import Do53, Nameserver, to_nameservers
from galeph.dns.options import Options
from galeph.dns.system_files import parse_hosts, parse_resolv_conf
from galeph.dns.watching import WatchedFile

__all__ = ["LOOK_EVERY", "Machine"]

LOOK_EVERY = 1.0
_NO_FILE = os.devnull


class Machine:
    """What the surroundings say, as of the last look."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._hosts = WatchedFile(options.hosts_file or _NO_FILE, parse_hosts)
        self._conf = WatchedFile(
            options.resolv_conf or _NO_FILE, lambda text: parse_resolv_conf(text, os.environ)
        )
        self._own = {
            encode_host(host, allow_underscores=True).removesuffix("."): tuple(addresses)
            for host, addresses in (options.hosts or {}).items()
        }
        given = options.nameservers
        self._given = None if given is None else to_nameservers(given)
        self._turn = 0
        self._read()

    def has_changed(self) -> bool:
        """Look at the files; return whether one of them says something else than before."""
        hosts, conf = self._hosts.has_changed(), self._conf.has_changed()
        if conf:
            self._read()
        return hosts or conf

    def _read(self) -> None:
        options, conf = self._options, self._conf.value
        self._servers: tuple[Nameserver, ...] = self._given or tuple(
            Do53(address, tcp=conf.use_tcp) for address in conf.nameservers
        )
        domains = options.search_domains
        self.search_domains: Sequence[str] = (
            conf.search_domains
            if domains is None
            else [encode_host(each, allow_underscores=True).removesuffix(".") for each in domains]
        )
        self.ndots = conf.ndots if options.ndots is None else options.ndots
        self.query_timeout = options.query_timeout or conf.timeout
        self.attempts = options.attempts or conf.attempts
        self._rotate = conf.rotate if options.rotate is None else options.rotate

    def known(self, name: str) -> tuple[str, ...] | None:
        """Return the addresses that are written down for a name, or None."""
        bare = name.removesuffix(".")
        return self._own.get(bare) or self._hosts.value.get(bare)

    def servers(self) -> Sequence[Nameserver]:
        """Return whom to ask, in order; with ``rotate`` another one leads each time."""
        servers = self._servers
        if not self._rotate or len(servers) < 2:
            return servers
        self._turn = (self._turn + 1) % len(servers)
        return servers[self._turn :] + servers[: self._turn]

    def close(self) -> None:
        """Close what the servers keep. Never switches."""
        for server in self._servers:
            close = getattr(server, "close", None)
            if close is not None:
                close()
