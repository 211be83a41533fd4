"""`Departure`: noticing that a client leaves before it has been answered.

While a handler computes, or a streamed body waits for its next message, nobody receives from the
connection, and nobody would see the client go until something is written to it: for the events of
a quiet topic, never. So the kernel is asked (`Transport.watch_end`), without a greenlet, from the
moment somebody wants to know.

A client that ends its side has left as far as this goes. Of one that only stops sending, and reads
on, TCP says the same; what is written to it still arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent

from galeph.deferred import Deferred
from galeph.errors import ResourceClosed
from galeph.transport.base import EndWatch, Transport

if TYPE_CHECKING:
    from galeph.http.body import BodyReader
    from galeph.stream import Source

__all__ = ["Departure", "not_departed"]


class Departure:
    """Watches for the client's leaving, from when it is made until `end`."""

    __slots__ = ("_body", "_disconnected", "_is_over", "_watch", "has_left")

    def __init__(self, transport: Transport) -> None:
        self.has_left = False
        self._is_over = False
        self._disconnected: Deferred[bool] | None = None
        self._body: Source[Any] | BodyReader | None = None
        self._watch: EndWatch | None = None
        try:
            self._watch = transport.watch_end(self._note)
        except ResourceClosed:
            self.has_left = True

    @property
    def disconnected(self) -> Deferred[bool]:
        """Realized with True when the client leaves, or with False by `end`."""
        if self._disconnected is None:
            self._disconnected = Deferred()
            if self.has_left or self._is_over:
                self._disconnected.success(self.has_left)
        return self._disconnected

    def closes(self, body: Source[Any] | BodyReader) -> None:
        """Close ``body`` when the client leaves; whoever waits for its next piece sees its end."""
        self._body = body
        if self.has_left:
            body.close()

    def _note(self) -> None:
        """The client has left. Runs in the hub, where a user's ``close`` must not."""
        self.has_left = True
        if self._body is not None:
            gevent.spawn(self._body.close)
        if self._disconnected is not None:
            self._disconnected.success(True)

    def end(self) -> None:
        """The exchange is over: stop watching. Never blocks, never switches."""
        self._is_over = True
        if self._watch is not None:
            self._watch.cancel()
        if self._disconnected is not None:
            self._disconnected.success(False)


def not_departed() -> Deferred[bool]:
    """Return what ``disconnected`` is once the answer has gone out."""
    answered: Deferred[bool] = Deferred()
    answered.success(False)
    return answered
