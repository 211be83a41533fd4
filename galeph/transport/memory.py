"""A connection without a network: two transports, each other's peer, in one process.

For tests that drive a client and a server against each other, and for layers over a transport
(TLS over memory). It keeps the whole contract of a socket: bounded buffers with back-pressure,
half-close, reset, messages whole or not at all. What was sent before a reset can still be read,
as with a socket of Linux.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gevent import get_hub
from gevent.hub import Waiter

from galeph.errors import ConnectionLost, ResourceBusy, ResourceClosed
from galeph.transport.base import Buffer, ConnectionInfo
from galeph.transport.sendfile import FilePart, read_and_write, send_part
from galeph.transport.sending import Views, send_whole, views_of
from galeph.transport.turns import Turns

__all__ = ["MemoryTransport", "memory_pair"]


def memory_pair(
    buffer_bytes: int = 65536,
    *,
    info: ConnectionInfo | None = None,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Make a connected pair, client first.

    Args:
        buffer_bytes: how much each direction holds before `send` blocks.
        info: what both say about the connection.
    """
    if buffer_bytes < 1:
        raise ValueError(f"buffer_bytes must be at least 1, got {buffer_bytes}")
    shared = info or ConnectionInfo("memory", 0, "memory", 0)
    there, back = _Pipe(buffer_bytes), _Pipe(buffer_bytes)
    client = MemoryTransport(shared, back, there)
    server = MemoryTransport(shared, there, back)
    client._peer, server._peer = server, client
    return client, server


