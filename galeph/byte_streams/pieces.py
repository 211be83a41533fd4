"""`Pieces`: iterators that an interruption does not end, and that close what they read from.

A generator that a kill or a Timeout passes through is over, and what it had still to give looks
like the end. Conversions that work piece by piece are therefore objects that keep their state: who
is interrupted in ``next()`` may ask again, and nothing is missing.

What they read from is given up in three ways:

- at the end: what was opened on the way (`own`), and nothing of the caller's;
- by `close`: everything, the caller's own thing included;
- by `let_go`, when nobody will read on: as at the end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from galeph.byte_streams.protocols import ByteSource, close_of
from galeph.deferred.producer import frames_of_origin, stopped
from galeph.errors import ResourceClosed
from galeph.stream import Source

__all__ = [
    "NOT_READY",
    "Cut",
    "Each",
    "Flat",
    "Items",
    "Messages",
    "Pieces",
    "Reads",
    "Slices",
    "Taken",
    "flat",
    "give_up",
    "is_longer",
    "slices",
]

T = TypeVar("T")

NOT_READY: Final = object()
_END: Final = object()


class Pieces(Iterator[T], Generic[T]):
    """What a conversion gives piece by piece.

    ``next()`` blocks as long as whatever it reads from; what that raises it raises again and again,
    so that what was cut short never looks complete. After `close` it is a ResourceClosed.
    """

    __slots__ = ("_error", "_has_ended", "_owned", "_trace", "_upstream")

    def __init__(self, upstream: Any = None) -> None:
        self._upstream = upstream
        self._owned: tuple[Any, ...] = ()
        self._has_ended = False
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None

    @abstractmethod
    def _next(self) -> T:
        """Return the next piece, or raise StopIteration; keep everything when interrupted."""

    def __next__(self) -> T:
        if self._has_ended:
            if self._error is not None:
                raise self._error.with_traceback(self._trace)
            raise StopIteration
        try:
            return self._next()
        except Exception as error:
            if self._error is not None:
                # Closed by somebody else meanwhile.
                raise self._error.with_traceback(self._trace) from None
            self._end(None if isinstance(error, StopIteration) else error)
            raise

    def next_ready(self) -> Any:
        """Return the next piece if it is there already, else NOT_READY. Never blocks."""
        return NOT_READY

    def own(self, resource: Any) -> None:
        """Have ``resource`` closed at the end, too: it was opened to be read here."""
        self._owned = (*self._owned, resource)

    def close(self) -> None:
        """Give up what is not read, and close what it comes from."""
        upstream, owned = self._upstream, self._owned
        if not self._has_ended:
            self._owned = ()
            self._end(ResourceClosed("it was closed before its end"))
            # First, because what was opened on the way may stand in between.
            close_of(upstream)
            for resource in owned:
                give_up(resource)

    def let_go(self) -> None:
        """Give up what is not read, and leave the caller's own thing as it is."""
        upstream = self._upstream
        if not self._has_ended:
            self._end(ResourceClosed("it was given up before its end"))
            if isinstance(upstream, Pieces):
                upstream.let_go()

    def _end(self, error: BaseException | None) -> None:
        owned, self._owned = self._owned, ()
        self._has_ended = True
        self._error = error
        self._trace = None if error is None else frames_of_origin(error)
        self._upstream = None
        for resource in owned:
            give_up(resource)


def give_up(resource: Any) -> None:
    """Close what was opened on the way, and nothing of the caller's behind it."""
    let_go = getattr(resource, "let_go", None)
    if let_go is None:
        close_of(resource)
    else:
        let_go()


