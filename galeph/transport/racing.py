"""Happy Eyeballs (RFC 8305): several addresses tried at once, the first that answers wins.

`race` starts an attempt for one address after the other, the next when the last one has failed or
has been silent for 250 ms, and returns the first socket that is connected. All of it happens in the
calling greenlet, which waits on the watchers of all attempts together: there is no greenlet to be
spawned, and none to be forgotten when the caller is killed. Whatever comes of it, the attempts
that have not won are closed.

`interleave` brings the addresses into the order of section 4: as the resolver has sorted them, but
families in turn, so that a family that does not work costs one delay and not as many as it has
addresses.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from gevent import get_hub
from gevent.hub import Waiter
from gevent.monkey import get_original

from galeph import clock
from galeph.errors import ConnectError, GalephError
from galeph.transport.names import SocketAddress
from galeph.transport.seam import connect_error

__all__ = [
    "ADDRESS_TIMEOUT",
    "ATTEMPT_DELAY",
    "Prepare",
    "interleave",
    "open_socket",
    "race",
    "set_nodelay",
]

_WRITE = 2
# RFC 8305 section 5: recommended, and never below 10 ms.
ATTEMPT_DELAY = 0.25
# What one address may take, where there are others.
ADDRESS_TIMEOUT = 10.0

# Sets a new socket up before it is connected; never blocks.
Prepare = Callable[[socket.socket], object]


def set_nodelay(sock: socket.socket) -> None:
    """Prepare a socket of TCP: small messages are sent at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def interleave(addresses: Sequence[SocketAddress], first: int | None) -> list[SocketAddress]:
    """Put families in turn, each in the order it has (RFC 8305 section 4).

    Args:
        addresses: as the resolver has sorted them.
        first: the family to begin with, or None for that of the first address.
    """
    families: dict[int, deque[SocketAddress]] = {}
    for address in addresses:
        families.setdefault(address.family, deque()).append(address)
    queues = sorted(families.values(), key=lambda queue: queue[0].family != first)
    mixed = []
    while queues:
        mixed += [queue.popleft() for queue in queues]
        queues = [queue for queue in queues if queue]
    return mixed


def race(
    addresses: Sequence[SocketAddress],
    target: str,
    *,
    delay: float | None,
    address_timeout: float = ADDRESS_TIMEOUT,
    prepare: Prepare = set_nodelay,
) -> tuple[socket.socket, SocketAddress]:
    """Block until one of the addresses is connected; return its socket, and which it was.

    Args:
        addresses: in the order to try them.
        target: for the text of an error.
        delay: seconds until the next address is tried beside those that have not answered; None
            waits until the last one has failed.
        address_timeout: seconds after which an address is given up, unless it is the last.
        prepare: sets each socket up before it is connected.

    Raises:
        ConnectError, ConnectRefused, ConnectTimeout: none could be; the last one's reason.
    """
    running = _Race(addresses, target, delay, address_timeout, prepare)
    try:
        return running.run()
    finally:
        running.close()


def open_socket(to: SocketAddress, prepare: Prepare) -> tuple[socket.socket, bool]:
    """Make a socket and begin to connect it; return it, and whether it is connected already.

    Raises:
        OSError: that failed at once; nothing is left open.
        Exception: what ``prepare`` raises; the same holds.
    """
    sock: socket.socket = get_original("socket", "socket")(to.family, to.kind, to.protocol)
    try:
        sock.setblocking(False)
        prepare(sock)
        code = sock.connect_ex(to.address)
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock, code == 0


