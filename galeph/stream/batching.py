"""`batch`: lists of messages, bounded in size and in time.

Bounded in size alone it is a stage like others. A list that is sent by the clock cannot wait until
a function somewhere on its way returns: so bounded in time it is a joint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from weakref import ref

from galeph._arguments import check_callable, check_number, check_seconds, check_weight
from galeph.clock import Timer
from galeph.clock import default as default_clock
from galeph.deferred.producer import call_in_hub
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import END, EXPIRED, Source
from galeph.stream.joints import Joint
from galeph.stream.loans import Loan, Made, Parcel, Returns, give_back
from galeph.stream.operators import Derived
from galeph.stream.steps import Many

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
        latency: the most seconds from the first message of a list until it is sent. No more than
            one is made ahead of those that are wanted.
        metric: what a message counts for (default: 1 each); a number, not negative. What it raises
            fails the returned source, and closes ``source``.

    Raises:
        ValueError: ``size`` or ``latency`` is not above 0.
        TypeError: one of them is no number, ``metric`` is not callable, or ``source`` cannot be
            made a source.
    """
    check_number("size", size)
    check_seconds("latency", latency)
    if metric is not None:
        check_callable("metric", metric)
    if latency is None:
        return _Batched(to_source(source), _Batch(size, metric))
    return _Timed(to_source(source), size, latency, metric)


def _checked(weight: float) -> float:
    check_weight(weight)
    return weight


class _Lists:
    """Messages on their way into lists."""

    __slots__ = ("_size", "_weight", "messages")

    def __init__(self, size: float) -> None:
        self._size = size
        self._weight: float = 0
        # The list that is not full yet.
        self.messages: list[Any] = []

    def add(self, message: Any, weight: float) -> list[list[Any]]:
        """Take a message in; return the lists that are to be sent because of it."""
        full = []
        if self.messages and self._weight + weight > self._size:
            full.append(self.flush())
        self.messages.append(message)
        self._weight += weight
        if self._weight >= self._size:
            full.append(self.flush())
        return full

    def flush(self) -> list[Any]:
        """Return what is held, and hold nothing."""
        messages, self.messages = self.messages, []
        self._weight = 0
        return messages


class _Batched(Derived):
    """What `batch` returns if time does not count."""

    def __init__(self, source: Source[Any], stage: _Batch) -> None:
        super().__init__(source, stage, "batch")
        self.held: list[Loan] = stage.held

    def conclude(self, error: BaseException | None) -> None:
        super().conclude(error)
        # Of a list that is not sent, because this or the source has failed.
        returns = Returns()
        give_back(self.held, returns)
        del self.held[:]
        returns.send()


class _Batch:
    """The stage that sends by size alone."""

    __slots__ = ("_keeping", "_lists", "_metric", "_next", "held")

    def __init__(self, size: float, metric: Callable[[Any], float] | None) -> None:
        self._lists = _Lists(size)
        self._metric = metric
        # What is to go into the list next, and how heavy it is.
        self._next: tuple[Any, float] = (None, 0)
        self._keeping = Many((), keep=self._keep)
        # The loans of the messages of the list that is not full yet.
        self.held: list[Loan] = []

    def step(self, message: Any) -> Any:
        self._next = message, 1 if self._metric is None else _checked(self._metric(message))
        return self._keeping

    def _keep(self, loan: Loan) -> Iterable[Any] | None:
        self.held.append(loan)
        full = self._lists.add(*self._next)
        self._next = None, 0
        return Made([self._parcel(messages) for messages in full]) if full else None

    def _parcel(self, messages: list[Any]) -> Parcel:
        loans = self.held[: len(messages)]
        del self.held[: len(messages)]
        return Parcel(messages, loans)

    def finish(self) -> Iterable[Any]:
        return Made([self._parcel(self._lists.flush())] if self._lists.messages else [])


class _Weigh:
    """The stage before the joint: user code does not run in that."""

    __slots__ = ("_metric",)

    def __init__(self, metric: Callable[[Any], float] | None) -> None:
        self._metric = metric

    def step(self, message: Any) -> Any:
        return message, 1 if self._metric is None else _checked(self._metric(message))

    def finish(self) -> Iterable[Any]:
        return ()


class _Timed(Joint):
    """What `batch` returns if time counts."""

    def __init__(
        self,
        source: Source[Any],
        size: float,
        latency: float,
        metric: Callable[[Any], float] | None,
    ) -> None:
        super().__init__([source], "batch", _Weigh(metric))
        self._lists = _Lists(size)
        self._latency = latency
        self._clock = default_clock()
        self._timer: Timer | None = None

    def _fetch(self) -> bool | None:
        # Not here: a function above could keep this greenlet for longer than a list may wait.
        self.look_soon()
        return False

    def _make(self) -> bool | None:
        (intake,) = self._intakes
        held = intake.message
        if held is EXPIRED:
            return False
        if held is END:
            if intake.error is None and self._lists.messages:
                self._send_list(self._lists.flush())
            self._finish(intake.error)
            return False
        intake.message = EXPIRED
        full = self._lists.add(*held)
        for messages in full:
            self._send_list(messages)
        if full or not self._timer:
            self._start_timer()
        return bool(full) or None

    def _original(self, message: Any) -> Any:
        return message[0]

    def _send_list(self, messages: list[Any]) -> None:
        # Those of the next list stand behind them.
        self._send(messages, self._intakes[0].take_out(len(messages)))

    def _start_timer(self) -> None:
        self._stop_timer()
        if self._lists.messages:
            # Weak: a timer is not to keep what nobody holds. It goes with that.
            me = ref(self, lambda _: call_in_hub(hub, timer.cancel))
            try:
                hub, timer = self._hub, self._clock.start_timer(self._latency, _expire, me)
            except Exception as error:
                # The clock's. Whoever waits is told: nobody else would see what is raised here.
                self._finish(error)
            else:
                self._timer = timer

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def expire(self) -> None:
        """Send what is held. In the hub, which it does not leave."""
        self._timer = None
        self._send_list(self._lists.flush())
        if self.box._takers:
            self.look_soon()

    def _finish(self, error: BaseException | None) -> None:
        self._stop_timer()
        super()._finish(error)


def _expire(me: ref[_Timed]) -> None:
    joint = me()
    if joint is not None:
        joint.expire()
