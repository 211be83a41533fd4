"""`Kind`: what a thing is, as far as conversions care, and how types are written down.

A kind is a type on its own or several of them: in a list, from an iterator, from a stream; or a
sink for them. Users write kinds as types: ``bytes``, ``list[bytes]``, ``Iterator[str]``,
``Source[bytes]``, ``BinaryIO``. Of what an iterator or a stream gives nobody knows the type before
it comes; then it is None here, and each item is converted for what it is.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Final, Literal, TextIO, get_args, get_origin

from gevent.queue import Channel, SimpleQueue

from galeph.byte_streams.protocols import BinaryWriter
from galeph.stream import Sink, Source, sink, source

__all__ = ["Kind", "Shape", "kind_of_type", "kinds_of", "type_of_kind"]

Shape = Literal["one", "list", "iterator", "stream", "sink"]

# What a user may write -> the shape it stands for; the first of a shape is what we write.
_SHAPES: Final[dict[Any, Shape]] = {
    list: "list",
    Iterator: "iterator",
    Source: "stream",
    Sink: "sink",
    tuple: "list",
    Sequence: "list",
    Iterable: "iterator",
    Generator: "iterator",
}
_FORMS: Final[dict[Shape, Any]] = {
    "list": list,
    "iterator": Iterator,
    "stream": Source,
    "sink": Sink,
}
_PLAIN = (bytes, bytearray, memoryview, str)
_QUEUES = (SimpleQueue, Channel)


@dataclass(frozen=True, slots=True)
class Kind:
    """A type, alone or several of them; ``type`` is None where that is not known."""

    shape: Shape
    type: Any

    def fits(self, other: Kind) -> bool:
        """Whether what is of this kind is of the ``other`` kind, too."""
        if self.shape != other.shape:
            return False
        return other.type is None or _is_subtype(self.type, other.type)

    def __str__(self) -> str:
        if self.shape == "one":
            return _name(self.type)
        name = _FORMS[self.shape].__name__
        return name if self.type is None else f"{name}[{_name(self.type)}]"


def _name(cls: Any) -> str:
    return getattr(cls, "__name__", repr(cls))


def _is_subtype(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return issubclass(one, other)
    except TypeError:  # None, or a protocol that cannot be checked
        return False


# -- as types


def kind_of_type(name: str, form: Any) -> Kind:
    """Return the kind that a type stands for.

    Raises:
        TypeError: ``form``, which the caller calls ``name``, stands for none.
    """
    if form in (IO[bytes], IO[str]):
        return Kind("one", BinaryIO if form == IO[bytes] else TextIO)
    origin = get_origin(form)
    if origin in _SHAPES:
        item = _item_type(name, form)
        return Kind(_SHAPES[origin], item)
    if isinstance(form, type):
        return Kind(_SHAPES[form], None) if form in _SHAPES else Kind("one", form)
    raise TypeError(f"{name} must be a type such as bytes or Iterator[bytes], not {form!r}")


def _item_type(name: str, form: Any) -> Any:
    item = next(iter(get_args(form)), Any)
    if item is Any:
        return None
    kind = kind_of_type(name, item)
    if kind.shape != "one":
        raise TypeError(f"{name} must be of single things, not {form!r}")
    return kind.type


def type_of_kind(kind: Kind) -> Any:
    """Return a kind the way users write it."""
    if kind.shape == "one":
        return kind.type
    form = _FORMS[kind.shape]
    return form if kind.type is None else form[kind.type]


# -- of things


def kinds_of(x: Any) -> Iterator[tuple[Kind, Callable[[Any], Any] | None]]:
    """Say what ``x`` is: its own type first, then what else it can be taken for.

    With each kind comes the function that makes the one of the other, where they are not the same.
    """
    yield Kind("one", type(x)), None
    if isinstance(x, _PLAIN):
        return
    if isinstance(x, Source):
        yield Kind("stream", None), None
    elif isinstance(x, _QUEUES):
        yield Kind("stream", None), source
        yield Kind("sink", bytes), sink
        return
    if isinstance(x, Sink):
        yield Kind("sink", bytes), None
    if isinstance(x, (list, tuple)):
        yield Kind("list", None), None
    elif _has_buffer(x):
        yield Kind("one", memoryview), memoryview
    if hasattr(x, "read") or hasattr(x, "write"):
        yield from ((Kind("one", cls), None) for cls in _file_types(x))
    elif isinstance(x, Iterable) and not isinstance(x, (Mapping, Source, list, tuple)):
        yield Kind("iterator", None), None


def _has_buffer(x: Any) -> bool:
    """Whether ``x`` lends its memory: an array, a memory map, a numpy array."""
    try:
        memoryview(x).release()
    except (TypeError, BufferError):
        return False
    return True


def _file_types(x: Any) -> Iterator[Any]:
    # An encoding tells text files from binary ones also where they are wrapped, as tempfile does.
    is_text = isinstance(x, io.TextIOBase) or isinstance(getattr(x, "encoding", None), str)
    if _can(x, "readable", "read"):
        yield TextIO if is_text else BinaryIO
    if not is_text and _can(x, "writable", "write"):
        yield BinaryWriter


def _can(file: Any, question: str, method: str) -> bool:
    ask = getattr(file, question, None)
    return bool(ask()) if callable(ask) else hasattr(file, method)
