"""`PatientTransport`: gives up a peer that takes nothing of what is being sent.

It wraps any transport and is one. A message costs it a clock reading and two assignments; one sweep
watches all connections (`galeph.transport.deadlines`). What counts is progress and not the size of
a message: as long as the peer's kernel acknowledges bytes, however few, the time begins anew. Where
nobody can tell (a unix socket, memory) a message has to be out in that time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from galeph.errors import WriteTimeout
from galeph.transport.base import Buffer, Transport
from galeph.transport.deadlines import NEVER, Deadlines
from galeph.transport.sendfile import FilePart
from galeph.transport.wrapping import WrappedTransport

__all__ = ["PatientTransport"]


class PatientTransport(WrappedTransport):
    """A transport whose peer has to take what is sent.

    Args:
        inner: the one below, from now on the new transport's own.
        deadlines: what watches it.
        timeout: how many seconds without progress are too many. It is noticed at the latest after
            twice that time, and a second of the sweep for each.
        monotonic: the clock of ``deadlines``.

    Attributes:
        on_stuck: is called in the hub with the `WriteTimeout`; neither blocks nor raises. By
            default the connection is aborted with it.
    """

    __slots__ = (
        "_acknowledged",
        "_deadlines",
        "_monotonic",
        "_sends",
        "_timeout",
        "deadline",
        "on_stuck",
    )

    def __init__(
        self,
        inner: Transport,
        deadlines: Deadlines,
        *,
        timeout: float,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(inner)
        self.on_stuck: Callable[[Exception], object] = self.abort
        self._deadlines = deadlines
        self._timeout = timeout
        self._monotonic = monotonic
        self._sends = 0
        self._acknowledged: int | None = None
        self.deadline = NEVER
        deadlines.watch(self)

    def expire(self) -> None:
        """Something has been on its way for long. Runs in the hub."""
        if not self._sends:
            return
        acknowledged = _acknowledged_by_peer(self.inner)
        if acknowledged != self._acknowledged:
            self._acknowledged = acknowledged
            self.deadline = self._monotonic() + self._timeout
        else:
            self.on_stuck(WriteTimeout(f"the peer has taken nothing for {self._timeout} s"))

    # Sending

    def _begin(self) -> None:
        self._sends += 1
        if self._sends == 1:
            self.deadline = self._monotonic() + self._timeout
            self._deadlines.hurry(self)

    def _end(self) -> None:
        self._sends -= 1
        self.deadline = self._monotonic() + self._timeout if self._sends else NEVER

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        self._begin()
        try:
            self.inner.send(data, committed=committed)
        finally:
            self._end()

    def send_file(self, part: FilePart) -> None:
        self._begin()
        try:
            self.inner.send_file(part)
        finally:
            self._end()

    def send_eof(self) -> None:
        self._begin()
        try:
            self.inner.send_eof()
        finally:
            self._end()

    # Closing

    def close(self) -> None:
        self._end_watch()
        self.inner.close()

    def abort(self, error: Exception | None = None) -> None:
        self._end_watch()
        self.inner.abort(error)

    def _end_watch(self) -> None:
        self._deadlines.forget(self)
        # It leads back here, as a rule: a cycle, for every connection.
        self.on_stuck = _nothing


def _nothing(_: Exception) -> None:
    """Whoever was to be told has gone."""


def _acknowledged_by_peer(transport: object) -> int | None:
    """How many bytes the peer's kernel has acknowledged on the socket below, if there is one."""
    while (inner := getattr(transport, "inner", None)) is not None:
        transport = inner
    ask: Callable[[], int | None] | None = getattr(transport, "bytes_acknowledged", None)
    return None if ask is None else ask()
