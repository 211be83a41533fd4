"""`Timeouts`: how long a peer may take over anything. Frozen, validated, reasons beside."""

from __future__ import annotations

from dataclasses import dataclass, fields

from galeph._arguments import check_seconds

__all__ = ["Timeouts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits in seconds. None turns one off.

    A deadline of a connection is met within three seconds after it has passed (one sweep a second
    serves all connections).

    Raises:
        ValueError, TypeError: a field is not a positive number.
    """

    # Server: from the connection to its first byte. Whoever connects has something to say.
    first_byte: float | None = 10.0
    # Server: from the first byte of a head to its last, however it dribbles in.
    head: float | None = 30.0
    # Server: a body that makes no progress for this long.
    body_progress: float | None = 30.0
    # Both: bytes of ours that the peer does not take for this long.
    write_progress: float | None = 30.0
    # Both: an idle connection between two exchanges. Browsers close after about as long.
    keep_alive: float | None = 75.0
    # Server: reading and throwing away what a refused or ignored request still sends.
    drain: float | None = 2.0
    # Both: the TLS handshake, to its end.
    tls: float | None = 10.0
    # Server: what is under way when it is closed, where `Server.close` is not told otherwise.
    shutdown: float | None = 15.0
    # Client: waiting for a connection of the pool.
    pool: float | None = 30.0
    # Client: for the addresses of a name. The C library asks a server twice, 5 s each.
    resolve: float | None = 15.0
    # Client: for name and TCP together; an address that does not answer gives way after 10.
    connect: float | None = 30.0
    # Client: from the request's last byte to the response head; and between two reads of a body.
    response_head: float | None = 60.0
    read_progress: float | None = 30.0
    websocket_open: float | None = 10.0
    websocket_close: float | None = 10.0
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0

    def __post_init__(self) -> None:
        for one in fields(self):
            check_seconds(one.name, getattr(self, one.name))
