"""What `Source` and `Sink` have in common: an owner, an end, and whatever is connected.

`galeph.stream.interfaces` is where it is used from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from functools import cached_property
from typing import Any, Final, Self

from gevent import get_hub

__all__ = ["END", "EXPIRED", "Endpoint", "Nothing"]


class Nothing(Enum):
    """What `Source._take` and `Sink._put` return in place of an answer."""

    END = "end"
    EXPIRED = "expired"


END: Final = Nothing.END
EXPIRED: Final = Nothing.EXPIRED


class Endpoint(ABC):
    """What a source and a sink share: a hub they belong to, an end, and links."""

    _kind = "stream"
    # Greenlets spawned by the base for an active stream's `take_async` and `put_async`, and those
    # that wait: each keeps a hosted connection alive as a link does.
    _pending = 0
    _host: Any = None

    def __init__(self) -> None:
        self._hub: Any = get_hub()

    @abstractmethod
    def close(self) -> None:
        """End the stream in order. Never blocks, never switches; may be called twice."""

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Whatever is to be noted about it; galeph itself notes nothing here."""
        return {}

    @property
    def link_count(self) -> int:
        """How many links lead into and out of this stream, pending asynchronous calls included."""
        return self._pending

    def description(self) -> dict[str, object]:
        """Say what this is and what state it is in, as plain data."""
        return {"type": self._kind}

    def _count_pending(self, change: int) -> None:
        self._pending += change
        self._links_changed()

    def _links_changed(self) -> None:
        """Tell the greenlet that hosts this stream, if one does, to look again."""
        host = self._host
        if host is not None:
            host.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        facts = self.description()
        kind = facts.pop("type", self._kind)
        inside = " ".join(f"{name}={value!r}" for name, value in facts.items())
        return f"<{kind} {inside}>" if inside else f"<{kind}>"
