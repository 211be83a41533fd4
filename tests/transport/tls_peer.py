"""The client side of TLS as another implementation than galeph's has it: the ssl module's own."""

from __future__ import annotations

import ssl


class TLSPeer:
    """TLS on a socket of gevent's, which is read and written when it is told to."""

    def __init__(self, sock, context, name="localhost", *, session=None):
        self.sock = sock
        self._inside, self._outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._inside, self._outside, server_hostname=name, session=session
        )

    def step(self, action, *arguments):
        """Do something that may need bytes of the server's first."""
        while True:
            try:
                return action(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                self._inside.write(data) if data else self._inside.write_eof()

    def flush(self, more=b""):
        """Send what there is to send, and something more."""
        if data := self._outside.read() + more:
            self.sock.sendall(data)

    def handshake(self):
        """Block until both sides agree; what ends the handshake is still to be sent."""
        self.step(self.tls.do_handshake)

    def send(self, data):
        """Send bytes in TLS."""
        self.tls.write(data)
        self.flush()

    def read(self, size=65536):
        """Block for the next bytes of the server's."""
        return self.step(self.tls.read, size)

    def read_to_end(self):
        """Everything up to an orderly end."""
        received = []
        while True:
            try:
                piece = self.read()
            except ssl.SSLZeroReturnError:
                break
            if not piece:
                break
            received.append(piece)
        return b"".join(received)
