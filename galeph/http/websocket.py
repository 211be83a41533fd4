"""Opening WebSockets: `websocket_connection` on the server, `websocket_client` on the client.

Both do the opening handshake (RFC 6455 section 4) as `galeph.protocol.websocket.handshake` decides
it, on a connection that HTTP has, and hand that connection to a `WebSocket`. Bytes that came glued
to the handshake are frames and go to it too.

The client has ``websocket_open`` seconds for everything together: name, TCP, TLS and handshake. A
server that answers something else than 101 is reported as `HandshakeFailed` with its response;
redirects are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Unpack

from galeph._arguments import check_count, check_type
from galeph.deferred import Deferred, future
from galeph.deferred.producer import owns
from galeph.dns import default_resolver
from galeph.errors import HandshakeFailed, RemoteProtocolError, TimedOut, TransportError
from galeph.http._websocket_stream import WebSocket
from galeph.http.body import BodyReader
from galeph.http.exchange import HandshakeRefused
from galeph.http.request import Request
from galeph.http.response import Response
from galeph.http.timeouts import Timeouts
from galeph.message.headers import HeaderItems, Headers
from galeph.message.url import Target, parse_url
from galeph.protocol import events
from galeph.protocol.engine import Role
from galeph.protocol.events import NEED_DATA
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits
from galeph.protocol.websocket.engine import WebSocketEngine
from galeph.protocol.websocket.handshake import (
    KEY_BYTES,
    Origins,
    Refused,
    answer_request,
    check_origins,
    check_own_headers,
    check_response,
    check_subprotocols,
    is_upgrade,
    make_key,
    request_headers,
)
from galeph.stream.hosting import host
from galeph.transport.base import Transport
from galeph.transport.client_options import ClientOptions, ClientSettings
from galeph.transport.connect import connect
from galeph.transport.names import Resolver, check_resolver
from galeph.transport.timelimit import TimeLimit

WebSocket.__module__ = __name__  # where users find it

__all__ = ["WebSocket", "is_websocket_upgrade", "websocket_client", "websocket_connection"]

# What is kept of the body of a refusal, for whoever looks into it.
_MAX_REFUSAL_BYTES = 16384
_SCHEMES = {"ws": "http", "wss": "https"}


# -- the server's side


def is_websocket_upgrade(request: Request) -> bool:
    """Whether a request asks for a WebSocket, so that one handler can serve pages as well.

    Raises:
        TypeError: ``request`` is none.
    """
    try:
        headers = request.headers
    except AttributeError:
        text = f"request must be what the handler was called with, not {request!r}"
        raise TypeError(text) from None
    return is_upgrade(headers)


def websocket_connection(
    request: Request,
    *,
    subprotocols: Sequence[str] = (),
    origins: Origins | None = None,
    headers: HeaderItems | None = None,
    max_message_bytes: int | None = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
) -> Deferred[WebSocket]:
    """Make the connection of a request a WebSocket; called in a handler.

    Blocks no longer than it takes to hand the answer to the kernel. Afterwards the handler may go
    on for as long as it likes; what it returns is ignored (a Deferred or Greenlet is waited for).
    The WebSocket is closed when the handler has returned and nothing is connected to it; with
    1011 if the handler raised.

    A request that is no proper handshake fails the Deferred and leaves the answer to the handler:
    one that lets `HandshakeFailed` pass answers with its ``response``, the exact refusal (400, 403
    for a foreign origin, 426 for another version).

    Args:
        request: what the handler was called with.
        subprotocols: those we speak, best first; the first that the client offers is chosen.
        origins: the origins whose pages may connect, like ``["https://example.com"]``; ``"same"``
            for the one of the request's own host. Browsers let *any* page open a WebSocket to
            you, with your user's cookies: check the origin where those mean something. None among
            the origins allows requests without one (which no browser sends).
        headers: further fields of the answer.
        max_message_bytes: refuse larger messages with 1009; by default as ``limits`` say.
        limits: `Limits`; by default those of the server.
        timeouts: `Timeouts`; by default those of the server.

    Returns:
        A Deferred of the `WebSocket`.

    Raises:
        TypeError, ValueError: an argument cannot be used; the text names it.
        LocalProtocolError: the request did not come from a server.
    """
    subprotocols = check_subprotocols(subprotocols)
    origins = check_origins(origins)
    headers = check_own_headers(headers)
    if not isinstance(request, Request):
        raise TypeError(f"request must be what the handler was called with, not {request!r}")
    _check_options(limits, timeouts, max_message_bytes)
    exchange = request._on_server()
    opened: Deferred[WebSocket] = Deferred()
    answer = answer_request(
        _head_of(request), subprotocols=subprotocols, origins=origins, headers=headers
    )
    if isinstance(answer, Refused):
        opened.error(HandshakeRefused(answer.reason, _to_response(answer)))
        return opened
    engine = _make_engine(Role.SERVER, limits or exchange.limits, max_message_bytes)

    def move_in(transport: Transport, received: bytes) -> _Tenancy:
        if received:
            engine.receive_data(received)
        websocket = WebSocket(
            transport,
            engine,
            headers=request.headers,
            subprotocol=answer.subprotocol,
            timeouts=timeouts or exchange.timeouts,
        )
        return _Tenancy(websocket)

    try:
        tenancy = exchange.switch_protocol(answer.headers, move_in)
    except Exception as error:
        opened.error(error)
    else:
        opened.success(tenancy.websocket)
    return opened


class _Tenancy:
    """A WebSocket that lives on a server's connection; see `galeph.http.exchange.Tenant`."""

    __slots__ = ("websocket",)

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket

    def host(self, error: BaseException | None) -> None:
        """Block while the WebSocket is in use, and end it then. See `Tenant.host`."""
        websocket, session = self.websocket, self.websocket._session
        try:
            if error is None:
                host(websocket)
                websocket.close()
            elif isinstance(error, Exception):
                websocket.close(1011, "internal error")
            else:
                session.say_last_word()
                return
            session.gone.wait()
        finally:
            session.conclude()

    def explains(self, error: BaseException) -> bool:
        """Whether ``error`` is what takes from the WebSocket raise. See `Tenant.explains`."""
        return error is self.websocket.error

    def drain(self) -> None:
        """The server shuts down: begin to close. Never blocks."""
        self.websocket.close(1001, "the server is shutting down")


