"""Bodies as they are read: a binary file object and a Source over one position.

`BodyReader` pulls pieces from the connection when it is asked for more and keeps what was not
asked for. Nothing is read ahead: not reading is the backpressure that reaches the peer. It is
shared by requests on the server and responses on the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from galeph.errors import BodyTooLarge, LocalProtocolError, ResourceBusy, ResourceClosed
from galeph.stream.active import ActiveSource
from galeph.stream.interfaces import END, EXPIRED, Nothing

__all__ = ["BodyReader", "BodySource"]


# So many pieces in a row become one if they are small: each is an object of 33 bytes and more.
_PIECES_TO_JOIN = 256
_SMALL_BYTES = 65536


def _nothing() -> bytes:
    return b""


def _keep(pieces: list[bytes], piece: bytes) -> None:
    """Add a piece. A peer that sends byte by byte must not fill our memory with objects."""
    pieces.append(piece)
    if not len(pieces) % _PIECES_TO_JOIN:
        last = pieces[-_PIECES_TO_JOIN:]
        if sum(map(len, last)) < _SMALL_BYTES:
            pieces[-_PIECES_TO_JOIN:] = [b"".join(last)]


class BodyReader:
    """A body as a binary file object: read-only, not seekable.

    Every read blocks until it can be answered, or the body has ended (``b""``). One greenlet reads
    at a time; one that comes while another waits is refused, and the other loses nothing.

    ``read()`` without a size, and a line, give no more than ``max_gathered`` bytes: a peer that
    sends more must not fill our memory. Read with a size, or `stream`, however much there is.

    Raises (from any read):
        BodyTooLarge: the rest, or a line, is longer than ``max_gathered``. Nothing is lost: go on
            reading in pieces. A handler that lets it pass answers 413.
        IncompleteBody: the peer ended the connection inside the body.
        ReadTimeout: the peer made no progress for too long.
        RemoteProtocolError: the framing broke.
        ResourceBusy: another greenlet is reading. Takes of `stream` wait in line instead.
        ResourceClosed: the body was closed.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_is_cut",
        "_is_pulling",
        "_on_close",
        "_pull",
        "_whole",
        "closed",
        "has_begun",
        "length",
        "max_gathered",
    )

    def __init__(
        self,
        pull: Callable[[], bytes] = _nothing,
        *,
        length: int | None = None,
        buffered: bytes = b"",
        max_gathered: int | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._pull = pull
        self._on_close = on_close
        # What has arrived and was not read yet.
        self._buffer = buffered
        self._at = 0
        self.closed = False
        # Whether anybody has read of it.
        self.has_begun = False
        # What `read_all` has given, and whether somebody else has a part of the body.
        self._whole: bytes | None = None
        self._is_cut = False
        # Whether some greenlet waits for more.
        self._is_pulling = False
        self.max_gathered = max_gathered
        # How many bytes the whole body has, None where nobody has said.
        self.length = length

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self._buffer) - self._at} bytes buffered"
        return f"<BodyReader {state}, length {self.length}>"

    # Reading

    def read1(self, size: int = -1) -> bytes:
        """Return what there is, at most ``size`` bytes; blocks only when there is nothing."""
        piece = self._read1(size)
        if piece:
            self._is_cut = True
        return piece

    def _read1(self, size: int = -1) -> bytes:
        self._check_open()
        self.has_begun = True
        if self._at >= len(self._buffer):
            if size == 0:
                return b""
            piece = self._pull_more()
            if size < 0 or len(piece) <= size:
                return piece
            self._buffer, self._at = piece, 0
        end = len(self._buffer) if size < 0 else self._at + size
        piece = self._buffer[self._at : end]
        self._at += len(piece)
        if self._at >= len(self._buffer):
            self._buffer, self._at = b"", 0
        return piece

    def _pull_more(self) -> bytes:
        if self._is_pulling:
            raise ResourceBusy("another greenlet is reading this body")
        self._is_pulling = True
        try:
            return self._pull()
        finally:
            self._is_pulling = False

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end; all that is left without a size."""
        if size is None or size < 0:
            rest = self._gather(self.max_gathered)
            self._is_cut = self._is_cut or bool(rest)
            return rest
        pieces: list[bytes] = []
        try:
            while size > 0:
                piece = self._read1(size)
                if not piece:
                    break
                _keep(pieces, piece)
                size -= len(piece)
        except BaseException:
            self._put_back(pieces)
            raise
        self._is_cut = self._is_cut or bool(pieces)
        return b"".join(pieces)

    def read_all(self, max_bytes: int) -> bytes:
        """Return the whole body, each time the same, unless that is more than ``max_bytes``.

        Raises:
            BodyTooLarge: it is more. Read it in pieces (nothing of it is lost), or raise the limit.
            LocalProtocolError: a part of it has been read in another way.
        """
        self._check_open()
        if self._whole is None:
            if self._is_cut:
                raise LocalProtocolError(
                    "a part of the body has been read already: read the rest the same way"
                )
            self._whole = self._gather(max_bytes)
        return self._whole

    def _gather(self, max_bytes: int | None) -> bytes:
        if max_bytes is not None and not self._is_cut and (self.length or 0) > max_bytes:
            text = f"a body of {self.length} bytes; the limit is {max_bytes}"
            raise BodyTooLarge(text, body=self)
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := self._read1():
                _keep(pieces, piece)
                size += len(piece)
                if max_bytes is not None and size > max_bytes:
                    text = f"a body of more than {max_bytes} bytes, which is the limit"
                    raise BodyTooLarge(text, body=self)
        except BaseException:
            self._put_back(pieces)
            raise
        return b"".join(pieces)

    def _put_back(self, pieces: list[bytes]) -> None:
        """Keep what was read by somebody who left before he had it all (a Timeout of his)."""
        if not self.closed:
            self._buffer = b"".join([*pieces, self._buffer[self._at :]])
            self._at = 0

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``, as far as there is body left; return how many bytes that was."""
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the bytes up to and with the next line feed, or ``size`` of them."""
        limit = -1 if size is None else size
        largest = self.max_gathered
        pieces: list[bytes] = []
        got = 0
        try:
            while limit < 0 or got < limit:
                piece = self._take_line(limit - got if limit >= 0 else -1)
                got += len(piece)
                _keep(pieces, piece)
                if not piece or piece.endswith(b"\n"):
                    break
                if limit < 0 and largest is not None and got > largest:
                    text = f"a line of more than {largest} bytes, which is the limit"
                    raise BodyTooLarge(text, body=self)
        except BaseException:
            self._put_back(pieces)
            raise
        self._is_cut = self._is_cut or got > 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_line(self, limit: int) -> bytes:
        """Return as much of a line as there is."""
        if self._at >= len(self._buffer):
            self._buffer, self._at = self._read1(), 0
        self._check_open()
        start = self._at
        end = self._buffer.find(b"\n", start) + 1 or len(self._buffer)
        if limit >= 0:
            end = min(end, start + limit)
        self._at = end
        return self._buffer[start:end]

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Return the lines that are left; stop after ``hint`` bytes."""
        lines: list[bytes] = []
        size = 0
        was_cut = self._is_cut
        try:
            for line in self:
                lines.append(line)
                size += len(line)
                if 0 < hint <= size:
                    break
        except BaseException:
            self._put_back(lines)
            self._is_cut = was_cut
            raise
        return lines

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body line by line, as files do. `stream` gives the pieces as they come."""
        return iter(self.readline, b"")

    @property
    def is_being_read(self) -> bool:
        """Whether a greenlet waits for more of it."""
        return self._is_pulling

    @property
    def has_buffered(self) -> bool:
        """Whether a read can be answered without waiting."""
        return self._at < len(self._buffer)

    # Being a file

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Give up what was not read. Never blocks; reading afterwards is a ResourceClosed."""
        if not self.closed:
            self.closed = True
            self._buffer = b""
            self._whole = None
            self._pull = _nothing
            on_close, self._on_close = self._on_close, None
            if on_close is not None:
                on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self.closed:
            raise ResourceClosed("the body was closed")


class BodySource(ActiveSource[bytes]):
    """The same body as a Source: each message is a piece as it came from the network.

    It shares its position with the file object: what one has read, the other does not see.
    """

    _kind = "body"

    def __init__(self, reader: BodyReader) -> None:
        super().__init__()
        self._reader = reader

    def _receive(self) -> bytes | Nothing:
        self._raise_error()
        if self._ended:
            return END
        try:
            piece = self._reader.read1()
        except ResourceBusy:
            raise  # the body goes on, and so does this
        except Exception as error:
            if self.drained:
                return END  # it was closed while this waited
            self._end(error)
            raise
        if piece:
            return piece
        self._end()
        return END

    def _receive_ready(self) -> bytes | Nothing:
        if self._ended or self._reader.has_buffered:
            return self._receive()
        return EXPIRED

    def description(self) -> dict[str, object]:
        return super().description() | {"direction": "inbound", "readable": not self._ended}

    def close(self) -> None:
        """Give up what was not read."""
        self._reader.close()
        self._end()
