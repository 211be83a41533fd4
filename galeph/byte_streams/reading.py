"""File objects over pieces: `PiecesReader` for bytes, `TextReader` for text.

They pull: a piece is fetched in the greenlet that reads, when what was fetched before is used up.
Nothing is read ahead, so not reading is the backpressure. They cannot seek; what is in memory
anyway (bytes, text) becomes an `io.BytesIO` or `io.StringIO` instead, which can.

What has been fetched is only removed when it is returned, so a reader interrupted by a kill or a
Timeout, or by the source's error, loses nothing: whoever reads on gets it.
"""

from __future__ import annotations

import io
from collections import deque
from typing import Any, AnyStr, BinaryIO, NoReturn, TextIO

from gevent import get_hub

from galeph.byte_streams.file_base import FileBase
from galeph.byte_streams.pieces import NOT_READY, Pieces
from galeph.stream.waiters import Turn

__all__ = ["PiecesReader", "TextReader"]


class _InTurn(Turn):
    """A turn that is had for a block."""

    __slots__ = ()

    def __enter__(self) -> None:
        self.acquire(get_hub())

    def __exit__(self, *_: object) -> None:
        self.release()


class _Reader(FileBase[AnyStr]):
    """What both have in common: what was fetched, and how it is handed out.

    Two greenlets may read at once; they are served one after the other.
    """

    _nothing: AnyStr
    _line_feed: AnyStr

    def __init__(self, pieces: Pieces[AnyStr]) -> None:
        self._pieces: Pieces[AnyStr] = pieces
        self._turn = _InTurn()
        # What was fetched, where in the first of them the reading stands, and how much is left.
        self._parts: deque[AnyStr] = deque()
        self._at = 0
        self._size = 0

    # Reading

    def read(self, size: int | None = -1, /) -> AnyStr:
        """Return ``size`` of it, less only at the end; all that is left without a size.

        Blocks until that is there. What the source fails with is raised once less than ``size`` is
        left; read in smaller sizes to have the rest.
        """
        limit = -1 if size is None else size
        with self._turn:
            while (limit < 0 or self._size < limit) and self._fetch():
                pass
            return self._pop(self._size if limit < 0 else limit)

    def read1(self, size: int | None = -1, /) -> AnyStr:
        """Return what there is, at most ``size`` of it; blocks only when there is nothing."""
        limit = -1 if size is None else size
        with self._turn:
            if not self._size and limit:
                self._fetch()
            first = len(self._parts[0]) - self._at if self._parts else 0
            return self._pop(self._least(first, limit))

    def readline(self, size: int | None = -1, /) -> AnyStr:
        """Return what comes up to and with the next line feed, or ``size`` of it."""
        limit = -1 if size is None else size
        with self._turn:
            return self._pop(self._measure_line(limit))

    def _measure_line(self, limit: int) -> int:
        size = -self._at
        at = self._at
        for part in tuple(self._parts):
            if (found := part.find(self._line_feed, at)) >= 0:
                return self._least(size + found + 1, limit)
            size += len(part)
            at = 0
        while (limit < 0 or size < limit) and self._fetch():
            part = self._parts[-1]
            if (found := part.find(self._line_feed)) >= 0:
                return self._least(size + found + 1, limit)
            size += len(part)
        return self._least(self._size, limit)

    @staticmethod
    def _least(size: int, limit: int) -> int:
        return size if limit < 0 else min(size, limit)

    def readlines(self, hint: int = -1, /) -> list[AnyStr]:
        """Return the lines that are left; stop after ``hint``."""
        lines = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if 0 < hint <= size:
                break
        return lines

    def __next__(self) -> AnyStr:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def skip(self, size: int, /) -> int:
        """Read over ``size`` of it; return how much that was, less only at the end. Blocks."""
        skipped = 0
        with self._turn:
            while skipped < size and (self._size or self._fetch()):
                skipped += len(self._pop(min(size - skipped, len(self._parts[0]) - self._at)))
        return skipped

    def peek(self, size: int = 1, /) -> AnyStr:
        """Return up to ``size`` of what comes next, and leave it there.

        Blocks only when nothing is there; nothing is returned only at the end.
        """
        with self._turn:
            if not self._size:
                self._fetch()
            first = self._parts[0] if self._parts else self._nothing
            if len(first) - self._at >= size:
                return first[self._at : self._at + size]
            return self._nothing.join(self._parts)[self._at : self._at + size]

    def available(self) -> int:
        """Return how much can be read for sure without blocking."""
        self._check_open()
        if not self._size and not self._turn.is_taken:
            piece = self._pieces.next_ready()
            if piece is not NOT_READY:
                self._add(piece)
        return self._size

    # What was fetched

    def _fetch(self) -> bool:
        """Fetch one more piece; False at the end."""
        self._check_open()
        for piece in self._pieces:
            if piece:
                self._add(piece)
                return True
        return False

    def _add(self, piece: AnyStr) -> None:
        if piece and not self._closed:
            self._parts.append(piece)
            self._size += len(piece)

    def _pop(self, size: int) -> AnyStr:
        """Take out as much of it. Never switches."""
        self._check_open()
        taken: list[AnyStr] = []
        left = size = min(size, self._size)
        while left > 0:
            part, at = self._parts[0], self._at
            end = at + left
            if end >= len(part):
                taken.append(part[at:] if at else part)
                self._parts.popleft()
                left -= len(part) - at
                self._at = 0
            else:
                taken.append(part[at:end])
                self._at = end
                left = 0
        self._size -= size
        return taken[0] if len(taken) == 1 else self._nothing.join(taken)

    # Being a file

    @property
    def name(self) -> str:
        """What it reads from, for people."""
        return repr(self._pieces)

    def readable(self) -> bool:
        """Return True."""
        return True

    # Closing

    def own(self, resource: Any) -> None:
        """Have ``resource`` closed at the end, too: it was opened to be read here."""
        self._pieces.own(resource)

    def close(self) -> None:
        """Give up what is not read, and close what it comes from. Reading is an error then."""
        if not self._closed:
            self._forget()
            self._pieces.close()

    def let_go(self) -> None:
        """Give up what is not read, and leave the caller's own thing as it is."""
        if not self._closed:
            self._forget()
            self._pieces.let_go()

    def _forget(self) -> None:
        self._closed = True
        self._parts.clear()
        self._size = 0

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._size} fetched"
        return f"<{type(self).__name__} {state}>"


