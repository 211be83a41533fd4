"""`Limits`: how much of anything a peer may make us hold. Frozen, validated, reasons beside."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, or counts. None turns a limit off, where that is allowed.

    How many pipelined requests a server works at is no number to set. It is one: the next is
    neither read nor parsed before the answer to the one before has gone out. What a client sends
    ahead is held up to one read of the socket (64 KiB), and waits with the kernel beyond that.

    Raises:
        ValueError, TypeError: a field is negative, or not an int.
    """

    # Request line or status line; 414. What nginx, Netty and aiohttp take by default (8 KiB).
    max_line_bytes: int = 8 * _KIB
    # One field line; 431. Large enough for the cookies and tokens that browsers really send.
    max_header_bytes: int = 8 * _KIB
    # The whole head; 431. Bounds what a connection can pin before any of it is understood.
    max_headers_bytes: int = 64 * _KIB
    # Fields in a head; 431. Browsers send about 20, proxies add a dozen.
    max_headers: int = 128
    # Fields in a trailer section; its bytes count as head bytes.
    max_trailers: int = 32
    # A chunk-size line with its extensions: nobody uses them for more than a signature.
    max_chunk_line_bytes: int = 256
    # Bytes of chunk framing beyond which, once they exceed the payload too, a body is refused.
    max_chunk_overhead_bytes: int = 100 * _KIB
    # A body as streamed. Memory does not depend on it, so it may be generous; still a number.
    max_body_bytes: int | None = 1024 * _MIB
    # A body gathered in memory (text, json, form, bytes).
    max_buffered_body_bytes: int = 1 * _MIB
    # What is read and thrown away of a body the handler ignored, to keep the connection.
    max_drain_bytes: int = 256 * _KIB
    # Exchanges on one connection; the last answer says close. Spreads load after a scale-out.
    max_requests_per_connection: int | None = 1000
    # Connections of one server; above it the backlog queues.
    max_connections: int = 10_000
    # Client: redirects followed one after the other. As browsers and Aleph have it.
    max_redirects: int = 20
    # 1xx responses before the final one.
    max_interim_responses: int = 100
    # A WebSocket message, and the fragments it may come in.
    max_message_bytes: int = 1 * _MIB
    max_fragments: int = 1024

    def __post_init__(self) -> None:
        optional = {"max_body_bytes", "max_requests_per_connection"}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None and one.name in optional:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{one.name} must be an int, not {value!r}")
            if value < 0:
                raise ValueError(f"{one.name} must not be negative: {value}")
