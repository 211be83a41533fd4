"""What a class of one's own needs, to give or take bytes anywhere in galeph.

`ByteSource`, `ByteSink` and `Closeable` are recognized by their methods; nothing has to be
subclassed. `BinaryWriter` is the name that writable binary files go by as the target of a
conversion: a file object's methods do not tell whether it was opened for writing.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, runtime_checkable

__all__ = ["BinaryWriter", "ByteSink", "ByteSource", "Closeable", "close_of", "dev_null"]


@runtime_checkable
class ByteSource(Protocol):
    """Gives bytes, as many as it is asked for at most."""

    def take_bytes(self, size: int, /) -> bytes | None:
        """Return 1 to ``size`` bytes, or None at the end. May block."""


@runtime_checkable
class ByteSink(Protocol):
    """Takes bytes.

    With a method ``fail(error)`` it is told, instead of being closed, that what it was given is cut
    short.
    """

    def send_bytes(self, data: bytes, /) -> object:
        """Take all of ``data``, or raise. May block."""


@runtime_checkable
class Closeable(Protocol):
    """Can be given up."""

    def close(self) -> object:
        """Give up what is held. May be called twice."""


class BinaryWriter(Protocol):
    """A writable binary file object: ``convert(path, BinaryWriter)`` opens one."""

    def write(self, data: Any, /) -> int:
        """Write ``data`` and return how many bytes that was."""

    def flush(self) -> None:
        """Send on what is kept back."""

    def close(self) -> None:
        """Write what is kept back, and end."""


class _DevNull:
    """Takes everything and keeps nothing."""

    def send_bytes(self, data: bytes, /) -> None:
        pass

    def __repr__(self) -> str:
        return "dev_null"


dev_null: Final[ByteSink] = _DevNull()


def close_of(x: object) -> None:
    """Close ``x`` if it can be closed."""
    if isinstance(x, Closeable):
        x.close()
