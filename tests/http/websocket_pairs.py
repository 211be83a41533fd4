"""WebSockets over a real socket pair, against a peer that writes and reads frames by hand."""

import socket

import gevent

from galeph.http import Timeouts
from galeph.http.websocket import WebSocket
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.websocket.engine import WebSocketEngine
from galeph.transport.sockets import SocketTransport
from tests.protocol.websocket import frames

# Long enough that nothing happens by itself.
QUIET = Timeouts(websocket_close=5, ping_interval=None)


class Peer:
    """The other end of a WebSocket: raw frames, of the right role for it."""

    def __init__(self, sock, *, masked):
        self.transport = SocketTransport(sock)
        self.masked = masked
        self._buffer = b""

    def send(self, *parts):
        """Send frames; a tuple is what `frames.frame` takes."""
        self.send_raw(b"".join(self.frame(*part) for part in parts))

    def send_raw(self, data):
        self.transport.send(data)

    def frame(self, opcode, payload=b"", **options):
        return frames.frame(opcode, payload, masked=self.masked, **options)

    def close_frame(self, code=None, reason=b""):
        return frames.close(code, reason, masked=self.masked)

    def receive(self):
        """The next frame as (opcode, payload); None at the end of the connection."""
        with gevent.Timeout(5):
            while not (whole := self._cut()):
                data = self.transport.recv()
                if not data:
                    assert self._buffer == b""
                    return None
                self._buffer += data
        return whole

    def _cut(self):
        whole = frames.cut_frame(self._buffer)
        if whole is None:
            return None
        (opcode, payload, _), end = whole
        self._buffer = self._buffer[end:]
        return opcode, payload

    def close(self):
        self.transport.close()


def open_pair(role=Role.SERVER, *, timeouts=QUIET, subprotocol=None, **limits):
    """A WebSocket of ours and its peer."""
    ours, theirs = socket.socketpair()
    websocket = WebSocket(
        SocketTransport(ours, is_server=role is Role.SERVER),
        WebSocketEngine(role, **limits),
        headers=Headers(),
        subprotocol=subprotocol,
        timeouts=timeouts,
    )
    return websocket, Peer(theirs, masked=role is Role.SERVER)


def lend(role):
    websocket, peer = open_pair(role)
    yield websocket, peer
    shut(websocket, peer)


def shut(websocket, peer):
    peer.close()
    websocket.close()
    assert websocket.wait_closed(5)


def soon(condition):
    """Wait until something has happened."""
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.002)
