"""The conversions that are there from the beginning.

Beside the types of Python stand a `FileRegion` and whatever implements `ByteSource` or `ByteSink`.
Between text and bytes nothing is lifted item by item: a character may begin in one piece and end in
the next, so pieces are decoded one after the other (`galeph.byte_streams.text`).

What a step costs is how much it does: 0 for nothing but another look at the same memory or file,
about 1 for one pass over it, 2 where text is encoded or decoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from galeph.byte_streams.files import FileRegion, map_region, read_file, read_region
from galeph.byte_streams.flow import buffered, decoded, encoded
from galeph.byte_streams.graph import Conversion, Graph, Step, as_pieces
from galeph.byte_streams.kinds import Kind, Shape
from galeph.byte_streams.options import (
    DECODE_BYTES,
    FILE_OUT_BYTES,
    PIECE_BYTES,
    READER_CHARACTERS,
    Options,
)
from galeph.byte_streams.pieces import (
    Cut,
    Each,
    Flat,
    Messages,
    Reads,
    Taken,
    is_longer,
    slices,
)
from galeph.byte_streams.protocols import BinaryWriter, ByteSink, ByteSource
from galeph.byte_streams.reading import PiecesReader, TextReader
from galeph.byte_streams.text import Decoding, Encoding
from galeph.byte_streams.writing import (
    ByteSinkStream,
    FileSink,
    SinkWriter,
    StreamSink,
    open_sink,
    open_to_write,
)

__all__ = ["add_standard_conversions", "bytes_of_view", "cut"]

_MANY: tuple[Shape, ...] = ("list", "iterator", "stream")


def add_standard_conversions(
    graph: Graph,
    each: Callable[[Any], Conversion],
    each_in_pieces: Callable[[Any], Conversion],
) -> None:
    """Give a graph the conversions that are there from the beginning.

    Args:
        graph: the graph.
        each: ``each(type)`` returns the function that makes one of ``type`` of any thing; or bytes
            of what is still to be decoded, or text of what is still to be encoded.
        each_in_pieces: the same, but it makes `Pieces` of what it would have to gather.
    """
    for add in (_add_memory, _add_files, _add_pieces, _add_sinks):
        add(graph)
    for shape in _MANY:
        _add_unknown(graph, shape, each if shape == "list" else each_in_pieces)


def _one(cls: Any) -> Kind:
    return Kind("one", cls)


def _many(shape: Shape, cls: Any) -> Kind:
    return Kind(shape, cls)


# -- in memory


def bytes_of_view(view: memoryview) -> bytes:
    """Return the memory of a view; of one over all of a bytes object, that object."""
    whole = view.obj
    if type(whole) is bytes and view.nbytes == len(whole) and view.c_contiguous:
        return whole
    return view.tobytes()


def _bytearray_of_view(view: memoryview, _: Options) -> bytearray:
    whole: Any = view.obj
    if type(whole) is bytearray and view.nbytes == len(whole) and view.c_contiguous:
        return whole
    return bytearray(view.tobytes() if view.ndim != 1 or view.format != "B" else view)


def _add_memory(graph: Graph) -> None:
    of_bytes, of_view, of_text = _one(bytes), _one(memoryview), _one(str)
    graph.add(Step(of_bytes, of_view, lambda x, _: memoryview(x), 0))
    graph.add(Step(_one(bytearray), of_view, lambda x, _: memoryview(x), 0))
    graph.add(Step(of_view, of_bytes, lambda x, _: bytes_of_view(x)))
    graph.add(Step(of_view, _one(bytearray), _bytearray_of_view))
    graph.add(Step(of_bytes, _one(BinaryIO), lambda x, _: io.BytesIO(x), 0))
    graph.add(Step(of_text, _one(TextIO), lambda x, _: _string_io(x), 0))
    # Not item by item: see the top.
    graph.add(Step(of_text, of_bytes, _encode, 2), lifted=False)
    graph.add(Step(of_bytes, of_text, _decode, 2), lifted=False)
    for kind in (of_bytes, of_view, of_text):
        pieces = _many("iterator", kind.type)
        graph.add(Step(kind, pieces, lambda x, options: slices(x, options.chunk_size), 0.5))


def _string_io(text: str) -> TextIO:
    # Line ends stay what they are.
    return io.StringIO(text, newline="\n")


def _encode(text: str, options: Options) -> bytes:
    return text.encode(options.encoding, options.errors)


def _decode(data: bytes, options: Options) -> str:
    return data.decode(options.encoding, options.errors)


# -- files and file objects


def _add_files(graph: Graph) -> None:
    of_path, of_region = _one(Path), _one(FileRegion)
    graph.add(Step(of_path, of_region, lambda x, _: FileRegion(x), 0))
    graph.add(Step(of_path, _one(bytes), read_file, gathers=True))
    graph.add(Step(of_path, _one(BinaryIO), lambda x, _: x.open("rb"), 0))
    graph.add(Step(of_path, _one(TextIO), _open_text, 1.5), lifted=False)
    graph.add(Step(of_region, _many("iterator", memoryview), map_region, 0.3))
    graph.add(Step(of_region, _many("iterator", bytes), read_region, 0.4))
    of_file, of_text, of_source = _one(BinaryIO), _one(TextIO), _one(ByteSource)
    graph.add(Step(of_file, _one(bytes), _read_all, 1.5, gathers=True))
    graph.add(Step(of_text, _one(str), lambda x, _: x.read(), 1.5, gathers=True))
    graph.add(Step(of_source, _one(bytes), _take_all, 2, gathers=True))
    graph.add(Step(of_file, _many("iterator", bytes), _reads(PIECE_BYTES)))
    graph.add(Step(of_text, _many("iterator", str), _reads(READER_CHARACTERS)))
    graph.add(Step(of_file, of_source, _byte_source, 1.5))
    graph.add(Step(of_file, _many("iterator", str), _decode_reads, 2.5))
    graph.add(Step(of_file, of_text, _text_reader_of_file, 2), lifted=False)
    from_source = _many("iterator", bytes)
    graph.add(Step(of_source, from_source, lambda x, o: Taken(x, o.size_or(PIECE_BYTES))))


def _open_text(path: Path, options: Options) -> TextIO:
    # Line ends stay what they are.
    return path.open("r", encoding=options.encoding, errors=options.errors, newline="\n")


def _reads(default: int) -> Conversion:
    return lambda file, options: Reads(file, options.size_or(default))


def _read_all(file: Any, options: Options) -> bytes:
    return b"".join(Reads(file, options.size_or(FILE_OUT_BYTES)))


def _take_all(source: ByteSource, options: Options) -> bytes:
    return b"".join(Taken(source, options.size_or(FILE_OUT_BYTES)))


def _decode_reads(file: Any, options: Options) -> Decoding:
    return Decoding(Reads(file, options.size_or(DECODE_BYTES)), options)


def _text_reader_of_file(file: Any, options: Options) -> TextReader:
    pieces = Decoding(Reads(file, options.size_or(READER_CHARACTERS)), options)
    return _text_reader(pieces, options)


def _byte_source(file: Any, options: Options) -> ByteSource:
    if isinstance(file, ByteSource):
        return file
    return PiecesReader(Reads(file, options.size_or(PIECE_BYTES)))


# -- piece by piece


def _add_pieces(graph: Graph) -> None:
    for shape in ("iterator", "stream"):
        recoded = 2 if shape == "iterator" else 2.1
        of_bytes, of_text = _many(shape, bytes), _many(shape, str)
        decode, encode = (_decoding, _encoding) if shape == "iterator" else (decoded, encoded)
        graph.add(Step(of_bytes, of_text, decode, recoded))
        graph.add(Step(of_text, of_bytes, encode, recoded))
    of_bytes, of_text = _many("iterator", bytes), _many("iterator", str)
    graph.add(Step(of_bytes, _one(bytes), lambda x, _: b"".join(x), gathers=True))
    graph.add(Step(of_text, _one(str), lambda x, _: "".join(x), gathers=True))
    for goal in (BinaryIO, ByteSource):
        graph.add(Step(of_bytes, _one(goal), lambda x, _: PiecesReader(as_pieces(x)), 1.5))
    graph.add(Step(of_text, _one(TextIO), lambda x, o: _text_reader(as_pieces(x), o), 1.5))
    graph.add(Step(_many("stream", bytes), _one(BinaryIO), _read_stream, 0))


def _decoding(pieces: Iterable[Any], options: Options) -> Decoding:
    return Decoding(as_pieces(pieces), options)


def _encoding(pieces: Iterable[Any], options: Options) -> Encoding:
    return Encoding(as_pieces(pieces), options)


def _text_reader(pieces: Any, options: Options) -> TextReader:
    return TextReader(pieces, encoding=options.encoding, errors=options.errors)


def _read_stream(stream: Any, options: Options) -> PiecesReader:
    size = options.buffer_size
    return PiecesReader(Messages(buffered(stream, size) if size else stream))


def cut(xs: Any, goal: Kind, size: int) -> Any:
    """Return pieces, which are of the kind ``goal``, none of them longer than ``size``.

    Nothing waits for more: what is shorter stays as it is.
    """
    if goal.shape == "iterator":
        return Cut(as_pieces(xs), size)
    if goal.shape == "stream":
        return xs.mapcat(lambda x: slices(x, size) if is_longer(x, size) else (x,))
    return list(Cut(iter(xs), size)) if any(is_longer(x, size) for x in xs) else xs


# -- items of any type, as bytes or text


def _add_unknown(graph: Graph, shape: Shape, each: Callable[[Any], Conversion]) -> None:
    """Add the steps from several things of any type.

    They are not taken one by one: text among them is encoded in one go, bytes decoded.
    """
    for cls in (bytes, bytearray, memoryview, str, TextIO):
        fn = _Unknown(shape, cls, each(str if cls is TextIO else cls))
        # What goes on piece by piece leaves out the list, whose items are whole.
        cost = {"list": 1.05, "iterator": 1, "stream": 1.1}[shape]
        graph.add(Step(_many(shape, None), _many(shape, cls), fn, cost))


class _Unknown:
    """Makes things of one type of things of any type."""

    def __init__(self, shape: Shape, cls: Any, each: Conversion) -> None:
        self._shape = shape
        self._cls = cls
        self._is_text = cls in (str, TextIO)
        self._each = each

    def __call__(self, xs: Any, options: Options) -> Any:
        cls, text = self._cls, self._is_text
        if self._shape == "stream":
            plain = xs.mapcat(lambda x: self._pieces_of(x, options))
            stream: Any = (decoded if text else encoded)(plain, options)
            return stream if cls in (bytes, str) else stream.map(self._wrap)
        if self._shape == "list" and all(type(x) is cls for x in xs):
            return xs if isinstance(xs, list) else list(xs)
        items = Flat(as_pieces(xs), lambda x: self._plain(x, options))
        pieces: Any = (Decoding if text else Encoding)(items, options)
        if cls not in (bytes, str):
            pieces = Each(pieces, self._wrap)
        return list(pieces) if self._shape == "list" else pieces

    def _plain(self, x: Any, options: Options) -> Any:
        return x if type(x) in (bytes, str) else self._each(x, options)

    def _pieces_of(self, x: Any, options: Options) -> Iterable[Any]:
        if type(x) in (bytes, str):
            return (x,)
        return _OfMessage(iter((x,)), lambda x: self._each(x, options))

    def _wrap(self, x: Any) -> Any:
        if self._cls is TextIO:
            return _string_io(x)
        return x if isinstance(x, self._cls) else self._cls(x)


class _OfMessage(Flat):
    """The pieces of one message; what they are read from is closed when nobody wants the rest."""

    __slots__ = ()

    def __del__(self) -> None:
        self.let_go()


# -- sinks


def _add_sinks(graph: Graph) -> None:
    of_path, of_file, of_sink = _one(Path), _one(BinaryWriter), _one(ByteSink)
    of_stream = _many("sink", bytes)
    graph.add(Step(of_path, of_file, open_to_write))
    graph.add(Step(of_path, of_sink, open_sink))
    graph.add(Step(of_file, of_sink, lambda x, _: FileSink(x)))
    graph.add(Step(of_stream, of_sink, lambda x, _: StreamSink(x)))
    graph.add(Step(of_sink, of_file, lambda x, _: SinkWriter(x)))
    graph.add(Step(of_sink, of_stream, lambda x, _: ByteSinkStream(x)))
