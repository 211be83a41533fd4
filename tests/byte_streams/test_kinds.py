"""What types stand for, and what a thing is taken for."""

from __future__ import annotations

import array
import io
import mmap
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO

import pytest
from gevent.queue import Queue

from galeph.byte_streams import BinaryWriter, ByteSource
from galeph.byte_streams.kinds import Kind, kind_of_type, kinds_of, type_of_kind
from galeph.stream import Sink, Source, Stream, splice
from tests.byte_streams.scenes import Letters
from tests.byte_streams.scenes import Source as SomeSource


class TestTypes:
    @pytest.mark.parametrize(
        ("form", "shape", "cls"),
        [
            (bytes, "one", bytes),
            (Path, "one", Path),
            (list[bytes], "list", bytes),
            (list, "list", None),
            (list[Any], "list", None),
            (tuple[str, ...], "list", str),
            (Sequence[bytes], "list", bytes),
            (Iterator[str], "iterator", str),
            (Iterable[str], "iterator", str),
            (Generator[str, None, None], "iterator", str),
            (Source[bytes], "stream", bytes),
            (Source, "stream", None),
            (Sink[bytes], "sink", bytes),
            (IO[bytes], "one", BinaryIO),
            (IO[str], "one", TextIO),
            (Iterator[IO[bytes]], "iterator", BinaryIO),
        ],
        ids=str,
    )
    def test_as_kinds(self, form, shape, cls):
        """All the ways of writing the same."""
        assert Kind(shape, cls) == kind_of_type("to", form)

    @pytest.mark.parametrize(
        "form", [bytes, BinaryIO, list[bytes], Iterator[str], Source[bytes], Sink[bytes], Source]
    )
    def test_there_and_back(self, form):
        """A kind is written the way users do."""
        assert form == type_of_kind(kind_of_type("to", form))

    @pytest.mark.parametrize(
        "form",
        [5, "bytes", None, b"x", list[list[bytes]], Iterator[Source[bytes]], dict[str, bytes]],
        ids=str,
    )
    def test_others_are_refused(self, form):
        """By the name of the argument."""
        with pytest.raises(TypeError, match=r"^to must be"):
            kind_of_type("to", form)

    def test_as_text(self):
        """For messages."""
        assert "bytes" == str(Kind("one", bytes))
        assert "list[bytes]" == str(Kind("list", bytes))
        assert "Iterator[TextIO]" == str(Kind("iterator", TextIO))
        assert "Source" == str(Kind("stream", None))


class TestFitting:
    def test_of_the_same_shape_and_type(self):
        """A subclass fits, and whatever fits what is not known."""
        assert Kind("one", bool).fits(Kind("one", int))
        assert Kind("list", bool).fits(Kind("list", int))
        assert Kind("list", bool).fits(Kind("list", None))
        assert Kind("one", io.BytesIO).fits(Kind("one", io.IOBase))
        assert Kind("one", SomeSource).fits(Kind("one", ByteSource))

    def test_of_others(self):
        """The other way round it does not."""
        assert not Kind("one", int).fits(Kind("one", bool))
        assert not Kind("list", None).fits(Kind("list", bytes))
        assert not Kind("list", bytes).fits(Kind("iterator", bytes))
        assert not Kind("one", io.BytesIO).fits(Kind("one", BinaryWriter))
        assert not Kind("one", bytes).fits(Kind("one", ByteSource))


def kinds(x):
    """What a thing is taken for, beside its own type."""
    first, *others = [str(kind) for kind, _ in kinds_of(x)]
    assert type(x).__name__ == first
    return others


class TestThings:
    @pytest.mark.parametrize(
        ("x", "expected"),
        [
            (b"x", []),
            (bytearray(b"x"), []),
            (memoryview(b"x"), []),
            ("x", []),
            (Path("x"), []),
            (5, []),
            ({}, []),
            (Letters("x"), []),
            ([], ["list"]),
            ((), ["list"]),
            (iter([]), ["Iterator"]),
            ({1}, ["Iterator"]),
            (range(2), ["Iterator"]),
            (array.array("H", [1]), ["memoryview", "Iterator"]),
            (io.BytesIO(), ["BinaryIO", "BinaryWriter"]),
            (io.StringIO(), ["TextIO"]),
            (SomeSource(b""), []),
        ],
        ids=repr,
    )
    def test_are_what_they_look_like(self, x, expected):
        """Memory, files, several things, or nothing but themselves."""
        assert expected == kinds(x)

    def test_streams_are_sources_and_sinks(self):
        """Each side that they have; a gevent queue is both."""
        stream = Stream()

        assert ["Source", "Sink[bytes]"] == kinds(stream)
        assert ["Source", "Sink[bytes]"] == kinds(splice(stream, Stream()))
        assert ["Source"] == kinds(stream.map(len))
        assert ["Source", "Sink[bytes]"] == kinds(Queue())

    def test_open_files_are_what_they_were_opened_for(self, tmp_path):
        """Also where tempfile wraps them."""
        path = tmp_path / "file"
        for mode, expected in [
            ("wb", ["BinaryWriter"]),
            ("rb", ["BinaryIO"]),
            ("r+b", ["BinaryIO", "BinaryWriter"]),
            ("r", ["TextIO"]),
            ("w", []),
        ]:
            with path.open(mode) as file:
                assert expected == kinds(file)
        with tempfile.NamedTemporaryFile("r+") as file:
            assert ["TextIO"] == kinds(file)
        with tempfile.NamedTemporaryFile() as file:
            assert ["BinaryIO", "BinaryWriter"] == kinds(file)

    def test_what_only_reads_or_writes(self):
        """A method is enough where nobody says more."""

        class Reads:
            def read(self, size):
                return b""

        class Writes:
            def write(self, data):
                pass

        assert ["BinaryIO"] == kinds(Reads())
        assert ["BinaryWriter"] == kinds(Writes())

    def test_a_memory_map(self):
        """It is memory first, then a file."""
        with mmap.mmap(-1, 10) as mapping:
            assert ["memoryview", "BinaryIO"] == kinds(mapping)[:2]

    def test_looking_keeps_hold_of_nothing(self):
        """Memory that was looked at can still change its size."""
        numbers = array.array("B", [1])
        kinds(numbers)
        numbers.append(2)

        assert 2 == len(numbers)
