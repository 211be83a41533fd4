"""A request's body, sent while its response may already be on the way.

A streamed or large body is sent by a greenlet of its own, so that an answer that does not wait for
the whole of it (413, or an echo) is read when it comes, and two peers that both send first do not
wait for each other for ever. A small body takes no such trouble: it goes out with the head.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from typing import Protocol

from gevent import Greenlet, GreenletExit, Timeout

from galeph.errors import Cancelled, ResourceClosed, TimedOut, TransportError, WriteTimeout
from galeph.http.outgoing import Streamed
from galeph.protocol import events
from galeph.protocol.events import Data, EndOfMessage
from galeph.protocol.h1 import H1Engine
from galeph.transport.base import Transport
from galeph.transport.deadlines import NEVER, Deadlines

__all__ = ["Upload", "Uploading", "in_pieces"]

_LOGGER = logging.getLogger("galeph.client")
# A piece larger than this is sent in slices, so that a slow peer shows progress.
_SLICE_BYTES = 256 * 1024


class Uploading(Protocol):
    """The connection that an upload is for."""

    def fail(self, error: Exception) -> None:
        """End the connection: the body could not be fetched, or the peer takes none of it."""

    def upload_ended(self) -> None:
        """Take note that nothing more will be sent of this body."""


class Upload:
    """Sends one request, head and body, in a greenlet.

    ``is_done`` says that all of it was sent.
    """

    __slots__ = (
        "__weakref__",
        "_connection",
        "_deadlines",
        "_engine",
        "_greenlet",
        "_is_sending",
        "_is_stopped",
        "_transport",
        "_write_timeout",
        "deadline",
        "is_done",
    )

    def __init__(
        self,
        connection: Uploading,
        transport: Transport,
        engine: H1Engine,
        deadlines: Deadlines,
        write_timeout: float | None,
    ) -> None:
        self._connection = connection
        self._transport = transport
        self._engine = engine
        self._deadlines = deadlines
        self._write_timeout = write_timeout
        self._greenlet: Greenlet[..., None] | None = None
        self._is_sending = False
        self._is_stopped = False
        self.is_done = False
        self.deadline = NEVER

    def start(self, head: events.Request, body: Streamed) -> None:
        """Begin to send. Returns at once; the body is closed when it is done with.

        Raises:
            LocalProtocolError, ValueError: the head cannot be sent. Nothing was.
        """
        frames = self._engine.send(head)
        body.is_taken = True
        self._deadlines.watch(self)
        self._greenlet = Greenlet(copy_context().run, self._run, frames, body)
        self._greenlet.start()

    def stop(self) -> None:
        """Send no more of it. Never blocks, never switches."""
        self._is_stopped = True
        # Before and after, it has the body to close, which a kill would prevent.
        if self._is_sending and self._greenlet is not None:
            self._greenlet.kill(block=False)

    def expire(self) -> None:
        """The peer has taken nothing for too long. Runs in the hub."""
        self._connection.fail(WriteTimeout("the peer takes nothing of the request's body"))

    def _run(self, head: Sequence[bytes], body: Streamed) -> None:
        try:
            failure = self._send_unless_stopped(head, body)
            if failure is not None:
                self._connection.fail(failure)
        finally:
            self._deadlines.forget(self)
            self._connection.upload_ended()
            _close(body)

    def _send_unless_stopped(self, head: Sequence[bytes], body: Streamed) -> Exception | None:
        """Send; return why the body could not be fetched, if so."""
        self._is_sending = True
        try:
            if not self._is_stopped:
                self.is_done = self._send_all(head, body)
        except GreenletExit:
            return None  # stopped: whoever did that knows why
        except Timeout as error:
            return _caused(TimedOut(f"fetching the request's body: {error}"), error)
        except Exception as error:
            return error
        except BaseException as error:
            self._connection.fail(_caused(Cancelled("the process is ending"), error))
            raise
        finally:
            self._is_sending = False
        return None

    def _send_all(self, head: Sequence[bytes], body: Streamed) -> bool:
        engine = self._engine
        if not self._put(head):
            return False
        for piece in body:
            for data in _slices(piece):
                if not self._put(engine.send(Data(data))):
                    return False
        return self._put(engine.send(EndOfMessage()))

    def _put(self, frames: Sequence[bytes]) -> bool:
        """Send; False when the peer takes no more. It may have answered, which the reader sees."""
        if self._write_timeout is not None:
            self.deadline = self._deadlines.clock.monotonic() + self._write_timeout
            self._deadlines.hurry(self)
        try:
            if frames:
                self._transport.send(frames)
        except (TransportError, ResourceClosed):
            return False
        finally:
            self.deadline = NEVER
        return True


def _caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def in_pieces(data: bytes) -> Streamed:
    """Return bytes as a body that is sent piece by piece."""
    return Streamed(None, _slices(data), len(data))


def _slices(data: bytes) -> Iterator[bytes]:
    if len(data) <= _SLICE_BYTES:
        yield data
    else:
        for at in range(0, len(data), _SLICE_BYTES):
            yield data[at : at + _SLICE_BYTES]


def _close(body: Streamed) -> None:
    try:
        body.close()
    except Exception:
        _LOGGER.exception("closing a request's body failed")
