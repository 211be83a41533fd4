"""The frames of a WebSocket: bytes in, whole messages out, and back. RFC 6455 sections 5 to 7.

A message or ping that arrives as one whole frame is taken directly (`frames`); every other frame,
and whatever may break a rule, goes to wsproto, one frame at a time. Masks, reserved bits, opcodes,
control frame rules, lengths and UTF-8 are wsproto's work, and it is right about them. What it lacks
is any bound, so the engine adds one, through wsproto's own extension hook, which sees each frame
header before a byte of payload: a frame is refused from its declared length, a message by the sum
of its fragments or by their number. What is gathered therefore never exceeds ``max_message_bytes``.

The engine does not answer anything by itself. Whether a ping is answered at once or only the
latest of many, and how long a close may take, is the driver's to decide.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    TextMessage,
)
from wsproto.events import Ping as PingFrame
from wsproto.events import Pong as PongFrame
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from galeph.errors import LocalProtocolError
from galeph.protocol.engine import Role
from galeph.protocol.websocket import frames
from galeph.protocol.websocket.events import (
    NEED_DATA,
    PARTIAL,
    Close,
    Failed,
    Message,
    Ping,
    Pong,
    WebSocketEvent,
)

__all__ = ["WebSocketEngine", "check_close"]

_MAX_REASON_BYTES = frames.CONTROL_BYTES - 2
# No end in sight: what breaks a rule is wsproto's, with everything behind it.
_ALL = 1 << 62

_NO_RSV = RsvBits(rsv1=False, rsv2=False, rsv3=False)
_NO_UTF8 = "text is not UTF-8"
# "Bad Gateway", registered after RFC 6455; wsproto takes it for an unknown code.
_BAD_GATEWAY = 1014


def check_close(code: Any, reason: Any) -> None:
    """Raise TypeError or ValueError unless a close frame may carry ``code`` and ``reason``.

    Section 7.4: 1000-1003, 1007-1014 and 3000-4999 may be sent. 1004, 1005, 1006 and 1015 say
    what happened without a frame, the rest is reserved. Without a code there is no reason.
    """
    if not isinstance(reason, str):
        raise TypeError(f"reason must be a str, not {type(reason).__name__}")
    # bool is an int, and no code.
    if code is not None and (not isinstance(code, int) or isinstance(code, bool)):
        raise TypeError(f"code must be an int or None, not {type(code).__name__}")
    if code is None:
        if reason:
            raise ValueError("reason needs a code")
        return
    is_registered = 1000 <= code <= 1003 or 1007 <= code <= _BAD_GATEWAY
    if not is_registered and not 3000 <= code <= 4999:
        raise ValueError(f"code {code} must not be sent: use 1000-1003, 1007-1014 or 3000-4999")
    try:
        size = len(reason.encode())
    except UnicodeEncodeError as error:
        raise ValueError("reason holds surrogates, which UTF-8 does not have") from error
    if size > _MAX_REASON_BYTES:
        raise ValueError(f"reason has {size} bytes, a close frame takes {_MAX_REASON_BYTES}")


class _Bounds(Extension):
    """The limits on a message, held where wsproto shows a frame header before its payload."""

    name = "galeph-bounds"

    def __init__(self, max_message_bytes: int | None, max_fragments: int | None) -> None:
        self._max_message_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._opcode = Opcode.CONTINUATION
        self._declared = 0
        self._received = 0
        self._fragments = 0
        self.violation = ""
        self.close_payload = b""

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool | str:
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002  (wsproto's signature)
        opcode: Opcode,
        rsv: RsvBits,  # noqa: ARG002  (wsproto compares the bits with what is returned)
        payload_length: int,
    ) -> CloseReason | RsvBits:
        # wsproto asks again for the same frame when its mask was cut off by the end of a read, so
        # nothing is added up before `frame_inbound_complete`.
        self._opcode = opcode
        self._declared = payload_length
        if not opcode.iscontrol():
            largest = self._max_message_bytes
            if largest is not None and self._received + payload_length > largest:
                self.violation = f"message over {largest} bytes"
                return CloseReason.MESSAGE_TOO_BIG
            if self._max_fragments is not None and self._fragments >= self._max_fragments:
                self.violation = f"message of more than {self._max_fragments} fragments"
                return CloseReason.MESSAGE_TOO_BIG
        return _NO_RSV

    def frame_inbound_payload_data(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002  (wsproto's signature)
        data: bytes,
    ) -> bytes | CloseReason:
        if self._opcode is Opcode.CLOSE:
            self.close_payload = data
        return data

    def frame_inbound_complete(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002  (wsproto's signature)
        fin: bool,  # noqa: FBT001  (wsproto's signature)
    ) -> bytes | CloseReason | None:
        if not self._opcode.iscontrol():
            self._received = 0 if fin else self._received + self._declared
            self._fragments = 0 if fin else self._fragments + 1
        return None

    @property
    def is_inside_message(self) -> bool:
        """Whether a fragmented message is begun and not ended."""
        return self._fragments > 0


class WebSocketEngine:
    """One side of one WebSocket, after the opening handshake.

    Args:
        role: which side this is; clients mask what they send (section 5.3).
        max_message_bytes: refuse larger messages with 1009; None for no limit.
        max_fragments: refuse messages in more frames than this with 1009; None for no limit.

    ``close_sent`` and ``close_received`` say how far the closing handshake has come.
    """

    __slots__ = (
        "_at",
        "_bounds",
        "_buffer",
        "_connection",
        "_events",
        "_is_eof",
        "_is_over",
        "_is_server",
        "_partial_bytes",
        "_partial_text",
        "_slow",
        "_smallest",
        "close_received",
        "close_sent",
        "role",
    )

    def __init__(
        self,
        role: Role,
        *,
        max_message_bytes: int | None = 1024 * 1024,
        max_fragments: int | None = 1024,
    ) -> None:
        self.role = role
        self._is_server = role is Role.SERVER
        self._smallest = _ALL if max_message_bytes is None else max_message_bytes
        # What has not been looked at begins at `_at`; the first `_slow` octets of it are wsproto's.
        self._buffer = b""
        self._at = 0
        self._slow = 0
        self._bounds = _Bounds(max_message_bytes, max_fragments)
        kind = ConnectionType.CLIENT if role is Role.CLIENT else ConnectionType.SERVER
        self._connection = Connection(kind, [self._bounds])
        self._events: Iterator[Event] = iter(())
        self._partial_text: io.StringIO | None = None
        self._partial_bytes: bytearray | None = None
        self._is_over = False
        self._is_eof = False
        self.close_received = False
        self.close_sent = False

    # Receiving

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` says that it has closed its side.

        What comes after the end of the WebSocket is dropped.
        """
        if self._is_over:
            return
        if not data:
            self._is_eof = True
        elif self._at >= len(self._buffer):
            self._buffer = data
            self._at = 0
        else:
            self._buffer = self._buffer[self._at :] + data
            self._at = 0

    def next_event(self) -> WebSocketEvent:
        """Return what happened next.

        1. `Message`, `Ping` or `Pong`. Ask again.
        2. ``PARTIAL``: a fragment of a message. Ask again, but nobody has to at once.
        3. `Close` or `Failed`. The receiving side is over: from now on `NEED_DATA`.
        4. `NEED_DATA`: nothing more before `receive_data`.

        No call deals with more than one frame.
        """
        while not self._is_over:
            event = next(self._events, None)
            if event is not None:
                return self._translate(event)
            if self._slow:
                found: WebSocketEvent | None = self._pass_on()
            else:
                found = self._take_frame()
            if found is not None:
                return found
        return NEED_DATA

    def _take_frame(self) -> WebSocketEvent | None:
        """Take a frame that is there as a whole, or see how much of what follows is wsproto's."""
        buffer = self._buffer
        at = self._at
        header = frames.read_header(buffer, at, masked=self._is_server)
        if header is None:
            return self._end_of_data()
        first, start, size = header
        if size is None:
            self._slow = _ALL
            return None
        end = at + size
        if (
            not first
            or end > len(buffer)
            or size - start > self._smallest
            or (first < frames.PING and self._bounds.is_inside_message)
        ):
            self._slow = size
            return None
        self._at = end
        payload = buffer[at + start : end]
        if self._is_server:
            payload = frames.unmask(payload, buffer[at + start - 4 : at + start])
        if first == frames.TEXT:
            try:
                return Message(payload.decode())
            except UnicodeDecodeError:
                return self._end(Failed(1007, _NO_UTF8))
        if first == frames.BINARY:
            return Message(payload)
        return Ping(payload) if first == frames.PING else Pong(payload)

    def _pass_on(self) -> WebSocketEvent | None:
        """Give wsproto what has arrived of its frame."""
        data = self._buffer[self._at : self._at + self._slow]
        if not data:
            return self._end_of_data()
        self._at += len(data)
        if self._slow < _ALL:
            self._slow -= len(data)
        self._connection.receive_data(data)
        # wsproto's generator ends where its buffer does; a new one goes on from there.
        self._events = self._connection.events()
        return None

    def _end_of_data(self) -> WebSocketEvent:
        if self._is_eof:
            return self._end(Failed(1006, "the connection ended without a close frame"))
        return NEED_DATA

    def _translate(self, event: Event) -> WebSocketEvent:
        if isinstance(event, (TextMessage, BytesMessage)):
            data = self._gather(event)
            return PARTIAL if data is None else Message(data)
        if isinstance(event, PingFrame):
            return Ping(bytes(event.payload))
        if isinstance(event, PongFrame):
            return Pong(bytes(event.payload))
        assert isinstance(event, CloseConnection)  # noqa: S101  (there are no others; narrows)
        return self._end(self._interpret_close(event))

    def _gather(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        """Add a piece to the message it belongs to; return the message once it is whole.

        The pieces go into one buffer: a list of them could hold, for a message sent octet by
        octet, fifty times the message's size.
        """
        if isinstance(event, TextMessage):
            text = self._partial_text
            if text is None:
                if event.message_finished:
                    return event.data
                # newline="": what was sent is kept to the letter.
                text = self._partial_text = io.StringIO(newline="")
            text.write(event.data)
            if not event.message_finished:
                return None
            self._partial_text = None
            return text.getvalue()
        octets = self._partial_bytes
        if octets is None:
            if event.message_finished:
                return bytes(event.data)
            octets = self._partial_bytes = bytearray()
        octets += event.data
        if not event.message_finished:
            return None
        self._partial_bytes = None
        return bytes(octets)

    def _interpret_close(self, event: CloseConnection) -> Close | Failed:
        """Tell the peer's close frame from a violation; wsproto reports both alike."""
        code, reason = int(event.code), event.reason or ""
        is_cut = self._bounds.is_inside_message
        if self._connection.state not in {ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING}:
            return Close(code, reason, is_cut)
        payload = self._bounds.close_payload
        if payload[:2] == struct.pack("!H", _BAD_GATEWAY):
            try:
                return Close(_BAD_GATEWAY, payload[2:].decode(), is_cut)
            except UnicodeDecodeError:
                code = 1007
        if code == CloseReason.INVALID_FRAME_PAYLOAD_DATA:
            reason = _NO_UTF8
        return Failed(code, self._bounds.violation or reason)

    def _end(self, event: Close | Failed) -> Close | Failed:
        self.close_received = isinstance(event, Close)
        self.stop_receiving()
        return event

    def stop_receiving(self) -> None:
        """Drop what has arrived and is not parsed yet, and whatever comes."""
        self._is_over = True
        self._events = iter(())
        self._buffer = b""
        self._partial_text = self._partial_bytes = None

    # Sending

    def send_message(self, data: str | bytes | bytearray | memoryview) -> Sequence[bytes]:
        """Frame a whole message: text for ``str``, binary for bytes.

        Returns:
            The buffers to write, in order.

        Raises:
            LocalProtocolError: our close frame has been sent.
            ValueError: the text holds surrogates, which UTF-8 does not have.
        """
        if isinstance(data, str):
            if self._is_server:
                self._check_open()
                return frames.frame_message(frames.TEXT, data.encode())
            return self._send(TextMessage(data))
        if isinstance(data, bytes | bytearray | memoryview):
            # bytes(): wsproto's idea of a buffer is narrower than ours.
            octets = data if type(data) is bytes else bytes(data)
            if self._is_server:
                self._check_open()
                return frames.frame_message(frames.BINARY, octets)
            return self._send(BytesMessage(octets))
        raise TypeError(f"a WebSocket message is str or bytes, not {type(data).__name__}")

    def send_ping(self, payload: bytes = b"") -> Sequence[bytes]:
        """Frame a ping; ``payload`` takes 125 bytes at most (ValueError)."""
        _check_control(payload)
        return self._send(PingFrame(payload))

    def send_pong(self, payload: bytes = b"") -> Sequence[bytes]:
        """Frame a pong; ``payload`` takes 125 bytes at most (ValueError)."""
        _check_control(payload)
        return self._send(PongFrame(payload))

    def send_close(self, code: int | None = 1000, reason: str = "") -> Sequence[bytes]:
        """Frame our close frame: the last frame we send. ``code`` None sends an empty one.

        Raises:
            ValueError: the code or the reason must not be sent, see `check_close`.
            LocalProtocolError: a close frame has been sent already.
        """
        check_close(code, reason)
        if self.close_sent:
            raise LocalProtocolError("the close frame has been sent", case="ws-sent-after-close")
        frame = CloseConnection(
            CloseReason.NO_STATUS_RCVD if code is None else code,
            reason or None,
        )
        buffers = self._send(frame)
        self.close_sent = True
        return buffers

    def _check_open(self) -> None:
        if self.close_sent:
            raise LocalProtocolError("the close frame has been sent", case="ws-sent-after-close")
        if self._connection.state is not ConnectionState.OPEN:
            raise LocalProtocolError("the peer has closed", case="ws-sent-after-close")

    def _send(self, event: Event) -> Sequence[bytes]:
        if not isinstance(event, CloseConnection) or self.close_sent:
            self._check_open()
        return (self._connection.send(event),)

    def __repr__(self) -> str:
        over = " over" if self._is_over else ""
        closing = " close_sent" if self.close_sent else ""
        return f"<WebSocketEngine {self.role.value}{closing}{over}>"


def _check_control(payload: bytes) -> None:
    if len(payload) > frames.CONTROL_BYTES:
        raise ValueError(f"payload has {len(payload)} bytes, a control frame takes 125")
