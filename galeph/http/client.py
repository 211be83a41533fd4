"""The client: `request` and a function for each method.

A call checks its arguments, then returns a Deferred at once; a greenlet does the work: takes a
connection from the pool, exchanges, follows redirects, and realizes the Deferred when the head of
the last response has arrived. The Deferred owns the response until somebody takes it. The body
streams from then on; `H1ClientConnection` sees to it that the connection returns.

A request is sent again only where that is safe: on a connection that was used before, when not a
byte of a response has come, for a method that may be repeated and a body that can be; then once,
on a connection of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict, Unpack

from galeph import clock
from galeph._arguments import check_flag, check_seconds, check_type, named
from galeph.deferred import Deferred, future
from galeph.deferred.producer import owns
from galeph.errors import (
    DeadlineExceeded,
    RemoteProtocolError,
    TooManyRedirects,
    TransportError,
)
from galeph.http.h1_client import OnInterim
from galeph.http.outgoing import Streamed
from galeph.http.pool import ConnectionPool, default_pool
from galeph.http.redirects import next_hop
from galeph.http.request import Request
from galeph.http.request_body import ABSENT, choose_content, settle_body
from galeph.http.response import Response
from galeph.http.timeouts import Timeouts
from galeph.message.fields import is_token
from galeph.message.headers import HeaderItems, Headers
from galeph.message.query import QueryItems
from galeph.message.url import Target, parse_url
from galeph.protocol.limits import Limits
from galeph.transport.arguments import check_handler
from galeph.transport.timelimit import TimeLimit

__all__ = [
    "RequestOptions",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "trace",
]

_DEFAULT_HEADERS = Headers([("User-Agent", "galeph"), ("Accept", "*/*")])
# RFC 9110 section 9.2.2: sent twice they do what they do sent once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class RequestOptions(TypedDict, total=False):
    """The options of `request`, for its shorter forms."""

    params: QueryItems | None
    headers: HeaderItems | None
    body: Any
    form: QueryItems | None
    json: Any
    deadline: float | None
    timeouts: Timeouts | None
    limits: Limits | None
    pool: ConnectionPool | None
    tls: Any
    raise_for_status: bool
    follow_redirects: bool
    on_interim: OnInterim | None


_OPTIONS = RequestOptions.__annotations__.keys()
# How what other clients have is said here.
_ELSEWHERE = {
    "timeout": "deadline= (seconds for everything) or timeouts=",
    "verify": "tls=",
    "cert": "tls=",
    "data": "form= or body=",
    "content": "body=",
    "allow_redirects": "follow_redirects=",
    "auth": "https://user:password@host/ in the URL, or headers=",
    "cookies": "headers=",
}


@dataclass(slots=True)
class _Call:
    """A request and how it is to be made, all checked."""

    target: Target
    method: str
    headers: Headers
    body: Any
    pool: ConnectionPool
    tls: Any
    timeouts: Timeouts
    limits: Limits
    ends_at: float | None
    on_interim: OnInterim | None
    follow_redirects: bool
    raise_for_status: bool


def request(
    method: str,
    url: str,
    *,
    # what
    params: QueryItems | None = None,
    headers: HeaderItems | None = None,
    body: Any = None,
    form: QueryItems | None = None,
    json: Any = ABSENT,
    # how
    follow_redirects: bool = True,
    raise_for_status: bool = False,
    on_interim: OnInterim | None = None,
    pool: ConnectionPool | None = None,
    tls: Any = None,
    # how long, how much
    deadline: float | None = None,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
) -> Deferred[Response]:
    """Send a request; return at once a Deferred of the response.

    It is realized when the head of the response has arrived. The body follows as it is read:
    ``response.bytes()``, ``text()``, ``json()``, ``lines()``, ``body`` (a file), ``stream``. Read
    it to its end or close the response; until then it has its connection. A Deferred that nobody
    waits for any more is cancelled, and with it the request.

    Args:
        method: "GET", or any other; sent in upper case.
        url: absolute, http or https. What may not stand in a path or query is percent-encoded;
            userinfo is sent as Basic authorization.
        params: a mapping (a list repeats the name) or pairs, added to the URL's query.
        headers: a mapping or pairs. Host, Content-Length and others of the framing are set
            where missing.
        body: bytes, str (sent as UTF-8), a binary file, an iterable or generator of bytes or str,
            a Source, or a Deferred of one. Files go with their length, what has none in chunks.
        form: a mapping or pairs, sent URL-encoded.
        json: what is sent as JSON.
        follow_redirects: False to get a redirect as the response it is.
        raise_for_status: True to fail with `StatusError` for a status of 400 or above.
        on_interim: called as ``on_interim(status, headers)`` for each 1xx response.
        pool: where connections come from; by default one pool a hub.
        tls: for https: an ``ssl.SSLContext`` or a dict of options for
            `galeph.tls.client_context`, in place of the pool's.
        deadline: seconds for everything, from now to the last byte of the body.
        timeouts: how long each step may take; by default the pool's.
        limits: sizes above which a response is refused; by default the pool's, which are those of
            `Limits` except that 64 MiB may be gathered in memory, and any number streamed.

    Returns:
        A Deferred of the response. It fails with

        1. `ConnectError` (`ResolveError`, `ConnectRefused`, `TLSError`): no connection came about.
        2. `ConnectionLost`: it broke before the head of the response was complete.
        3. `TimedOut`: `PoolTimeout`, `ConnectTimeout`, `RequestTimeout` (no head), `WriteTimeout`;
           `DeadlineExceeded` for ``deadline``.
        4. `PoolFull`: too many requests wait for a connection.
        5. `RemoteProtocolError`: the answer is no HTTP, or a redirect leads nowhere.
        6. `TooManyRedirects`, `StatusError`; `HTTPError`: a streamed body cannot be sent again.
        7. `Cancelled`: it was; and whatever the body itself raised while it was fetched.

        Reading the body raises `IncompleteBody` when the connection ends inside of it,
        `ReadTimeout` when it makes no progress.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it. Nothing
            was sent.
    """
    call = _checked(
        method,
        parse_url(url, params),
        headers,
        choose_content(body, form, json),
        follow_redirects=follow_redirects,
        raise_for_status=raise_for_status,
        on_interim=on_interim,
        pool=pool,
        tls=tls,
        deadline=deadline,
        timeouts=timeouts,
        limits=limits,
    )
    response = future(_perform, call)
    owns(response, Response.close)
    return response


def get(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a GET request; see `request`."""
    return _short_form("get", url, options)


