"""Frames of 64 bytes, two numbers and a text, read and sent back: ``PORT galeph|bare``.

`bare` is a StreamServer that cuts them out by hand, as one would without codecs, and without any
limit or answer to a frame that is cut.
"""

from __future__ import annotations

import struct
import sys

from gevent.server import StreamServer

from galeph import tcp

_LAYOUT = "!II56s"


def galeph(stream, info):
    messages = tcp.framed(stream, tcp.packed(_LAYOUT))
    for message in messages:
        messages.put(message)


def bare(sock, address):
    layout = struct.Struct(_LAYOUT)
    size = layout.size
    data = b""
    while piece := sock.recv(65536):
        data += piece
        at = 0
        while len(data) - at >= size:
            message = layout.unpack_from(data, at)
            sock.sendall(layout.pack(*message))
            at += size
        data = data[at:]


if __name__ == "__main__":
    port = int(sys.argv[1])
    if sys.argv[2] == "galeph":
        tcp.start_server(galeph, port=port).serve_forever()
    else:
        StreamServer(("127.0.0.1", port), bare).serve_forever()
