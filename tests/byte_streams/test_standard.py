"""The conversions that are there from the beginning: what they copy, lend and let go."""

from __future__ import annotations

import array
import gc
import io
import mmap
import os
from collections.abc import Iterator
from typing import BinaryIO, TextIO

import pytest

from galeph.byte_streams import ByteSource, convert, def_conversion, to_bytes, to_str
from galeph.byte_streams.options import PIECE_BYTES
from galeph.byte_streams.standard import bytes_of_view
from galeph.stream import Source
from tests.byte_streams.scenes import stream_of
from tests.stream.scenes import settle


class TestAliasing:
    @pytest.mark.parity("BYTE-42")
    def test_bytes_are_lent_and_come_back(self):
        """A view of bytes copies nothing, and all of it gives the same object."""
        data = bytes(1000)
        view = convert(data, memoryview)

        assert view.obj is data
        assert convert(view, bytes) is data
        assert to_bytes(view) is data

    @pytest.mark.parity("BYTE-42")
    def test_a_bytearray_is_lent_and_comes_back(self):
        """Later changes are seen on both sides."""
        data = bytearray(b"abc")
        view = convert(data, memoryview)
        data[0] = 65
        assert b"Abc" == bytes(view)

        back = convert(view, bytearray)
        view[1] = 66
        assert back is data
        assert b"ABc" == back

    @pytest.mark.parity("BYTE-42")
    @pytest.mark.parametrize(
        "part", [slice(1, None), slice(None, 2), slice(None, None, 2), slice(None, None, -1)]
    )
    def test_a_part_is_copied(self, part):
        """Into bytes and into a bytearray."""
        data = bytearray(b"abc")
        view = memoryview(data)[part]
        expected = b"abc"[part]
        copies = [convert(view, bytes), convert(view, bytearray)]
        view[0] = 120

        assert [expected, expected] == copies
        assert expected == convert(memoryview(b"abc")[part], bytes)

    @pytest.mark.parity("BYTE-42")
    def test_what_can_change_is_copied_into_bytes(self):
        """Bytes never change."""
        data = bytearray(b"abc")
        copies = [convert(data, bytes), convert(memoryview(data), bytes), to_bytes(data)]
        data[0] = 65

        assert [b"abc"] * 3 == copies

    def test_of_one_byte_backwards(self):
        """Which is the whole, forwards as well."""
        data = b"a"

        assert b"a" == bytes_of_view(memoryview(data)[::-1])


class TestForeignMemory:
    @pytest.mark.parity("BYTE-39")
    def test_whatever_has_a_buffer_converts(self):
        """Arrays and memory maps, by their memory."""
        numbers = array.array("H", [0x4142, 0x4344])
        with mmap.mmap(-1, 4) as mapping:
            mapping[:] = b"ABCD"

            assert b"ABCD" == to_bytes(mapping)
            assert "ABCD" == to_str(mapping)
        assert numbers.tobytes() == to_bytes(numbers)
        assert numbers.tobytes() == b"".join(convert(numbers, Iterator[bytes], chunk_size=1))
        assert numbers.tobytes() == convert(numbers, BinaryIO).read()
        assert numbers.tobytes() == to_bytes([numbers])

    @pytest.mark.parity("BYTE-39")
    def test_converting_to_bytes_lets_go_of_it(self):
        """It can be resized and closed then; a view would hold it."""
        data = bytearray(b"abc")
        numbers = array.array("B", b"abc")
        mapping = mmap.mmap(-1, 3)
        copies = [to_bytes(thing) for thing in (data, memoryview(data), numbers, mapping)]
        strings = [to_str(thing) for thing in (data, numbers, mapping)]

        data.append(1)
        numbers.append(1)
        mapping.close()
        assert [b"abc"] * 3 + [b"\0\0\0"] == copies
        assert ["abc"] * 2 + ["\0\0\0"] == strings
        with pytest.raises(BufferError):
            view = convert(data, memoryview)
            data.append(1)
        del view

    @pytest.mark.parity("BYTE-39")
    def test_parts_convert_by_what_they_cover(self):
        """From their own beginning to their own end, also with steps and in wider items."""
        numbers = memoryview(array.array("H", [1, 2, 3, 4]))
        raw = numbers.tobytes()

        assert raw[2:6] == to_bytes(numbers[1:3])
        assert raw[0:2] + raw[4:6] == to_bytes(numbers[::2])
        assert raw[2:6] == b"".join(convert(numbers[1:3], Iterator[memoryview], chunk_size=3))
        assert raw[2:6] == bytes(convert(numbers[1:3], bytearray))
        assert raw[2:6] == convert(numbers[1:3], BinaryIO).read()


