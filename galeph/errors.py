"""Every error galeph raises, in one tree.

Whose fault it was is in the name: *Local* is the caller, *Remote* the peer, *Closed* says the
caller holds something that is over, *Busy* that something is full, *TimedOut* that a limit the
caller (or a default) set has run out. ``except galeph.GalephError`` catches them all; most are
also the builtin a reader of the standard library would expect, so that code written for sockets
keeps working. Bad arguments are plain ``ValueError`` and ``TypeError``, raised before any byte
moves.

::

    GalephError
     +- ProtocolError                    a peer or a caller broke the protocol
     |   +- LocalProtocolError           the caller: nothing was sent
     |   +- RemoteProtocolError          the peer: the connection is given up
     +- TransportError      (OSError)    bytes could not be moved
     |   +- ConnectError                 no connection came about
     |   |   +- ResolveError             (socket.gaierror)
     |   |   +- ConnectRefused           (ConnectionRefusedError)
     |   |   +- TLSError                 (ssl.SSLError)
     |   |   |   +- CertificateError     (ssl.SSLCertVerificationError)
     |   |   +- ProxyError
     |   +- ConnectionLost               (ConnectionResetError) it was there, and broke
     |   +- DatagramTooLarge             the caller: it was not sent
     +- ResourceClosed                   used after it was closed
     |   +- LeftToParent                 used in the child of a fork, and not its own
     +- ResourceBusy                     full, or used by two at once
     |   +- PoolFull
     |   +- Rejected
     +- TimedOut            (TimeoutError)
     |   +- PoolTimeout, ResolveTimeout, ConnectTimeout, TLSTimeout, ProxyTimeout,
     |      WriteTimeout, ReadTimeout, RequestTimeout, DeadlineExceeded
     +- Cancelled           (concurrent.futures.CancelledError)
     +- Deadlock   (gevent's LoopExit)   a wait that nothing alive could ever end
     +- HTTPError
     |   +- StatusError                  a status of 400 or above, when asked to raise
     |   +- TooManyRedirects
     |   +- BodyTooLarge
     |   +- IncompleteBody               the peer stopped in the middle of a body
     |   +- DecodingError                the content coding or the text is not what it claims
     +- WebSocketError
         +- HandshakeFailed
         +- WebSocketClosed
"""

from __future__ import annotations

import socket
from concurrent.futures import CancelledError as _CancelledError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl import SSLCertVerificationError, SSLError
else:
    # `ssl` itself must not be imported here: gevent warns, rightly, when it patches an `ssl` that
    # was imported before. The exception classes live in the extension module behind it.
    from _ssl import SSLCertVerificationError, SSLError

__all__ = [
    "BodyTooLarge",
    "Cancelled",
    "CertificateError",
    "ConnectError",
    "ConnectRefused",
    "ConnectTimeout",
    "ConnectionLost",
    "DatagramTooLarge",
    "DeadlineExceeded",
    "Deadlock",
    "DecodingError",
    "GalephError",
    "HTTPError",
    "HandshakeFailed",
    "IncompleteBody",
    "LeftToParent",
    "LocalProtocolError",
    "PoolFull",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ProxyTimeout",
    "ReadTimeout",
    "Rejected",
    "RemoteProtocolError",
    "RequestTimeout",
    "ResolveError",
    "ResolveTimeout",
    "ResourceBusy",
    "ResourceClosed",
    "StatusError",
    "TLSError",
    "TLSTimeout",
    "TimedOut",
    "TooManyRedirects",
    "TransportError",
    "WebSocketClosed",
    "WebSocketError",
    "WriteTimeout",
]


class GalephError(Exception):
    """The root: anything that goes wrong in galeph and is not a bad argument."""


# -- protocol


class ProtocolError(GalephError):
    """A message that its protocol does not allow.

    Args:
        message: what was wrong, for a log line.
        status_hint: the HTTP status a server should answer with, where one fits.
        h2_code: the RFC 9113 error code for the stream or connection.
        case: a short stable name of the violation, the same on every engine.
    """

    def __init__(
        self,
        message: str,
        *,
        status_hint: int = 400,
        h2_code: int = 0x1,
        case: str = "",
    ) -> None:
        super().__init__(message)
        self.status_hint = status_hint
        self.h2_code = h2_code
        self.case = case or message


class LocalProtocolError(ProtocolError):
    """The caller asked for something the protocol forbids. Nothing was sent; mend the call."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol. The connection is answered, where it can be, and given up."""


