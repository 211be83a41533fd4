"""Files go out by the kernel where it can, by ``os.sendfile``: nothing is copied into this process.

A part of a file is a message as any other (`galeph.transport.sending`): nothing comes in between,
and it is sent whole or not at all. One whose sender is interrupted in the middle is finished in the
background from a descriptor of our own, since the sender's file may be closed by then. A file that
turns out to be shorter than it was said to be, or cannot be read, ends the connection if some of it
is out: the peer must not take what follows for the rest.

Reading a file blocks the process while the disk is slow, as everywhere in Python.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

from gevent import spawn_raw

from galeph._arguments import check_count
from galeph.transport.sending import Sender, mark_sent_anyway, views_of

__all__ = ["FileFailed", "FilePart", "Move", "part_of", "read_and_write", "send_part"]

_PIECE_BYTES = 262144


class FilePart:
    """What is still to be sent of a file."""

    __slots__ = ("fd", "left", "offset")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self.fd = fd
        self.offset = offset
        self.left = left

    def advance(self, sent: int) -> None:
        """Take off what has been sent."""
        self.offset += sent
        self.left -= sent

    def ended(self) -> OSError:
        """What to raise when the file has no more."""
        return OSError(errno.ENODATA, f"the file ended {self.left} bytes before it should have")


class FileFailed(Exception):
    """It was the file that could not be read, and not the connection that broke."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


# Sends some of a part and takes that off it; may block. What it has taken off when it raises will
# be sent, or the connection is lost.
Move = Callable[[FilePart], None]


def part_of(file: Any, offset: int, count: int | None) -> FilePart:
    """Check what is to be sent of a file, a descriptor or an object that has one.

    Raises:
        TypeError, ValueError: it is no regular file, or has no such part; the text names it.
    """
    fd = file.fileno() if hasattr(file, "fileno") else file
    if not isinstance(fd, int) or isinstance(fd, bool):
        raise TypeError(f"file must be an open file or a descriptor, not {file!r}")
    check_count("offset", offset, least=0)
    check_count("count", count, least=0, optional=True)
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("file must be a regular file; put() takes other kinds")
    if not facts.st_size and count != 0 and os.pread(fd, 1, 0):
        # So it is with those of /proc.
        raise ValueError("file: the system does not say how long it is; put() its bytes")
    left = max(0, facts.st_size - offset) if count is None else count
    if offset + left > max(facts.st_size, offset):
        text = f"the file has {facts.st_size} bytes, and not {count} from {offset} on"
        raise ValueError(f"count: {text}")
    return FilePart(fd, offset, left)


def send_part(sender: Sender, part: FilePart, move: Move) -> None:
    """Block until ``part`` is sent, after everything that was to be sent before it.

    Raises:
        OSError: the file could not be read, or is too short. If some of it was sent, the connection
            has been cut.
        ConnectionLost, ResourceClosed: as for `Transport.send`.
    """
    if not sender.can_send:
        raise sender.no_longer_usable()
    sender.turns.take()
    begin = part.offset
    try:
        _move_all(sender, part, move)
    except BaseException as error:
        has_begun = part.offset > begin
        if isinstance(error, FileFailed):
            if has_begun:
                sender.abort()
            sender.turns.end()
            raise error.reason from None
        if has_begun and _can_go_on(sender):
            mark_sent_anyway(error)
            _finish_later(sender, part, move)
        else:
            sender.turns.end()
        raise
    sender.turns.end()


def read_and_write(sender: Sender, part: FilePart) -> None:
    """Move some of a file by way of our memory: a `Move` for any transport."""
    try:
        data = os.pread(part.fd, min(part.left, _PIECE_BYTES), part.offset)
    except OSError as error:
        raise FileFailed(error) from error
    if not data:
        raise FileFailed(part.ended())
    views = views_of(data)
    try:
        while views:
            sender.write_some(views)
    finally:
        part.advance(len(data) - sum(map(len, views)))


def _move_all(sender: Sender, part: FilePart, move: Move) -> None:
    while part.left:
        if not sender.can_send:
            raise sender.no_longer_usable()
        move(part)


def _can_go_on(sender: Sender) -> bool:
    return sender.can_send


def _finish_later(sender: Sender, part: FilePart, move: Move) -> None:
    """Have the rest sent before anything else is. Never switches."""
    try:
        ours = os.dup(part.fd)
    except OSError:
        sender.abort()
        sender.turns.end()
    else:
        spawn_raw(_finish, sender, FilePart(ours, part.offset, part.left), move)


def _finish(sender: Sender, part: FilePart, move: Move) -> None:
    """Send what an interrupted sender has left. Runs in a greenlet of its own."""
    try:
        _move_all(sender, part, move)
    except Exception:  # noqa: S110  (the connection is lost, and tells whoever uses it next)
        pass
    finally:
        os.close(part.fd)
        if part.left:
            sender.abort()
        sender.turns.end()
