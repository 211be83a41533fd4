"""Messages go out one after the other, and each one whole or not at all.

Two greenlets that send at once must not mix their bytes, and a greenlet that is killed, or whose
``gevent.Timeout`` fires, in the middle of a send must not leave half a message in front of what
another sends next. So senders queue in `Turns`; one that is interrupted

- before the first byte was accepted withdraws its message;
- after it hands the rest, and its turn, to a greenlet of ours, which ends with the message or with
  the connection; the exception is marked, for whoever has to know (`was_sent_anyway`).

*Committed* data counts as accepted from the start: the layer above has already made it part of a
sequence (a TLS record) that cannot do without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from gevent import spawn_raw
from gevent.hub import Waiter

from galeph.transport.base import Buffer
from galeph.transport.turns import Turns

__all__ = [
    "Sender",
    "Views",
    "finish_in_background",
    "mark_sent_anyway",
    "send_whole",
    "views_of",
    "was_sent_anyway",
]

Views = deque[memoryview]


class Sender(Protocol):
    """What a transport that sends by this module has to have."""

    turns: Turns
    can_send: bool

    def write_some(self, views: Views) -> None:
        """Take bytes off the front of ``views``, which is not empty, and send them. May block.

        What it has taken off when it raises will be sent, or the connection is lost.
        """

    def no_longer_usable(self) -> Exception:
        """A new exception that says why `can_send` is False."""

    def abort(self, error: Exception | None = None) -> None:
        """End the connection."""


def views_of(data: Buffer | Sequence[Buffer]) -> Views:
    """Return the parts of ``data`` as views on bytes, the empty ones left out."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = (data,)
    views = (memoryview(part).cast("B") for part in data)
    return deque(view for view in views if len(view))


def send_whole(sender: Sender, views: Views, *, committed: bool) -> None:
    """Block until ``views`` are sent, after everything that was to be sent before them."""
    if not sender.can_send:
        raise sender.no_longer_usable()
    turns = sender.turns
    if turns.is_taken:
        turn = turns.join()
        try:
            turn.get()
        except BaseException as error:
            if committed and sender.can_send:
                mark_sent_anyway(error)
                spawn_raw(_finish, sender, _kept(views), turns.pass_on(turn))
            else:
                turns.leave(turn)
            raise
    else:
        turns.is_taken = True
    size = _size(views)
    try:
        _write_all(sender, views)
    except BaseException as error:
        was_accepted = committed or _size(views) < size
        if was_accepted and _can_go_on(sender):
            mark_sent_anyway(error)
            finish_in_background(sender, views)
        else:
            turns.end()
        raise
    turns.end()


def finish_in_background(sender: Sender, views: Views) -> None:
    """Send ``views`` before anything else is. Never switches. Nobody else must have the turn."""
    sender.turns.is_taken = True
    spawn_raw(_finish, sender, _kept(views), None)


def was_sent_anyway(error: BaseException) -> bool:
    """Whether the message is (being) sent although its `send` was interrupted by ``error``."""
    return getattr(error, "_galeph_sent_anyway", False)


def mark_sent_anyway(error: BaseException) -> None:
    """Note on what has interrupted a `send` that the message goes out; see `was_sent_anyway`."""
    error._galeph_sent_anyway = True  # type: ignore[attr-defined]  # exceptions take any attribute


def _write_all(sender: Sender, views: Views) -> None:
    while views:
        if not sender.can_send:
            raise sender.no_longer_usable()
        sender.write_some(views)


def _finish(sender: Sender, views: Views, turn: Waiter[None] | None) -> None:
    """Send what an interrupted sender has left. Runs in a greenlet of its own."""
    try:
        if turn is not None:
            turn.get()
        _write_all(sender, views)
    except Exception:  # noqa: S110  (the connection is lost, and tells whoever uses it next)
        pass
    finally:
        if views:
            sender.abort()
        if turn is None:
            sender.turns.end()
        else:
            sender.turns.leave(turn)


def _can_go_on(sender: Sender) -> bool:
    return sender.can_send


def _size(views: Views) -> int:
    return sum(map(len, views))


def _kept(views: Views) -> Views:
    """The same bytes, safe from a caller who uses his buffers again."""
    return deque(v if v.obj.__class__ is bytes else memoryview(bytes(v)) for v in views)
