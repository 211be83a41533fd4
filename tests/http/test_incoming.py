"""`IncomingBody`: the body of a request, pulled when asked for, failing the same way each time."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from galeph import errors, http
from galeph.http.incoming import IncomingBody
from galeph.protocol.engine import Role
from galeph.protocol.h1 import H1Engine


class Connection:
    """As much of a connection as a body needs: an engine, a transport, and notes."""

    def __init__(self, *received):
        self.engine = H1Engine(Role.SERVER, http.Limits())
        self.transport = self
        self.received = list(received)
        self.continued = 0
        self.max_buffered_bytes = 1024
        self.engine.receive_data(self.received.pop(0))
        self.request = self.engine.next_event()

    def recv(self, _):
        piece = self.received.pop(0) if self.received else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def continue_(self):
        self.continued += 1

    def reading_body(self):
        return nullcontext()


LENGTH = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


def open_body(*received):
    connection = Connection(*received)
    return connection, IncomingBody(connection, connection.request)


@pytest.mark.parametrize(
    "received",
    [
        (LENGTH + b"abcdef",),
        (LENGTH, b"abc", b"def"),
        (LENGTH, b"a", b"b", b"c", b"d", b"e", b"f"),
        (CHUNKED + b"6\r\nabcdef\r\n0\r\n\r\n",),
        (CHUNKED, b"3\r\nabc", b"\r\n3\r\ndef\r\n", b"0\r\n", b"\r\n"),
    ],
)
def test_whole(received):
    """A body is the same however it arrives, and nothing is read before it is asked for."""
    connection, body = open_body(*received)

    assert len(received) - 1 == len(connection.received)
    assert b"abcdef" == body.open().read()
    assert body.done
    assert b"" == body.open().read()


def test_draining_stops_where_it_may():
    """So many bytes are read and dropped, and nothing is asked for beyond them."""
    pieces = (b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n")
    for most, is_all, left in ((3, False, 2), (4, False, 1), (6, False, 1), (7, True, 0)):
        connection, body = open_body(CHUNKED, *pieces)

        assert is_all is body.drain(most)
        assert left == len(connection.received)


def test_trailers():
    """Trailers are known once the body has been read."""
    _, body = open_body(CHUNKED, b"1\r\na\r\n0\r\nX-T: y\r\n\r\n")

    assert body.trailers is None
    assert b"a" == body.open().read()
    assert "y" == body.trailers["x-t"]


@pytest.mark.parametrize(
    ("received", "error"),
    [
        ((LENGTH, b"abc"), errors.IncompleteBody),
        ((CHUNKED, b"6\r\nabc"), errors.IncompleteBody),
        ((CHUNKED, b"x\r\n"), errors.RemoteProtocolError),
        ((LENGTH, b"abc", errors.ConnectionLost("gone")), errors.ConnectionLost),
        ((LENGTH, b"abc", errors.ReadTimeout("slow")), errors.ReadTimeout),
    ],
)
def test_failure(received, error):
    """What goes wrong is raised by every read from then on, and kept for the driver."""
    _, body = open_body(*received)
    reader = body.open()
    with pytest.raises(error):
        reader.read()

    with pytest.raises(error) as again:
        reader.read()

    assert body.error is again.value


def test_closed():
    """When the request has been answered, reading is over."""
    _, body = open_body(LENGTH, b"abcdef")
    reader = body.open()
    body.close()

    with pytest.raises(errors.ResourceClosed):
        reader.read()


def test_continue():
    """The client is asked to go on before the first read, by the connection."""
    connection, body = open_body(LENGTH, b"abcdef")

    assert 0 == connection.continued

    body.open().read(1)

    assert 1 == connection.continued


class TestDraining:
    def test_within_the_limit(self):
        """What is left is read and dropped, as long as it is not too much."""
        _, body = open_body(LENGTH, b"abc", b"def")

        assert body.is_worth_draining(10)
        assert body.drain(10)

    def test_beyond_the_limit(self):
        """More than the limit is not even begun where the length is declared, else broken off."""
        _, declared = open_body(LENGTH)
        _, chunked = open_body(CHUNKED, b"6\r\nabcdef\r\n", b"6\r\nabcdef\r\n")

        assert not declared.is_worth_draining(5)
        assert chunked.is_worth_draining(5)
        assert not chunked.drain(5)

    def test_not_when_a_100_is_due(self):
        """A body the client holds back is not waited for."""
        expecting = LENGTH.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        _, body = open_body(expecting)

        assert not body.is_worth_draining(1000)