def _head_of(request: Request) -> events.Request:
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return events.Request(
        request.method,
        request.target,
        headers,
        authority=request.host,
        http_version=request.http_version,
        end_stream=not has_body,
    )


def _to_response(refused: Refused) -> Response:
    fields = refused.headers.copy()
    fields["Content-Type"] = "text/plain; charset=utf-8"
    fields["Connection"] = "close"
    return Response(refused.status, fields, f"{refused.reason}\n".encode())


def _check_options(
    limits: Limits | None, timeouts: Timeouts | None, max_message_bytes: int | None
) -> None:
    check_type("limits", limits, Limits, shown="galeph.http.Limits")
    check_type("timeouts", timeouts, Timeouts, shown="galeph.http.Timeouts")
    check_count("max_message_bytes", max_message_bytes, least=1, optional=True)


def _make_engine(role: Role, limits: Limits, max_message_bytes: int | None) -> WebSocketEngine:
    if max_message_bytes is None:
        max_message_bytes = limits.max_message_bytes
    return WebSocketEngine(
        role, max_message_bytes=max_message_bytes, max_fragments=limits.max_fragments
    )


# -- the client's side


def websocket_client(
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    headers: HeaderItems | None = None,
    tls: Any = None,
    max_message_bytes: int | None = None,
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    resolver: Resolver | None = None,
    **options: Unpack[ClientOptions],
) -> Deferred[WebSocket]:
    """Open a WebSocket to a server. Returns at once.

    Name, TCP, TLS and handshake together have ``timeouts.websocket_open`` seconds. Until somebody
    takes the result, killing the only greenlet that waits for it closes the connection.

    Args:
        url: ``ws://`` or ``wss://``; userinfo becomes an Authorization header.
        subprotocols: those to offer, best first; see ``subprotocol`` of the result.
        headers: further fields of the request, such as Origin or Cookie.
        tls: for ``wss``: an ``ssl.SSLContext``, or a dict of options for
            `galeph.tls.client_context`. By default the server's name is verified against the
            system's authorities.
        max_message_bytes: refuse larger messages with 1009; by default as ``limits`` say.
        limits: `Limits`.
        timeouts: `Timeouts`.
        resolver: who knows the server's addresses: a `galeph.dns.Resolver`, or any object with
            ``addresses(host)``; None for `galeph.dns.default_resolver`.
        options: what is done with the socket: `galeph.tcp.ClientOptions`.

    Returns:
        A Deferred of the `WebSocket`. It fails with `HandshakeFailed` if the server does not
        agree (its ``response`` is the answer), with `TimedOut` if that takes too long, and with a
        `ConnectError` if there is no connection.

    Raises:
        TypeError, ValueError: an argument cannot be used; the text names it.
    """
    target = _parse_url(url)
    context, server_hostname = _client_context(target, tls)
    _check_options(limits, timeouts, max_message_bytes)
    subprotocols = check_subprotocols(subprotocols)
    fields = check_own_headers(headers)
    if target.authorization is not None:
        fields.setdefault("Authorization", target.authorization)
    check_resolver(resolver)
    settings = ClientSettings(**options)
    limits = Limits() if limits is None else limits
    timeouts = Timeouts() if timeouts is None else timeouts
    engine = _make_engine(Role.CLIENT, limits, max_message_bytes)
    h1 = H1Engine(Role.CLIENT, limits)

    # For the text of an error; a query may hold a secret, as userinfo does.
    shown = target.url.partition("?")[0].replace("http", "ws", 1)

    def open_websocket() -> WebSocket:
        seconds = timeouts.websocket_open
        with TimeLimit(seconds, lambda: TimedOut(f"{shown} did not open within {seconds:g} s")):
            transport = connect(
                target.host,
                target.port,
                timeout=timeouts.connect,
                resolve_timeout=timeouts.resolve,
                tls_context=context,
                server_hostname=server_hostname,
                tls_timeout=timeouts.tls,
                resolver=default_resolver() if resolver is None else resolver,
                settings=settings,
            )
            try:
                answer, chosen = _shake_hands(transport, target, fields, subprotocols, h1)
            except BaseException:
                transport.close()
                raise
        received = h1.trailing_data()
        if received:
            engine.receive_data(received)
        return WebSocket(
            transport, engine, headers=answer.headers, subprotocol=chosen, timeouts=timeouts
        )

    opened = future(open_websocket)
    owns(opened, WebSocket.close)
    return opened


