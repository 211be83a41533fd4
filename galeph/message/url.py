"""URLs: taken apart strictly, once, before any byte moves (RFC 3986, RFC 9110 section 4.2).

A URL that two programs read differently is a hole in whatever stands between them, so there is
one reading here and the rest is refused:

- White space and control characters are refused wherever they stand. What else may not be sent as
  it is (a space inside, "é", a stray "%") is percent-encoded; escapes that are there stay as
  they are, and so do the path's dots, since the server may tell "%2F" from "/".
- A host is a name, a dotted quad in its one canonical form, or an IPv6 address in brackets. What
  some resolvers take for an address (``127.1``, ``0x7f.1``, ``2130706433``) is none.
- Userinfo is taken off for an Authorization header and never sent as it is; fragments stay here.

yarl translates international names and resolves references. It is not used for the rest, because
it decodes escapes that need none and removes dot segments. Pure: nothing is looked up.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, unquote

from yarl import URL

from galeph.message.query import QueryItems, encode_pairs

__all__ = ["Target", "parse_url", "resolve_reference", "split_url"]

_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986 appendix B, with the fragment left out.
_PARTS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*+):)?(?://([^/?#]*+))?([^?#]*+)(?:\?([^#]*+))?")
_AUTHORITY = re.compile(r"(\[[^\[\]]*+\]|[^:\[\]]*+)(?::([0-9]{0,5}+))?").fullmatch
_LABEL = r"[a-z0-9_](?:[a-z0-9_\-]{0,61}+(?<!-))?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+\.?").fullmatch
# What a resolver of the C library would try to read as an address (WHATWG URL, section 3.5).
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]++|0x[0-9a-f]*+)\.?").fullmatch

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
# What RFC 3986 sections 3.3 and 3.4 do not let stand there.
_ILLEGAL_IN_PATH = re.compile(r"[^!$&-;=@-Z_a-z~%]|%(?![0-9A-Fa-f]{2})")
_ILLEGAL_IN_QUERY = re.compile(r"[^!$&-;=?@-Z_a-z~%]|%(?![0-9A-Fa-f]{2})")

_CACHE_TARGETS: dict[str, Target] = {}
_CACHE_SIZE = 512
# Longer ones are seldom asked for twice and would only push the others out.
_CACHE_URL_CHARS = 256


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, taken from its URL.

    ``host`` is what to connect to: lower case, an international name in its ASCII form, an IPv6
    address without brackets. ``authority`` is the same for a Host header: brackets where needed,
    the port where it is not the scheme's own. ``path`` begins with "/".
    """

    scheme: str
    host: str
    port: int
    authority: str
    path: str
    query_string: str
    # Not shown, so that no log line has it.
    authorization: str | None = field(default=None, repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials belong to."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The whole URL, without userinfo and fragment."""
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.authority}{self.path}{query}"


def parse_url(url: str | URL, params: QueryItems | None = None) -> Target:
    """Return where a request for ``url`` goes, with ``params`` behind the query it has.

    Raises:
        ValueError: the URL is not absolute, of another scheme than http and https, or ambiguous.
        TypeError: ``url`` is no str, or ``params`` neither a mapping nor pairs of str, int, float
            or bool.
    """
    text = _to_text(url)
    target = _CACHE_TARGETS.get(text)
    if target is None:
        target = _parse(text)
        if len(text) <= _CACHE_URL_CHARS and target.authorization is None:
            if len(_CACHE_TARGETS) >= _CACHE_SIZE:
                _CACHE_TARGETS.clear()
            _CACHE_TARGETS[text] = target
    return target if params is None else _add_params(target, params)


def split_url(url: str | URL) -> tuple[str, str, str, str]:
    """Return scheme, authority, path and query string of a URL or of a path with a query.

    A path (beginning with "/", or "*") has the scheme "http" and no authority.

    Raises:
        ValueError: as for `parse_url`; also for userinfo, which has no place in the result.
    """
    text = _to_text(url)
    if text.startswith("/"):
        _refuse_controls(text)
        path, _, query = text.partition("#")[0].partition("?")
        return "http", "", _encode_path(path), _encode_query(query)
    if text == "*":
        return "http", "", "*", ""
    target = parse_url(text)
    if target.authorization is not None:
        raise ValueError("url: userinfo must be given as an Authorization header")
    return target.scheme, target.authority, target.path, target.query_string


def resolve_reference(base: str, reference: str) -> str:
    """Return the absolute URL that ``reference`` means at ``base`` (RFC 3986 section 5).

    Raises:
        ValueError: it is empty, or holds what no URL may.
    """
    _refuse_controls(reference)
    match = _PARTS.match(reference)
    assert match is not None  # noqa: S101  (every part is optional; narrows the type)
    if not reference or match[2] == "":
        raise ValueError(f"url: the reference {reference!r} leads nowhere")
    if match[1]:
        return reference
    encoded = _ILLEGAL_IN_QUERY.sub(_escape, reference.partition("#")[0])
    return str(URL(base, encoded=True).join(URL(encoded, encoded=True)))


