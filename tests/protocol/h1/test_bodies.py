"""Bodies: where they end, strictly."""

import time

import pytest

from galeph.errors import RemoteProtocolError
from galeph.protocol.h1.bodies import ChunkedBody, LengthBody, UntilCloseBody
from galeph.protocol.limits import Limits
from tests.protocol.h1.feeding import byte_by_byte, every_pair_of_splits, every_split

LIMITS = Limits()


def read(body, pieces, *, eof=False):
    """What a body gives: (data, what is left, trailers), or (status, case)."""
    data = rest = b""
    try:
        for piece in pieces:
            if body.done:
                rest += piece
                continue
            got, rest = body.read(rest + piece)
            data += got
        if eof and not body.done:
            body.end()
    except RemoteProtocolError as error:
        return error.status_hint, error.case
    if not body.done:
        return "incomplete", data
    return data, rest, None if body.trailers is None else body.trailers.raw


def read_in_every_way(make, data, *, eof=False):
    whole = read(make(), [data], eof=eof)
    for pieces in (byte_by_byte(data), *every_split(data)):
        assert whole == read(make(), pieces, eof=eof), pieces
    return whole


def chunked(data, limits=LIMITS, head_bytes=0, *, eof=False):
    return read_in_every_way(lambda: ChunkedBody(limits, head_bytes), data, eof=eof)


class TestLengthBody:
    def test_ends_at_its_length(self):
        """However it comes, and whatever follows."""
        assert read_in_every_way(lambda: LengthBody(5), b"hello") == (b"hello", b"", None)
        assert read_in_every_way(lambda: LengthBody(5), b"helloX\r\n") == (b"hello", b"X\r\n", None)
        assert LengthBody(0).done

    @pytest.mark.parametrize("sent", [b"", b"h", b"hell"])
    def test_is_incomplete_when_the_peer_closes_before(self, sent):
        """A short body never looks whole."""
        answer = read_in_every_way(lambda: LengthBody(5), sent, eof=True)

        assert answer == (400, "body-incomplete")


class TestUntilCloseBody:
    def test_ends_with_the_connection(self):
        """All of it is body."""
        make = lambda: UntilCloseBody(None)  # noqa: E731  (one of several like it)

        assert read_in_every_way(make, b"a\r\n\r\nb", eof=True) == (b"a\r\n\r\nb", b"", None)
        assert read_in_every_way(make, b"a") == ("incomplete", b"a")

    @pytest.mark.parametrize(
        ("limit", "expected"), [(5, (b"hello", b"", None)), (4, (413, "body-too-large"))]
    )
    def test_is_bounded(self, limit, expected):
        """n passes, n + 1 does not."""
        answer = read_in_every_way(lambda: UntilCloseBody(limit), b"hello", eof=True)

        assert expected == answer


