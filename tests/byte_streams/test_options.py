"""The options of conversions: checked, and what holds where they are not given."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from galeph.byte_streams import Options, convert, to_reader, transfer
from tests.byte_streams.scenes import Sink, Source


def sizes(pieces):
    return [len(piece) for piece in pieces]


class TestChunkSize:
    @pytest.mark.parity("BYTE-05")
    def test_of_a_file_object_pieces_are_4096_bytes(self):
        """That is the default that the documentation names."""
        file = io.BytesIO(bytes(10_000))

        assert [4096, 4096, 1808] == sizes(convert(file, Iterator[bytes]))

    @pytest.mark.parity("BYTE-05")
    def test_of_a_file_pieces_are_4096_bytes(self, tmp_path):
        """The same for what is read from a path."""
        path = tmp_path / "file"
        path.write_bytes(bytes(5000))

        assert [4096, 904] == sizes(convert(path, Iterator[bytes]))

    @pytest.mark.parity("BYTE-05")
    def test_of_a_mapped_file_a_piece_is_two_billion_bytes(self, tmp_path):
        """It costs no memory, so a file is hardly ever cut."""
        path = tmp_path / "sparse"
        with path.open("wb") as file:
            file.truncate(2_000_000_001)

        assert [2_000_000_000, 1] == sizes(convert(path, Iterator[memoryview]))

    @pytest.mark.parity("BYTE-05")
    def test_text_is_decoded_from_1024_bytes(self):
        """Of a binary file object."""
        file = io.BytesIO(b"x" * 2000)

        assert [1024, 976] == sizes(convert(file, Iterator[str]))

    @pytest.mark.parity("BYTE-05")
    def test_a_reader_reads_2048(self):
        """Characters of a text file, bytes below a reader."""
        file = io.BytesIO(b"x" * 3000)
        reader = to_reader(file)

        assert [2048, 952] == sizes(convert(io.StringIO("x" * 3000), Iterator[str]))
        assert "x" == reader.read(1)
        assert 2048 == file.tell()

    @pytest.mark.parity("BYTE-05")
    def test_transfers_move_1024_bytes(self):
        """From anything that is no file and has no pieces."""
        source = Source(bytes(2000))
        sink = Sink()
        transfer(source, sink)

        assert [1024, 976] == sizes(sink.pieces)

    @pytest.mark.parity("BYTE-05")
    def test_file_objects_are_copied_by_4096_bytes(self):
        """From one into the other."""

        class File(io.BytesIO):
            def write(self, data):
                written.append(len(data))

        written = []
        transfer(io.BytesIO(bytes(5000)), File())

        assert [4096, 904] == written

    @pytest.mark.parity("BYTE-05")
    def test_files_are_received_by_ten_million_and_sent_by_one(self, tmp_path):
        """What a write of a file costs, many bytes share."""

        class File(io.BytesIO):
            def read1(self, size):
                asked.append(size)
                return super().read1(size)

            def write(self, data):
                written.append(len(data))

        asked, written = [], []
        path = tmp_path / "file"
        transfer(File(bytes(1_000_001)), path)
        transfer(path, File())

        assert {10_000_000} == set(asked)
        assert [1_000_000, 1] == written

    @pytest.mark.parity("BYTE-05")
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
    def test_given_it_is_the_most(self, tmp_path, size):
        """Of bytes, file objects, files, mapped files, text."""
        path = tmp_path / "file"
        path.write_bytes(b"abcde")
        expected = [min(size, 5 - at) for at in range(0, 5, size)]

        for given in (b"abcde", io.BytesIO(b"abcde"), path):
            assert expected == sizes(convert(given, Iterator[bytes], chunk_size=size))
        assert expected == sizes(convert(path, Iterator[memoryview], chunk_size=size))
        assert expected == sizes(convert(memoryview(b"abcde"), list[memoryview], chunk_size=size))
        assert expected == sizes(convert("abcde", Iterator[str], chunk_size=size))
        assert expected == sizes(convert(io.BytesIO(b"abcde"), Iterator[str], chunk_size=size))


class TestEncoding:
    @pytest.mark.parametrize("encoding", ["hex", "no_such", "punycode"])
    def test_must_be_one_of_text_that_can_be_read_in_pieces(self, encoding):
        """Of Python's, only punycode is none: what stands first depends on what comes last."""
        with pytest.raises(ValueError, match="encoding must be a text encoding"):
            convert(b"abc-", str, encoding=encoding)

    @pytest.mark.parity("BYTE-06")
    def test_utf_8_is_the_default(self):
        """Both ways."""
        assert "丁".encode() == convert("丁", bytes)
        assert "丁" == convert("丁".encode(), str)

    @pytest.mark.parity("BYTE-06")
    @pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "cp1252", "utf-7"])
    def test_given_it_holds_for_every_step(self, encoding, tmp_path):
        """Whole, in pieces, in files: text gives the same bytes, and they the same text."""
        text = "über" * 3
        data = text.encode(encoding)
        path = tmp_path / "file"
        pieces = [text[at : at + 1] for at in range(len(text))]

        assert data == convert(text, bytes, encoding=encoding)
        assert data == convert(pieces, bytes, encoding=encoding)
        assert data == convert(iter(pieces), bytes, encoding=encoding)
        assert data == b"".join(convert(pieces, list[memoryview], encoding=encoding))
        assert text == convert(data, str, encoding=encoding)
        assert path == convert(text, path, encoding=encoding)
        assert data == path.read_bytes()
        assert text == convert(path, str, encoding=encoding)
        assert text == to_reader(io.BytesIO(data), encoding=encoding, chunk_size=1).read()
        with to_reader(path, encoding=encoding) as reader:
            assert text == reader.read()


class TestWrongOptions:
    @pytest.mark.parametrize(
        ("options", "error", "name"),
        [
            ({"chunk_size": 0}, ValueError, "chunk_size"),
            ({"chunk_size": "1"}, TypeError, "chunk_size"),
            ({"chunk_size": True}, TypeError, "chunk_size"),
            ({"buffer_size": -1}, ValueError, "buffer_size"),
            ({"buffer_size": 1.5}, TypeError, "buffer_size"),
            ({"encoding": "no-such"}, ValueError, "encoding"),
            ({"encoding": "base64"}, ValueError, "encoding"),
            ({"errors": "no-such"}, ValueError, "errors"),
            ({"nothing": 1}, TypeError, "nothing"),
        ],
        ids=str,
    )
    def test_is_refused_by_name(self, options, error, name):
        """Before anything happens."""
        with pytest.raises(error, match=name):
            convert("x", bytes, **options)

    def test_chunk_size_of_1_and_none(self):
        """The smallest there is, and no wish."""
        assert 1 == Options(chunk_size=1).size_or(5)
        assert 5 == Options().size_or(5)


def test_written_files_are_paths(tmp_path):
    """What is written comes back as its path."""
    assert Path(tmp_path / "x") == convert(b"", tmp_path / "x")
