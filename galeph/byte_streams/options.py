"""How a conversion is to be done, and how much it handles at a time where nobody says.

`Options` is what every conversion function is given beside the thing itself.
"""

from __future__ import annotations

import codecs
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from galeph._arguments import check_flag

__all__ = [
    "COPY_BYTES",
    "DECODE_BYTES",
    "FILE_IN_BYTES",
    "FILE_OUT_BYTES",
    "MAP_BYTES",
    "PIECE_BYTES",
    "READER_CHARACTERS",
    "TRANSFER_BYTES",
    "Options",
    "check_integer",
    "check_takes",
]

# What one step handles at a time without a `chunk_size`.

# A binary file object, or a file, cut into pieces.
PIECE_BYTES = 4096
# From one open file object into another.
COPY_BYTES = 4096
# The loop that can move anything into anything.
TRANSFER_BYTES = 1024
# Bytes of a file object that are to become text.
DECODE_BYTES = 1024
# The text of a text file object.
READER_CHARACTERS = 2048
# From anywhere into a file, and from a file to anywhere: no copy is kept for longer than a write.
FILE_IN_BYTES = 10_000_000
FILE_OUT_BYTES = 1_000_000
# A mapping costs address space and no memory; up to here a file is one piece.
MAP_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `convert`, for those who write conversions.

    Attributes:
        chunk_size: the most bytes (of text: characters) that a step handles at a time, and that a
            piece of a list, an iterator or a stream has which is made of it; None leaves it to the
            steps. Longer pieces are cut, shorter ones stay as they are: nothing waits for more.
        encoding: the text encoding.
        errors: what a decoder or encoder does about what it cannot convert: ``"strict"`` raises
            UnicodeDecodeError or UnicodeEncodeError, ``"ignore"``, ``"replace"`` and the other
            handlers of `codecs` do what they do everywhere.
        append: whether a file that is written keeps what it has, and grows. Otherwise it is
            overwritten.
        writable: whether mapped pieces of a file may be written to; that changes the file.
        buffer_size: how many bytes a file object made of a stream may take before they are read.

    Raises:
        TypeError, ValueError: an option is wrong; the message names it.
    """

    chunk_size: int | None = None
    encoding: str = "utf-8"
    errors: str = "strict"
    append: bool = False
    writable: bool = False
    buffer_size: int = 0

    def __post_init__(self) -> None:
        size = self.chunk_size
        if size is not None:
            check_integer("chunk_size", size)
            if size < 1:
                raise ValueError(f"chunk_size must be at least 1, not {size}")
        check_integer("buffer_size", self.buffer_size)
        if self.buffer_size < 0:
            raise ValueError(f"buffer_size must not be negative, got {self.buffer_size}")
        check_flag("append", self.append)
        check_flag("writable", self.writable)
        for name in ("encoding", "errors"):
            if not isinstance(given := getattr(self, name), str):
                raise TypeError(f"{name} must be a str, not {given!r}")
        try:
            codec = codecs.lookup(self.encoding)
            # Punycode can only be read and written whole, and Python's codec for pieces is silent.
            is_text = codec._is_text_encoding and codec.name != "punycode"
        except LookupError:
            is_text = False
        if not is_text:
            raise ValueError(
                f"encoding must be a text encoding that has pieces, not {self.encoding!r}"
            )
        try:
            codecs.lookup_error(self.errors)
        except LookupError:
            raise ValueError(f"errors must be an error handler, not {self.errors!r}") from None

    def size_or(self, default: int) -> int:
        """Return ``chunk_size``, or the step's own default."""
        return self.chunk_size or default


def check_takes(fn: Callable[..., Any], *names: str) -> None:
    """Raise a TypeError unless the argument called ``fn`` can be called with arguments like these.

    What does not say which it takes, as some of what is written in C, is believed.
    """
    if not callable(fn):
        raise TypeError(f"fn must be callable, not {type(fn).__name__}")
    try:
        signature = inspect.signature(fn)
    except ValueError:
        return
    try:
        signature.bind(*names)
    except TypeError as error:
        name = getattr(fn, "__qualname__", type(fn).__name__)
        taken = ", ".join(names)
        raise TypeError(f"fn must take ({taken}), but {name}{signature}: {error}") from None


def check_integer(name: str, value: object) -> None:
    """Raise a TypeError if the argument called ``name`` is no integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
