"""Operators: sources made of another source and a `Stage`.

`Derived` is what every operator returns. It has no greenlet and no queue. Who takes from it,
while nothing else draws on the same source, fetches the source's message himself and carries it
through the chain (`_pull`), in his own greenlet. As soon as there is more to it, a connected sink,
a second operator on one of the sources, a second taker, the root source's pump moves the messages,
and what nobody is connected to waits in the operator's box, a stream without buffer.

An operator is one `Stage`: a function that is interrupted is called again with the same message;
one that raises fails the operator, and closes its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from galeph import clock
from galeph.deferred import Deferred
from galeph.stream.active import in_greenlet
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import END, Nothing, Source
from galeph.stream.lanes import SKIP, Lane, Stage, State
from galeph.stream.links import Branch, Link
from galeph.stream.outlets import Outlet, outlet_of
from galeph.stream.queue_stream import Stream

__all__ = ["Derived", "filter", "map"]

A = TypeVar("A")
B = TypeVar("B")


class Derived(Source[Any]):
    """The source that an operator returns.

    Closing it disconnects it from its source, which is closed too if nothing else is connected
    to it.
    """

    def __init__(self, source: Source[Any], stage: Stage, name: str) -> None:
        super().__init__()
        self._kind = name
        self.stage = stage
        self.box: Stream[Any] = Stream()
        self.branch = Branch(source._origin(), self)
        # The same, for whoever does not know that this is an operator.
        self._branch = self.branch

    # Its place in the graph

    @property
    def has_takers(self) -> bool:
        """Whether somebody waits for a message here."""
        return bool(self.box._takers)

    def way_on(self) -> Link | Branch | None:
        """The only link out of here, if a message may go on by it without looking left or right."""
        outlet = self._outlet
        if outlet is None or len(outlet.links) != 1 or outlet.busy or self.box._takers:
            return None
        return outlet.links[0]

    def conclude(self, error: BaseException | None) -> None:
        """Pass the source's end on to whoever takes here."""
        self.detach()
        if error is None:
            self.box.close()
        else:
            self.box.fail(error)

    def detach(self) -> Source[Any]:
        """Take the branch that leads here off the source, and return that."""
        source = self.branch.source
        outlet = outlet_of(source)
        if self.branch in outlet.links:
            outlet.remove(self.branch)
        return source

    def _end_of_lane(self) -> tuple[Lane, Outlet]:
        """The lane that carries messages to this operator, and the outlet it belongs to."""
        branch = self.branch
        while isinstance(branch.source, Derived) and len(outlet_of(branch.source).links) == 1:
            branch = branch.source.branch
        return branch.lane, branch.lane.outlet

    def flush(self) -> None:
        """Send what lies here untaken to what has just been connected here."""
        messages: list[Any] = []
        while not isinstance(message := self.box._take(0), Nothing):
            messages.append(message)
        if messages:
            lane, outlet = self._end_of_lane()
            outlet.revive(lane, self.branch, messages)

    # Taking

    def _take(self, timeout: float | None) -> Any:
        box = self.box
        if not (box._messages or box._putters or box.closed):
            until = None if timeout is None else clock.default().monotonic() + timeout
            outlet = self._pullable()
            if outlet is not None:
                message = outlet.pull(self, timeout)
                if message is not SKIP:
                    return message
            self._root().kick()
            if until is not None:
                timeout = until - clock.default().monotonic()
        return box._take(timeout)

    def _pullable(self) -> Outlet | None:
        """The root's outlet, if this is the only end below it and nobody moves its messages."""
        if (self._outlet is not None and self._outlet.links) or self.box._takers:
            return None
        derived = self
        while True:
            source = derived.branch.source
            outlet = outlet_of(source)
            outlet.drop_dead()
            if len(outlet.links) != 1 or outlet.is_moving:
                return None
            if not isinstance(source, Derived):
                break
            if outlet.busy or source.box._takers:
                return None
            derived = source
        if any(lane.state is not State.STALLED for lane in outlet.busy):
            return None
        return outlet

    def _root(self) -> Outlet:
        """The outlet of the source that the messages come from in the end."""
        source: Source[Any] = self
        while isinstance(source, Derived):
            source = source.branch.source
        return outlet_of(source)

    def _give_back(self, message: Any) -> None:
        self.box._give_back(message)

    def take_async(self, default: Any = None) -> Deferred[Any]:
        """Return at once a Deferred of the next message, or of ``default`` at the end.

        A greenlet waits for it. Cancelling the Deferred withdraws the take.
        """
        return in_greenlet(self._root().source, self._take_for, default)

    def _take_for(self, deferred: Deferred[Any], default: Any) -> None:
        message = self._take(None)
        if not deferred.success(default if message is END else message) and message is not END:
            self._give_back(message)

    # Ending

    def _origin(self) -> Source[Any]:
        # When it has ended, what is left lies in the box.
        return self.box if self.box.closed else self

    def close(self) -> None:
        """Take no more messages; close the source too if nothing else is connected to it."""
        node = self
        while True:
            is_attached = node.branch in outlet_of(node.branch.source).links
            node.box.close()
            source = node.detach()
            if not is_attached or outlet_of(source).links:
                return
            if not isinstance(source, Derived):
                source._abandon()
                return
            node = source

    @property
    def drained(self) -> bool:
        return self.box.drained

    @property
    def error(self) -> BaseException | None:
        return self.box.error

    def on_drained(self, fn: Callable[[], object]) -> None:
        """Call ``fn()`` when everything has been taken; see `Source.on_drained`."""
        self.box.on_drained(fn)


# -- the stages


class _Map:
    __slots__ = ("step",)

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self.step = fn

    def finish(self) -> Iterable[Any]:
        return ()


class _Filter:
    __slots__ = ("_predicate",)

    def __init__(self, predicate: Callable[[Any], object]) -> None:
        self._predicate = predicate

    def step(self, message: Any) -> Any:
        return message if self._predicate(message) else SKIP

    def finish(self) -> Iterable[Any]:
        return ()


def map(fn: Callable[[A], B], source: Source[A] | Iterable[A]) -> Source[B]:  # noqa: A001  (Aleph's name; never imported bare)
    """Return a source of what ``fn`` makes of each message.

    ``fn`` may block. What it raises fails the returned source, and closes ``source``.
    """
    return Derived(to_source(source), _Map(_callable("fn", fn)), "map")


def filter(predicate: Callable[[A], object], source: Source[A] | Iterable[A]) -> Source[A]:  # noqa: A001  (Aleph's name; never imported bare)
    """Return a source of the messages of which ``predicate`` is true; the others are dropped.

    ``predicate`` may block. What it raises fails the returned source, and closes ``source``.
    """
    return Derived(to_source(source), _Filter(_callable("predicate", predicate)), "filter")


def _callable(name: str, fn: Any) -> Any:
    if not callable(fn):
        raise TypeError(f"{name} must be callable, not {type(fn).__name__}")
    return fn
