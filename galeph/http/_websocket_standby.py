"""Reading a WebSocket while nobody takes from it.

A taker reads in its own greenlet: an echo loop runs without a switch between the socket and the
handler, and a waiting one costs a single greenlet. But a WebSocket must be read even when nobody
takes: pings want their pong, and a handler that only puts wants to learn that its peer has closed.

So when nobody has taken for a second, a standby greenlet reads in place of the takers, until 16
messages or 64 KiB wait for them. Then it stops, and the peer feels it; from then on only the end
of the connection is watched for, so that puts to a peer that has left are refused however much it
had to say. A taker who finds nothing waiting sends the standby away and reads itself again. Whoever
reads holds the stream's take turn.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import gevent

from galeph import clock as clocks
from galeph.clock import Timer
from galeph.stream.waiters import Turn
from galeph.transport.base import EndWatch

__all__ = ["Readable", "Standby"]

# How long nobody may take before the standby reads.
_STAND_BY_AFTER = 1.0
# What it reads ahead: as many messages as Aleph does, and bounded in bytes too.
_MAX_MESSAGES = 16
_MAX_BYTES = 64 * 1024


class Readable(Protocol):
    """What the standby needs of its session."""

    is_over: bool
    """Whether there is nothing more to read."""

    def next_message(self) -> str | bytes | None:
        """Return the next message of those that have arrived, or None. Never switches."""

    def read(self) -> object:
        """Block until it is worth while to ask for a message again, or `make_way` was called."""

    def make_way(self) -> None:
        """Have whoever is blocked in `read` return. Never switches."""

    def watch_end(self) -> EndWatch | None:
        """Refuse puts once the connection has ended, unless the watch is cancelled before."""


class Standby:
    """The messages that wait for a taker, and who reads them.

    Args:
        session: what to read.
        turn: held by whoever reads.
        hub: the WebSocket's.
    """

    __slots__ = (
        "_hub",
        "_is_dismissed",
        "_messages",
        "_reader",
        "_session",
        "_size",
        "_timer",
        "_turn",
        "_was_taken",
        "_watch",
    )

    def __init__(self, session: Readable, turn: Turn, hub: Any) -> None:
        self._session = session
        self._turn = turn
        self._hub = hub
        self._messages: deque[str | bytes] = deque()
        self._size = 0
        self._reader: gevent.Greenlet[..., None] | None = None
        self._is_dismissed = False
        self._was_taken = False
        self._timer: Timer | None = None
        self._watch: EndWatch | None = None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_full(self) -> bool:
        """Whether so much waits that nobody reads on."""
        return len(self._messages) >= _MAX_MESSAGES or self._size >= _MAX_BYTES

    # Messages

    def put(self, message: str | bytes) -> None:
        """Keep a message for the next taker."""
        self._messages.append(message)
        self._size += len(message)

    def take(self) -> str | bytes:
        """Return the first message that waits; there must be one."""
        message = self._messages.popleft()
        self._size -= len(message)
        self._end_watch()
        return message

    def clear(self) -> None:
        """Throw away what waits: nobody can take it any more."""
        self._messages.clear()
        self._size = 0
        self._end_watch()

    # Who reads

    @property
    def is_reading(self) -> bool:
        """Whether the standby reads, and was not sent away."""
        return self._reader is not None and not self._is_dismissed

    def listen(self) -> bool:
        """Make sure that somebody reads; False while too much waits to be taken."""
        if self._session.is_over or self._turn.is_taken or self._reader is not None:
            return True
        if self.is_full:
            return False
        self._is_dismissed = False
        self._reader = gevent.spawn(self._read_on)
        return True

    def dismiss(self) -> None:
        """Send the standby away: somebody else wants to read. Never switches."""
        self._is_dismissed = True
        self._session.make_way()

    def _read_on(self) -> None:
        session, turn = self._session, self._turn
        try:
            if turn.is_taken:
                return
            turn.acquire(self._hub)
            try:
                while not (session.is_over or self._is_dismissed or self.is_full):
                    message = session.next_message()
                    if message is not None:
                        self.put(message)
                    elif not session.is_over:
                        session.read()
            finally:
                turn.release()
            if self.is_full and not session.is_over:
                self._watch = session.watch_end()
        finally:
            self._reader = None

    def _end_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()

    # When

    def note_take(self) -> None:
        """Somebody takes, or has taken: begin to watch for the time when nobody does."""
        self._was_taken = True
        if self._timer is None and not self._session.is_over:
            start_timer = clocks.default().start_timer
            self._timer = start_timer(_STAND_BY_AFTER, self._look, ref=False)

    def _look(self) -> None:
        self._timer = None
        if self._turn.is_taken:
            return  # the end of that take comes back here
        if self._was_taken:
            self.note_take()
            self._was_taken = False
        else:
            self.listen()

    def stop(self) -> None:
        """The WebSocket has ended. What waits can still be taken."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_watch()
