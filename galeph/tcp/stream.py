"""`TcpStream`: a TCP connection as a duplex stream of bytes.

A `TcpStream` has no greenlet and no queue of its own. A take receives from the transport in the
taker's greenlet, and a put sends in the putter's and returns when the kernel has the bytes; that
blocking is the back-pressure. Messages are bytes, cut as they happened to arrive: TCP has no
message boundaries.

How a connection ends
---------------------
- The peer ends its side: takes drain, puts go on until we close.
- It breaks: takes give what had arrived, then raise `ConnectionLost`; puts return False.
- On a server: when the handler has returned, what it returned (a Deferred or Greenlet) is done,
  and nothing is connected to the stream any more. While something is, the connection's greenlet
  moves its messages, or watches for the peer's end (`galeph.stream.hosting.host`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from gevent.event import Event

from galeph._arguments import check_exception
from galeph.byte_streams import to_bytes
from galeph.errors import LeftToParent, ResourceBusy, ResourceClosed, TransportError
from galeph.stream.active import ActiveSource, TransportSink
from galeph.stream.hosting import host as host_stream
from galeph.stream.interfaces import END, EXPIRED, Endpoint, Nothing
from galeph.stream.ownership import checks_owner
from galeph.transport.base import Buffer, ConnectionInfo, EndWatch, Transport
from galeph.transport.metering import MeteredTransport
from galeph.transport.sendfile import part_of
from galeph.transport.sending import was_sent_anyway
from galeph.transport.upgrade import Upgrading

__all__ = ["TcpStream", "Top"]

# More than messages of 64 KiB have: a buffer that comes back full costs a read in vain, of 6 %.
_RECEIVE_BYTES = 98304


class Top(Protocol):
    """A stream that has been built on a `TcpStream`."""

    @property
    def link_count(self) -> int:
        """How many links lead into and out of it."""

    @property
    def error(self) -> BaseException | None:
        """What takers see at the end of it."""

    @property
    def has_input(self) -> bool:
        """Whether it holds something that has arrived and was not taken."""

    def _shut(self) -> None:
        """Refuse puts from now on; never switches."""


class _EndReading(Exception):
    """Ends the receive that is blocked while `TcpStream.end_reading` is called."""


def _to_buffers(message: Any) -> Buffer | Sequence[Buffer]:
    """What to send of a message that is not bytes: without a copy, where it consists of buffers."""
    if isinstance(message, (bytes, bytearray)):
        return message
    if _is_view(message) or (isinstance(message, (list, tuple)) and all(map(_is_buffer, message))):
        return message  # type: ignore[no-any-return]  # it is what it was found to be
    return to_bytes(message)


def _is_buffer(part: Any) -> bool:
    return isinstance(part, (bytes, bytearray)) or _is_view(part)


def _is_view(part: Any) -> bool:
    return isinstance(part, memoryview) and part.c_contiguous


@checks_owner("put _put sendfile send_eof close fail")
class TcpStream(ActiveSource[bytes], TransportSink[Any]):
    """One TCP connection, as a stream: gives bytes, takes what `byte_streams` makes bytes of.

    A message is sent whole or not at all: a put that is killed or timed out before its turn is
    withdrawn, one that has begun is finished in the background.
    """

    _kind = "tcp"
    _watch: EndWatch | None = None
    _closing: Event | None = None
    _must_end = False
    # What gives messages made of this stream's bytes; links are with it then.
    _top: Top | None = None
    # Whether the end of what can be taken was the peer's doing, not ours.
    _peer_ended = False

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport

    @property
    def transport(self) -> Transport:
        """What its bytes go through."""
        return self._transport

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends, and what TLS agreed on."""
        return self._transport.info

    def description(self) -> dict[str, object]:
        """Say who is connected and what state that is in, as plain data."""
        facts = super().description() | {
            "direction": "duplex",
            "connection": self.info.description(),
            "readable": not self._ended,
            "writable": not self.closed,
        }
        transport = self._transport
        if isinstance(transport, MeteredTransport):
            facts["throughput"] = transport.throughput()
        return facts

    def instrument(self) -> None:
        """Count the bytes from now on: `description` then has the ``throughput``.

        That is how many were received, and how many sent, in the last full second.
        """
        if not isinstance(self._transport, MeteredTransport):
            self._transport = MeteredTransport(self._transport)

    # Taking

    def _receive(self) -> bytes | Nothing:
        if not self._ended:
            try:
                data = self._transport.recv(_RECEIVE_BYTES)
            except _EndReading:
                pass
            except (ResourceClosed, TransportError) as error:
                self._break_off(error)
            else:
                return data or self._note_peer_end()
        return self._answer_at_the_end()

    def _receive_ready(self) -> bytes | Nothing:
        if not self._ended:
            try:
                data = self._transport.try_recv(_RECEIVE_BYTES)
            except (ResourceClosed, TransportError) as error:
                self._break_off(error)
            else:
                return EXPIRED if data is None else data or self._note_peer_end()
        return self._answer_at_the_end()

    def _note_peer_end(self) -> Nothing:
        self._peer_ended = True
        self._end()
        return self._answer_at_the_end()

    def _answer_at_the_end(self) -> Nothing:
        """Answer a taker behind the last bytes."""
        self._raise_error()
        return END

    def _break_off(self, error: Exception) -> None:
        """End because a receive has failed: the connection is lost, or was closed here."""
        if isinstance(error, LeftToParent):
            raise error
        self._end(error if isinstance(error, TransportError) else None)
        self._shut()
        self._transport.close()

    def end_reading(self) -> None:
        """Let takers see the end now; puts go on. Never blocks, never switches."""
        if not self._ended:
            self._end()
            self._transport.interrupt(_EndReading())

    # Putting

    def _transmit(self, message: Any) -> bool:
        data = message if message.__class__ is bytes else _to_buffers(message)
        try:
            self._transport.send(data)
        except (TransportError, ResourceClosed) as error:
            # Takers get what had arrived before the connection broke, and are told then.
            self._shut_because(error)
            return False
        return True

    def put(self, message: Any) -> bool:
        """Block until the kernel has the bytes; False when the stream is closed or has broken."""
        return (not self._closed and self._transmit(message)) or self._found_end()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> bool:
        """Put a part of a file; return as `put` does. It goes out whole, or not at all.

        On a plain connection the kernel sends it from its own memory, and nothing is copied here.
        The file's position is neither looked at nor moved, and it may be closed once this has
        returned, or raised. What was written to it before must have been flushed.

        Args:
            file: a regular file, opened for reading, or its descriptor.
            offset: where to begin.
            count: how many bytes; None for all that there are.

        Raises:
            TypeError, ValueError: it is no such file, or has no such part. Nothing was sent.
            OSError: it could not be read to the end. If some of it was out, the connection has been
                cut.
        """
        part = part_of(file, offset, count)
        if self._closed:
            return self._found_end()
        try:
            self._transport.send_file(part)
        except (TransportError, ResourceClosed) as error:
            self._shut_because(error)
            return self._found_end()
        return True

    def _transmit_ready(self, message: Any) -> bool | Nothing:
        return self._transport.try_send(to_bytes(message)) or EXPIRED

    _was_accepted = staticmethod(was_sent_anyway)

    def _shut_because(self, error: Exception) -> None:
        """Refuse puts from now on; in a forked child say whose the connection is."""
        if isinstance(error, LeftToParent):
            raise error
        self._shut()

    def send_eof(self) -> None:
        """End our side; the peer may go on sending. Blocks until what is being put has gone out.

        Puts are refused from now on. On a connection that is closed or broken it does nothing.
        """
        self._shut()
        try:
            self._transport.send_eof()
        except (TransportError, ResourceClosed) as error:
            self._shut_because(error)

    # Starting TLS

    def _begin_upgrade(self) -> Transport:
        """Hand the transport out for a handshake; takes and puts are refused until it is over."""
        if self._ended or self._closed or self._transport.closed:
            raise ResourceClosed(
                "TLS cannot be started: the connection has ended, or one side of it"
            )
        turn = self._take_turn
        top = self._top
        if self.link_count or (turn is not None and turn.is_taken) or (top and top.link_count):
            raise ResourceBusy("TLS cannot be started: somebody takes from the stream, or puts")
        if self._returned or (top is not None and top.has_input):
            # They would pass for bytes that came through TLS (CVE-2011-0411).
            raise ResourceBusy("TLS cannot be started: bytes that came before it are not taken")
        transport = self._transport
        self._transport = Upgrading(transport, "TLS is being started on this connection")
        return transport

    def _end_upgrade(self, transport: Transport, error: BaseException | None = None) -> None:
        is_metered = isinstance(getattr(self._transport, "inner", None), MeteredTransport)
        self._transport = transport
        if error is not None:
            self._end(error if isinstance(error, Exception) else None)
            self._shut()
        elif is_metered:
            self.instrument()

    # Ending

    def _shut(self) -> None:
        super()._shut()
        if self._top is not None:
            self._top._shut()

    def close(self) -> None:
        """End both sides in order. What the peer sends from now on is lost."""
        self._shut()
        self._transport.close()
        self._end()
        # The two would hold each other until the collector comes.
        self._top = None

    def fail(self, error: BaseException) -> None:
        """Cut the connection: the peer sees a reset, and our takers see ``error``."""
        check_exception("error", error)
        if not self._transport.closed:
            self._shut()
            self._end(error)
            self._transport.abort()
            self._top = None

    @property
    def closing(self) -> Event:
        """Set when it is time to end: the server closes, or our side of the stream is closed.

        For a handler that does not take, or has more to do than to take: `Event.wait` blocks until
        then. The connection is cut when the server's time is up.
        """
        if self._closing is None:
            self._closing = Event()
            if self._must_end:
                self._closing.set()
            else:
                self.on_closed(self._closing.set)
        return self._closing

    def prepare_to_end(self) -> None:
        """Tell the handler that the server closes: takers see the end, `closing` is set."""
        self._must_end = True
        if self._closing is not None:
            self._closing.set()
        self.end_reading()

    # Being hosted

    def has_failed_with(self, error: BaseException) -> bool:
        """Whether takers see this error, here or in the messages that are made of the bytes."""
        return error is self.error or (self._top is not None and error is self._top.error)

    def _give_back(self, message: Any) -> None:
        super()._give_back(message)
        if self._host is not None:
            self._watch_peer()

    def _watch_peer(self) -> None:
        """See the peer's end also past bytes that nobody takes.

        The host has met them while it watched for that end by receiving.
        """
        if self._watch is None and not self._transport.closed:
            self._watch = self._transport.watch_end(self._peer_left)

    def _peer_left(self) -> None:
        turn = self._take_turn
        if turn is None or not turn.is_taken:
            self.close()

    def keep_while_connected(self) -> None:
        """Block while something is connected to the stream, in the greenlet that hosts it."""
        if not (self._inlets or self._outlet or self._pending or self._top):
            return  # the most frequent case, asked in the cheapest way
        hosted = self._top or self
        if hosted.link_count and not self.closed:
            try:
                host_stream(cast("Endpoint", hosted))
            finally:
                watch, self._watch = self._watch, None
                if watch is not None:
                    watch.cancel()
