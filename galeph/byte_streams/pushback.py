"""`PushbackQueue`: a queue of bytes that can be put back to its front.

Bytes have no borders in it: what was put in pieces is taken in whatever sizes. It holds about
`capacity` bytes: a put is always stored as a whole, but the put that passes that mark waits until
enough was taken, which is the backpressure.

Takers stand in one line and take their bytes out in their own greenlet, so a taker that is killed
takes nothing with it.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any

import gevent
from gevent import get_hub
from gevent.exceptions import LoopExit

from galeph.byte_streams.options import check_integer
from galeph.deferred import Deferred
from galeph.deferred.producer import frames_of_origin, on_cancel, raise_deadlock, stopped
from galeph.errors import Deadlock, ResourceClosed
from galeph.stream.ownership import checks_owner
from galeph.stream.waiters import WAITING, Turn, Waiter

__all__ = ["PushbackQueue"]


@checks_owner("put put_async take take_some take_async push_back close fail")
class PushbackQueue:
    """A queue of bytes with backpressure, which takes bytes back.

    It is a `ByteSource` and a `ByteSink`, so everything in galeph that reads or writes bytes can be
    made of it. It belongs to the hub (the OS thread) that made it.

    Args:
        capacity: how many bytes may lie in it before a put waits.
    """

    def __init__(self, capacity: int) -> None:
        check_integer("capacity", capacity)
        if capacity < 0:
            raise ValueError(f"capacity must not be negative, got {capacity}")
        self._hub: Any = get_hub()
        self._capacity = capacity
        # A view is what is left of a piece that something was pushed back before.
        self._parts: deque[bytes | memoryview] = deque()
        # Where in the first part the reading stands, and how much is left in all.
        self._at = 0
        self._size = 0
        self._closed = False
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self._turn = Turn()
        # The taker whose turn it is, while it waits for bytes, and how many it needs.
        self._taker: Waiter | None = None
        self._needed = 0
        # Puts that wait for room.
        self._putters: deque[Deferred[bool]] = deque()

    def __repr__(self) -> str:
        return f"<PushbackQueue of {self._size} bytes, capacity {self._capacity}>"

    # Putting

    def put(self, data: bytes) -> bool:
        """Store ``data``, then block while more lies here than `capacity`; False if closed.

        Whoever is interrupted while waiting has put it all the same.
        """
        done = self.put_async(data)
        try:
            return done.get()
        except Deadlock as error:
            # Of the deferred, which the caller has never seen.
            raise_deadlock(error.__cause__ or error, self, "take from")
            raise

    def put_async(self, data: bytes) -> Deferred[bool]:
        """Store ``data`` at once.

        Returns:
            A Deferred that is True as soon as no more than `capacity` lies here, which may be at
            once; False if the queue is closed, and then nothing was stored.
        """
        plain = _plain(data)
        done: Deferred[bool] = Deferred()
        if self._closed:
            done.success(False)
            return done
        if plain:
            self._parts.append(plain)
            self._size += len(plain)
            self._arrived()
        if self._size <= self._capacity:
            done.success(True)
        else:
            self._putters.append(done)
        return done

    def send_bytes(self, data: bytes, /) -> None:
        """Put, as a `ByteSink`.

        Raises:
            ResourceClosed: the queue is closed.
        """
        if not self.put(data):
            raise ResourceClosed("the queue is closed")

    def push_back(self, data: bytes) -> None:
        """Make ``data`` what is taken next. Never blocks; allowed on a closed queue, too.

        What is pushed back later is taken earlier, so what was taken in several pieces is pushed
        back last piece first.
        """
        plain = _plain(data)
        if not plain:
            return
        if self._at:
            # Not copied: who looks ahead at each of many messages pushes back for each.
            self._parts[0] = memoryview(self._parts[0])[self._at :]
            self._at = 0
        self._parts.appendleft(plain)
        self._size += len(plain)
        self._arrived()

    # Taking

    @property
    def available(self) -> int:
        """How many bytes can be taken without waiting."""
        return self._size

    def take(self, size: int) -> bytes:
        """Block until ``size`` bytes are there and return them; fewer only at the end.

        Raises:
            Exception: what the queue failed with, once fewer than ``size`` bytes are left.
        """
        return self._take(size, size)

    def take_some(self, size: int) -> bytes:
        """Block until anything is there; return up to ``size`` bytes, b"" only at the end.

        Raises:
            Exception: what the queue failed with, once nothing is left.
        """
        return self._take(size, min(size, 1))

    def take_bytes(self, size: int, /) -> bytes | None:
        """Take, as a `ByteSource`: up to ``size`` bytes, None at the end."""
        return self.take_some(size) or None

    def take_async(self, size: int, *, some: bool = False) -> Deferred[bytes]:
        """Return at once a Deferred of what `take`, or `take_some`, would return.

        A greenlet waits for it. Cancelling it withdraws the take.
        """
        taken: Deferred[bytes] = Deferred()
        greenlet = gevent.Greenlet(self._take_for, taken, size, min(size, 1) if some else size)
        on_cancel(taken, lambda _: greenlet.kill(block=False))
        greenlet.start()
        return taken

    def _take_for(self, taken: Deferred[bytes], size: int, needed: int) -> None:
        try:
            data = self._take(size, needed)
        except BaseException as error:
            taken.error(stopped(error))
        else:
            if not taken.success(data):
                self.push_back(data)

    def _take(self, size: int, needed: int) -> bytes:
        if size < 0:
            raise ValueError(f"size must not be negative, got {size}")
        try:
            self._turn.acquire(self._hub)
        except LoopExit as error:
            raise_deadlock(error, self, "put to")
            raise
        try:
            while self._size < needed and not self._closed:
                self._wait(needed)
            if self._size < needed and self._error is not None:
                raise self._error.with_traceback(self._trace)
            return self._pop(size)
        finally:
            self._turn.release()

    def _wait(self, needed: int) -> None:
        self._needed = needed
        waiter = self._taker = Waiter(self._hub.loop.run_callback)
        try:
            waiter.wait()
        except LoopExit as error:
            raise_deadlock(error, self, "put to")
            raise
        finally:
            self._taker = None

    def _arrived(self) -> None:
        taker = self._taker
        is_enough = self._closed or self._size >= self._needed
        if taker is not None and taker.outcome is WAITING and is_enough:
            taker.serve(None)

    def _pop(self, size: int) -> bytes:
        taken: list[bytes] = []
        left = size = min(size, self._size)
        while left > 0:
            part, at = self._parts[0], self._at
            piece = bytes(part[at : at + left])
            taken.append(piece)
            left -= len(piece)
            self._at += len(piece)
            if self._at >= len(part):
                self._parts.popleft()
                self._at = 0
        self._size -= size
        if self._size <= self._capacity:
            self._let_putters_go()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _let_putters_go(self) -> None:
        putters = self._putters
        while putters:
            putters.popleft().success(True)

    # Ending

    @property
    def closed(self) -> bool:
        """Whether puts are refused."""
        return self._closed

    def close(self) -> None:
        """Refuse puts from now on; what is stored can still be taken.

        Takers that wait get what there is. Never blocks, never switches; may be called twice.
        """
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """Close, and have whoever wants more than is stored get ``error`` instead of the end."""
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if not self._closed:
            self._closed = True
            self._error = error
            self._trace = None if error is None else frames_of_origin(error)
            self._arrived()
            self._let_putters_go()


def _plain(data: Any) -> bytes:
    """Return what may be any buffer as bytes; their number is what counts, not that of items."""
    if type(data) is bytes:
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"data must be bytes, not {type(data).__name__}") from None
