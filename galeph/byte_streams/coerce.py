"""One name for each "give me this as ...", whatever it is.

What none of them knows is refused by name; ``str(x).encode()`` of an arbitrary object is a bug that
travels. All take the options of `galeph.byte_streams.convert` that mean something to them, and
raise what it raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from galeph._arguments import check_count, check_flag
from galeph.byte_streams.conversion import convert
from galeph.byte_streams.protocols import BinaryWriter, ByteSink, ByteSource
from galeph.byte_streams.standard import bytes_of_view
from galeph.byte_streams.text import Lines
from galeph.stream import Source

__all__ = [
    "to_byte_sink",
    "to_byte_source",
    "to_bytes",
    "to_chunks",
    "to_file",
    "to_input",
    "to_lines",
    "to_output",
    "to_reader",
    "to_source",
    "to_str",
]


def to_bytes(x: Any) -> bytes:
    """Return ``x`` as bytes, text as UTF-8; blocks until all of it is there.

    It has no options, because it is on the way of every message; ``convert(x, bytes, ...)`` has.

    Args:
        x: what `galeph.byte_streams.convert` takes: bytes, text, a file object, a path, a stream,
            an iterable of such things, ... Bytes come back as the same object.

    Raises:
        TypeError: ``x``, or one of its items, cannot be made bytes; the message names the type.
        UnicodeEncodeError: the text has a lone surrogate.
    """
    if type(x) is bytes:
        return x
    plain = _plain(x)
    if plain is not None:
        return plain
    if isinstance(x, (list, tuple)):
        # The same as what convert does, in a tenth of the time.
        return b"".join([item if type(item) is bytes else _item(item) for item in x])
    return convert(x, bytes)


def _plain(x: Any) -> bytes | None:
    # What derives from text may have been taught a conversion of its own.
    if type(x) is str:
        return x.encode()
    if isinstance(x, bytes) or type(x) is bytearray:
        return bytes(x)
    if isinstance(x, memoryview):
        return bytes_of_view(x)
    return None


def _item(item: Any) -> bytes:
    plain = _plain(item)
    return convert([item], bytes) if plain is None else plain


def to_str(x: Any, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return ``x`` as text; blocks until all of it is there. Pieces are put together.

    Raises:
        UnicodeDecodeError: it is not text in this encoding, and ``errors`` is strict.
    """
    return convert(x, str, encoding=encoding, errors=errors)


def to_chunks(
    x: Any, *, chunk_size: int | None = None, encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[bytes]:
    """Return ``x`` as an iterator of bytes, which fetches them as they are asked for.

    None is longer than ``chunk_size`` bytes. What comes in pieces keeps these if they are not.
    """
    return convert(x, Iterator[bytes], chunk_size=chunk_size, encoding=encoding, errors=errors)


def to_source(
    x: Any, *, chunk_size: int | None = None, encoding: str = "utf-8", errors: str = "strict"
) -> Source[bytes]:
    """Return ``x`` as a stream of bytes, which fetches them as they are taken; see `to_chunks`."""
    return convert(x, Source[bytes], chunk_size=chunk_size, encoding=encoding, errors=errors)


def to_input(
    x: Any,
    *,
    chunk_size: int | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    buffer_size: int = 0,
) -> BinaryIO:
    """Return ``x`` as a binary file object to read from; of a path, the file opened.

    Over a stream it reads when it is read, in the reader's greenlet, which alone blocks. Beside the
    methods of every file object it has ``peek``, ``skip`` and ``available``.

    Args:
        x: what `galeph.byte_streams.convert` takes.
        chunk_size: the most bytes to be read at once from what is not in pieces.
        encoding: how text is encoded.
        errors: ``"strict"``, or another error handler of `codecs`.
        buffer_size: how many bytes may be taken from a stream before they are read.
    """
    return convert(
        x,
        BinaryIO,
        chunk_size=chunk_size,
        encoding=encoding,
        errors=errors,
        buffer_size=buffer_size,
    )


def to_reader(
    x: Any, *, chunk_size: int | None = None, encoding: str = "utf-8", errors: str = "strict"
) -> TextIO:
    """Return ``x`` as a text file object to read from, which decodes as it is read.

    Lines end at line feeds; what stands in front of these stays. Half a character is kept for the
    next read.

    Raises (from a read):
        UnicodeDecodeError: what comes next is not text, and ``errors`` is strict.
    """
    return convert(x, TextIO, chunk_size=chunk_size, encoding=encoding, errors=errors)


def to_lines(
    x: Any,
    *,
    chunk_size: int | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    keep_ends: bool = False,
    max_characters: int | None = None,
) -> Iterator[str]:
    r"""Return the lines of ``x`` as text, each when it is asked for.

    A line ends with ``\n`` or ``\r\n``; the last one need not. What the source fails with is
    raised behind the last whole line: a line that was cut short is never given.

    Args:
        x: what `galeph.byte_streams.convert` takes.
        chunk_size: the most bytes to be read at once from what is not in pieces.
        encoding: how text is encoded.
        errors: ``"strict"``, or another error handler of `codecs`.
        keep_ends: whether lines keep their ends.
        max_characters: how long a line may be. Set it where a stranger writes: a line that never
            ends would fill the memory.

    Raises (from the iterator):
        UnicodeDecodeError: what comes next is not text, and ``errors`` is strict.
        ValueError: a line is longer than ``max_characters``.
    """
    check_flag("keep_ends", keep_ends)
    check_count("max_characters", max_characters, least=0, optional=True)
    texts = convert(x, Iterator[str], chunk_size=chunk_size, encoding=encoding, errors=errors)
    return Lines(texts, keeps_ends=keep_ends, max_characters=max_characters)


def to_file(
    x: Any,
    path: Path | str,
    *,
    append: bool = False,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> Path:
    """Write ``x`` into the file at ``path``, and return that; blocks until all is written.

    Args:
        x: what `galeph.byte_streams.convert` takes.
        path: the file; it is made if it is not there.
        append: whether to append to the file, instead of overwriting it.
        encoding: how text is encoded.
        errors: ``"strict"``, or another error handler of `codecs`.

    Raises:
        OSError: the file cannot be opened or written.
        ValueError: ``x`` is that file.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a Path or a str, not {path!r}")
    return convert(x, Path(path), append=append, encoding=encoding, errors=errors)


def to_output(x: Any, *, append: bool = False) -> BinaryIO:
    """Return ``x`` as a binary file object to write to.

    Args:
        x: a path, whose file is opened; a stream, into which each write puts a message and blocks
            until it is accepted; a `ByteSink`; or a writable file object, which comes back.
        append: whether to append to a file instead of overwriting it.
    """
    return cast("BinaryIO", convert(x, BinaryWriter, append=append))


def to_byte_source(
    x: Any, *, chunk_size: int | None = None, encoding: str = "utf-8", errors: str = "strict"
) -> ByteSource:
    """Return ``x`` as an object with ``take_bytes(size)``, which gives None at the end."""
    return convert(x, ByteSource, chunk_size=chunk_size, encoding=encoding, errors=errors)


def to_byte_sink(x: Any, *, append: bool = False) -> ByteSink:
    """Return ``x`` as an object with ``send_bytes(data)``; see `to_output` for what it may be."""
    return convert(x, ByteSink, append=append)
