"""The line scanner: what each line may be, where the section ends, and what that costs."""

import time

import pytest

from galeph.errors import RemoteProtocolError
from galeph.protocol.h1.lines import REQUEST_LINE, STATUS_LINE, LineScanner, Section
from galeph.protocol.limits import Limits
from tests.protocol.h1.feeding import byte_by_byte, every_split

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nServer: a\r\nX: a\r\n\t folded\r\n\r\n"
TRAILERS = b"X: 1\r\nY: \xe9\r\n\r\n"
SECTIONS = [(Section.REQUEST, REQUEST), (Section.RESPONSE, RESPONSE), (Section.TRAILERS, TRAILERS)]


def scan(section, pieces, *, limits=None, max_bytes=65536, max_fields=128, base=0):
    """The end that is found in growing bytes, or the refusal."""
    limits = limits or Limits()
    scanner = LineScanner(section, limits, max_bytes, max_fields)
    buffer = b"#" * base
    try:
        for piece in pieces:
            buffer += piece
            end = scanner.find_end(buffer, base)
            if end >= 0:
                return end - base
    except RemoteProtocolError as error:
        return error.status_hint, error.case
    return -1


def scan_in_every_way(section, data, **options):
    whole = scan(section, [data], **options)
    for pieces in (byte_by_byte(data), *every_split(data)):
        assert whole == scan(section, pieces, **options), pieces
    return whole


class TestEnd:
    @pytest.mark.parametrize(("section", "data"), SECTIONS)
    def test_is_behind_the_blank_line(self, section, data):
        """However the bytes come."""
        assert scan_in_every_way(section, data) == len(data)

    @pytest.mark.parametrize(("section", "data"), SECTIONS)
    @pytest.mark.parametrize("trailing", [b"x", b"\r\n\r\n", b"\n", b"GET / HTTP/1.1\r\n\r\n"])
    def test_does_not_depend_on_what_follows(self, section, data, trailing):
        """Bytes behind the blank line are not looked at."""
        assert scan(section, [data + trailing]) == len(data)

    @pytest.mark.parametrize(("section", "data"), SECTIONS)
    def test_has_not_come_before_the_last_byte(self, section, data):
        """Every prefix needs more."""
        for at in range(len(data)):
            assert scan(section, byte_by_byte(data[:at])) == -1

    @pytest.mark.parametrize(("section", "data"), SECTIONS)
    def test_is_found_behind_a_base(self, section, data):
        """A trailer section stands behind chunks in the same bytes."""
        assert scan_in_every_way(section, data, base=7) == len(data)

    def test_of_empty_trailers_is_at_once(self):
        """A blank line alone ends them."""
        assert scan_in_every_way(Section.TRAILERS, b"\r\n") == 2


class TestStartLine:
    @pytest.mark.parametrize(
        "line",
        [
            b"GET / HTTP/1.1", b"get / HTTP/1.0", b"!#$%&'*+-.^_`|~09az / HTTP/1.1",
            b"GET !~ HTTP/1.1", b"G / HTTP/1.1",
        ],
    )  # fmt: skip
    def test_of_a_request_is_method_target_and_version(self, line):
        """RFC 9112 section 3, with one space between."""
        assert REQUEST_LINE(line)
        assert scan(Section.REQUEST, [line + b"\r\n\r\n"]) == len(line) + 4

    @pytest.mark.parametrize(
        "line",
        [
            b"", b" ", b"GET", b"GET /", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET / HTTP/1.1 ",
            b" GET / HTTP/1.1", b"\tGET / HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1",
            b"GET\x0b/ HTTP/1.1", b"GET\x0c/ HTTP/1.1", b"GET / / HTTP/1.1", b"GE(T / HTTP/1.1",
            b"GET /\x00 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET /\xe9 HTTP/1.1",
            b"G\xc3\x9fT / HTTP/1.1", b"GET / HTTP/1.1x", b"GET / http/1.1", b"GET / HTTP/1.",
            b"GET / HTTP/11", b"GET / HTTP/1.10", b"GET / HTTP/1.1\x00", b"GET / HTTP/\xd9\xa1.1",
            b"/ HTTP/1.1", b"GET HTTP/1.1", b": x", b"Host: a",
        ],
    )  # fmt: skip
    def test_of_a_request_is_nothing_else(self, line):
        """400, whatever is wrong with it, and however it comes."""
        assert scan_in_every_way(Section.REQUEST, line + b"\r\n\r\n") == (400, "request-line")

    @pytest.mark.parametrize("version", [b"2.0", b"0.9", b"3.0", b"1.2", b"9.9"])
    def test_of_a_request_has_a_version_we_speak(self, version):
        """505 as soon as the line is complete, before anything behind it is looked at."""
        data = b"GET / HTTP/" + version + b"\r\nbad line\n"

        assert scan_in_every_way(Section.REQUEST, data) == (505, "version")

    @pytest.mark.parametrize(
        "line",
        [
            b"HTTP/1.1 200 OK", b"HTTP/1.0 999 ", b"HTTP/1.1 100 \xe9\t ", b"HTTP/1.1 204",
        ],
    )  # fmt: skip
    def test_of_a_response_is_version_status_and_reason(self, line):
        """RFC 9112 section 4; the last space may be missing."""
        assert STATUS_LINE(line)
        assert scan_in_every_way(Section.RESPONSE, line + b"\r\n\r\n") == len(line) + 4

    @pytest.mark.parametrize(
        "line",
        [
            b"", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 99", b"HTTP/1.1 099 x", b"HTTP/1.1 1000",
            b"HTTP/1.1 2OO OK", b"HTTP/1.1200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 200OK",
            b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"http/1.1 200 OK", b" HTTP/1.1 200 OK",
            b"HTTP/1.1 -20 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 200 \x00", b"HTTP/1.1 200 a\x7f",
            b"<html>", b"ICY 200 OK", b"HTTP/1.1\t200 OK",
        ],
    )  # fmt: skip
    def test_of_a_response_is_nothing_else(self, line):
        """Also not an answer in HTTP/0.9."""
        assert scan_in_every_way(Section.RESPONSE, line + b"\r\n\r\n") == (400, "status-line")

    @pytest.mark.parametrize(
        ("section", "data", "case"),
        [
            (Section.REQUEST, b"\x16\x03\x01", "request-line"),
            (Section.REQUEST, b"\r", "request-line"),
            (Section.REQUEST, b" ", "request-line"),
            (Section.RESPONSE, b"SSH-2.0", "status-line"),
            (Section.RESPONSE, b"HTTP/2", "status-line"),
            (Section.RESPONSE, b"HTTQ", "status-line"),
        ],
    )
    def test_is_refused_at_the_first_wrong_byte(self, section, data, case):
        """What is not HTTP is answered before it says more."""
        assert scan_in_every_way(section, data) == (400, case)


