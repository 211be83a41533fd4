"""`compare` and `bytes_equal`: what is in two things, whatever they are."""

from __future__ import annotations

import io
import os
from functools import cmp_to_key

import pytest

from galeph.byte_streams import bytes_equal, compare
from galeph.stream import Stream
from tests.byte_streams.scenes import Source, failed_stream_of, is_open, stream_of


class TestCompare:
    @pytest.mark.parity("BYTE-33")
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (b"", b"\x00"), (b"a", b"b"), (b"a", b"aa"), (b"\x7f", b"\x80"), (b"\x80", b"\xff"),
            (b"\x00\x00\x00\x01", b"\x80\x00\x00\x01"), (b"abc", b"abd"), (b"ab", b"b"),
        ],
        ids=repr,
    )  # fmt: skip
    def test_sorts_bytes_from_0_to_255_and_the_shorter_first(self, first, second):
        """Negative if the first sorts first; in whatever the bytes are."""
        for a in (first, bytearray(first), [first], stream_of(first), io.BytesIO(first)):
            assert -1 == compare(a, second)
        for b in (second, memoryview(second), iter([second]), Source(second)):
            assert -1 == compare(first, b)
        assert 1 == compare(second, first)
        assert 0 == compare(first, bytearray(first))
        assert [first, second] == sorted([second, first], key=cmp_to_key(compare))

    @pytest.mark.parity("BYTE-33")
    def test_of_pieces_that_are_cut_differently(self):
        """Only what is in them counts."""
        data = os.urandom(50)
        for size in range(1, 8):
            a = [data[at : at + size] for at in range(0, 50, size)]
            b = stream_of(*(data[at : at + 5] for at in range(0, 50, 5)))
            assert 0 == compare(a, b)
        assert -1 == compare([b"a", b"", b"b"], [b"ab", b"c"])

    @pytest.mark.parity("BYTE-33")
    def test_text_is_compared_by_its_bytes(self):
        """In the encoding asked for."""
        assert 0 == compare("ä", "ä".encode())
        assert 0 == compare("ä", b"\xe4", encoding="latin-1")
        assert -1 == compare("a", ["b"])

    def test_reads_as_far_as_the_difference(self):
        """The rest of a stream stays there, and what was opened is closed."""
        stream = Stream(3)
        stream.put_all([b"a", b"b", b"c"])

        assert 1 == compare(stream, b"aa")
        assert b"c" == stream.take()
        assert not stream.closed

    def test_closes_what_it_opened(self, tmp_path):
        """And not what it was given."""
        path = tmp_path / "file"
        path.write_bytes(bytes(10_000))
        file = io.BytesIO(b"x")

        assert -1 == compare(path, file)
        assert not is_open(path)
        assert not file.closed

    def test_errors_are_no_answers(self):
        """A stream that fails is not just shorter."""
        with pytest.raises(OSError, match="cut"):
            compare(failed_stream_of(b"a", error=OSError("cut")), b"ab")
        with pytest.raises(TypeError, match="cannot make"):
            compare(b"", 5)


class TestEqual:
    @pytest.mark.parity("BYTE-34")
    def test_of_any_two_representations(self, tmp_path):
        """What is in them is the same, or not."""
        path = tmp_path / "file"
        path.write_bytes(b"abc")
        things = ["abc", b"abc", bytearray(b"abc"), ["a", b"bc"], path, memoryview(b"xabc")[1:]]

        for a in things:
            for b in things:
                assert bytes_equal(a, b)
            assert not bytes_equal(a, "abd")
            assert not bytes_equal("ab", a)
        assert bytes_equal(stream_of(b"ab", "c"), io.BytesIO(b"abc"))
