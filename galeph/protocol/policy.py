"""The house policy: what a message must be, whichever engine parsed it.

None of the libraries below is a security boundary; each lets through something that makes two
implementations disagree about where a message ends or whom it is for. Parsers say *what was
written*; this module decides whether that may be served (RFC 9110, RFC 9112, and stricter where
they leave room). It answers with the `events` of the message and its `Framing`, or refuses with
a `RemoteProtocolError` that carries the status and a stable case name.

The order of the checks is the order in which an answer is most exact: version, target, Host,
framing, repeated singletons, expectation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import NoReturn

from galeph.errors import RemoteProtocolError
from galeph.message.fields import split_list
from galeph.message.headers import Headers
from galeph.message.status import has_no_body
from galeph.protocol.events import Request

__all__ = [
    "CHUNKED",
    "LENGTH",
    "NO_BODY",
    "UNTIL_CLOSE",
    "Framing",
    "is_authority",
    "is_trailer_allowed",
    "judge_request",
    "judge_response",
    "judge_trailers",
    "refuse",
    "wants_keep_alive",
]

# How a body is delimited (RFC 9112 section 6.3).
NO_BODY, LENGTH, CHUNKED, UNTIL_CLOSE = range(4)

_REG_NAME = r"(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})++"
_HOST = re.compile(rf"(?:({_REG_NAME})|\[([0-9A-Fa-f:.]++)\])(?::([0-9]{{0,5}}))?").fullmatch
_ABSOLUTE = re.compile(r"(https?)://([^/?#]*+)([/?][^#]*+)?", re.IGNORECASE).fullmatch
_DIGITS = re.compile(r"[0-9]++").fullmatch  # not \d, which takes every script's digits

# Fields that must not be repeated in a request (section 5.3 of RFC 9110 makes them singletons).
_SINGLETONS = frozenset(
    {
        "authorization",
        "content-type",
        "expect",
        "from",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "max-forwards",
        "proxy-authorization",
        "range",
        "referer",
        "upgrade",
        "user-agent",
    }
)

# RFC 9110 section 6.5.1: what a trailer must not carry. The first set would change framing,
# routing or credentials and refuses the message, the second is dropped.
_TRAILERS_REFUSED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "host",
        "proxy-authorization",
        "set-cookie",
        "transfer-encoding",
        "upgrade",
    }
)
_TRAILERS_DROPPED = frozenset(
    {
        "age",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "date",
        "expect",
        "expires",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "range",
        "retry-after",
        "te",
        "trailer",
        "vary",
        "warning",
        "www-authenticate",
    }
)

_CACHE_HOSTS: set[str] = set()
_CACHE_SIZE = 1024
# A DNS name has at most 253 characters; what is longer must not pin memory.
_CACHE_HOST_CHARS = 260


@dataclass(slots=True)
class Framing:
    """How a message's body ends; ``length`` counts only for `LENGTH`."""

    kind: int
    length: int = 0


_BODYLESS = Framing(NO_BODY)


def refuse(case: str, message: str, status: int = 400) -> NoReturn:
    """Refuse what the peer sent."""
    raise RemoteProtocolError(message, status_hint=status, case=case)


# Requests


def judge_request(
    method: str, target: str, http_version: str, headers: Headers, max_body_bytes: int | None
) -> tuple[Request, Framing]:
    """Return the request event for a parsed head, or refuse it.

    Raises:
        RemoteProtocolError: with the status to answer.
    """
    index = headers._index
    host = index.get("host")
    if host is None:
        if http_version != "HTTP/1.0":
            refuse("host-missing", "no Host header")
        host = ""
    elif not isinstance(host, str):
        refuse("host-repeated", "more than one Host header")
    elif host not in _CACHE_HOSTS:
        _check_host(host)
    scheme = None
    if target[0] != "/":
        scheme, host, target = _split_target(method, target, host, headers)
    elif method == "CONNECT" or "#" in target:
        refuse("target-form", f"bad request target {target[:64]!r}")
    if "content-length" in index or "transfer-encoding" in index:
        framing = _frame_request(method, index, http_version, max_body_bytes)
    else:
        framing = _BODYLESS
    if len(index) != len(headers._pairs):
        _check_singletons(index)
    request = Request(method, target, headers, scheme, host, http_version)
    if framing is not _BODYLESS:
        request.end_stream = framing.kind == NO_BODY
        request.content_length = framing.length if framing.kind != CHUNKED else None
    if "expect" in index:
        request.expects_continue = _judge_expect(headers, http_version) and not request.end_stream
    return request, framing


def is_authority(text: str) -> bool:
    """Whether ``text`` is a host with or without a port, and nothing else (no user, no path)."""
    match = _HOST(text)
    if match is None:
        return False
    _, address, port = match.groups()
    if address is not None:
        try:
            IPv6Address(address)
        except AddressValueError:
            return False
    return not port or int(port) <= 65535


def _check_host(host: str) -> None:
    if not is_authority(host):
        refuse("host-bad", f"bad Host {host[:64]!r}")
    if len(host) <= _CACHE_HOST_CHARS:
        if len(_CACHE_HOSTS) >= _CACHE_SIZE:
            _CACHE_HOSTS.clear()
        _CACHE_HOSTS.add(host)


