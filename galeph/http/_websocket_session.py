"""The life of one WebSocket, below the stream that its user holds.

The engine knows the frames, the transport moves the bytes; a session joins them, and knows how a
WebSocket ends. Helpers keep it company: `Standby` reads while nobody takes, `ControlFrames` sends
pings and pongs, `Keepalive` finds out whether the peer is still there, `Pace` sees that a peer who
sends much does not keep others waiting.

However the end begins, one *closing greenlet* brings it about: it sends our close frame behind
what was put before, takes the reading over, throws away what still arrives, waits for the peer's
part, and closes the connection. One timer bounds all of this. Takers do not wait for it: they are
told as soon as it is known that nothing more will come.

Timers, watchers and greenlets hold the session, and the session holds the stream only weakly. So a
stream that its user has dropped is garbage at once, and its session closes the connection: with
1001, in order, by the closing greenlet. The collector does no more than ask the hub for it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol
from weakref import ref

import gevent

from galeph import clock as clocks
from galeph.clock import Timer
from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub
from galeph.errors import GalephError, WebSocketClosed
from galeph.http._websocket_control import ControlFrames
from galeph.http._websocket_keepalive import Keepalive
from galeph.http._websocket_pace import Pace
from galeph.http._websocket_standby import Standby
from galeph.http.timeouts import Timeouts
from galeph.protocol.engine import Role
from galeph.protocol.websocket.engine import WebSocketEngine
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
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.waiters import Turn
from galeph.transport.base import EndWatch, Transport
from galeph.transport.peer_log import PeerLog

__all__ = ["Holder", "Session"]

# After failing a connection, what the peer still sends is dropped up to this much, so that no
# reset destroys our close frame on its way.
_MAX_LINGER_BYTES = 256 * 1024
# Codes that say "we are done" (RFC 6455 section 7.4.1), and no code at all.
_CLEAN_CODES = frozenset({1000, 1001, 1005})

_LOGGER = logging.getLogger("galeph.websocket")
# The rate belongs to the logger, and that to the process.
_PEER_LOG = PeerLog(_LOGGER)


class _MakeWay(Exception):
    """Interrupts whoever reads, because somebody else wants to."""


class Holder(Protocol):
    """What a session needs of the stream above it. Neither of them switches."""

    def _shut(self) -> None:
        """Refuse puts from now on."""

    def _end(self, error: BaseException | None = None) -> None:
        """Nothing is left to take; ``error`` if what came was cut short."""


class Session:
    """One WebSocket.

    Args:
        stream: what the user holds; held weakly.
        transport: the connection, with the handshake behind it.
        engine: knows what the transport brought beyond the handshake.
        turn: held by whoever reads.
        timeouts: how long what may take.

    ``is_over`` says that no more is received; what has arrived can still be taken. ``gone`` is
    realized when nothing is left of the connection.
    """

    __slots__ = (
        "__weakref__",
        "_close_timer",
        "_closer",
        "_has_backlog",
        "_hub",
        "_pace",
        "_stream",
        "_turn",
        "close_code",
        "close_reason",
        "control",
        "engine",
        "failure",
        "gone",
        "is_over",
        "keepalive",
        "standby",
        "timeouts",
        "transport",
    )

    def __init__(
        self,
        stream: Holder,
        transport: Transport,
        engine: WebSocketEngine,
        *,
        turn: Turn,
        timeouts: Timeouts,
    ) -> None:
        self._hub: Any = gevent.get_hub()
        self._stream = ref(stream, self._dropped)
        self.transport = transport
        self.engine = engine
        self.timeouts = timeouts
        self._turn = turn
        self._pace = Pace(self._hub)
        self.is_over = False
        # Reading has ended, with frames behind it that are not parsed yet.
        self._has_backlog = False
        self.failure: BaseException | None = None
        self.standby = Standby(self, turn, self._hub)
        self.control = ControlFrames(transport, engine, self.stop_sending)
        # The end.
        self.close_code: int | None = None
        self.close_reason = ""
        self._closer: gevent.Greenlet[..., None] | None = None
        self._close_timer: Timer | None = None
        self.gone: Deferred[None] = Deferred()
        self.keepalive = Keepalive(
            timeouts.ping_interval,
            timeouts.ping_timeout,
            send=self.control.ping,
            listen=self.standby.listen,
            give_up=self._give_up,
        )
        self.standby.note_take()

    # Receiving

    def next_ready(self) -> str | bytes | Nothing:
        """Return the next message of those that have arrived. Never switches.

        EXPIRED says that `read` comes next (or `rest`, once reading is over), END that there will
        be none.
        """
        standby = self.standby
        if standby:
            message = standby.take()
            self._tell_end()
            return message
        if not self.is_over or self._has_backlog:
            arrived = self.next_message()
            if arrived is not None:
                return arrived
            if not self.is_over or self._has_backlog:
                return EXPIRED
        self._tell_end()
        return END

    def next_message(self) -> str | bytes | None:
        """Parse on to the next message; what is no message is dealt with on the way.

        None if there is none yet, or if others must get their turn first: `read` knows.
        """
        next_event, pace = self.engine.next_event, self._pace
        while not pace.is_spent:
            event = next_event()
            if type(event) is Message:
                pace.count(len(event.data))
                return event.data
            if event is NEED_DATA:
                self._has_backlog = False
                return None
            if event is PARTIAL:
                pace.count()
            else:
                self._handle(event)
        return None

    def read(self) -> None:
        """Block until it is worth while to parse on: until more has arrived, or others had a turn.

        `make_way` ends it early.
        """
        if self._pace.is_spent:
            self._pace.rest()
            return
        try:
            data = self.transport.recv()
        except _MakeWay:
            return
        except GalephError as error:
            self._lose(str(error), error)
        else:
            self._receive(data)

    def try_read(self) -> bool:
        """Take what has arrived, without waiting; False if that is nothing."""
        if self._pace.is_spent:
            return False
        try:
            data = self.transport.try_recv()
        except GalephError as error:
            self._lose(str(error), error)
            return True
        if data is None:
            return False
        self._receive(data)
        return True

    def rest(self) -> None:
        """Give others a turn, between two parts of what has arrived."""
        self._pace.rest()

    def renew(self) -> None:
        """Let a caller that must not wait parse as much as one turn allows."""
        self._pace.renew()

    def _receive(self, data: bytes) -> None:
        self.keepalive.heard()
        self.engine.receive_data(data)

    def make_way(self) -> None:
        """See `Readable.make_way`."""
        self.transport.interrupt(_MakeWay())

    def watch_end(self) -> EndWatch | None:
        """See `Readable.watch_end`."""
        try:
            return self.transport.watch_end(self.stop_sending)
        except GalephError:
            self.stop_sending()
            return None

    def _handle(self, event: WebSocketEvent) -> None:
        if isinstance(event, Ping | Pong):
            if not self._pace.count_control():
                self.engine.stop_receiving()
                self._fail_connection(1008, "too many control frames")
            elif isinstance(event, Ping):
                self.control.pong(event.payload)
            else:
                self.keepalive.receive_pong(event.payload)
        elif isinstance(event, Close):
            self._receive_close(event)
        elif isinstance(event, Failed):
            if event.code == 1006:
                self._lose(event.reason)
            else:
                self._fail_connection(event.code, event.reason)

    # Sending

    def send(self, buffers: Sequence[bytes]) -> bool:
        """Block until the kernel has the frames; False if the connection is broken."""
        try:
            self.transport.send(buffers)
        except GalephError:
            self.stop_sending()
            return False
        return True

    def stop_sending(self) -> None:
        """Refuse puts: the connection is broken.

        What the peer sent before it went away, a close frame with its reason perhaps, can still be
        read; it is the reader who finds the end.
        """
        self._shut_stream()
        self.standby.listen()

    # Closing

    def close(self, code: int | None, reason: str, failure: BaseException | None = None) -> None:
        """Begin to close, if nobody has. ``failure`` is what takers are told. Never blocks."""
        self._begin_close(code, reason, failure)

    def _dropped(self, _: object) -> None:
        """The stream is garbage. In the collector, on any thread: no more than this."""
        call_in_hub(self._hub, self._abandon)

    def _abandon(self) -> None:
        """Nobody holds the stream any more. In the hub."""
        if self._closer is None and not self.gone.ready():
            self.standby.clear()
            self._begin_close(1001, "", is_abandoned=True)

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
        self._fail_connection(1011, f"no answer to a ping in {self.timeouts.ping_timeout:g} s")

    def _begin_close(
        self,
        code: int | None,
        reason: str,
        failure: BaseException | None = None,
        *,
        is_failing: bool = False,
        is_abandoned: bool = False,
    ) -> None:
        if self._closer is not None or self.gone.ready():
            return
        self._closer = gevent.Greenlet(
            self._finish_close, code, reason, is_failing=is_failing, is_abandoned=is_abandoned
        )
        if not self.is_over:
            # What has arrived stays takeable. As much as one turn allows is looked at now; takers
            # and the closing greenlet go on with the rest.
            self._has_backlog = not is_abandoned
            while self._has_backlog and (message := self.next_message()) is not None:
                self.standby.put(message)
            self._end_receiving(failure)
        timeouts = self.timeouts
        limit = timeouts.drain if is_failing else timeouts.websocket_close
        if limit is not None:
            self._close_timer = clocks.default().start_timer(limit, self.cut, ref=False)
        self.keepalive.stop()
        self.make_way()
        self._closer.start()

    def _end_receiving(self, failure: BaseException | None) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.failure = failure
        self._shut_stream()
        self._tell_end()

    def _shut_stream(self) -> None:
        stream = self._stream()
        if stream is not None:
            stream._shut()

    def _tell_end(self) -> None:
        """Tell the stream when nothing is left to take."""
        if self.is_over and not self.standby and not self._has_backlog:
            stream = self._stream()
            if stream is not None:
                stream._end(self.failure)

    def _finish_close(
        self, code: int | None, reason: str, *, is_failing: bool, is_abandoned: bool
    ) -> None:
        """Send our close frame and wait for what has to come (RFC 6455 section 7.1)."""
        transport = self.transport
        try:
            if is_abandoned:
                _LOGGER.warning("a WebSocket was dropped without being closed: %s", self._peer())
            transport.send(self.engine.send_close(code, reason))
            if is_failing:
                _PEER_LOG.log(
                    logging.INFO, "%s failed: %s, closed with %s", self._peer(), reason, code
                )
            self._turn.acquire(self._hub)
            try:
                self._keep_backlog()
                if is_failing:
                    self._linger()
                else:
                    self._await_close()
            finally:
                self._turn.release()
        except GalephError:
            pass
        finally:
            self.conclude()

    def _keep_backlog(self) -> None:
        """Keep what had arrived when we began to close, for takers that come later."""
        while self._has_backlog:
            message = self.next_message()
            if message is not None:
                self.standby.put(message)
            elif self._has_backlog:
                self._pace.rest()
        self._tell_end()

    def _await_close(self) -> None:
        engine, gone = self.engine, self.gone
        while not engine.close_received and not gone.ready():
            if self.next_message() is None and not engine.close_received:
                self.read()
        if engine.role is Role.CLIENT:
            # Section 7.1.1: it is the server that closes the TCP connection first.
            while not gone.ready() and self.transport.recv():
                pass

    def _linger(self) -> None:
        transport = self.transport
        transport.send_eof()
        left = _MAX_LINGER_BYTES
        while left > 0 and (data := transport.recv()):
            left -= len(data)

    def _peer(self) -> str:
        info = self.transport.info
        return f"{info.remote_addr}:{info.remote_port}"

    def cut(self) -> None:
        """The peer takes too long over its part of the closing. Runs in the hub."""
        self.transport.abort()
        self.conclude()

    def _lose(self, reason: str, cause: BaseException | None = None) -> None:
        """The connection is gone without a close frame of the peer."""
        failure = WebSocketClosed(1006, reason)
        failure.__cause__ = cause
        self._end_receiving(failure)
        self.conclude()

    def say_last_word(self) -> None:
        """Send a close frame if that does not block: there is no time for more."""
        if not self.engine.close_sent:
            self.transport.try_send(b"".join(self.engine.send_close(1011)))

    def conclude(self) -> None:
        """Nothing is left of the connection. Never switches; may be called twice."""
        try:
            self.transport.close()
            if self._close_timer is not None:
                self._close_timer.cancel()
                self._close_timer = None
            self.standby.stop()
            if self.close_code is None:
                self.close_code = 1006
            self.keepalive.stop()
            self._end_receiving(self.failure)
        finally:
            # Whoever waits for the end must not wait for ever because a Ctrl-C has hit these lines.
            self.gone.success(None)
