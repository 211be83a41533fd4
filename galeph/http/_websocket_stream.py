"""`WebSocket`: one open WebSocket as a duplex stream of messages, on either side.

What a user holds, and no more than that: the connection, and all that goes on while nobody calls,
belong to the `Session`, which knows this object only weakly. A WebSocket that nobody holds any more
is therefore closed, however its owner came to drop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from galeph._arguments import check_exception
from galeph.byte_streams import to_bytes
from galeph.clock import check_limit
from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready
from galeph.http._websocket_session import Session
from galeph.http.timeouts import Timeouts
from galeph.message.headers import Headers
from galeph.protocol.websocket.engine import WebSocketEngine, check_close
from galeph.stream.active import ActiveSource, TransportSink
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.ownership import checks_owner
from galeph.stream.waiters import Turn
from galeph.transport.base import ConnectionInfo, Transport
from galeph.transport.sending import was_sent_anyway

__all__ = ["WebSocket"]


@checks_owner("put _put _take ping close fail wait_closed")
class WebSocket(ActiveSource[str | bytes], TransportSink[Any]):
    """An open WebSocket: text messages are ``str``, binary ones ``bytes``, in both directions.

    A clean close by either side drains the stream: takes return their default. Anything else
    fails it with `WebSocketClosed`, after the messages that had arrived whole. ``put`` returns
    when the kernel has the bytes; after the end it returns False and raises nothing, so that
    ``while ws.put(...)`` ends by itself. A message of another type than str and bytes is sent as
    the bytes that `galeph.byte_streams` makes of it.

    Pings of the peer are answered, and a silent peer is pinged, whether or not anybody takes. A
    peer that floods us with control frames is refused with 1008.

    One that nobody refers to any more is closed with 1001, and a warning is logged: close it, or
    use ``with``. A greenlet that waits in one of its methods refers to it, so do a link, a pending
    ping, and on a server the connection until the handler has returned.

    Attributes:
        subprotocol: the one agreed on, or None.
        headers: the fields of the peer's half of the handshake.
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
        turn = self._take_turn = Turn()
        self._session = Session(self, transport, engine, turn=turn, timeouts=timeouts)

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends."""
        return self._session.transport.info

    @property
    def close_code(self) -> int | None:
        """None while open; then the code of the close frame that ended the WebSocket.

        1005 where that had none, and 1006 where there was no close frame.
        """
        return self._session.close_code

    @property
    def close_reason(self) -> str:
        """The text that came with `close_code`."""
        return self._session.close_reason

    def description(self) -> dict[str, object]:
        """Say who is connected and how it stands, as plain data."""
        return super().description() | {
            "direction": "duplex",
            "connection": self.info.description(),
            "readable": not self._ended,
            "writable": not self.closed,
            "role": self._session.engine.role.value,
            "subprotocol": self.subprotocol,
            "close_code": self.close_code,
            "close_reason": self.close_reason,
        }

    # Receiving

    def _take(self, timeout: float | None) -> str | bytes | Nothing:
        session = self._session
        standby = session.standby
        while session.is_over or standby.is_reading:
            message = self._returned.popleft() if self._returned else self._next_ready()
            if message is not EXPIRED or (timeout is not None and timeout <= 0):
                return message
            if session.is_over:
                session.rest()
            else:
                standby.dismiss()
        try:
            return super()._take(timeout)
        finally:
            standby.note_take()

    def _receive(self) -> str | bytes | Nothing:
        read = self._session.read
        while (message := self._next_ready()) is EXPIRED:
            read()
        return message

    def _receive_ready(self) -> str | bytes | Nothing:
        session = self._session
        session.renew()
        while (message := self._next_ready()) is EXPIRED and session.try_read():
            pass
        return message

    def _next_ready(self) -> str | bytes | Nothing:
        """Return the next message of those that have been read. Never switches."""
        message = self._session.next_ready()
        if message is END:
            self._raise_error()
        return message

    # Sending

    def _transmit(self, message: Any) -> bool:
        return self._session.send(self._frame(message))

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        try_send = self._session.transport.try_send
        # Asked first, because what has been framed has to be sent.
        if try_send(b"") and try_send(b"".join(self._frame(message))):
            return True
        return EXPIRED

    _was_accepted = staticmethod(was_sent_anyway)

    def _frame(self, message: Any) -> Sequence[bytes]:
        if message.__class__ is not bytes and not isinstance(message, str):
            message = to_bytes(message)
        return self._session.engine.send_message(message)

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
        answer = self._session.keepalive.ping(payload)
        # Whoever waits for the answer wants the connection to live, though he may hold no more.
        on_ready(answer, _let_go, self)
        return answer

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
            TypeError, ValueError: the code or the reason must not be sent; the text names it.
        """
        check_close(code, reason)
        was_open = not self._closed
        self._session.close(code, reason)
        return was_open

    def fail(self, error: BaseException) -> None:
        """Close with 1011, and let takes raise ``error``. Never blocks."""
        check_exception("error", error)
        self._session.close(1011, "", error)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Block until the connection is gone; return whether it is (False after ``timeout``).

        While messages wait that nobody takes, the peer's close may stand behind them unread.
        """
        check_limit("timeout", timeout)
        session = self._session
        session.standby.listen()
        session.gone.wait(timeout)
        return session.gone.ready()

    def __exit__(self, *raised: object) -> None:
        if any(isinstance(one, Exception) for one in raised):
            self.close(1011, "internal error")
        else:
            self.close()


def _let_go(_: WebSocket) -> None:
    """Mark the end of somebody's interest."""