# -- transport


class TransportError(GalephError, OSError):
    """Bytes could not be moved. The connection is gone."""


class ConnectError(TransportError):
    """No connection came about; nothing was sent, so trying again is safe."""


class ResolveError(ConnectError, socket.gaierror):
    """A host name has no usable address."""


class ConnectRefused(ConnectError, ConnectionRefusedError):
    """The host answered that nobody listens on that port."""


class TLSError(ConnectError, SSLError):
    """The TLS handshake failed, or a TLS record was bad."""

    def __str__(self) -> str:
        # ssl.SSLError prints a single argument as a tuple of one.
        return str(self.args[-1]) if self.args else ""


class CertificateError(TLSError, SSLCertVerificationError):
    """The peer's certificate does not prove that it is who it should be."""


class ProxyError(ConnectError):
    """A proxy on the way refused or misbehaved."""


class ConnectionLost(TransportError, ConnectionResetError):
    """The connection was there and broke. What was in flight may or may not have arrived."""


class DatagramTooLarge(TransportError):
    """A datagram is longer than the network or the system allows. It was not sent; the socket is
    as usable as before.
    """


# -- resources


class ResourceClosed(GalephError):
    """Something was used after it had been closed."""


class LeftToParent(ResourceClosed):
    """Something of a forked process was used in the child: it goes on there. Make a new one."""


class ResourceBusy(GalephError):
    """A limit is reached, or two callers use at once what only one may."""


class PoolFull(ResourceBusy):
    """Nothing in the pool is free, and as many wait for it as may."""


class Rejected(ResourceBusy):
    """An executor took no more work."""


# -- time


class TimedOut(GalephError, TimeoutError):
    """A time limit ran out. The subclasses name the phase."""


class PoolTimeout(TimedOut):
    """No pooled connection became free in time."""


class ResolveTimeout(TimedOut):
    """The name was not resolved in time."""


class ConnectTimeout(TimedOut):
    """The TCP connection was not made in time."""


class TLSTimeout(TimedOut):
    """The TLS handshake did not end in time."""


class ProxyTimeout(TimedOut):
    """The proxy did not answer in time."""


class WriteTimeout(TimedOut):
    """The peer did not take our bytes in time."""


class ReadTimeout(TimedOut):
    """The peer sent nothing for too long."""


class RequestTimeout(TimedOut):
    """The response head did not arrive in time."""


class DeadlineExceeded(TimedOut):
    """The deadline over the whole request passed."""


class Cancelled(GalephError, _CancelledError):
    """The work was called off, or the greenlet that did it was killed (see ``__cause__``)."""


class Deadlock(GalephError):
    """A greenlet waits for something that nothing alive can bring about.

    What is raised is a `gevent.exceptions.LoopExit` as well, which is not imported here.
    """


# -- HTTP


class HTTPError(GalephError):
    """A response that cannot be used as asked.

    ``response`` is the response it happened to, or None where there was none yet.
    """

    def __init__(self, message: str, response: Any = None) -> None:
        super().__init__(message)
        self.response = response


class StatusError(HTTPError):
    """The status is 400 or above, and the caller asked for that to raise."""


class TooManyRedirects(HTTPError):
    """The redirects did not end."""


class BodyTooLarge(HTTPError):
    """A body is larger than the limit for its use; stream it, or raise the limit.

    ``body`` is the body reader that would not gather it.
    """

    def __init__(self, message: str, response: Any = None, *, body: Any = None) -> None:
        super().__init__(message, response)
        self.body = body


class IncompleteBody(HTTPError):
    """The peer ended the connection before its body was complete. What was read is a part."""


class DecodingError(HTTPError):
    """A body is not in the coding or charset it claims."""


# -- WebSocket


class WebSocketError(GalephError):
    """A WebSocket that could not be opened or has ended."""


class HandshakeFailed(WebSocketError):
    """The opening handshake was refused.

    ``response`` is the server's answer on the client side, or None.
    """

    def __init__(self, message: str, response: Any = None) -> None:
        super().__init__(message)
        self.response = response


class WebSocketClosed(WebSocketError):
    """The WebSocket ended otherwise than by a clean close (RFC 6455 section 7.4).

    ``code`` and ``reason`` are those of the close frame, 1006 where none came.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".rstrip())
        self.code = code
        self.reason = reason
