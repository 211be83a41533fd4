"""Nameservers: who is asked, and how the bytes get there.

`Do53` asks over UDP, and over TCP what does not fit (RFC 7766) or is in doubt; `DoT` over TLS
(RFC 7858), on a connection that is kept for the next question. Each question over UDP has a socket,
and so a random port, of its own. Time limits are the caller's.

Any object with a method ``exchange(question)`` is a nameserver too: DNS over HTTPS is one
(`galeph.http.doh`), without this package knowing HTTP.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from galeph import clock
from galeph._arguments import check_flag, named
from galeph.dns.questions import Question, Verdict
from galeph.errors import ResourceClosed, TransportError
from galeph.tls import to_client_context
from galeph.transport.arguments import check_host, check_port
from galeph.transport.base import Transport
from galeph.transport.connect import connect
from galeph.transport.datagram_peer import DatagramPeer
from galeph.transport.names import resolve

__all__ = ["Do53", "DoT", "Nameserver", "to_nameservers"]

_SOCK_DGRAM = 2
_PORT, _TLS_PORT = 53, 853
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::(\d+))?|([^:]+):(\d+)", re.ASCII)
# RFC 7858 section 3.4: both sides manage their connections; most servers close after some seconds.
_IDLE_AFTER = 10.0
_MAX_IDLE = 4


@runtime_checkable
class Nameserver(Protocol):
    """Somebody who answers questions."""

    def exchange(self, question: Question) -> None:
        """Block until the question is answered: until ``question.judge`` has believed an answer.

        ``question.wire`` is what to send. Whoever calls limits the time, by an exception that may
        arrive wherever this blocks.

        Raises:
            TransportError, ConnectTimeout, TLSTimeout: this server cannot be asked; another may.
        """

    def close(self) -> None:
        """Close what is kept for the next question. Never switches."""


class Do53:
    """A nameserver that speaks plain DNS.

    Args:
        host: an address; a name is looked up by the system.
        port: 53, as a rule.
        tcp: True to ask over TCP only.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
    """

    def __init__(self, host: str, port: int = _PORT, *, tcp: bool = False) -> None:
        _check_server(host, port)
        check_flag("tcp", tcp)
        self.host = host
        self.port = port
        self.tcp = tcp

    def exchange(self, question: Question) -> None:
        """Ask; see `Nameserver.exchange`."""
        if self.tcp or self._ask_datagram(question) is Verdict.ASK_OVER_TCP:
            transport = connect(self.host, self.port, timeout=None)
            try:
                _ask_stream(transport, question, str(self))
            finally:
                transport.close()

    def _ask_datagram(self, question: Question) -> Verdict:
        peer = DatagramPeer(resolve(self.host, self.port, kind=_SOCK_DGRAM)[0])
        try:
            peer.send(question.wire)
            while (verdict := question.judge(peer.recv())) is Verdict.IGNORE:
                pass
            return verdict
        finally:
            peer.close()

    def close(self) -> None:
        """Nothing is kept."""

    def __str__(self) -> str:
        return _text(self.host, self.port)

    def __repr__(self) -> str:
        return f"<Do53 {self}{' tcp' * self.tcp}>"


class DoT:
    """A nameserver that speaks DNS over TLS. The name or address is verified.

    Args:
        host: an address; a name is looked up by the system.
        port: 853, as a rule.
        tls: what `galeph.tcp.client` takes, but for None and False.
        server_hostname: the name the certificate must prove, where it is not ``host``.

    Raises:
        TypeError, ValueError: an argument is not what it should be; the text names it.
        OSError: a file that ``tls`` names cannot be read.
    """

    def __init__(
        self,
        host: str,
        port: int = _TLS_PORT,
        *,
        tls: Any = True,
        server_hostname: str | None = None,
    ) -> None:
        _check_server(host, port)
        if server_hostname is not None:
            check_host(server_hostname, name="server_hostname")
        if tls is None or tls is False:
            # That means no TLS elsewhere, and here it would ask in the clear without a word.
            raise ValueError(f"tls must be True, a context or options, not {tls!r}: see Do53")
        self.host = host
        self.port = port
        self._context: Any = None
        if tls is not True:  # what that means takes tens of milliseconds to read: when asked
            self._context, name = to_client_context(tls)
            server_hostname = server_hostname or name
        self._server_hostname = server_hostname
        self._idle: list[tuple[Transport, clock.Timer]] = []

    def exchange(self, question: Question) -> None:
        """Ask; see `Nameserver.exchange`."""
        while self._idle:
            transport, timer = self._idle.pop()
            timer.cancel()
            if not _is_silent(transport):
                transport.close()
                continue
            try:
                self._ask(transport, question)
                return
            except (TransportError, ResourceClosed):
                # The server may have closed it in this moment (RFC 7766 section 6.2.4).
                continue
        self._ask(self._connect(), question)

    def _connect(self) -> Transport:
        if self._context is None:
            self._context, _ = to_client_context(True)
        return connect(
            self.host,
            self.port,
            timeout=None,
            tls_context=self._context,
            server_hostname=self._server_hostname,
            tls_timeout=None,
        )

    def _ask(self, transport: Transport, question: Question) -> None:
        try:
            _ask_stream(transport, question, str(self))
        except BaseException:
            transport.close()
            raise
        self._keep(transport)

    def _keep(self, transport: Transport) -> None:
        if len(self._idle) >= _MAX_IDLE:
            transport.close()
            return
        # Housekeeping: it must not keep the hub alive.
        timer = clock.default().start_timer(_IDLE_AFTER, self._drop, transport, ref=False)
        self._idle.append((transport, timer))

    def _drop(self, transport: Transport) -> None:
        self._idle = [pair for pair in self._idle if pair[0] is not transport]
        transport.close()

    def close(self) -> None:
        """Close the connections that are kept. Never switches."""
        idle, self._idle = self._idle, []
        for transport, timer in idle:
            timer.cancel()
            transport.close()

    def __str__(self) -> str:
        return f"tls://{_text(self.host, self.port)}"

    def __repr__(self) -> str:
        return f"<DoT {_text(self.host, self.port)}>"


def to_nameservers(given: Sequence[Any]) -> tuple[Nameserver, ...]:
    """Make nameservers of what a user may give for them.

    Args:
        given: each a `Nameserver`, ``"host"``, ``"host:port"``, ``"[address]:port"``, or a pair.

    Raises:
        TypeError, ValueError: it is none of these; the text names ``nameservers``.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise TypeError(f"nameservers must be a list, not {given!r}")
    if not given:
        raise ValueError("nameservers must not be empty")
    try:
        return tuple(_to_nameserver(each) for each in given)
    except (TypeError, ValueError) as error:
        raise named("nameservers", error) from error


