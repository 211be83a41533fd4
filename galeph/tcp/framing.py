"""`framed`: messages of a protocol of one's own, over the bytes of a TCP connection.

A `FramedStream` has no greenlet and no queue either. A take gives the next message of the bytes
that are here, and receives when they are not enough; a put encodes its message and sends it whole.
So the back-pressure is that of the connection, and at most one incomplete frame, within the
codec's limit, is kept of what nobody takes.

How it ends
-----------
- As the connection does: in order, or with `ConnectionLost`.
- The peer ends its side in the middle of a frame: takes raise `RemoteProtocolError` (its ``case``
  is "frame-cut"). There is never a short message.
- What comes is no frame, or too long for one: takes give what stands before it, and then raise
  `RemoteProtocolError`. Puts go on, so that the peer can be told.
- A server that closes ends the read side: an incomplete frame is dropped, and takers see the end.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from gevent.event import Event

from galeph.errors import RemoteProtocolError, ResourceBusy
from galeph.protocol.events import NEED_DATA
from galeph.protocol.framing import Codec, FrameDecoder
from galeph.stream.active import ActiveSource, TransportSink
from galeph.stream.interfaces import END, EXPIRED, Nothing
from galeph.stream.ownership import checks_owner
from galeph.tcp.stream import TcpStream
from galeph.transport.base import ConnectionInfo
from galeph.transport.sending import was_sent_anyway

__all__ = ["FramedStream", "framed"]

T = TypeVar("T")


def framed(stream: TcpStream, codec: Codec[T]) -> FramedStream[T]:
    """Return a duplex stream of the messages that ``codec`` finds in, and makes, bytes.

    From now on ``stream`` is the new one's own: take, put and connect there. It ends with the
    connection, and ends it. On a server the connection lasts for as long as something is connected
    to either.

    Raises:
        TypeError: ``stream`` is no connection, or ``codec`` no `Codec`.
        ResourceBusy: messages are made of its bytes already, or something is connected to it.
    """
    if not isinstance(stream, TcpStream):
        raise TypeError(f"stream must be a TcpStream, not {stream!r}")
    if not isinstance(codec, Codec):
        raise TypeError(f"codec must be a galeph.tcp.Codec, not {codec!r}")
    if stream._top is not None:
        raise ResourceBusy(f"messages are made of this stream's bytes already: {stream._top!r}")
    if stream.link_count:
        raise ResourceBusy("something is connected to this stream already")
    return FramedStream(stream, codec)


@checks_owner("put _put send_eof close fail")
class FramedStream(ActiveSource[T], TransportSink[Any], Generic[T]):
    """Messages over a connection; see `framed`."""

    _kind = "framed"

    def __init__(self, stream: TcpStream, codec: Codec[T]) -> None:
        super().__init__()
        self._stream = stream
        self._codec = codec
        self._decoder = FrameDecoder(codec)
        stream._top = self
        if stream.closed:
            self._shut()

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends, and what TLS agreed on."""
        return self._stream.info

    @property
    def closing(self) -> Event:
        """Set when it is time to end; see `TcpStream.closing`."""
        return self._stream.closing

    @property
    def has_input(self) -> bool:
        """Whether bytes have arrived of which no message was taken."""
        return bool(self._returned) or not self._decoder.is_empty

    def description(self) -> dict[str, object]:
        """Say what the connection says of itself."""
        facts = self._stream.description() | super().description()
        return facts | {"readable": not self._ended}

    # Taking

    def _receive(self) -> T | Nothing:
        return self._next(None)

    def _receive_ready(self) -> T | Nothing:
        return self._next(0)

    def _next(self, timeout: float | None) -> T | Nothing:
        decoder, stream = self._decoder, self._stream
        while not self._ended:
            try:
                message = decoder.next()
            except Exception as error:
                self._end(error)
                raise
            if message is not NEED_DATA:
                return message  # type: ignore[return-value]  # there is but one NeedData
            try:
                data = stream._take(timeout)
            except Exception as error:
                if stream.error is error:
                    self._end(error)
                raise
            if data is EXPIRED:
                return EXPIRED
            if data is END:
                self._end(self._cut())
            else:
                decoder.receive(data)
        self._raise_error()
        return END

    def _cut(self) -> RemoteProtocolError | None:
        """What to say of an incomplete frame, if the peer has ended its side in one."""
        if self._stream._peer_ended:
            try:
                self._decoder.end()
            except RemoteProtocolError as error:
                return error
        return None

    # Putting

    def put(self, message: Any) -> bool:
        """Block until the kernel has the frame; False when the stream is closed or has broken.

        Raises:
            TypeError, ValueError: the codec makes no frame of it. Nothing was sent.
        """
        return self._stream.put(self._codec.encode(message))

    def _transmit(self, message: Any) -> bool:
        return self._stream._transmit(self._codec.encode(message))

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        return self._stream._transmit_ready(self._codec.encode(message))

    _was_accepted = staticmethod(was_sent_anyway)

    def send_eof(self) -> None:
        """End our side; see `TcpStream.send_eof`."""
        self._stream.send_eof()

    # Ending

    def close(self) -> None:
        """End both sides in order. What the peer sends from now on is lost."""
        self._stream.close()
        self._end()

    def fail(self, error: BaseException) -> None:
        """Cut the connection: the peer sees a reset, and our takers see ``error``."""
        self._stream.fail(error)
        self._end(self._stream.error)

    # Being hosted

    def _give_back(self, message: Any) -> None:
        super()._give_back(message)
        if self._host is not None:
            self._stream._watch_peer()
