"""HTTP/1.0 and 1.1 framing (RFC 9112): a strict fast path, h11 behind it, one policy over both."""

from __future__ import annotations

from galeph.protocol.h1.engine import H1Engine

__all__ = ["H1Engine"]