def _client_context(target: Target, tls: Any) -> tuple[Any, str | None]:
    """Return the context for ``wss``, and the host name to verify; nothing for ``ws``."""
    if target.scheme != "https":
        if tls is not None:
            raise ValueError("tls is for wss:// only")
        return None, None
    if tls is False:
        raise ValueError("tls: wss does not go without")
    from galeph.tls import to_client_context

    return to_client_context(True if tls is None else tls)


def _parse_url(url: str) -> Target:
    """Return where to go (RFC 6455 section 3), with the scheme that HTTP has for it."""
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {url!r}")
    scheme, colon, rest = url.partition(":")
    http_scheme = _SCHEMES.get(scheme.lower())
    if not colon or http_scheme is None:
        raise ValueError("url: the scheme must be ws or wss")
    if "#" in rest:
        raise ValueError("url: a WebSocket's URL has no fragment")
    return parse_url(f"{http_scheme}:{rest}")


def _shake_hands(
    transport: Transport,
    target: Target,
    fields: Headers,
    subprotocols: Sequence[str],
    h1: H1Engine,
) -> tuple[events.InterimResponse, str | None]:
    """Do the client's half of the handshake; return the 101 and the subprotocol."""
    key = make_key(os.urandom(KEY_BYTES))
    path = f"{target.path}?{target.query_string}" if target.query_string else target.path
    headers = request_headers(key, subprotocols=subprotocols, headers=fields)
    request = events.Request("GET", path, headers, authority=target.authority)
    transport.send(h1.send(request))
    try:
        answer = _await_answer(transport, h1)
    except RemoteProtocolError as error:
        raise HandshakeFailed(f"what the server answered is not HTTP: {error}") from error
    if isinstance(answer, events.Response):
        response = Response(answer.status, answer.headers, _read_refusal(transport, h1))
        response.reason, response.http_version = answer.reason, answer.http_version
        response.url = target.url
        raise HandshakeFailed(f"the server answered {answer.status} instead of 101", response)
    return answer, check_response(101, answer.headers, key=key, subprotocols=subprotocols)


def _await_answer(transport: Transport, h1: H1Engine) -> events.InterimResponse | events.Response:
    """Return the 101 or the final response; other interim responses are passed over."""
    while True:
        event = h1.next_event()
        if event is NEED_DATA:
            h1.receive_data(transport.recv())
        elif isinstance(event, events.Response):
            return event
        elif isinstance(event, events.InterimResponse):
            if event.status == 101:
                return event
        else:
            raise HandshakeFailed("the server closed the connection instead of answering")


def _read_refusal(transport: Transport, h1: H1Engine) -> BodyReader:
    """Read the body of a refusal, or as much of it as comes in time and is worth keeping."""
    body = bytearray()
    try:
        while h1.is_receiving and len(body) < _MAX_REFUSAL_BYTES:
            event = h1.next_event()
            if event is NEED_DATA:
                h1.receive_data(transport.recv())
            elif isinstance(event, events.Data):
                body += event.data
    except (RemoteProtocolError, TransportError, TimedOut):
        pass
    pieces = iter([bytes(body[:_MAX_REFUSAL_BYTES])])
    return BodyReader(lambda: next(pieces, b""))
