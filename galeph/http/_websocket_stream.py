"""`WebSocket`: one open WebSocket as a duplex stream of messages, on either side.

The engine knows the frames, the transport moves the bytes; this joins them. What it decides is
who reads, since a WebSocket must be read even when nobody takes from it: pings want their pong,
and a peer's close wants to be noticed by a handler that only puts.

- *A taker reads in its own greenlet.* An echo server, or any loop of takes, runs without a switch
  between the socket and the handler, and a waiting one costs a single greenlet.
- *Nobody took for a second:* a standby greenlet reads in place of the takers, until 16 messages or
  64 KiB wait for them; then reading stops, and the peer feels it. The next taker that finds nothing
  waiting sends the standby away (`Transport.interrupt`) and reads itself again.
- *We close:* the closing greenlet takes the reading over, throws away what still arrives and waits
  for the peer's close frame.

Whoever reads holds the stream's take turn. Pongs and pings are written by a greenlet that exists
only while there is one to write: a reader that waited for the writing side could deadlock with a
peer that does the same. Of several pings only the last is answered (RFC 6455 section 5.5.3).
"""

from __future__ import annotations

from collections import deque
from typing import Any

import gevent

from galeph import clock as clocks
from galeph.clock import Timer
from galeph.deferred import Deferred
from galeph.errors import GalephError, WebSocketClosed
from galeph.http._websocket_keepalive import Keepalive
from galeph.http.timeouts import Timeouts
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.websocket.engine import WebSocketEngine, check_close
from galeph.protocol.websocket.events import (
    NEED_DATA,
    Close,
    Failed,
    Message,
    Ping,
    WebSocketEvent,
)
from galeph.stream import hosting
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.waiters import Turn
from galeph.transport.base import ConnectionInfo, Transport

__all__ = ["WebSocket"]

# How long nobody may take before the standby reads.
_STAND_BY_AFTER = 1.0
# What the standby reads ahead: the 16 messages of Aleph, bounded in bytes too.
_MAX_WAITING = 16
_MAX_WAITING_BYTES = 64 * 1024
# After failing a connection, what the peer still sends is dropped up to this much, so that no
# reset destroys our close frame on its way.
_MAX_LINGER_BYTES = 256 * 1024
# Codes that say "we are done" (RFC 6455 section 7.4.1), and no code at all.
_CLEAN_CODES = frozenset({1000, 1001, 1005})


class _MakeWay(Exception):
    """Interrupts whoever reads, because somebody else wants to."""


