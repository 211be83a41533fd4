"""The wire tap: logs what happens on connections, and what goes through them, for people.

It wraps any transport and is one; over TLS it sees what is protected, in the clear. What it saw is
noted where it happened and written by a greenlet of its own, in order: a handler of the log may
block and switch, and must do so neither in the hub, nor in a release path, nor between receiving
bytes and returning them. If the log is slower than the connections, they wait for it.

Credentials are masked (`galeph.protocol.masking`): the values of Authorization, Cookie, Set-Cookie
and Proxy-Authorization. Everything else is shown, passwords in bodies and in protocols of one's own
included: a tap is for looking at a connection, and not for every day.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from gevent import spawn_raw
from gevent.event import Event

from galeph._hex_dump import dump_lines
from galeph.protocol.masking import SecretMasker
from galeph.transport.base import Buffer, Transport, address_text
from galeph.transport.sendfile import FilePart
from galeph.transport.sending import views_of, was_sent_anyway
from galeph.transport.wrapping import WrappedTransport

__all__ = ["TappedTransport", "Wiretap", "to_wiretap"]

# Lines that wait to be written, above which connections wait too.
_MOST_WAITING = 1000


class Wiretap:
    """Taps connections: called with a transport it returns one that logs, as an ``on_transport``.

    Args:
        level: a name or number of `logging`. Whether anything is written is up to how the logger
            is set up; the tap changes nothing of that.
        logger: where to write: a logger, or the name of one.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """

    def __init__(
        self, level: str | int = "debug", *, logger: str | logging.Logger = "galeph.wiretap"
    ) -> None:
        self._level = _to_level(level)
        if not isinstance(logger, (str, logging.Logger)):
            raise TypeError(f"logger must be a logger or the name of one, not {logger!r}")
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._waiting: deque[tuple[str, str, bytes | None, SecretMasker | None]] = deque()
        self._is_writing = False
        self._has_room = Event()
        self._has_room.set()

    def __call__(self, transport: Transport) -> TappedTransport:
        """Return a transport like ``transport``, that is tapped."""
        return TappedTransport(transport, self)

    def wait_for_room(self) -> None:
        """Block while the log is behind by very much."""
        if not self._has_room.ready():
            self._has_room.wait()

    def note(
        self, peers: str, what: str, data: bytes | None = None, masker: SecretMasker | None = None
    ) -> None:
        """Have a line written, with these bytes below it. Never switches."""
        if not self._logger.isEnabledFor(self._level):
            if masker is not None:
                masker.lose_track()
            return
        self._waiting.append((peers, what, data, masker))
        if len(self._waiting) >= _MOST_WAITING:
            self._has_room.clear()
        if not self._is_writing:
            self._is_writing = True
            spawn_raw(self._write)

    def _write(self) -> None:
        try:
            while self._waiting:
                peers, what, data, masker = self._waiting.popleft()
                if data is None or masker is None:
                    self._logger.log(self._level, "%s %s", peers, what)
                else:
                    dump = "\n".join(dump_lines([masker.mask(data)]))
                    self._logger.log(self._level, "%s %s\n%s", peers, what, dump)
        finally:
            self._is_writing = False
            self._has_room.set()

    def __repr__(self) -> str:
        return f"<Wiretap {self._logger.name} {logging.getLevelName(self._level)}>"


class TappedTransport(WrappedTransport):
    """A transport that tells a `Wiretap` what it does."""

    __slots__ = ("_in", "_is_over", "_out", "_peers", "_tap")

    def __init__(self, inner: Transport, tap: Wiretap) -> None:
        super().__init__(inner)
        self._tap = tap
        self._in = SecretMasker()
        self._out = SecretMasker()
        self._is_over = False
        info = inner.info
        there = address_text(info.remote_addr, info.remote_port)
        self._peers = f"[{address_text(info.local_addr, info.local_port)} <> {there}]"
        self._note("opened" if info.tls is None else f"opened, {info.tls.version}")

    def _note(self, what: str) -> None:
        self._tap.note(self._peers, what)

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        self._tap.wait_for_room()
        try:
            data = self.inner.recv(max_bytes)
        except Exception as error:
            self._note_failed("receiving", error)
            raise
        self._note_received(data)
        return data

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        try:
            data = self.inner.try_recv(max_bytes)
        except Exception as error:
            self._note_failed("receiving", error)
            raise
        if data is not None:
            self._note_received(data)
        return data

    def _note_received(self, data: bytes) -> None:
        if data:
            self._tap.note(self._peers, f"received {len(data)} bytes", data, self._in)
        else:
            self._note("the peer has ended its side")

    def _note_failed(self, doing: str, error: BaseException) -> None:
        if not self._is_over:
            self._note(f"{doing} ended: {type(error).__name__}: {error}")

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        self._tap.wait_for_room()
        # Copied now: the caller may change it as soon as it is sent.
        sent = b"".join(views_of(data))
        try:
            self.inner.send(data, committed=committed)
        except BaseException as error:
            if was_sent_anyway(error):
                self._note_sent(sent)
            elif isinstance(error, Exception):
                self._note_failed("sending", error)
            raise
        self._note_sent(sent)

    def send_file(self, part: FilePart) -> None:
        self._tap.wait_for_room()
        size = part.left
        try:
            self.inner.send_file(part)
        except BaseException as error:
            if was_sent_anyway(error):
                self._note(f"sends {size} bytes of a file in the background")
            elif isinstance(error, Exception):
                self._note_failed("sending a file", error)
            raise
        self._note(f"sent {size} bytes of a file")

    def try_send(self, data: bytes) -> bool:
        is_accepted = self.inner.try_send(data)
        if is_accepted and data:
            self._note_sent(data)
        return is_accepted

    def _note_sent(self, data: bytes) -> None:
        if data:
            self._tap.note(self._peers, f"sent {len(data)} bytes", data, self._out)

    def send_eof(self) -> None:
        self.inner.send_eof()
        self._note("has ended its side")

    # Ending

    def close(self) -> None:
        self._note_over("closed")
        self.inner.close()

    def abort(self, error: Exception | None = None) -> None:
        self._note_over("aborted" if error is None else f"aborted: {error}")
        self.inner.abort(error)

    def _note_over(self, what: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._note(what)


def to_wiretap(value: Any) -> Wiretap | None:
    """Return the tap that the option ``wiretap`` stands for: a level, a `Wiretap`, True or None.

    Raises:
        TypeError, ValueError: it is none of these; the text names it.
    """
    if value is None or value is False:
        return None
    if value is True:
        return Wiretap()
    return value if isinstance(value, Wiretap) else Wiretap(value)


def _to_level(level: Any) -> int:
    if isinstance(level, str):
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            names = ", ".join(logging.getLevelNamesMapping()).lower()
            raise ValueError(f"wiretap: there is no level {level!r}, only {names}, and numbers")
        return number
    if not isinstance(level, int) or isinstance(level, bool):
        raise TypeError(f"wiretap must be a level or a Wiretap, not {level!r}")
    return level
