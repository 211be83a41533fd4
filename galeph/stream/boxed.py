"""`Boxed`: a source whose messages lie in a stream of its own, its *box*.

What operators and joints return are sources, and nothing can be put into them: so they have a
stream and are none. A `Pool` is the box of one that takes in messages before anybody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from galeph.deferred import Deferred
from galeph.stream.interfaces import Source
from galeph.stream.queue_stream import Stream

if TYPE_CHECKING:
    from galeph.stream.operators import Reservoir

__all__ = ["Boxed", "Pool"]


class Boxed(Source[Any]):
    """A source that gives what is put into its box.

    Args:
        box: where its messages wait to be taken.
        name: which operator has made it; the ``type`` of its description.
    """

    def __init__(self, box: Stream[Any], name: str) -> None:
        super().__init__()
        self._kind = name
        self.box = box

    def _origin(self) -> Source[Any]:
        return self.box

    @property
    def takes_back(self) -> bool:
        """Whether what it has made, and somebody further on gives back, can be taken here."""
        return not self.box.closed

    # Taking

    def _take(self, timeout: float | None) -> Any:
        return self.box._take(timeout)

    def _give_back(self, message: Any) -> None:
        self.box._give_back(message)

    def _give_back_all(self, messages: list[Any]) -> None:
        self.box._give_back_all(messages)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        return self.box.take_async(default)

    # Ending

    def close(self) -> None:
        """Give no more messages than are there already."""
        self.box.close()

    def dissolve(self) -> None:
        """Close because the only operator on it was closed, which nobody else has drawn on."""
        self._abandon()

    @property
    def drained(self) -> bool:
        return self.box.drained

    @property
    def error(self) -> BaseException | None:
        return self.box.error

    def on_drained(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` when everything has been taken; see `Source.on_drained`."""
        self.box.on_drained(fn)


class Pool(Stream[Any]):
    """The box of a reservoir: what is connected to that is connected to this."""

    # What fills it: held here, because whoever takes from this needs it.
    _reservoir: Reservoir | None = None

    def _abandon(self) -> None:
        if self._reservoir is not None:
            self._reservoir.close()
        super()._abandon()
