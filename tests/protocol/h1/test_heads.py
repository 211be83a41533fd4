"""Heads: the one-pattern path, the slow parse, and h11's verdict."""

import time

import pytest

from galeph.errors import RemoteProtocolError
from galeph.protocol.engine import Role
from galeph.protocol.h1.heads import (
    consult_h11,
    match_request,
    match_response,
    parse_fields,
    parse_request,
    parse_response,
)

BROWSER = (
    b"GET /path?x=1 HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="120", "Not A(Brand";v="24"\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.9\r\nCookie: a=b; c=d\r\nX-Empty:\r\nX-Tab:\ta\t\r\n\r\n"
)


class TestMatchRequest:
    @pytest.mark.parametrize(
        "head",
        [
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            b"!#$%&'*+-.^_`|~09Az !~ HTTP/1.1\r\nA:\r\n\r\n",
            BROWSER,
        ],
    )
    def test_takes_a_plain_head_whole(self, head):
        """To the blank line, whatever follows it."""
        for following in (b"", b"\r\n", b"GET ", b"\x00"):
            assert match_request(head + following).end() == len(head)

    def test_needs_all_of_it(self):
        """No prefix matches."""
        for at in range(len(BROWSER)):
            assert match_request(BROWSER[:at]) is None

    @pytest.mark.parametrize("byte", [*range(9), *range(10, 32), *range(127, 256)])
    def test_leaves_whatever_is_not_plain(self, byte):
        """A control or obs-text byte put in place of any byte is somebody else's to judge."""
        head = b"GET /a HTTP/1.1\r\nHost: a\r\nX-A: bc\r\n\r\n"
        for at in range(len(head)):
            changed = head[:at] + bytes([byte]) + head[at + 1 :]
            assert changed == head or match_request(changed) is None

    @pytest.mark.parametrize("version", [b"1.2", b"2.0", b"0.9", b"1.", b"11", b"1.11"])
    def test_leaves_other_versions(self, version):
        """They get their answer elsewhere."""
        assert match_request(b"GET / HTTP/" + version + b"\r\n\r\n") is None


class TestMatchResponse:
    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.0 999 \r\nA: b\r\n\r\n",
            b"HTTP/1.1 100 a\tb\r\n\r\n",
        ],
    )
    def test_takes_a_plain_head_whole(self, head):
        """To the blank line."""
        assert match_response(head + b"body").end() == len(head)

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 099 x\r\n\r\n", b"HTTP/1.1 200 \xe9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n",
        ],
    )  # fmt: skip
    def test_leaves_whatever_is_not_plain(self, head):
        """Missing spaces, obs-text and folds are for the slow way."""
        assert match_response(head) is None


class TestTime:
    @pytest.mark.attack(38)
    @pytest.mark.parametrize("match", [match_request, match_response])
    @pytest.mark.parametrize(
        "bait",
        [
            b"A: " + b" " * 60_000,
            b"A" * 60_000,
            b"A: \t" * 15_000,
            b"A:\r\n" * 15_000,
            b":" * 60_000,
        ],
    )
    def test_of_a_pattern_is_linear_in_what_it_refuses(self, match, bait):
        """Possessive quantifiers never go back: 64 KiB of bait take milliseconds, twice too."""
        start = b"GET / HTTP/1.1\r\n" if match is match_request else b"HTTP/1.1 200 OK\r\n"

        def seconds(data):
            begin = time.process_time()
            assert match(data) is None
            return time.process_time() - begin

        best = min(seconds(start + bait + b"\x00\r\n\r\n") for _ in range(3))
        assert best < 0.05


class TestParseRequest:
    def test_gives_the_parts(self):
        """Text as it came, obs-text as latin-1."""
        head = b"GET /a HTTP/1.0\r\nHost: a\r\nX: caf\xe9 \r\n\r\n"
        method, target, version, headers = parse_request(head)

        assert ("GET", "/a", "HTTP/1.0") == (method, target, version)
        assert headers.raw == (("Host", "a"), ("X", "caf\xe9"))

    def test_does_not_merge_what_is_repeated(self):
        """h11 would, and so hide a repeated length from the policy."""
        head = b"GET / HTTP/1.1\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\n"

        assert parse_request(head)[3].get_all("content-length") == ["5, 5", "5"]


class TestParseResponse:
    def test_gives_the_parts(self):
        """The reason is latin-1 too."""
        head = b"HTTP/1.0 404 N\xe9ant\r\nX: a\r\n\r\n"
        status, reason, version, headers = parse_response(head)

        assert (404, "N\xe9ant", "HTTP/1.0") == (status, reason, version)
        assert headers.raw == (("X", "a"),)

    def test_takes_a_missing_reason(self):
        """With or without the space before it."""
        assert parse_response(b"HTTP/1.1 200\r\n\r\n")[1] == ""
        assert parse_response(b"HTTP/1.1 200 \r\n\r\n")[1] == ""

    def test_unfolds(self):
        """RFC 9112 section 5.2: a fold becomes a space."""
        head = b"HTTP/1.1 200 OK\r\nX: a \r\n \t b\r\n\tc\r\nY: d\r\n\r\n"

        assert parse_response(head)[3].raw == (("X", "a  b c"), ("Y", "d"))


class TestParseFields:
    def test_gives_headers(self):
        """Of lines that are known to be good."""
        assert parse_fields([b"A: \xe9", b"B:"]).raw == (("A", "\xe9"), ("B", ""))


class TestConsultH11:
    @pytest.mark.parametrize(
        ("role", "head"),
        [
            (Role.SERVER, b"GET / HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n"),
            (Role.CLIENT, b"HTTP/1.1 200\r\nX: \xe9\r\n\r\n"),
            (Role.CLIENT, b"HTTP/1.1 103 \xe9\r\n\r\n"),
        ],
    )
    def test_lets_a_head_pass_that_h11_takes(self, role, head):
        """Nothing is returned: it is a verdict."""
        assert consult_h11(head, role) is None

    @pytest.mark.parametrize(
        ("role", "head", "status"),
        [
            (Role.SERVER, b"GET / HTTP/1.1\r\nX: \xe9\r\n\r\n", 400),
            (Role.SERVER, b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 501),
            (Role.CLIENT, b"HTTP/1.1 2000 OK\r\n\r\n", 400),
        ],
    )
    def test_refuses_what_h11_refuses(self, role, head, status):
        """With the status it hints at."""
        with pytest.raises(RemoteProtocolError) as caught:
            consult_h11(head, role)

        assert (status, "h11") == (caught.value.status_hint, caught.value.case)

    def test_has_no_size_of_its_own(self):
        """Sizes are the limits' business."""
        head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"\xe9" * 60_000 + b"\r\n\r\n"

        assert consult_h11(head, Role.SERVER) is None
