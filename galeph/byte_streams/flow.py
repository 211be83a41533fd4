"""Streams in, streams out: text and bytes converted while they flow.

They are operators like those of `galeph.stream`: they have no greenlet and no queue, what fails in
them fails the stream they return and closes the one they take from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from galeph.byte_streams.options import Options
from galeph.byte_streams.text import Decoder, Encoder
from galeph.stream import Source, Stream, connect
from galeph.stream.operators import Derived
from galeph.stream.steps import SKIP

__all__ = ["buffered", "decoded", "encoded"]


class _Recode:
    """The stage of an operator: one message in, one or none out, and at the end what is left."""

    __slots__ = ("_convert", "_finish")

    def __init__(self, convert: Callable[[Any], Any], finish: Callable[[], Any]) -> None:
        self._convert = convert
        self._finish = finish

    def step(self, message: Any) -> Any:
        return self._convert(message) or SKIP

    def finish(self) -> Iterable[Any]:
        rest = self._finish()
        return (rest,) if rest else ()


def decoded(pieces: Source[bytes | str], options: Options) -> Source[str]:
    """Return a stream of the text of a stream; no message of it is empty."""
    decoder = Decoder(options)
    return Derived(pieces, _Recode(decoder.decode, decoder.finish), "decode")


def encoded(pieces: Source[bytes | str], options: Options) -> Source[bytes]:
    """Return a stream of the bytes of a stream; no message of it is empty."""
    encoder = Encoder(options)
    return Derived(pieces, _Recode(encoder.encode, encoder.finish), "encode")


def buffered(pieces: Source[bytes], size: int) -> Source[bytes]:
    """Return a stream that takes up to ``size`` bytes before they are asked for."""
    buffer = Stream[bytes](size, metric=len)
    # How that ends the buffer tells.
    connect(pieces, buffer, description={"op": "buffer"}).on_realized(_ignore, _ignore)
    return buffer


def _ignore(_: object) -> None:
    pass