def head(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a HEAD request; see `request`."""
    return _short_form("head", url, options)


def post(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a POST request; see `request`."""
    return _short_form("post", url, options)


def put(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a PUT request; see `request`."""
    return _short_form("put", url, options)


def patch(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a PATCH request; see `request`."""
    return _short_form("patch", url, options)


def delete(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a DELETE request; see `request`."""
    return _short_form("delete", url, options)


def options(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send an OPTIONS request; see `request`."""
    return _short_form("options", url, options)


def trace(url: str, **options: Unpack[RequestOptions]) -> Deferred[Response]:
    """Send a TRACE request, which has no body; see `request`."""
    return _short_form("trace", url, options)


def _short_form(name: str, url: str, options: RequestOptions) -> Deferred[Response]:
    if options and not options.keys() <= _OPTIONS:
        unknown = min(options.keys() - _OPTIONS)
        hint = f"; say {_ELSEWHERE[unknown]}" if unknown in _ELSEWHERE else ""
        raise TypeError(f"http.{name}() has no option {unknown!r}{hint}")
    return request(name, url, **options)


# Checking


def _checked(
    method: str,
    target: Target,
    headers: HeaderItems | None,
    content: tuple[Any, str | None],
    *,
    follow_redirects: bool,
    raise_for_status: bool,
    on_interim: OnInterim | None,
    pool: ConnectionPool | None,
    tls: Any,
    deadline: float | None,
    timeouts: Timeouts | None,
    limits: Limits | None,
) -> _Call:
    method = _check_method(method)
    body, content_type = content
    if method == "TRACE" and body != b"":
        raise ValueError("body: a TRACE request has none")
    # Nothing is asked about what most requests leave as it is: these five calls are 0.6 µs.
    if follow_redirects is not True:
        check_flag("follow_redirects", follow_redirects)
    if raise_for_status is not False:
        check_flag("raise_for_status", raise_for_status)
    if pool is not None:
        check_type("pool", pool, ConnectionPool, shown="galeph.http.ConnectionPool")
    if timeouts is not None:
        check_type("timeouts", timeouts, Timeouts, shown="galeph.http.Timeouts")
    if limits is not None:
        check_type("limits", limits, Limits, shown="galeph.http.Limits")
    if on_interim is not None:
        check_handler(on_interim, name="on_interim")
    ends_at = None
    if deadline is not None:
        check_seconds("deadline", deadline, finite=True)
        ends_at = clock.default().monotonic() + deadline
    if pool is None:
        pool = default_pool()
    if tls is not None:
        pool.check_tls(tls)
    return _Call(
        target,
        method,
        _make_headers(headers, target, body, content_type),
        body,
        pool,
        tls,
        pool.timeouts if timeouts is None else timeouts,
        pool.limits if limits is None else limits,
        ends_at,
        on_interim,
        follow_redirects,
        raise_for_status,
    )


def _check_method(method: object) -> str:
    if not isinstance(method, str):
        raise TypeError(f"method must be a str, not {method!r}")
    if not is_token(method):
        raise ValueError(f"method {method!r} is not a token")
    method = method.upper()
    if method == "CONNECT":
        raise ValueError("method: CONNECT makes a tunnel, which no request can")
    return method


def _make_headers(
    given: HeaderItems | None, target: Target, body: Any, content_type: str | None
) -> Headers:
    """Return what is sent besides the framing: the caller's fields, and ours where missing."""
    if given is None and content_type is None and target.authorization is None:
        return _DEFAULT_HEADERS.copy()
    try:
        headers = Headers(given)
    except (TypeError, ValueError) as error:
        raise named("headers", error) from error
    if "transfer-encoding" in headers:
        raise ValueError("headers: Transfer-Encoding is set by galeph, from the body")
    if len(headers.get_all("host")) > 1:
        raise ValueError("headers: more than one Host")
    length = headers.get("content-length")
    if length is not None:
        if not (length.isascii() and length.isdigit()) or len(length) > 18:
            raise ValueError(f"headers: Content-Length is no number: {length!r}")
        known = len(body) if isinstance(body, bytes) else getattr(body, "length", None)
        if known is not None and known != int(length):
            raise ValueError(f"headers: Content-Length is {length}, the body has {known} bytes")
    fields = list(_DEFAULT_HEADERS.raw)
    if content_type is not None:
        fields.append(("Content-Type", content_type))
    if target.authorization is not None:
        fields.append(("Authorization", target.authorization))
    return headers.with_defaults(fields)


# Working


def _perform(call: _Call) -> Response:
    """Do what was asked for, in a greenlet of its own."""
    try:
        response = _follow(call) if call.ends_at is None else _follow_until(call, call.ends_at)
    finally:
        if isinstance(call.body, Streamed) and not call.body.is_taken:
            call.body.close()
    return response.raise_for_status() if call.raise_for_status else response


def _follow_until(call: _Call, ends_at: float) -> Response:
    """Do so as long as the deadline allows. For the body, the connection will watch it."""
    late = partial(DeadlineExceeded, "the deadline passed before the response had begun")
    left = ends_at - clock.default().monotonic()
    if left <= 0:
        raise late()
    with TimeLimit(left, late):
        return _follow(call)


def _follow(call: _Call) -> Response:
    """Exchange until the answer is no redirect."""
    body = call.body
    if not isinstance(body, (bytes, Streamed)):
        body = call.body = settle_body(body)
    target = call.target
    asked = Request._to_target(call.method, target, call.headers, body)
    hops = 0
    while True:
        response = _exchange(call, target, asked, body)
        if not call.follow_redirects:
            return response
        try:
            hop = next_hop(target, asked, body, response)
            if hop is None:
                return response
            hops += 1
            if hops > call.limits.max_redirects:
                text = f"{hops} redirects, the last to {hop[0].url}"
                raise TooManyRedirects(text, response)
        except RemoteProtocolError:
            response.close()  # an HTTPError, in contrast, has it
            raise
        target, asked, body = hop
        # The text of a redirect comes with its head, as a rule; then the connection is free.
        response.close()


def _exchange(
    call: _Call, target: Target, asked: Request, body: bytes | Streamed, *, fresh: bool = False
) -> Response:
    """Make one request, on a used connection if there is one; once more if that was stale."""
    connection = call.pool.acquire(
        target, tls=call.tls, timeouts=call.timeouts, limits=call.limits, fresh=fresh
    )
    try:
        return connection.exchange(
            asked,
            body,
            timeouts=call.timeouts,
            limits=call.limits,
            on_interim=call.on_interim,
            ends_at=call.ends_at,
        )
    except TransportError:
        is_stale = connection.uses > 1 and not connection.has_heard
        if not is_stale or asked.method not in _IDEMPOTENT or not isinstance(body, bytes):
            raise
    return _exchange(call, target, asked, body, fresh=True)
