"""What a WebSocket engine reports: whole messages, control frames, and the two ways to end.

The engine turns bytes into these. Fragments, masks and lengths stay below; a `Message` is always
complete, so that a driver never gathers anything; `Partial` is there for one that counts its work.
RFC 6455 sections 5.5 and 5.6.

A connection ends with exactly one of two events. `Close` is the peer's close frame: answer it
with one of our own. `Failed` says that the peer broke a rule, or went away without a close frame
(section 7.1.7): send its code, unless that is 1006, and give the connection up.
"""

from __future__ import annotations

from dataclasses import dataclass

from galeph.protocol.events import NEED_DATA, NeedData

__all__ = [
    "NEED_DATA",
    "PARTIAL",
    "Close",
    "Failed",
    "Message",
    "NeedData",
    "Partial",
    "Ping",
    "Pong",
    "WebSocketEvent",
]


@dataclass(slots=True)
class Message:
    """A whole message: ``str`` from text frames, ``bytes`` from binary ones."""

    data: str | bytes


@dataclass(slots=True)
class Partial:
    """A fragment that is not the last of its message: work was done, and nothing is to be had."""


@dataclass(slots=True)
class Ping:
    """The peer asks whether we live. A pong with the same payload answers it."""

    payload: bytes = b""


@dataclass(slots=True)
class Pong:
    """The answer to a ping of ours, or one that nobody asked for."""

    payload: bytes = b""


@dataclass(slots=True)
class Close:
    """The peer's close frame. Nothing it sends after it counts.

    ``code`` is 1005 where the frame held none. ``is_cut`` says that the peer closed in the middle
    of a fragmented message, of which nothing is reported.
    """

    code: int
    reason: str = ""
    is_cut: bool = False


@dataclass(slots=True)
class Failed:
    """The connection must be failed with this close code (1006: nothing is to be sent)."""

    code: int
    reason: str


WebSocketEvent = Message | Partial | Ping | Pong | Close | Failed | NeedData

PARTIAL = Partial()
