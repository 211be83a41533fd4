"""What the network says about datagrams that were sent earlier, told once and in no hurry.

A router or a host that drops a datagram may answer with ICMP. The kernel keeps that answer as the
pending error of the socket, and gives it to whatever call comes next, although it says nothing
about that call. So neither a receive nor a send fails by it: it is noted here, and told by a
greenlet, because the noting happens in the hub and a listener may block.

Linux tells a connected socket by itself. One that is not connected hears of it only where the
option ``IP_RECVERR`` is set; then a queue of errors belongs to the socket too, which must be read,
or the socket is reported as ready for ever.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextvars import Context, copy_context

from gevent import spawn

from galeph.errors import TransportError

__all__ = ["DatagramErrors", "read_error_queue"]

_log = logging.getLogger("galeph.udp")

# recvmsg(2): the first member of sock_extended_err is the errno, in the bytes of this machine.
_ERRNO = struct.Struct("I")
_MSG_ERRQUEUE = getattr(socket, "MSG_ERRQUEUE", 0)
_MOST_AT_ONCE = 16
_ANCILLARY_BYTES = 512


class DatagramErrors:
    """Counts errors and tells of them: to listeners, else to the log.

    While a listener is at work on one error those that come are counted, and only the latest of
    them is told: a flood makes no queue. The log has one line until `settle` is called.
    """

    def __init__(self) -> None:
        self.count = 0
        self._listeners: list[tuple[Context, Callable[[TransportError], object]]] = []
        self._untold: TransportError | None = None
        self._is_telling = False
        self._is_logged = False

    def listen(self, fn: Callable[[TransportError], object]) -> None:
        """Have ``fn(error)`` called, in the caller's context."""
        self._listeners.append((copy_context(), fn))

    def note(self, code: int | None, whom: str) -> None:
        """Note what the network said of a datagram to ``whom``. Never switches."""
        self.count += 1
        if self._is_logged and not self._listeners:
            return
        self._is_logged = True
        self._untold = TransportError(code, f"{os.strerror(code or 0)} (sent earlier to {whom})")
        if not self._is_telling:
            self._is_telling = True
            spawn(self._tell)

    def settle(self) -> None:
        """Take the trouble for over: the next error is worth a line again. Never switches."""
        self._is_logged = False

    def _tell(self) -> None:
        try:
            while (error := self._untold) is not None:
                self._untold = None
                if not self._listeners:
                    _log.info("the network answers: %s", error)
                for context, fn in tuple(self._listeners):
                    _call(context, fn, error)
        finally:
            self._is_telling = False


def _call(context: Context, fn: Callable[[TransportError], object], error: TransportError) -> None:
    try:
        context.copy().run(fn, error)
    except Exception:
        _log.exception("a listener to errors of a UDP socket failed")


def read_error_queue(sock: socket.socket) -> list[tuple[int, object]]:
    """Read up to 16 entries of a socket's error queue: errno, and the address that was sent to."""
    found: list[tuple[int, object]] = []
    while _MSG_ERRQUEUE and len(found) < _MOST_AT_ONCE:
        try:
            _, ancillary, _, address = sock.recvmsg(0, _ANCILLARY_BYTES, _MSG_ERRQUEUE)
        except OSError:
            # Mostly that it is empty. What else it may be, the next receive says again.
            break
        codes = [_ERRNO.unpack_from(data)[0] for _, _, data in ancillary if len(data) >= 4]
        found.append((codes[0] if codes else errno.EIO, address))
    return found
