"""Files: read and mapped in pieces, as a whole or a region of them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import gevent
import pytest

from galeph.byte_streams import (
    FileRegion,
    compare,
    convert,
    def_conversion,
    dev_null,
    to_bytes,
    to_file,
    to_input,
    to_output,
    to_source,
    to_str,
    transfer,
)
from galeph.byte_streams.files import FilePieces, MappedPieces, Pace, opened, read_file
from galeph.byte_streams.options import Options
from galeph.errors import ResourceClosed
from galeph.stream import Source
from tests.byte_streams.scenes import Letters, Sink, is_open

LARGE = 100_000_000
PAGE = mmap.ALLOCATIONGRANULARITY


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    return path


@pytest.fixture
def large(tmp_path):
    """A file of zeros that takes no room."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


class TestMapped:
    @pytest.mark.parity("BYTE-24")
    def test_a_large_file_in_ten_pieces(self, large):
        """It is closed behind the last, and the pieces stay valid."""
        views = list(convert(large, Iterator[memoryview], chunk_size=LARGE // 10))

        assert [LARGE // 10] * 10 == [len(view) for view in views]
        assert all(isinstance(view.obj, mmap.mmap) for view in views)
        assert 0 == views[9][-1]

    @pytest.mark.parity("BYTE-24")
    def test_is_mapped_as_it_is_asked_for(self, large):
        """The file is not even opened before."""
        views = convert(large, Iterator[memoryview], chunk_size=LARGE // 10)
        assert not is_open(large)

        first = next(views)
        assert is_open(large)
        assert b"\0" == bytes(first[:1])
        # One for the file and one for what is mapped.
        assert 2 == open_count(large)
        views.close()

    @pytest.mark.parity("BYTE-24")
    def test_is_closed_when_it_is_exhausted(self, large):
        """With the last piece, whose memory stays."""
        views = convert(large, Iterator[memoryview], chunk_size=LARGE // 2)
        next(views)
        view = next(views)

        assert 1 == open_count(large)
        assert 0 == view[-1]
        assert [] == list(views)
        del view
        assert not is_open(large)

    @pytest.mark.parity("BYTE-24")
    def test_closed_before_the_end(self, large):
        """What was mapped stays readable; the next piece is an error, not the end."""
        views = convert(large, Iterator[memoryview], chunk_size=LARGE // 10)
        got = [next(views) for _ in range(5)]
        views.close()

        assert 0 == got[4][-1]
        with pytest.raises(ResourceClosed):
            next(views)
        assert 5 == open_count(large)

    def test_of_any_size_add_up(self, tmp_path):
        """Pieces need not begin at the border of a page."""
        data = os.urandom(2 * PAGE + 100)
        path = tmp_path / "pages"
        path.write_bytes(data)
        for size in (1000, PAGE - 1, PAGE, PAGE + 1, len(data)):
            views = convert(path, Iterator[memoryview], chunk_size=size)
            assert data == b"".join(views)

    def test_an_empty_file(self, tmp_path):
        """It has no pieces, though nothing of it can be mapped."""
        path = tmp_path / "empty"
        path.touch()

        assert [] == list(convert(path, Iterator[memoryview]))
        assert b"" == to_bytes(path)
        assert not is_open(path)

    @pytest.mark.parity("BYTE-11")
    @pytest.mark.parametrize("chunk_size", [None, 7])
    def test_of_what_has_no_size(self, chunk_size):
        """What cannot be mapped, since its length is only known at the end, is read."""
        status = Path(f"/proc/{os.getpid()}/status")
        views = list(convert(status, Iterator[memoryview], chunk_size=chunk_size))

        assert f"Pid:\t{os.getpid()}\n".encode() in b"".join(views)
        assert chunk_size is None or max(map(len, views)) <= chunk_size
        assert not is_open(status)

    def test_is_read_only_unless_asked_for(self, path):
        """Written to, it changes the file."""
        (view,) = convert(path, Iterator[memoryview])
        with pytest.raises(TypeError, match="read-only"):
            view[0] = 65

        (view,) = convert(path, Iterator[memoryview], writable=True)
        view[0] = 65
        assert b"Abcdef" == path.read_bytes()


def open_count(path):
    """How many descriptors of a file this process has."""
    entries = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    links = [os.readlink(entry) for entry in entries if os.path.lexists(entry)]
    return links.count(str(path))


class TestReading:
    @pytest.mark.parity("BYTE-25")
    def test_a_path_stands_for_what_is_in_the_file(self, path):
        """Whole, as a file object that is its open file, in pieces."""
        assert b"abcdef" == to_bytes(path)
        assert "abcdef" == to_str(path)
        with to_input(path) as file:
            assert b"abc" == file.read(3)
            assert 0 == file.seek(0)
        assert [b"abcd", b"ef"] == list(to_source(path, chunk_size=4))

    def test_is_opened_by_the_first_piece(self, path):
        """And so a file that is not there is missed then."""
        pieces = to_source(path)
        assert not is_open(path)
        assert [b"abcdef"] == list(pieces)

        missing = to_source(path.with_name("missing"))
        with pytest.raises(FileNotFoundError):
            missing.take()
        assert isinstance(missing.error, FileNotFoundError)

    def test_of_what_has_no_size(self):
        """In /proc the length is only known at the end."""
        assert f"Pid:\t{os.getpid()}\n" in to_str(Path("/proc/self/status"))
        assert f"Pid:\t{os.getpid()}\n" in "".join(
            convert(Path("/proc/self/status"), Iterator[str], chunk_size=7)
        )

    @pytest.mark.parametrize(
        "read",
        [
            lambda large: transfer(large, Sink()),
            lambda large: list(convert(large, Iterator[bytes], chunk_size=1_000_000)),
            lambda large: to_bytes(large),
        ],
        ids=["transferred", "in pieces", "whole"],
    )
    def test_gives_others_a_turn(self, large, read):
        """Whoever reads a large file does not keep the loop for himself."""
        turns = []

        def look():
            while True:
                turns.append(None)
                gevent.sleep(0)

        other = gevent.spawn(look)
        read(large)
        other.kill()

        assert len(turns) > 5

    def test_read_file_closes_it(self, path):
        """Also when it is interrupted."""
        assert b"abcdef" == read_file(path, Options(chunk_size=4))
        assert not is_open(path)


class TestWriting:
    @pytest.mark.parity("BYTE-25")
    @pytest.mark.parametrize("append", [False, True])
    def test_makes_the_file(self, tmp_path, append):
        """If it is not there."""
        path = tmp_path / "new"
        with to_output(path, append=append) as file:
            file.write(b"data")

        assert b"data" == path.read_bytes()

    @pytest.mark.parity("BYTE-25")
    def test_appends_or_overwrites(self, path):
        """In the same file, which stays the same inode."""
        inode = path.stat().st_ino
        to_file(b"g", path, append=True)
        assert b"abcdefg" == path.read_bytes()

        to_file(b"new", path)
        assert b"new" == path.read_bytes()
        assert inode == path.stat().st_ino


class TestRegions:
    @pytest.mark.parity("BYTE-40")
    def test_are_mapped_in_pieces_of_their_own_size(self, tmp_path):
        """From their offset, and not beyond their length."""
        data = os.urandom(PAGE + 100)
        path = tmp_path / "pages"
        path.write_bytes(data)
        region = FileRegion(path, offset=10, length=PAGE + 40, chunk_size=1000)
        views = list(convert(region, Iterator[memoryview]))

        assert data[10 : PAGE + 50] == b"".join(views)
        assert [1000] * 4 == [len(view) for view in views[:4]]
        assert all(isinstance(view.obj, mmap.mmap) for view in views)

    @pytest.mark.parity("BYTE-40")
    def test_convert_to_whatever_a_file_does(self, path):
        """The same bytes in each."""
        region = FileRegion(path, offset=1, length=4, chunk_size=3)

        assert b"bcde" == to_bytes(region)
        assert "bcde" == to_str(region)
        assert [b"bcd", b"e"] == list(convert(region, Iterator[bytes]))
        assert [b"bcd", b"e"] == list(convert(region, Source[bytes]))
        assert b"bcde" == convert(region, BinaryIO).read()
        assert [b"bc", b"de"] == list(convert(region, Iterator[bytes], chunk_size=2))

    def test_are_what_file_objects_of_ones_own_are_made_of(self, path, own_graph):
        """A value that says which part of a file it means converts as that part does."""
        def_conversion(Letters, FileRegion, lambda x, options: FileRegion(x.text, 2, 3, 2), cost=0)

        assert [b"cd", b"e"] == [
            bytes(view) for view in convert(Letters(str(path)), Iterator[memoryview])
        ]
        assert b"cde" == to_bytes(Letters(str(path)))

    def test_to_the_end_of_the_file(self, path):
        """Without a length; or with one of just that."""
        assert b"def" == to_bytes(FileRegion(path, 3))
        assert b"" == to_bytes(FileRegion(path, 6))
        assert b"" == to_bytes(FileRegion(path, 6, 0))
        assert b"def" == to_bytes(FileRegion(path, 3, 3))
        assert [] == list(convert(FileRegion(path, 3, 0), Iterator[memoryview]))

    @pytest.mark.parametrize("to", [bytes, list[memoryview]], ids=str)
    @pytest.mark.parametrize(("offset", "length"), [(3, 4), (7, None), (7, 0)])
    def test_behind_the_end_of_the_file(self, path, to, offset, length):
        """They are refused, and the file is closed."""
        with pytest.raises(ValueError, match=f"has 6 bytes; the region ends at {max(offset, 7)}"):
            convert(FileRegion(path, offset, length), to)
        assert not is_open(path)

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({"offset": -1}, "offset"),
            ({"length": -1}, "length"),
            ({"chunk_size": 0}, "chunk_size"),
        ],
        ids=str,
    )
    def test_wrong_numbers(self, path, arguments, name):
        """They are refused by name."""
        with pytest.raises(ValueError, match=name):
            FileRegion(path, **arguments)

    def test_a_path_as_text(self):
        """It becomes a Path."""
        assert Path("x") == FileRegion("x").path

    def test_shortened_while_it_is_read(self, path):
        """The pieces do not just end."""
        pieces = FilePieces(FileRegion(path, 0, 6), 3)
        next(pieces)
        os.truncate(path, 4)

        assert b"d" == next(pieces)
        with pytest.raises(EOFError, match="2 bytes are missing"):
            next(pieces)
        assert not is_open(path)

    def test_opened_where_they_begin(self, path):
        """Without a buffer."""
        with opened(FileRegion(path, 2)) as file:
            assert b"cd" == file.read(2)

    def test_mapped_pieces_by_themselves(self, path):
        """A size and a way to write."""
        pieces = MappedPieces(FileRegion(path), 4, writable=True)

        assert [b"abcd", b"ef"] == [bytes(view) for view in pieces]


class TestPace:
    def test_gives_way_when_enough_was_done(self, monkeypatch):
        """Not before. (What is ready at once may be put off once, by what else the loop has.)"""
        monkeypatch.setattr("galeph.byte_streams.files._TURN_BYTES", 10)
        monkeypatch.setattr("galeph.byte_streams.files._LEAST_BYTES", 0)
        pace = Pace()
        order = []
        gevent.spawn(order.append, "other")
        pace.before(10)
        order.append("me")
        for _ in range(3):
            pace.before(11)

        assert ["me", "other"] == order

    @pytest.mark.parametrize(
        "work",
        [
            lambda pieces: transfer(pieces, dev_null),
            lambda pieces: compare(pieces, b"x" * 5000),
        ],
    )
    def test_small_pieces_take_time_too(self, work):
        """A million of a byte each would otherwise be one turn."""
        turns = []

        def pieces():
            for _ in range(5000):
                turns.append(len(others))
                yield b"x"

        others = []
        other = gevent.spawn(lambda: [(others.append(1), gevent.sleep(0)) for _ in range(1000)])
        work(pieces())
        other.kill()

        assert 0 == turns[0]
        assert turns[-1] > 3
