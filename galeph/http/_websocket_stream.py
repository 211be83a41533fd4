"""`WebSocket`: one open WebSocket as a duplex stream of messages, on either side.

The engine knows the frames, the transport moves the bytes; this joins them, and knows how a
WebSocket ends. Three helpers keep it company: `Standby` reads while nobody takes, `ControlFrames`
sends pings and pongs, `Keepalive` finds out whether the peer is still there.

However the end begins, one *closing greenlet* brings it about: it sends our close frame behind
what was put before, takes the reading over, throws away what still arrives, waits for the peer's
part, and closes the connection. One timer bounds all of this. Takers do not wait for it: they are
told as soon as it is known that nothing more will come.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import gevent

from galeph import clock as clocks
from galeph.byte_streams import to_bytes
from galeph.clock import Timer
from galeph.deferred import Deferred
from galeph.errors import GalephError, WebSocketClosed
from galeph.http._websocket_control import ControlFrames
from galeph.http._websocket_keepalive import Keepalive
from galeph.http._websocket_standby import Standby
from galeph.http.peer_log import PeerLog
from galeph.http.timeouts import Timeouts
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.websocket.engine import WebSocketEngine, check_close
from galeph.protocol.websocket.events import (
    NEED_DATA,
    PARTIAL,
    Close,
    Failed,
    Message,
    Ping,
    Pong,
    WebSocketEvent,
)
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.waiters import Limit, Turn
from galeph.transport.base import ConnectionInfo, EndWatch, Transport
from galeph.transport.fairness import give_way
from galeph.transport.sending import was_sent_anyway

__all__ = ["WebSocket"]

# After failing a connection, what the peer still sends is dropped up to this much, so that no
# reset destroys our close frame on its way.
_MAX_LINGER_BYTES = 256 * 1024
# Codes that say "we are done" (RFC 6455 section 7.4.1), and no code at all.
_CLEAN_CODES = frozenset({1000, 1001, 1005})

# Frames that are dealt with before others get their turn, if no wait for I/O gave them one: a peer
# can put 10,000 into what is read at once. They take 0.1 ms, and 2 ms where all are fragments.
_MAX_FRAMES = 64
_ALL = 1 << 62

# The rate belongs to the logger, and that to the process.
_PEER_LOG = PeerLog(logging.getLogger("galeph.websocket"))


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
        self._frames_left = _MAX_FRAMES  # of this turn
        # The receiving side has ended: there will be nothing behind the inbox.
        self._is_over = False
        self._failure: BaseException | None = None
        self._standby = Standby(self, self._reading, self._hub)
        self._control = ControlFrames(transport, engine, self._stop_sending)
        # The end.
        self._closer: gevent.Greenlet[..., None] | None = None
        self._close_timer: Timer | None = None
        self._gone: Deferred[None] = Deferred()
        self._keepalive = Keepalive(
            timeouts.ping_interval,
            timeouts.ping_timeout,
            send=self._control.ping,
            listen=self._standby.listen,
            give_up=self._give_up,
        )
        self._standby.note_take()

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

    # Receiving

    def _take(self, timeout: float | None) -> str | bytes | Nothing:
        standby = self._standby
        if self._is_over or standby.is_reading:
            message = self._returned.popleft() if self._returned else self._next_ready()
            if message is not EXPIRED or (timeout is not None and timeout <= 0):
                return message
            standby.dismiss()
        try:
            return super()._take(timeout)
        finally:
            standby.note_take()

    def _receive(self) -> str | bytes | Nothing:
        while (message := self._next_ready()) is EXPIRED:
            self._read()
        return message

    def _receive_ready(self) -> str | bytes | Nothing:
        while (message := self._next_ready()) is EXPIRED and self._read(waits=False):
            pass
        return message

    def _next_ready(self) -> str | bytes | Nothing:
        """Return the next message of those that have been read. Never switches."""
        standby = self._standby
        if standby:
            message = standby.take()
            if self._is_over and not standby:
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
        """See `Readable._next_message`; what is no message is dealt with on the way."""
        next_event = self._engine.next_event
        while self._frames_left > 0:
            self._frames_left -= 1
            event = next_event()
            if type(event) is Message:
                return event.data
            if event is NEED_DATA:
                self._frames_left = max(self._frames_left, 1)
                return None
            if event is not PARTIAL:
                self._handle(event)
        return None

    def _read(self, *, waits: bool = True) -> bool:
        """See `Readable._read`; False if nothing has arrived."""
        if self._frames_left <= 0:
            if waits:
                give_way(self._hub)
            self._frames_left = _MAX_FRAMES
            return True
        try:
            data = self._transport.recv() if waits else self._transport.try_recv()
        except _MakeWay:
            return False
        except GalephError as error:
            self._lose(str(error), error)
            return True
        if data is None:
            return False
        if waits:
            self._frames_left = _MAX_FRAMES
        self._keepalive.heard()
        self._engine.receive_data(data)
        return True

    def _make_way(self) -> None:
        """See `Readable._make_way`."""
        self._transport.interrupt(_MakeWay())

    def _watch_end(self) -> EndWatch | None:
        """See `Readable._watch_end`."""
        try:
            return self._transport.watch_end(self._stop_sending)
        except GalephError:
            self._stop_sending()
            return None

    def _handle(self, event: WebSocketEvent) -> None:
        if isinstance(event, Ping):
            self._control.pong(event.payload)
        elif isinstance(event, Pong):
            self._keepalive.receive_pong(event.payload)
        elif isinstance(event, Close):
            self._receive_close(event)
        elif isinstance(event, Failed):
            if event.code == 1006:
                self._lose(event.reason)
            else:
                self._fail_connection(event.code, event.reason)

    # Sending

    def _put(self, message: Any, timeout: float | None) -> bool | Nothing:
        # The transport lets senders queue, so there is no turn to wait for here.
        if self._closed:
            return False
        if timeout is None:
            return self._transmit(message)
        if timeout <= 0:
            return self._transmit_ready(message)
        accepted: bool | Nothing = EXPIRED
        with Limit(timeout, self._hub):
            try:
                accepted = self._transmit(message)
            except BaseException as error:
                if was_sent_anyway(error):
                    accepted = True
                raise
        return accepted

    def _transmit(self, message: Any) -> bool:
        buffers = self._frame(message)
        try:
            self._transport.send(buffers)
        except GalephError:
            self._stop_sending()
            return False
        return True

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        try_send = self._transport.try_send
        # Asked first, because what has been framed has to be sent.
        if try_send(b"") and try_send(b"".join(self._frame(message))):
            return True
        return EXPIRED

    def _frame(self, message: Any) -> Sequence[bytes]:
        if message.__class__ is not bytes and not isinstance(message, str):
            message = to_bytes(message)
        return self._engine.send_message(message)

    def _stop_sending(self) -> None:
        """Refuse puts: the connection is broken.

        What the peer sent before it went away, a close frame with its reason perhaps, can still be
        read; it is the reader who finds the end.
        """
        self._shut()
        self._standby.listen()

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
        """Block until the connection is gone; return whether it is (False after ``timeout``).

        While messages wait that nobody takes, the peer's close may stand behind them unread.
        """
        self._standby.listen()
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
            self._frames_left = _ALL
            while (message := self._next_message()) is not None:
                self._standby.put(message)
            self._frames_left = _MAX_FRAMES
            self._end_receiving(failure)
        timeouts = self._timeouts
        limit = timeouts.drain if is_failing else timeouts.websocket_close
        if limit is not None:
            self._close_timer = clocks.default().start_timer(limit, self._cut, ref=False)
        self._keepalive.stop()
        self._make_way()
        self._closer.start()

    def _end_receiving(self, failure: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._failure = failure
        self._shut()
        if not self._standby:
            self._end(failure)

    def _finish_close(self, code: int | None, reason: str, *, is_failing: bool) -> None:
        """Send our close frame and wait for what has to come (RFC 6455 section 7.1)."""
        transport = self._transport
        try:
            transport.send(self._engine.send_close(code, reason))
            if is_failing:
                info = transport.info
                peer = info.remote_addr, info.remote_port
                _PEER_LOG.log(logging.INFO, "%s:%s failed: %s, closed with %s", *peer, reason, code)
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

    def _say_last_word(self) -> None:
        """Send a close frame if that does not block: there is no time for more."""
        if not self._engine.close_sent:
            self._transport.try_send(b"".join(self._engine.send_close(1011)))

    def _conclude(self) -> None:
        """Nothing is left of the connection. Never switches; may be called twice."""
        try:
            self._transport.close()
            if self._close_timer is not None:
                self._close_timer.cancel()
                self._close_timer = None
            self._standby.stop()
            if self.close_code is None:
                self.close_code = 1006
            self._keepalive.stop()
            self._end_receiving(self._failure)
        finally:
            # Whoever waits for the end must not wait for ever because a Ctrl-C has hit these lines.
            self._gone.success(None)
