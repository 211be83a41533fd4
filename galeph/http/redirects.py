"""Where a redirect leads, and what of the request may go there (RFC 9110 section 15.4). Pure.

The next request is what browsers make of it: 303 asks with GET (HEAD stays), 301 and 302 turn a
POST into a GET, 307 and 308 repeat the request as it is. What proves who the caller is was meant
for one origin: to another scheme, host or port it is not taken along, and credentials that a
Location brings are not used. A Location that is none is an error rather than a guess.
"""

from __future__ import annotations

from galeph.errors import HTTPError, RemoteProtocolError
from galeph.http.outgoing import Streamed
from galeph.http.request import Request
from galeph.http.response import Response
from galeph.message.headers import Headers
from galeph.message.url import Target, parse_url, resolve_reference

__all__ = ["Hop", "next_hop"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = ("authorization", "cookie", "proxy-authorization")
# Of a body that is not sent any more.
_CONTENT_FIELDS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "digest",
    "expect",
    "last-modified",
    "trailer",
)

Hop = tuple[Target, Request, bytes | Streamed]


def next_hop(
    target: Target, request: Request, body: bytes | Streamed, response: Response
) -> Hop | None:
    """Return where to go next, with what request and body; None if this is the answer.

    Raises:
        RemoteProtocolError: the Location is empty, repeated, no URL, or of a scheme that is not
            http or https.
        HTTPError: the body would have to be sent again, and cannot be: it was streamed.
    """
    locations = response.headers.get_all("location")
    if response.status not in _REDIRECTS or not locations:
        return None
    if len(locations) > 1:
        raise RemoteProtocolError("a redirect with several Location fields", case="location")
    there = _resolve(target, locations[0])
    headers = request.headers.copy()
    method = _next_method(response.status, request.method)
    if method != request.method:
        body = b""
        _discard(headers, _CONTENT_FIELDS)
    elif isinstance(body, Streamed):
        text = f"{response.status} asks for the body again, but it was streamed"
        raise HTTPError(text, response)
    if there.origin != target.origin:
        _discard(headers, _CREDENTIALS)
        headers.discard("host")
    return there, Request._to_target(method, there, headers, body), body


def _resolve(target: Target, location: str) -> Target:
    try:
        # Octets beyond ASCII are what some servers send in place of escapes; they mean UTF-8.
        text = location.encode("latin-1").decode("utf-8")
        return parse_url(resolve_reference(target.url, text))
    except ValueError as error:
        raise RemoteProtocolError(
            f"a redirect to {location!r}: {error}", case="location"
        ) from error


def _next_method(status: int, method: str) -> str:
    if status == 303:
        return method if method == "HEAD" else "GET"
    if status in (301, 302) and method == "POST":
        return "GET"
    return method


def _discard(headers: Headers, names: tuple[str, ...]) -> None:
    for name in names:
        headers.discard(name)
