"""`print_bytes`: hexadecimal and ASCII, side by side."""

from __future__ import annotations

import io

import pytest

from galeph.byte_streams import print_bytes
from tests.byte_streams.scenes import is_open, stream_of

SHOWN = """\
50 72 69 6E 74 73 20 6F  75 74 20 74 68 65 20 62      Prints out the b
79 74 65 73 20 69 6E 20  62 6F 74 68 20 68 65 78      ytes in both hex
20 61 6E 64 20 41 53 43  49 49 20 72 65 70 72 65       and ASCII repre
73 65 6E 74 61 74 69 6F  6E 73 2C 20 31 36 20 62      sentations, 16 b
79 74 65 73 20 70 65 72  20 6C 69 6E 65 2E            ytes per line.
"""
TEXT = "Prints out the bytes in both hex and ASCII representations, 16 bytes per line."


def dump(x, **options):
    file = io.StringIO()
    print_bytes(x, file=file, **options)
    return file.getvalue()


@pytest.mark.parity("BYTE-35")
def test_sixteen_bytes_a_line(capsys):
    """Of anything, to standard output or a file."""
    print_bytes(TEXT)

    assert SHOWN == capsys.readouterr().out
    for given in (TEXT.encode(), list(TEXT), stream_of(TEXT[:20], TEXT[20:]), io.StringIO(TEXT)):
        assert SHOWN == dump(given)


@pytest.mark.parity("BYTE-35")
def test_what_cannot_be_printed_is_a_dot():
    """Control characters, and all that is no ASCII."""
    assert (
        "00 1F 20 7E 7F 80 FF 0A                               .. ~....\n"
        == dump(b"\x00\x1f ~\x7f\x80\xff\n")
    )  # fmt: skip


def test_short_lines_are_aligned():
    """Those of 1, 8 and 9 bytes as well as full ones."""
    for size in range(1, 17):
        assert "      " + "x" * size + "\n" == dump(b"x" * size)[48:]


def test_of_nothing():
    """Nothing is printed."""
    assert "" == dump(b"")


def test_text_in_another_encoding():
    """As it would be sent."""
    assert dump("ä", encoding="latin-1").startswith("E4  ")


def test_a_file_is_closed_again(tmp_path):
    """Also if printing fails."""
    path = tmp_path / "file"
    path.write_bytes(bytes(10_000))
    closed = io.StringIO()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        print_bytes(path, file=closed)

    assert not is_open(path)


def test_what_cannot_be_written_to_is_refused():
    """By name, before anything of the source is read."""
    source = io.BytesIO(b"abc")

    with pytest.raises(TypeError, match="file must be a file object to write text to, not 'out'"):
        print_bytes(source, file="out")
    assert b"abc" == source.read()
