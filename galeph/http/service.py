"""`Service`: what all connections of one HTTP server share.

The handler and how its result becomes a `Response`, the limits, the clock, the fields every
response carries, what is logged, and the counts. It knows no protocol version and moves no bytes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any

from gevent import Greenlet
from gevent.event import AsyncResult

from galeph import clock
from galeph.errors import BodyTooLarge, DecodingError
from galeph.http.exchange import HandshakeRefused
from galeph.http.request import Request
from galeph.http.response import Response
from galeph.http.timeouts import Timeouts
from galeph.message.dates import format_date
from galeph.message.fields import split_list
from galeph.message.headers import Headers
from galeph.message.status import reason_phrase
from galeph.protocol import events
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits
from galeph.transport.base import ConnectionInfo, address_text
from galeph.transport.deadlines import NEVER, Deadlines
from galeph.transport.peer_log import PeerLog

__all__ = ["ErrorHandler", "Handler", "Service", "to_response"]

Handler = Callable[[Request], Any]
ErrorHandler = Callable[[Request, BaseException], Any]

_ENGINE_COUNTS = ("fast_heads", "slow_heads", "plain_chunks", "slow_chunks")

# Fields that belong to one connection and are not passed on to the next.
_HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)

_LOGGER = logging.getLogger("galeph.server")


class Service:
    """A handler, and everything around it that is the same for every connection."""

    def __init__(
        self,
        handler: Handler,
        *,
        limits: Limits,
        timeouts: Timeouts,
        context: Context,
        error_handler: ErrorHandler | None = None,
        server_header: str | None = "galeph",
    ) -> None:
        self.handler = handler
        self.limits = limits
        self.timeouts = timeouts
        # None is "never" to the user and infinity to the arithmetic.
        self.first_byte = timeouts.first_byte or NEVER
        self.head = timeouts.head or NEVER
        self.body_progress = timeouts.body_progress or NEVER
        self.write_progress = timeouts.write_progress or NEVER
        self.keep_alive = timeouts.keep_alive or NEVER
        self.drain = timeouts.drain or NEVER
        self.context = context
        self._error_handler = error_handler
        self._clock = clock.default()
        self.monotonic = self._clock.monotonic
        self.deadlines = Deadlines(self._clock)
        self.peer_log = PeerLog(_LOGGER)
        self._server_field = () if server_header is None else (("Server", server_header),)
        # What every response carries, and when it has to be made anew: by the monotonic clock,
        # which is read for each response anyway.
        self.fields: tuple[tuple[str, str], ...] = ()
        self.fields_until = -NEVER
        # Counts, for `Server.stats()`.
        self.requests = 0
        self.refusals = 0
        self._engines: set[H1Engine] = set()
        self._counts = dict.fromkeys(_ENGINE_COUNTS, 0)

    # Failures

    def answer_failure(self, request: Request, error: BaseException) -> Response:
        """Return the answer to a handler's exception; log it unless it is the peer's doing."""
        refusal = self._refusal(request, error)
        if refusal is not None:
            info = request._on_server().info
            self.log_peer(logging.INFO, info, "refused: %s, answered %d", error, refusal.status)
            self.refusals += 1
            return refusal
        info = request._on_server().info
        self.log_bug(info, request, "the handler", error)
        if self._error_handler is not None:
            try:
                return to_response(self._error_handler(request, error))
            except Exception as second:
                self.log_bug(info, request, "the error_handler", second)
        return self.plain_response(500)

    def _refusal(self, request: Request, error: BaseException) -> Response | None:
        """Return the answer where it is the request that is wrong; None for every other error.

        What the handler met in a response of another server is not its client's doing.
        """
        if isinstance(error, BodyTooLarge) and error.body in (None, request._body):
            return self.plain_response(413)
        if isinstance(error, DecodingError) and error.response is None:
            return self.plain_response(400)
        if isinstance(error, HandshakeRefused):
            response: Response = error.response
            return response
        return None

    # Responses

    def default_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the fields every response carries; made once a second."""
        now = self.monotonic()
        if now >= self.fields_until:
            self.renew_fields(now)
        return self.fields

    def renew_fields(self, now: float) -> None:
        """Make the fields every response carries for what is left of this second."""
        time = self._clock.time()
        second = math.floor(time)
        self.fields_until = now + (second + 1 - time)
        self.fields = (*self._server_field, ("Date", format_date(second)))

    def fields_to_forward(self, response: Response) -> Headers:
        """Return what another server's response says beyond its connection (RFC 9110 7.6.1)."""
        headers = response.headers.copy()
        for name in (*_HOP_BY_HOP, *split_list(headers.get_all("connection"))):
            headers.discard(name)
        return headers

    def plain_response(self, status: int) -> Response:
        """Return a response that says no more than its status."""
        text = f"{status} {reason_phrase(status)}\n"
        return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())

    # Logging and counting

    def log_peer(self, level: int, info: ConnectionInfo, message: str, *args: object) -> None:
        """Write one line about a peer, if the rate allows it."""
        peer = address_text(info.remote_addr, info.remote_port)
        self.peer_log.log(level, f"%s {message}", peer, *args)

    def note_refusal(self, info: ConnectionInfo, case: str, why: str, outcome: str) -> None:
        """Count what a peer sent that must not be served, and write one line about it."""
        self.refusals += 1
        self.log_peer(logging.INFO, info, "refused: %s (%s), %s", case, why, outcome)

    def log_bug(
        self,
        info: ConnectionInfo,
        asked: Request | events.Request,
        what: str,
        error: BaseException,
    ) -> None:
        """Write what of the user's has failed and for whom, with the traceback.

        The query is left out: it may hold what is not for a log.
        """
        _LOGGER.error(
            "%s %s %s: %s failed",
            address_text(info.remote_addr, info.remote_port),
            asked.method,
            asked.target.partition("?")[0],
            what,
            exc_info=error,
        )

    def begin(self, engine: H1Engine) -> None:
        """Count a connection's engine from now on."""
        self._engines.add(engine)

    def end(self, engine: H1Engine) -> None:
        """Keep what a connection's engine has counted."""
        self._engines.discard(engine)
        for name in _ENGINE_COUNTS:
            self._counts[name] += getattr(engine, name)

    def counts(self) -> dict[str, int]:
        """Return what happened so far: requests, refusals, and which path heads and chunks took."""
        counts = {"requests": self.requests, "refusals": self.refusals, **self._counts}
        for engine in self._engines:
            for name in _ENGINE_COUNTS:
                counts[name] += getattr(engine, name)
        return counts


def to_response(result: Any) -> Response:
    """Make a `Response` of what a handler may return; waits for a Deferred or a Greenlet.

    Raises:
        TypeError: the handler returned something else.
    """
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204)
    if isinstance(result, (AsyncResult, Greenlet)):
        return to_response(result.get())
    if isinstance(result, Mapping):
        unknown = result.keys() - {"status", "headers", "body", "trailers"}
        if unknown:
            raise TypeError(f"a response dict has no key {min(map(str, unknown))!r}")
        return Response(
            result.get("status", 200),
            result.get("headers"),
            result.get("body"),
            trailers=result.get("trailers"),
        )
    raise TypeError(
        "a handler returns a Response, a dict of status, headers and body, None, or a Deferred "
        f"of one, not {result!r}"
    )
