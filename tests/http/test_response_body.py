"""The rest of a response's body, pulled from its connection."""

from __future__ import annotations

import pytest
from gevent import GreenletExit, Timeout

from galeph.errors import IncompleteBody, ResourceBusy, ResourceClosed
from galeph.http.response_body import ResponseBody


class FakeConnection:
    """Delivers pieces, and raises the exceptions among them."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.ended = []

    def read_piece(self, body):
        piece = self.pieces.pop(0)
        if isinstance(piece, BaseException):
            raise piece
        if not self.pieces:
            body.end()
        return piece

    def reason_for(self, error):
        return IncompleteBody("cut") if isinstance(error, OSError) else None

    def fail(self, error):
        self.ended.append(error)

    def close(self):
        self.ended.append("closed")


def test_pieces_then_nothing():
    """Pieces come as the connection has them; after the last one there is nothing."""
    body = ResponseBody(FakeConnection(b"a", b"b"))

    assert [b"a", b"b", b"", b""] == [body.pull() for _ in range(4)]


def test_an_error_is_raised_every_time():
    """What the connection says of an error is raised, and raised again, and ends it."""
    connection = FakeConnection(b"a", OSError("reset"))
    body = ResponseBody(connection)
    body.pull()
    for _ in range(3):
        with pytest.raises(IncompleteBody):
            body.pull()

    assert ["cut"] == [str(error) for error in connection.ended]


def test_an_error_that_is_its_own_reason():
    """An error that needs no other name is raised as it is."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        ResponseBody(FakeConnection(error)).pull()

    assert error is caught.value


def test_a_traceback_shows_where_the_error_comes_from():
    """It does so at every read, and does not grow."""

    def theirs():
        raise LookupError("not there")

    class Fetching(FakeConnection):
        def read_piece(self, _body):
            theirs()

    body = ResponseBody(Fetching())
    names = []
    for _ in range(3):
        with pytest.raises(LookupError) as caught:
            body.pull()
        names.append([entry.name for entry in caught.traceback][1:])

    assert [["pull", "read_piece", "theirs"]] * 3 == names


def test_a_kill_gives_the_connection_up():
    """A reader who is killed closes the connection: nobody is left to read on."""
    connection = FakeConnection(GreenletExit())
    body = ResponseBody(connection)
    with pytest.raises(GreenletExit):
        body.pull()

    assert ["closed"] == connection.ended
    with pytest.raises(ResourceClosed):
        body.pull()


@pytest.mark.parametrize("error", [Timeout(), ResourceBusy("two readers")])
def test_some_errors_leave_it_as_it_is(error):
    """A Timeout, or a second reader, changes nothing: the body can be read on."""
    connection = FakeConnection(error, b"a")
    body = ResponseBody(connection)
    with pytest.raises(type(error)):
        body.pull()

    assert b"a" == body.pull()
    assert [] == connection.ended


def test_closing():
    """Closing gives the connection up once; after the end it touches nothing."""
    connection, other = FakeConnection(b"a", b"b"), FakeConnection(b"a")
    body, ended = ResponseBody(connection), ResponseBody(other)
    body.close()
    body.close()
    ended.pull()
    ended.close()

    assert (["closed"], []) == (connection.ended, other.ended)
