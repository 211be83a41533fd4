"""The operators that look at one message at a time: `map`, `filter`, `mapcat`, `realize_each`.

In a chain they cost no greenlet and no queue; see `galeph.stream.operators`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, overload
from weakref import ref

from galeph._arguments import check_callable
from galeph.deferred import Deferred, is_deferrable, to_deferred
from galeph.deferred.producer import stopped
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import Source
from galeph.stream.joining import zip
from galeph.stream.operators import Derived
from galeph.stream.steps import SKIP, Many, until_ready
from galeph.stream.taking import Taking

__all__ = ["Awaiting", "filter", "map", "mapcat", "realize_each"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

# Going through these runs nobody's code.
_COLLECTIONS = (list, tuple, range, dict, set, frozenset, deque, str, bytes)
_Some = Source[A] | Iterable[A]


@overload
def map(fn: Callable[[A], B], source: _Some[A], /) -> Source[B]: ...  # noqa: A001
@overload
def map(fn: Callable[[A, B], C], source: _Some[A], other: _Some[B], /) -> Source[C]: ...  # noqa: A001
@overload
def map(fn: Callable[..., C], *sources: _Some[Any]) -> Source[C]: ...  # noqa: A001
def map(fn: Callable[..., Any], *sources: Any) -> Source[Any]:  # noqa: A001  (Aleph's name; never imported bare)
    """Return a source of what ``fn`` makes of each message.

    Of several sources ``fn`` gets a message each, as `galeph.stream.zip` brings them together.
    ``fn`` may block. What it raises fails the returned source, and closes ``source``. A deferred
    that it returns is a message as any other; see `realize_each`.

    Raises:
        TypeError: ``fn`` is not callable, or a source cannot be made one.
    """
    check_callable("fn", fn)
    return Derived(_joined("map", sources), _Map(_spread(fn, sources)), "map")


def filter(predicate: Callable[[A], object], source: _Some[A]) -> Source[A]:  # noqa: A001  (Aleph's name; never imported bare)
    """Return a source of the messages of which ``predicate`` is true; the others are dropped.

    ``predicate`` may block. What it raises fails the returned source, and closes ``source``.
    """
    check_callable("predicate", predicate)
    return Derived(to_source(source), _Filter(predicate), "filter")


@overload
def mapcat(fn: Callable[[A], Iterable[B]], source: _Some[A], /) -> Source[B]: ...
@overload
def mapcat(
    fn: Callable[[A, B], Iterable[C]], source: _Some[A], other: _Some[B], /
) -> Source[C]: ...
@overload
def mapcat(fn: Callable[..., Iterable[C]], *sources: _Some[Any]) -> Source[C]: ...
def mapcat(fn: Callable[..., Iterable[Any]], *sources: Any) -> Source[Any]:
    """Return a source of the elements of what ``fn`` returns for each message, one by one.

    ``fn`` returns any iterable, which may be endless: it is asked for an element only when that is
    wanted. A source is one too, which stays open if the returned one is closed before its end. Of
    several sources ``fn`` gets a message each. Both may block. What one of them raises
    fails the returned source, and closes ``source``. So does a kill, or a Timeout, of the greenlet
    that is inside a generator, because the rest of it is lost: as `Cancelled` or `TimedOut`.

    Raises:
        TypeError: ``fn`` is not callable, or a source cannot be made one.
    """
    check_callable("fn", fn)
    stage = _MapCat(_spread(fn, sources))
    derived = Derived(_joined("mapcat", sources), stage, "mapcat")
    stage.reader = ref(derived)
    return derived


def realize_each(source: _Some[Any]) -> Source[Any]:
    """Return a source of what the messages bring that arrive later, in the order of the messages.

    A message that is a deferred, an AsyncResult, a greenlet or a future is waited for, without a
    greenlet; others pass. One that fails fails the returned source with its error, and closes
    ``source``.
    """
    return Derived(to_source(source), _RealizeEach(), "realize_each")


def _joined(name: str, sources: tuple[Any, ...]) -> Source[Any]:
    if not sources:
        raise TypeError(f"{name}() needs at least one source")
    return to_source(sources[0]) if len(sources) == 1 else zip(*sources)


def _spread(fn: Callable[..., Any], sources: tuple[Any, ...]) -> Callable[[Any], Any]:
    return fn if len(sources) == 1 else lambda messages: fn(*messages)


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


class _MapCat:
    __slots__ = ("_fn", "reader")

    def __init__(self, fn: Callable[[Any], Iterable[Any]]) -> None:
        self._fn = fn
        # Gives the operator whose stage this is; while a step is taken it is there.
        self.reader: Callable[[], Any]

    def step(self, message: Any) -> Any:
        items = self._fn(message)
        if isinstance(items, _COLLECTIONS):
            return Many(items, is_one=True)
        if isinstance(items, Source):
            return Many(Taking(items, self.reader()), is_one=True)
        return Many(_Unbroken(iter(items)), is_one=True)

    def finish(self) -> Iterable[Any]:
        return ()


class _Unbroken:
    """The rest of a series; raises if a kill or a Timeout has come between it and an element."""

    __slots__ = ("_broken_by", "_items")

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items
        self._broken_by: BaseException | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._broken_by is not None:
            raise stopped(self._broken_by)
        try:
            return next(self._items)
        except Exception:
            raise
        except BaseException as error:
            # The greenlet that asked is ended by it, and so is a generator: whoever asks next must
            # not take that for a proper end.
            self._broken_by = error
            raise


class Awaiting:
    """For a stage: what it waits for because of a message, across the times that a step is taken.

    The message may be given back meanwhile. Then another one comes, and is not to get its outcome.
    """

    __slots__ = ("_deferred", "_message")

    def __init__(self) -> None:
        self._deferred: Deferred[Any] | None = None
        self._message: Any = None

    def is_waiting_for(self, message: Any) -> bool:
        """Whether `value_of` was asked because of this message, and has not returned."""
        return self._deferred is not None and self._message is message

    def value_of(self, message: Any, x: Any = None) -> Any:
        """Return ``x``, or what it brings if it arrives later. While `is_waiting_for`, of that.

        Raises:
            NotYet: it has not arrived; ask again.
            Exception: what it failed with.
        """
        deferred = self._deferred
        if deferred is None or self._message is not message:
            if not is_deferrable(x):
                return x
            deferred = self._deferred = to_deferred(x)
            self._message = message
        if not deferred.ready():
            raise until_ready(deferred)
        self._deferred = self._message = None
        try:
            return deferred.get()
        except Exception:
            raise
        except BaseException as error:
            # It is somebody else's, and must not be taken for the end of this greenlet.
            raise stopped(error) from error


class _RealizeEach:
    __slots__ = ("_awaited",)

    def __init__(self) -> None:
        self._awaited = Awaiting()

    def step(self, message: Any) -> Any:
        return self._awaited.value_of(message, message)

    def finish(self) -> Iterable[Any]:
        return ()