class TestPieces:
    def test_of_memory_are_lent(self):
        """Views in slices copy nothing."""
        data = b"abcdef"

        assert all(v.obj is data for v in convert(data, Iterator[memoryview], chunk_size=2))

    def test_text_and_bytes_by_turns(self):
        """In lists, iterators and streams, towards each of the types."""
        for make in (list, iter, lambda xs: stream_of(*xs)):
            for cls in (bytes, bytearray, memoryview):
                for to in (list[cls], Iterator[cls], Source[cls]):
                    pieces = list(convert(make(["ä", b"b", bytearray(b"c")]), to))
                    assert {cls} == {type(piece) for piece in pieces}
                    assert "äbc".encode() == b"".join(pieces)

    def test_a_byte_order_mark_comes_once(self):
        """Whatever the pieces become."""
        expected = "ab".encode("utf-16")
        for to in (list[bytearray], Iterator[memoryview], Source[memoryview], list[bytes]):
            assert expected == b"".join(convert(["a", "b"], to, encoding="utf-16"))

    def test_a_byte_order_mark_comes_once_before_what_was_taught_to_be_text(self, own_graph):
        """Also of items that become text only on the way."""

        class Money:
            def __init__(self, amount):
                self.amount = amount

        def_conversion(Money, str, lambda money, _: f"{money.amount} €")
        expected = "1 €2 €x3 €".encode("utf-16")
        items = [Money(1), Money(2), "x", Money(3)]
        for make in (list, tuple, iter, lambda xs: stream_of(*xs)):
            assert expected == convert(make(items), bytes, encoding="utf-16")
            for to in (list[bytes], Iterator[memoryview], Source[bytearray]):
                assert expected == b"".join(convert(make(items), to, encoding="utf-16"))

    def test_text_of_a_class_that_was_taught_its_own_bytes(self, own_graph):
        """Is made these wherever it stands, and not encoded."""

        class Shouted(str):
            __slots__ = ()

        plain = Shouted("a")
        assert b"a" == to_bytes(plain) == to_bytes([plain]) == convert([plain], bytes)
        def_conversion(Shouted, bytes, lambda text, _: text.upper().encode())

        assert b"A" == convert(plain, bytes)
        assert b"A" == to_bytes(plain)
        assert b"Ab" == to_bytes([plain, "b"])
        for make in (list, iter, lambda xs: stream_of(*xs)):
            assert b"Ab" == convert(make([plain, "b"]), bytes)

    @pytest.mark.parametrize("to", [BinaryIO, TextIO, ByteSource, Iterator[bytes]])
    def test_a_file_among_others_is_read_piece_by_piece(self, tmp_path, to):
        """What is written behind the first pieces is seen when they have been read."""
        path = tmp_path / "file"
        path.write_bytes(b"b" * 4 * PIECE_BYTES)
        made = convert([b"a", path, "c"], to)
        if to is ByteSource:
            begun = made.take_bytes(2) + made.take_bytes(1)
        else:
            begun = next(made) + next(made) if to == Iterator[bytes] else made.read(2)
        with path.open("ab") as file:
            file.write(b"end")
        rest = to_bytes(made)

        assert b"ab" == to_bytes(begun)[:2]
        assert rest.endswith(b"bendc")

    def test_a_file_among_others_is_closed_with_the_rest(self, tmp_path):
        """In the middle of it, while the caller's own stays open."""
        path = tmp_path / "file"
        path.write_bytes(b"b" * 4 * PIECE_BYTES)
        own = io.BytesIO(b"mine")
        before = len(os.listdir("/proc/self/fd"))
        reader = convert([own, path], BinaryIO)

        assert b"mineb" == reader.read(5)
        assert before + 1 == len(os.listdir("/proc/self/fd"))
        reader.close()
        settle()
        assert before == len(os.listdir("/proc/self/fd"))
        assert not own.closed

    @pytest.mark.parametrize("end", ["read", "close", "drop"])
    def test_a_file_in_a_stream_is_read_piece_by_piece(self, tmp_path, end):
        """Read to its end, closed in the middle of it, or dropped, nothing stays open."""
        path = tmp_path / "file"
        path.write_bytes(b"b" * 4 * PIECE_BYTES)
        before = len(os.listdir("/proc/self/fd"))
        pieces = convert(stream_of(b"a", path, "c"), Source[bytes])

        assert (b"a", b"b" * PIECE_BYTES) == (pieces.take(), pieces.take())
        with path.open("ab") as file:
            file.write(b"end")
        assert before + 1 == len(os.listdir("/proc/self/fd"))
        if end == "read":
            assert to_bytes(pieces).endswith(b"bendc")
        elif end == "close":
            pieces.close()
        del pieces
        gc.collect()
        settle()
        assert before == len(os.listdir("/proc/self/fd"))

    def test_files_by_files(self):
        """A file object for each piece."""
        files = convert([b"a", "b"], list[BinaryIO])
        texts = convert(["a", "b"], Iterator[TextIO], source_type=list[str])

        assert [b"a", b"b"] == [file.read() for file in files]
        assert ["a", "b"] == [file.read() for file in texts]
        assert "ab" == to_str([io.BytesIO(b"a"), io.StringIO("b")])

    def test_text_files_among_others_are_not_encoded(self):
        """What is text already stays it, also what has no bytes; the others are decoded as one."""
        pieces = [b"\xe4", b"\xb8\x81", io.StringIO("\ud800"), io.BytesIO(b"a")]

        assert ["丁", "\ud800", "a"] == [file.read() for file in convert(pieces, list[TextIO])]

    def test_several_of_a_type_that_is_said(self):
        """File objects are read whole, one by one."""
        files = [io.BytesIO(b"a"), io.BytesIO(b"b")]

        assert b"ab" == convert(iter(files), bytes, source_type=Iterator[BinaryIO])
        assert "ab" == convert([io.StringIO("ab")], str, source_type=list[TextIO])
        assert b"ab" == convert(iter([Few(b"ab")]), bytes, source_type=Iterator[ByteSource])


class Few:
    def __init__(self, data):
        self.data = data

    def take_bytes(self, size):
        taken, self.data = self.data[:1], self.data[1:]
        return taken or None
