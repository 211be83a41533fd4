"""TLS over any transport: `TLSTransport` wraps one and is one. See `galeph.transport.tls`.

OpenSSL sees two memory buffers and no socket (``SSLContext.wrap_bio``), which is why this works
with any context, made before or after a patch, over a socket, over memory, and over TLS again.
No property of a context the user gave is ever set: on one made before a late patch that recurses
without end.

- *Receiving* drains what is decrypted or decryptable before it waits for the transport below.
- *Sending* encrypts at most 256 KiB at a time and hands the records down as committed: a record
  has used its sequence number, so it is sent even if its sender is killed meanwhile.
- *Ending* is told from breaking off: ``close_notify`` is the orderly end, an end of the transport
  below without it is `ConnectionLost` (RFC 8446 section 6.1: possible truncation).
"""

from __future__ import annotations

import errno
from _ssl import (
    MemoryBIO,
    SSLError,
    SSLWantReadError,
    SSLZeroReturnError,
)
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gevent import get_hub

from galeph.errors import ConnectionLost, ResourceClosed, TLSError, TransportError
from galeph.transport.base import Buffer, ConnectionInfo, EndWatch, TLSInfo, Transport
from galeph.transport.seam import tls_error
from galeph.transport.sendfile import FilePart, read_and_write, send_part
from galeph.transport.sending import Views, finish_in_background, send_whole, views_of
from galeph.transport.tls_sessions import SessionSlot
from galeph.transport.turns import Turns

# A fatal alert, unexpected_message, in the record of a handshake without a version (RFC 8446
# sections 5.1 and 6).
_ALERT = b"\x15\x03\x01\x00\x02\x02\x0a"

__all__ = ["TLSTransport", "receive_records"]

_RECORDS = 65536
_MAX_ENCRYPT = 262144
# Of what we have to answer and the peer does not take. An answer has some 30 bytes, and each one
# is asked for: of 500 that wait, none was wanted.
_MAX_OWED = 16384


def receive_records(transport: Transport, peer: str) -> bytes:
    """Block for the next bytes of a handshake; a peer that leaves in it is a TLSError."""
    try:
        records = transport.recv(_RECORDS)
    except ConnectionLost as error:
        text = f"the connection was lost during the TLS handshake (peer {peer})"
        raise TLSError(error.errno, text) from error
    if not records:
        raise TLSError(f"the peer left during the TLS handshake (peer {peer})")
    return records


