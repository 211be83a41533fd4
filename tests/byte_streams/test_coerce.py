"""`to_bytes` and its likes: what each makes of everything, and what is refused."""

from __future__ import annotations

import array
import io
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from galeph.byte_streams import (
    ByteSink,
    ByteSource,
    FileRegion,
    convert,
    to_byte_sink,
    to_byte_source,
    to_bytes,
    to_chunks,
    to_file,
    to_input,
    to_output,
    to_reader,
    to_source,
    to_str,
)
from galeph.stream import Source, Stream
from tests.byte_streams.scenes import TEXT, Sink, is_open, stream_of
from tests.byte_streams.scenes import Source as SomeSource
from tests.stream.scenes import settle, waiting

DATA = TEXT.encode()


@pytest.fixture
def path(tmp_path):
    """A file with the text."""
    path = tmp_path / "text"
    path.write_bytes(DATA)
    return path


def representations(path):
    """The same bytes in everything that can hold them."""
    text_file = io.TextIOWrapper(io.BytesIO(DATA), "utf-8", newline="\n")
    temporary = tempfile.TemporaryFile()  # noqa: SIM115  (the fixture closes it)
    temporary.write(DATA)
    temporary.seek(0)
    return {
        "bytes": DATA,
        "bytearray": bytearray(DATA),
        "memoryview": memoryview(DATA),
        "array": array.array("B", DATA),
        "str": TEXT,
        "path": path,
        "region": FileRegion(path),
        "BytesIO": io.BytesIO(DATA),
        "StringIO": io.StringIO(TEXT, newline="\n"),
        "text file": text_file,
        "temporary file": temporary,
        "list": [DATA[:1], TEXT[1:]],
        "tuple": (DATA[:2], memoryview(DATA)[2:]),
        "generator": (DATA[at : at + 3] for at in range(0, len(DATA), 3)),
        "set": {DATA},
        "nested": [[DATA[:1]], io.BytesIO(DATA[1:])],
        "stream": stream_of(DATA[:2], DATA[2:]),
        "stream of text": stream_of(TEXT[:2], TEXT[2:]),
        "byte source": SomeSource(DATA),
    }


KINDS = [
    "bytes", "bytearray", "memoryview", "array", "str", "path", "region", "BytesIO", "StringIO",
    "text file", "temporary file", "list", "tuple", "generator", "set", "nested", "stream",
    "stream of text", "byte source",
]  # fmt: skip


@pytest.fixture(params=KINDS)
def given(request, path):
    """The text in one of its representations."""
    everything = representations(path)
    assert list(everything) == KINDS
    yield everything[request.param]
    everything["temporary file"].close()


class TestToBytes:
    @pytest.mark.parity("BYTE-14")
    def test_of_everything(self, given):
        """All of it, in one object."""
        data = to_bytes(given)

        assert DATA == data
        assert bytes is type(data)

    @pytest.mark.parametrize(
        "given",
        [b"caf\xc3\xa9", bytearray(b"caf\xc3\xa9"), memoryview(b"caf\xc3\xa9"), "café"],
        ids=lambda given: type(given).__name__,
    )
    def test_plain_types_become_their_bytes(self, given):
        """Each of the four plain types gives its bytes, text as UTF-8."""
        assert b"caf\xc3\xa9" == to_bytes(given)

    def test_bytes_come_back_as_the_same_object(self):
        """Nothing is copied where nothing has to be."""
        given = b"x" * 1000

        assert to_bytes(given) is given

    def test_a_subclass_of_bytes_becomes_plain_bytes(self):
        """The result is exactly bytes, so that nobody's override travels on."""

        class Odd(bytes):
            pass

        assert bytes is type(to_bytes(Odd(b"x")))

    def test_a_memoryview_gives_its_memory_and_not_its_numbers(self):
        """A view of wider items, or with a stride, gives the raw bytes it covers."""
        wide = memoryview(array.array("H", [0x4142]))
        strided = memoryview(b"abcdef")[::2]

        assert wide.tobytes() == to_bytes(wide)
        assert b"ace" == to_bytes(strided)

    @pytest.mark.parity("BYTE-14")
    def test_a_view_is_taken_from_where_it_begins_to_where_it_ends(self):
        """And stays what it is, alone and several times in a list."""
        view = memoryview(bytearray(b"quick brown fox"))[3:6]

        assert b"ck " == to_bytes(view)
        assert b"ck ck " == to_bytes([view, view])
        assert b"ck " == bytes(convert(view, memoryview))
        assert b"ck " == bytes(view)

    def test_iterables_are_joined(self):
        """A list, a generator or a stream of plain items gives all their bytes in order."""
        stream = Stream(3)
        stream.put_all([b"a", "b", memoryview(b"c")])
        stream.close()

        assert b"ab" == to_bytes([b"a", "b"])
        assert b"012" == to_bytes(str(n) for n in range(3))
        assert b"abc" == to_bytes(stream)
        assert b"" == to_bytes([])

    @pytest.mark.parametrize("given", [None, 5, 1.5, object, {"a": b"b"}, object()], ids=repr)
    def test_everything_else_is_refused_by_name(self, given):
        """A TypeError names the type of what cannot be converted."""
        with pytest.raises(TypeError, match=f"cannot make bytes of {type(given).__name__}"):
            to_bytes(given)

    @pytest.mark.parametrize("make", [list, tuple, iter, lambda x: stream_of(*x)])
    def test_an_item_that_cannot_be_converted_is_named(self, make):
        """Numbers are not taken for byte values."""
        with pytest.raises(TypeError, match="a int in it"):
            to_bytes(make([b"a", 98]))


