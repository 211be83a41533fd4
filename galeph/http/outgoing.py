"""Bodies as they are sent: whatever a handler returns, as pieces of bytes with a known length
or without.

A body is either *whole* (its bytes are at hand: one write) or *streamed* (pieces are fetched while
they are sent, each written at once). A streamed body is closed when it is done with, however that
came about, so that files, generators and sources never outlive their response.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from gevent.event import AsyncResult

from galeph.byte_streams import to_bytes
from galeph.errors import LocalProtocolError
from galeph.http.body import BodyReader
from galeph.protocol import events
from galeph.stream import Source

if TYPE_CHECKING:
    from galeph.http.response import Response
    from galeph.http.service import Service

__all__ = ["Streamed", "head_of", "prepare_body"]

_PIECE_BYTES = 64 * 1024


class Streamed:
    """A body that is fetched while it is sent; ``length`` is None where nobody knows it.

    ``closable`` is what may be closed while somebody waits for the next piece, to end that wait;
    None where there is no such thing. ``is_taken`` is for whoever sends it: that somebody has begun
    to, and will close it.
    """

    __slots__ = ("_body", "_pieces", "closable", "is_taken", "length")

    def __init__(self, body: Any, pieces: Iterable[Any], length: int | None) -> None:
        self._body = body
        self._pieces = pieces
        self.length = length
        self.closable = body if isinstance(body, (Source, BodyReader)) else None
        self.is_taken = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            data = piece if type(piece) is bytes else to_bytes(piece)
            if data:
                yield data

    def close(self) -> None:
        """Close what the pieces come from, if it can be closed."""
        both = (self._body, self._pieces)
        for one in both[: 1 if self._pieces is self._body else 2]:
            close = getattr(one, "close", None)
            if close is not None:
                close()


def prepare_body(body: Any) -> bytes | Streamed:
    """Return the body as bytes, or as a `Streamed`; waits for a Deferred body.

    Raises:
        TypeError: nothing that can be sent.
    """
    if type(body) is bytes:
        return body
    if type(body) is str:
        return body.encode()
    if body is None:
        return b""
    if isinstance(body, (str, bytes, bytearray, memoryview)):
        return to_bytes(body)
    if isinstance(body, AsyncResult):
        return prepare_body(body.get())
    if isinstance(body, (list, tuple)):
        return b"".join(map(to_bytes, body))
    if isinstance(body, Source):
        return Streamed(body, body, None)
    if isinstance(body, BodyReader) and body.length == 0 and not body.has_begun:
        body.close()
        return b""
    if hasattr(body, "read"):
        return _prepare_file(body)
    if isinstance(body, Iterable) and not isinstance(body, dict):
        return Streamed(body, body, None)
    raise TypeError(
        f"a body must be bytes, str, a file, an iterable of these or a Source, not {body!r}"
    )


def head_of(
    response: Response, body: bytes | Streamed, method: str, service: Service
) -> events.Response:
    """Return the event that begins the response, with this (prepared) body, to this method.

    Raises:
        LocalProtocolError: its status allows no body, and there is one.
    """
    status = response.status
    event = events.Response(status, response.headers, response.reason)
    event.defaults = service.default_fields()
    if response.http_version:
        event.headers = service.fields_to_forward(response)
    if isinstance(body, bytes):
        event.end_stream = not body
        if body or method != "HEAD" or not _knows_its_length(response):
            event.content_length = len(body)
    elif response.trailers is None:
        event.content_length = body.length
    if status in (204, 205, 304):
        if body != b"":
            raise LocalProtocolError(f"a {status} response has no body")
        event.content_length = 0 if status == 205 else None  # RFC 9110 section 15.3.6
    return event


def _knows_its_length(response: Response) -> bool:
    """Whether the answer to HEAD speaks of the body GET would get (RFC 9110 section 8.6)."""
    return bool(response.http_version) or "content-length" in response.headers


def _prepare_file(file: Any) -> Streamed:
    """Return a file's rest, as long as it is now: a log may grow while it is sent."""
    length = _remaining_length(file)
    # read1 gives what is there; read would hold back a slow source until 64 KiB are full.
    read = getattr(file, "read1", None) or file.read
    if length == 0 and not isinstance(file, BodyReader) and (first := read(_PIECE_BYTES)):
        # So it is with the files of /proc: the system does not say how long they are.
        return Streamed(file, chain([first], _read_pieces(read, None)), None)
    return Streamed(file, _read_pieces(read, length), length)


def _read_pieces(read: Callable[[int], Any], length: int | None) -> Iterator[Any]:
    left = length
    while left != 0 and (piece := read(_PIECE_BYTES if left is None else min(left, _PIECE_BYTES))):
        yield piece
        if left is not None:
            left = max(left - len(piece), 0)


def _remaining_length(file: Any) -> int | None:
    """How many bytes are left in a file, where that can be known without reading it."""
    if isinstance(file, BodyReader):
        return None if file.has_begun else file.length
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and "b" in getattr(file, "mode", "b"):
            return max(status.st_size - int(file.tell()), 0)
    except (AttributeError, OSError, ValueError):
        pass  # no real file (BytesIO raises UnsupportedOperation, which is both): try to seek
    try:
        if file.seekable() and isinstance(file.read(0), bytes):
            here = file.tell()
            end = file.seek(0, os.SEEK_END)
            file.seek(here)
            return max(int(end) - int(here), 0)
    except (AttributeError, OSError):
        pass  # a stream of its own kind, whose length only its end tells
    return None
