"""The driver of one HTTP/1 connection on the server.

It reads, parses, calls the handler and writes in the connection's own greenlet, with no hand-over
on the way: on the path of a plain request there is one wait, one ``recv``, one ``send``, and no
switch, lock, timer or Deferred. The engine knows the protocol, the transport moves the bytes, the
`Deadlines` sweep watches the time; this module only joins them, and knows what to do when one of
them says no.

How a connection ends: a message that must not be served gets its exact answer, then our side is
closed and what still arrives is read and thrown away for a bounded time, so that the answer is not
destroyed by a reset. A connection whose time runs out gets 408 if a part of a head had come, and
nothing otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gevent import Greenlet, Timeout
from gevent.event import AsyncResult

from galeph.errors import (
    IncompleteBody,
    LocalProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    ResourceBusy,
    TimedOut,
    WriteTimeout,
)
from galeph.http.body import BodyReader
from galeph.http.departure import Departure
from galeph.http.exchange import AnyTenant, EndedExchange, NoTenant, Tenant
from galeph.http.h1_streaming import CONNECTION_ENDS, send_streamed
from galeph.http.incoming import IncomingBody
from galeph.http.outgoing import Streamed, head_of, prepare_body
from galeph.http.request import Request
from galeph.http.response import Response
from galeph.http.service import to_response
from galeph.message.headers import Headers
from galeph.protocol import events
from galeph.protocol.engine import Role
from galeph.protocol.events import NEED_DATA, Data, InterimResponse
from galeph.protocol.h1 import H1Engine
from galeph.transport.base import Transport
from galeph.transport.deadlines import NEVER
from galeph.transport.lingering import linger

if TYPE_CHECKING:
    from galeph.deferred import Deferred
    from galeph.http.service import Service
    from galeph.transport.serving import Connection

__all__ = ["H1ServerConnection"]

_READ_BYTES = 65536
# A buffer larger than this is written in slices, so that a slow reader shows progress.
_SLICE_BYTES = 256 * 1024
# Head and body go out in one system call up to this size; above it the copy costs more.
_JOIN_BYTES = 64 * 1024

# What has become of a refusal that came when the answer was out.
_LATE = "answered before that"

# What the connection is waiting for, which decides what its deadline means.
_FIRST_BYTE, _HEAD, _IDLE, _HANDLER, _BODY, _WRITE, _LINGER, _TENANT = range(8)


class H1ServerConnection:
    """Serves one connection from its first byte to its last; the `Exchange` of its requests."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "_departure",
        "_ended",
        "_incoming",
        "_phase",
        "_requests_left",
        "_scheme",
        "_service",
        "_tenant",
        "closing",
        "deadline",
        "engine",
        "info",
        "limits",
        "max_buffered_bytes",
        "timeouts",
        "transport",
    )

    def __init__(self, connection: Connection, service: Service) -> None:
        limits = service.limits
        transport = connection.transport
        self._connection = connection
        self.transport = transport
        self._service = service
        self.engine = H1Engine(Role.SERVER, limits)
        self.info = transport.info
        self.closing = connection.closing
        self._scheme = "http" if transport.info.tls is None else "https"
        self.limits = limits
        self.timeouts = service.timeouts
        self.max_buffered_bytes = limits.max_buffered_body_bytes
        self._requests_left = limits.max_requests_per_connection or -1
        self._ended = EndedExchange(self)
        self._incoming: IncomingBody | None = None
        self._departure: Departure | None = None
        self._tenant: Tenant | None = None
        self._phase = _FIRST_BYTE
        self.deadline = NEVER

    # The life of the connection

    def serve(self) -> None:
        """Serve requests until the connection ends; blocks as long as that takes."""
        service = self._service
        self._mark(_FIRST_BYTE, service.first_byte)
        service.deadlines.watch(self)
        service.begin(self.engine)
        self._connection.on_drain = self.drain
        if self._connection.is_draining:  # it began during the TLS handshake
            self.engine.close_after_response()
        self._connection.is_idle = True
        try:
            self._serve_requests()
        except CONNECTION_ENDS as error:
            service.log_peer(logging.DEBUG, self.info, "connection ended: %s", error)
        finally:
            service.deadlines.forget(self)
            service.end(self.engine)
            self._connection.on_drain = None  # it refers to us: no cycle stays behind

    def _serve_requests(self) -> None:
        engine = self.engine
        transport = self.transport
        service = self._service
        connection = self._connection
        event: Any
        while True:
            try:
                if connection.is_idle:  # nothing is buffered: do not ask before something is there
                    event = engine.receive(transport.recv(_READ_BYTES))
                else:
                    event = engine.next_event()
                if type(event) is not events.Request:
                    event = self._wait_for_request(event)
            except RemoteProtocolError as error:
                self._refuse(error.status_hint, error.case, str(error))
                return
            except ReadTimeout:
                if self._phase == _HEAD:
                    self._refuse(408, "head-too-slow", "the head did not arrive in time")
                else:
                    service.log_peer(logging.DEBUG, self.info, "closed: it said nothing")
                return
            if event is None:
                return
            self._phase = _HANDLER
            self.deadline = NEVER
            connection.is_idle = False
            if not self._answer(event):
                return
            connection.is_idle = engine.is_idle
            self._phase = _IDLE
            self.deadline = service.monotonic() + service.keep_alive

    def _wait_for_request(self, event: events.Event) -> events.Request | None:
        engine = self.engine
        while event is NEED_DATA:
            if self._phase != _HEAD and not engine.is_idle:
                # The head has begun but is not complete. Its deadline is absolute: what follows
                # does not move it, however it dribbles in.
                self._connection.is_idle = False
                self._mark(_HEAD, self._service.head)
                self._service.deadlines.hurry(self)
            event = engine.receive(self.transport.recv(_READ_BYTES))
        if type(event) is events.Request:
            return event
        return None  # CLOSED, between two messages

    # Deadlines

    def _mark(self, phase: int, timeout: float) -> None:
        self._phase = phase
        self.deadline = self._service.monotonic() + timeout

    def expire(self) -> None:
        """The deadline has passed. Runs in the hub."""
        if self._phase == _WRITE:
            self.transport.abort(WriteTimeout("the peer takes nothing"))
        else:
            self.transport.interrupt(ReadTimeout("the peer sends nothing"))

    # Shutting down

    def drain(self) -> None:
        """End after the exchange that is under way, or now if there is none. Never blocks."""
        if self._tenant is not None:
            self._tenant.drain()
            return
        self.engine.close_after_response()
        # A request that has arrived and was not read yet is under way too: it is answered.
        if self._connection.is_idle and not self.transport.has_input():
            self.transport.close()

    # One exchange

    def _answer(self, event: events.Request) -> bool:
        """Serve one request; return whether the connection goes on."""
        service = self._service
        service.requests += 1
        self._requests_left -= 1
        if not self._requests_left:
            self.engine.close_after_response()
        if event.method == "CONNECT":  # no handler takes tunnels yet (RFC 9110 section 9.3.6)
            self._refuse(501, "connect", "no tunnels here")
            return False
        self._incoming = None if event.end_stream else IncomingBody(self, event)
        request = Request._from_event(event, self, self._scheme)
        try:
            try:
                response = service.context.copy().run(service.handler, request)
                if type(response) is not Response:
                    response = self._settle(response)
            except (Exception, Timeout) as error:
                answer = self._judge_failure(request, error)
                if answer is None:
                    return False
                response = answer
            except BaseException as error:  # killed, or the process is told to stop
                if self._tenant is not None:
                    self._tenant.host(error)
                self.transport.abort()
                raise
            if self._tenant is not None:
                self._tenant.host(None)
                return False
            if self._incoming is not None:
                return self._respond_and_leave_body(event, response, self._incoming)
            if not self._respond(event, response):
                return False
            return self.engine.can_reuse or self._finish()
        finally:
            # Not before the response has gone out: its body may be made of the request.
            incoming = self._incoming
            if incoming is None or incoming.trailers is None:
                request._exchange = self._ended
            else:  # the trailers are this request's alone; the other is shared by all
                request._exchange = EndedExchange(self, incoming.trailers)
            if self._departure is not None:
                self._end_departure()

    def _respond_and_leave_body(
        self, asked: events.Request, response: Response, incoming: IncomingBody
    ) -> bool:
        """As without a body; what the handler has not read of it is dealt with."""
        if isinstance(incoming.error, (IncompleteBody, RemoteProtocolError)):
            # Whatever the handler made of it: the client is gone, or does not speak HTTP.
            response.close()
            self._refuse_body(incoming.error)
            return False
        try:
            return self._respond(asked, response) and self._finish()
        finally:
            incoming.close()

    def _settle(self, result: Any) -> Response:
        """Make a response of what the handler returned; ignore it after an upgrade."""
        while isinstance(result, (AsyncResult, Greenlet)):
            result = result.get()
        return to_response(result) if self._tenant is None else Response(204)

    def _judge_failure(self, request: Request, error: BaseException) -> Response | None:
        """Decide what a handler's exception means; return its answer, None if there is none."""
        if self._tenant is not None:
            if self._tenant.explains(error):
                self._service.log_peer(logging.DEBUG, self.info, "connection ended: %s", error)
            else:
                self._service.log_bug(self.info, request, "the handler", error)
            self._tenant.host(error)
            return None
        if self._incoming is not None and error is self._incoming.error:
            self._refuse_body(error)
            return None
        return self._service.answer_failure(request, error)

    def _refuse_body(self, error: BaseException) -> None:
        """A handler let an error of the body pass: it is the peer's, and so is the answer."""
        if isinstance(error, RemoteProtocolError):
            self._refuse(error.status_hint, error.case, str(error))
        elif isinstance(error, ReadTimeout):
            self._refuse(408, "body-too-slow", "the body made no progress")
        else:
            self._service.log_peer(logging.DEBUG, self.info, "the body broke off: %s", error)

    def note_broken_body(self, asked: events.Request, error: Exception) -> None:
        """Log once that the response's body has failed, and whose doing that was."""
        if self._incoming is not None and error is self._incoming.error:
            # The response was made of the request's body, and that is what broke off.
            if isinstance(error, RemoteProtocolError):
                self._service.note_refusal(self.info, error.case, str(error), _LATE)
            else:
                self._service.log_peer(logging.DEBUG, self.info, "the body broke off: %s", error)
        else:
            self._service.log_bug(self.info, asked, "the response body", error)

    def _finish(self) -> bool:
        """Leave the exchange behind: take what is left of the request, or end the connection."""
        self._end_departure()  # it has been answered, and may leave
        engine = self.engine
        incoming = self._incoming
        if engine.can_reuse and (incoming is None or incoming.done or self._drain(incoming)):
            return True
        self._linger()
        return False

    def _drain(self, incoming: IncomingBody) -> bool:
        """Read and drop the rest of the body, within the limits for that."""
        if incoming.continue_due:
            return False
        self._mark(_LINGER, self._service.drain)
        self._service.deadlines.hurry(self)
        try:
            return incoming.drain(self._service.limits.max_drain_bytes) and self.engine.can_reuse
        except RemoteProtocolError as error:
            self._service.note_refusal(self.info, error.case, str(error), _LATE)
            return False
        except (TimedOut, ResourceBusy):
            return False

    # Responding

    def _respond(self, asked: events.Request, response: Response) -> bool:
        """Send the response; return whether it was sent whole."""
        try:
            body = response.body
            if type(body) is str:
                body = body.encode()
            elif type(body) is not bytes:
                body = prepare_body(body)
            if (
                type(body) is bytes
                and self._incoming is None
                and 0 < len(body) <= _JOIN_BYTES
                and not response.http_version
                and response.trailers is None
            ):
                service = self._service
                now = service.monotonic()
                if now >= service.fields_until:
                    service.renew_fields(now)
                whole = self.engine.send_known(
                    response.status, response.headers, service.fields, body
                )
                if whole is not None:
                    # As `write`, which the path of a plain response is spared.
                    self._phase = _WRITE
                    self.deadline = now + service.write_progress
                    self.transport.send(whole)
                    return True
            if response.trailers is not None and type(body) is bytes:
                body = Streamed(body, (body,), None)  # only chunks can carry them
            framed = self._frame_head(response, body, asked.method)
        except Exception as error:
            if self.transport.closed and isinstance(error, CONNECTION_ENDS):
                raise
            response.close()
            self._service.log_bug(self.info, asked, "the response", error)
            response = self._service.plain_response(500)
            body = response.body
            framed = self._frame_head(response, body, asked.method)
        if isinstance(body, bytes):
            if body:
                framed += self.engine.send(Data(body, end_stream=True))
            self.write(framed if len(body) > _JOIN_BYTES else b"".join(framed))
            return True
        try:
            self.write(b"".join(framed))
            return send_streamed(self, asked, body, response.trailers)
        finally:
            body.close()

    def _frame_head(self, response: Response, body: bytes | Streamed, method: str) -> list[bytes]:
        incoming = self._incoming
        if incoming is not None and not incoming.is_worth_draining(
            self._service.limits.max_drain_bytes
        ):
            self.engine.close_after_response()
        return list(self.engine.send(head_of(response, body, method, self._service)))

    def write(self, data: bytes | Sequence[bytes]) -> None:
        """Send; whatever happens meanwhile, the peer has to take some of it all the time."""
        self._mark(_WRITE, self._service.write_progress)
        if type(data) is bytes and len(data) <= _SLICE_BYTES:
            self.transport.send(data)
        else:
            self._write_slices(data)
        self._phase = _HANDLER
        self.deadline = NEVER

    def _write_slices(self, data: bytes | Sequence[bytes]) -> None:
        for buffer in (data,) if isinstance(data, bytes) else data:
            view = memoryview(buffer)
            for at in range(0, len(buffer), _SLICE_BYTES):
                self._mark(_WRITE, self._service.write_progress)
                self.transport.send(view[at : at + _SLICE_BYTES])

    # What the request asks for

    @property
    def disconnected(self) -> Deferred[bool]:
        """See `Exchange.disconnected`."""
        return self.watch_departure().disconnected

    def watch_departure(self) -> Departure:
        """From now on, until the response has gone out, notice that the client leaves."""
        if self._departure is None:
            self._departure = Departure(self.transport)
        return self._departure

    def _end_departure(self) -> None:
        departure, self._departure = self._departure, None
        if departure is not None:
            departure.end()

    def open_body(self) -> BodyReader:
        """See `Exchange.open_body`."""
        return BodyReader(length=0) if self._incoming is None else self._incoming.open()

    @property
    def trailers(self) -> Headers | None:
        """See `Exchange.trailers`."""
        return None if self._incoming is None else self._incoming.trailers

    def continue_(self) -> None:
        """See `Exchange.continue_`."""
        incoming = self._incoming
        if incoming is not None and incoming.continue_due:
            incoming.continue_due = False
            if not self.engine.has_answered:
                self.write(self.engine.send(InterimResponse(100)))

    @contextmanager
    def reading_body(self) -> Iterator[None]:
        """Watch the progress of the body meanwhile, and then what was watched before."""
        phase, deadline = self._phase, self.deadline
        self._mark(_BODY, self._service.body_progress)
        try:
            yield
        finally:
            if self._phase == _BODY:  # no write in another greenlet has set its own meanwhile
                self._phase, self.deadline = phase, deadline

    # Ending

    def _refuse(self, status: int, case: str, why: str) -> None:
        """Answer what must not be served, and give the connection up."""
        service = self._service
        service.note_refusal(self.info, case, why, f"answered {status}")
        engine = self.engine
        engine.close_after_response()
        if not engine.has_answered:
            response = service.plain_response(status)
            framed = self._frame_head(response, response.body, "")
            self.write(b"".join([*framed, *engine.send(Data(response.body, end_stream=True))]))
        self._linger()

    def _linger(self) -> None:
        """Close our side, then read what still comes: a reset would destroy the answer."""
        self._mark(_LINGER, self._service.drain)
        self._service.deadlines.hurry(self)
        linger(self.transport, self._service.limits.max_drain_bytes)

    # Another protocol

    def switch_protocol(
        self, headers: Headers, tenant: Callable[[Transport, bytes], AnyTenant]
    ) -> AnyTenant:
        """See `Exchange.switch_protocol`."""
        if self.engine.has_answered:
            raise LocalProtocolError("the response has begun")
        head = self.engine.send(InterimResponse(101, headers))
        self._tenant = NoTenant()
        self.write(head)
        self._phase = _TENANT
        self.deadline = NEVER
        self._tenant = moved_in = tenant(self.transport, self.engine.trailing_data())
        if self._connection.is_draining:
            moved_in.drain()
        return moved_in

    def __repr__(self) -> str:
        peer = f"{self.info.remote_addr}:{self.info.remote_port}"
        return f"<H1ServerConnection {peer} {'idle' if self._connection.is_idle else 'busy'}>"