def _split_target(
    method: str, target: str, host: str, headers: Headers
) -> tuple[str | None, str, str]:
    """Return scheme, authority and origin-form target of one that does not begin with "/"."""
    if target == "*" and method == "OPTIONS":
        return None, host, target
    if method == "CONNECT":
        match = _HOST(target)
        if match is None or not match[3]:
            refuse("target-form", f"CONNECT needs host:port, not {target[:64]!r}")
        _check_host(target)
        headers["Host"] = target
        return None, target, target
    match = _ABSOLUTE(target)
    if match is None or not match[2]:
        refuse("target-form", f"bad request target {target[:64]!r}")
    scheme, authority, path = match.groups()
    _check_host(authority)
    # RFC 9112 section 3.2.2: the target wins over Host, and nobody must see two of them.
    headers["Host"] = authority
    if not path:
        path = "*" if method == "OPTIONS" else "/"
    elif path[0] == "?":
        path = "/" + path
    return scheme.lower(), authority, path


def _frame_request(
    method: str, index: dict[str, str | list[str]], http_version: str, max_body_bytes: int | None
) -> Framing:
    framing = _frame(index, http_version, max_body_bytes)
    if method == "CONNECT" and (framing.kind == CHUNKED or framing.length):
        # RFC 9110 section 9.3.6: what follows is the tunnel's. Two readings of it are one too many.
        refuse("connect-body", "a body in a CONNECT request")
    return framing if framing.kind == CHUNKED or framing.length else Framing(NO_BODY)


def _frame(
    index: dict[str, str | list[str]], http_version: str, max_body_bytes: int | None
) -> Framing:
    """Return what Transfer-Encoding or Content-Length, one of which is there, says."""
    coding = index.get("transfer-encoding")
    if coding is not None:
        if "content-length" in index:
            refuse("length-and-coding", "both Content-Length and Transfer-Encoding")
        _check_coding(coding, http_version)
        return Framing(CHUNKED)
    length = _parse_length(index["content-length"])
    if max_body_bytes is not None and length > max_body_bytes:
        refuse("body-too-large", f"a body of {length} bytes is above the limit", 413)
    return Framing(LENGTH, length)


def _check_coding(coding: str | list[str], http_version: str) -> None:
    """Allow exactly "chunked" (RFC 9112 section 6.1), refuse the rest by what is wrong with it."""
    if http_version == "HTTP/1.0":
        refuse("coding-in-1.0", "Transfer-Encoding in an HTTP/1.0 message")
    members = split_list([coding] if isinstance(coding, str) else coding)
    if members == ["chunked"]:
        return
    if "" in members:
        refuse("coding-empty-member", "an empty member in Transfer-Encoding")
    if members.count("chunked") > 1:
        refuse("coding-repeated", "chunked twice in Transfer-Encoding")
    if "chunked" in members[:-1]:
        refuse("coding-not-last", "chunked is not the last transfer coding")
    named = ", ".join(members)[:64]
    refuse("coding-unknown", f"transfer coding {named!r} is not implemented", 501)


def _parse_length(value: str | list[str]) -> int:
    if isinstance(value, list):
        refuse("length-repeated", "more than one Content-Length")
    if _DIGITS(value) is None:
        refuse("length-bad", f"bad Content-Length {value[:64]!r}")
    if len(value) > 19:  # 2**63 has 19 digits; int() of thousands of digits is quadratic, or raises
        refuse("length-bad", "Content-Length has more than 19 digits")
    return int(value)


def _check_singletons(index: dict[str, str | list[str]]) -> None:
    for name, value in index.items():
        if type(value) is list and name in _SINGLETONS:
            if name == "expect" and {one.lower() for one in value} == {"100-continue"}:
                continue  # means one 100, however often it is said
            refuse("field-repeated", f"more than one {name} header")


def _judge_expect(headers: Headers, http_version: str) -> bool:
    """Whether to send 100 (Continue); anything else expected cannot be met (section 10.1.1)."""
    if http_version == "HTTP/1.0":
        return False
    if any(member != "100-continue" for member in split_list(headers.get_all("expect"))):
        refuse("expectation", "an expectation that cannot be met", 417)
    return True


# Responses


def judge_response(
    request_method: str,
    status: int,
    http_version: str,
    headers: Headers,
    max_body_bytes: int | None,
) -> Framing:
    """Return how the body of a response ends (RFC 9112 section 6.3), or refuse it.

    Raises:
        RemoteProtocolError: it does not say, or says it twice.
    """
    if request_method == "CONNECT" and 200 <= status < 300:
        return _BODYLESS  # rule 2: the framing fields of a tunnel's answer are ignored
    index = headers._index
    has_body = not has_no_body(status) and request_method != "HEAD"
    framing = Framing(UNTIL_CLOSE)
    if "content-length" in index or "transfer-encoding" in index:
        # Also where they frame nothing: two readers may not agree that they do not.
        framing = _frame(index, http_version, max_body_bytes if has_body else None)
    return framing if has_body else _BODYLESS


# Both


def wants_keep_alive(http_version: str, headers: Headers) -> bool:
    """Whether the sender of this head keeps the connection afterwards; "close" wins."""
    value = headers._index.get("connection")
    if value is None:
        return http_version != "HTTP/1.0"
    if value == "keep-alive":  # what every browser sends
        return True
    members = split_list([value] if isinstance(value, str) else value)
    if "close" in members:
        return False
    return http_version != "HTTP/1.0" or "keep-alive" in members


def judge_trailers(trailers: Headers) -> Headers:
    """Return the trailers that may be shown, or refuse the message they end."""
    for name in list(trailers._index):
        if name in _TRAILERS_REFUSED:
            refuse("trailer-forbidden", f"{name} in the trailers")
        if name in _TRAILERS_DROPPED:
            trailers.discard(name)
    return trailers


def is_trailer_allowed(name: str) -> bool:
    """Whether a field of this name may be sent behind a body (RFC 9110 section 6.5.1)."""
    key = name.lower()
    return key not in _TRAILERS_REFUSED and key not in _TRAILERS_DROPPED
