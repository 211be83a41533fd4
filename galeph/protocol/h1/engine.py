"""`H1Engine`: one HTTP/1 connection, for either role, as the contract of `protocol.engine` has it.

It joins a `Receiver` and a `Sender` and keeps the two in step: which request a response answers,
whether the connection can be used again, and when the next exchange begins (when both halves of
this one are complete, at the next question).
"""

from __future__ import annotations

from collections.abc import Sequence

from galeph.errors import LocalProtocolError
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.events import (
    PAUSED,
    Data,
    EndOfMessage,
    Event,
    InterimResponse,
    Request,
    Response,
    StreamReset,
)
from galeph.protocol.h1 import receiver as receiving
from galeph.protocol.h1 import sender as sending
from galeph.protocol.h1.receiver import Receiver
from galeph.protocol.h1.sender import Sender
from galeph.protocol.limits import Limits

__all__ = ["H1Engine"]

# Methods whose response has no body as a rule, and no request at all.
_WITHOUT_BODY = ("HEAD", "CONNECT", "")

# Asked for each message: one look-up, not two.
_DONE = receiving.DONE
_SENT = sending.DONE
_BETWEEN = (receiving.HEAD, receiving.DONE)
# Of an enumeration a look-up takes 35 ns.
_SERVER = Role.SERVER
_new = object.__new__