def head(line):
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n"


class TestFieldLines:
    @pytest.mark.parametrize(
        "line",
        [b"X:", b"X:a", b"X: a", b"X:\ta\t ", b"X: \x80\xff", b"!#$%&'*+-.^_`|~09Az:", b"X::"],
    )
    def test_are_a_token_a_colon_and_a_value(self, line):
        """RFC 9112 section 5, obs-text included."""
        assert scan_in_every_way(Section.REQUEST, head(line)) == len(head(line))
        assert scan_in_every_way(Section.TRAILERS, line + b"\r\n\r\n") == len(line) + 4

    @pytest.mark.parametrize(
        ("line", "case"),
        [
            (b"Te", "field-without-colon"),
            (b"Content-Length 10", "field-without-colon"),
            (b"\xe9", "field-without-colon"),
            (b"X : 3", "field-name"),
            (b"X\t: 3", "field-name"),
            (b": x", "field-name"),
            (b":", "field-name"),
            *[(b"X%c: y" % char, "field-name") for char in b'\0"(),/;<=>?@[]{}\\\x7f\x80\xff\x0b'],
            (b" X: y", "folded-line"),
            (b"\tX: y", "folded-line"),
            (b" ", "folded-line"),
            *[
                (b"X: a%cb" % char, "field-value")
                for char in range(32)
                if char not in b"\t\n\r"
            ],
            (b"X: \x7f", "field-value"),
            (b"X:\x00", "field-value"),
            (b"X: a\nb", "bare-line-end"),
            (b"X: a\rb", "bare-line-end"),
            (b"X: a\r", "bare-line-end"),
            (b"X: a\n", "bare-line-end"),
            (b"\n", "bare-line-end"),
            (b"X\n: a", "bare-line-end"),
            (b"Trans\r\nfer", "field-without-colon"),
        ],
    )  # fmt: skip
    def test_are_nothing_else(self, line, case):
        """400 with the case that names what is wrong, in heads and in trailers."""
        assert scan_in_every_way(Section.REQUEST, head(line)) == (400, case)
        if line:
            assert scan_in_every_way(Section.TRAILERS, line + b"\r\n\r\n") == (400, case)

    def test_are_judged_as_soon_as_they_are_complete(self):
        """A peer that then waits for an answer gets one."""
        assert scan(Section.REQUEST, [b"GET / HTTP/1.1\r\nbad\r\n"]) == (400, "field-without-colon")
        assert scan(Section.REQUEST, [b"GET / HTTP/1.1\nHost: a\n\n"]) == (400, "bare-line-end")

    def test_may_be_folded_in_a_response(self):
        """RFC 9112 section 5.2: a user agent has to put up with it."""
        data = b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc: d\r\n \r\nY: b\r\n\r\n"

        assert scan_in_every_way(Section.RESPONSE, data) == len(data)

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n \x00\r\n\r\n",
        ],
    )
    def test_must_not_be_folded_where_it_decides(self, data):
        """Neither first, nor with a control character, nor in the fields that frame the body."""
        assert scan_in_every_way(Section.RESPONSE, data) == (400, "folded-line")


LIMITS = Limits(max_line_bytes=40, max_header_bytes=20)


