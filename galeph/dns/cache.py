"""`Cache`: answers for as long as they hold, and no more of them than fit. Pure.

Time is an argument. A hit is one look into a dict and one comparison: what was hit is only marked.
Room is made by the second chance (the clock algorithm): from the oldest on, what was hit since it
came up last goes to the back of the line, what was not goes out. So a flood of names that nobody
asks for again pushes out itself, not the names in use.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Cache", "Entry"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Entry(Generic[V]):
    """A value, until when it holds, and whether it was asked for lately."""

    __slots__ = ("expires_at", "value", "was_used")

    def __init__(self, value: V, expires_at: float) -> None:
        self.value = value
        self.expires_at = expires_at
        self.was_used = False


class Cache(Generic[K, V]):
    """Values with a time to live.

    Args:
        max_entries: how many are kept at most; 0 keeps none.
    """

    def __init__(self, max_entries: int) -> None:
        self._max = max_entries
        # In the order of their turn to go out.
        self.entries: dict[K, Entry[V]] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: K, now: float) -> V | None:
        """Return what is known and still holds, or None."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if now >= entry.expires_at:
            del self.entries[key]
            return None
        entry.was_used = True
        return entry.value

    def put(self, key: K, value: V, ttl: float, now: float) -> None:
        """Keep a value for ``ttl`` seconds from now on."""
        if ttl <= 0 or not self._max:
            return
        self.entries.pop(key, None)
        while len(self.entries) >= self._max:
            self._make_room(now)
        self.entries[key] = Entry(value, now + ttl)

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()

    def _make_room(self, now: float) -> None:
        """Take the oldest out, or send it to the back if it was used."""
        key = next(iter(self.entries))
        entry = self.entries.pop(key)
        if entry.was_used and now < entry.expires_at:
            entry.was_used = False
            self.entries[key] = entry
