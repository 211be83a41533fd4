"""The slow sink: it takes little, and whoever sends has to wait."""

from __future__ import annotations

import gevent
from gevent.server import StreamServer

from tests.faults.kit.sink import slow_sink


def test_slow_sink():
    """A sender gets rid of what the buffers hold, and no more."""
    heard, sent = [], []

    def serve(sock, _):
        heard.append(sock.recv(100))
        sock.setsockopt(1, 7, 4096)  # SOL_SOCKET, SO_SNDBUF
        try:
            while True:
                sent.append(sock.send(b"x" * 1000))
        except ConnectionError:
            pass

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    try:
        with slow_sink(server.server_port, b"hello", size=1, every=0.01) as sink:
            gevent.sleep(0.1)
            before = sum(sent)
            gevent.sleep(0.1)

            assert [b"hello"] == heard
            assert before - sink.received() < 100_000
            assert 0 < sink.received() < 100
            assert sum(sent) - before < 20_000
            assert not sink.has_ended()
    finally:
        server.stop(1)


def test_end():
    """The sink says when the other side has ended."""
    server = StreamServer(("127.0.0.1", 0), lambda sock, _: sock.sendall(b"x"))
    server.start()
    try:
        with slow_sink(server.server_port, every=0) as sink, gevent.Timeout(5):
            while not sink.has_ended():
                gevent.sleep(0.01)

            assert 1 == sink.received()
    finally:
        server.stop(1)