class PiecesReader(_Reader[bytes], BinaryIO):
    """Pieces of bytes as a binary file object; a `ByteSource`, too."""

    mode = "rb"
    _nothing = b""
    _line_feed = b"\n"

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer``, as far as something is left; return how many bytes that was."""
        return self._fill(buffer, self.read)

    def readinto1(self, buffer: Any, /) -> int:
        """Put into ``buffer`` what there is; blocks only when there is nothing."""
        return self._fill(buffer, self.read1)

    @staticmethod
    def _fill(buffer: Any, read: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = read(len(view))
        view[: len(data)] = data
        return len(data)

    def take_bytes(self, size: int, /) -> bytes | None:
        """Return what there is, at most ``size`` bytes; None at the end."""
        return self.read1(size) or None


class TextReader(_Reader[str], TextIO):
    """Pieces of text as a text file object.

    Lines end at line feeds and nowhere else, and keep what is in front of these.

    Args:
        pieces: the text.
        encoding: what it was decoded with, for whoever asks.
        errors: likewise.
    """

    mode = "r"
    _nothing = ""
    _line_feed = "\n"

    def __init__(
        self, pieces: Pieces[str], *, encoding: str = "utf-8", errors: str = "strict"
    ) -> None:
        super().__init__(pieces)
        self._encoding = encoding
        self._errors = errors

    @property
    def encoding(self) -> str:
        """The encoding of what it reads."""
        return self._encoding

    @property
    def errors(self) -> str:
        """What is done about what cannot be decoded."""
        return self._errors

    @property
    def buffer(self) -> NoReturn:
        """Refuse: bytes and text of one source cannot be read by turns."""
        raise io.UnsupportedOperation("buffer")

    @property
    def line_buffering(self) -> bool:
        """False."""
        return False

    @property
    def newlines(self) -> None:
        """None: line ends are not translated."""
        return None
