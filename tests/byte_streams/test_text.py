"""Text from bytes and back, in pieces that are cut anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from galeph import tcp
from galeph.byte_streams import convert, to_bytes, to_input, to_lines, to_reader, to_str
from galeph.byte_streams.options import Options
from galeph.byte_streams.text import Decoder, Encoder
from galeph.stream import Source
from tests.byte_streams.scenes import TEXT, failed_stream_of, stream_of

THREE_BYTES = "丁"


def cut(data, size=1):
    return [data[at : at + size] for at in range(0, len(data), size)]


class TestDecoding:
    @pytest.mark.parity("BYTE-22")
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
    def test_half_characters_wait_for_the_next_piece(self, size):
        """However the bytes are cut, in an iterator, a stream, a file object."""
        data = TEXT.encode()

        assert TEXT == "".join(convert(cut(data, size), Iterator[str]))
        assert TEXT == "".join(convert(stream_of(*cut(data, size)), Source[str]))
        assert TEXT == convert(io.BytesIO(data), str, chunk_size=size)
        assert TEXT == to_reader(cut(data, size)).read()
        assert TEXT == "".join(to_lines(cut(data, size), keep_ends=True))

    @pytest.mark.parity("BYTE-22")
    def test_many_characters_of_three_bytes_in_chunks_of_128(self):
        """128 is no multiple of three, so every chunk cuts a character."""
        data = to_bytes(THREE_BYTES * 10_000)
        file = to_input(io.BytesIO(data), chunk_size=128)

        assert data == to_bytes(to_str(data))
        assert data == to_bytes(to_str(to_input(data)))
        assert data == to_bytes("".join(convert(file, Iterator[str], chunk_size=128)))

    def test_no_piece_is_empty(self):
        """A piece that completes no character gives none."""
        assert ["a", THREE_BYTES] == list(convert([b"a", *cut("丁".encode())], Iterator[str]))

    def test_text_among_bytes_passes(self):
        """But not in the middle of a character."""
        first, *others = cut(THREE_BYTES.encode())

        assert "a丁b" == to_str(["a", first, *others, "b"])
        with pytest.raises(UnicodeDecodeError, match="unexpected end"):
            to_str([first, "b"])

    def test_what_is_behind_the_text_is_decoded_in_its_place(self):
        """With a handler that lets half a character pass, it stands before what follows."""
        first = THREE_BYTES.encode()[:1]

        assert "\ufffdb" == to_str([first, "b"], errors="replace")


class TestStrictness:
    @pytest.mark.parity("BYTE-07")
    @pytest.mark.parametrize("to", [str, list[str], Iterator[str]], ids=str)
    @pytest.mark.parametrize("data", [b"ab\xff", b"ab\xe4\xb8"], ids=["wrong", "cut off"])
    def test_is_the_default(self, to, data):
        """What is no text raises, and so does half a character at the end."""
        for given in (data, cut(data), io.BytesIO(data), stream_of(*cut(data))):
            with pytest.raises(UnicodeDecodeError):
                list(convert(given, to))

    @pytest.mark.parity("BYTE-07")
    @pytest.mark.parametrize(
        ("errors", "expected"), [("replace", "a\ufffdb"), ("ignore", "ab"), ("strict", None)]
    )
    def test_other_handlers_can_be_asked_for(self, errors, expected):
        """As those of codecs: replaced, left out, or reported."""
        data = b"a\xffb"
        ways = [
            lambda: convert(data, str, errors=errors),
            lambda: "".join(convert(cut(data), Iterator[str], errors=errors)),
            lambda: "".join(convert(stream_of(*cut(data)), Source[str], errors=errors)),
            lambda: to_reader(io.BytesIO(data), errors=errors).read(),
            lambda: "".join(to_lines(data, errors=errors)),
        ]

        for way in ways:
            if expected is None:
                with pytest.raises(UnicodeDecodeError):
                    way()
            else:
                assert expected == way()

    def test_a_missing_byte_order_mark_is_such_an_error_too(self):
        """In pieces there must be one, where the encoding has one."""
        for encoding in ("utf-16", "utf-32"):
            with pytest.raises(UnicodeDecodeError, match="BOM"):
                list(convert(["a".encode(f"{encoding}-le")], Iterator[str], encoding=encoding))

    def test_fails_a_stream(self):
        """Takers get what came before, then the error, and the source is closed."""
        source = stream_of(b"a", b"\xff", b"b")
        texts = convert(source, Source[str])

        assert "a" == texts.take()
        with pytest.raises(UnicodeDecodeError):
            texts.take()
        assert isinstance(texts.error, UnicodeDecodeError)
        assert not texts.drained
        assert source.closed

    def test_an_iterator_raises_it_again(self):
        """What was cut short does not look complete at a second look."""
        texts = convert([b"a", b"\xff", b"b"], Iterator[str])

        assert "a" == next(texts)
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                next(texts)

    def test_holds_for_encoding(self):
        """A lone surrogate has no bytes in UTF-8."""
        with pytest.raises(UnicodeEncodeError):
            convert("\ud800", bytes)
        assert b"?" == convert("\ud800", bytes, errors="replace")


class TestEncoding:
    def test_a_byte_order_mark_comes_once(self):
        """However many pieces of text there are."""
        assert "ab".encode("utf-16") == b"".join(
            convert(["a", "b"], Iterator[bytes], encoding="utf-16")
        )

    def test_what_comes_behind_the_last_character(self):
        """Encodings with a state leave it, before bytes and at the end."""
        encoder = Encoder(Options(encoding="iso2022_jp"))
        start = encoder.encode("日")

        assert b"\x1b(Bx" == encoder.encode(b"x")
        assert "日日".encode("iso2022_jp") == start + encoder.encode("日")[3:] + encoder.finish()
        assert "日".encode("iso2022_jp") == convert(iter("日"), bytes, encoding="iso2022_jp")
        assert "日".encode("iso2022_jp") == convert(
            stream_of("日"), bytes, encoding="iso2022_jp", source_type=Source[str]
        )

    def test_bytes_alone_pass_untouched(self):
        """And nothing is made ready for text."""
        encoder = Encoder(Options(encoding="utf-16"))

        assert b"x" == encoder.encode(b"x")
        assert b"" == encoder.finish()

    def test_decoder_by_itself(self):
        """Piece by piece, and what is left."""
        decoder = Decoder(Options(errors="replace"))

        assert "a" == decoder.decode(b"a\xe4")
        assert "" == decoder.decode(b"\xb8")
        assert "\ufffd" == decoder.finish()


class TestLines:
    @pytest.mark.parity("BYTE-19")
    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_are_separated_by_line_feeds(self, size):
        """A carriage return before one belongs to it; the last line needs none."""
        data = b"one\ntwo\r\n\n\rfour\r\n\r\n"

        assert ["one", "two", "", "\rfour", ""] == list(to_lines(cut(data, size)))
        assert ["one", "two"] == list(to_lines(cut(b"one\ntwo", size)))
        assert ["one", "two\r"] == list(to_lines(cut(b"one\ntwo\r", size)))
        assert [] == list(to_lines(b""))

    @pytest.mark.parity("BYTE-19")
    def test_over_a_connection(self):
        """An echo of lines, each answered before the next is sent."""

        def echo(connection, _info):
            for line in to_lines(connection):
                connection.put(f"<{line}>\n")

        with tcp.start_server(echo) as server:
            connection = tcp.client("127.0.0.1", server.port).get(timeout=5)
            answers = to_lines(connection)
            for line in ("one", "zwölf", ""):
                connection.put(f"{line}\n")
                assert f"<{line}>" == next(answers)
            connection.close()

    def test_with_their_ends(self):
        """They add up to the text."""
        assert TEXT == "".join(to_lines(TEXT, keep_ends=True))
        assert ["a\r\n", "b"] == list(to_lines("a\r\nb", keep_ends=True))

    @pytest.mark.parity("BYTE-19")
    def test_come_as_they_are_asked_for(self):
        """Nothing is read behind the piece that ends a line."""
        asked = []

        def pieces():
            for piece in (b"a", b"b\nc", b"d\n"):
                asked.append(piece)
                yield piece

        lines = to_lines(pieces())

        assert [] == asked
        assert "ab" == next(lines)
        assert [b"a", b"b\nc"] == asked
        assert "cd" == next(lines)

    @pytest.mark.parity("BYTE-19")
    def test_an_error_does_not_look_like_the_end(self):
        """It is raised behind the last whole line; the part of a line before it is not given."""
        source = failed_stream_of(b"one\nha", b"lf", error=ConnectionResetError("cut"))
        lines = to_lines(source)

        assert "one" == next(lines)
        for _ in range(2):
            with pytest.raises(ConnectionResetError, match="cut"):
                next(lines)

    @pytest.mark.parametrize("data", [b"ok\n12345", b"ok\n12345\n", b"ok\n12345\r\nx"])
    def test_of_just_the_limit(self, data):
        """The end of a line does not count."""
        assert ["ok", "12345"] == list(to_lines(cut(data), max_characters=5))[:2]
        assert ["ok", "12345"] == list(to_lines(data, max_characters=5))[:2]

    @pytest.mark.parametrize("data", [b"ok\n123456", b"ok\n123456\n", b"ok\n123456\r\nx"])
    def test_of_one_more_than_the_limit(self, data):
        """It is refused as soon as it is too long, and those before it are given."""
        for given in (data, cut(data), [*cut(data[:9]), b"never asked for"]):
            lines = to_lines(given, max_characters=5)

            assert "ok" == next(lines)
            with pytest.raises(ValueError, match="more than 5 characters"):
                next(lines)

    def test_limit_must_not_be_negative(self):
        """It is refused at once."""
        with pytest.raises(ValueError, match="max_characters"):
            to_lines(b"", max_characters=-1)
