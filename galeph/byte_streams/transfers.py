"""`transfer`: move all bytes from where they are to where they are wanted.

A transfer is registered for a pair of types, like a conversion. Of all pairs that can be reached
from the two things at hand the one with the best ways to it is taken. What is not special goes
through the loop between an iterator and a `ByteSink`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, overload

from galeph._arguments import check_flag
from galeph.byte_streams.conversion import current_graph, walk
from galeph.byte_streams.files import FilePieces, FileRegion, Pace, opened
from galeph.byte_streams.graph import Graph, Rank, Transfer, Way, rank_of
from galeph.byte_streams.kinds import Kind, kind_of_type, kinds_of
from galeph.byte_streams.options import (
    COPY_BYTES,
    FILE_IN_BYTES,
    FILE_OUT_BYTES,
    TRANSFER_BYTES,
    Options,
    check_takes,
)
from galeph.byte_streams.pieces import Reads, Slices, give_up
from galeph.byte_streams.protocols import (
    BinaryWriter,
    ByteSink,
    ByteSource,
    Closeable,
    close_of,
)
from galeph.byte_streams.writing import FileSink, open_sink
from galeph.deferred._outcome import stopped

__all__ = ["add_standard_transfers", "def_transfer", "has_transfer", "transfer", "write_file"]

F = TypeVar("F", bound=Transfer)

# A pair of types can be asked for, or the things themselves; of these it is not known what they are
# before one has looked.
_Candidates = list[tuple[Kind, Any]]


def transfer(
    source: Any,
    sink: Any,
    *,
    chunk_size: int | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    append: bool = False,
    close: bool = True,
    source_type: Any = None,
) -> int:
    """Move all bytes of ``source`` into ``sink``; blocks until that is done.

    Args:
        source: what `galeph.byte_streams.convert` takes.
        sink: a path, a writable binary file object, a stream to put into, a `ByteSink`, or what
            `def_transfer` and `def_conversion` have taught.
        chunk_size: the most bytes to move at once.
        encoding: how text is encoded.
        errors: ``"strict"``, or another error handler of `codecs`.
        append: whether to append to the file at a path instead of overwriting it.
        close: whether to close both in the end, however it ends. A sink that can tell (a stream) is
            failed instead if not all came.
        source_type: what ``source`` is, where it cannot be seen; see `convert`.

    Returns:
        How many bytes that was.

    Raises:
        TypeError: ``source`` gives no bytes, or ``sink`` takes none; the message names both.
        ValueError: both are the same file.
        ResourceClosed: ``sink`` is a stream that was closed before all was in.
        Exception: what reading or writing raises. What was moved until then stays moved.
    """
    options = Options(chunk_size=chunk_size, encoding=encoding, errors=errors, append=append)
    check_flag("close", close)
    start = None if source_type is None else kind_of_type("source_type", source_type)
    route = _route_of(source, sink, start)
    _check_not_the_same(source, sink)
    try:
        moved = route(options, close=close)
    except BaseException as error:
        if close:
            _end(sink, stopped(error))
            close_of(source)
        raise
    if close:
        _end(sink, None)
        close_of(source)
    return moved


def _end(sink: Any, error: BaseException | None) -> None:
    """Close a sink; if there is an error, and it can tell, say so."""
    fail = getattr(sink, "fail", None)
    if error is None or fail is None:
        close_of(sink)
    else:
        fail(error)


def write_file(x: Any, path: Path, options: Options, source_type: Any) -> None:
    """Write ``x`` into a file, and leave ``x`` open; see `galeph.byte_streams.convert`."""
    start = None if source_type is None else kind_of_type("source_type", source_type)
    route = _route_of(x, path, start)
    _check_not_the_same(x, path)
    route(options, close=False)


# -- finding the route


class _Route:
    """A transfer, and the ways to what it takes."""

    def __init__(self, fn: Transfer, source: tuple[Any, Way], sink: tuple[Any, Way]) -> None:
        self._fn = fn
        self._source = source
        self._sink = sink

    @property
    def rank(self) -> Rank:
        """What it counts for in the choice of the route."""
        return rank_of((*self._source[1], *self._sink[1]))

    def __call__(self, options: Options, *, close: bool) -> int:
        source = walk(*self._source, options)
        try:
            moved = self._move(source, options, close=close)
        finally:
            if source is not self._source[0]:
                give_up(source)
        return moved

    def _move(self, source: Any, options: Options, *, close: bool) -> int:
        given = self._sink[0]
        sink = walk(*self._sink, options)
        # What the caller's own sink was made into is the caller's, too.
        is_ours = sink is not given and (close or not isinstance(given, Closeable))
        try:
            moved = self._fn(source, sink, options)
        except BaseException as error:
            if is_ours:
                _end(sink, stopped(error))
            raise
        if is_ours:
            _end(sink, None)
        return moved


def _route_of(source: Any, sink: Any, start: Kind | None) -> _Route:
    graph = current_graph()
    sources = _candidates(source) if start is None else [(start, source)]
    best = min(_routes(graph, sources, _candidates(sink)), key=lambda r: r.rank, default=None)
    if best is None:
        raise TypeError(f"cannot transfer from {type(source).__name__} to {type(sink).__name__}")
    return best


def _candidates(x: Any) -> _Candidates:
    return [(kind, x if adapt is None else adapt(x)) for kind, adapt in kinds_of(x)]


def _routes(graph: Graph, sources: _Candidates, sinks: _Candidates) -> Iterator[_Route]:
    for (start, goal), fn in graph.transfers.items():
        source = _first_way(graph, sources, start)
        sink = _first_way(graph, sinks, goal)
        if source is not None and sink is not None:
            yield _Route(fn, source, sink)


def _first_way(graph: Graph, candidates: _Candidates, goal: Kind) -> tuple[Any, Way] | None:
    for kind, thing in candidates:
        way = graph.way(kind, goal)
        if way is not None:
            return thing, way
    return None


def _check_not_the_same(source: Any, sink: Any) -> None:
    """Refuse to write into the file that is read: it would be empty, or never end."""
    one, other = _status(source), _status(sink)
    # Two ends of a terminal are one device, and are meant to be.
    if one is None or other is None or not stat.S_ISREG(one.st_mode):
        return
    if os.path.samestat(one, other):
        raise ValueError("sink is the very file that source is")


def _status(x: Any) -> os.stat_result | None:
    place = x.path if isinstance(x, FileRegion) else x
    try:
        return place.stat() if isinstance(place, Path) else os.fstat(place.fileno())
    except (AttributeError, OSError, ValueError):
        return None  # no file, not there yet, closed, or a file object without a descriptor


def has_transfer(source_type: Any, sink_type: Any) -> bool:
    """Whether `transfer` knows a route from one type to the other."""
    sources = [(kind_of_type("source_type", source_type), None)]
    sinks = [(kind_of_type("sink_type", sink_type), None)]
    return next(_routes(current_graph(), sources, sinks), None) is not None


# -- teaching it


@overload
def def_transfer(source_type: Any, sink_type: Any, fn: None = None) -> Callable[[F], F]: ...
@overload
def def_transfer(source_type: Any, sink_type: Any, fn: F) -> F: ...
def def_transfer(source_type: Any, sink_type: Any, fn: Transfer | None = None) -> Any:
    """Teach `transfer` a route of its own between two types; for the whole process.

    It is taken for all that can be converted to the two types, if that is no detour.

    Args:
        source_type: a type the way `convert` takes it.
        sink_type: likewise.
        fn: ``fn(source, sink, options)`` moves all bytes and returns how many those were. It closes
            neither. Without ``fn`` this is a decorator for it.

    Returns:
        ``fn``, or the decorator.

    Raises:
        TypeError: an argument is not what it should be, or ``fn`` cannot be called so.
    """
    start, goal = kind_of_type("source_type", source_type), kind_of_type("sink_type", sink_type)

    def define(fn: F) -> F:
        check_takes(fn, "source", "sink", "options")
        current_graph().add_transfer(start, goal, fn)
        return fn

    return define if fn is None else define(fn)


# -- the routes there are from the beginning


def add_standard_transfers(graph: Graph) -> None:
    """Give a graph the transfers that are there from the beginning."""
    of_path, of_region = Kind("one", Path), Kind("one", FileRegion)
    of_input, of_output = Kind("one", BinaryIO), Kind("one", BinaryWriter)
    graph.add_transfer(of_region, of_path, _copy_file)
    graph.add_transfer(of_region, of_output, _send_file)
    graph.add_transfer(of_input, of_path, _receive_file)
    graph.add_transfer(of_input, of_output, _copy)
    graph.add_transfer(Kind("one", ByteSource), Kind("one", ByteSink), _take_and_send)
    graph.add_transfer(Kind("iterator", bytes), Kind("one", ByteSink), _send_each)


def _send_each(pieces: Iterator[bytes], sink: ByteSink, options: Options) -> int:
    """Have a sink take pieces as they are, unless the caller wants smaller ones."""
    moved = 0
    pace = Pace()
    for piece in pieces:
        pace.before(len(piece))
        for part in Slices(piece, options.chunk_size):
            sink.send_bytes(part)
            moved += len(part)
    return moved


def _take_and_send(source: ByteSource, sink: ByteSink, options: Options) -> int:
    size = options.size_or(TRANSFER_BYTES)
    return _send_each(iter(lambda: source.take_bytes(size) or b"", b""), sink, options)


def _copy(source: BinaryIO, sink: BinaryIO, options: Options) -> int:
    """Copy from one file object to another."""
    return _send_each(Reads(source, options.size_or(COPY_BYTES)), FileSink(sink), options)


def _receive_file(source: BinaryIO, path: Path, options: Options) -> int:
    with closing(open_sink(path, options)) as sink:
        return _send_each(Reads(source, options.size_or(FILE_IN_BYTES)), sink, options)


def _send_file(region: FileRegion, sink: BinaryIO, options: Options) -> int:
    with closing(FilePieces(region, region.size_or(options, FILE_OUT_BYTES))) as pieces:
        return _send_each(pieces, FileSink(sink), options)


def _copy_file(region: FileRegion, path: Path, options: Options) -> int:
    """Copy from file to file, inside the kernel where it can."""
    size = options.size_or(FILE_IN_BYTES)
    with opened(region) as file, closing(open_sink(path, options)) as sink:
        moved = _copy_in_kernel(file.fileno(), sink.file.fileno(), region, size)
        if moved:
            return moved
        # It could not (appending, other systems), or there is nothing.
        return _send_each(FilePieces(region, size), sink, options)


def _copy_in_kernel(from_fd: int, to_fd: int, region: FileRegion, size: int) -> int:
    moved = 0
    pace = Pace()
    while region.length is None or moved < region.length:
        count = size if region.length is None else min(size, region.length - moved)
        pace.before(count)
        try:
            sent = os.sendfile(to_fd, from_fd, region.offset + moved, count)
        except OSError:
            if moved:
                raise
            return 0
        if not sent:
            break
        moved += sent
    if moved and region.length is not None and moved < region.length:
        raise EOFError(f"{region.path} was shortened: {region.length - moved} bytes are missing")
    return moved


add_standard_transfers(current_graph())
