"""File objects as sources and sinks: whatever has ``read``, or ``write``.

A binary file gives pieces of at most `_PIECE` bytes, a text file its lines (one longer than that in
parts). It is read and written in the greenlet that takes or puts.

A file on disk keeps nobody waiting. A pipe, a terminal or a socket would block every greenlet, so
these are refused unless gevent is in them: ``gevent.fileobject.FileObject`` around a descriptor, or
``makefile()`` of gevent's socket. Of such a one take the binary form: a greenlet that is killed in
the middle of a line of text loses what it has of the line.

The stream owns the file: closing it closes the file, and so does the end of the file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Any

import gevent

from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END
from galeph.stream.waiters import Turn

__all__ = ["FileSink", "FileSource", "is_readable", "is_writable"]

_PIECE = 64 * 1024


def is_readable(x: object) -> bool:
    """Whether ``x`` is a file that `FileSource` may read."""
    return callable(getattr(x, "read", None)) and not _blocks_the_hub(x)


def is_writable(x: object) -> bool:
    """Whether ``x`` is a file that `FileSink` may write to."""
    return callable(getattr(x, "write", None)) and not _blocks_the_hub(x)


def _blocks_the_hub(file: Any) -> bool:
    try:
        descriptor = file.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, TypeError, ValueError):
        # No descriptor, no kernel to wait for: io.BytesIO, a body of galeph's.
        return False
    waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
    return waits and not _has_gevent_in_it(file)


def _has_gevent_in_it(file: Any) -> bool:
    layer = file
    while layer is not None:
        if type(layer).__module__.partition(".")[0] == "gevent":
            return True
        inner = (getattr(layer, name, None) for name in ("buffer", "raw", "_sock"))
        layer = next((one for one in inner if one is not None), None)
    return False


class FileSource(ActiveSource[Any]):
    """What is left in a file, from where it stands."""

    _kind = "file"

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self._read = _reading(file)

    def _receive(self) -> Any:
        if not self._ended:
            try:
                piece = self._read(_PIECE)
                if piece is None:
                    raise BlockingIOError("a non-blocking file has nothing to read now")
                if not piece:
                    _close(self._file)
            except Exception as error:
                # Closed by its owner while we were inside, it has ended as it should.
                if not self._ended:
                    self._end(error)
                    gevent.spawn(self._close)
                    raise
            else:
                if piece:
                    return piece
                self._end()
        self._raise_error()
        return END

    def close(self) -> None:
        """Read no more, and close the file, in a greenlet."""
        if not self._ended:
            self._end()
            gevent.spawn(self._close)

    def _close(self) -> None:
        _close_in_turn(self._file, self._turn(), self._hub)

    def description(self) -> dict[str, object]:
        return super().description() | _facts(self._file)


class FileSink(ActiveSink[Any]):
    """A file to write to. A put returns when the operating system has the message.

    One that is interrupted inside a write, or meets an ``OSError`` there, closes the stream: how
    much of the message is in the file nobody can say.
    """

    _kind = "file"

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def _transmit(self, message: Any) -> bool:
        if getattr(self._file, "closed", False):
            self._shut()
        if self._closed:
            return False
        try:
            _write(self._file, message)
        except Exception as error:
            if isinstance(error, OSError):
                self.close()
            raise
        except BaseException:
            self.close()
            raise
        return True

    def close(self) -> None:
        """Write no more, and close the file, in a greenlet. What was put is in it already."""
        if not self._closed:
            self._shut()
            gevent.spawn(self._close)

    def _close(self) -> None:
        if self._put_turn is None:
            self._put_turn = Turn()
        _close_in_turn(self._file, self._put_turn, self._hub)

    def fail(self, error: BaseException) -> None:  # noqa: ARG002  (a file cannot tell it)
        """Close the file, which cannot say why."""
        self.close()

    def description(self) -> dict[str, object]:
        return super().description() | _facts(self._file)


def _reading(file: Any) -> Callable[[int], Any]:
    if isinstance(file, io.TextIOBase) or hasattr(file, "encoding"):
        # read() would wait until a piece is full, and a line is what people send.
        read = file.readline
    else:
        read = getattr(file, "read1", None) or file.read
    return read  # type: ignore[no-any-return]  # a file is Any


def _write(file: Any, message: Any) -> None:
    """Write a message whole, and out of the file's own buffer."""
    written = _write_some(file, message)
    if written is not None and not isinstance(message, str):
        rest = memoryview(message).cast("B")[written:]
        while len(rest):
            rest = rest[_write_some(file, rest) :]
    flush = getattr(file, "flush", None)
    if flush is not None:
        flush()


def _write_some(file: Any, message: Any) -> int | None:
    """Write as much as the file takes, which an unbuffered one says; return how much, if told."""
    written: int | None = file.write(message)
    if written is None and isinstance(file, io.RawIOBase):
        raise BlockingIOError("a non-blocking file takes nothing now")
    return written


def _close_in_turn(file: Any, turn: Turn, hub: Any) -> None:
    """Close a file when nobody is inside it."""
    turn.acquire(hub)
    try:
        _close(file)
    finally:
        turn.release()


def _close(file: Any) -> None:
    close = getattr(file, "close", None)
    if close is not None:
        close()


def _facts(file: Any) -> dict[str, object]:
    name = getattr(file, "name", None)
    # The number of a descriptor would say nothing a minute later.
    return {"of": name if isinstance(name, str) else type(file).__name__}
