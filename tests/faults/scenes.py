"""What the fault tests share: settling, and servers whose connections are told apart."""

from __future__ import annotations

from contextlib import contextmanager

import gevent

from galeph import tcp
from tests.transport.wire import settle

__all__ = ["echoes", "quiet", "serving_tcp", "settle", "settled"]


@contextmanager
def serving_tcp(handler, **options):
    """Serve a TCP handler for the length of a block; yields the server."""
    server = tcp.start_server(handler, **options)
    try:
        yield server
    finally:
        server.close(timeout=0)
        server.wait(5)


def settled(server, active=0, accepted=0):
    """Wait until the server has had so many connections and has these; say if it came to that."""
    return settle(lambda: server.stats().active == active and server.stats().accepted >= accepted)


def quiet(caplog):
    """Whether nothing was logged that a peer's fault does not deserve: no error, no traceback."""
    loud = [one for one in caplog.records if one.levelname in ("WARNING", "ERROR") or one.exc_info]
    assert [] == loud, caplog.text
    return True


def echoes(stream_, message=b"unharmed\n"):
    """Whether a connection that lives through a fault still answers."""
    with gevent.Timeout(5):
        stream_.put(message)
        received = b""
        while len(received) < len(message):
            received += stream_.take()
    return received == message
