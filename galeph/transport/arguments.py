"""What the arguments of servers and clients must be, beside what ``galeph._arguments`` asks.

A host is judged by its form alone; whether there is one of that name, the resolver says. What is
no host at all but looks like something a user could have meant, a URL or ``host:port``, is refused
with how to say that.
"""

from __future__ import annotations

import inspect
import re
from _ssl import PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from galeph._arguments import check_count

__all__ = ["check_handler", "check_host", "check_port", "check_tls_side", "is_address"]

_MOST_PORT = 65535
# What is in no name and in no IPv4 address: then it is an IPv6 address, or something else.
_IS_SPECIAL = re.compile(r"[\s\x00-\x1f\x7f/\\@?#*:\[\]]").search
_IS_BLANK = re.compile(r"[\s\x00-\x1f\x7f]").search
_WITH_PORT = re.compile(r"\[?([^\[\]]+?)\]?:([0-9]{1,5})").fullmatch

_FOR_SERVER = (
    "tls: a server cannot use a client's context (PROTOCOL_TLS_CLIENT): make one with "
    "galeph.tls.server_context(certfile=...) or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)"
)
_FOR_CLIENT = (
    "tls: a client cannot use a server's context (PROTOCOL_TLS_SERVER): make one with "
    "galeph.tls.client_context() or ssl.create_default_context()"
)


def check_port(port: Any, *, least: int = 0, name: str = "port") -> None:
    """Raise TypeError or ValueError unless ``port`` is an int from ``least`` to 65535."""
    check_count(name, port, least=least, most=_MOST_PORT)


def check_host(host: Any, *, name: str = "host") -> None:
    """Raise TypeError or ValueError unless ``host`` has the form of a name or an address.

    The empty text passes: what it means differs.
    """
    if not isinstance(host, str):
        raise TypeError(f"{name} must be a name or an address as str, not {host!r}")
    if _IS_SPECIAL(host) is not None and not _is_ipv6(host):
        raise ValueError(f"{name} {_complaint(host)}")


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return True


def _complaint(host: str) -> str:
    """What is wrong with a host, and what could be meant. Never shows what may be a password."""
    if "/" in host or "\\" in host:
        return f"must be a name or an address, not a URL or a path{_said_by_url(host)}"
    if "@" in host:
        return f"takes no user, only a name or an address: {host.rpartition('@')[2]!r}"
    if _IS_BLANK(host) is not None:
        return f"holds white space or a control character: {host!r}"
    if host == "*":
        return "must be a name or an address, not '*': '0.0.0.0' and '::' are every interface"
    parts = _WITH_PORT(host)
    if parts is not None and (":" not in parts[1] or _is_ipv6(parts[1])):
        return f"takes no port: say {parts[1]!r}, and {int(parts[2])} for the port, not {host!r}"
    if host[0] == "[" and host[-1] == "]" and _is_ipv6(host[1:-1]):
        return f"takes an IPv6 address without brackets: {host[1:-1]!r}"
    return f"is neither a name nor an address: {host!r}"


def _said_by_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    return f": say {host!r}" + (f", and {port} for the port" if port else "")


def check_tls_side(context: Any, *, is_server: bool) -> None:
    """Raise ValueError if an ``ssl.SSLContext`` is made for the other side.

    One for both sides (``ssl.PROTOCOL_TLS``) passes.
    """
    if context.protocol == (PROTOCOL_TLS_CLIENT if is_server else PROTOCOL_TLS_SERVER):
        raise ValueError(_FOR_SERVER if is_server else _FOR_CLIENT)


def check_handler(handler: Any, *, name: str = "handler") -> None:
    """Raise TypeError unless ``handler`` is a function that does something when it is called."""
    if not callable(handler):
        raise TypeError(f"{name} must be callable, not {handler!r}")
    called = handler if inspect.isroutine(handler) else type(handler).__call__
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise TypeError(f"{name} must block and not await: {handler!r} is an async function")
    if inspect.isgeneratorfunction(called):
        raise TypeError(f"{name} must return, not yield: {handler!r} is a generator function")


def is_address(text: object) -> bool:
    """Whether this is the text of an IP address, with or without an interface behind ``%``."""
    if not isinstance(text, str):
        return False  # a number and four bytes would be one to `ip_address`
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
