"""`prepare_body`: anything a handler may return, as bytes or as pieces."""

from __future__ import annotations

import io

import pytest

from galeph import deferred, stream
from galeph.http.body import BodyReader
from galeph.http.outgoing import Streamed, prepare_body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, b""),
        (b"a", b"a"),
        ("ä", "ä".encode()),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        (["a", b"b", bytearray(b"c")], b"abc"),
        ((), b""),
    ],
)
def test_whole(body, expected):
    """What is at hand becomes bytes."""
    assert expected == prepare_body(body)


def test_deferred():
    """A Deferred is waited for, whatever it holds."""
    assert b"x" == prepare_body(deferred.success(deferred.success("x")))


@pytest.mark.parametrize("body", [5, {"a": 1}, object()])
def test_refused(body):
    """What cannot be sent is a TypeError that says what can."""
    with pytest.raises(TypeError, match="a body must be bytes"):
        prepare_body(body)


class TestStreamed:
    @pytest.mark.parametrize(
        ("make", "length"),
        [
            (lambda _: iter(["a", b"b", ""]), None),
            (lambda _: (text for text in "ab"), None),
            (lambda _: io.BytesIO(b"ab"), 2),
            (lambda path: path.open("rb"), 2),
            (lambda _: BodyReader(iter([b"a", b"b", b""]).__next__, length=2), 2),
            (lambda _: BodyReader(iter([b"a", b"b", b""]).__next__), None),
        ],
    )
    def test_pieces_and_length(self, make, length, tmp_path):
        """Iterables, files and received bodies give pieces; files know their length."""
        path = tmp_path / "f"
        path.write_bytes(b"ab")
        body = prepare_body(make(path))

        assert isinstance(body, Streamed)
        assert (length, b"ab") == (body.length, b"".join(body))
        body.close()

    def test_position(self):
        """A file is sent from where it stands."""
        file = io.BytesIO(b"abcd")
        file.seek(1)
        body = prepare_body(file)

        assert (3, b"bcd") == (body.length, b"".join(body))

    def test_a_file_that_grows(self, tmp_path):
        """What is added while it is sent does not belong to it any more."""
        path = tmp_path / "log"
        path.write_bytes(b"a" * 100_000)
        body = prepare_body(path.open("rb"))
        pieces = iter(body)
        first = next(pieces)
        with path.open("ab") as more:
            more.write(b"b" * 100_000)
        rest = b"".join(pieces)
        body.close()

        assert 100_000 == body.length
        assert b"a" * 100_000 == first + rest

    def test_an_empty_file(self, tmp_path):
        """It is known to have no bytes."""
        path = tmp_path / "f"
        path.touch()
        body = prepare_body(path.open("rb"))

        assert (0, b"") == (body.length, b"".join(body))
        body.close()

    def test_a_file_that_does_not_say_how_long_it_is(self):
        """The files of /proc are sent whole, though the system calls them empty."""
        body = prepare_body(open("/proc/self/limits", "rb"))  # noqa: SIM115  (body.close)

        assert body.length is None
        assert b"".join(body).startswith(b"Limit")
        body.close()

    def test_text_file(self, tmp_path):
        """A text file has no length in bytes that could be known before it is read."""
        path = tmp_path / "f"
        path.write_text("ä\n")
        body = prepare_body(path.open())

        assert (None, "ä\n".encode()) == (body.length, b"".join(body))
        body.close()

    def test_source(self):
        """A Source is taken from, and closed with the body."""
        source = stream.Stream(buffer=2)
        source.put("a")
        body = prepare_body(source)

        assert b"a" == next(iter(body))

        body.close()

        assert source.closed

    def test_closing_a_generator(self):
        """A generator that was begun is ended."""
        ended = []

        def pieces():
            try:
                yield "a"
                yield "b"
            finally:
                ended.append(True)

        body = prepare_body(pieces())
        next(iter(body))
        body.close()

        assert [True] == ended
