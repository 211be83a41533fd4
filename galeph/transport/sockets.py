"""`SocketTransport`: a connected socket, and the only owner of its file descriptor.

It holds a non-blocking socket of the standard library (also in a patched process) and its own
watchers on gevent's loop.

- Reads *wait first*, then read: no failed system call and no exception per request, and every
  read is a point where others run. While the buffer comes back full, up to 16 reads follow one
  wait (bulk: 2-4 GB/s against 1).
- Sends try first, and wait until writable every 256 KiB or 16 sends, so that a sender the kernel
  never makes wait does not starve the hub. Senders queue in `Turns`.
- A message is sent whole or not at all, whoever is killed (`galeph.transport.sending`).
- There is one way to close: set the flag, stop and close the watchers, wake their waiters through
  ``run_callback``, then close the descriptor. Closing it under an active watcher would abort the
  process, or leave the waiter blocked for good.

Waiters are woken by ``Waiter.throw``, which reaches exactly the wait that was meant: thrown at one
that has ended meanwhile it does nothing.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from errno import EBADF, EINVAL, EIO, ENOSYS, EPIPE
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original

from galeph.errors import LeftToParent, ResourceBusy, ResourceClosed, TransportError
from galeph.transport import forks
from galeph.transport.base import NAMELESS, Buffer, ConnectionInfo, address_text
from galeph.transport.endwatch import SocketEndWatch
from galeph.transport.seam import connection_error
from galeph.transport.sendfile import FileFailed, FilePart, read_and_write, send_part
from galeph.transport.sending import Views, finish_in_background, send_whole, views_of
from galeph.transport.socket_address import host_and_port
from galeph.transport.turns import Turns

__all__ = ["SocketTransport"]

_READ, _WRITE = 1, 2
_MAX_READS = 16
_SEND_BUDGET = 262144
# At most 16 sends use up the budget, however small they are.
_SEND_COST = _SEND_BUDGET // 16
_MAX_BUFFERS = 1024  # Linux's IOV_MAX: in one call
# In Linux's struct tcp_info: tcpi_bytes_acked, and what ends with it.
_BYTES_ACKED, _TCP_INFO_BYTES = 120, 128
# What the kernel answers when it has nothing for us: an int of 0.
_NO_BYTES = bytes(struct.calcsize("i"))
# Linger for no time: closing sends a reset.
_LINGER_0 = struct.pack("ii", 1, 0)


class _ClosedWatcher:
    """Stands for the read watcher of a closed transport: `recv` finds it occupied."""

    callback = "closed"


_CLOSED: Any = _ClosedWatcher()


class SocketTransport:
    """A connected stream socket as a `Transport`. It takes the socket over, and will close it.

    A unix socket knows no reset: its peer sees an `abort` as an end.

    Args:
        sock: connected; of the standard library, not gevent's.
        is_server: whether the peer connected to us.
        peer: the peer's address, where the caller knows it already.
        local: our side's, likewise.
    """

    __slots__ = (
        "__weakref__",
        "_budget",
        "_closed",
        "_hub",
        "_info",
        "_is_server",
        "_local",
        "_lost",
        "_peer",
        "_poll",
        "_reader",
        "_reads_left",
        "_sock",
        "_wait",
        "_watches",
        "_writer",
        "can_send",
        "turns",
    )

    def __init__(
        self, sock: socket.socket, *, is_server: bool = False, peer: Any = None, local: Any = None
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._hub: Any = get_hub()
        self._wait = self._hub.wait
        self._reader: Any = self._hub.loop.io(sock.fileno(), _READ)
        self._writer: Any = None
        self.turns = Turns(self._hub)
        self._watches: list[SocketEndWatch] | None = None
        self._closed = False
        self.can_send = True
        self._lost: TransportError | LeftToParent | None = None
        self._poll: Any = None
        self._reads_left = 0
        self._budget = _SEND_BUDGET
        self._is_server = is_server
        self._local = local if local is not None else sock.getsockname()
        self._peer = peer if peer is not None else _peer_of(sock)
        self._info: ConnectionInfo | None = None
        forks.abandon_in_child(self)

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends."""
        if self._info is None:
            remote, local = _named(self._peer), _named(self._local)
            server = local if self._is_server else remote
            self._info = ConnectionInfo(*remote, *server, local_addr=local[0], local_port=local[1])
        return self._info

    @info.setter
    def info(self, info: ConnectionInfo) -> None:
        """For who has learned better: a proxy has said for whom it speaks."""
        self._info = info

    @property
    def closed(self) -> bool:
        """Whether it was closed or aborted here, or is known to be lost."""
        return self._closed or self._lost is not None

    def fileno(self) -> int:
        """The descriptor, for looking at (never for closing); -1 once closed."""
        return self._sock.fileno()

    def bytes_acknowledged(self) -> int | None:
        """How many bytes the peer's kernel has acknowledged; None if this is not known."""
        try:
            facts = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        except OSError:
            return None  # it is no TCP, or closed
        return (
            struct.unpack_from("Q", facts, _BYTES_ACKED)[0] if len(facts) > _BYTES_ACKED else None
        )

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        """Block until there are bytes and return at most ``max_bytes``; see `Transport`."""
        reads_left = self._reads_left
        if not reads_left:
            reader = self._reader
            if reader.callback is not None:
                raise self._cannot_receive()
            self._wait(reader)
            self._budget = _SEND_BUDGET
            reads_left = _MAX_READS
        try:
            data = self._sock.recv(max_bytes)
        except BlockingIOError:
            self._reads_left = 0
            return self.recv(max_bytes)
        except OSError as error:
            raise self._failed(error) from error
        if len(data) == max_bytes:
            self._reads_left = reads_left - 1
        elif data:
            self._reads_left = 0
        else:
            self._check_end()
        return data

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        """Return what has arrived, or None if nothing has; see `Transport`."""
        if self._reader.callback is not None:
            raise self._cannot_receive()
        try:
            data = self._sock.recv(max_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        if not data:
            self._check_end()
        return data

    def _check_end(self) -> None:
        if self._lost is not None:
            # A send has used up the kernel's one report that the connection was reset.
            raise self.no_longer_usable()

    def _cannot_receive(self) -> Exception:
        if self._closed:
            return self.no_longer_usable()
        return ResourceBusy("another greenlet is receiving from this connection")

    def interrupt(self, error: Exception) -> None:
        """Make the `recv` that is blocked now raise ``error``; see `Transport`."""
        if not self._closed:
            callback = self._reader.callback
            if callback is not None:
                self._hub.loop.run_callback(callback.__self__.throw, error)

    def has_input(self) -> bool:
        """Whether bytes, the end or an error wait in the kernel; see `Transport`."""
        if self.closed:
            return True
        poll = self._poll
        if poll is None:
            # gevent's `poll`, in a patched process, may switch; `select` fails above 1023
            # descriptors. Kept, for a pooled connection is asked at each use: 1.4 µs, not 13.
            poll = self._poll = get_original("select", "poll")()
            poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def watch_end(self, fn: Callable[[], object]) -> SocketEndWatch:
        """Call ``fn`` in the hub when the connection has ended; see `Transport`."""
        if self._closed:
            raise self.no_longer_usable()
        watch = SocketEndWatch(self, self._sock, self._hub.loop, fn)
        if self._watches is None:
            self._watches = []
        self._watches.append(watch)
        return watch

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        """Block until the kernel has all of ``data``; see `Transport`."""
        size = len(data)
        if (
            data.__class__ is not bytes
            or size > _SEND_BUDGET
            or self.turns.is_taken
            or self._budget <= 0
        ):
            send_whole(self, views_of(data), committed=committed)
            return
        # As `_write`, without the call: this is the path of every small response. The kernel
        # refuses what `can_send` would.
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = self._budget = 0
        except OSError as error:
            raise self._failed(error) from error
        self._budget -= sent + _SEND_COST
        if sent < size:
            rest = memoryview(data)[sent:]
            send_whole(self, views_of(rest), committed=committed or sent > 0)

    def send_file(self, part: FilePart) -> None:
        """Block until the kernel has all of ``part``; see `Transport`."""
        send_part(self, part, self._move_file)

    def _move_file(self, part: FilePart) -> None:
        if self._budget <= 0:
            self._wait_writable()
        try:
            sent = os.sendfile(
                self._sock.fileno(), part.fd, part.offset, min(part.left, _SEND_BUDGET)
            )
        except BlockingIOError:
            self._budget = 0
        except OSError as error:
            if error.errno in (EINVAL, ENOSYS):  # not of that file system
                read_and_write(self, part)
            elif error.errno in (EIO, EBADF) and not self._closed:
                raise FileFailed(error) from error
            else:
                raise self._failed(error) from error
        else:
            if not sent:
                raise FileFailed(part.ended())
            self._budget -= sent + _SEND_COST
            part.advance(sent)

    def try_send(self, data: bytes) -> bool:
        """Accept ``data`` if that is possible without waiting; see `Transport`."""
        if not self.can_send or self.turns.is_taken:
            return False
        try:
            sent = self._write(data)
        except TransportError:
            return False
        if 0 < sent < len(data):
            finish_in_background(self, views_of(data[sent:]))
        return sent > 0 or not data

    def send_eof(self) -> None:
        """End our side, after what is being sent; see `Transport`."""
        self.turns.take()
        try:
            if not self.can_send:
                if self._closed or self._lost is not None:
                    raise self.no_longer_usable()
                return
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                raise self._failed(error) from error
            self.can_send = False
        finally:
            self.turns.end()

    def write_some(self, views: Views) -> None:
        """Offer the kernel as much as one wait allows."""
        if self._budget <= 0:
            self._wait_writable()
        sent = self._write(views[0][:_SEND_BUDGET] if len(views) == 1 else _batch(views))
        while views and sent >= len(views[0]):
            sent -= len(views.popleft())
        if sent:
            views[0] = views[0][sent:]

    def _write(self, data: Any) -> int:
        """Make one system call; return how many bytes the kernel took."""
        try:
            if data.__class__ is list:
                sent = self._sock.sendmsg(data)
            else:
                sent = self._sock.send(data)
        except BlockingIOError:
            self._budget = 0
            return 0
        except OSError as error:
            raise self._failed(error) from error
        self._budget -= sent + _SEND_COST
        return sent

    def _wait_writable(self) -> None:
        writer = self._writer
        if writer is None:
            writer = self._writer = self._hub.loop.io(self._sock.fileno(), _WRITE)
        self._wait(writer)
        self._budget = _SEND_BUDGET

    def look(self) -> None:
        """Wake who waits to receive, if there is something; called in the hub after accepting.

        Who connects has spoken by then, as a rule: short connections end without being watched.
        """
        callback = self._reader.callback
        if callback is not None and not self._closed and self._has_unread():
            callback(*self._reader.args)

    def _has_unread(self) -> bool:
        return fcntl.ioctl(self._sock.fileno(), termios.FIONREAD, _NO_BYTES) != _NO_BYTES

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
        run_callback = self._hub.loop.run_callback
        waiting = self._release_watchers()
        if waiting or self.turns.is_taken:
            for callback in waiting:
                run_callback(callback.__self__.throw, error or self.no_longer_usable())
            self.turns.fail(error or self.no_longer_usable())
        watches, self._watches = self._watches, None
        for watch in watches or ():
            watch.release()
            run_callback(watch._fn)
        try:
            if is_cut:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            else:
                self._discard_unread()
        except OSError:
            pass
        self._sock.close()
        forks.forget(self)

    def _discard_unread(self) -> None:
        # Closed with bytes unread (a TLS session ticket is enough), Linux resets the connection
        # and drops what it has not sent yet: our last words. To ask is cheaper than to read.
        reads = _MAX_READS if self._has_unread() else 0
        while reads and self._sock.recv(65536):
            reads -= 1

    def abandon(self) -> None:
        """Close our descriptor and say nothing to the peer: for the child of a fork."""
        if not self._closed:
            text = "is that of the process that forked this one"
            self._lost = LeftToParent(f"the connection to {self._peer_text()} {text}")
        self._closed = True
        self.can_send = False
        self._release_watchers()
        for watch in self._watches or ():
            watch.release()
        self._sock.close()

    def _release_watchers(self) -> list[Any]:
        """Stop and close the watchers; return the callbacks of those that were waited on."""
        waiting = []
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                callback = watcher.callback
                watcher.stop()
                watcher.close()
                if callback is not None:
                    waiting.append(callback)
        self._reader = _CLOSED
        self._reads_left = 0
        return waiting

    def _forget_watch(self, watch: SocketEndWatch) -> None:
        if self._watches and watch in self._watches:
            self._watches.remove(watch)

    def _failed(self, error: OSError) -> Exception:
        """What to raise for ``error``: it is no loss of the connection if we ended it ourselves."""
        if self.can_send or error.errno != EPIPE:
            self._note_lost(error)
        return self.no_longer_usable()

    def _note_lost(self, error: OSError) -> None:
        if not self._closed and self._lost is None:
            self.can_send = False
            self._lost = connection_error(error, self._peer_text())

    def no_longer_usable(self) -> Exception:
        """A new exception that says why this connection cannot be used."""
        peer, lost = self._peer_text(), self._lost
        if isinstance(lost, LeftToParent):
            return LeftToParent(str(lost))
        if self._closed:
            return ResourceClosed(f"the connection to {peer} is closed")
        if lost is not None:
            return _with_cause(type(lost)(lost.errno, lost.strerror), lost.__cause__)
        return ResourceClosed(f"our side of the connection to {peer} has been ended")

    def _peer_text(self) -> str:
        return address_text(*_named(self._peer))

    def __repr__(self) -> str:
        state = "closed" if self._closed else "lost" if self._lost else "open"
        return f"<SocketTransport {self._peer_text()} {state}>"


def _batch(views: Views) -> list[memoryview]:
    """The first buffers, as many as one system call should be offered."""
    batch: list[memoryview] = []
    room = _SEND_BUDGET
    for view in views:
        batch.append(view[:room])
        room -= len(view)
        if room <= 0 or len(batch) == _MAX_BUFFERS:
            break
    return batch


def _peer_of(sock: socket.socket) -> Any:
    try:
        return sock.getpeername()
    except OSError:
        # Reset before we looked. The first use will say so.
        return ("", 0)


def _named(address: Any) -> tuple[str, int]:
    host, port = host_and_port(address)
    return host if isinstance(address, tuple) else host or NAMELESS, port


def _with_cause(error: Exception, cause: BaseException | None) -> Exception:
    error.__cause__ = cause
    return error