def _to_nameserver(given: Any) -> Nameserver:
    if isinstance(given, tuple) and len(given) == 2:
        return Do53(*given)
    if isinstance(given, str):
        matched = _WITH_PORT.fullmatch(given)
        if matched is None:
            return Do53(given)
        bracketed, port, host, other_port = matched.groups()
        return Do53(bracketed or host, int(port or other_port or _PORT))
    if callable(getattr(given, "exchange", None)):
        server: Nameserver = given
        return server
    raise TypeError(f"each is an address or a nameserver, not {given!r}")


def _check_server(host: Any, port: Any) -> None:
    check_host(host)
    if not host:
        raise ValueError("host must not be empty")
    check_port(port, least=1)


def _text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_silent(transport: Transport) -> bool:
    """Whether a connection is there, and says nothing that nobody has asked for."""
    try:
        return transport.try_recv() is None
    except (TransportError, ResourceClosed):
        return False


def _ask_stream(transport: Transport, question: Question, server: str) -> None:
    """Ask over a connection (RFC 1035 section 4.2.2: a length before each message)."""
    transport.send(len(question.wire).to_bytes(2) + question.wire)
    head = _recv_exactly(transport, 2)
    wire = _recv_exactly(transport, int.from_bytes(head))
    if question.judge(wire, over_stream=True) is not Verdict.BELIEVE:
        # Whoever is at the other end of the connection has said it: nothing better will come.
        reason = question.ignored[-1]
        raise TransportError(errno.EBADMSG, f"{server} has answered something else: {reason}")


def _recv_exactly(transport: Transport, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = transport.recv(count - len(data))
        if not piece:
            text = f"the server ended in the middle of an answer ({len(data)} of {count} bytes)"
            raise TransportError(errno.ECONNRESET, text)
        data += piece
    return bytes(data)
