"""Things to convert, and ways to look at them."""

from __future__ import annotations

import os

from galeph.stream import Stream

# Of one, two, three and four bytes a character, so that every small chunk cuts some.
TEXT = "Aß丁𝄞, one line\nand another\r\n\nthe last one: 丁丁丁"
BYTES = bytes(range(256)) + b"\xff\xfe\x00\x80"


def stream_of(*messages):
    """A closed stream with some messages in it."""
    stream = Stream(len(messages))
    stream.put_all(messages)
    stream.close()
    return stream


def failed_stream_of(*messages, error):
    """A stream with some messages in it, that has failed behind them."""
    stream = Stream(len(messages))
    stream.put_all(messages)
    stream.fail(error)
    return stream


def is_open(path):
    """Whether this process has a descriptor of the file."""
    entries = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return str(path) in {os.readlink(entry) for entry in entries if os.path.lexists(entry)}


class Source:
    """Implements `ByteSource` and `Closeable`, and knows what it was asked."""

    def __init__(self, data):
        self.data = data
        self.sizes = []
        self.is_closed = False

    def take_bytes(self, size):
        self.sizes.append(size)
        taken, self.data = self.data[:size], self.data[size:]
        return taken or None

    def close(self):
        self.is_closed = True


class Sink:
    """Implements `ByteSink` and `Closeable`, and keeps what it was sent."""

    def __init__(self):
        self.pieces = []
        self.is_closed = False

    @property
    def data(self):
        return b"".join(self.pieces)

    def send_bytes(self, data):
        self.pieces.append(data)

    def close(self):
        self.is_closed = True


class Letters:
    """A value that nobody knows how to convert."""

    def __init__(self, text):
        self.text = text
