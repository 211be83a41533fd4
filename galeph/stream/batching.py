"""`batch`: lists of messages, bounded in size and in time.

The stage collects. What is collected for long enough is sent by a timer, which leaves it with the
lane as a series of at most one: when the lane gets to it, the stage may have sent it already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from weakref import ref

from galeph.clock import Timer
from galeph.clock import default as default_clock
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import Source
from galeph.stream.operators import Derived, check_callable
from galeph.stream.steps import SKIP, Many

__all__ = ["batch"]

A = TypeVar("A")


def batch(
    size: float,
    source: Source[A] | Iterable[A],
    *,
    latency: float | None = None,
    metric: Callable[[A], float] | None = None,
) -> Source[list[A]]:
    """Return a source of lists of consecutive messages.

    A list is sent when its messages have reached ``size``; when another would exceed it, which then
    starts the next; when ``latency`` is over; and at the end of ``source``. A single message larger
    than ``size`` is sent alone.

    Args:
        size: how large a list is at most.
        source: a source, or what `galeph.stream.source` makes one of.
        latency: the most seconds from the first message of a list until it is sent. If nobody takes
            it then, it may still grow until somebody does.
        metric: what a message counts for (default: 1 each); a number, not negative. What it raises
            fails the returned source, and closes ``source``.

    Raises:
        ValueError: ``size`` or ``latency`` is not above 0.
        TypeError: ``metric`` is not callable, or ``source`` cannot be made a source.
    """
    if not size > 0:
        raise ValueError(f"size must be above 0, not {size!r}")
    if latency is not None and not latency > 0:
        raise ValueError(f"latency must be above 0 seconds, not {latency!r}")
    if metric is not None:
        check_callable("metric", metric)
    stage = _Collect(size, metric)
    if latency is None:
        return Derived(to_source(source), stage, "batch")
    return _Timed(to_source(source), stage, latency)


class _Collect:
    """The stage that makes lists."""

    __slots__ = ("_metric", "_size", "_weight", "is_due", "messages", "on_first")

    def __init__(self, size: float, metric: Callable[[Any], float] | None) -> None:
        self._size = size
        self._metric = metric
        self.messages: list[Any] = []
        self._weight: float = 0
        # Whether they have been held for long enough.
        self.is_due = False
        # Called with the first message of a list.
        self.on_first: Callable[[], None] | None = None

    def step(self, message: Any) -> Any:
        weight = 1 if self._metric is None else self._weigh(message)
        if self.messages and self._weight + weight > self._size:
            full = self.flush()
            if weight >= self._size:
                return Many((full, [message]))
            self._start(message, weight)
            return full
        if not self.messages:
            self._start(message, weight)
        else:
            self.messages.append(message)
            self._weight += weight
        return self.flush() if self._weight >= self._size else SKIP

    def _weigh(self, message: Any) -> float:
        weight: float = self._metric(message)  # type: ignore[misc]  # only called if there is one
        if weight < 0:
            raise ValueError(f"metric returned {weight!r} for a message; it must not be negative")
        return weight

    def _start(self, message: Any, weight: float) -> None:
        self.messages.append(message)
        self._weight = weight
        if self.on_first is not None and weight < self._size:
            self.on_first()

    def flush(self) -> list[Any]:
        """Return what is held, and hold nothing."""
        messages, self.messages = self.messages, []
        self._weight = 0
        self.is_due = False
        return messages

    def finish(self) -> Iterable[Any]:
        return [self.flush()] if self.messages else []


class _Timed(Derived):
    """What `batch` returns if time counts."""

    stage: _Collect

    def __init__(self, source: Source[Any], stage: _Collect, latency: float) -> None:
        super().__init__(source, stage, "batch")
        self._latency = latency
        self._timer: Timer | None = None
        # Weak: neither the stage nor a timer is to keep what nobody holds.
        me = ref(self)
        stage.on_first = lambda: _start_timer(me)

    def start_timer(self, me: ref[_Timed]) -> None:
        """Have what is collected from now on sent in time."""
        self._stop_timer()
        self._timer = default_clock().start_timer(self._latency, _expire, me)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expire(self) -> None:
        """Send what is held. In the hub, which it does not leave."""
        self._timer = None
        if self.stage.messages and not self.is_detached:
            self.stage.is_due = True
            lane, outlet = self.end_of_lane()
            outlet.revive(lane, self.branch, _Due(self.stage))

    def detach(self) -> Source[Any]:
        self._stop_timer()
        return super().detach()


class _Due:
    """What is held when it is asked for, if that has been held for long enough."""

    __slots__ = ("_stage",)

    def __init__(self, stage: _Collect) -> None:
        self._stage = stage

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._stage.is_due:
            raise StopIteration
        return self._stage.flush()


def _start_timer(me: ref[_Timed]) -> None:
    derived = me()
    if derived is not None:
        derived.start_timer(me)


def _expire(me: ref[_Timed]) -> None:
    derived = me()
    if derived is not None:
        derived.expire()
