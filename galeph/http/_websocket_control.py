"""Sending the pings and pongs of a WebSocket, in a greenlet that lives while there is one to send.

A reader must not write them itself: one that waited for the writing side could deadlock with a
peer that does the same. What cannot be sent yet is not piled up either: of several pings only the
last is answered (RFC 6455 section 5.5.3), and one ping of ours is enough.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

from galeph.errors import GalephError
from galeph.protocol.websocket.engine import WebSocketEngine
from galeph.transport.base import Transport

__all__ = ["ControlFrames"]


class ControlFrames:
    """One ping and one pong that are to be sent. Nothing here blocks its caller.

    Args:
        transport: where to.
        engine: frames them; once it has framed a close frame nothing more is sent.
        on_failure: called, in the sending greenlet, when the connection turns out to be broken.
    """

    __slots__ = ("_engine", "_on_failure", "_ping", "_pong", "_sender", "_transport")

    def __init__(
        self, transport: Transport, engine: WebSocketEngine, on_failure: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._engine = engine
        self._on_failure = on_failure
        self._ping: bytes | None = None
        self._pong: bytes | None = None
        self._sender: gevent.Greenlet[..., None] | None = None

    def ping(self, payload: bytes) -> None:
        """Send a ping soon."""
        self._ping = payload
        self._start()

    def pong(self, payload: bytes) -> None:
        """Send a pong soon, in place of one that is not sent yet."""
        self._pong = payload
        self._start()

    def _start(self) -> None:
        if self._sender is None:
            self._sender = gevent.spawn(self._send)

    def _send(self) -> None:
        engine = self._engine
        try:
            while not engine.close_sent and not engine.close_received:
                if self._pong is not None:
                    payload, self._pong = self._pong, None
                    self._transport.send(engine.send_pong(payload))
                elif self._ping is not None:
                    payload, self._ping = self._ping, None
                    self._transport.send(engine.send_ping(payload))
                else:
                    return
        except GalephError:
            self._on_failure()
        finally:
            self._sender = None
