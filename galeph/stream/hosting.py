"""`host`: a connection's own greenlet, at the service of what is connected to it.

A server's greenlet has nothing left to do when the user's handler has returned, but the connection
must live while something leads into or out of its stream. So it moves the stream's messages, if
no other greenlet does, and otherwise watches for the peer's end: a connection that is only a sink
of a quiet topic would never notice it.
"""

from __future__ import annotations

from typing import Any

from galeph.stream.interfaces import END, Endpoint, Nothing, Sink, Source
from galeph.stream.waiters import WAITING, Limit, Waiter

__all__ = ["host"]


class _Host:
    """The greenlet that keeps a connection while something is connected to it."""

    __slots__ = ("_has_news", "_limit", "_stream", "_waiter")

    def __init__(self, stream: Endpoint) -> None:
        self._stream = stream
        self._has_news = False
        self._limit: Limit | None = None
        self._waiter: Waiter | None = None

    def wake(self) -> None:
        """Have the host look at the stream again. Never switches."""
        self._has_news = True
        if self._limit is not None:
            self._limit.interrupt()
        elif self._waiter is not None and self._waiter.outcome is WAITING:
            self._waiter.serve(None)

    def wait(self) -> None:
        """Block until there are news."""
        self._waiter = Waiter(self._stream._hub.loop.run_callback)
        try:
            if not self._has_news:
                self._waiter.wait()
        finally:
            self._waiter = None

    def watch(self, source: Source[Any]) -> None:
        """Block until the peer has ended, or there are news. A message goes back to its place."""
        message: Any = END
        try:
            with Limit(None, source._hub) as self._limit:
                message = source._take(None)
        except Exception as error:
            if source.error is not error:
                raise
        finally:
            self._limit = None
        if not isinstance(message, Nothing):
            source._give_back(message)
            self.wait()


def host(stream: Endpoint) -> None:
    """Keep a connection going in its own greenlet for as long as something is connected to it.

    What a server calls when the user's handler has returned. If the stream is connected to
    sinks and no other greenlet moves its messages yet, this one does; otherwise it watches for the
    peer's end.

    Blocks until nothing leads into or out of the stream any more, or it is closed, or the peer
    has ended and nothing more is to be moved. The caller then closes the stream.
    """
    me = stream._host = _Host(stream)
    try:
        while _is_wanted(stream):
            me._has_news = False
            outlet = stream._outlet if isinstance(stream, Source) else None
            if not isinstance(stream, Source) or not _can_watch(stream):
                me.wait()
            elif outlet is None or not outlet.has_demand():
                me.watch(stream)
            elif outlet.is_moving:
                me.wait()
            else:
                outlet.serve()
    finally:
        stream._host = None


def _is_wanted(stream: Endpoint) -> bool:
    if not stream.link_count or (isinstance(stream, Sink) and stream.closed):
        return False
    if not isinstance(stream, Source) or not stream._ended:
        return True
    outlet = stream._outlet
    return outlet is not None and outlet.link_count > 0


def _can_watch(stream: Source[Any]) -> bool:
    return not (stream._source_is_passive or stream._ended or stream._pending)
