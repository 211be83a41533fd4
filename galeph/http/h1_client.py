"""The driver of one HTTP/1 connection on the client.

An exchange runs in the greenlet that asked for it: the head and a small body go out in one
``send``, then the head of the response is awaited. What of the body has come with it is taken
along, so that a small response is complete, and its connection free again, before anybody reads
it. A larger one is read by whoever has the response, piece by piece, and the connection goes back
to its owner with the last piece. A larger body of a request is sent meanwhile, by an `Upload`.

A connection is used again only after an exchange that was complete in both directions, with not a
byte too many. Everything else ends it, by one of two calls that never block or switch: `close`, or
`fail`, which also says why; everybody who waits for this connection then raises that error.

Time is watched by the `Deadlines` sweep over a mark on the connection: no timer a request. An idle
connection is looked at once a second, for a peer that has left and for its own age; one whose
response was dropped with its body unread is found in the same way.
"""

from __future__ import annotations

import errno
import re
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from galeph import clock
from galeph.deferred.producer import frames_of_origin
from galeph.errors import (
    Cancelled,
    ConnectionLost,
    DeadlineExceeded,
    IncompleteBody,
    LocalProtocolError,
    ReadTimeout,
    RemoteProtocolError,
    RequestTimeout,
    ResourceBusy,
    TransportError,
    WriteTimeout,
)
from galeph.http.body import BodyReader
from galeph.http.outgoing import Streamed
from galeph.http.request import Request
from galeph.http.response import Response
from galeph.http.response_body import ResponseBody
from galeph.http.timeouts import Timeouts
from galeph.http.upload import Upload, in_pieces
from galeph.message.headers import Headers
from galeph.protocol import events
from galeph.protocol.engine import Role
from galeph.protocol.events import NEED_DATA, Data, EndOfMessage, InterimResponse
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits
from galeph.transport.base import Transport
from galeph.transport.deadlines import NEVER, Deadlines

__all__ = ["H1ClientConnection", "OnInterim", "Owner"]

OnInterim = Callable[[int, Headers], object]

_READ_BYTES = 65536
# Head and body go out in one system call up to this size, from the asking greenlet itself; a
# larger body may meet an answer before its end.
_JOIN_BYTES = 64 * 1024
# How often an idle or a held connection is looked at.
_LOOK_AGAIN_AFTER = 1.0
# These say "no body" by a length of 0, as servers expect of them (RFC 9110 section 8.6).
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_match_keep_alive = re.compile(r"(?:.*[,; \t])?timeout=([0-9]{1,9})", re.IGNORECASE).match

# What the connection is waiting for, which decides what its deadline means.
_SENDING, _HEAD, _BODY, _HELD, _IDLE, _ENDED = range(6)


class Owner(Protocol):
    """Who lends connections out and takes them back. None of its methods may block or switch."""

    deadlines: Deadlines

    def release(self, connection: H1ClientConnection) -> None:
        """Take back a connection that can be used again."""

    def discard(self, connection: H1ClientConnection) -> None:
        """Take note that a connection has ended; called once for each."""

    def report_lost(self, connection: H1ClientConnection) -> None:
        """Take note that a response was dropped with its body unread; `discard` follows."""


