"""Datagrams: a bound or connected socket that reads ahead a little and never spawns.

`DatagramServer` of gevent gives the life cycle (bind, start, stop, one watcher). What it does with
a datagram is replaced: it reads 8 KiB of it and drops the rest, and starts a greenlet for each.
Here a wake-up reads up to 16 whole datagrams into one bounded queue (one a wake-up is half as
fast, the greenlets a quarter). When the queue is full, its policy says what happens; by default
the socket is not read any more, and the kernel drops what comes; how much, it says itself.

A datagram goes out whole or not at all, so sending needs none of the care of a stream; but the
kernel hardly ever makes a sender wait, so every 16 sends it waits of itself.

What the network says about a datagram of earlier is not the fault of the call that finds it:
`galeph.transport.datagram_errors`.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections import deque
from typing import Any, Literal

import gevent
from gevent import get_hub
from gevent.hub import Waiter
from gevent.server import DatagramServer

from galeph.errors import (
    DatagramTooLarge,
    LeftToParent,
    ResourceBusy,
    ResourceClosed,
    TransportError,
)
from galeph.transport import forks
from galeph.transport.datagram_errors import DatagramErrors, read_error_queue
from galeph.transport.datagram_wiretap import DatagramTap
from galeph.transport.socket_address import datagram_address_text
from galeph.transport.turns import Turns
from galeph.transport.unix_files import UnixFile

__all__ = ["Datagram", "DatagramSocket", "Policy"]

Datagram = tuple[bytes, Any]
Policy = Literal["block", "drop_newest", "drop_oldest"]

_AF_UNIX = int(socket.AF_UNIX)
_WRITE = 2
_READS_PER_WAKE = 16
_SENDS_PER_WAIT = 16
# Linux: nine counters of the socket's memory; the last is the number of datagrams dropped.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")
# What a send may fail with because of an earlier one (icmp(7), and what Linux makes of it).
_OF_EARLIER = frozenset(
    (
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPROTO,
        errno.EACCES,
        errno.EMSGSIZE,
        getattr(errno, "ENONET", errno.ENETUNREACH),
    )
)
# Linux: IP_RECVERR and IPV6_RECVERR, which the socket module does not name.
_RECVERR: dict[int, tuple[int, int]] = (
    {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
    if sys.platform == "linux"
    else {}
)
# How often a sender looks whether a unix socket has room again: of one that it is not connected to
# the kernel does not say so.
_FIRST_LOOK_AFTER, _LOOK_AGAIN_AFTER = 0.001, 0.05


# gevent's stubs know neither its watcher nor that `do_read` may keep what it reads.
_DatagramServer: Any = DatagramServer


class _Receiver(_DatagramServer):  # type: ignore[misc]  # a class that is Any to mypy
    """Reads datagrams into a queue until it is full, and wakes whoever waits for one."""

    def __init__(
        self, sock: socket.socket, most_waiting: int, policy: Policy, max_bytes: int, peer: Any
    ) -> None:
        super().__init__(sock, handle=_Receiver.do_read)
        self.waiting: deque[Datagram] = deque()
        self.most_waiting = most_waiting
        self.waiter: Waiter[None] | None = None
        self.dropped = 0
        self.errors = DatagramErrors()
        self._policy = policy
        self._read_bytes = max_bytes + 1
        self._peer = peer

    @property
    def is_reading(self) -> bool:
        return self._watcher is not None

    def do_read(self, *, is_ready: bool = True) -> None:
        """Read what is there, up to 16 datagrams. Wakes who waits, in the hub."""
        waiting, recvfrom, peer = self.waiting, self.socket.recvfrom, self._peer
        for number in range(_READS_PER_WAKE):
            is_full = len(waiting) >= self.most_waiting
            if is_full and self._policy == "block":
                self.stop_accepting()
                break
            try:
                datagram = recvfrom(self._read_bytes)
            except BlockingIOError:
                if is_ready and not number:
                    # Ready, and nothing there: that is how errors in a queue show.
                    self.note_errors(None)
                break
            except OSError as error:
                self.note_errors(error)
                continue
            if peer is not None and datagram[1] != peer:
                # It came before the socket was connected.
                self.dropped += 1
                continue
            if is_full:
                self.dropped += 1
                if self._policy == "drop_newest":
                    continue
                waiting.popleft()
            waiting.append(datagram)
        if waiting:
            self.errors.settle()
            if self.waiter is not None:
                self.waiter.switch(None)

    def note_errors(self, pending: OSError | None) -> None:
        """Note what the network has said: the error queue, or else the pending error."""
        queued = read_error_queue(self.socket)
        for code, address in queued:
            self.errors.note(code, datagram_address_text(address))
        if pending is not None and not queued:
            whom = "somebody" if self._peer is None else datagram_address_text(self._peer)
            self.errors.note(pending.errno, whom)


class DatagramSocket:
    """A datagram socket. It takes the socket over, and will close it.

    Args:
        sock: bound or connected; of the standard library, not gevent's.
        most_waiting: how many datagrams may wait to be received.
        policy: what happens to the next one then: ``"block"`` leaves it to the kernel, which drops
            what finds no room there either; ``"drop_newest"`` drops it; ``"drop_oldest"`` drops
            the one that has waited longest.
        max_bytes: of a longer datagram one byte more is given, and the rest is lost.
        peer: the address the socket is connected to, if it is.
        file: a unix socket's that was made for it, to be removed with it.
        tap: is told of every datagram that is received or sent.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        most_waiting: int,
        policy: Policy = "block",
        max_bytes: int = 65536,
        peer: Any = None,
        file: UnixFile | None = None,
        tap: DatagramTap | None = None,
    ) -> None:
        self._file = file
        self._tap = tap
        self._hub: Any = get_hub()
        self._sock = sock
        self._turns = Turns(self._hub)
        self._writer: Any = None
        self._sends_left = _SENDS_PER_WAIT
        self._closed = False
        self._is_left = False
        self._dropped_by_kernel = 0
        self.address: Any = sock.getsockname()
        self.peer = peer
        # As the socket module numbers them. Kept, because it makes an enum member at every look.
        self.family = int(sock.family)
        # Nobody else can send to a unix socket that is connected (unix(7)).
        expected = None if self.family == _AF_UNIX else peer
        self._receiver = _Receiver(sock, most_waiting, policy, max_bytes, expected)
        forks.abandon_in_child(self)
        self._receiver.start()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def dropped(self) -> int:
        """How many datagrams were dropped because nobody received.

        Those the kernel has dropped count too, where it says so.
        """
        by_kernel = self._dropped_by_kernel if self._closed else self._ask_kernel()
        return by_kernel + int(self._receiver.dropped)

    def _ask_kernel(self) -> int:
        try:
            counters = self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(counters)[-1])
        except (OSError, struct.error):
            return 0

    @property
    def errors(self) -> DatagramErrors:
        """What the network has said about datagrams that were sent earlier."""
        errors: DatagramErrors = self._receiver.errors
        return errors

    @property
    def takes_ipv4(self) -> bool:
        """Whether a socket of IPv6 talks IPv4 too."""
        return not self._sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        """Set an option of the socket.

        Raises:
            OSError: the system refuses it.
            ResourceClosed: the socket was closed.
        """
        if self._closed:
            raise self._no_longer_usable()
        self._sock.setsockopt(level, option, value)

    # Receiving

    def recv(self) -> Datagram:
        """Block until there is a datagram; return its bytes and the sender's address.

        Raises:
            ResourceClosed: the socket was closed.
            ResourceBusy: another greenlet is receiving.
        """
        receiver = self._receiver
        if self._tap is not None:
            self._tap.wait_for_room()
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
        """Return a datagram that has arrived, or None. Never switches."""
        receiver = self._receiver
        if not receiver.waiting:
            if self._closed:
                raise self._no_longer_usable()
            if receiver.waiter is None:
                receiver.do_read(is_ready=False)
        return self._next() if receiver.waiting else None

    def _next(self) -> Datagram:
        receiver = self._receiver
        datagram: Datagram = receiver.waiting.popleft()
        if self._tap is not None:
            self._tap.note_received(*datagram)
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

        Args:
            data: what is in it.
            address: whom it is for; None is the peer of a connected socket.

        Raises:
            DatagramTooLarge: it is longer than the network or the system allows.
            TransportError: no way there, not allowed, no memory; the errno says which. The socket
                stays usable.
            ResourceClosed: the socket was closed.
        """
        if self._tap is not None:
            self._tap.wait_for_room()
        if self._turns.is_taken or not self._sends_left or not self.try_send(data, address):
            self._turns.take()
            try:
                self._wait_writable()
                wait = _FIRST_LOOK_AFTER
                while not self.try_send(data, address):
                    self._wait_writable()
                    if self.family == _AF_UNIX:
                        gevent.sleep(wait)
                        wait = min(wait * 2, _LOOK_AGAIN_AFTER)
            finally:
                self._turns.end()

    def try_send(self, data: bytes, address: Any, *, is_again: bool = False) -> bool:
        """Send a datagram if that is possible without waiting. Raises as `send`.

        After ``is_again`` no error is of an earlier datagram: that one has been told.
        """
        try:
            if address is None:
                self._sock.send(data)
            else:
                self._sock.sendto(data, address)
        except BlockingIOError:
            return False
        except OSError as error:
            if is_again or not self._is_of_earlier(error):
                raise self._send_error(error, data, address) from error
            if not self.try_send(data, address, is_again=True):
                return False
            self._receiver.note_errors(error)
            return True
        if self._sends_left:
            self._sends_left -= 1
        if self._tap is not None:
            self._tap.note_sent(data, self.peer if address is None else address)
        return True

    def _is_of_earlier(self, error: OSError) -> bool:
        """Whether it may be of an earlier datagram, which is none of the sender's business."""
        if self._closed:
            raise self._no_longer_usable() from error
        return error.errno in _OF_EARLIER and self._hears_of_earlier()

    def _hears_of_earlier(self) -> bool:
        """Whether the kernel tells this socket what the network answers."""
        option = _RECVERR.get(self.family)
        if option is None:
            return False
        return self.peer is not None or bool(self._sock.getsockopt(*option))

    def _send_error(self, error: OSError, data: bytes, address: Any) -> TransportError:
        peer = self.peer if address is None else address
        to = datagram_address_text(peer)
        if error.errno == errno.EMSGSIZE:
            text = f"a datagram of {len(data)} bytes is too long (sending to {to})"
            failure: TransportError = DatagramTooLarge(error.errno, text)
        else:
            text = f"{error.strerror or error} (sending to {to})"
            if error.errno == errno.EACCES and self.family != _AF_UNIX:  # ip(7)
                text += "; a broadcast address needs broadcast=True"
            failure = TransportError(error.errno, text)
        if self._tap is not None:
            self._tap.note_failed(failure, peer)
        return failure

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
        self._dropped_by_kernel = self._ask_kernel()
        self._closed = True
        if self._tap is not None:
            self._tap.note_closed()
        run_callback = self._hub.loop.run_callback
        callback = self._release_writer()
        if callback is not None:
            run_callback(callback.__self__.throw, self._no_longer_usable())
        self._turns.fail(self._no_longer_usable())
        if self._receiver.waiter is not None:
            run_callback(self._receiver.waiter.throw, self._no_longer_usable())
        # First the file: whoever binds next finds nothing that could look stale.
        if self._file is not None:
            self._file.remove()
        self._receiver.close()
        forks.forget(self)

    def abandon(self) -> None:
        """Close our descriptor: for the child of a fork."""
        self._is_left = not self._closed
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
        where = f"the datagram socket on {datagram_address_text(self.address)}"
        if self._is_left:
            return LeftToParent(f"{where} is that of the process that forked this one")
        return ResourceClosed(f"{where} is closed")

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"waiting={len(self._receiver.waiting)}"
        return f"<DatagramSocket {datagram_address_text(self.address)} {state}>"
