"""The body of one request, as it is pulled off an HTTP/1 connection.

Nothing is read before somebody asks: not reading is the backpressure. What can go wrong is kept,
so that a second read fails as the first did, and the driver can tell a handler's own bug from an
error of the peer's that the handler let pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from galeph.errors import (
    IncompleteBody,
    RemoteProtocolError,
    ResourceClosed,
    TimedOut,
    TransportError,
)
from galeph.http.body import BodyReader
from galeph.protocol import events
from galeph.protocol.events import NEED_DATA, Data, EndOfMessage

if TYPE_CHECKING:
    from galeph.http.h1_server import H1ServerConnection
    from galeph.message.headers import Headers

__all__ = ["IncomingBody"]

_READ_BYTES = 65536


class IncomingBody:
    """Pulls the body of the request that ``connection`` is serving."""

    __slots__ = (
        "_connection",
        "_declared_length",
        "continue_due",
        "done",
        "error",
        "reader",
        "trailers",
    )

    def __init__(self, connection: H1ServerConnection, event: events.Request) -> None:
        self._connection = connection
        self._declared_length = event.content_length
        # Whether the client waits for a 100 before it sends the body.
        self.continue_due = event.expects_continue
        self.done = False
        self.error: Exception | None = None
        self.trailers: Headers | None = None
        self.reader: BodyReader | None = None

    def open(self) -> BodyReader:
        """Return the file object the body is read from; the same one each time."""
        if self.reader is None:
            self.reader = BodyReader(
                self._pull,
                length=self._declared_length,
                max_gathered=self._connection.max_buffered_bytes,
            )
        return self.reader

    def close(self) -> None:
        """The request has been answered: reading is over."""
        if self.reader is not None:
            self.reader.close()

    def _pull(self) -> bytes:
        """Return the next piece, ``b""`` at the end. An error is raised every time."""
        if self.error is not None:
            # Without the frames of the reads before, which would become more with each. They are
            # galeph's own: what is kept here is of the peer's or the network's making.
            raise self.error.with_traceback(None)
        if self.done:
            return b""
        connection = self._connection
        connection.continue_()
        with connection.reading_body():
            try:
                return self.next_piece()
            except RemoteProtocolError as error:
                if error.case != "body-incomplete":
                    self.error = error
                    raise
                self.error = IncompleteBody(str(error))
                raise self.error from error
            except (TransportError, TimedOut, ResourceClosed) as error:
                self.error = error
                raise

    def next_piece(self) -> bytes:
        """Block for the next piece; ``b""`` at the end. The caller watches the time."""
        engine = self._connection.engine
        while True:
            event = engine.next_event()
            if type(event) is Data:
                self.done = event.end_stream
                return event.data
            if event is NEED_DATA:
                engine.receive_data(self._connection.transport.recv(_READ_BYTES))
            else:
                if type(event) is EndOfMessage:
                    self.trailers = event.trailers
                self.done = True
                return b""

    def is_worth_draining(self, max_bytes: int) -> bool:
        """Whether what is left, if anything is, may be read just to keep the connection."""
        return self.done or (
            not self.continue_due
            and self.error is None
            # Somebody the handler has left behind is reading it: nobody else can.
            and not (self.reader is not None and self.reader.is_being_read)
            and (self._declared_length or 0) <= max_bytes
        )

    def drain(self, max_bytes: int) -> bool:
        """Read and drop what is left; return whether that was all of it."""
        left = max_bytes
        while left > 0 and not self.done:
            left -= len(self.next_piece())
        return self.done
