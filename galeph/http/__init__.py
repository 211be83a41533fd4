"""HTTP servers and clients, and WebSockets.

``from galeph import http`` is the documented form. `start_server` serves a handler; `get`, `post`
and the others return a Deferred of a `Response`; `websocket_connection` and `websocket_client`
open WebSockets.
"""

from __future__ import annotations

from galeph.http.client import (
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    request,
    trace,
)
from galeph.http.pool import ConnectionPool, PoolStats, connection_pool
from galeph.http.request import Request
from galeph.http.response import Response
from galeph.http.server import start_server
from galeph.http.timeouts import Timeouts
from galeph.http.websocket import (
    WebSocket,
    is_websocket_upgrade,
    websocket_client,
    websocket_connection,
)
from galeph.message.headers import Headers
from galeph.protocol.limits import Limits

__all__ = [
    "ConnectionPool",
    "Headers",
    "Limits",
    "PoolStats",
    "Request",
    "Response",
    "Timeouts",
    "WebSocket",
    "connection_pool",
    "delete",
    "get",
    "head",
    "is_websocket_upgrade",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "start_server",
    "trace",
    "websocket_client",
    "websocket_connection",
]