class WebSocket(ActiveSource[str | bytes], ActiveSink[Any]):
    """An open WebSocket: text messages are ``str``, binary ones ``bytes``, in both directions.

    A clean close by either side drains the stream: takes return their default. Anything else
    fails it with `WebSocketClosed`, after the messages that had arrived whole. ``put`` returns
    when the kernel has the bytes; after the end it returns False and raises nothing, so that
    ``while ws.put(...)`` ends by itself. A message of another type than str and bytes is sent as
    the bytes that `galeph.byte_streams` makes of it.

    Pings of the peer are answered, and a silent peer is pinged, whether or not anybody takes.

    Attributes:
        subprotocol: the one agreed on, or None.
        headers: the fields of the peer's half of the handshake.
        close_code: None while open; then the code of the close frame that ended the WebSocket
            (1005 where it had none), and 1006 where there was no close frame.
        close_reason: the text that came with it.
    """

    _kind = "websocket"

    def __init__(
        self,
        transport: Transport,
        engine: WebSocketEngine,
        *,
        headers: Headers,
        subprotocol: str | None,
        timeouts: Timeouts,
    ) -> None:
        super().__init__()
        self.subprotocol = subprotocol
        self.headers = headers
        self.close_code: int | None = None
        self.close_reason = ""
        self._transport = transport
        self._engine = engine
        self._timeouts = timeouts
        self._reading = self._take_turn = Turn()
        self._inbox: deque[str | bytes] = deque()
        self._inbox_bytes = 0
        # The receiving side has ended: there will be nothing behind the inbox.
        self._is_over = False
        self._failure: BaseException | None = None
        # Nobody reads: see the module's docstring.
        self._standby: gevent.Greenlet[..., None] | None = None
        self._is_dismissed = False
        self._was_taken = False
        self._idle_timer: Timer | None = None
        # Control frames to be sent, and who sends them.
        self._pong_due: bytes | None = None
        self._ping_due: bytes | None = None
        self._postman: gevent.Greenlet[..., None] | None = None
        # The end.
        self._closer: gevent.Greenlet[..., None] | None = None
        self._close_timer: Timer | None = None
        self._gone: Deferred[None] = Deferred()
        self._keepalive = Keepalive(
            timeouts.ping_interval,
            timeouts.ping_timeout,
            send=self._send_ping,
            listen=self._listen,
            give_up=self._give_up,
        )
        self._watch_for_idleness()

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends."""
        return self._transport.info

    def description(self) -> dict[str, object]:
        """Say who is connected and how it stands, as plain data."""
        info = self._transport.info
        return {
            **super().description(),
            "role": self._engine.role.value,
            "peer": f"{info.remote_addr}:{info.remote_port}",
            "subprotocol": self.subprotocol,
            "closed": self.closed,
            "drained": self.drained,
            "close_code": self.close_code,
            "close_reason": self.close_reason,
        }

    # Living on a server's connection

    def host(self, error: BaseException | None) -> None:
        """Block while the connection is in use, after its handler has returned or raised ``error``.

        In use is what something is connected to, by a link or a pending asynchronous call.
        """
        try:
            if error is None:
                hosting.host(self)
                self.close()
            elif isinstance(error, Exception):
                self.close(1011, "internal error")
            else:
                # Killed: no time for more than a last word.
                if not self._engine.close_sent:
                    self._transport.try_send(b"".join(self._engine.send_close(1011)))
                return
            self._gone.wait()
        finally:
            self._conclude()

    def drain(self) -> None:
        """The server shuts down: begin to close. Never blocks."""
        self.close(1001, "the server is shutting down")

    # Receiving

    def _take(self, timeout: float | None) -> str | bytes | Nothing:
        self._was_taken = True
        if self._standby is not None and not self._is_dismissed:
            message = self._receive_ready()
            if message is not EXPIRED or (timeout is not None and timeout <= 0):
                return message
            self._is_dismissed = True
            self._transport.interrupt(_MakeWay())
        try:
            return super()._take(timeout)
        finally:
            self._watch_for_idleness()

    def _receive(self) -> str | bytes | Nothing:
        while (message := self._receive_ready()) is EXPIRED:
            self._read()
        return message

    def _receive_ready(self) -> str | bytes | Nothing:
        if self._inbox:
            message = self._inbox.popleft()
            self._inbox_bytes -= len(message)
            if self._is_over and not self._inbox:
                self._end(self._failure)
            return message
        if not self._is_over:
            arrived = self._next_message()
            if arrived is not None:
                return arrived
        if not self._is_over:
            return EXPIRED
        self._raise_error()
        return END

    def _next_message(self) -> str | bytes | None:
        """Return the next message of those that have arrived, or None. Never switches."""
        next_event = self._engine.next_event
        while True:
            event = next_event()
            if type(event) is Message:
                return event.data
            if event is NEED_DATA:
                return None
            self._handle(event)

    def _read(self) -> None:
        """Block until the peer has sent something, or somebody wants us out of the way."""
        try:
            data = self._transport.recv()
        except _MakeWay:
            return
        except GalephError as error:
            self._lose(str(error), error)
            return
        self._keepalive.heard()
        self._engine.receive_data(data)

    def _handle(self, event: WebSocketEvent) -> None:
        if type(event) is Ping:
            self._pong_due = event.payload
            self._send_control()
        elif type(event) is Close:
            self._receive_close(event)
        elif type(event) is Failed:
            if event.code == 1006:
                self._lose(event.reason)
            else:
                self._fail_connection(event.code, event.reason)
        else:
            self._keepalive.receive_pong(event.payload)  # type: ignore[union-attr]  # a Pong

    # Reading while nobody takes

    def _watch_for_idleness(self) -> None:
        if self._idle_timer is None and not self._is_over:
            start_timer = clocks.default().start_timer
            self._idle_timer = start_timer(_STAND_BY_AFTER, self._note_idleness, ref=False)

    def _note_idleness(self) -> None:
        self._idle_timer = None
        if self._was_taken and not self._reading.is_taken:
            self._was_taken = False
            self._watch_for_idleness()
        else:
            self._listen()

    def _listen(self) -> bool:
        """Make sure that somebody reads; False while too much waits to be taken."""
        if self._is_over or self._reading.is_taken or self._standby is not None:
            return True
        if self._is_full:
            return False
        self._is_dismissed = False
        self._standby = gevent.spawn(self._stand_by)
        return True

    @property
    def _is_full(self) -> bool:
        return len(self._inbox) >= _MAX_WAITING or self._inbox_bytes >= _MAX_WAITING_BYTES

    def _stand_by(self) -> None:
        turn = self._reading
        try:
            if turn.is_taken:
                return
            turn.acquire(self._hub)
            try:
                while not (self._is_over or self._is_dismissed or self._is_full):
                    message = self._next_message()
                    if message is not None:
                        self._keep(message)
                    elif not self._is_over:
                        self._read()
            finally:
                turn.release()
        finally:
            self._standby = None

    def _keep(self, message: str | bytes) -> None:
        self._inbox.append(message)
        self._inbox_bytes += len(message)

    # Sending

    def _transmit(self, message: Any) -> bool:
        buffers = self._engine.send_message(message)
        try:
            self._transport.send(buffers)
        except GalephError:
            # What the peer sent before it went away, a close frame with its reason perhaps, can
            # still be read; the reader finds the end.
            self._shut()
            self._listen()
            return False
        return True

    def _send_ping(self, payload: bytes) -> None:
        self._ping_due = payload
        self._send_control()

    def _send_control(self) -> None:
        if self._postman is None and not self._closed:
            self._postman = gevent.spawn(self._send_control_frames)

    def _send_control_frames(self) -> None:
        try:
            while not self._closed:
                if self._pong_due is not None:
                    payload, self._pong_due = self._pong_due, None
                    self._transport.send(self._engine.send_pong(payload))
                elif self._ping_due is not None:
                    payload, self._ping_due = self._ping_due, None
                    self._transport.send(self._engine.send_ping(payload))
                else:
                    return
        except GalephError:
            self._shut()  # as in `_transmit`
            self._listen()
        finally:
            self._postman = None

    def ping(self, payload: bytes | None = None) -> Deferred[bool]:
        """Ask the peer whether it is there.

        One ping is outstanding at a time: further calls wait for the same answer. The answer is
        read behind the messages that arrived before it, so it waits while those are not taken.

        Args:
            payload: up to 125 bytes that the peer sends back; a number by default.

        Returns:
            A Deferred of True once the peer has answered, of False when the WebSocket ends first.

        Raises:
            TypeError, ValueError: the payload cannot be sent.
        """
        if payload is not None:
            if not isinstance(payload, bytes):
                raise TypeError(f"payload must be bytes, not {type(payload).__name__}")
            if len(payload) > 125:
                raise ValueError(f"payload has {len(payload)} bytes, a ping takes 125")
        if self._closed:
            answer: Deferred[bool] = Deferred()
            answer.success(False)
            return answer
        return self._keepalive.ping(payload)

    # Closing

    def close(self, code: int | None = 1000, reason: str = "") -> bool:  # type: ignore[override]  # says more than a stream's
        """Begin to close: send a close frame behind what was put before. Never blocks.

        From now on puts return False. What has arrived can still be taken, what arrives later is
        dropped, and takes return their default. `wait_closed` waits for the peer's answer; without
        one the connection is cut after ``websocket_close`` seconds.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999; None sends none.
            reason: text for the peer, at most 123 bytes in UTF-8.

        Returns:
            Whether this call began it; False when the WebSocket was closing or closed already.

        Raises:
            ValueError: the code or the reason must not be sent.
        """
        check_close(code, reason)
        was_open = not self._closed
        self._begin_close(code, reason)
        return was_open

    def fail(self, error: BaseException) -> None:
        """Close with 1011, and let takes raise ``error``. Never blocks."""
        if not isinstance(error, BaseException):
            raise TypeError(f"fail() needs an exception, not {type(error).__name__}")
        self._begin_close(1011, "", error)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Block until the connection is gone; return whether it is (False after ``timeout``)."""
        self._listen()
        self._gone.wait(timeout)
        return self._gone.ready()

    def __exit__(self, *raised: object) -> None:
        if any(isinstance(one, Exception) for one in raised):
            self.close(1011, "internal error")
        else:
            self.close()

    def _receive_close(self, event: Close) -> None:
        """The peer's close frame: note it, and answer it if it is not itself the answer."""
        if self.close_code is None:
            self.close_code, self.close_reason = event.code, event.reason
        if self._closer is None:
            reason = event.reason
            failure = None
            if event.is_cut or event.code not in _CLEAN_CODES:
                failure = WebSocketClosed(event.code, reason or "inside a message" * event.is_cut)
            self._begin_close(None if event.code == 1005 else event.code, reason, failure)

    def _fail_connection(self, code: int, reason: str) -> None:
        """Give the peer up, telling it why (RFC 6455 section 7.1.7)."""
        if self._closer is None:
            self.close_code, self.close_reason = code, reason
            self._begin_close(code, reason, WebSocketClosed(code, reason), is_failing=True)
        else:
            self._lose(reason)

    def _give_up(self) -> None:
        self._fail_connection(1011, f"no answer to a ping in {self._timeouts.ping_timeout:g} s")

    def _begin_close(
        self,
        code: int | None,
        reason: str,
        failure: BaseException | None = None,
        *,
        is_failing: bool = False,
    ) -> None:
        if self._closer is not None or self._gone.ready():
            return
        self._closer = gevent.Greenlet(self._finish_close, code, reason, is_failing=is_failing)
        if not self._is_over:
            # What has arrived stays takeable.
            while (message := self._next_message()) is not None:
                self._keep(message)
            self._end_receiving(failure)
        timeouts = self._timeouts
        limit = timeouts.drain if is_failing else timeouts.websocket_close
        if limit is not None:
            self._close_timer = clocks.default().start_timer(limit, self._cut, ref=False)
        self._transport.interrupt(_MakeWay())
        self._closer.start()

    def _end_receiving(self, failure: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._failure = failure
        self._shut()
        if not self._inbox:
            self._end(failure)

    def _finish_close(self, code: int | None, reason: str, *, is_failing: bool) -> None:
        """Send our close frame and wait for what has to come (RFC 6455 section 7.1)."""
        transport = self._transport
        try:
            transport.send(self._engine.send_close(code, reason))
            self._reading.acquire(self._hub)
            try:
                if is_failing:
                    self._linger()
                    return
                while not self._engine.close_received and not self._gone.ready():
                    if self._next_message() is None and not self._engine.close_received:
                        self._read()
                if self._engine.role is Role.CLIENT:
                    # Section 7.1.1: it is the server that closes the TCP connection first.
                    while not self._gone.ready() and transport.recv():
                        pass
            finally:
                self._reading.release()
        except GalephError:
            pass
        finally:
            self._conclude()

    def _linger(self) -> None:
        transport = self._transport
        transport.send_eof()
        left = _MAX_LINGER_BYTES
        while left > 0 and (data := transport.recv()):
            left -= len(data)

    def _cut(self) -> None:
        """The peer takes too long over its part of the closing. Runs in the hub."""
        self._transport.abort()
        self._conclude()

    def _lose(self, reason: str, cause: BaseException | None = None) -> None:
        """The connection is gone without a close frame of the peer."""
        failure = WebSocketClosed(1006, reason)
        failure.__cause__ = cause
        self._end_receiving(failure)
        self._conclude()

    def _conclude(self) -> None:
        """Nothing is left of the connection. Never switches; may be called twice."""
        self._transport.close()
        for timer in (self._idle_timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._idle_timer = self._close_timer = None
        if self.close_code is None:
            self.close_code = 1006
        self._keepalive.stop()
        self._end_receiving(self._failure)
        self._gone.success(None)
