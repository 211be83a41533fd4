"""The part of a response's body that was still on its way when the head was there.

A `BodyReader` pulls it, from whichever greenlet reads; the connection it comes from delivers piece
by piece and is free, or ended, after the last one. What went wrong is kept, so that a second read
fails as the first did. It knows no protocol version.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from gevent import GreenletExit

from galeph.deferred.producer import frames_of_origin
from galeph.errors import ResourceBusy, ResourceClosed
from galeph.message.headers import Headers

__all__ = ["BodyConnection", "ResponseBody"]


class BodyConnection(Protocol):
    """The connection a body comes from."""

    def read_piece(self, body: ResponseBody) -> bytes:
        """Block until there is more; ``b""`` at the end. Calls ``body.end()`` with the last."""

    def reason_for(self, error: Exception) -> Exception | None:
        """Return what to raise in place of ``error``, which reading raised; None is itself."""

    def fail(self, error: Exception) -> None:
        """End the connection at once. Never blocks, never switches."""

    def close(self) -> None:
        """End the connection in order. Never blocks, never switches."""


class ResponseBody:
    """The rest of a response's body, as its `BodyReader` pulls it.

    Only the response and its reader hold it: when they are garbage, the connection finds out.
    """

    __slots__ = ("__weakref__", "_connection", "_error", "_trace", "trailers")

    def __init__(self, connection: BodyConnection) -> None:
        self._connection: BodyConnection | None = connection
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self.trailers: Headers | None = None

    def pull(self) -> bytes:
        """Return the next piece, ``b""`` at the end. An error is raised every time."""
        connection = self._connection
        if connection is None:
            if self._error is not None:
                raise self._error.with_traceback(self._trace)
            return b""
        try:
            return connection.read_piece(self)
        except ResourceBusy:
            raise  # the other reader goes on
        except GreenletExit:
            # Nobody is left to read on. A Timeout, in contrast, leaves the body as it is.
            self.close()
            raise
        except Exception as error:
            reason = connection.reason_for(error)
            self.end(error if reason is None else reason)
            connection.fail(error if reason is None else reason)
            if reason is None:
                raise
            raise reason  # noqa: B904  (it has the cause it should have)

    def end(self, error: BaseException | None = None) -> None:
        """Note that no more is to come, or why."""
        self._connection = None
        self._error = error
        # A user's frames may be among those: of the generator that fetched the request's body.
        self._trace = None if error is None else frames_of_origin(error)

    def close(self) -> None:
        """Give up the rest, and with it the connection. Never blocks, never switches."""
        connection = self._connection
        if connection is not None:
            self.end(ResourceClosed("the body was closed"))
            connection.close()
