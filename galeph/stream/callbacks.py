"""Sinks that are functions: what `consume` and its like connect a source to.

`Function` gives the messages to a function, and that is where they end. `Callback` stands before
another sink: its function passes the messages on by itself. In the graph a callback is a node
between the source and that sink, to which an `Onward` leads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from galeph.deferred import is_deferrable, to_deferred
from galeph.stream.active import ActiveSink
from galeph.stream.interfaces import EXPIRED, Nothing, Sink
from galeph.stream.waiters import Limit

__all__ = ["Callback", "Function", "Onward"]


class Function(ActiveSink[Any]):
    """A function that messages are given to.

    Args:
        fn: gets each message, and may block.
        is_asked: whether it is waited for what ``fn`` returns, and False is the end.
    """

    _kind = "function"

    def __init__(self, fn: Callable[[Any], object], *, is_asked: bool = False) -> None:
        super().__init__()
        self._fn = fn
        self._is_asked = is_asked

    def _put(self, message: Any, timeout: float | None) -> bool:  # noqa: ARG002  (there is none)
        if not self._is_asked:
            self._fn(message)
            return True
        if self._closed:
            return False
        if _arrived(self._fn(message)) is False:
            # This message has been dealt with; the next one is refused.
            self._shut()
        return True

    def _transmit(self, message: Any) -> bool:
        return self._put(message, None)

    def close(self) -> None:
        self._shut()

    def fail(self, error: BaseException) -> None:  # noqa: ARG002  (the function has no say)
        self._shut()

    def description(self) -> dict[str, object]:
        return super().description() | {"function": _name_of(self._fn)}


class Callback(ActiveSink[Any]):
    """A function that passes messages on to ``sink`` by itself.

    It is closed with the sink, and the sink with it, unless ``downstream`` is false. For as long as
    something is connected to it, it counts among the links of the sink.
    """

    _kind = "callback"

    def __init__(self, fn: Callable[[Any], object], sink: Sink[Any], *, downstream: bool) -> None:
        super().__init__()
        self._fn = fn
        self._onward = Onward(self, sink, downstream=downstream)
        if sink.closed:
            self._shut()

    # Moving

    def _put(self, message: Any, timeout: float | None) -> bool | Nothing:
        # Not by turns: there is one link that puts, and it puts one message at a time.
        if timeout is None:
            return self._transmit(message)
        with Limit(timeout, self._hub):
            return self._transmit(message)
        return EXPIRED

    def _transmit(self, message: Any) -> bool:
        if self._closed or _arrived(self._fn(message)) is False:
            return False
        if self.closed:
            # The sink has closed meanwhile, and a link does not listen while it puts.
            for link in self._inlets or ():
                link.sink_closed()
        return True

    # Ending

    def close(self) -> None:
        self._shut()
        if self._onward.downstream:
            self._onward.goal.close()

    def fail(self, error: BaseException) -> None:
        self._hand_on(error)

    def _hand_on(self, error: BaseException) -> bool:
        self._shut()
        return self._onward.downstream and self._onward.goal._hand_on(error)

    def _links_changed(self) -> None:
        if not self._inlets:
            self._onward.remove()
        super()._links_changed()

    # In the graph

    def _ways_out(self) -> list[Any]:
        return [*super()._ways_out(), self._onward]

    def description(self) -> dict[str, object]:
        return super().description() | {"function": _name_of(self._fn)}


class Onward:
    """The way from a `Callback` to the sink its function puts into."""

    __slots__ = ("downstream", "goal", "source")

    description = None
    upstream = True
    timeout = None

    def __init__(self, source: Callback, goal: Sink[Any], *, downstream: bool) -> None:
        self.source = source
        self.goal = goal
        self.downstream = downstream
        if goal._inlets is None:
            goal._inlets = []
        goal._inlets.append(self)
        goal._links_changed()

    def sink_closed(self) -> None:
        """Hear that the sink has closed. Never switches."""
        self.source._shut()

    def remove(self) -> None:
        """Take it off the sink; nothing when that was done before. Never switches."""
        inlets = self.goal._inlets
        if inlets is not None and self in inlets:
            inlets.remove(self)
            self.goal._links_changed()


def _arrived(result: Any) -> Any:
    """What a function has returned, or what that brings."""
    return to_deferred(result).get() if is_deferrable(result) else result


def _name_of(fn: Callable[..., object]) -> str:
    return getattr(fn, "__qualname__", None) or type(fn).__name__
