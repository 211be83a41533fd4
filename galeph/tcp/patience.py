"""Streams with limits in time: how long nothing may move, and how long the peer may take nothing.

Each limit that is asked for is a transport around the connection's own; who asks for none pays for
none.
"""

from __future__ import annotations

from collections.abc import Callable

from galeph._arguments import check_seconds
from galeph.tcp.stream import TcpStream
from galeph.transport.base import Transport
from galeph.transport.deadlines import Deadlines
from galeph.transport.idle import IdleTransport
from galeph.transport.patience import PatientTransport

__all__ = ["Patience"]


class Patience:
    """The limits of one server, or of a client's connection.

    Args:
        idle_timeout: seconds without a byte in either direction after which a connection is closed.
        write_timeout: seconds without progress of what is put after which a connection fails.

    Raises:
        TypeError, ValueError: these are no numbers of seconds; the text names which.
    """

    def __init__(self, idle_timeout: float | None, write_timeout: float | None) -> None:
        check_seconds("idle_timeout", idle_timeout)
        check_seconds("write_timeout", write_timeout)
        self._idle_timeout = idle_timeout
        self._write_timeout = write_timeout
        self.idle_closed = 0
        self.write_failed = 0

    def counts(self) -> dict[str, int]:
        """How many connections have come to each of the limits that there are."""
        counts = {}
        if self._idle_timeout is not None:
            counts["idle_closed"] = self.idle_closed
        if self._write_timeout is not None:
            counts["write_failed"] = self.write_failed
        return counts

    def stream_of(self, transport: Transport, deadlines: Callable[[], Deadlines]) -> TcpStream:
        """Make a connection's stream, watched over by ``deadlines()`` if there are limits."""
        if self._idle_timeout is None and self._write_timeout is None:
            return TcpStream(transport)
        watch = deadlines()
        monotonic = watch.clock.monotonic
        if self._idle_timeout is not None:
            transport = IdleTransport(
                transport,
                watch,
                timeout=self._idle_timeout,
                monotonic=monotonic,
                on_idle=self._note_idle,
            )
        if self._write_timeout is None:
            return TcpStream(transport)
        patient = PatientTransport(
            transport, watch, timeout=self._write_timeout, monotonic=monotonic
        )
        stream = TcpStream(patient)

        def fail(error: Exception) -> None:
            self.write_failed += 1
            stream.fail(error)

        patient.on_stuck = fail
        return stream

    def _note_idle(self) -> None:
        self.idle_closed += 1
