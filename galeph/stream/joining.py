"""`zip` and `concat`: one source of several.

A `concat` is an operator like others, whose stage answers each stream with the series of its
messages. A `zip` draws on several sources, so it cannot lie on the way of one: it is a source of
its own, with an operator on each of the others that gives it a message when it asks. It asks only
when somebody takes from it, and waits without a greenlet, in the line of each operator's box.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, TypeVar, overload

from galeph.deferred import Deferred
from galeph.deferred.producer import on_ready
from galeph.stream.boxed import Boxed
from galeph.stream.coerce import source as to_source
from galeph.stream.interfaces import END, EXPIRED, Nothing, Source
from galeph.stream.links import Branch
from galeph.stream.operators import Derived
from galeph.stream.outlets import outlet_of
from galeph.stream.queue_stream import Stream
from galeph.stream.steps import AS_IT_IS, Many, NotYet

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
    return _Zip([to_source(source) for source in sources])


class _Zip(Boxed):
    """What `zip` returns: a queue whose messages are made when they are asked for."""

    _source_is_passive = True

    def __init__(self, sources: list[Source[Any]]) -> None:
        super().__init__(Stream(), "zip")
        self._inputs = [_Input(source, self) for source in sources]

    def _branches(self) -> Iterable[Branch]:
        return [each.branch for each in self._inputs]

    # Taking

    def _take(self, timeout: float | None) -> Any:
        box = self.box
        # Again if what was fetched went to somebody who waited already.
        while not (box._messages or box._putters or box.closed) and self._fetch():
            pass
        return box._take(timeout)

    def _fetch(self) -> bool:
        """Get what is there and ask for what is not; return whether that made a tuple."""
        try:
            for each in self._inputs:
                each.fetch()
        except BaseException:
            self._ask_for_others()
            raise
        return self._look()

    def take_async(self, default: Any = None) -> Deferred[Any]:
        taken = self.box.take_async(default)
        if not taken.ready():
            self.look_soon()
        return taken

    def look_soon(self) -> None:
        """Look at what there is, and ask for what is missing. Never switches."""
        if self.box.closed:
            return
        for each in self._inputs:
            each.ask()
        self._look()

    def _look(self) -> bool:
        """Make a tuple of what there is if that is complete; end if one of the inputs has."""
        if self.box.closed:
            return False
        inputs = self._inputs
        for each in inputs:
            if each.message is END:
                self._finish(each.error)
                return False
        if any(each.message is EXPIRED for each in inputs):
            return False
        messages = tuple(each.message for each in inputs)
        for each in inputs:
            each.message = EXPIRED
        self.box.put_async(messages)
        self._arrived()
        self._ask_for_others()
        return True

    def _ask_for_others(self) -> None:
        """Keep asking for those who wait in the box: nobody else does it for them."""
        if self.box._takers:
            self.look_soon()

    # Ending

    def _origin(self) -> Source[Any]:
        return self.box if self.box.closed else self

    def close(self) -> None:
        """Take no more messages; close the sources that nothing else is connected to."""
        if not self.box.closed:
            self._finish(None)

    def _finish(self, error: BaseException | None) -> None:
        if error is None:
            self.box.close()
        else:
            self.box.fail(error)
        for each in self._inputs:
            each.return_message()
            each.close()
        self._end(error)


class _Input(Derived):
    """One of the sources of a zip, and the message that it has given for the next tuple."""

    def __init__(self, source: Source[Any], joint: _Zip) -> None:
        super().__init__(source, AS_IT_IS, "zip")
        self._joint = joint
        # EXPIRED: there is none yet; END: there will be none.
        self.message: Any = EXPIRED
        self._is_asked = False

    def fetch(self) -> None:
        """Get a message, if one is there; ask for one if not. Runs the functions above it."""
        if self.message is not EXPIRED or self._is_asked:
            return
        self._is_asked = True
        try:
            self.message = self._take_now()
        finally:
            self._is_asked = False
        self.ask()

    def ask(self) -> None:
        """Have the next message brought here. Never switches."""
        if self.message is not EXPIRED or self._is_asked:
            return
        self.message = self._take_from_box()
        if self.message is EXPIRED:
            self._is_asked = True
            self.box._stand_in_line(self)
            self.root().kick()

    def _take_now(self) -> Any:
        try:
            return self._take(0)
        except Exception as error:
            if self.error is not error:
                raise
            return END

    def _take_from_box(self) -> Any:
        try:
            return self.box._take(0)
        except Exception as error:
            if self.error is not error:
                raise
            return END

    def serve(self, outcome: Any) -> bool:
        """Hear that the message asked for is there. Always True; never switches."""
        self._is_asked = False
        self.message = outcome
        self._joint.look_soon()
        return True

    def return_message(self) -> None:
        """Give the source back what nobody will get, unless others have seen it."""
        message, self.message = self.message, END
        source = self.branch.source
        if not isinstance(message, Nothing) and outlet_of(source).links == [self.branch]:
            source._give_back(message)


# -- concat


def concat(source: Source[_Some[A]] | Iterable[_Some[A]]) -> Source[A]:
    """Return a source of the messages of all the streams that ``source`` gives, one after another.

    What comes out of ``source`` is a stream, or what `galeph.stream.source` makes one of. Nothing
    is taken from the next one before the one before has ended. Closing the returned source closes
    the stream that it is at, and ``source`` if nothing else is connected to it. What one of the
    streams fails with fails the returned source, and closes ``source``.
    """
    return _Concat(to_source(source), _Unwrap(), "concat")


class _Concat(Derived):
    """What `concat` returns."""

    stage: _Unwrap

    def detach(self) -> Source[Any]:
        self.stage.stop()
        return super().detach()


class _Unwrap:
    """The stage that gives a stream's messages for the stream."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: _Messages | None = None

    def step(self, stream: Any) -> Any:
        if isinstance(stream, Collection) and not isinstance(stream, _TEXT):
            # It has nothing to wait for, and nothing to close.
            return Many(stream)
        self._messages = _Messages(to_source(stream))
        return Many(self._messages)

    def finish(self) -> Iterable[Any]:
        return ()

    def stop(self) -> None:
        """Take no more from the stream it is at, and close that. Never switches."""
        messages, self._messages = self._messages, None
        if messages is not None:
            messages.stop()


class _Messages:
    """The messages of a stream, as a series."""

    __slots__ = ("_is_over", "_source", "_taken")

    def __init__(self, source: Source[Any]) -> None:
        self._source = source
        self._is_over = False
        # A take that is under way.
        self._taken: Deferred[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        message = END if self._is_over else self._next()
        if message is END:
            self._is_over = True
            raise StopIteration
        return message

    def _next(self) -> Any:
        taken = self._taken
        if taken is None:
            message = self._source._take(0)
            if message is not EXPIRED:
                return message
            taken = self._taken = self._source.take_async(END)
        if not taken.ready():
            raise NotYet(self._wait)
        self._taken = None
        return taken.get()

    def _wait(self, wake: Callable[[], None]) -> Callable[[], None]:
        if self._taken is not None:
            on_ready(self._taken, wake)
        return self._withdraw

    def _withdraw(self) -> None:
        """Take back the take that is under way, and give back what it has got."""
        taken, self._taken = self._taken, None
        if taken is None or taken.cancel():
            return
        if taken.exception is None and taken.value is not END:
            self._source._give_back(taken.value)

    def stop(self) -> None:
        """Take no more, and close the stream. Never switches."""
        self._withdraw()
        if not self._is_over:
            self._is_over = True
            self._source.close()
