"""`zip` and `concat`: one source of several.

A `concat` is an operator like others, whose stage answers each stream with the series of its
messages. A `zip` draws on several sources at once, so it is a joint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar, overload
from weakref import ref

from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import END, EXPIRED, Source
from galeph.stream.joints import Joint
from galeph.stream.operators import Derived
from galeph.stream.steps import Many
from galeph.stream.taking import Taking

__all__ = ["concat", "zip"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

_Some = Source[A] | Iterable[A]
_TEXT = (str, bytes, bytearray, memoryview)


# -- zip


@overload
def zip(source: _Some[A], /) -> Source[tuple[A]]: ...  # noqa: A001
@overload
def zip(source: _Some[A], other: _Some[B], /) -> Source[tuple[A, B]]: ...  # noqa: A001
@overload
def zip(source: _Some[A], other: _Some[B], third: _Some[C], /) -> Source[tuple[A, B, C]]: ...  # noqa: A001
@overload
def zip(*sources: _Some[Any]) -> Source[tuple[Any, ...]]: ...  # noqa: A001
def zip(*sources: Any) -> Source[Any]:  # noqa: A001  (Aleph's name; never imported bare)
    """Return a source of tuples: a message of each source, the first, the second, and so on.

    It ends when one of the sources has; what the others have given for the tuple that does not
    come to be goes back to them, and those that nothing else is connected to are closed. It fails
    with what one of them fails with.

    Raises:
        TypeError: no source is given, or one cannot be made a source.
    """
    if not sources:
        raise TypeError("zip() needs at least one source")
    return _Zip([to_source(source) for source in sources], "zip")


class _Zip(Joint):
    """What `zip` returns."""

    def _make(self) -> bool:
        intakes = self._intakes
        for each in intakes:
            if each.message is END:
                self._finish(each.error)
                return False
        messages = tuple(each.message for each in intakes)
        if any(message is EXPIRED for message in messages):
            return False
        for each in intakes:
            each.message = EXPIRED
        self._send(messages, [loan for each in intakes for loan in each.take_out()])
        return True


# -- concat


def concat(source: Source[_Some[A]] | Iterable[_Some[A]]) -> Source[A]:
    """Return a source of the messages of all the streams that ``source`` gives, one after another.

    What comes out of ``source`` is a stream, or what `galeph.stream.source` makes one of. Nothing
    is taken from the next one before the one before has ended. Closing the returned source closes
    the stream that it is at, and ``source`` if nothing else is connected to it. What one of the
    streams fails with fails the returned source, and closes ``source``.

    When nobody holds it any more, the stream that it is at stays open. Closed or not, that has
    again what was taken there for nobody.
    """
    return _Concat(to_source(source), _Unwrap(), "concat")


class _Concat(Derived):
    """What `concat` returns."""

    stage: _Unwrap

    def __init__(self, source: Source[Any], stage: _Unwrap, name: str) -> None:
        super().__init__(source, stage, name)
        stage.reader = ref(self)

    def detach(self) -> Source[Any]:
        self.stage.stop()
        return super().detach()


class _Unwrap:
    """The stage that gives a stream's messages for the stream."""

    __slots__ = ("_messages", "reader")

    def __init__(self) -> None:
        self._messages: Taking | None = None
        # Gives the operator whose stage this is; while a step is taken it is there.
        self.reader: Callable[[], Any]

    def step(self, stream: Any) -> Any:
        if isinstance(stream, Collection) and not isinstance(stream, _TEXT):
            # It has nothing to wait for, and nothing to close.
            return Many(stream, is_one=True)
        self._messages = Taking(to_source(stream), self.reader())
        return Many(self._messages)

    def finish(self) -> Iterable[Any]:
        return ()

    def stop(self) -> None:
        """Take no more from the stream it is at, and close that. Never switches."""
        messages, self._messages = self._messages, None
        if messages is not None:
            messages.stop()
