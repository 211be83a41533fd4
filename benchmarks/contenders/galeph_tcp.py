"""TCP echo with galeph: ``PORT loop|connect|once``.

As a loop, as a link of the stream to itself, and of one message, after which the connection ends.
"""

from __future__ import annotations

import sys

from galeph import stream, tcp


def loop(s, info):
    for message in s:
        s.put(message)


def connect(s, info):
    stream.connect(s, s)


def once(s, info):
    s.put(s.take())


if __name__ == "__main__":
    handler = {"loop": loop, "connect": connect, "once": once}[sys.argv[2]]
    tcp.start_server(handler, port=int(sys.argv[1])).serve_forever()
