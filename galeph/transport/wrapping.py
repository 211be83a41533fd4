"""`WrappedTransport`: the delegating half of the `Transport` interface.

A layer that wraps a transport and is one derives from it and overrides what it changes; all the
rest goes to the one below. It is inherited as the interface itself would be, has no behavior of
its own, and knows none of the layers.

An override calls ``self.inner`` itself and not what it overrides: a message costs a call a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from galeph.transport.base import Buffer, ConnectionInfo, EndWatch, Transport
from galeph.transport.sendfile import FilePart

__all__ = ["WrappedTransport"]


class WrappedTransport:
    """A transport that is what ``inner`` is; ``inner`` is from now on its own."""

    # Not derived from `Transport`: a protocol has no slots, and every connection would get a dict.
    __slots__ = ("inner",)

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends."""
        return self.inner.info

    @property
    def closed(self) -> bool:
        """Whether it was closed or aborted here, or is known to be lost."""
        return self.inner.closed

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        """Block until the peer has sent something; see `Transport`."""
        return self.inner.recv(max_bytes)

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        """Return what has arrived, or None if nothing has; see `Transport`."""
        return self.inner.try_recv(max_bytes)

    def interrupt(self, error: Exception) -> None:
        """Make the `recv` that is blocked now raise ``error``; see `Transport`."""
        self.inner.interrupt(error)

    def has_input(self) -> bool:
        """Whether a `recv` might return or fail at once; see `Transport`."""
        return self.inner.has_input()

    def watch_end(self, fn: Callable[[], object]) -> EndWatch:
        """Call ``fn`` in the hub when the connection has ended; see `Transport`."""
        return self.inner.watch_end(fn)

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        """Block until all of ``data`` is taken; see `Transport`."""
        self.inner.send(data, committed=committed)

    def send_file(self, part: FilePart) -> None:
        """Block until all of ``part`` is taken; see `Transport`."""
        self.inner.send_file(part)

    def try_send(self, data: bytes) -> bool:
        """Accept ``data`` if that needs no waiting; see `Transport`."""
        return self.inner.try_send(data)

    def send_eof(self) -> None:
        """End our side; see `Transport`."""
        self.inner.send_eof()

    # Closing

    def close(self) -> None:
        """End both sides in order; see `Transport`."""
        self.inner.close()

    def abort(self, error: Exception | None = None) -> None:
        """End at once; see `Transport`."""
        self.inner.abort(error)
