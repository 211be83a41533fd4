"""Busy connections take turns: what one moves between two turns of another is bounded."""

from __future__ import annotations

from contextlib import contextmanager

import gevent
from gevent.event import Event

from galeph.tcp import stream as tcp_stream
from galeph.transport import sockets
from tests.faults.kit.process import running

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


@contextmanager
def taking_turns():
    """`Turns` for the length of a block: a greenlet that never waits must not outlive its test."""
    turns = Turns()
    try:
        yield turns
    finally:
        turns.stop()


# A peer is a process of its own: a thread gets its turn at the interpreter only every 5 ms while a
# greenlet never waits, and is no match for what it is to keep busy.
_PEER = """
import socket, sys

def flood(sock):
    for _ in range(64):
        sock.sendall(bytes(1024 * 1024))

def swallow(sock):
    while sock.recv(1024 * 1024):
        pass

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as sock:
    print("null", flush=True)
    {"flood": flood, "swallow": swallow}[sys.argv[2]](sock)
"""


def test_of_one_that_floods(serve):
    """A peer that always has more to say is listened to for 16 full buffers at a time."""
    done = Event()

    def swallow(stream, info):
        for message in stream:
            turns.moved += len(message)
        done.set()

    with taking_turns() as turns, running("-c", _PEER, serve(swallow).port, "flood") as peer:
        assert done.wait(60)
        assert 0 == peer.wait()

    assert _BULK == turns.moved
    assert turns.most <= sockets._MAX_READS * tcp_stream._RECEIVE_BYTES


def test_of_one_that_takes_everything(serve):
    """A peer that the kernel never makes us wait for is sent 256 KiB at a time."""
    done = Event()
    block = b"x" * 16384

    def pour(stream, info):
        while turns.moved < _BULK and stream.put(block):
            turns.moved += len(block)
        done.set()

    with taking_turns() as turns, running("-c", _PEER, serve(pour).port, "swallow") as peer:
        assert done.wait(60)
        assert 0 == peer.wait()

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