def _to_text(url: object) -> str:
    if isinstance(url, str):
        return url
    if isinstance(url, URL):
        return str(url)
    raise TypeError(f"url must be a str, not {url!r}")


def _parse(text: str) -> Target:
    _refuse_controls(text)
    match = _PARTS.match(text)
    assert match is not None  # noqa: S101  (every part is optional; narrows the type)
    scheme, authority, path, query = match.groups()
    if scheme is None or authority is None:
        raise ValueError(f"url: {_redact(text)!r} is not an absolute URL")
    scheme = scheme.lower()
    port = _DEFAULT_PORTS.get(scheme)
    if port is None:
        raise ValueError(f"url: the scheme must be http or https, not {scheme!r}")
    userinfo, at, authority = authority.rpartition("@")
    host, port = _split_authority(authority, port)
    shown = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    return Target(
        scheme,
        host,
        port,
        shown,
        _encode_path(path) or "/",
        _encode_query(query or ""),
        _basic_authorization(userinfo) if at else None,
    )


def _refuse_controls(text: str) -> None:
    # Not stripped, as urllib does: what is checked and what is sent must be the same.
    if _FORBIDDEN(text) is not None:
        raise ValueError(f"url: {_redact(text)!r} holds a control character")
    if text != text.strip():
        raise ValueError(f"url: {_redact(text)!r} has white space around it")


def _redact(text: str) -> str:
    """The URL without what may be a password, for an error's text."""
    return re.sub(r"//.*@", "//...@", text, flags=re.DOTALL)


# Authority


def _split_authority(authority: str, default_port: int) -> tuple[str, int]:
    match = _AUTHORITY(authority)
    if match is None:
        raise ValueError(f"url: bad host or port {authority!r}")
    host, port = match.groups()
    if port:
        number = int(port)
        if not 0 < number < 65536:
            raise ValueError(f"url: there is no port {port}")
        return _canonical_host(host), number
    return _canonical_host(host), default_port


def _canonical_host(host: str) -> str:
    if host.startswith("["):
        return _canonical_ipv6(host)
    name = host.lower()
    if not name.isascii():
        name = _to_ascii(host)
        if _ENDS_IN_NUMBER(name) is not None:
            raise ValueError(f"url: host {host!r} would become the address {name}")
    if len(name) > 254 or _NAME(name) is None:
        raise ValueError(f"url: bad host {host!r}")
    if _ENDS_IN_NUMBER(name) is not None:
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise ValueError(f"url: host {host!r} is no address in its usual form") from None
    return name


def _canonical_ipv6(host: str) -> str:
    try:
        address = IPv6Address(host[1:-1])
    except AddressValueError:
        raise ValueError(f"url: bad IPv6 address {host!r}") from None
    if address.ipv4_mapped is not None:
        raise ValueError(f"url: {host!r} is an IPv4 address; write it as such")
    if address.scope_id is not None:
        raise ValueError(f"url: {host!r} has a scope, which means nothing to the server")
    return str(address)


def _to_ascii(host: str) -> str:
    try:
        return URL.build(scheme="http", host=host).raw_host or ""
    except ValueError:
        raise ValueError(f"url: bad international host {host!r}") from None


def _basic_authorization(userinfo: str) -> str:
    """Return what RFC 7617 makes of ``user:password``."""
    if "@" in userinfo or "\\" in userinfo:
        # Where the host begins would depend on who reads it.
        raise ValueError("url: '@' and '\\' must be percent-encoded in userinfo")
    name, _, password = userinfo.partition(":")
    try:
        name, password = unquote(name, errors="strict"), unquote(password, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("url: the userinfo is not UTF-8") from None
    if ":" in name:
        raise ValueError("url: a user name cannot have a colon")
    if _FORBIDDEN(name + password) is not None:
        raise ValueError("url: the userinfo holds a control character")
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode("ascii")


# Path and query


def _add_params(target: Target, params: QueryItems) -> Target:
    try:
        added = encode_pairs(params)
    except TypeError as error:
        raise TypeError(f"params: {error}") from error
    except ValueError as error:
        raise ValueError(f"params: {error}") from error
    query = f"{target.query_string}&{added}" if target.query_string and added else added
    return Target(
        target.scheme,
        target.host,
        target.port,
        target.authority,
        target.path,
        query or target.query_string,
        target.authorization,
    )


def _encode_path(path: str) -> str:
    return _ILLEGAL_IN_PATH.sub(_escape, path)


def _encode_query(query: str) -> str:
    return _ILLEGAL_IN_QUERY.sub(_escape, query)


def _escape(match: re.Match[str]) -> str:
    return quote(match[0], safe="")
