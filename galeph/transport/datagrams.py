"""Datagrams: a bound UDP socket that reads ahead a little and never spawns.

`DatagramServer` of gevent gives the life cycle (bind, start, stop, one watcher). What it does with
a datagram is replaced: it reads 8 KiB of it and drops the rest, and starts a greenlet for each.
Here a wake-up reads up to 16 whole datagrams into one bounded queue (one a wake-up is half as
fast, the greenlets a quarter). When the queue is full the socket is not read any more, and the
kernel drops what comes; how much, it says itself.

A datagram goes out whole or not at all, so sending needs none of the care of a stream; but the
kernel hardly ever makes a sender wait, so every 16 sends it waits of itself.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from typing import Any

from gevent import get_hub
from gevent.hub import Waiter
from gevent.monkey import get_original
from gevent.server import DatagramServer

from galeph.errors import ResourceBusy, ResourceClosed, TransportError
from galeph.transport import forks
from galeph.transport.names import SocketAddress
from galeph.transport.turns import Turns

__all__ = ["Datagram", "DatagramSocket", "bind_datagram_socket"]

Datagram = tuple[bytes, Any]

_WRITE = 2
_READS_PER_WAKE = 16
_SENDS_PER_WAIT = 16
# More than the longest datagram (65,507 bytes in IPv4).
_MAX_BYTES = 65536
# Linux: nine counters of the socket's memory; the last is the number of datagrams dropped.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")


def bind_datagram_socket(to: SocketAddress, *, broadcast: bool) -> socket.socket:
    """Make a UDP socket bound to an address.

    Raises:
        TransportError: the address is taken, not ours, or not allowed, or there are no descriptors;
            the errno says which.
    """
    try:
        return _bound(to, broadcast=broadcast)
    except OSError as error:
        host, port = to.address[:2]
        raise TransportError(error.errno, f"{error.strerror} (binding {host}:{port})") from error


def _bound(to: SocketAddress, *, broadcast: bool) -> socket.socket:
    sock: socket.socket = get_original("socket", "socket")(to.family, to.kind, to.protocol)
    try:
        sock.setblocking(False)
        if broadcast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind(to.address)
    except BaseException:
        sock.close()
        raise
    return sock


# gevent's stubs know neither its watcher nor that `do_read` may keep what it reads.
_DatagramServer: Any = DatagramServer


class _Receiver(_DatagramServer):  # type: ignore[misc]  # a class that is Any to mypy
    """Reads datagrams into a queue until it is full, and wakes whoever waits for one."""

    def __init__(self, sock: socket.socket, most_waiting: int) -> None:
        super().__init__(sock, handle=_Receiver.do_read)
        self.waiting: deque[Datagram] = deque()
        self.most_waiting = most_waiting
        self.waiter: Waiter[None] | None = None

    @property
    def is_reading(self) -> bool:
        return self._watcher is not None

    def do_read(self) -> None:
        """Read what is there, up to 16 datagrams."""
        waiting, recvfrom = self.waiting, self.socket.recvfrom
        for _ in range(_READS_PER_WAKE):
            if len(waiting) >= self.most_waiting:
                self.stop_accepting()
                break
            try:
                waiting.append(recvfrom(_MAX_BYTES))
            except OSError:
                # Nothing there; or the answer of some network to an earlier datagram of ours,
                # which UDP does not promise and which says nothing about the next.
                break
        if waiting and self.waiter is not None:
            self.waiter.switch(None)


class DatagramSocket:
    """A bound datagram socket. It takes the socket over, and will close it.

    Args:
        sock: bound; of the standard library, not gevent's.
        most_waiting: how many datagrams may wait to be received before the socket is read no more.
    """

    def __init__(self, sock: socket.socket, *, most_waiting: int) -> None:
        self._hub: Any = get_hub()
        self._sock = sock
        self._turns = Turns(self._hub)
        self._writer: Any = None
        self._sends_left = _SENDS_PER_WAIT
        self._closed = False
        self.address: Any = sock.getsockname()
        self._receiver = _Receiver(sock, most_waiting)
        forks.abandon_in_child(self)
        self._receiver.start()

    @property
    def family(self) -> int:
        """The address family, as the ``socket`` module numbers them."""
        return self._sock.family

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def dropped(self) -> int:
        """How many datagrams the kernel has dropped because nobody received; 0 where it is mum."""
        try:
            counters = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(counters)[-1])
        except (OSError, struct.error):
            return 0

    # Receiving

    def recv(self) -> Datagram:
        """Block until there is a datagram; return its bytes and the sender's address.

        Raises:
            ResourceClosed: the socket was closed.
            ResourceBusy: another greenlet is receiving.
        """
        receiver = self._receiver
        while not receiver.waiting:
            if self._closed:
                raise self._no_longer_usable()
            if receiver.waiter is not None:
                raise ResourceBusy("another greenlet is receiving from this socket")
            receiver.waiter = Waiter(self._hub)
            try:
                receiver.waiter.get()
            finally:
                receiver.waiter = None
            self._sends_left = _SENDS_PER_WAIT
        return self._next()

    def try_recv(self) -> Datagram | None:
        """Return a datagram that has been read already, or None. Never switches."""
        if self._receiver.waiting:
            return self._next()
        if self._closed:
            raise self._no_longer_usable()
        return None

    def _next(self) -> Datagram:
        receiver = self._receiver
        datagram: Datagram = receiver.waiting.popleft()
        # Half empty first: starting makes a watcher, too much to do for every datagram.
        if (
            not receiver.is_reading
            and not self._closed
            and len(receiver.waiting) * 2 <= receiver.most_waiting
        ):
            receiver.start_accepting()
        return datagram

    # Sending

    def send(self, data: bytes, address: Any) -> None:
        """Block until the kernel has taken one datagram.

        Raises:
            TransportError: it did not: too long (``EMSGSIZE``), no way there, not allowed. The
                socket stays usable.
            ResourceClosed: the socket was closed.
        """
        if self._turns.is_taken or not self._sends_left or not self.try_send(data, address):
            self._turns.take()
            try:
                self._wait_writable()
                while not self.try_send(data, address):
                    self._wait_writable()
            finally:
                self._turns.end()

    def try_send(self, data: bytes, address: Any) -> bool:
        """Send a datagram if that is possible without waiting. Raises as `send`."""
        try:
            self._sock.sendto(data, address)
        except BlockingIOError:
            return False
        except OSError as error:
            if self._closed:
                raise self._no_longer_usable() from error
            text = error.strerror or str(error)
            if error.errno == errno.EMSGSIZE:
                text = f"a datagram of {len(data)} bytes is too long"
            host, port = address[:2]
            raise TransportError(error.errno, f"{text} (sending to {host}:{port})") from error
        if self._sends_left:
            self._sends_left -= 1
        return True

    def _wait_writable(self) -> None:
        if self._closed:
            raise self._no_longer_usable()
        if self._writer is None:
            self._writer = self._hub.loop.io(self._sock.fileno(), _WRITE)
        self._hub.wait(self._writer)
        self._sends_left = _SENDS_PER_WAIT

    # Closing

    def close(self) -> None:
        """Close the socket; wake whoever is blocked with `ResourceClosed`. Never switches.

        Datagrams that have been read may still be received.
        """
        if self._closed:
            return
        self._closed = True
        run_callback = self._hub.loop.run_callback
        callback = self._release_writer()
        if callback is not None:
            run_callback(callback.__self__.throw, self._no_longer_usable())
        self._turns.fail(self._no_longer_usable())
        if self._receiver.waiter is not None:
            run_callback(self._receiver.waiter.throw, self._no_longer_usable())
        self._receiver.close()
        forks.forget(self)

    def abandon(self) -> None:
        """Close our descriptor: for the child of a fork."""
        self._closed = True
        self._release_writer()
        self._receiver.close()

    def _release_writer(self) -> Any:
        """Stop and close the write watcher; return its callback if somebody waits on it."""
        writer, self._writer = self._writer, None
        if writer is None:
            return None
        callback = writer.callback
        writer.stop()
        writer.close()
        return callback

    def _no_longer_usable(self) -> Exception:
        return ResourceClosed(f"the datagram socket on {self.address[:2]} is closed")

    def __repr__(self) -> str:
        host, port = self.address[:2]
        state = "closed" if self._closed else f"waiting={len(self._receiver.waiting)}"
        return f"<DatagramSocket {host}:{port} {state}>"
