"""What a server says of itself when it is asked: numbers, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ServerStats"]


@dataclass(frozen=True, slots=True)
class ServerStats:
    """What a server has done so far and is doing now.

    ``refused`` are the accepted connections that were not let in: too many of one peer, or
    without the PROXY header that was due. ``failed_handshakes`` counts those of TLS,
    ``failed_handshakes_by`` the same by their class; see
    `galeph.transport.tls_failures.handshake_failure`. ``times_full`` says how often connections
    had to wait because there were as many as there may be. ``counts`` is what the protocol on top
    counts, by name.
    """

    active: int
    idle: int
    accepted: int
    failed_handshakes: int
    accept_errors: int
    is_accepting: bool
    counts: Mapping[str, int]
    refused: int = 0
    failed_handshakes_by: Mapping[str, int] = field(default_factory=dict)
    times_full: int = 0