class H1ClientConnection:
    """One HTTP/1 connection: one exchange after the other.

    Args:
        transport: connected; the connection's own from now on.
        owner: whom it returns to.
        limits: sizes above which a response is refused.
    """

    __slots__ = (
        "__weakref__",
        "_engine",
        "_failure_trace",
        "_head_timeout",
        "_holder",
        "_idle_until",
        "_limits",
        "_monotonic",
        "_owner",
        "_phase",
        "_read_timeout",
        "_timer",
        "_transport",
        "_upload",
        "asked",
        "deadline",
        "failure",
        "has_heard",
        "slot",
        "uses",
    )

    def __init__(self, transport: Transport, owner: Owner, limits: Limits) -> None:
        self._transport = transport
        self._owner = owner
        self._limits = limits
        self._engine = H1Engine(Role.CLIENT, limits)
        self._monotonic = clock.default().monotonic
        self._phase = _HELD
        self._holder: weakref.ref[ResponseBody] | None = None
        self._upload: Upload | None = None
        self._timer: clock.Timer | None = None
        self._head_timeout: float | None = None
        self._read_timeout: float | None = None
        self._idle_until = NEVER
        self.deadline = NEVER
        # Why the connection was ended, where somebody has said.
        self.failure: Exception | None = None
        self._failure_trace: TracebackType | None = None
        # Whether a byte of the present response has arrived.
        self.has_heard = False
        self.uses = 0
        # Method and URL of the response that is being read.
        self.asked = ("", "")
        # The owner's own.
        self.slot: Any = None
        owner.deadlines.watch(self)

    # The exchange

    def exchange(
        self,
        request: Request,
        body: bytes | Streamed,
        *,
        timeouts: Timeouts,
        limits: Limits,
        on_interim: OnInterim | None = None,
        ends_at: float | None = None,
    ) -> Response:
        """Send a request and block until the head of its response is there.

        The connection is the response's afterwards, and returns to its owner by itself once the
        body has been read, or is given up. After an error it has ended.

        Args:
            request: what to ask.
            body: its body; streamed and large ones are sent by a greenlet of their own.
            timeouts: how long the peer may take.
            limits: sizes above which the response is refused.
            on_interim: is called with status and headers of each 1xx response.
            ends_at: when, by the monotonic clock, the whole must be over. What comes before the
                head of the response is for the caller to watch.

        Raises:
            ConnectionLost: it broke, or ended, before the head was complete. ``has_heard`` tells
                whether anything had come.
            RequestTimeout, WriteTimeout: the peer took too long.
            RemoteProtocolError: this is no response to this request.
            Exception: what fetching the body raised.
        """
        self.uses += 1
        self.has_heard = False
        self._read_timeout = timeouts.read_progress
        if limits is not self._limits:
            self._limits = limits
            self._engine = H1Engine(Role.CLIENT, limits)
        try:
            self._send(request, body, timeouts)
            event = self._read_head(on_interim)
            if event.status >= 300 and self._upload is not None:
                # Whatever it says, the server does not want the rest. (A 2xx before the end of
                # our body may be the beginning of an echo.)
                self._upload.stop()
            response = self._make_response(event, request, ends_at)
        except Exception as error:
            reason = self.reason_for(error)
            if reason is None:
                self.fail(error)
                raise
            self.fail(reason)
            raise reason  # noqa: B904  (it has the cause it should have)
        except BaseException:
            self.fail(Cancelled("the greenlet that waited for the response has left"))
            raise
        response.max_buffered_bytes = response.body.max_gathered = limits.max_buffered_body_bytes
        return response

    def _send(self, request: Request, body: bytes | Streamed, timeouts: Timeouts) -> None:
        head = events.Request(
            request.method, request.target, request.headers, authority=request.host
        )
        if isinstance(body, bytes) and len(body) <= _JOIN_BYTES:
            self._send_whole(head, body, timeouts)
            return
        streamed = in_pieces(body) if isinstance(body, bytes) else body
        head.end_stream = False
        head.content_length = streamed.length
        self._phase = _SENDING
        self.deadline = NEVER  # the upload has its own
        self._head_timeout = timeouts.response_head
        self._upload = Upload(
            self, self._transport, self._engine, self._owner.deadlines, timeouts.write_progress
        )
        self._upload.start(head, streamed)

    def _send_whole(self, head: events.Request, body: bytes, timeouts: Timeouts) -> None:
        engine = self._engine
        if body:
            head.end_stream = False
            head.content_length = len(body)
        elif head.method in _WITH_BODY:
            head.content_length = 0
        frames = [*engine.send(head)]
        if body:
            frames += engine.send(Data(body, end_stream=True))
        self._mark(_SENDING, timeouts.write_progress)
        try:
            self._transport.send(frames[0] if len(frames) == 1 else b"".join(frames))
        except ConnectionLost:
            pass  # it may have answered before it left; reading tells, or fails the same way
        self._mark(_HEAD, timeouts.response_head)

    def upload_ended(self) -> None:
        """See `Uploading`: from now on it is the peer's turn."""
        if self._phase == _SENDING:
            self._mark(_HEAD, self._head_timeout)

    def _read_head(self, on_interim: OnInterim | None) -> events.Response:
        engine, transport = self._engine, self._transport
        while True:
            data = transport.recv(_READ_BYTES)
            if data:
                self.has_heard = True
            engine.receive_data(data)
            while (event := engine.next_event()) is not NEED_DATA:
                if type(event) is events.Response:
                    return event
                if type(event) is not InterimResponse or event.status == 101:
                    raise LocalProtocolError("the server switched protocols; nobody here can")
                if on_interim is not None:
                    on_interim(event.status, event.headers)

    def _make_response(
        self, event: events.Response, request: Request, ends_at: float | None
    ) -> Response:
        url = request.url
        if "keep-alive" in event.headers:
            self._note_keep_alive(event.headers["keep-alive"])
        if event.end_stream:
            self._complete()
            return Response._from_event(event, BodyReader(length=0), None, url)
        body = ResponseBody(self)
        data, is_complete = self._take_arrived(body)
        if is_complete:
            reader = BodyReader(length=len(data), buffered=data)
            return Response._from_event(event, reader, body if body.trailers else None, url)
        reader = BodyReader(
            body.pull, length=event.content_length, buffered=data, on_close=body.close
        )
        if self._phase != _ENDED:
            self._holder = weakref.ref(body)
            self.asked = (request.method, url)
            self._phase = _HELD
            self._look_again(0.0)
            if ends_at is not None:
                self._start_timer(ends_at)
        return Response._from_event(event, reader, body, url)

    def _take_arrived(self, body: ResponseBody) -> tuple[bytes, bool]:
        """Take what of the body has come with the head; say whether that is all."""
        engine = self._engine
        pieces = []
        is_complete = False
        try:
            while not is_complete and (event := engine.next_event()) is not NEED_DATA:
                if type(event) is Data:
                    pieces.append(event.data)
                is_complete = self._finish_after(event, body)
        except RemoteProtocolError as error:
            # The head was good. Whoever reads the body learns of this, as he would have if it
            # had come later.
            body.end(error)
            self.fail(error)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), is_complete

    # The rest of the body

    def read_piece(self, body: ResponseBody) -> bytes:
        """Block until there is more of the body; ``b""`` at its end. For `ResponseBody` only."""
        if self.failure is not None:
            raise self.failure
        if self._phase == _BODY:
            raise ResourceBusy("two greenlets read one body")
        engine = self._engine
        while True:
            event = engine.next_event()
            if event is not NEED_DATA:
                self._finish_after(event, body)
                return event.data if type(event) is Data else b""
            self._mark(_BODY, self._read_timeout)
            try:
                data = self._transport.recv(_READ_BYTES)
            finally:
                if self._phase == _BODY:
                    self._phase = _HELD
                    self.deadline = 0.0
            engine.receive_data(data)

    def _finish_after(self, event: events.Event, body: ResponseBody) -> bool:
        """Give the connection back if the body ends with this event; return whether it does."""
        if type(event) is Data:
            if not event.end_stream:
                return False
        elif type(event) is EndOfMessage:
            body.trailers = event.trailers
        body.end()
        self._complete()
        return True

    def _complete(self) -> None:
        """The exchange is over: give the connection back, if it can be used again."""
        upload, self._upload = self._upload, None
        engine = self._engine
        if upload is not None and not upload.is_done:
            upload.stop()
            self.close()
        elif engine.can_reuse and self._phase != _ENDED:
            self._holder = None
            self._cancel_timer()
            self._phase = _HELD
            self.deadline = NEVER
            self._owner.release(self)
        else:
            self.close()

    # Being idle

    @property
    def is_idle(self) -> bool:
        """Whether no request uses it."""
        return self._phase == _IDLE

    def rest(self, timeout: float) -> None:
        """Be idle for so many seconds, or as long as the server has promised to wait."""
        self._phase = _IDLE
        self._idle_until = min(self._idle_until, self._monotonic() + timeout)
        self._look_again(_LOOK_AGAIN_AFTER)

    def can_be_used(self) -> bool:
        """Whether an idle connection is still good: young enough, silent, and not ended."""
        is_good = self._monotonic() < self._idle_until and not self._transport.has_input()
        self._idle_until = NEVER
        self._phase = _HELD
        self.deadline = NEVER
        return is_good

    def _note_keep_alive(self, value: str) -> None:
        match = _match_keep_alive(value)
        if match is not None:
            # A second less, for a request is on its way for some time, too.
            self._idle_until = self._monotonic() + int(match[1]) - 1

    # Deadlines

    def _mark(self, phase: int, timeout: float | None) -> None:
        self._phase = phase
        if timeout is None:
            self.deadline = NEVER
        else:
            self.deadline = self._monotonic() + timeout
            self._owner.deadlines.hurry(self)

    def _look_again(self, after: float) -> None:
        self.deadline = self._monotonic() + after
        self._owner.deadlines.hurry(self)

    def expire(self) -> None:
        """The deadline has passed. Runs in the hub."""
        phase = self._phase
        if phase == _IDLE:
            if self._monotonic() >= self._idle_until or self._transport.has_input():
                self.close()
            else:
                self._look_again(_LOOK_AGAIN_AFTER)
        elif phase == _HELD:
            if self._holder is not None and self._holder() is None:
                self._owner.report_lost(self)
                self.close()
            elif self._holder is not None:
                self._look_again(_LOOK_AGAIN_AFTER)
        elif phase == _SENDING:
            self.fail(WriteTimeout("the peer takes nothing of the request"))
        elif phase == _HEAD:
            self.fail(RequestTimeout("the head of the response did not arrive in time"))
        elif phase == _BODY:
            self.fail(ReadTimeout("the body of the response made no progress"))

    def _start_timer(self, ends_at: float) -> None:
        self._timer = clock.default().start_timer(
            max(ends_at - self._monotonic(), 0.0),
            self.fail,
            DeadlineExceeded("the deadline passed before the body was complete"),
        )

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # Ending

    def close(self) -> None:
        """End the connection in order. Never blocks, never switches; may be called twice."""
        if self._end():
            self._transport.close()
            self._owner.discard(self)

    def fail(self, error: Exception) -> None:
        """End the connection at once; whoever waits for it, or will, raises ``error``."""
        if self._end():
            self.failure = error
            self._failure_trace = frames_of_origin(error)
            self._transport.abort(error)
            self._owner.discard(self)

    def _end(self) -> bool:
        if self._phase == _ENDED:
            return False
        self._phase = _ENDED
        self.deadline = NEVER
        self._owner.deadlines.forget(self)
        self._holder = None
        self._cancel_timer()
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.stop()
        return True

    def reason_for(self, error: Exception) -> Exception | None:
        """See `BodyConnection`."""
        if self.failure is not None:
            # Thrown into who waited here, it has lost the frames it came from, and these may be a
            # user's: of the generator that fetched the request's body.
            return self.failure.with_traceback(self._failure_trace)
        is_in_body = self._phase in (_BODY, _HELD)
        if isinstance(error, TransportError) and is_in_body:
            made: Exception = IncompleteBody(f"the connection broke inside the body: {error}")
        elif isinstance(error, RemoteProtocolError) and error.case == "body-incomplete":
            made = IncompleteBody(str(error))
        elif isinstance(error, RemoteProtocolError) and error.case == "head-incomplete":
            text = "the server closed the connection before it had answered"
            made = ConnectionLost(errno.ECONNRESET, text)
        else:
            return None
        made.__cause__ = error
        return made

    def __repr__(self) -> str:
        names = ("sending", "waiting", "reading", "held", "idle", "ended")
        return f"<H1ClientConnection {names[self._phase]}, uses {self.uses}>"