class _Attempt:
    """One address being connected to."""

    __slots__ = ("address", "ends_at", "is_ready", "sock", "watcher")

    def __init__(self, address: SocketAddress, ends_at: float, prepare: Prepare) -> None:
        self.address = address
        self.ends_at = ends_at
        self.watcher: Any = None
        self.sock, self.is_ready = open_socket(address, prepare)

    def take(self) -> socket.socket:
        """The socket, once it is connected; it is the caller's from now on.

        Raises:
            OSError: it could not be.
        """
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._release()
        sock, self.sock = self.sock, None  # type: ignore[assignment]  # it has no use any more
        return sock

    def close(self) -> None:
        self._release()
        if self.sock is not None:
            self.sock.close()

    def _release(self) -> None:
        watcher, self.watcher = self.watcher, None
        if watcher is not None:
            watcher.stop()
            watcher.close()


class _Race:
    """The state of one `race`."""

    def __init__(
        self,
        addresses: Sequence[SocketAddress],
        target: str,
        delay: float | None,
        address_timeout: float,
        prepare: Prepare,
    ) -> None:
        self._prepare = prepare
        self._target = target
        self._delay = delay
        self._address_timeout = address_timeout
        self._waiting = deque(addresses)
        self._running: list[_Attempt] = []
        self._hub: Any = get_hub()
        self._clock = clock.default()
        self._waiter: Waiter[None] | None = None
        # When the next address is due; None: not before another has failed.
        self._next_at: float | None = self._clock.monotonic()
        text = f"{target} has no address"
        self._last: GalephError = ConnectError(errno.EADDRNOTAVAIL, text)

    def run(self) -> tuple[socket.socket, SocketAddress]:
        while True:
            now = self._clock.monotonic()
            if self._waiting and self._next_at is not None and now >= self._next_at:
                self._begin(now)
            won = self._settle(now)
            if won is not None:
                return won
            if not self._running and not self._waiting:
                raise self._last
            self._pause()

    def close(self) -> None:
        """Close what has not won. Never switches."""
        for attempt in self._running:
            attempt.close()
        self._running.clear()

    def _begin(self, now: float) -> None:
        address = self._waiting.popleft()
        self._next_at = None if self._delay is None else now + self._delay
        # The last one has all the time there is: nobody waits for its turn.
        ends_at = now + self._address_timeout if self._waiting else float("inf")
        try:
            attempt = _Attempt(address, ends_at, self._prepare)
        except OSError as error:
            self._fail(address, error)
            return
        self._running.append(attempt)
        if not attempt.is_ready:
            attempt.watcher = self._hub.loop.io(attempt.sock.fileno(), _WRITE)
            attempt.watcher.start(self._note_ready, attempt)

    def _settle(self, now: float) -> tuple[socket.socket, SocketAddress] | None:
        """Look at those that have news: one may have won, others have failed."""
        for attempt in list(self._running):
            try:
                if attempt.is_ready:
                    return attempt.take(), attempt.address
                if now < attempt.ends_at:
                    continue
                text = f"no answer within {self._address_timeout} s"
                error: OSError = OSError(errno.ETIMEDOUT, text)
            except OSError as failure:
                error = failure
            self._running.remove(attempt)
            attempt.close()
            self._fail(attempt.address, error)
        return None

    def _fail(self, address: SocketAddress, error: OSError) -> None:
        self._last = connect_error(error, f"connecting to {self._target} at {address.address[0]}")
        # Section 5: it need not be waited for any longer.
        self._next_at = self._clock.monotonic()

    def _pause(self) -> None:
        """Block until an attempt has news, or it is time for something."""
        due = [attempt.ends_at for attempt in self._running]
        if self._waiting and self._next_at is not None:
            due.append(self._next_at)
        seconds = min(due) - self._clock.monotonic()
        if seconds <= 0:
            return
        waiter = self._waiter = Waiter(self._hub)
        timer = None
        if seconds != float("inf"):
            timer = self._clock.start_timer(seconds, self._wake_in_hub)
        try:
            waiter.get()
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _note_ready(self, attempt: _Attempt) -> None:
        attempt.is_ready = True
        attempt.watcher.stop()
        self._wake()

    def _wake_in_hub(self) -> None:
        # A manual clock may call this from any greenlet; only the hub may switch to another.
        self._hub.loop.run_callback(self._wake)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch(None)
