"""`MeteredTransport`: counts the bytes that go through another transport.

It wraps any transport and is one. Only who asks for the counts pays for them: two readings of the
clock for a message and its answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from galeph.clock import default as default_clock
from galeph.transport.base import Buffer, Transport
from galeph.transport.sendfile import FilePart
from galeph.transport.sending import was_sent_anyway
from galeph.transport.wrapping import WrappedTransport

__all__ = ["MeteredTransport"]


class _Meter:
    """How many bytes went one way in this second, and in the one before it."""

    __slots__ = ("_before", "_now", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._now = 0
        self._before = 0

    def add(self, size: int) -> None:
        self._roll()
        self._now += size

    def per_second(self) -> int:
        self._roll()
        return self._before

    def _roll(self) -> None:
        second = int(default_clock().monotonic())
        if second != self._second:
            self._before = self._now if second == self._second + 1 else 0
            self._now = 0
            self._second = second


class MeteredTransport(WrappedTransport):
    """A transport whose bytes are counted, in both directions."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self._received = _Meter()
        self._sent = _Meter()

    def throughput(self) -> dict[str, int]:
        """How many bytes were ``received`` and ``sent`` in the last full second of the clock."""
        return {"received": self._received.per_second(), "sent": self._sent.per_second()}

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        data = self.inner.recv(max_bytes)
        self._received.add(len(data))
        return data

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        data = self.inner.try_recv(max_bytes)
        if data:
            self._received.add(len(data))
        return data

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        with self._counted(_size(data)):
            self.inner.send(data, committed=committed)

    def send_file(self, part: FilePart) -> None:
        with self._counted(part.left):
            self.inner.send_file(part)

    @contextmanager
    def _counted(self, size: int) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if was_sent_anyway(error):
                self._sent.add(size)
            raise
        self._sent.add(size)

    def try_send(self, data: bytes) -> bool:
        is_accepted = self.inner.try_send(data)
        if is_accepted:
            self._sent.add(len(data))
        return is_accepted


def _size(data: Buffer | Sequence[Buffer]) -> int:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return memoryview(data).nbytes
    return sum(memoryview(part).nbytes for part in data)
