"""`start_server`: HTTP on the connections that `transport.serving` accepts."""

from __future__ import annotations

import contextvars
from collections.abc import Collection, Sequence
from typing import Any, Unpack

from galeph._arguments import check_type, named
from galeph.http.agreement import check_protocols
from galeph.http.h1_server import H1ServerConnection
from galeph.http.service import ErrorHandler, Handler, Service
from galeph.http.timeouts import Timeouts
from galeph.message.fields import validate_field
from galeph.protocol.limits import Limits
from galeph.transport.arguments import check_handler
from galeph.transport.options import ServerOptions, ServerSettings, check_names
from galeph.transport.serving import Connection, Server, serve_connections

__all__ = ["start_server"]

_VERSIONS = ("http/1.1",)
# What `tcp.start_server` takes by itself, and how it is said here.
_ELSEWHERE = {
    "max_connections": "limits=http.Limits(max_connections=...)",
    "idle_timeout": "timeouts=http.Timeouts(keep_alive=...)",
    "write_timeout": "timeouts=http.Timeouts(write_progress=...)",
    "tls_timeout": "timeouts=http.Timeouts(tls=...)",
    "shutdown_timeout": "timeouts=http.Timeouts(shutdown=...)",
}


def start_server(
    handler: Handler,
    port: int = 0,
    *,
    # where
    host: str = "127.0.0.1",
    listen_socket: Any = None,
    backlog: int = 1024,
    tls: Any = None,
    # what
    http_versions: Sequence[str] = _VERSIONS,
    error_handler: ErrorHandler | None = None,
    server_header: str | None = "galeph",
    # how much, how long
    limits: Limits | None = None,
    timeouts: Timeouts | None = None,
    **options: Unpack[ServerOptions],
) -> Server:
    """Serve HTTP: call ``handler(request)`` for each request, in a greenlet of its connection.

    The server is listening when this returns. The handler may block; it returns a `Response`, a
    dict with ``status``, ``headers`` and ``body``, None (204), or a Deferred of one of these. What
    it raises is logged with its traceback and answered with 500. Every request runs in a fresh
    copy of the context in which `start_server` was called.

    Args:
        handler: takes a `Request`.
        port: 0 lets the system choose; see ``server.port``.
        host: the interface to listen on.
        listen_socket: a listening socket or descriptor to use instead, or a list of them. They
            stay yours to close.
        backlog: how many connections the kernel may hold before they are accepted.
        tls: an ``ssl.SSLContext``, a dict of options for `galeph.tls.certificates`, or what that
            has made.
        http_versions: what to speak; "http/1.1".
        error_handler: ``error_handler(request, error)`` makes the response to an exception of the
            handler, in place of a plain 500.
        server_header: the value of the Server field; None leaves it out.
        limits: sizes and counts above which a request is refused.
        timeouts: how long a peer may take.
        options: what every server has: `galeph.tcp.ServerOptions`.

    Returns:
        The running `Server`: ``port``, ``close()``, ``wait()``, ``serve_forever()``; a context
        manager that drains when left.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        TransportError: the address cannot be listened on.
    """
    for name in options:
        if name in _ELSEWHERE:
            raise TypeError(f"{name} of an HTTP server is said by {_ELSEWHERE[name]}")
    check_names(ServerSettings, options)
    check_handler(handler)
    if error_handler is not None:
        check_handler(error_handler, name="error_handler")
    _check_versions(http_versions)
    if server_header is not None:
        _check_server_header(server_header)
    check_type("limits", limits, Limits, shown="galeph.http.Limits")
    check_type("timeouts", timeouts, Timeouts, shown="galeph.http.Timeouts")
    limits = Limits() if limits is None else limits
    timeouts = Timeouts() if timeouts is None else timeouts
    service = Service(
        handler,
        limits=limits,
        timeouts=timeouts,
        context=contextvars.copy_context(),
        error_handler=error_handler,
        server_header=server_header,
    )

    def serve(connection: Connection) -> None:
        H1ServerConnection(connection, service).serve()

    return serve_connections(
        serve,
        host=host,
        port=port,
        listen_socket=listen_socket,
        backlog=backlog,
        max_connections=limits.max_connections,
        tls_context=_tls_context(tls, http_versions),
        tls_timeout=timeouts.tls,
        shutdown_timeout=timeouts.shutdown,
        peer_log=service.peer_log,
        count=service.counts,
        **options,
    )


def _check_versions(versions: Any) -> None:
    if isinstance(versions, (str, bytes)) or not isinstance(versions, Collection):
        raise TypeError(f"http_versions must be a sequence of names, not {versions!r}")
    unknown = [version for version in versions if version not in _VERSIONS]
    if unknown or not versions:
        raise ValueError(
            f"http_versions: cannot speak {unknown or 'nothing'!r}, only {', '.join(_VERSIONS)}"
        )


def _check_server_header(value: Any) -> None:
    try:
        validate_field("Server", value)
    except (TypeError, ValueError) as error:
        raise named("server_header", error) from error
    if not value:
        raise ValueError("server_header must not be empty (None leaves it out)")


def _tls_context(tls: Any, http_versions: Sequence[str]) -> Any:
    if tls is None or tls is False:
        return None
    from galeph.tls import Certificates, to_server_context

    context = to_server_context(tls, alpn=http_versions)
    if isinstance(context, Certificates):
        for protocols in context.alpn_lists():
            check_protocols(protocols, http_versions)
    return context
