"""Beginning TLS on a transport: `client_handshake` and `server_handshake`.

A client offers the session it has of an earlier connection (`galeph.transport.tls_sessions`). A
server reads the ClientHello first, and only then makes OpenSSL's object, so that it can be made of
the context that fits the name the client asks for; see `galeph.protocol.client_hello`. All of it
happens in the caller's greenlet, under one deadline.
"""

from __future__ import annotations

from _ssl import _SSLContext
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from galeph.errors import TLSError, TLSTimeout
from galeph.protocol.client_hello import ClientHello, ClientHelloReader
from galeph.transport.arguments import check_tls_side
from galeph.transport.base import Transport, address_text
from galeph.transport.timelimit import TimeLimit
from galeph.transport.tls_failures import mark_handshake_failure
from galeph.transport.tls_sessions import session_slot
from galeph.transport.tls_transport import TLSTransport, receive_records

__all__ = [
    "ContextChooser",
    "TLSTransport",
    "check_context",
    "check_server_context",
    "client_handshake",
    "server_handshake",
]

# Alert descriptions: RFC 8446 section 6, RFC 7301 section 3.2.
_INTERNAL_ERROR, _UNRECOGNIZED_NAME, _NO_APPLICATION_PROTOCOL = 80, 112, 120


class ContextChooser(Protocol):
    """What a server may have in place of a context: one for each name."""

    def choose(self, hello: ClientHello) -> tuple[Any, Sequence[bytes]]:
        """Return the context, None for none, and the protocols it offers as far as that is known.

        It may block; the handshake's deadline goes on.
        """


def client_handshake(
    transport: Transport,
    context: Any,
    *,
    server_hostname: str | None,
    timeout: float | None = 10.0,
) -> TLSTransport:
    """Begin TLS as the client on a connected transport; block until the handshake is done.

    Args:
        transport: the one below, from now on the new transport's own. It is closed on failure.
        context: an ``ssl.SSLContext`` of the client's side.
        server_hostname: the name the certificate must prove, and the SNI. A final dot is no part
            of it.
        timeout: seconds for the whole handshake; None is no limit.

    Raises:
        CertificateError: the certificate does not prove the name.
        TLSError: there is no common version or cipher, or the peer does not speak TLS, or left.
        TLSTimeout: it took too long.
        TypeError, ValueError: ``context`` is none, or ``server_hostname`` no name.
    """
    check_context(context)
    check_tls_side(context, is_server=False)
    if server_hostname is not None:
        # The same name, but it stands so in no certificate (RFC 5280 section 4.2.1.6), nor in a
        # ClientHello (RFC 6066 section 3).
        server_hostname = server_hostname.removesuffix(".")
    try:
        with _limit(transport, timeout):
            tls = TLSTransport(
                transport,
                context,
                server_hostname=server_hostname,
                sessions=session_slot(context, server_hostname, transport.info.remote_port),
            )
            tls.handshake()
    except BaseException:
        transport.close()
        raise
    return tls


def server_handshake(
    transport: Transport,
    context: Any,
    *,
    timeout: float | None = 10.0,
) -> TLSTransport:
    """Begin TLS as the server; otherwise as `client_handshake`.

    ``context`` may also be a `ContextChooser`. A client that asks for a name that it has no
    context for, or only for protocols that the context does not offer, gets the alert for that.
    """
    is_chooser = hasattr(context, "choose")
    if not is_chooser:
        check_server_context(context)
    try:
        with _limit(transport, timeout):
            hello, records = _read_hello(transport)
            if is_chooser:
                context = _choose(context, hello, transport)
            name = None if hello is None else hello.server_name
            tls = TLSTransport(transport, context, is_server=True, server_name=name)
            tls.handshake(records)
    except BaseException as error:
        mark_handshake_failure(error)
        transport.close()
        raise
    return tls


def check_context(context: object) -> None:
    """Raise TypeError unless ``context`` is an ``ssl.SSLContext``, patched or not."""
    # After a late patch ``ssl.SSLContext`` is gevent's class, and an older context is no instance
    # of it. The class in the extension module is the base of both.
    if not isinstance(context, _SSLContext):
        raise TypeError(f"expected an ssl.SSLContext, not {type(context).__name__}")


def check_server_context(context: object) -> None:
    """Raise TypeError or ValueError unless ``context`` is an ``ssl.SSLContext`` for a server."""
    check_context(context)
    check_tls_side(context, is_server=True)


def _limit(transport: Transport, timeout: float | None) -> TimeLimit:
    text = f"no TLS handshake within {timeout} s (peer {_peer(transport)})"
    return TimeLimit(timeout, partial(TLSTimeout, text))


def _peer(transport: Transport) -> str:
    return address_text(transport.info.remote_addr, transport.info.remote_port)


# A server's first look


def _read_hello(transport: Transport) -> tuple[ClientHello | None, bytes]:
    """What the client asks for, None if it cannot be made out, and all that was received."""
    reader = ClientHelloReader()
    received = []
    while True:
        records = receive_records(transport, _peer(transport))
        received.append(records)
        try:
            hello = reader.feed(records)
        except ValueError:
            return None, b"".join(received)  # OpenSSL knows what to say to it
        if hello is not None:
            return hello, b"".join(received)


def _choose(chooser: ContextChooser, hello: ClientHello | None, transport: Transport) -> Any:
    asked = ClientHello() if hello is None else hello
    try:
        context, offered = chooser.choose(asked)
    except Exception:
        _send_alert(transport, _INTERNAL_ERROR)
        raise
    if context is None:
        _send_alert(transport, _UNRECOGNIZED_NAME)
        text = f"no certificate for the name {asked.server_name!r} (peer {_peer(transport)})"
        raise _refusal(text, "UNRECOGNIZED_NAME")
    if asked.alpn_protocols and offered and not set(offered).intersection(asked.alpn_protocols):
        # OpenSSL would go on without a protocol, as the ssl module has set it up; RFC 7301 section
        # 3.2 has it end here, lest bytes of one protocol be read as another's.
        _send_alert(transport, _NO_APPLICATION_PROTOCOL)
        # Any bytes but none at all may be a name (section 3.1), and this goes into logs.
        names = ", ".join(repr(name)[1:] for name in asked.alpn_protocols[:8])
        text = f"the client speaks only {names} (peer {_peer(transport)})"
        raise _refusal(text, "NO_APPLICATION_PROTOCOL")
    return context


def _send_alert(transport: Transport, description: int) -> None:
    """Send a fatal alert in the clear, as before any key is agreed on (RFC 8446 section 6)."""
    transport.try_send(bytes((21, 3, 3, 0, 2, 2, description)))


def _refusal(text: str, reason: str) -> TLSError:
    error = TLSError(1, text)
    error.library, error.reason = "SSL", reason
    return error
