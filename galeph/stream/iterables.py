"""Sources of what is there to be gone through: collections, iterators, generators.

A list, a tuple or a range is read by its index and never blocks, so it is a passive source like a
queue: its pump needs no greenlet, and a limit of 0 finds the next item. Everything else runs code
of somebody's in the greenlet that takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gevent

from galeph.deferred import Deferred, success
from galeph.deferred.producer import stopped
from galeph.stream.active import ActiveSource
from galeph.stream.interfaces import END, Source
from galeph.stream.ownership import checks_owner

__all__ = ["IterableSource", "SequenceSource"]


@checks_owner("_take take_async")
class SequenceSource(Source[Any]):
    """The items of a list, tuple or range, by their index. What is appended meanwhile counts."""

    _kind = "iterable"
    _source_is_passive = True
    _returned: list[Any] | None = None

    def __init__(self, items: Sequence[Any]) -> None:
        super().__init__()
        self._items = items
        self._position = 0

    def _take(self, timeout: float | None) -> Any:  # noqa: ARG002  (there is nothing to wait for)
        if self._returned:
            return self._returned.pop()
        position = self._position
        if not self._ended and position < len(self._items):
            self._position = position + 1
            return self._items[position]
        self._end()
        return END

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return success(self.take(default))

    def _give_back(self, message: Any) -> None:
        if self._returned is None:
            self._returned = []
        self._returned.append(message)
        self._arrived()

    def close(self) -> None:
        """Go to the end. The collection stays as it is."""
        self._end()

    @property
    def drained(self) -> bool:
        return super().drained and not self._returned

    def description(self) -> dict[str, object]:
        facts = super().description() | {"of": type(self._items).__name__}
        return facts | {"pending": 0 if self._ended else len(self._items) - self._position}


class IterableSource(ActiveSource[Any]):
    """The items of an iterable, fetched in the greenlet that takes."""

    _kind = "iterable"

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__()
        self._of = type(items).__name__
        self._items: Iterator[Any] | None = iter(items)

    def _receive(self) -> Any:
        items = self._items
        if items is None:
            self._raise_error()
            return END
        try:
            return next(items)
        except StopIteration:
            self._finish(None)
            return END
        except Exception as error:
            self._finish(error)
            raise
        except BaseException as error:
            # A kill in the middle of a generator ends it; what it had still to give is missing.
            if getattr(items, "gi_frame", items) is None:
                self._finish(stopped(error))
            raise

    def _finish(self, error: BaseException | None) -> None:
        self._items = None
        self._end(error)

    def close(self) -> None:
        """Take no more items. An iterator that can be closed is closed, in a greenlet."""
        items, self._items = self._items, None
        if items is None:
            return
        self._end()
        if hasattr(items, "close"):
            # It runs the generator's `finally`, which may block.
            gevent.spawn(self._close, items)

    def _close(self, items: Any) -> None:
        # Not while somebody is inside it.
        turn = self._turn()
        turn.acquire(self._hub)
        try:
            items.close()
        finally:
            turn.release()

    def description(self) -> dict[str, object]:
        return super().description() | {"of": self._of}
