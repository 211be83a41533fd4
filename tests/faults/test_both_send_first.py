"""F25: both sides send all they have before they read."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket

from galeph import http, stream, tcp
from galeph.http.timeouts import Timeouts
from tests.faults.scenes import quiet, serving_tcp, settled
from tests.http.raw import serving

# More than all the buffers on the way hold.
SIZE = 32 * 1024 * 1024
BLOCK = bytes(65536)


def send_all(sock, head=b""):
    """Send a head and SIZE bytes, reading nothing meanwhile; the error that ended it, if any."""
    try:
        sock.sendall(head)
        for _ in range(SIZE // len(BLOCK)):
            sock.sendall(BLOCK)
        sock.shutdown(socket.SHUT_WR)
    except OSError as error:
        return error
    return None


@pytest.mark.fault("F25", part="tcp")
def test_duplex_client():
    """A stream is put into and taken from at the same time: an echo of any size completes."""
    with (
        serving_tcp(lambda s, info: stream.connect(s, s)) as server,
        tcp.client("127.0.0.1", server.port).result(5) as client,
    ):

        def put():
            for _ in range(SIZE // len(BLOCK)):
                client.put(BLOCK)
            client.send_eof()

        putting = gevent.spawn(put)
        with gevent.Timeout(60):
            assert SIZE == sum(map(len, client))
        putting.get()


@pytest.mark.fault("F25", part="tcp")
def test_client_that_does_not_read():
    """Where neither side reads, a put with a time limit ends it; the connection is gone then."""
    timed_out = []

    def handler(s, info):
        while s.try_put(BLOCK, 0.5, "too long") is True:
            pass
        timed_out.append(True)
        s.fail(TimeoutError("nobody reads"))

    with serving_tcp(handler) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            assert isinstance(send_all(sock), ConnectionError)
        assert settled(server)

    assert [True] == timed_out


@pytest.mark.fault("F25", part="http/1")
def test_http_echo_to_a_client_that_does_not_read(caplog):
    """An echo to a client that reads nothing until it has sent all ends at a write's deadline."""

    def handler(request):
        return {"body": request.stream}

    head = f"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {SIZE}\r\n\r\n".encode()
    timeouts = Timeouts(write_progress=1, body_progress=30)
    with serving(handler, timeouts=timeouts) as server:
        with socket.create_connection(("127.0.0.1", server.port), 30) as sock:
            assert isinstance(send_all(sock, head), ConnectionError)
        assert settled(server)
    assert quiet(caplog)


@pytest.mark.fault("F25", part="http/1")
def test_http_echo_to_galeph():
    """galeph's client reads while it sends: the same echo completes."""

    def body():
        for _ in range(SIZE // len(BLOCK)):
            yield BLOCK

    with (
        serving(lambda request: {"body": request.stream}) as server,
        http.connection_pool() as pool,
    ):
        url = f"http://127.0.0.1:{server.port}/"
        with gevent.Timeout(60):
            response = http.post(url, body=body(), pool=pool).result()
            assert SIZE == sum(map(len, response.stream))
