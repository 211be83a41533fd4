"""Busy connections take turns: what one moves between two turns of another is bounded."""

from __future__ import annotations

import gevent
from gevent import get_hub
from gevent.event import Event
from gevent.monkey import get_original

from galeph.tcp import stream as tcp_stream
from galeph.transport import sockets

_BULK = 64 * 1024 * 1024


class Turns:
    """A greenlet that does nothing but have its turn, and notes what was moved between two."""

    def __init__(self):
        self.moved = 0
        self.most = 0
        self.taken = 0
        self._greenlet = gevent.spawn(self._take_turns)

    def _take_turns(self):
        before = 0
        while True:
            self.most = max(self.most, self.moved - before)
            before = self.moved
            self.taken += 1
            gevent.sleep(0)

    def stop(self):
        self._greenlet.kill()


def _in_thread(work, port):
    """Do ``work`` with a blocking connection in a thread, which gevent knows nothing of."""

    def run():
        with get_original("socket", "socket")() as sock:
            sock.connect(("127.0.0.1", port))
            work(sock)

    return get_hub().threadpool.spawn(run)


def test_of_one_that_floods(serve):
    """A peer that always has more to say is listened to for 16 full buffers at a time."""
    turns, done = Turns(), Event()

    def swallow(stream, info):
        for message in stream:
            turns.moved += len(message)
        done.set()

    server = serve(swallow)
    block = b"x" * 1024 * 1024
    flood = _in_thread(
        lambda sock: [sock.sendall(block) for _ in range(_BULK // len(block))], server.port
    )
    assert done.wait(30)
    flood.get(timeout=5)
    turns.stop()

    assert _BULK == turns.moved
    assert turns.most <= sockets._MAX_READS * tcp_stream._RECEIVE_BYTES


def test_of_one_that_takes_everything(serve):
    """A peer that the kernel never makes us wait for is sent 256 KiB at a time."""
    turns, done = Turns(), Event()
    block = b"x" * 16384

    def pour(stream, info):
        while turns.moved < _BULK and stream.put(block):
            turns.moved += len(block)
        done.set()

    def swallow(sock):
        while sock.recv(1 << 20):
            pass

    swallowing = _in_thread(swallow, serve(pour).port)
    assert done.wait(30)
    swallowing.get(timeout=5)
    turns.stop()

    assert _BULK == turns.moved
    assert turns.most <= sockets._SEND_BUDGET + len(block)


def test_of_many(serve, dial):
    """Forty connections that always have a message on the way are served equally often."""
    served = [0] * 40

    def talk(number):
        with dial(server) as client:
            while True:
                client.put(b"x" * 1000)
                client.take()
                served[number] += 1

    server = serve()
    greenlets = [gevent.spawn(talk, number) for number in range(len(served))]
    while sum(served) < 20_000:
        gevent.sleep(0.01)
    gevent.killall(greenlets)

    assert min(served) > 0.8 * max(served)