class TestToStr:
    @pytest.mark.parity("BYTE-13")
    def test_of_everything(self, given):
        """All of it, put together."""
        assert TEXT == to_str(given)

    @pytest.mark.parity("BYTE-13")
    def test_takes_all_there_is(self):
        """It waits for the end of a stream."""
        stream = Stream(1)
        text = waiting(to_str, stream)
        stream.put("a")
        stream.put("b")
        settle()

        assert not text.ready()
        stream.close()
        assert "ab" == text.get(timeout=1)


class TestToChunks:
    @pytest.mark.parity("BYTE-15")
    @pytest.mark.parametrize("size", range(1, 16))
    def test_of_any_size_add_up_to_the_same(self, size):
        """Of bytes, views, file objects, files."""
        data = b"quick brown fox"
        view = memoryview(b"<quick brown fox>")[1:-1]
        expected = [data[at : at + size] for at in range(0, len(data), size)]

        assert expected == list(to_chunks(data, chunk_size=size))
        assert expected == list(convert(view, Iterator[memoryview], chunk_size=size))
        assert expected == list(to_chunks(io.BytesIO(data), chunk_size=size))

    @pytest.mark.parity("BYTE-15")
    @pytest.mark.parametrize("size", range(1, 16))
    @pytest.mark.parametrize(
        "make",
        [list, tuple, iter, lambda pieces: stream_of(*pieces)],
        ids=["list", "tuple", "iterator", "stream"],
    )
    def test_of_what_comes_in_pieces_are_no_longer_than_that(self, make, size):
        """Each piece is cut by itself: nothing waits for more to come."""
        pieces = [b"quick", " brown", bytearray(b" f"), memoryview(b"ox")]
        expected = [
            bytes(piece[at : at + size])
            for piece in (b"quick", b" brown", b" f", b"ox")
            for at in range(0, len(piece), size)
        ]

        assert expected == list(to_chunks(make(pieces), chunk_size=size))
        assert expected == list(to_source(make(pieces), chunk_size=size))
        assert expected == convert(make(pieces), list[bytes], chunk_size=size)
        assert b"quick brown fox" == b"".join(
            convert(make(pieces), list[memoryview], chunk_size=size)
        )

    @pytest.mark.parity("BYTE-16")
    def test_are_several_also_without_a_size(self, given):
        """Never one object in place of a series of them."""
        chunks = to_chunks(given)

        assert isinstance(chunks, Iterator)
        assert DATA == b"".join(chunks)

    @pytest.mark.parity("BYTE-16")
    def test_as_a_list(self, given):
        """For those who want to see them twice."""
        chunks = convert(given, list[bytes])

        assert list is type(chunks)
        assert {bytes} == {type(chunk) for chunk in chunks}
        assert DATA == b"".join(chunks)


class TestToInput:
    @pytest.mark.parity("BYTE-17")
    def test_of_everything(self, given):
        """A file object that can be read in any way."""
        with to_input(given) as file:
            assert DATA[:3] == file.read(3)
            assert DATA.split(b"\n")[0][3:] + b"\n" == file.readline()
            assert DATA.split(b"\n", 1)[1] == file.read()
            assert b"" == file.read(1)

    @pytest.mark.parity("BYTE-17")
    def test_numbers_are_read_with_struct(self):
        """As from any binary file object."""
        file = to_input([b"\x00\x01\x00", b"\x00\x00\x02"])

        assert (1,) == struct.unpack(">H", file.read(2))
        assert (2,) == struct.unpack(">I", file.read(4))

    @pytest.mark.parity("BYTE-17")
    def test_ten_thousand_texts_in_pieces_of_one_byte(self):
        """What comes in large pieces can be cut small again."""
        texts = [TEXT] * 1000
        pieces = to_chunks(to_input(iter(texts)), chunk_size=1)
        expected = iter(DATA * 1000)

        assert all(piece == bytes([next(expected)]) for piece in pieces)
        assert None is next(expected, None)


