"""A TCP proxy that is exact to the byte, with faults: `fault_proxy` starts one and steers it.

It stands between a client and a server on this machine. What passes from the client to the server
is the direction ``request``, what comes back is ``response``. The verbs are about the connections
that are accepted from then on; a verb replaces what the same verb said before, `clear` takes all
of it back. What the faults do is in `tests.faults.kit.wire`; this module moves the bytes.

An end or a reset of one side is passed on as what it is. A reset is ``SO_LINGER`` of no seconds.
"""

from __future__ import annotations

import struct
import sys
from contextlib import contextmanager

import gevent
from gevent import socket
from gevent.fileobject import FileObject

from tests.faults.kit.process import running, serve_commands
from tests.faults.kit.wire import End, Faults, Pause, pass_on

DIRECTIONS = ("request", "response")
_LINGER_0 = struct.pack("ii", 1, 0)
# How long what still comes is read after an orderly end: a reset would undo it.
_DRAIN_SECONDS = 2.0


class FaultProxy:
    """The proxy as a test sees it."""

    def __init__(self, program):
        self._program = program
        self._faults = {direction: {} for direction in DIRECTIONS}
        self.port = program.ready["port"]

    def cut_at(self, place, how="rst", *, of="request"):
        """End both sides, by ``rst`` or ``fin``, once that many bytes have passed."""
        self._set(of, cut=(place, how))

    def half_close(self, place, *, of="request"):
        """End one direction after so many bytes; the other goes on."""
        self._set(of, cut=(place, "half"))

    def stall_at(self, place, seconds, *, of="request"):
        """Hold what comes from this byte on, once, for so long."""
        self._set(of, stall=(place, seconds))

    def dribble(self, size, every, *, of="request"):
        """Pass so many bytes at a time, and wait after each."""
        self._set(of, dribble=(size, every))

    def corrupt(self, place, *, of="request"):
        """Turn all bits of one byte."""
        self._set(of, corrupt=place)

    def split(self, *sizes, of="request"):
        """Deliver the first pieces in these sizes, each by itself."""
        self._set(of, split=sizes)

    def clear(self):
        """No faults any more."""
        self._faults = {direction: {} for direction in DIRECTIONS}
        self._program.ask(faults=self._faults)

    def passed(self):
        """How many bytes each direction of the last connection has delivered, once it is over."""
        return self._program.ask(passed=True)

    def _set(self, direction, **fault):
        self._faults[direction] |= fault
        self._program.ask(faults=self._faults)


@contextmanager
def fault_proxy(port, host="127.0.0.1"):
    """A proxy before a server, for the length of a block."""
    with running("-m", __name__, host, port) as program:
        yield FaultProxy(program)


# -- the program


class _Connection:
    """Two sockets, and a greenlet for each direction."""

    def __init__(self, client, address, faults):
        self._client = client
        self._address = address
        self._faults = faults
        self.passed = dict.fromkeys(DIRECTIONS, 0)

    def run(self):
        try:
            server = socket.create_connection(self._address)
        except OSError:
            _reset(self._client)
            return
        ends = (self._client, server)
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        movers = [
            gevent.spawn(self._move, "request", self._client, server),
            gevent.spawn(self._move, "response", server, self._client),
        ]
        try:
            gevent.joinall(movers)
        finally:
            for end in ends:
                end.close()

    def _move(self, direction, source, sink):
        faults = self._faults[direction]
        data = b""
        try:
            while True:
                for step in pass_on(faults, self.passed[direction], data):
                    if isinstance(step, Pause):
                        gevent.sleep(step.seconds)
                    elif isinstance(step, End):
                        self._end(step.how, source, sink)
                        return
                    else:
                        sink.sendall(step)
                        self.passed[direction] += len(step)
                data = source.recv(65536)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
        except OSError:
            # One side is gone, or was reset by the other direction.
            _reset(source)
            _reset(sink)

    def _end(self, how, source, sink):
        if how == "rst":
            _reset(source)
            _reset(sink)
            return
        sink.shutdown(socket.SHUT_WR)
        if how == "fin":
            source.shutdown(socket.SHUT_WR)
        with gevent.Timeout(_DRAIN_SECONDS, False):
            while source.recv(65536):
                pass


def _reset(end):
    if not end.closed:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        end.close()


class _Proxy:
    """The listener and the faults that its next connection will have."""

    def __init__(self, address):
        self._address = address
        self._faults = dict.fromkeys(DIRECTIONS, Faults())
        self._last = None
        self._running = None
        # gevent.socket.create_server is the standard library's, and blocks.
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1024)

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def accept_for_ever(self):
        while True:
            client, _ = self._listener.accept()
            self._last = _Connection(client, self._address, dict(self._faults))
            self._running = gevent.spawn(self._last.run)

    def answer(self, command):
        if "passed" in command:
            self._running.join()
            return self._last.passed
        for direction, values in command["faults"].items():
            self._faults[direction] = Faults(**values)
        return None


def main(host, port):
    """Serve as the proxy before ``host`` and ``port`` until the input ends."""
    proxy = _Proxy((host, int(port)))
    gevent.spawn(proxy.accept_for_ever)
    serve_commands({"port": proxy.port}, proxy.answer, FileObject(0, closefd=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
