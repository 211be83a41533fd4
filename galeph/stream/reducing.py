"""`reductions` and `reduce`: what a function makes of all messages so far.

Both are one stage. `reduce` keeps what it has to itself until the end, and a deferred is what takes
that from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, overload
from weakref import ref

from galeph._arguments import check_callable
from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel
from galeph.stream.active import ActiveSink
from galeph.stream.coerce import source as to_source
from galeph.stream.connect import connect
from galeph.stream.interfaces import Source
from galeph.stream.operable import NOT_GIVEN
from galeph.stream.operators import Derived
from galeph.stream.stages import Awaiting
from galeph.stream.steps import ENOUGH, SKIP, Many

__all__ = ["Reduced", "reduce", "reductions"]

A = TypeVar("A")
R = TypeVar("R")


class Reduced(Generic[R]):
    """What the function of `reduce` or `reductions` returns to say that this is the last value.

    Args:
        value: the value.
    """

    __slots__ = ("value",)

    def __init__(self, value: R) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Reduced({self.value!r})"


@overload
def reductions(
    fn: Callable[[A, A], A | Reduced[A] | Deferred[A]], source: Source[A] | Iterable[A]
) -> Source[A]: ...
@overload
def reductions(
    fn: Callable[[R, A], R | Reduced[R] | Deferred[R]],
    source: Source[A] | Iterable[A],
    *,
    initial: R,
) -> Source[R]: ...
def reductions(
    fn: Callable[[Any, Any], Any], source: Source[Any] | Iterable[Any], *, initial: Any = NOT_GIVEN
) -> Source[Any]:
    """Return a source of what `reduce` would have at the beginning and after each message.

    ``fn(so_far, message)`` may block, or return a deferred of the new value. A `Reduced` is the
    last message, and closes ``source`` if nothing else is connected to it. What ``fn`` raises fails
    the returned source, and closes ``source``.

    Args:
        fn: makes a new value of the one before and a message.
        source: a source, or what `galeph.stream.source` makes one of.
        initial: the first value; the first message if left out.
    """
    check_callable("fn", fn)
    stage = _Reductions(fn, initial)
    derived = Derived(to_source(source), stage, "reductions")
    stage.reader = ref(derived)
    if initial is not NOT_GIVEN:
        # Lying there it is before all that comes, on whichever way.
        derived.box._store(initial, 1)
    return derived


@overload
def reduce(
    fn: Callable[[A, A], A | Reduced[A] | Deferred[A]], source: Source[A] | Iterable[A]
) -> Deferred[A]: ...
@overload
def reduce(
    fn: Callable[[R, A], R | Reduced[R] | Deferred[R]],
    source: Source[A] | Iterable[A],
    *,
    initial: R,
) -> Deferred[R]: ...
def reduce(
    fn: Callable[..., Any], source: Source[Any] | Iterable[Any], *, initial: Any = NOT_GIVEN
) -> Deferred[Any]:
    """Take everything from ``source``, and make one value of it. Returns at once.

    ``fn(so_far, message)`` may block, or return a deferred of the new value. With a `Reduced` it
    ends at once, and what is left stays in ``source``, which stays open.

    Args:
        fn: makes a new value of the one before and a message.
        source: a source, or what `galeph.stream.source` makes one of.
        initial: the first value. If left out it is the first message; of a source without any,
            the value is ``fn()``.

    Returns:
        A Deferred of the value when the source is drained; it fails with what the source fails with
        or ``fn`` raises, which closes ``source``. Cancelling it leaves ``source`` open.
    """
    check_callable("fn", fn)
    derived = _Reducing(to_source(source), _Reduce(fn, initial), "reduce")
    last = _Last()
    done = connect(derived, last)
    value = done.chain(lambda _: last.message)
    on_cancel(value, done.cancel)
    return value


class _Reductions:
    """The stage that gives every value."""

    __slots__ = ("_awaited", "_fn", "reader", "value")

    def __init__(self, fn: Callable[..., Any], initial: Any) -> None:
        self._fn = fn
        # Gives the operator whose stage this is; while a step is taken it is there.
        self.reader: Callable[[], Any]
        self._awaited = Awaiting()
        self.value = initial

    def step(self, message: Any) -> Any:
        value = self._next(message)
        if type(value) is Reduced:
            return Many((value.value, ENOUGH))
        self.value = value
        if self.reader()._outlet is None:
            # There is nothing further down.
            return value
        # As a series, so that it has a name of its own further down: what comes back from there
        # comes back here, and the message is not counted twice.
        return Many((value,), is_one=True)

    def _next(self, message: Any) -> Any:
        if self._awaited.is_waiting_for(message):
            return self._awaited.value_of(message)
        if self.value is NOT_GIVEN:
            return message
        return self._awaited.value_of(message, self._fn(self.value, message))

    def finish(self) -> Iterable[Any]:
        return ()


class _Reduce(_Reductions):
    """The stage that gives the last value."""

    __slots__ = ()

    def step(self, message: Any) -> Any:
        value = self._next(message)
        if type(value) is Reduced:
            return Many((value.value, ENOUGH))
        self.value = value
        return SKIP

    def finish(self) -> Iterable[Any]:
        return [self.value] if self.value is not NOT_GIVEN else _Call(self._fn)


class _Call:
    """What a function returns, as a series of one."""

    __slots__ = ("_awaited", "_fn")

    def __init__(self, fn: Callable[[], Any]) -> None:
        self._fn: Callable[[], Any] | None = fn
        self._awaited = Awaiting()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._awaited.is_waiting_for(None):
            return self._awaited.value_of(None)
        fn = self._fn
        if fn is None:
            raise StopIteration
        value = fn()
        self._fn = None
        return self._awaited.value_of(None, value)


class _Reducing(Derived):
    """What `reduce` takes from."""

    def give_up(self) -> None:
        """Come off the source, and leave that as it is."""
        self.detach()


class _Last(ActiveSink[Any]):
    """Where the last message is kept."""

    _kind = "value"

    message: Any = None

    def _put(self, message: Any, timeout: float | None) -> bool:  # noqa: ARG002  (there is none)
        self.message = message
        return True

    def _transmit(self, message: Any) -> bool:
        return self._put(message, None)

    def close(self) -> None:
        self._shut()

    def fail(self, error: BaseException) -> None:  # noqa: ARG002  (the deferred has it)
        self._shut()
