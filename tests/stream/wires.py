"""A connection of the tests' own: messages arrive when told, sending sticks when told."""

from __future__ import annotations

from collections import deque

import gevent
from gevent.event import Event

from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED


class Wire(ActiveSource, ActiveSink):
    """An active duplex stream without a network."""

    _kind = "wire"

    def __init__(self, *arrived):
        super().__init__()
        self.arrived = deque(arrived)
        self.sent = []
        self.is_stuck = False
        self.inside = self.most_inside = 0
        self.on_receive = lambda: None
        self._news = Event()
        self._unstuck = Event()
        self._over = False
        self._cut = None

    # What the peer does

    def arrive(self, message):
        self.arrived.append(message)
        self._news.set()

    def end(self, error=None):
        self._over, self._cut = True, error
        self._news.set()

    def unstick(self):
        self.is_stuck = False
        self._unstuck.set()

    # What an implementor writes

    def _receive(self):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            self.on_receive()
            while (message := self._receive_ready()) is EXPIRED:
                self._news.clear()
                self._news.wait()
            return message
        finally:
            self.inside -= 1

    def _receive_ready(self):
        if self.arrived:
            return self.arrived.popleft()
        if not self._over:
            return EXPIRED
        self._end(self._cut)
        self._raise_error()
        return END

    def _transmit(self, message):
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            while self.is_stuck:
                self._unstuck.wait()
            if self._closed:
                return False
            self.sent.append(message)
            return True
        finally:
            self.inside -= 1

    def close(self):
        self._shut()
        self.end()

    def fail(self, error):
        self.failed_with = error
        self._shut()
        self.end(error)


def yielding(fn):
    """``fn``, but others run before it returns."""

    def slow(*args):
        gevent.sleep(0)
        return fn(*args)

    return slow