class _Pipe:
    """The bytes on their way in one direction."""

    __slots__ = ("chunks", "has_ended", "is_broken", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.chunks: deque[bytes] = deque()
        self.size = 0
        self.limit = limit
        self.has_ended = False
        self.is_broken = False

    def put(self, data: bytes) -> None:
        self.chunks.append(data)
        self.size += len(data)

    def get(self, max_bytes: int) -> bytes:
        """As a kernel does: what is there, whatever pieces it came in."""
        parts = []
        room = max_bytes
        while room and self.chunks:
            data = self.chunks.popleft()
            if len(data) > room:
                self.chunks.appendleft(data[room:])
                data = data[:room]
            room -= len(data)
            parts.append(data)
        self.size -= max_bytes - room
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _Watch:
    """What `MemoryTransport.watch_end` returns."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], object]) -> None:
        self.fn: Callable[[], object] | None = fn

    def cancel(self) -> None:
        self.fn = None

    def fire(self) -> None:
        fn, self.fn = self.fn, None
        if fn is not None:
            fn()


class MemoryTransport:
    """One end of a `memory_pair`."""

    def __init__(self, info: ConnectionInfo, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.info = info
        self._hub: Any = get_hub()
        self._in = incoming
        self._out = outgoing
        self._peer: MemoryTransport = self
        self.turns = Turns(self._hub)
        self.can_send = True
        self._closed = False
        self._lost = False
        self._receiver: Waiter[None] | None = None
        self._sender: Waiter[None] | None = None
        self._watches: list[_Watch] = []

    @property
    def closed(self) -> bool:
        """Whether it was closed or aborted here, or is known to be lost."""
        return self._closed or self._lost

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        """Block until there are bytes; see `Transport`."""
        while (data := self.try_recv(max_bytes)) is None:
            self._receiver = Waiter(self._hub)
            try:
                self._receiver.get()
            finally:
                self._receiver = None
        return data

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        """Return what has arrived, or None if nothing has; see `Transport`."""
        pipe = self._in
        if self._receiver is not None:
            raise ResourceBusy("another greenlet is receiving from this connection")
        if pipe.size and not self._closed:
            data = pipe.get(max_bytes)
            self._wake(self._peer._sender)
            return data
        if self._closed or pipe.is_broken:
            self._lost = True
            raise self.no_longer_usable()
        return b"" if pipe.has_ended else None

    def interrupt(self, error: Exception) -> None:
        """Make the `recv` that is blocked now raise ``error``; see `Transport`."""
        self._wake(self._receiver, error)

    def has_input(self) -> bool:
        """Whether bytes or the end are in the pipe; see `Transport`."""
        return bool(self._in.size) or self._in.has_ended or self.closed

    def watch_end(self, fn: Callable[[], object]) -> _Watch:
        """Call ``fn`` in the hub when the connection has ended; see `Transport`."""
        if self._closed:
            raise self.no_longer_usable()
        watch = _Watch(fn)
        self._watches.append(watch)
        if self._in.has_ended or self._in.is_broken:
            self._tell_watches()
        return watch

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        """Block until the pipe has taken all of ``data``; see `Transport`."""
        send_whole(self, views_of(data), committed=committed)

    def send_file(self, part: FilePart) -> None:
        """Block until all of ``part`` is sent; see `Transport`."""
        send_part(self, part, partial(read_and_write, self))

    def try_send(self, data: bytes) -> bool:
        """Send ``data`` if that is possible without blocking; see `Transport`."""
        room = self._out.limit - self._out.size
        if not self.can_send or self.turns.is_taken or len(data) > room:
            return False
        if data:
            self._move(data)
        return True

    def send_eof(self) -> None:
        """End our side, after what is being sent; see `Transport`."""
        self.turns.take()
        try:
            if self.can_send:
                self.can_send = False
                self._out.has_ended = True
                self._peer._notice_end()
            elif self.closed:
                raise self.no_longer_usable()
        finally:
            self.turns.end()

    def write_some(self, views: Views) -> None:
        """Put into the pipe as much as there is room for, once there is some."""
        pipe = self._out
        while pipe.size >= pipe.limit:
            self._sender = Waiter(self._hub)
            try:
                self._sender.get()
            finally:
                self._sender = None
        view = views.popleft()
        room = pipe.limit - pipe.size
        if len(view) > room:
            views.appendleft(view[room:])
        self._move(bytes(view[:room]))

    def _move(self, data: bytes) -> None:
        self._out.put(data)
        self._wake(self._peer._receiver)

    # Closing

    def close(self) -> None:
        """End both sides; see `Transport`. A send under way is cut, and the peer sees a reset."""
        self._shut(None, is_cut=self.turns.is_taken)

    def abort(self, error: Exception | None = None) -> None:
        """End at once with a reset; see `Transport`."""
        self._shut(error, is_cut=True)

    def _shut(self, error: Exception | None, *, is_cut: bool) -> None:
        if self._closed:
            return
        self._closed = True
        self.can_send = False
        self._wake(self._receiver, error or self.no_longer_usable())
        self._wake(self._sender, error or self.no_longer_usable())
        self.turns.fail(error or self.no_longer_usable())
        self._tell_watches()
        self._out.has_ended = True
        self._out.is_broken = is_cut
        self._peer._notice_close()

    def _notice_end(self) -> None:
        """The peer will send nothing more."""
        self._wake(self._receiver)
        self._tell_watches()

    def _notice_close(self) -> None:
        """The peer reads nothing any more either."""
        self._notice_end()
        if self.can_send:
            self.can_send = False
            self._lost = True
            self._wake(self._sender, self.no_longer_usable())

    def _tell_watches(self) -> None:
        watches, self._watches = self._watches, []
        for watch in watches:
            self._hub.loop.run_callback(watch.fire)

    def _wake(self, waiter: Waiter[None] | None, error: Exception | None = None) -> None:
        if waiter is not None:
            if error is None:
                self._hub.loop.run_callback(waiter.switch, None)
            else:
                self._hub.loop.run_callback(waiter.throw, error)

    def no_longer_usable(self) -> Exception:
        """A new exception that says why this connection cannot be used."""
        if self._lost and not self._closed:
            return ConnectionLost(errno.ECONNRESET, "the other end of the pair was closed")
        what = "this end of the pair" if self._closed else "our side of the pair"
        return ResourceClosed(f"{what} is closed")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "lost" if self._lost else "open"
        return f"<MemoryTransport {state} unread={self._in.size}>"
