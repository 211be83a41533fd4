"""UDP echo with galeph, as a loop and as a link of the stream to itself: ``PORT loop|connect``."""

from __future__ import annotations

import sys

from galeph import stream, udp


def loop(packets):
    for packet in packets:
        packets.put(packet)


def connect(packets):
    stream.connect(packets, packets).get()


if __name__ == "__main__":
    {"loop": loop, "connect": connect}[sys.argv[2]](udp.socket(int(sys.argv[1])).result())
