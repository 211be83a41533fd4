"""A slow sink: it says its piece and then takes what comes a byte at a time.

Its receive buffer is as small as the kernel allows (asked for 1 KiB, Linux gives about twice
that), so whoever sends is made to wait after a few kilobytes.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

import gevent
from gevent import socket
from gevent.fileobject import FileObject

from tests.faults.kit.process import running, serve_commands

_RECEIVE_BUFFER = 1024


class SlowSink:
    """The sink as a test sees it."""

    def __init__(self, program):
        self._program = program

    def received(self):
        """How many bytes it has taken so far."""
        return self._program.ask()["received"]

    def has_ended(self):
        """Whether the other side has ended or reset the connection."""
        return self._program.ask()["ended"]


@contextmanager
def slow_sink(port, first_words=b"", *, size=1, every=1.0):
    """Connect, send ``first_words``, then read ``size`` bytes each ``every`` seconds."""
    with running("-m", __name__, port, first_words.hex(), size, every) as program:
        yield SlowSink(program)


# -- the program


class _Sink:
    def __init__(self, port, first_words):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(first_words)
        self.received = 0
        self.ended = False

    def take(self, size, every):
        try:
            while data := self._socket.recv(size):
                self.received += len(data)
                gevent.sleep(every)
        except ConnectionError:
            pass
        self.ended = True

    def answer(self, _):
        return {"received": self.received, "ended": self.ended}


def main(port, first_words, size, every):
    """Be the sink until the input ends."""
    sink = _Sink(int(port), bytes.fromhex(first_words))
    gevent.spawn(sink.take, int(size), float(every))
    serve_commands(None, sink.answer, FileObject(0, closefd=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