class TestChunks:
    @pytest.mark.parametrize(
        ("data", "body"),
        [
            (b"0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
            (b"a\r\n0123456789\r\n00\r\n\r\n", b"0123456789"),
            (b"A\r\n0123456789\r\n0000000000000000\r\n\r\n", b"0123456789"),
            (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
        ],
    )
    def test_are_joined(self, data, body):
        """RFC 9112 section 7.1; what follows is left."""
        assert chunked(data) == (body, b"", None)
        assert chunked(data + b"GET / HTTP/1.1") == (body, b"GET / HTTP/1.1", None)

    @pytest.mark.parametrize(
        "extension",
        [
            b";a", b"; a", b";\ta=b", b';a="b"', b';a="b;c=d, \\" \t"', b";a;b=c;d=e", b';a=""',
            b";!#$%&'*+-.^_`|~09Az=x",
        ],
    )  # fmt: skip
    def test_may_have_extensions(self, extension):
        """RFC 9112 section 7.1.1: names with a token or a quoted string. They mean nothing."""
        data = b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n"

        assert chunked(data) == (b"hello", b"", None)

    def test_that_arrive_together_become_one_piece(self):
        """A million one-byte chunks are not a million objects."""
        body = ChunkedBody(LIMITS, 0)

        assert body.read(b"1\r\na\r\n" * 1000) == (b"a" * 1000, b"")
        assert body.plain == 1000

    def test_are_counted(self):
        """Plain lines, and those with extensions."""
        body = ChunkedBody(LIMITS, 0)
        body.read(b"1\r\na\r\n1;x\r\nb\r\n0\r\n\r\n")

        assert (2, 1) == (body.plain, body.extended)

    @pytest.mark.attack(67)
    @pytest.mark.parametrize(
        "size",
        [
            b"0x5", b"+5", b"-5", b"5_0", b" 5", b"5 ", b"\t5", b"5\t", b"5\x00", b"\xb2", b"g",
            b"\xd9\xa5", b"5.", b"5h", b"#5", b"5,", b"5 ;a", b"5\x0b", b'"5"', b"5=a", b"-0",
        ],
    )  # fmt: skip
    def test_have_a_size_of_hexadecimal_digits_alone(self, size):
        """What int(x, 16) or strip() would take besides."""
        for prefix in (b"", b"1\r\na\r\n"):
            answer = chunked(prefix + size + b"\r\nhello\r\n0\r\n\r\n")
            assert answer == (400, "chunk-size")

    @pytest.mark.attack(68)
    @pytest.mark.parametrize("line", [b"", b";a", b";", b"5;", b"5;;a", b"5;a=", b"5; ;", b"5;=b"])
    def test_have_a_size_and_whole_extensions(self, line):
        """Neither the size nor the name of an extension may be empty."""
        assert chunked(line + b"\r\nhello\r\n0\r\n\r\n") == (400, "chunk-size")

    @pytest.mark.attack(69)
    @pytest.mark.parametrize(
        "size",
        [b"f" * 16, b"8" + b"0" * 15, b"1" + b"0" * 16, b"0" * 16 + b"5", b"0" * 30, b"f" * 250],
    )
    def test_have_a_size_below_2_to_the_63(self, size):
        """And of at most 16 digits, zeros included."""
        assert chunked(size + b"\r\n") == (400, "chunk-size")
        assert chunked(size + b";a=b\r\n") == (400, "chunk-size")

    def test_have_a_size_up_to_that(self):
        """2**63 - 1 is only too much for the limit."""
        unlimited = Limits(max_body_bytes=None)

        assert chunked(b"7" + b"f" * 15 + b"\r\n") == (413, "body-too-large")
        assert chunked(b"7" + b"f" * 15 + b"\r\nx", unlimited) == ("incomplete", b"x")

    @pytest.mark.attack(70)
    @pytest.mark.parametrize(
        "end", [b"xx", b"\r", b"\n", b"\n\n", b"\r\r", b"x\r\n", b" \r\n", b"\rx", b"", b"\n\r"]
    )
    def test_end_with_crlf(self, end):
        """Any other two bytes behind the data would be skipped by a careless reader."""
        assert chunked(b"5\r\nhello" + end + b"0\r\n\r\n") == (400, "chunk-end")

    @pytest.mark.attack(71)
    @pytest.mark.parametrize(
        "data", [b"5\nhello\r\n0\r\n\r\n", b"5\rXhello\r\n0\r\n\r\n", b"5\r\rhello", b"5;a\nhello"]
    )
    def test_have_lines_that_end_with_crlf(self, data):
        """Neither LF nor CR alone."""
        assert chunked(data) == (400, "chunk-size")

    @pytest.mark.attack(72)
    @pytest.mark.parametrize("byte", [b"\r", b"\n", b"\x00", b"\x0b", b"\x7f", b"\x80", b"\xff"])
    @pytest.mark.parametrize(
        "extension", [b";a%s", b";%sa", b";a=%s", b";a=b%s", b';a="%s"', b';a="b%s', b";a;%sb"]
    )
    def test_have_no_line_end_or_control_in_an_extension(self, byte, extension):
        """Where one reader sees the end of the line, another must not see an extension."""
        assert chunked(b"5" + extension % byte + b"x\r\nhello\r\n0\r\n\r\n") == (400, "chunk-size")

    @pytest.mark.attack(73)
    @pytest.mark.parametrize(
        "extension",
        [b';a="', b';a="b', b';a=b"', b';a="\r\n"', b';a="b\r\nc"', b';a="b\\"', b';a="b"c',
         b';a="\\\r\n"'],
    )  # fmt: skip
    def test_have_quoted_strings_that_are_closed(self, extension):
        """On the same line; a backslash quotes no line end."""
        assert chunked(b"5" + extension + b"\r\nhello\r\n0\r\n\r\n") == (400, "chunk-size")

    @pytest.mark.attack(77)
    def test_have_nothing_between_them(self):
        """An empty line is no chunk line."""
        assert chunked(b"5\r\nhello\r\n\r\n0\r\n\r\n") == (400, "chunk-size")
        assert chunked(b"\r\n5\r\nhello\r\n0\r\n\r\n") == (400, "chunk-size")

    @pytest.mark.parametrize(
        "data",
        [b"", b"5", b"5\r", b"5\r\n", b"5\r\nhell", b"5\r\nhello", b"5\r\nhello\r\n", b"0",
         b"5\r\nhello\r\n0\r\n", b"0\r\n\r", b"0\r\nX", b"0\r\nX: y\r\n", b'5;a="b'],
    )  # fmt: skip
    def test_are_incomplete_when_the_peer_closes_before_the_end(self, data):
        """Also behind the last chunk: only the blank line ends the body."""
        assert chunked(data, eof=True) == (400, "body-incomplete")

    def test_may_be_cut_anywhere(self):
        """At every pair of positions."""
        data = b'3\r\nabc\r\n2;a="b"\r\nde\r\n0\r\nX: y\r\n\r\nG'
        for pieces in every_pair_of_splits(data):
            assert read(ChunkedBody(LIMITS, 0), pieces) == (b"abcde", b"G", (("X", "y"),))


class TestChunkLimits:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [(256, (b"", b"", None)), (257, (400, "chunk-line-too-long"))],
    )
    def test_hold_for_the_line(self, size, expected):
        """n passes, n + 1 does not, at whatever byte it is cut."""
        assert chunked(b"0;".ljust(size, b"a") + b"\r\n\r\n") == expected

    @pytest.mark.attack(74)
    @pytest.mark.parametrize("size", [8192, 100_000])
    def test_hold_for_a_line_without_end(self, size):
        """Kilobytes of extension are refused at the limit, not gathered."""
        body = ChunkedBody(LIMITS, 0)
        fed = 0
        with pytest.raises(RemoteProtocolError) as caught:
            rest = b""
            for piece in byte_by_byte(b"5;" + b"a" * size):
                fed += 1
                _, rest = body.read(rest + piece)

        assert (400, "chunk-line-too-long") == (caught.value.status_hint, caught.value.case)
        assert fed == 257
        assert read(ChunkedBody(LIMITS, 0), [b"5;" + b"a" * size]) == (400, "chunk-line-too-long")

    @pytest.mark.attack(74)
    def test_hold_for_many_extensions(self):
        """An extension on each of a million chunks is refused after 100 KiB of them."""
        piece = (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 10
        body = ChunkedBody(LIMITS, 0)
        fed = 0
        with pytest.raises(RemoteProtocolError) as caught:
            for _ in range(100_000):
                fed += len(piece)
                body.read(piece)

        assert (400, "chunk-overhead") == (caught.value.status_hint, caught.value.case)
        assert fed < 110 * 1024

    @pytest.mark.attack(75)
    def test_hold_for_one_byte_chunks(self):
        """A million of them: refused when framing is above 100 KiB and outweighs the data."""
        body = ChunkedBody(LIMITS, 0)
        fed = 0
        with pytest.raises(RemoteProtocolError) as caught:
            for _ in range(1000):
                fed += 6000
                body.read(b"1\r\nx\r\n" * 1000)

        assert (400, "chunk-overhead") == (caught.value.status_hint, caught.value.case)
        assert fed <= 1.3 * 100 * 1024

    def test_let_framing_pass_that_does_not_outweigh_the_data(self):
        """Chunks of 8 bytes are clumsy, not hostile."""
        data = b"8\r\n01234567\r\n" * 40_000 + b"0\r\n\r\n"
        body = ChunkedBody(LIMITS, 0)

        assert read(body, [data])[0] == b"01234567" * 40_000

    @pytest.mark.parametrize(("limit", "is_good"), [(10, True), (9, False)])
    def test_hold_for_the_body(self, limit, is_good):
        """n passes; a chunk that would cross it is refused at its line, before its data."""
        data = b"4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n"
        limits = Limits(max_body_bytes=limit)
        expected = (b"abcdefghij", b"", None) if is_good else (413, "body-too-large")

        assert expected == chunked(data, limits)
        if not is_good:
            assert expected == chunked(b"4\r\nabcd\r\n6\r\n", limits)

    def test_cost_of_dribbled_chunks_is_linear(self):
        """Extensions byte by byte do not get slower the more there were."""
        pieces = byte_by_byte(b"3;abcdefgh\r\nxyz\r\n" * 500)
        body = ChunkedBody(LIMITS, 0)
        times = []
        rest = b""
        for half in (pieces[:4000], pieces[4000:8000]):
            start = time.process_time()
            for piece in half:
                _, rest = body.read(rest + piece)
            times.append(time.process_time() - start)

        assert times[1] < 5 * times[0]


class TestTrailers:
    def test_are_given_at_the_end(self):
        """In order, as spelled."""
        data = b"1\r\na\r\n0\r\nX-A: 1\r\nx-b:\xe9 \r\nX-A: 2\r\n\r\nrest"
        expected = (("X-A", "1"), ("x-b", "\xe9"), ("X-A", "2"))

        assert chunked(data) == (b"a", b"rest", expected)

    @pytest.mark.attack(80)
    @pytest.mark.parametrize(
        "name", [b"Content-Length", b"transfer-encoding", b"HOST", b"Authorization", b"Cookie"]
    )
    def test_that_frame_route_or_authenticate_are_refused(self, name):
        """They must not be merged into the head by anybody."""
        assert chunked(b"0\r\nX: y\r\n" + name + b": 1\r\n\r\n") == (400, "trailer-forbidden")

    @pytest.mark.attack(80)
    def test_that_only_a_head_may_have_are_dropped(self):
        """What is left is shown; an empty section is not the same as none."""
        assert chunked(b"0\r\nDate: x\r\nX: y\r\n\r\n") == (b"", b"", (("X", "y"),))
        assert chunked(b"0\r\nDate: x\r\n\r\n") == (b"", b"", ())

    @pytest.mark.attack(81)
    @pytest.mark.parametrize(
        "block",
        [
            b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            b"X: y\r\nGET /admin HTTP/1.1\r\n\r\n",
        ],
    )
    def test_that_look_like_a_request_are_refused(self, block):
        """The classical smuggled request behind a last chunk."""
        assert chunked(b"0\r\n" + block)[0] == 400

    @pytest.mark.attack(82)
    @pytest.mark.parametrize(("count", "is_good"), [(32, True), (33, False)])
    def test_are_counted(self, count, is_good):
        """n pass, n + 1 do not."""
        lines = b"".join(b"X%d: y\r\n" % n for n in range(count))
        expected = 32 if is_good else (431, "too-many-fields")
        answer = chunked(b"0\r\n" + lines + b"\r\n")

        assert expected == (len(answer[2]) if is_good else answer)

    @pytest.mark.attack(82)
    @pytest.mark.parametrize(("head_bytes", "is_good"), [(40, True), (41, False)])
    def test_share_the_budget_of_the_head(self, head_bytes, is_good):
        """What the head has used is not there any more: n passes, n + 1 does not."""
        limits = Limits(max_headers_bytes=60)
        data = b"0\r\nX: 12345\r\nY: 1234567\r\n\r\n"
        expected = (b"", b"", (("X", "12345"), ("Y", "1234567")))

        answer = chunked(data, limits, head_bytes)
        assert answer == (expected if is_good else (431, "head-too-large"))

    @pytest.mark.attack(82)
    def test_that_do_not_end_are_refused_at_the_limit(self):
        """Not gathered: 431 with the line that is too many, or too long."""
        body = ChunkedBody(LIMITS, 0)
        with pytest.raises(RemoteProtocolError) as caught:
            rest = b"0\r\n"
            for _ in range(1000):
                _, rest = body.read(rest + b"X: " + b"y" * 1000 + b"\r\n")
                assert len(rest) < 40_000

        assert (431, "too-many-fields") == (caught.value.status_hint, caught.value.case)
        assert read(ChunkedBody(LIMITS, 0), [b"0\r\nX: " + b"y" * 9000]) == (
            431, "field-too-long",
        )  # fmt: skip

    @pytest.mark.attack(83)
    @pytest.mark.parametrize(
        "block", [b"X: y\n\n", b"X: y\n\r\n", b"X: y\r\n\n", b"\n", b"X: y\rZ: y\r\n\r\n", b"\rX"]
    )
    def test_have_lines_that_end_with_crlf(self, block):
        """As in heads."""
        assert chunked(b"0\r\n" + block) == (400, "bare-line-end")

    def test_cost_when_dribbled_is_linear(self):
        """60 KiB byte by byte is work for 60 KiB, not for their square."""
        line = b"X: " + b"y" * 7997
        data = (line + b"\r\n") * 7
        body = ChunkedBody(LIMITS, 0)
        _, rest = body.read(b"0\r\n")
        start = time.process_time()
        for piece in byte_by_byte(data):
            _, rest = body.read(rest + piece)
        seconds = time.process_time() - start

        assert len(rest) == len(data)
        assert seconds < 2
