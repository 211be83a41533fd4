"""Framing of one's own protocols: how messages stand in a stream of bytes.

A `Codec` knows one frame; `FrameDecoder` takes the bytes as they come and gives the frames. Pure:
`galeph.tcp.framed` joins them with a connection.
"""

from galeph.protocol.framing.codec import Codec
from galeph.protocol.framing.decoder import FrameDecoder
from galeph.protocol.framing.lines import lines
from galeph.protocol.framing.packed import packed
from galeph.protocol.framing.prefixed import length_prefixed, varint_prefixed

__all__ = [
    "Codec",
    "FrameDecoder",
    "length_prefixed",
    "lines",
    "packed",
    "varint_prefixed",
]