class TestToReader:
    @pytest.mark.parity("BYTE-19")
    def test_of_everything(self, given):
        """A text file object, which leaves line ends as they are."""
        with to_reader(given) as file:
            assert TEXT[:3] == file.read(3)
            assert TEXT.split("\n")[0][3:] + "\n" == file.readline()
            assert TEXT.split("\n", 1)[1] == file.read()

    @pytest.mark.parity("BYTE-19")
    def test_is_lazy(self):
        """Nothing is decoded before it is read, so an error waits in its place."""
        file = to_reader([b"ab", b"\xff"])

        assert "ab" == file.read(2)
        with pytest.raises(UnicodeDecodeError):
            file.read(1)

    @pytest.mark.parity("BYTE-19")
    def test_text_in_pieces_is_lazy_as_well(self):
        """The same as an iterator of text."""
        texts = convert(iter([b"ab", b"\xff"]), Iterator[str])

        assert "ab" == next(texts)
        with pytest.raises(UnicodeDecodeError):
            next(texts)


class TestToSource:
    def test_of_everything(self, given):
        """A stream of bytes, which ends."""
        stream = to_source(given)

        assert isinstance(stream, Source)
        assert DATA == b"".join(stream)
        assert stream.drained


class TestToOutput:
    @pytest.mark.parity("BYTE-18")
    def test_of_a_path_is_its_file_opened(self, path):
        """Empty, or to append to it."""
        with to_output(path, append=True) as file:
            file.write(b"+")
        assert DATA + b"+" == path.read_bytes()

        with to_output(path) as file:
            file.write(b"new")
        assert b"new" == path.read_bytes()

    @pytest.mark.parity("BYTE-18")
    def test_of_a_stream_puts_messages(self):
        """One for each write, and the end when it is closed."""
        stream = Stream(2)
        with to_output(stream) as file:
            assert 2 == file.write(b"ab")
            assert 1 == file.write(memoryview(b"c"))

        assert [b"ab", b"c"] == list(stream)

    @pytest.mark.parity("BYTE-18")
    def test_of_a_writable_file_is_itself(self):
        """And of a sink, a view of it."""
        file = io.BytesIO()
        sink = Sink()
        to_output(sink).write(b"ab")

        assert file is to_output(file)
        assert b"ab" == sink.data

    @pytest.mark.parity("BYTE-18")
    def test_the_reading_side_of_a_file_is_no_writing_side(self, path):
        """What was opened for reading is refused, and what only reads."""
        with path.open("rb") as file:
            for wrong in (file, b"bytes", "text", SomeSource(b"")):
                with pytest.raises(TypeError, match="cannot make BinaryWriter of"):
                    to_output(wrong)

    @pytest.mark.parity("BYTE-18")
    def test_a_channel_is_read_like_a_file(self, path):
        """The readable view of a path is the open file, which has a descriptor."""
        with to_input(path) as file:
            assert file.fileno() > 2
            assert is_open(path)
        assert not is_open(path)


class TestToByteSourceAndSink:
    @pytest.mark.parity("BYTE-20")
    def test_source_of_everything(self, given):
        """An object whose take_bytes gives up to so many bytes, and None at the end."""
        source = to_byte_source(given)
        taken = list(iter(lambda: source.take_bytes(5), None))

        assert isinstance(source, ByteSource)
        assert DATA == b"".join(taken)
        assert all(1 <= len(data) <= 5 for data in taken)
        getattr(source, "close", lambda: None)()

    @pytest.mark.parity("BYTE-20")
    def test_sink_of_everything_that_takes_bytes(self, path):
        """A path, a file object, a stream: an object with send_bytes."""
        file = io.BytesIO()
        stream = Stream(1)
        for given in (path, file, stream):
            sink = to_byte_sink(given)
            sink.send_bytes(b"sent")
            assert isinstance(sink, ByteSink)
            if given is path:
                sink.close()

        assert b"sent" == path.read_bytes()
        assert b"sent" == file.getvalue()
        assert b"sent" == stream.take()

    def test_sink_can_append(self, path):
        """To a file."""
        sink = to_byte_sink(path, append=True)
        sink.send_bytes(b"+")
        sink.close()

        assert DATA + b"+" == path.read_bytes()


class TestToFile:
    def test_of_everything(self, given, tmp_path):
        """Its bytes are in the file, whose path comes back."""
        target = tmp_path / "target"

        assert target == to_file(given, target)
        assert DATA == target.read_bytes()
        assert not is_open(target)

    def test_takes_a_path_as_text(self, tmp_path):
        """And gives a Path."""
        assert tmp_path / "x" == to_file(b"data", str(tmp_path / "x"))
        assert b"data" == Path(tmp_path / "x").read_bytes()

    @pytest.mark.parity("BYTE-10")
    def test_overwrites_unless_it_is_to_append(self, path):
        """Also where the file was longer."""
        to_file("abc", path)
        assert b"abc" == path.read_bytes()

        to_file("def", path, append=True)
        assert b"abcdef" == path.read_bytes()