class TLSTransport:
    """TLS over another transport. Made by `client_handshake` and `server_handshake`."""

    __slots__ = (
        "_ahead",
        "_closed",
        "_has_ended",
        "_hub",
        "_incoming",
        "_info",
        "_is_dry",
        "_is_new",
        "_lost",
        "_object",
        "_outgoing",
        "_owed",
        "_refused",
        "_server_name",
        "_sessions",
        "can_send",
        "inner",
        "turns",
    )

    def __init__(
        self,
        inner: Transport,
        context: Any,
        *,
        is_server: bool = False,
        server_hostname: str | None = None,
        server_name: str | None = None,
        sessions: SessionSlot | None = None,
    ) -> None:
        self.inner = inner
        self._hub: Any = get_hub()
        self._incoming = MemoryBIO()
        self._outgoing = MemoryBIO()
        self._object: Any = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=is_server,
            server_hostname=server_hostname,
            session=None if sessions is None else sessions.take(),
        )
        # The name that was asked for: the ssl module tells it on a client only.
        self._server_name = server_name if is_server else server_hostname
        self._sessions = sessions
        # Whether nothing has been received that the peer sent after the handshake.
        self._is_new = sessions is not None
        self.turns = Turns(self._hub)
        self.can_send = True
        self._closed = False
        self._has_ended = False
        self._lost: Exception | None = None
        # Whether OpenSSL is known to have nothing for us. Asking it in vain costs an exception,
        # which would be one a request.
        self._is_dry = False
        # Decrypted before its time, by `send_eof`.
        self._ahead: list[bytes] | None = None
        # Records that the transport below did not take without waiting.
        self._refused = b""
        # How many bytes of these OpenSSL itself has written, as answers.
        self._owed = 0
        self._info: ConnectionInfo | None = None

    @property
    def info(self) -> ConnectionInfo:
        """Who is at the two ends, and what the handshake agreed on."""
        return self.inner.info if self._info is None else self._info

    @property
    def closed(self) -> bool:
        """Whether it was closed or aborted here, or is known to be lost."""
        return self._closed or self._lost is not None or self.inner.closed

    @property
    def peer(self) -> str:
        """The peer as text: its address, and on a client the name its certificate must prove."""
        info = self.inner.info
        address = f"{info.remote_addr}:{info.remote_port}"
        name = None if self._object.server_side else self._object.server_hostname
        return address if name in (None, info.remote_addr) else f"{name} at {address}"

    # The handshake

    def handshake(self, records: bytes = b"") -> None:
        """Block until both sides agree. What was received already begins with ``records``."""
        self._incoming.write(records)
        while True:
            try:
                self._object.do_handshake()
            except SSLWantReadError:
                self._feed_handshake()
            except SSLError as error:
                if self._object.server_side and not self._outgoing.pending:
                    # What is no TLS at all (a plain HTTP request) OpenSSL refuses in silence.
                    self._outgoing.write(_ALERT)
                self._try_flush()
                raise tls_error(error, self.peer) from error
            else:
                self._is_dry = not self._incoming.pending
                # Not when it is asked for: of a connection that has failed OpenSSL knows nothing.
                self._info = replace(self.inner.info, tls=self._agreement())
                self._flush()
                return

    def _agreement(self) -> TLSInfo:
        tls = self._object
        return TLSInfo(
            version=tls.version() or "",
            cipher=(tls.cipher() or ("",))[0],
            alpn_protocol=tls.selected_alpn_protocol(),
            server_hostname=self._server_name,
            # Decoded only where it was verified.
            peer_certificate=tls.getpeercert() or None,
            peer_certificate_der=tls.getpeercert(binary_form=True),
            is_resumed=bool(tls.session_reused),
        )

    def _feed_handshake(self) -> None:
        try:
            self._flush()
        except ConnectionLost as error:
            text = f"the connection was lost during the TLS handshake (peer {self.peer})"
            raise TLSError(error.errno, text) from error
        self._incoming.write(receive_records(self.inner, self.peer))

    # Receiving

    def recv(self, max_bytes: int = 65536) -> bytes:
        """Block until there are decrypted bytes; see `Transport`."""
        while self._is_dry or (data := self._decrypted(max_bytes)) is None:
            self._feed(self.inner.recv(_RECORDS))
        return data

    def try_recv(self, max_bytes: int = 65536) -> bytes | None:
        """Return what has arrived, or None if nothing has; see `Transport`."""
        while self._is_dry or (data := self._decrypted(max_bytes)) is None:
            records = self.inner.try_recv(_RECORDS)
            if records is None:
                return None
            self._feed(records)
        return data

    def _decrypted(self, max_bytes: int) -> bytes | None:
        """What can be had of the records that are here; b"" at the end, None for want of more."""
        if self._closed or self._lost is not None:
            raise self.no_longer_usable()
        if self._ahead is not None:
            return self._take_ahead(max_bytes)
        if self._has_ended:
            return b""
        data: bytes | None = None
        try:
            data = self._object.read(max_bytes)
        except SSLWantReadError:
            self._is_dry = True
        except SSLZeroReturnError:
            data = b""
        except SSLError as error:
            self._fail(error)
            raise self.no_longer_usable() from error
        if data:
            # OpenSSL gives a whole record or as much of it as was asked for.
            self._is_dry = len(data) < max_bytes and not self._incoming.pending
            if self._is_new:
                self._keep_session()
        elif data is not None:
            self._has_ended = True
        if self._outgoing.pending:
            # OpenSSL itself answers a key update, and refuses a renegotiation.
            self._flush_answer()
        return data

    def _flush_answer(self) -> None:
        """Send what OpenSSL has answered, and never switch; give up a peer that takes none of it.

        One that only asks would otherwise fill our memory.
        """
        self._owed += self._outgoing.pending
        self._flush_soon()
        if self._owed > _MAX_OWED:
            text = f"the peer asks for answers in TLS and takes none (peer {self.peer})"
            self._give_up(TLSError(text))
            raise self.no_longer_usable()

    def _keep_session(self) -> None:
        """Keep what can be resumed. In TLS 1.3 it comes right behind the handshake, if at all."""
        self._is_new = False
        agreed = self.info.tls
        if self._sessions is not None and agreed is not None:
            self._sessions.keep(self._object.session, agreed.peer_certificate)

    def _feed(self, records: bytes) -> None:
        self._is_dry = False
        if not records:
            self._fail(None)
            raise self.no_longer_usable()
        self._incoming.write(records)

    def _take_ahead(self, max_bytes: int) -> bytes:
        ahead = self._ahead or [b""]
        data = ahead.pop(0)
        if len(data) > max_bytes:
            ahead.insert(0, data[max_bytes:])
            data = data[:max_bytes]
        self._ahead = ahead or None
        return data

    def interrupt(self, error: Exception) -> None:
        """Make the `recv` that is blocked now raise ``error``; see `Transport`."""
        self.inner.interrupt(error)

    def has_input(self) -> bool:
        """Whether records wait, here or below; see `Transport`."""
        return not self._is_dry or self.closed or self.inner.has_input()

    def watch_end(self, fn: Callable[[], object]) -> EndWatch:
        """Call ``fn`` when the transport below has ended; a close_notify is seen by `recv` only."""
        return self.inner.watch_end(fn)

    # Sending

    def send(self, data: Buffer | Sequence[Buffer], *, committed: bool = False) -> None:
        """Block until the transport below has taken all of ``data``; see `Transport`."""
        if data.__class__ is not bytes or self.turns.is_taken or len(data) > _MAX_ENCRYPT:
            send_whole(self, views_of(data), committed=committed)
        elif not self.can_send:
            raise self.no_longer_usable()
        elif data:
            self._encrypt(data)
            if self._refused:
                self._flush()
            else:
                self.inner.send(self._outgoing.read(), committed=True)

    def send_file(self, part: FilePart) -> None:
        """Block until all of ``part`` is sent; see `Transport`."""
        send_part(self, part, partial(read_and_write, self))

    def try_send(self, data: bytes) -> bool:
        """Accept ``data`` if that is possible without waiting; see `Transport`."""
        if not self.can_send or self.turns.is_taken or not self.inner.try_send(b""):
            return False
        if data:
            try:
                self._encrypt(data)
            except TransportError:
                return False
            self._flush_soon()
        return True

    def write_some(self, views: Views) -> None:
        """Encrypt and send up to 256 KiB."""
        view = views.popleft()
        if len(view) > _MAX_ENCRYPT:
            views.appendleft(view[_MAX_ENCRYPT:])
            view = view[:_MAX_ENCRYPT]
        if view:
            self._encrypt(view)
        self._flush()

    def send_eof(self) -> None:
        """Send close_notify; see `Transport`. The peer may go on sending (RFC 8446, 6.1)."""
        self.turns.take()
        try:
            if self.can_send:
                self._end_our_side()
                self._flush()
            elif self._closed or self._lost is not None:
                raise self.no_longer_usable()
        finally:
            self.turns.end()

    def _end_our_side(self) -> None:
        """Make OpenSSL write a close_notify."""
        self.can_send = False
        # After SSL_shutdown, OpenSSL would refuse records that have arrived and are unread.
        ahead = []
        try:
            while self._incoming.pending or self._object.pending():
                data = self._object.read(_RECORDS)
                ahead.append(data)
                if not data:
                    break
        except SSLError:
            pass
        if ahead:
            self._ahead = [*(self._ahead or ()), *ahead]
            self._is_dry = False
        if self._is_new:
            self._keep_session()
        try:
            # Writes ours, and then asks for the peer's, which has not come.
            self._object.unwrap()
        except (SSLError, ValueError):
            pass

    def _encrypt(self, data: Any) -> None:
        try:
            self._object.write(data)
        except SSLError as error:
            self._fail(error)
            raise self.no_longer_usable() from error

    def _flush(self) -> None:
        # Between reading the records and queueing them below there is no switch: the order in
        # which OpenSSL made them is the order on the wire.
        records = self._take_records()
        self._owed = 0
        if records:
            self.inner.send(records, committed=True)

    def _try_flush(self) -> bool:
        """As `_flush`, if that needs no waiting; what is left is the first to go next time."""
        records = self._take_records()
        if not records or self.inner.try_send(records):
            self._owed = 0
            return True
        self._refused = records
        return False

    def _flush_soon(self) -> None:
        """As `_flush`, but never switches."""
        if not self._try_flush() and not self.turns.is_taken:
            finish_in_background(self, deque((memoryview(b""),)))

    def _take_records(self) -> bytes:
        records = self._outgoing.read()
        if self._refused:
            records = self._refused + records
            self._refused = b""
        return records

    # Closing

    def close(self) -> None:
        """Send close_notify, if that does not block, and close below; see `Transport`."""
        if self._closed:
            return
        self._closed = True
        if self.can_send and not self.turns.is_taken:
            self._end_our_side()
            self._try_flush()
        self._end()
        self.inner.close()

    def abort(self, error: Exception | None = None) -> None:
        """End at once, without close_notify; see `Transport`."""
        self._closed = True
        self._end(error)
        self.inner.abort(error)

    def _end(self, error: Exception | None = None) -> None:
        self.can_send = False
        self._is_dry = False
        self.turns.fail(error or self.no_longer_usable())

    def _fail(self, error: SSLError | None) -> None:
        """OpenSSL has given up, or (None) the transport below has ended without close_notify."""
        if error is not None:
            self._try_flush()  # the alert
            self._give_up(tls_error(error, self.peer))
        else:
            text = f"the connection ended without a TLS close_notify (peer {self.peer})"
            self._give_up(ConnectionLost(errno.ECONNRESET, text))

    def _give_up(self, lost: TransportError) -> None:
        self.can_send = False
        self._is_dry = False
        self._lost = lost

    def no_longer_usable(self) -> Exception:
        """A new exception that says why this connection cannot be used."""
        lost = self._lost
        if self._closed or lost is None:
            what = "the TLS connection" if self._closed else "our side of the TLS connection"
            return ResourceClosed(f"{what} to {self.peer} is closed")
        again = type(lost)(*lost.args)
        again.__cause__ = lost.__cause__
        return again

    def __repr__(self) -> str:
        state = "closed" if self._closed else "lost" if self._lost else "open"
        return f"<TLSTransport {state} over {self.inner!r}>"
