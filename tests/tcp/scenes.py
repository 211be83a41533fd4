"""What plays on the TCP stages."""

from __future__ import annotations

from gevent.event import Event

from tests.transport.wire import settle


def echo(connection, _info):
    for message in connection:
        connection.put(message)


def take(source, size):
    """Exactly so many bytes."""
    received = b""
    while len(received) < size:
        received += source.take()
    return received


class Held:
    """A handler that keeps its stream, and lasts until it is released."""

    def __init__(self):
        self.streams = []
        self.release = Event()

    def __call__(self, connection, _info):
        self.streams.append(connection)
        self.release.wait()

    def only(self):
        assert settle(lambda: len(self.streams) == 1)
        return self.streams[0]
