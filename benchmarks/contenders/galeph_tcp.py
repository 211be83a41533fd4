"""TCP echo with galeph, as a loop and as a link of the stream to itself: ``PORT loop|connect``."""

from __future__ import annotations

import sys

from galeph import stream, tcp


def loop(s, info):
    for message in s:
        s.put(message)


def connect(s, info):
    stream.connect(s, s)


if __name__ == "__main__":
    handler = {"loop": loop, "connect": connect}[sys.argv[2]]
    tcp.start_server(handler, port=int(sys.argv[1])).serve_forever()
