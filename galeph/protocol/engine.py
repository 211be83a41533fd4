"""What every HTTP engine offers: the contract between framing and the drivers.

An engine is a pure state machine. It never does I/O, never looks at a clock and never switches
greenlets, so it needs no lock. A driver feeds it bytes, asks for events until it says
`NeedData` or `Paused`, and writes out what `send` returns. One engine serves both roles; which
one it plays is an argument.

After a `ProtocolError` raised by `next_event` the receiving side is over: the driver may still
send a final response, then closes. After one raised by `send` nothing was framed and nothing has
changed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from galeph.protocol.events import Event

__all__ = ["Engine", "Role"]


class Role(enum.Enum):
    """Which side of the connection an engine plays."""

    CLIENT = "client"
    SERVER = "server"


class Engine(Protocol):
    """Bytes in, events out; events in, bytes out."""

    role: Role
    http_version: str

    # Receiving

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` says that it has closed its side."""

    def next_event(self) -> Event:
        """Return what happened next.

        1. An event. Ask again.
        2. ``NEED_DATA``: nothing more before `receive_data`.
        3. ``PAUSED``: the next message waits until this exchange is complete on our side.

        Raises:
            RemoteProtocolError: the peer broke the protocol; ``status_hint`` is what a server
                answers with. Asking again raises it again.
        """

    # Sending

    def next_stream_id(self) -> int:
        """Return the number that the next request of ours has to carry. HTTP/1 always says 0."""

    def send(self, event: Event) -> Sequence[bytes]:
        """Frame an event; return the buffers to write, in order, without joining them.

        Raises:
            LocalProtocolError: the event is not allowed now.
            ValueError, TypeError: it holds what must not be sent; the text names it.
        """

    def take_output(self) -> Sequence[bytes]:
        """Give out what the engine itself has to say: its preface, settings, acknowledgements.

        To be asked before the first read and after each question to `next_event`. HTTP/1 has
        nothing to say but what was sent.
        """

    def credit(self, stream_id: int, size: int) -> Sequence[bytes]:
        """The reader has consumed ``size`` bytes of a body: open the peer's window again.

        HTTP/1 has no window of its own (not reading is the backpressure): nothing to write.
        """

    def send_capacity(self, stream_id: int) -> int | None:
        """How many body bytes may be sent now; None where the version sets no bound."""

    @property
    def can_reuse(self) -> bool:
        """Whether another exchange may begin on this connection once this one is complete."""

    def trailing_data(self) -> bytes:
        """Give out the bytes received beyond the last message, after the protocol has changed."""