class TestLimits:
    @pytest.mark.parametrize(("size", "expected"), [(40, 44), (41, (414, "line-too-long"))])
    def test_hold_for_the_first_line(self, size, expected):
        """n passes, n + 1 does not; its line end does not count."""
        line = b"GET /".ljust(size - 9, b"a") + b" HTTP/1.1"

        assert scan_in_every_way(Section.REQUEST, line + b"\r\n\r\n", limits=LIMITS) == expected

    @pytest.mark.parametrize("end", [b"", b"\r", b"\n", b"\x00", b" "])
    def test_hold_for_a_first_line_without_end(self, end):
        """It is refused when it cannot become short enough, whatever follows."""
        assert scan_in_every_way(Section.REQUEST, b"G" * 41 + end, limits=LIMITS) == (
            414, "line-too-long",
        )  # fmt: skip
        assert scan(Section.REQUEST, byte_by_byte(b"G" * 40 + b"\r"), limits=LIMITS) == -1

    @pytest.mark.parametrize("section", [Section.REQUEST, Section.TRAILERS])
    @pytest.mark.parametrize(("size", "is_good"), [(20, True), (21, False)])
    def test_hold_for_a_field_line(self, section, size, is_good):
        """n passes, n + 1 does not."""
        start = b"" if section is Section.TRAILERS else b"GET / HTTP/1.1\r\n"
        data = start + b"X: 1\r\nX:".ljust(size + 6, b"a") + b"\r\n\r\n"
        expected = len(data) if is_good else (431, "field-too-long")

        assert scan_in_every_way(section, data, limits=LIMITS) == expected

    @pytest.mark.parametrize(("count", "is_good"), [(3, True), (4, False)])
    def test_hold_for_the_number_of_fields(self, count, is_good):
        """n pass, n + 1 do not: refused with the line that is too many."""
        data = b"X: 1\r\n" * count
        end = data + b"\r\n"
        expected = len(end) if is_good else (431, "too-many-fields")

        assert scan_in_every_way(Section.TRAILERS, end, max_fields=3) == expected
        assert scan(Section.TRAILERS, [data], max_fields=3) == (-1 if is_good else expected)

    def test_do_not_count_folded_lines_as_fields(self):
        """They continue one."""
        data = b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n 3\r\n\r\n"

        assert scan_in_every_way(Section.RESPONSE, data, max_fields=1) == len(data)

    @pytest.mark.parametrize(("room", "is_good"), [(28, True), (27, False)])
    def test_hold_for_all_lines_together(self, room, is_good):
        """The bytes up to the end of the last field line count, line ends between included."""
        data = b"GET / HTTP/1.1\r\nX: 1\r\nY: 2 3\r\n\r\n"
        assert data.index(b"\r\n\r\n") == 28
        expected = len(data) if is_good else (431, "head-too-large")

        assert scan_in_every_way(Section.REQUEST, data, max_bytes=room) == expected

    def test_hold_for_lines_without_end(self):
        """Endless fields are refused when the room is used up, not at some blank line."""
        data = b"X: 1\r\n" * 100

        assert scan_in_every_way(Section.TRAILERS, data, max_bytes=64) == (431, "head-too-large")

    def test_leave_no_room_for_fields(self):
        """A head may use up all of it; a field then is too much, the blank line is not."""
        assert scan_in_every_way(Section.TRAILERS, b"\r\n", max_bytes=0) == 2
        assert scan_in_every_way(Section.TRAILERS, b"X:", max_bytes=0) == (431, "head-too-large")

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\r\nX: " + b"a" * 10 + b"\n" + b"b" * 30 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"a" * 30 + b"\n" + b"b" * 30 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a" * 21 + b"\r\n\r\n",
            b"GET /" + b"a" * 50 + b"\n\r\n\r\n",
            b"GET /\n" + b"a" * 50 + b"\r\n\r\n",
            b"\x00" * 50 + b"\r\n\r\n",
            b"GET / HTTP/3.0\r\n" + b"a" * 50 + b"\r\n\r\n",
        ],
    )
    def test_and_bad_bytes_are_met_in_order(self, data):
        """What is wrong twice is refused for what comes first, however it was cut."""
        assert isinstance(scan_in_every_way(Section.REQUEST, data, limits=LIMITS), tuple)


class TestCost:
    def test_of_dribbled_lines_is_linear(self):
        """64 KiB byte by byte: four times the lines take about four times as long."""

        def seconds(lines):
            pieces = byte_by_byte(b"X: 0123456789\r\n" * lines)
            scanner = LineScanner(Section.TRAILERS, Limits(), 65536, 10_000)
            buffer = b"".join(pieces)
            prefixes = [buffer[:at] for at in range(0, len(buffer), 7)]
            start = time.process_time()
            for prefix in prefixes:
                scanner.find_end(prefix)
            return time.process_time() - start

        quarter = min(seconds(250) for _ in range(3))
        assert min(seconds(1000) for _ in range(3)) < 10 * max(quarter, 1e-3)
