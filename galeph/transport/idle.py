"""`IdleTransport`: ends a connection on which nothing has moved for too long.

It wraps any transport and is one. A message costs it a clock reading and an assignment; one sweep
watches all connections of a server (`galeph.transport.deadlines`). While something is being sent
the connection is not idle, however slowly the peer takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from galeph.transport.base import Buffer, Transport
from galeph.transport.deadlines import NEVER, Deadlines
from galeph.transport.sendfile import FilePart
from galeph.transport.wrapping import WrappedTransport

__all__ = ["IdleTransport"]


class IdleTransport(WrappedTransport):
    """A transport that is closed when it has been idle.

    Args:
        inner: the one below, from now on the new transport's own.
        deadlines: what watches it.
        timeout: how many seconds without a byte are too many.
        monotonic: the clock of ``deadlines``.
        on_idle: is called in the hub, before the connection is closed; neither blocks nor raises.
    """

    __slots__ = ("_deadlines", "_monotonic", "_on_idle", "_sends", "_timeout", "deadline")

    def __init__(
        self,
        inner: Transport,
        deadlines: Deadlines,
        *,
        timeout: float,
        monotonic: Callable[[], float],
        on_idle: Callable[[], object],
    ) -> None:
        super().__init__(inner)
        self._deadlines = deadlines
        self._timeout = timeout
        self._monotonic = monotonic
        self._on_idle = on_idle
        self._sends = 0
        self.deadline = monotonic() + timeout
        deadlines.watch(self)

    def expire(self) -> None:
        """Nothing has moved in time. Runs in the hub."""
        self._on_idle()
        self.close()

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        data = self.inner.recv(max_bytes)
        if not self._sends:
            self.deadline = self._monotonic() + self._timeout
        return data

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        data = self.inner.try_recv(max_bytes)
        if data and not self._sends:
            self.deadline = self._monotonic() + self._timeout
        return data

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        self._sends += 1
        self.deadline = NEVER
        try:
            self.inner.send(data, committed=committed)
        finally:
            self._note_sent()

    def send_file(self, part: FilePart) -> None:
        self._sends += 1
        self.deadline = NEVER
        try:
            self.inner.send_file(part)
        finally:
            self._note_sent()

    def _note_sent(self) -> None:
        self._sends -= 1
        if not self._sends:
            self.deadline = self._monotonic() + self._timeout

    def try_send(self, data: bytes) -> bool:
        is_accepted = self.inner.try_send(data)
        if is_accepted and data and not self._sends:
            self.deadline = self._monotonic() + self._timeout
        return is_accepted

    # Closing

    def close(self) -> None:
        self._deadlines.forget(self)
        self.inner.close()

    def abort(self, error: Exception | None = None) -> None:
        self._deadlines.forget(self)
        self.inner.abort(error)