class H1Engine:
    """An HTTP/1 connection without the connection.

    Args:
        role: which side to play.
        limits: sizes and counts above which the peer's message is refused.
    """

    __slots__ = (
        "_can_upgrade",
        "_method",
        "_peer_version",
        "_receiver",
        "_sender",
        "role",
    )

    http_version = "HTTP/1.1"

    def __init__(self, role: Role, limits: Limits) -> None:
        self.role = role
        self._receiver = Receiver(role, limits)
        self._sender = Sender()
        # Of the request that is answered now; of none, as long as none was understood.
        self._method = ""
        self._peer_version = "HTTP/1.1"
        self._can_upgrade = False

    # Receiving

    def receive_data(self, data: bytes) -> None:
        """See `Engine.receive_data`."""
        self._receiver.receive_data(data)

    def receive(self, data: bytes) -> Event:
        """`receive_data`, then `next_event`, at less cost.

        A request that comes again byte by byte is told by the same event again (its headers are
        another's each time): it is to be used up before the next question.
        """
        receiver = self._receiver
        sender = self._sender
        fields = receiver.known_fields
        if (
            fields is not None
            and data == receiver.known_head
            and data
            and receiver.state == _DONE
            and sender.state == _SENT
            and sender.keep_alive
            and receiver.keep_alive
            and not receiver._buffer
        ):
            # What the two would have done, without the calls.
            receiver.fast_heads += 1
            sender.state = sending.IDLE
            event = receiver.known_request
            # `Headers.copy`, without the call.
            event.headers = headers = _new(Headers)
            headers._pairs = fields._pairs
            headers._index = fields._index
            self._method = event.method
            self._peer_version = "HTTP/1.1"
            self._can_upgrade = "upgrade" in fields._index
            return event
        receiver.receive_data(data)
        return self.next_event()

    def next_event(self) -> Event:
        """See `Engine.next_event`."""
        receiver = self._receiver
        if receiver.state == _DONE:
            sender = self._sender
            if sender.state != _SENT or not (receiver.keep_alive and sender.keep_alive):
                return PAUSED
            self._start_next_exchange()
        event = receiver.next_event()
        if type(event) is Request:
            self._method = event.method
            self._peer_version = event.http_version
            self._can_upgrade = "upgrade" in event.headers._index
            if not receiver.keep_alive:
                self._sender.keep_alive = False
        return event

    def _start_next_exchange(self) -> None:
        self._receiver.state = receiving.HEAD
        self._sender.state = sending.IDLE
        self._method = ""
        self._peer_version = "HTTP/1.1"

    def trailing_data(self) -> bytes:
        """See `Engine.trailing_data`."""
        return self._receiver.trailing_data()

    # Sending

    def next_stream_id(self) -> int:
        """Return 0: HTTP/1 has one exchange at a time."""
        return 0

    def send(self, event: Event) -> Sequence[bytes]:
        """See `Engine.send`."""
        if type(event) is Data:
            return self._sender.send_data(event)
        is_server = self.role is _SERVER
        if isinstance(event, Response) and is_server:
            return self._send_response(event)
        if isinstance(event, EndOfMessage):
            return self._sender.end_message(event)
        if isinstance(event, Request) and not is_server:
            return self._send_request(event)
        if isinstance(event, InterimResponse) and is_server:
            return self._send_interim(event)
        if isinstance(event, StreamReset):
            self._sender.give_up()
            return ()
        raise LocalProtocolError(f"{type(event).__name__} cannot be sent here on HTTP/1")

    def send_known(
        self, status: int, headers: Headers, defaults: tuple[tuple[str, str], ...], body: bytes
    ) -> bytes | None:
        """Frame a response and its body, not empty, as one buffer, if its head is a known one.

        The path of a plain request: None where only `send` can tell how it is framed.
        """
        if self._method in _WITHOUT_BODY or self._peer_version != "HTTP/1.1":
            return None
        return self._sender.send_known(status, headers, defaults, body)

    def _send_response(self, event: Response) -> Sequence[bytes]:
        method = self._method
        if not method or (method == "CONNECT" and event.status >= 300):
            # To a request that was not understood, or where bytes meant for a tunnel may follow:
            # whatever comes now must not be taken for a request.
            self._sender.keep_alive = False
        framed = self._sender.send_response(event, method, self._peer_version)
        if method == "CONNECT" and event.status < 300:
            self._receiver.switch_protocol()
        return framed

    def _send_interim(self, event: InterimResponse) -> Sequence[bytes]:
        if not self._method:
            raise LocalProtocolError("an interim response to no request")
        if self._peer_version == "HTTP/1.0":
            raise LocalProtocolError("HTTP/1.0 has no interim responses")
        if event.status == 101:
            if not self._can_upgrade:
                raise LocalProtocolError("101 to a request without Upgrade")
            if self._receiver.state != receiving.DONE:
                raise LocalProtocolError("101 before the request's body was read")
        framed = self._sender.send_interim(event)
        if event.status == 101:
            self._receiver.switch_protocol()
        return framed

    def _send_request(self, event: Request) -> Sequence[bytes]:
        receiver = self._receiver
        if receiver.has_buffered or receiver.at_eof or receiver.state > receiving.DONE:
            # Bytes that nobody asked for must never be taken for the answer to this.
            raise LocalProtocolError("the connection is over, or has bytes nobody asked for")
        if receiver.state == _DONE and self._sender.state == _SENT:
            if not self.can_reuse:
                raise LocalProtocolError("the connection ends with the last exchange")
            self._start_next_exchange()
        framed = self._sender.send_request(event)
        receiver.await_response(event.method, wants_upgrade="upgrade" in event.headers)
        return framed

    def take_output(self) -> Sequence[bytes]:
        """Return nothing: HTTP/1 says only what it is told to."""
        return ()

    def credit(self, stream_id: int, size: int) -> Sequence[bytes]:  # noqa: ARG002  (contract)
        """Return nothing: the window of HTTP/1 is that of TCP."""
        return ()

    def send_capacity(self, stream_id: int) -> int | None:  # noqa: ARG002  (contract)
        """Return None: HTTP/1 sets no bound."""
        return None

    # Ending

    @property
    def can_reuse(self) -> bool:
        """Whether another exchange may follow: both sides keep the connection, and it is whole."""
        receiver = self._receiver
        if not (receiver.keep_alive and self._sender.keep_alive and receiver.state <= _DONE):
            return False
        # What a server sent unasked must not become the next answer.
        return self.role is _SERVER or not (receiver.has_buffered or receiver.at_eof)

    def close_after_response(self) -> None:
        """Let the response that is sent next say ``Connection: close``, and be the last."""
        if self._receiver.state == _DONE and self._sender.state == _SENT and self.can_reuse:
            self._start_next_exchange()  # between two: it is the next one's response that is meant
        self._sender.keep_alive = False

    def forget_fields(self) -> None:
        """Drop what only makes the next request quicker, on a connection that will long be idle."""
        self._receiver.forget_fields()

    @property
    def is_receiving(self) -> bool:
        """Whether a body of the peer's is still on its way."""
        return self._receiver.state == receiving.BODY

    @property
    def is_sending(self) -> bool:
        """Whether a message of ours has begun and is not complete."""
        return self._sender.state == sending.BODY

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a next message has arrived: the connection may be closed unnoticed."""
        receiver = self._receiver
        return not receiver._buffer and receiver.state in _BETWEEN

    @property
    def has_answered(self) -> bool:
        """Whether a final response has been begun in this exchange."""
        return self._sender.state != sending.IDLE

    @property
    def has_switched(self) -> bool:
        """Whether the connection speaks another protocol now (101, CONNECT)."""
        return self._receiver.state == receiving.SWITCHED

    @property
    def ends_by_close(self) -> bool:
        """Whether closing is what ends the message just sent."""
        return self._sender.ends_by_close

    # Counts

    @property
    def fast_heads(self) -> int:
        """How many heads the one-pattern path took."""
        return self._receiver.fast_heads

    @property
    def slow_heads(self) -> int:
        """How many heads went through h11."""
        return self._receiver.slow_heads

    @property
    def plain_chunks(self) -> int:
        """How many chunk lines were plain."""
        return self._receiver.plain_chunks

    @property
    def slow_chunks(self) -> int:
        """How many chunk lines had extensions, and trailer sections."""
        return self._receiver.slow_chunks
