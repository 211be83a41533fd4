"""Sending a body that is fetched while it is sent, on a server's HTTP/1 connection.

Each piece is written at once. Whatever goes wrong meanwhile (the body fails, the client leaves),
the head is out already: a cut connection is the only honest way to say that this is not all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from galeph.errors import ConnectionLost, ResourceClosed, TransportError, WriteTimeout
from galeph.protocol.events import Data, EndOfMessage

if TYPE_CHECKING:
    from galeph.http.departure import Departure
    from galeph.http.h1_server import H1ServerConnection
    from galeph.http.outgoing import Streamed
    from galeph.message.headers import Headers
    from galeph.protocol import events

__all__ = ["CONNECTION_ENDS", "send_streamed"]

# The peer's doing or ours, but no bug: the connection is over and nobody is left to tell.
CONNECTION_ENDS = (TransportError, ResourceClosed, WriteTimeout)


def send_streamed(
    connection: H1ServerConnection,
    asked: events.Request,
    body: Streamed,
    trailers: Headers | None,
) -> bool:
    """Send the pieces of ``body``, unless only the head was asked for, and the message's end.

    A `Source`, or another connection's body, that is quiet says nothing of a client that has left:
    then it is closed.

    Returns:
        Whether all of it was sent; the connection has been cut otherwise.

    Raises:
        ConnectionLost, ResourceClosed, WriteTimeout: the connection ended. The body is not closed.
    """
    engine = connection.engine
    departure: Departure | None = None
    try:
        if asked.method != "HEAD":
            if body.closable is not None:
                departure = connection.watch_departure()
                departure.closes(body.closable)
            for piece in body:
                connection.write(engine.send(Data(piece)))
            if departure is not None and departure.has_left:
                raise ConnectionLost("the client left before the end of the response")
        connection.write(engine.send(EndOfMessage(trailers)))
    except BaseException as error:
        is_over = connection.transport.closed or (departure is not None and departure.has_left)
        connection.transport.abort()
        # The same error may come from a body that is another connection's, and breaks off.
        if is_over and isinstance(error, CONNECTION_ENDS):
            raise
        if not isinstance(error, Exception):
            raise
        connection.note_broken_body(asked, error)
        return False
    return True
