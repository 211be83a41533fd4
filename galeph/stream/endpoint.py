"""What `Source` and `Sink` have in common: an owner, an end, and whatever is connected.

`galeph.stream.interfaces` is where it is used from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Self

from gevent import get_hub, getcurrent

from galeph.deferred.producer import give_way

if TYPE_CHECKING:
    from galeph.stream.topology import Topology

__all__ = ["END", "EXPIRED", "Endpoint", "Nothing"]


class Nothing(Enum):
    """What `Source._take` and `Sink._put` return in place of an answer."""

    END = "end"
    EXPIRED = "expired"


# After so many calls in vain others get a turn: 0.2 µs a call, and at most so many rounds of the
# caller's loop in one go.
_CALLS_IN_VAIN = 64

END: Final = Nothing.END
EXPIRED: Final = Nothing.EXPIRED


class Endpoint(ABC):
    """What a source and a sink share: a hub they belong to, an end, and links."""

    _kind = "stream"
    # The greenlets of an active stream's `take_async` and `put_async`, the asynchronous takes of
    # operators below, and greenlets that wait: each keeps a hosted connection alive as a link does.
    _pending = 0
    _host: Any = None
    _calls_in_vain = 0

    def __init__(self) -> None:
        self._hub: Any = get_hub()

    @abstractmethod
    def close(self) -> None:
        """End the stream in order. Never blocks, never switches; may be called twice."""

    def _found_end(self) -> bool:
        """Let others run now and then, and return False: a call that might block found the end.

        Such a call returns at once. A loop that overlooks what it returns (``while True: put``
        after the client has left) would otherwise keep everybody else from running, for good.
        """
        self._calls_in_vain += 1
        if self._calls_in_vain % _CALLS_IN_VAIN == 0:
            hub = get_hub()
            if getcurrent() is not hub:
                give_way(hub)
        return False

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Whatever is to be noted about it; galeph itself notes nothing here."""
        return {}

    @property
    def link_count(self) -> int:
        """How many links lead into and out of this stream, pending asynchronous calls included."""
        return self._pending

    def _stands_for(self) -> Sequence[Endpoint]:
        """List the streams that this stands for, in the order they are closed in."""
        return ()

    def _leaves(self) -> Iterator[Endpoint]:
        """Go through the streams with a state of their own that this stands for, each once."""
        seen: set[int] = set()
        left: list[Endpoint] = [self]
        while left:
            one = left.pop()
            if id(one) not in seen:
                seen.add(id(one))
                parts = one._stands_for()
                left += reversed(parts)
                if not parts:
                    yield one

    # What it is, and where in the graph

    @property
    def is_synchronous(self) -> bool:
        """Whether backpressure means that the caller's own greenlet blocks in some I/O or function.

        True of connections, generators, queues of others, functions; false of what lets messages
        wait in a line of its own, as `Stream` does. Where a source is synchronous its pump needs
        a greenlet for as long as something is connected.
        """
        return False

    def description(self) -> dict[str, object]:
        """Say what this is and what state it is in, as plain data."""
        return {
            "type": self._kind,
            "sink": False,
            "source": False,
            "synchronous": self.is_synchronous,
        }

    def downstream(self) -> list[tuple[Any, Endpoint]]:
        """Return what messages go to from here, each with the description of that connection.

        A sink that was connected, or what an operator returned; ask those in turn to walk on.
        Empty when nothing is connected.
        """
        ways = [(way.description, way.goal) for way in self._ways_out()]
        return [(description, goal) for description, goal in ways if goal is not None]

    def upstream(self) -> list[tuple[Any, Endpoint]]:
        """Return what messages come here from, each with the description of that connection."""
        return [(way.description, way.source) for way in self._ways_in()]

    def topology(self) -> Topology:
        """Return the whole graph that this belongs to, as it is now; see `galeph.stream.topology`.

        Never switches. The result is plain data and holds none of the streams.
        """
        return _topology().topology_of(self)  # type: ignore[no-any-return]

    def _ways_out(self) -> list[Any]:
        """List what leads on from here: a `galeph.stream.topology.Way` each."""
        return []

    def _ways_in(self) -> list[Any]:
        """List what leads here."""
        return []

    # For the host

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
        kind = str(facts.pop("type", self._kind))
        ends = [end for end in ("source", "sink") if facts.get(end)]
        role = "stream" if len(ends) == 2 else "".join(ends)
        words = [kind] if role in ("", kind) else [kind, role]
        for name, value in facts.items():
            # Whether it is one of the two is said by the role; a splice has more to say of each.
            if name not in ("source", "sink") or not isinstance(value, bool):
                words.append(f"{name}={value!r}")
        return f"<{' '.join(words)}>"


def _topology() -> ModuleType:
    # At the call: it looks at what is built on this.
    from galeph.stream import topology

    return topology
