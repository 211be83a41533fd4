"""Text from bytes and back, piece by piece.

Decoding is incremental: a character whose bytes come in two pieces waits for the second. It is
strict unless told otherwise: what is not text raises the UnicodeDecodeError that ``bytes.decode``
would, and so does a character whose end never comes.

Both directions take pieces of both sorts: what is text already (bytes already) passes as it is.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterator

from galeph.byte_streams.options import Options
from galeph.byte_streams.pieces import Pieces

__all__ = ["Decoder", "Decoding", "Encoder", "Encoding", "Lines"]


class Decoder:
    """Makes text of pieces, one after the other, and keeps half characters for the next."""

    __slots__ = ("_decoder", "_encoding")

    def __init__(self, options: Options) -> None:
        self._encoding = options.encoding
        self._decoder = codecs.getincrementaldecoder(options.encoding)(options.errors)

    def decode(self, piece: bytes | str) -> str:
        """Return the text that is complete now; "" if none is."""
        if isinstance(piece, str):
            return self.finish() + piece if self._decoder.getstate()[0] else piece
        try:
            return self._decoder.decode(piece)
        except UnicodeDecodeError:
            raise
        except UnicodeError as error:
            # UTF-16 and UTF-32 without a byte order mark, which in pieces they must have.
            data = bytes(piece)
            raise UnicodeDecodeError(self._encoding, data, 0, len(data), str(error)) from None

    def finish(self) -> str:
        """Return what was kept.

        Raises:
            UnicodeDecodeError: that is half a character.
        """
        return self._decoder.decode(b"", final=True)


class Encoder:
    """Makes bytes of pieces, one after the other; a byte order mark comes once."""

    __slots__ = ("_encoder", "_is_in_text")

    def __init__(self, options: Options) -> None:
        self._encoder = codecs.getincrementalencoder(options.encoding)(options.errors)
        self._is_in_text = False

    def encode(self, piece: bytes | str) -> bytes:
        """Return the bytes of a piece."""
        if isinstance(piece, str):
            self._is_in_text = True
            return self._encoder.encode(piece)
        rest = self.finish() if self._is_in_text else b""
        return rest + piece if rest else piece

    def finish(self) -> bytes:
        """Return what some encodings write behind the last character; nothing behind bytes."""
        if not self._is_in_text:
            return b""  # to end what has not begun would write a byte order mark
        self._is_in_text = False
        return self._encoder.encode("", final=True)


class Decoding(Pieces[str]):
    """Pieces as text. None of them is empty."""

    __slots__ = ("_decoder",)

    def __init__(self, pieces: Iterator[bytes | str], options: Options) -> None:
        super().__init__(pieces)
        self._decoder: Decoder | None = Decoder(options)

    def _next(self) -> str:
        while self._decoder is not None:
            try:
                piece = next(self._upstream)
            except StopIteration:
                decoder, self._decoder = self._decoder, None
                text = decoder.finish()
            else:
                text = self._decoder.decode(piece)
            if text:
                return text
        raise StopIteration


class Encoding(Pieces[bytes]):
    """Pieces as bytes. None of them is empty."""

    __slots__ = ("_encoder",)

    def __init__(self, pieces: Iterator[bytes | str], options: Options) -> None:
        super().__init__(pieces)
        self._encoder: Encoder | None = Encoder(options)

    def _next(self) -> bytes:
        while self._encoder is not None:
            try:
                piece = next(self._upstream)
            except StopIteration:
                encoder, self._encoder = self._encoder, None
                data = encoder.finish()
            else:
                data = self._encoder.encode(piece)
            if data:
                return data
        raise StopIteration


class Lines(Pieces[str]):
    """The lines of a text that comes in pieces; see `galeph.byte_streams.to_lines`."""

    __slots__ = ("_keeps_ends", "_limit", "_parts", "_ready", "_size")

    def __init__(
        self, texts: Iterator[str], *, keeps_ends: bool, max_characters: int | None
    ) -> None:
        super().__init__(texts)
        self._keeps_ends = keeps_ends
        self._limit = max_characters
        self._ready: deque[str] = deque()
        # The beginning of a line whose end has not come, and how long it is.
        self._parts: list[str] = []
        self._size = 0

    def _next(self) -> str:
        while not self._ready:
            self._check_beginning()
            try:
                text = next(self._upstream)
            except StopIteration:
                if not self._parts:
                    raise
                return self._cut()
            self._add(text)
        return self._without_end(self._ready.popleft())

    def _add(self, text: str) -> None:
        first, *others = text.split("\n")
        if first:
            self._parts.append(first)
            self._size += len(first)
        if others:
            self._ready.append(self._cut() + "\n")
            self._ready.extend(line + "\n" for line in others[:-1])
            if others[-1]:
                self._parts.append(others[-1])
                self._size = len(others[-1])

    def _cut(self) -> str:
        line = "".join(self._parts)
        self._parts, self._size = [], 0
        return line

    def _without_end(self, line: str) -> str:
        bare = line[:-2] if line.endswith("\r\n") else line[:-1]
        self._check_length(len(bare))
        return line if self._keeps_ends else bare

    def _check_beginning(self) -> None:
        # A carriage return may turn out to be a part of the line's end.
        is_maybe_whole = bool(self._parts) and self._parts[-1].endswith("\r")
        self._check_length(self._size - is_maybe_whole)

    def _check_length(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise ValueError(f"a line of more than {self._limit} characters, which is the limit")
