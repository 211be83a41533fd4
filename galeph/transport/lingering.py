"""Ending a connection whose last words matter: our side first, then what still comes is dropped.

Closed with bytes unread, or while more of them arrive, the kernel resets the connection, and the
reset may destroy what the peer has not read yet: the answer that says why (RFC 9112 section 9.6).
"""

from __future__ import annotations

from galeph.errors import ResourceBusy, TimedOut, TransportError
from galeph.transport.base import Transport

__all__ = ["linger"]

_READ_BYTES = 65536


def linger(transport: Transport, max_bytes: int) -> None:
    """End our side; block until the peer has ended its, and drop what it sends.

    It ends early, without saying so, after ``max_bytes``, when the connection breaks, when the
    caller's deadline interrupts it, and where somebody else receives. Closing is the caller's.

    Raises:
        TransportError, ResourceClosed: our side could not be ended.
    """
    transport.send_eof()
    left = max_bytes
    try:
        while left > 0:
            data = transport.recv(_READ_BYTES)
            if not data:
                return
            left -= len(data)
    except (TimedOut, TransportError, ResourceBusy):
        return
