"""The writing side: sinks as binary file objects, and file objects and streams as sinks."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, BinaryIO

import gevent

from galeph.byte_streams.file_base import FileBase
from galeph.byte_streams.options import Options
from galeph.byte_streams.protocols import BinaryWriter, ByteSink, close_of
from galeph.errors import ResourceClosed
from galeph.stream import Sink
from galeph.stream.active import ActiveSink

__all__ = ["ByteSinkStream", "FileSink", "SinkWriter", "StreamSink", "open_sink", "open_to_write"]


def open_to_write(path: Path, options: Options) -> BinaryIO:
    """Open a file for writing: empty, or to append to it. It is made if it is not there."""
    return path.open("ab" if options.append else "wb")


def open_sink(path: Path, options: Options) -> FileSink:
    """Open a file as a sink that keeps nothing back."""
    return FileSink(path.open("ab" if options.append else "wb", buffering=0))


class FileSink:
    """A writable binary file object as a `ByteSink`.

    Writing blocks the OS thread shortly, if the file object is not of gevent's making.
    """

    __slots__ = ("file",)

    def __init__(self, file: BinaryWriter | IO[bytes]) -> None:
        self.file: Any = file

    def send_bytes(self, data: bytes, /) -> None:
        """Write all of ``data``."""
        written = self.file.write(data)
        # Only what writes through may take less; other file objects may say nothing.
        if written is not None and written < len(data):
            rest = memoryview(data)[written:]
            while rest:
                rest = rest[self.file.write(rest) :]

    def close(self) -> None:
        """Close the file object."""
        self.file.close()


class StreamSink:
    """A stream that bytes are put into, as a `ByteSink`. Each piece is a message."""

    __slots__ = ("sink",)

    def __init__(self, sink: Sink[bytes]) -> None:
        self.sink = sink

    def send_bytes(self, data: bytes, /) -> None:
        """Block until the stream has accepted ``data``.

        Raises:
            ResourceClosed: it is closed, and has not.
        """
        if not self.sink.put(data):
            raise ResourceClosed("the stream is closed")

    def close(self) -> None:
        """Close the stream."""
        self.sink.close()

    def fail(self, error: BaseException) -> None:
        """End the stream so that its takers see that something is missing."""
        self.sink.fail(error)


class ByteSinkStream(ActiveSink[bytes]):
    """A `ByteSink` as a stream to put bytes into."""

    _kind = "byte sink"

    def __init__(self, sink: ByteSink) -> None:
        super().__init__()
        self._sink = sink

    def _transmit(self, message: bytes) -> bool:
        self._sink.send_bytes(message)
        return True

    def _transmit_ready(self, message: bytes) -> Any:
        if isinstance(self._sink, FileSink) and not self._closed:
            return self._transmit(message)
        return super()._transmit_ready(message)

    def close(self) -> None:
        """Take no more bytes, and close the sink if it can be closed."""
        self._shut_with(close_of)

    def fail(self, error: BaseException) -> None:
        """Take no more bytes, and have the sink fail if it can."""
        fail = getattr(self._sink, "fail", None)
        self._shut_with(close_of if fail is None else lambda _: fail(error))

    def _shut_with(self, end: Any) -> None:
        if self._closed:
            return
        self._shut()
        if isinstance(self._sink, FileSink) and isinstance(self._sink.file, io.FileIO):
            end(self._sink)
        else:
            # A user's code, which may block.
            gevent.spawn(self._end_in_turn, end)

    def _end_in_turn(self, end: Any) -> None:
        turn = self._put_turn
        if turn is None:
            end(self._sink)
            return
        # Not while somebody is inside it.
        turn.acquire(self._hub)
        try:
            end(self._sink)
        finally:
            turn.release()


class SinkWriter(FileBase[bytes], BinaryIO):
    """A `ByteSink` as a binary file object to write to. It keeps nothing back."""

    mode = "wb"

    def __init__(self, sink: ByteSink) -> None:
        self._sink = sink

    @property
    def name(self) -> str:
        """What it writes to, for people."""
        return repr(self._sink)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Have the sink take all of ``data``, which may block; return how many bytes that was."""
        self._check_open()
        plain = data if type(data) is bytes else bytes(memoryview(data))
        if plain:
            self._sink.send_bytes(plain)
        return len(plain)

    def writelines(self, lines: Iterable[Any], /) -> None:
        """Write one after the other."""
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Close the sink, if it can be closed."""
        if not self._closed:
            self._closed = True
            close_of(self._sink)