class Items(Pieces[Any]):
    """The items of somebody's iterable."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(iter(items))
        self._items: Iterable[Any] | None = items

    def close(self) -> None:
        """Give up the items that are left, and close what they come from."""
        items, self._items = self._items, None
        was_open = not self._has_ended
        super().close()
        if was_open:
            close_of(items)

    def _next(self) -> Any:
        items = self._upstream
        try:
            return next(items)
        except Exception:
            raise
        except BaseException as error:
            # That ended it, if it is a generator; what it had still to give is missing.
            if getattr(items, "gi_frame", items) is None:
                self._end(stopped(error))
            raise


class Messages(Pieces[Any]):
    """The messages of a stream."""

    __slots__ = ()

    def __init__(self, source: Source[Any]) -> None:
        super().__init__(source)

    def _next(self) -> Any:
        message = self._upstream.take(_END)
        if message is _END:
            raise StopIteration
        return message

    def next_ready(self) -> Any:
        """Return a message that waits in the stream, else NOT_READY."""
        if self._has_ended:
            return NOT_READY
        message = self._upstream.try_take(0, _END, NOT_READY)
        # The end is for `next` to tell.
        return NOT_READY if message is _END else message


class Each(Pieces[T]):
    """What a function makes of each piece; interrupted, it is called with the same one again."""

    __slots__ = ("_fn", "_held")

    def __init__(self, pieces: Iterator[Any], fn: Callable[[Any], T]) -> None:
        super().__init__(pieces)
        self._fn = fn
        self._held: Any = _END

    def _next(self) -> T:
        if self._held is _END:
            self._held = next(self._upstream)
        result = self._fn(self._held)
        self._held = _END
        return result


class Flat(Pieces[Any]):
    """What a function makes of each piece: one, or `Pieces`, read as they are asked for."""

    __slots__ = ("_fn", "_held", "_inner")

    def __init__(self, pieces: Iterator[Any], fn: Callable[[Any], Any]) -> None:
        super().__init__(pieces)
        self._fn = fn
        self._held: Any = _END
        self._inner: Pieces[Any] | None = None

    def _next(self) -> Any:
        while True:
            if self._inner is not None:
                piece = next(self._inner, _END)
                if piece is not _END:
                    return piece
                self._inner = None
            if self._held is _END:
                self._held = next(self._upstream)
            result = self._fn(self._held)
            self._held = _END
            if not isinstance(result, Pieces):
                return result
            self._inner = result

    def _end(self, error: BaseException | None) -> None:
        inner, self._inner = self._inner, None
        super()._end(error)
        if inner is not None:
            inner.let_go()


class Slices(Pieces[Any]):
    """A sequence (bytes, text, a flat view) in slices of at most ``size``; all of it for None."""

    __slots__ = ("_at", "_whole", "_width")

    def __init__(self, whole: Sequence[Any] | memoryview, size: int | None) -> None:
        super().__init__()
        self._whole = whole
        self._at = 0
        self._width = size or max(len(whole), 1)

    def _next(self) -> Any:
        at, whole = self._at, self._whole
        if at >= len(whole):
            raise StopIteration
        self._at = at + self._width
        return whole if at == 0 and self._at >= len(whole) else whole[at : self._at]


def flat(view: memoryview) -> memoryview:
    """Return a view byte by byte, whatever it was cut into; a copy if its memory has holes."""
    if view.ndim == 1 and view.format == "B" and view.c_contiguous:
        return view
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def slices(whole: Any, size: int | None) -> Slices:
    """Return bytes, text or any view in slices."""
    return Slices(flat(whole) if isinstance(whole, memoryview) else whole, size)


def is_longer(piece: Any, size: int) -> bool:
    """Whether a piece has more bytes, or characters, than ``size``."""
    return (piece.nbytes if isinstance(piece, memoryview) else len(piece)) > size


class Cut(Pieces[Any]):
    """Pieces, of which those longer than ``size`` are cut."""

    __slots__ = ("_parts", "_size")

    def __init__(self, pieces: Iterator[Any], size: int) -> None:
        super().__init__(pieces)
        self._size = size
        self._parts: Iterator[Any] = iter(())

    def _next(self) -> Any:
        part = next(self._parts, NOT_READY)
        return self._first_of(next(self._upstream)) if part is NOT_READY else part

    def next_ready(self) -> Any:
        """Return the rest of a piece, or cut one that is there already."""
        if self._has_ended:
            return NOT_READY
        part = next(self._parts, NOT_READY)
        if part is NOT_READY and isinstance(self._upstream, Pieces):
            piece = self._upstream.next_ready()
            if piece is not NOT_READY:
                part = self._first_of(piece)
        return part

    def _first_of(self, piece: Any) -> Any:
        if not is_longer(piece, self._size):
            # Not held here: the piece of a mapped file closes that.
            return piece
        self._parts = slices(piece, self._size)
        return next(self._parts)


class Reads(Pieces[Any]):
    """What the reads of a file object give, at most ``size`` each, as soon as there is something.

    A file object that is not of gevent's making blocks the whole OS thread while it reads: shortly
    for a file on a disk, for as long as it takes for a pipe or a terminal.
    """

    __slots__ = ("_read", "_size")

    def __init__(self, file: Any, size: int) -> None:
        super().__init__(file)
        # read would hold back what a slow file gives until all of `size` is there.
        self._read = getattr(file, "read1", None) or file.read
        self._size = size

    def _next(self) -> Any:
        data = self._read(self._size)
        if data is None:
            raise BlockingIOError("the file object is not blocking, and has nothing to read yet")
        if not data:
            raise StopIteration
        return data


class Taken(Pieces[bytes]):
    """What a `ByteSource` gives, at most ``size`` bytes at a time."""

    __slots__ = ("_size",)

    def __init__(self, source: ByteSource, size: int) -> None:
        super().__init__(source)
        self._size = size

    def _next(self) -> bytes:
        data: bytes | None = self._upstream.take_bytes(self._size)
        if not data:
            raise StopIteration
        return data
