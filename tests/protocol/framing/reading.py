"""Reading frames in every way they can arrive."""

from __future__ import annotations

from galeph.protocol.events import NEED_DATA
from galeph.protocol.framing import FrameDecoder


def read(codec, *pieces):
    """All messages of these pieces; what is raised goes on."""
    decoder = FrameDecoder(codec)
    messages = []
    for piece in pieces:
        decoder.receive(piece)
        while (message := decoder.next()) is not NEED_DATA:
            messages.append(message)
    decoder.end()
    return messages


def read_in_every_way(codec, data):
    """The messages, which are the same whole, byte by byte, and at every split."""
    whole = read(codec, data)
    assert whole == read(codec, *(data[at : at + 1] for at in range(len(data))))
    for at in range(len(data)):
        assert whole == read(codec, data[:at], data[at:])
    return whole
