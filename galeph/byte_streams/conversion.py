"""`convert` and what one can ask and teach it.

The graph of all conversions stands here, the only one of the process: what a program defines holds
for the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from galeph.byte_streams.graph import Conversion, Graph, Step, Way, as_pieces, rank_of
from galeph.byte_streams.kinds import Kind, kind_of_type, kinds_of, type_of_kind
from galeph.byte_streams.options import Options, check_takes
from galeph.byte_streams.pieces import Items, Messages, Pieces, give_up
from galeph.byte_streams.protocols import Closeable
from galeph.byte_streams.reading import PiecesReader, TextReader
from galeph.byte_streams.standard import add_standard_conversions, cut
from galeph.stream import Source, source

__all__ = [
    "IMPOSSIBLE",
    "conversion_cost",
    "conversion_path",
    "convert",
    "current_graph",
    "def_conversion",
    "make",
    "possible_conversions",
    "walk",
    "way_from",
]

T = TypeVar("T")
C = TypeVar("C", bound=Conversion)

# What a conversion costs that does not exist.
IMPOSSIBLE: Final = 9999.0
_DEFAULTS: Final = Options()
_TEXT: Final = Kind("one", str)
_SEVERAL: Final = ("list", "iterator", "stream")
_CAN_BE_CUT: Final = (bytes, bytearray, memoryview, str)
# Of what becomes one of them by being encoded (text: to be decoded), all is encoded together.
_ENCODED: Final = (bytes, bytearray, memoryview, str)


@overload
def convert(
    x: object,
    to: Path,
    *,
    chunk_size: int | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    append: bool = False,
    writable: bool = False,
    buffer_size: int = 0,
    source_type: Any = None,
) -> Path: ...
@overload
def convert(
    x: object,
    to: Callable[..., T],
    *,
    chunk_size: int | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    append: bool = False,
    writable: bool = False,
    buffer_size: int = 0,
    source_type: Any = None,
) -> T: ...
def convert(x: Any, to: Any, *, source_type: Any = None, **options: Any) -> Any:
    """Make ``to`` of ``x``, by the best way through the graph of conversions.

    ``x`` itself comes back if it is what is wanted. What is wanted whole (bytes, text, a list)
    blocks until all of it is there; an iterator, a stream or a file object returns at once, and
    what ``x`` gives passes through it piece by piece, in whose greenlet reads. Files block the OS
    thread shortly, a piece at a time.

    What is opened on the way is closed at the end of the result. Closing the result before that
    closes ``x``, too; otherwise ``x`` stays the caller's.

    Args:
        x: bytes, bytearray, memoryview or anything with a buffer; text; a file object; a `Path`,
            which stands for what is in the file; a `FileRegion`; a list, tuple, iterable or stream
            of such things; a `ByteSource`; for what takes bytes, a stream, a writable file object,
            a path or a `ByteSink`; and what `def_conversion` has taught.
        to: ``bytes``, ``bytearray``, ``memoryview``, ``str``; ``BinaryIO``, ``TextIO``, readable;
            ``list``, ``Iterator`` or ``Source`` of any of them; ``ByteSource``, ``ByteSink``,
            ``BinaryWriter``, ``Sink[bytes]``; a type that `def_conversion` has taught. Or a path,
            into which all is written, and which is returned.
        source_type: what ``x`` is, where it cannot be seen: ``Source[bytes]`` for a stream of
            nothing else. Without it each item of a stream or an iterator is converted for what it
            is.
        **options: how it is to be done; `Options` tells it.

    Raises:
        TypeError: there is no way from ``x`` to ``to``; the message names both.
        ValueError: an option is wrong.
        UnicodeDecodeError, UnicodeEncodeError: a strict conversion met what it cannot convert. A
            stream that is returned fails with it.
        Exception: whatever reading ``x`` raises.
    """
    chosen = _options(options) if options else _DEFAULTS
    if isinstance(to, Path):
        # At the call: transfers are built on conversions.
        from galeph.byte_streams.transfers import write_file

        write_file(x, to, chosen, source_type)
        return to
    start = None if source_type is None else kind_of_type("source_type", source_type)
    return make(x, kind_of_type("to", to), chosen, start)


def _options(given: dict[str, Any]) -> Options:
    """Make options of what was given, and refuse others by name: not by that of the class."""
    for name in given:
        if name not in Options.__dataclass_fields__:
            raise TypeError(f"convert() got an unexpected keyword argument {name!r}")
    return Options(**given)


def make(x: Any, goal: Kind, options: Options, start: Kind | None = None) -> Any:
    """Make a thing of kind ``goal`` of ``x``, which is of kind ``start``; see `convert`."""
    found = way_from(x, goal, start)
    if found is None:
        raise TypeError(f"cannot make {goal} of {type(x).__name__}")
    x, way = found
    size = options.chunk_size
    if size is not None and goal.shape in _SEVERAL and goal.type in _CAN_BE_CUT:
        way = (*way, Step(goal, goal, lambda pieces, _: cut(pieces, goal, size)))
    return walk(x, way, options)


def way_from(x: Any, goal: Kind, start: Kind | None = None) -> tuple[Any, Way] | None:
    """Return what to start from, and the best way from there; None if there is none.

    The type of ``x`` itself goes before what else it might be taken for.
    """
    if start is not None:
        way = _graph.way(start, goal)
        return None if way is None else (x, way)
    for kind, adapt in kinds_of(x):
        way = _graph.way(kind, goal)
        if way is not None:
            return (x if adapt is None else adapt(x)), way
    return None


def walk(x: Any, way: Way, options: Options) -> Any:
    """Take every step of a way. What is opened on it is closed by its result, or here."""
    result = x
    for step in way:
        before = result
        try:
            result = step.fn(before, options)
        except BaseException:
            if not _is_callers(before, x):
                give_up(before)
            raise
        if before is not x and result is not before:
            result = _keep(result, before, x)
    return result


def _keep(result: Any, before: Any, x: Any) -> Any:
    """Have ``result`` close what it was made of, if it goes on reading there; else close it."""
    if not isinstance(before, Closeable) or _is_callers(before, x):
        return result
    if isinstance(result, (Pieces, PiecesReader, TextReader)):
        result.own(before)
    elif isinstance(result, Source):
        if not isinstance(before, (Source, Pieces)):
            return source(_owning(Messages(result), before))
    elif isinstance(result, Iterator) and not hasattr(result, "read"):
        return _owning(Items(result), before)
    elif not isinstance(result, Closeable):
        give_up(before)
    return result


def _owning(pieces: Pieces[Any], resource: Any) -> Pieces[Any]:
    pieces.own(resource)
    return pieces


def _is_callers(thing: Any, x: Any) -> bool:
    """Whether closing ``thing`` would close what is not ours."""
    return thing is x or (isinstance(thing, Source) and isinstance(x, Closeable))


# -- items of any type


def _each(cls: Any) -> Conversion:
    """Return the function that makes one of ``cls`` of an item of any type.

    It leaves decoding, and encoding to bytes, to whoever sees all the items: a character may begin
    in one and end in the next, and a byte order mark stands in front of the first only.
    """
    goal = Kind("one", bytes if cls is str else cls)

    def convert_item(x: Any, options: Options) -> Any:
        return walk(*_way_of_item(x, cls, goal), options)

    return convert_item


def _each_in_pieces(cls: Any) -> Conversion:
    """Return the function that does so, and makes `Pieces` of what it would have to gather."""
    goal = Kind("one", bytes if cls is str else cls)

    def convert_item(x: Any, options: Options) -> Any:
        start, way = _way_of_item(x, cls, goal)
        if rank_of(way)[1]:
            last = _TEXT if way[-1].goal == _TEXT else goal
            found = way_from(x, Kind("iterator", last.type))
            if found is not None and not rank_of(found[1])[1]:
                return as_pieces(walk(*found, options))
        return walk(start, way, options)

    return convert_item


def _way_of_item(x: Any, cls: Any, goal: Kind) -> tuple[Any, Way]:
    found = _as_text(x) if cls is str else None
    found = found or way_from(x, goal)
    if found is None:
        raise TypeError(f"cannot make {goal} of an iterable with a {type(x).__name__} in it")
    return _to_text(x, *found) if cls in _ENCODED else found


def _to_text(x: Any, start: Any, way: Way) -> tuple[Any, Way]:
    """Return the way to the text that is encoded on a way; the way itself if none is."""
    if any(step.start.type is str and step.goal.type is bytes for step in way):
        for at, step in enumerate(way):
            if step.start == _TEXT:
                return start, way[:at]
        return _as_text(x) or (start, way)
    return start, way


def _as_text(x: Any) -> tuple[Any, Way] | None:
    """Return the way to the text of what is text, and needs no decoding."""
    found = way_from(x, _TEXT)
    return None if found is None or rank_of(found[1])[0] else found


_graph = Graph(_each)
add_standard_conversions(_graph, _each, _each_in_pieces)


def current_graph() -> Graph:
    """Return the graph of all conversions."""
    return _graph


# -- teaching it


@overload
def def_conversion(
    source_type: Any, to: Any, fn: None = None, *, cost: float = 1
) -> Callable[[C], C]: ...
@overload
def def_conversion(source_type: Any, to: Any, fn: C, *, cost: float = 1) -> C: ...
def def_conversion(
    source_type: Any, to: Any, fn: Conversion | None = None, *, cost: float = 1
) -> Any:
    """Teach `convert` to make one type of another; for the whole process, and with all it leads to.

    From ``source_type``, and from its subclasses, everything can be made then that can be made of
    ``to``, and the other way round; if neither is several things, also item by item in lists,
    iterators and streams.

    Args:
        source_type: a type the way `convert` takes it.
        to: likewise.
        fn: ``fn(x, options)`` returns the one made of the other; `Options` are those of the call.
            Of what goes on reading from ``x`` only file objects have to close it; for iterators and
            streams that is done. Without ``fn`` this is a decorator for it.
        cost: what counts in the choice of the way, 0 or more.

    Returns:
        ``fn``, or the decorator.

    Raises:
        TypeError: an argument is not what it should be, or ``fn`` cannot be called so.
        ValueError: ``cost`` is negative or not finite.
    """
    start, goal = kind_of_type("source_type", source_type), kind_of_type("to", to)
    if isinstance(cost, bool) or not isinstance(cost, (int, float)):
        raise TypeError(f"cost must be a number, not {type(cost).__name__}")
    if not (isfinite(cost) and cost >= 0):
        raise ValueError(f"cost must be 0 or more, not {cost}")

    def define(fn: C) -> C:
        check_takes(fn, "x", "options")
        _graph.add(Step(start, goal, fn, cost))
        return fn

    return define if fn is None else define(fn)


# -- asking it


def conversion_path(source_type: Any, to: Any) -> list[tuple[Any, Any]] | None:
    """Return the steps `convert` would take, as pairs of types; None if there is no way."""
    way = _graph.way(kind_of_type("source_type", source_type), kind_of_type("to", to))
    if way is None:
        return None
    return [(type_of_kind(step.start), type_of_kind(step.goal)) for step in way]


def possible_conversions(source_type: Any) -> list[Any]:
    """Return everything that can be made of a type, the type itself included."""
    start = kind_of_type("source_type", source_type)
    return [type_of_kind(kind) for kind in _graph.goals(start)]


def conversion_cost(x: object, to: Any) -> float:
    """Return what making ``to`` of the thing ``x`` costs; `IMPOSSIBLE` if there is no way."""
    found = way_from(x, kind_of_type("to", to))
    return IMPOSSIBLE if found is None else rank_of(found[1])[2]
