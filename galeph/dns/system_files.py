"""What the machine says about names: ``resolv.conf``, ``hosts``, ``nsswitch.conf``. Pure.

Each function reads a text and never fails: a line that cannot be understood counts for nothing,
as for the C library, whose rules (resolv.conf(5), hosts(5), nsswitch.conf(5)) these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from galeph.transport.arguments import is_address

__all__ = [
    "ResolvConf",
    "hosts_services",
    "parse_hosts",
    "parse_resolv_conf",
    "uses_only_dns",
]

# What the C library does without a line that says otherwise, and the most it lets one say.
_NDOTS, _MAX_NDOTS = 1, 15
_TIMEOUT, _MAX_TIMEOUT = 5, 30
_ATTEMPTS, _MAX_ATTEMPTS = 2, 5
_LOOPBACK = "127.0.0.1"
# The services that galeph does itself, or leaves to the system name by name.
_OWN_SERVICES = {"files", "dns", "myhostname"}


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What ``/etc/resolv.conf`` says."""

    nameservers: tuple[str, ...] = (_LOOPBACK,)
    search_domains: tuple[str, ...] = ()
    ndots: int = _NDOTS
    timeout: float = _TIMEOUT
    attempts: int = _ATTEMPTS
    rotate: bool = False
    use_tcp: bool = False


def parse_resolv_conf(text: str, environ: Mapping[str, str] | None = None) -> ResolvConf:
    """Read a ``resolv.conf``.

    Args:
        text: the file.
        environ: ``LOCALDOMAIN`` and ``RES_OPTIONS`` there go before what the file says.
    """
    environ = environ or {}
    nameservers: list[str] = []
    search: list[str] = []
    options: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line[0] in "#;":
            continue
        keyword, *values = line.split()[:64] or [""]
        if keyword == "nameserver" and values and is_address(values[0]):
            nameservers.append(values[0])
        elif keyword == "domain":
            search = values[:1]
        elif keyword == "search":
            search = values
        elif keyword == "options":
            options |= _options(values)
    if "LOCALDOMAIN" in environ:
        search = environ["LOCALDOMAIN"].split()
    options |= _options(environ.get("RES_OPTIONS", "").split())
    domains = [domain.strip(".").lower() for domain in search]
    return ResolvConf(
        nameservers=tuple(nameservers) or (_LOOPBACK,),
        search_domains=tuple(domain for domain in domains if domain),
        ndots=_number(options, "ndots", _NDOTS, 0, _MAX_NDOTS),
        timeout=_number(options, "timeout", _TIMEOUT, 1, _MAX_TIMEOUT),
        attempts=_number(options, "attempts", _ATTEMPTS, 1, _MAX_ATTEMPTS),
        rotate="rotate" in options,
        use_tcp="use-vc" in options,
    )


def _options(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition(":") for word in words)}


def _number(options: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    value = options.get(name, "")
    if not (value.isascii() and value.isdigit()):
        return default
    return min(max(int(value[:4]), least), most)


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Read a ``hosts`` file: the addresses of each name, in the order of the lines."""
    found: dict[str, dict[str, None]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if not names or not is_address(address):
            continue
        for name in names:
            found.setdefault(name.removesuffix(".").lower(), {})[address] = None
    return {name: tuple(addresses) for name, addresses in found.items()}


def hosts_services(text: str) -> tuple[str, ...]:
    """Read an ``nsswitch.conf``: the words behind ``hosts:``, in lower case.

    Without such a line the C library asks the files and the DNS.
    """
    for line in text.splitlines():
        database, colon, words = line.partition("#")[0].partition(":")
        if colon and database.strip() == "hosts":
            return tuple(words.lower().split())
    return ("files", "dns")


def uses_only_dns(services: tuple[str, ...]) -> bool:
    """Whether galeph's own resolver finds what the C library would, asked in this order.

    A service it does not know (mDNS, systemd's, LDAP), an action in brackets, or the DNS before
    the files is for the system's own.
    """
    known = set(services) <= _OWN_SERVICES and {"files", "dns"} <= set(services)
    return known and services.index("files") < services.index("dns")
