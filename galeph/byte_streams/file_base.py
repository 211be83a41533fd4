"""`FileBase`: all the methods a file object must have, so that the others are about their matter.

It is neither readable nor writable, cannot seek, has no descriptor, and is its own context.
Whatever is asked of it that it cannot do is an `io.UnsupportedOperation`, as with every file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any, AnyStr, NoReturn, Self

from galeph.errors import ResourceClosed

__all__ = ["FileBase"]


class FileBase(IO[AnyStr]):
    """A file object that can do nothing but be closed."""

    _closed = False

    # What it can do

    def readable(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def isatty(self) -> bool:
        """Return False."""
        return False

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""
        self._check_open()

    # What it cannot do

    def read(self, *_: Any) -> AnyStr:
        """Refuse."""
        self._refuse("read")

    def readline(self, *_: Any) -> AnyStr:
        """Refuse."""
        self._refuse("readline")

    def readlines(self, *_: Any) -> list[AnyStr]:
        """Refuse."""
        self._refuse("readlines")

    def __iter__(self) -> Iterator[AnyStr]:
        return self

    def __next__(self) -> AnyStr:
        self._refuse("read")

    def write(self, *_: Any) -> int:
        """Refuse."""
        self._refuse("write")

    def writelines(self, *_: Any) -> None:
        """Refuse."""
        self._refuse("writelines")

    def seek(self, *_: Any) -> int:
        """Refuse."""
        self._refuse("seek")

    def tell(self) -> int:
        """Refuse."""
        self._refuse("tell")

    def truncate(self, *_: Any) -> int:
        """Refuse."""
        self._refuse("truncate")

    def fileno(self) -> int:
        """Refuse."""
        self._refuse("fileno")

    def _refuse(self, operation: str) -> NoReturn:
        raise io.UnsupportedOperation(operation)

    # Closing

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ResourceClosed("the file object was closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
