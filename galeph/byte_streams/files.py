"""Files: `FileRegion`, and how what is in one is read or mapped, piece by piece.

A file is opened when the first piece is asked for and closed behind the last. Reading one blocks
the OS thread, shortly, since the operating system offers no other way: so it is done in pieces, and
after some of them everybody else has a turn.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gevent import get_hub

from galeph.byte_streams.options import FILE_OUT_BYTES, MAP_BYTES, PIECE_BYTES, Options
from galeph.byte_streams.pieces import Pieces
from galeph.deferred.producer import give_way

__all__ = [
    "FilePieces",
    "FileRegion",
    "MappedPieces",
    "Pace",
    "map_region",
    "opened",
    "read_file",
    "read_region",
]

# How much is read or copied before others have a turn: 2 to 4 ms from the page cache.
_TURN_BYTES = 8 * 1024 * 1024
# As how much a piece counts at least: to handle one takes 5 to 15 µs, however small it is.
_LEAST_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class FileRegion:
    """A part of a file, to be read when it is wanted.

    Args:
        path: the file.
        offset: where the part begins.
        length: how many bytes it has; None goes to the end of the file.
        chunk_size: how many bytes a piece of it has at most, where the conversion does not say.

    Raises:
        ValueError: a number is out of range.
    """

    path: Path
    offset: int = 0
    length: int | None = None
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if self.offset < 0:
            raise ValueError(f"offset must not be negative, got {self.offset}")
        if self.length is not None and self.length < 0:
            raise ValueError(f"length must not be negative, got {self.length}")
        if self.chunk_size is not None and self.chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, not {self.chunk_size}")

    def size_or(self, options: Options, default: int) -> int:
        """Return how many bytes a piece has at most."""
        return options.chunk_size or self.chunk_size or default


def opened(region: FileRegion, mode: str = "rb") -> BinaryIO:
    """Open the file of a region, without a buffer, where the region begins.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file ends before the region does.
    """
    file = cast("BinaryIO", region.path.open(mode, buffering=0))
    try:
        if region.offset or region.length is not None:
            size = os.fstat(file.fileno()).st_size
            needed = region.offset + (region.length or 0)
            if needed > size:
                raise ValueError(f"{region.path} has {size} bytes; the region ends at {needed}")
            file.seek(region.offset)
    except BaseException:
        file.close()
        raise
    return file


class Pace:
    """Gives others a turn every now and then."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _TURN_BYTES

    def before(self, size: int) -> None:
        """Block for one look at the I/O, if much has been done since the last."""
        self._left -= max(size, _LEAST_BYTES)
        if self._left < 0:
            self._left = _TURN_BYTES
            give_way(get_hub())


class FilePieces(Pieces[bytes]):
    """A region of a file, read at most ``size`` bytes at a time."""

    __slots__ = ("_file", "_left", "_pace", "_region", "_size")

    def __init__(self, region: FileRegion, size: int) -> None:
        super().__init__()
        self._region = region
        self._size = size
        self._file: BinaryIO | None = None
        # None: whatever there is to the end, which the size does not tell of a pipe or in /proc.
        self._left = region.length
        self._pace = Pace()

    def _next(self) -> bytes:
        if self._file is None:
            self._file = opened(self._region)
            self.own(self._file)
        left = self._left
        size = self._size if left is None else min(self._size, left)
        self._pace.before(size)
        data = self._file.read(size)
        if left is not None:
            if left and not data:
                raise EOFError(f"{self._region.path} was shortened: {left} bytes are missing")
            self._left = left - len(data)
        if not data:
            raise StopIteration
        return data


class MappedPieces(Pieces[memoryview]):
    """A region of a file, mapped into memory at most ``size`` bytes at a time.

    A view stays valid after the file is closed. Whoever shortens the file under one has the process
    killed at the next look at what is gone: map only what nobody shortens. What has no size, as a
    pipe and what is in /proc, is read instead.
    """

    __slots__ = ("_access", "_at", "_end_at", "_file", "_region", "_size")

    def __init__(self, region: FileRegion, size: int, *, writable: bool) -> None:
        super().__init__()
        self._region = region
        self._size = size
        self._access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._file: BinaryIO | None = None
        self._at = region.offset
        # None when the size does not tell.
        self._end_at: int | None = None

    def _next(self) -> memoryview:
        file = self._file or self._open()
        if self._end_at is None:
            data = file.read(min(self._size, FILE_OUT_BYTES))
            if not data:
                raise StopIteration
            return memoryview(data)
        size = min(self._size, self._end_at - self._at)
        if size <= 0:
            raise StopIteration
        # A mapping begins at the border of a page.
        ahead = self._at % mmap.ALLOCATIONGRANULARITY
        start = self._at - ahead
        mapping = mmap.mmap(file.fileno(), ahead + size, access=self._access, offset=start)
        self._at += size
        if self._at >= self._end_at:
            # Behind the last piece already: many stop there.
            file.close()
        return memoryview(mapping)[ahead:]

    def _open(self) -> BinaryIO:
        region = self._region
        file = opened(region, "r+b" if self._access == mmap.ACCESS_WRITE else "rb")
        self.own(file)
        size = os.fstat(file.fileno()).st_size
        if region.length is not None:
            self._end_at = region.offset + region.length
        elif size or self._access == mmap.ACCESS_WRITE:
            self._end_at = size
        self._file = file
        return file


def read_file(path: Path, options: Options) -> bytes:
    """Return all bytes of a file."""
    pieces = FilePieces(FileRegion(path), options.size_or(FILE_OUT_BYTES))
    try:
        return b"".join(pieces)
    finally:
        pieces.let_go()


def map_region(region: FileRegion, options: Options) -> MappedPieces:
    """Return a region of a file in mapped pieces."""
    return MappedPieces(region, region.size_or(options, MAP_BYTES), writable=options.writable)


def read_region(region: FileRegion, options: Options) -> FilePieces:
    """Return a region of a file in pieces that are read."""
    return FilePieces(region, region.size_or(options, PIECE_BYTES))
