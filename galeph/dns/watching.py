"""`WatchedFile`: what a file says, read again when it has changed.

Files like ``/etc/hosts`` are small and local: looking and reading block for microseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["WatchedFile"]

T = TypeVar("T")

# What is longer is no configuration, and must not fill the memory.
_MAX_BYTES = 16 * 1024 * 1024


class WatchedFile(Generic[T]):
    """A file and what it means.

    Args:
        path: of the file. One that is not there, or may not be read, counts as empty.
        parse: makes of its text what it means; must not raise.
    """

    def __init__(self, path: str | os.PathLike[str], parse: Callable[[str], T]) -> None:
        self._path = Path(path)
        self._parse = parse
        self._seen: object = self._look()
        self.value = parse(self._read())

    def has_changed(self) -> bool:
        """Look at the file, read it again if it is another; return whether it was."""
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        self.value = self._parse(self._read())
        return True

    def _look(self) -> object:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                return file.read(_MAX_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
