"""`onto`: a stream whose deferreds run their functions on an executor.

Nothing else of it changes: messages are moved, and the functions of operators called, in greenlets
of the stream's own hub. To have a function of an operator called on an executor, have its results
waited for: ``source.map(lambda m: executor.submit(fn, m)).realize_each()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from galeph.deferred import Deferred, Executor
from galeph.deferred.producer import on_cancel, on_ready
from galeph.stream.interfaces import END, Sink, Source
from galeph.stream.splice import Splice
from galeph.stream.views import SinkView, SourceView

__all__ = ["onto"]

T = TypeVar("T")


@overload
def onto(stream: Splice[Any, T], executor: Executor) -> Splice[Any, T]: ...
@overload
def onto(stream: Source[T], executor: Executor) -> Source[T]: ...
@overload
def onto(stream: Sink[T], executor: Executor) -> Sink[T]: ...
def onto(stream: Any, executor: Executor) -> Any:
    """Return a view of ``stream`` whose `take_async` and `put_async` are on ``executor``.

    Functions hung on the deferreds that they return run there; see `galeph.deferred.Deferred.onto`.
    Of a stream that is on this executor already it is returned itself.

    Args:
        stream: a source, a sink, or both.
        executor: has a method ``submit(fn, *args)`` that returns a deferred.

    Raises:
        TypeError: ``stream`` is neither, or ``executor`` is none.
    """
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have a method submit(fn, *args), not {executor!r}")
    if getattr(stream, "executor", None) is executor:
        return stream
    if isinstance(stream, Source) and isinstance(stream, Sink):
        return _Both(_Takes(stream, executor), _Puts(stream, executor), executor)
    if isinstance(stream, Source):
        return _Takes(stream, executor)
    if isinstance(stream, Sink):
        return _Puts(stream, executor)
    raise TypeError(f"stream must be a source or a sink, not {type(stream).__name__}")


class _Takes(SourceView[Any]):
    def __init__(self, stream: Source[Any], executor: Executor) -> None:
        super().__init__(stream)
        while isinstance(self._source, _Takes):
            # Its executor would have nothing to run.
            self._source = self._source._source
        self.executor = executor

    def _real_source(self) -> Source[Any]:
        return self

    def take_async(self, default: Any = None) -> Deferred[Any]:
        taken = super().take_async(END)

        def hand_on(moved: Deferred[Any]) -> None:
            error = taken.exception
            if error is not None:
                moved.error(error)
            elif taken.value is END:
                moved.success(default)
            elif not moved.success(taken.value):
                self._give_back(taken.value)

        return _moved(taken, self.executor, hand_on)


class _Puts(SinkView[Any]):
    def __init__(self, stream: Sink[Any], executor: Executor) -> None:
        super().__init__(stream)
        while isinstance(self._sink, _Puts):
            self._sink = self._sink._sink
        self.executor = executor

    def _real_sink(self) -> Sink[Any]:
        return self

    def put_async(self, message: Any) -> Deferred[bool]:
        put = super().put_async(message)

        def hand_on(moved: Deferred[Any]) -> None:
            error = put.exception
            if error is not None:
                moved.error(error)
            else:
                moved.success(put.value)

        return _moved(put, self.executor, hand_on)


class _Both(Splice[Any, Any]):
    def __init__(self, source: Source[Any], sink: Sink[Any], executor: Executor) -> None:
        super().__init__(sink, source)
        self.executor = executor


def _moved(
    pending: Deferred[Any], executor: Executor, hand_on: Callable[[Deferred[Any]], None]
) -> Deferred[Any]:
    """A deferred on the executor that is realized where, and when, ``pending`` is."""
    moved: Deferred[Any] = Deferred[Any]().onto(executor)
    on_cancel(moved, pending.cancel)
    on_ready(pending, hand_on, moved)
    return moved
