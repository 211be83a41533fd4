"""Noticing that the peer has left, without reading what it sent.

A connection that is only written to (a subscriber of a quiet topic, a slow handler) has nobody in
`recv` to see its peer leave, and would stay in CLOSE_WAIT. A watch asks the kernel with
``MSG_PEEK`` when the socket becomes readable. If there are bytes, they belong to somebody else:
the read event, which would fire again at once, is put aside, and after 50 ms, doubling to a second,
``POLLRDHUP`` says whether the end stands behind them. No greenlet is used.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent.monkey import get_original

from galeph import clock

if TYPE_CHECKING:
    from galeph.transport.sockets import SocketTransport

__all__ = ["SocketEndWatch"]

_READ = 1
# POLLERR and POLLHUP are always reported. Without POLLRDHUP (macOS) an end behind unread bytes is
# seen when they are read.
_HANGUP = getattr(select, "POLLRDHUP", 0)
_MIN_PAUSE, _MAX_PAUSE = 0.05, 1.0


class SocketEndWatch:
    """Calls a function once, in the hub, when the connection has ended; see `Transport`."""

    __slots__ = ("_fn", "_io", "_pause", "_sock", "_timer", "_transport")

    def __init__(
        self,
        transport: SocketTransport,
        sock: socket.socket,
        loop: Any,
        fn: Callable[[], object],
    ) -> None:
        self._transport = transport
        self._sock = sock
        self._fn = fn
        self._pause = _MIN_PAUSE
        self._timer: clock.Timer | None = None
        self._io: Any = loop.io(sock.fileno(), _READ)
        self._io.start(self._look)

    def cancel(self) -> None:
        """Call nothing any more. Never switches; may be called twice."""
        self.release()
        self._transport._forget_watch(self)

    def release(self) -> None:
        """Give back the watchers, before the socket is closed."""
        io, self._io = self._io, None
        if io is not None:
            io.stop()
            io.close()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def fire(self) -> None:
        """The connection has ended: say so, once."""
        if self._io is not None:
            self.cancel()
            self._fn()

    def _look(self) -> None:
        try:
            has_bytes = self._sock.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            self._pause = _MIN_PAUSE
            return
        except OSError as error:
            # The kernel reports a reset once: without the note the next read would see an
            # orderly end.
            self._transport._note_lost(error)
            has_bytes = False
        if not has_bytes or self._is_hung_up():
            self.fire()
            return
        self._io.stop()
        self._timer = clock.default().start_timer(self._pause, self._resume)
        self._pause = min(self._pause * 2, _MAX_PAUSE)

    def _resume(self) -> None:
        if self._io is not None:
            self._io.start(self._look)

    def _is_hung_up(self) -> bool:
        # gevent's `poll`, in a patched process, may switch; this runs in the hub.
        poll = get_original("select", "poll")()
        poll.register(self._sock, _HANGUP)
        return bool(poll.poll(0))
