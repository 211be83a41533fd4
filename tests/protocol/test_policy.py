"""The house policy: what a parsed message must be, before any bytes."""

import pytest

from galeph.errors import RemoteProtocolError
from galeph.message.headers import Headers
from galeph.protocol import policy
from galeph.protocol.policy import (
    CHUNKED,
    LENGTH,
    NO_BODY,
    UNTIL_CLOSE,
    Framing,
    is_authority,
    is_trailer_allowed,
    judge_request,
    judge_response,
    judge_trailers,
    refuse,
    wants_keep_alive,
)

HOST = ("Host", "a")


def judge(*fields, method="GET", target="/", version="HTTP/1.1", limit=1000):
    return judge_request(method, target, version, Headers(fields), limit)


def attack(number, *values):
    """A row of parameters that proves the answer to one attack."""
    return pytest.param(*values, marks=pytest.mark.attack(number))


def refusal(call, *args, **kwargs):
    """The status and case a call refuses with."""
    with pytest.raises(RemoteProtocolError) as caught:
        call(*args, **kwargs)
    return caught.value.status_hint, caught.value.case


class TestRefuse:
    def test_says_status_case_and_reason(self):
        """A driver answers with the status, logs the case, and shows nobody the text."""
        with pytest.raises(RemoteProtocolError, match="too bad") as caught:
            refuse("bad", "too bad", 418)

        assert (418, "bad") == (caught.value.status_hint, caught.value.case)


class TestHost:
    def test_is_the_authority(self):
        """Of a target in origin form."""
        request, _ = judge(("Host", "example.com:8080"))

        assert request.authority == "example.com:8080"
        assert request.scheme is None

    @pytest.mark.attack(21)
    def test_must_be_there(self):
        """RFC 9112 section 3.2: in HTTP/1.1, exactly once."""
        assert refusal(judge) == (400, "host-missing")

    def test_may_be_missing_in_1_0(self):
        """It did not exist then."""
        request, _ = judge(version="HTTP/1.0")

        assert request.authority == ""

    @pytest.mark.attack(22)
    @pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
    @pytest.mark.parametrize("second", [("Host", "a"), ("host", "b"), ("HOST", "")])
    def test_must_not_be_repeated(self, version, second):
        """Equal or not, in any case, in any version."""
        assert refusal(judge, HOST, second, version=version) == (400, "host-repeated")

    @pytest.mark.parametrize(
        "host",
        [
            "a", "A.example", "a-b_c.d", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:65535",
            "[2001:db8::192.0.2.1]:1", "a:", "a:0", "xn--bcher-kva.example", "a%20b", "a.",
        ],
    )  # fmt: skip
    def test_may_be_a_name_or_an_address_with_or_without_port(self, host):
        """RFC 3986 section 3.2.2."""
        assert is_authority(host)
        request, _ = judge(("Host", host))
        assert request.authority == host

    @pytest.mark.attack(23)
    @pytest.mark.parametrize(
        "host",
        [
            "", "a/b", "u@a", "u:p@a", "a b", "a,b", "a, a", "a:65536", "a:123456", "a:x", "a:-1",
            "a:80:80", ":80", "[::1", "::1", "[::1]x", "[:::]", "[g::]", "[::1%25eth0]", "[]",
            "a?b", "a#b", "a\\b", "a<b", '"a"', "a%2", "a%zz", "\xe9", "a\xa0", "a\tb", "[a]", "^",
            "http://a", "a\x85",
        ],
    )  # fmt: skip
    def test_must_not_be_anything_else(self, host):
        """Nothing in it may be read as a user, a path, a list or another host."""
        assert not is_authority(host)
        assert refusal(judge, ("Host", host)) == (400, "host-bad")

    def test_is_remembered_up_to_a_bound(self, monkeypatch):
        """Known hosts are not matched again; a peer's endless new ones pin nothing."""
        known = set()
        monkeypatch.setattr(policy, "_CACHE_HOSTS", known)
        for number in range(3000):
            judge(("Host", f"a{number}"))
        assert len(known) <= 1024
        judge(("Host", "b" * 260))
        judge(("Host", "b" * 261))

        assert 260 == max(map(len, known))


class TestTarget:
    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", "/"), ("GET", "/a?b"), ("GET", "//evil.com/x"), ("GET", "/%2e%2e/"),
            ("GET", "/a//b"), ("GET", "/."), ("OPTIONS", "*"), ("GET", "/?"), ("GET", "/*"),
            ("FOO", "/http://x/"), ("GET", '/"<>\\^`{|}'),
        ],
    )  # fmt: skip
    def test_is_passed_raw(self, method, target):
        """Neither decoded nor normalized, and never read as relative to a scheme."""
        request, _ = judge(HOST, method=method, target=target)

        assert (method, target, "a") == (request.method, request.target, request.authority)

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("http://b", ("http", "b", "/")),
            ("http://b/", ("http", "b", "/")),
            ("HTTPS://b:8/x?y", ("https", "b:8", "/x?y")),
            ("http://b?y", ("http", "b", "/?y")),
            ("http://[::1]/x", ("http", "[::1]", "/x")),
        ],
    )
    def test_in_absolute_form_is_split(self, target, expected):
        """RFC 9112 section 3.2.2."""
        request, _ = judge(HOST, target=target)

        assert expected == (request.scheme, request.authority, request.target)

    def test_in_absolute_form_without_path_means_the_server_for_options(self):
        """RFC 9110 section 9.3.7: the last proxy turns it into an asterisk."""
        request, _ = judge(HOST, method="OPTIONS", target="http://b")

        assert (request.target, request.authority) == ("*", "b")

    @pytest.mark.attack(14)
    def test_wins_over_host(self):
        """The handler never sees two hosts (RFC 9112 section 3.2.2)."""
        request, _ = judge(("Host", "y"), target="http://x/")

        assert request.authority == "x"
        assert request.headers.get_all("Host") == ["x"]

    @pytest.mark.parametrize("target", ["a:443", "[::1]:443", "127.0.0.1:80"])
    def test_of_connect_is_an_authority(self, target):
        """RFC 9112 section 3.2.3; it replaces Host too."""
        request, framing = judge(("Host", "y"), method="CONNECT", target=target)

        assert (target, target) == (request.target, request.authority)
        assert request.headers["host"] == target
        assert framing.kind == NO_BODY

    @pytest.mark.attack(9)
    @pytest.mark.parametrize(
        ("method", "target"),
        [("GET", "*"), ("OPTIONS", "*/test"), ("OPTIONS", "**"), ("CONNECT", "*"), ("POST", "*")],
    )
    def test_must_not_be_an_asterisk_but_for_options(self, method, target):
        """RFC 9112 section 3.2.4."""
        assert refusal(judge, HOST, method=method, target=target) == (400, "target-form")

    @pytest.mark.attack(10)
    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", "host:443"), ("CONNECT", "/"), ("CONNECT", "http://h:80"), ("CONNECT", "host"),
            ("CONNECT", "host:"), ("CONNECT", "u@h:80"), ("CONNECT", "h:80/"), ("CONNECT", ":80"),
            ("GET", "h"), ("POST", "[::1]:80"),
        ],
    )  # fmt: skip
    def test_must_not_be_an_authority_but_for_connect(self, method, target):
        """RFC 9112 section 3.2.3, with the port that CONNECT must name."""
        assert refusal(judge, HOST, method=method, target=target) == (400, "target-form")

    @pytest.mark.attack(11)
    @pytest.mark.parametrize("target", ["admin/a", "../../etc/passwd", "!", "?x", ".", "%2f", "a"])
    def test_must_not_be_relative(self, target):
        """There is nothing it could be relative to."""
        assert refusal(judge, HOST, target=target) == (400, "target-form")

    @pytest.mark.attack(13)
    @pytest.mark.parametrize("target", ["/a#b", "/#", "#", "http://a/#b", "http://a#b", "/a?b#c"])
    def test_must_not_have_a_fragment(self, target):
        """Fragments are not sent; parsers that cut them off disagree with those that do not."""
        assert refusal(judge, HOST, target=target) == (400, "target-form")

    @pytest.mark.attack(15)
    @pytest.mark.parametrize(
        ("target", "case"),
        [
            ("s://]ufd/:", "target-form"), ("ftp://a/", "target-form"), ("http:/a", "target-form"),
            ("http:///a", "target-form"), ("http://", "target-form"), ("http:a", "target-form"),
            ("http://[::1/", "host-bad"), ("http://a:x/", "host-bad"), ("http://u@a/", "host-bad"),
            ("http://a:99999/", "host-bad"), ("http://a\\@b/", "host-bad"),
            ("http://a,b/", "host-bad"), ("javascript://a/", "target-form"),
            ("httpx://a/", "target-form"),
        ],
    )  # fmt: skip
    def test_in_absolute_form_must_be_a_good_http_url(self, target, case):
        """Scheme, host and port, and no user."""
        assert refusal(judge, HOST, target=target) == (400, case)


class TestRequestFraming:
    def test_is_none_without_fields(self):
        """RFC 9112 section 6.3, rule 7: a request that says nothing has no body."""
        request, framing = judge(HOST, method="POST")

        assert framing == Framing(NO_BODY)
        assert request.end_stream is True
        assert request.content_length is None

    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST", "FOO"])
    def test_is_the_same_for_every_method(self, method):
        """A GET may have a body, whatever it means."""
        request, framing = judge(HOST, ("Content-Length", "5"), method=method)

        assert framing == Framing(LENGTH, 5)
        assert request.end_stream is False
        assert request.content_length == 5

    @pytest.mark.parametrize("value", ["chunked", "Chunked", "CHUNKED", "\tchunked".strip()])
    def test_is_chunked_in_any_case(self, value):
        """RFC 9112 section 7: coding names have no case."""
        request, framing = judge(HOST, ("Transfer-Encoding", value))

        assert framing == Framing(CHUNKED)
        assert (request.end_stream, request.content_length) == (False, None)

    def test_of_length_0_is_no_body(self):
        """But the length was declared."""
        request, framing = judge(HOST, ("Content-Length", "0"))

        assert framing.kind == NO_BODY
        assert (request.end_stream, request.content_length) == (True, 0)

    @pytest.mark.attack(49)
    @pytest.mark.parametrize("value", ["0010", "010", "10", "0000000000000000010"])
    def test_reads_lengths_as_decimal(self, value):
        """Never octal."""
        _, framing = judge(HOST, ("Content-Length", value))

        assert framing == Framing(LENGTH, 10)

    @pytest.mark.attack(44)
    @pytest.mark.parametrize("coding", ["chunked", "identity", "", "x"])
    @pytest.mark.parametrize("order", [1, -1])
    @pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
    def test_must_not_be_said_twice(self, coding, order, version):
        """Content-Length and Transfer-Encoding, in any order, whatever they say."""
        fields = [("Content-Length", "5"), ("Transfer-Encoding", coding)][::order]

        assert refusal(judge, HOST, *fields, version=version) == (400, "length-and-coding")

    @pytest.mark.attack(45, 46)
    @pytest.mark.parametrize("second", ["5", "6", "05", "", "x"])
    def test_must_not_repeat_content_length(self, second):
        """Equal or not."""
        fields = [("Content-Length", "5"), ("content-length", second)]

        assert refusal(judge, HOST, *fields) == (400, "length-repeated")

    @pytest.mark.attack(46, 47, 48)
    @pytest.mark.parametrize(
        "value",
        [
            "5, 5", "5,5", "5,", ",5", "5, 6", "+5", "-1", "-0", "0x10", "1_0", "1Z", "0 1", "3 1",
            "", "5.0", "5e0", "1e3", "five", "''", '"5"', "5;", "0b1", "\xb2", "\xb9", "5\xa0",
            "\xa05", "\x855", "5\tx", "5 \t 5",
        ],
    )  # fmt: skip
    def test_must_be_digits_and_nothing_else(self, value):
        """What int() or \\d would take besides is what others read differently."""
        assert refusal(judge, HOST, ("Content-Length", value)) == (400, "length-bad")

    @pytest.mark.attack(48)
    def test_must_be_ascii_digits(self):
        """Arabic-Indic digits are digits to Python (they cannot even come in latin-1)."""
        headers = Headers({"Host": "a"})
        headers._own().append(("Content-Length", "\u0665"))
        headers._index["content-length"] = "\u0665"

        assert refusal(judge_request, "GET", "/", "HTTP/1.1", headers, None) == (400, "length-bad")

    @pytest.mark.attack(50)
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (str(2**63), (413, "body-too-large")),
            ("9" * 19, (413, "body-too-large")),
            (str(2**64), (400, "length-bad")),
            ("9" * 5000, (400, "length-bad")),
            ("0" * 5000, (400, "length-bad")),
            ("0" * 20, (400, "length-bad")),
        ],
    )
    def test_must_be_a_number_of_at_most_19_digits(self, value, expected):
        """int() of 5000 digits raises another error than anybody expects."""
        assert expected == refusal(judge, HOST, ("Content-Length", value))

    def test_is_bounded_exactly(self):
        """The limit itself is good, one more is not; None is no limit."""
        _, framing = judge(HOST, ("Content-Length", "1000"))

        assert framing == Framing(LENGTH, 1000)
        assert refusal(judge, HOST, ("Content-Length", "1001")) == (413, "body-too-large")
        assert judge(HOST, ("Content-Length", "9" * 19), limit=None)[1].length == int("9" * 19)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            attack(51, "xchunked", (501, "coding-unknown")),
            attack(51, "chunkedchunked", (501, "coding-unknown")),
            attack(51, "identity", (501, "coding-unknown")),
            attack(51, '"chunked"', (501, "coding-unknown")),
            attack(51, "chunk", (501, "coding-unknown")),
            attack(51, "cow", (501, "coding-unknown")),
            attack(51, "chunked;a=b", (501, "coding-unknown")),
            pytest.param(
                "chunked, identity", (400, "coding-not-last"), marks=pytest.mark.attack(52)
            ),
            attack(52, "chunked, gzip", (400, "coding-not-last")),
            pytest.param(
                "chunked, chunked", (400, "coding-repeated"), marks=pytest.mark.attack(53)
            ),
            attack(54, ",chunked", (400, "coding-empty-member")),
            attack(54, "chunked,", (400, "coding-empty-member")),
            attack(54, "", (400, "coding-empty-member")),
            attack(55, "gzip, chunked", (501, "coding-unknown")),
            pytest.param(
                "identity, chunked", (501, "coding-unknown"), marks=pytest.mark.attack(55)
            ),
            attack(32, "\xa0chunked\xa0", (501, "coding-unknown")),
            attack(32, "\x85chunked", (501, "coding-unknown")),
            attack(32, "\xffchunked", (501, "coding-unknown")),
        ],
    )
    def test_takes_no_coding_but_chunked(self, value, expected):
        """Unknown is 501, chunked in the wrong place or an empty member 400."""
        assert expected == refusal(judge, HOST, ("Transfer-Encoding", value))

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            attack(53, ["chunked", "chunked"], (400, "coding-repeated")),
            attack(52, ["chunked", "identity"], (400, "coding-not-last")),
            attack(54, ["chunked", ""], (400, "coding-empty-member")),
            attack(51, ["identity", "chunked"], (501, "coding-unknown")),
        ],
    )  # fmt: skip
    def test_reads_several_lines_as_one_list(self, lines, expected):
        """RFC 9110 section 5.3."""
        fields = [("Transfer-Encoding", line) for line in lines]

        assert expected == refusal(judge, HOST, *fields)

    @pytest.mark.attack(56)
    @pytest.mark.parametrize("value", ["chunked", "gzip", ""])
    def test_has_no_codings_in_1_0(self, value):
        """RFC 9112 section 6.1: treat the framing as faulty."""
        fields = [("Transfer-Encoding", value)]

        assert refusal(judge, *fields, version="HTTP/1.0") == (400, "coding-in-1.0")

    @pytest.mark.parametrize("fields", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    def test_of_connect_is_none(self, fields):
        """What follows CONNECT is the tunnel's: it must not be readable as a body too."""
        answer = refusal(judge, HOST, fields, method="CONNECT", target="a:1")

        assert answer == (400, "connect-body")

    def test_of_connect_may_say_that_it_is_none(self):
        """A length of 0 is harmless."""
        _, framing = judge(HOST, ("Content-Length", "0"), method="CONNECT", target="a:1")

        assert framing.kind == NO_BODY

    @pytest.mark.parametrize("name", ["Transfer_Encoding", "Content_Length", "Transfer-Encodings"])
    def test_is_not_said_by_names_that_only_look_alike(self, name):
        """An underscore is a token character, and another name."""
        _, framing = judge(HOST, (name, "chunked"))

        assert framing.kind == NO_BODY

    @pytest.mark.attack(41)
    def test_is_not_undone_by_connection(self):
        """No option of Connection strips a field that frames or routes."""
        request, framing = judge(
            HOST, ("Connection", "content-length, host, transfer-encoding"), ("Content-Length", "5")
        )

        assert framing == Framing(LENGTH, 5)
        assert request.authority == "a"
        assert request.headers["Content-Length"] == "5"


class TestSingletons:
    NAMES = [
        "Authorization", "Content-Type", "From", "If-Match", "If-Modified-Since", "If-None-Match",
        "If-Range", "If-Unmodified-Since", "Max-Forwards", "Proxy-Authorization", "Range",
        "Referer", "Upgrade", "User-Agent",
    ]  # fmt: skip

    @pytest.mark.attack(40)
    @pytest.mark.parametrize("name", NAMES)
    def test_must_not_be_repeated_in_a_request(self, name):
        """Equal or not: two readers would take different ones."""
        for first, second in (("x", "x"), ("x", "y"), ("100-continue", "100-continue")):
            answer = refusal(judge, HOST, (name, first), (name.lower(), second))
            assert answer == (400, "field-repeated")

    @pytest.mark.parametrize("name", ["Accept", "Cookie", "X-Any", "Via", "Cache-Control"])
    def test_do_not_hold_back_lists(self, name):
        """What may be repeated may be repeated."""
        request, _ = judge(HOST, (name, "x"), (name, "y"))

        assert request.headers.get_all(name) == ["x", "y"]

    @pytest.mark.attack(40)
    @pytest.mark.parametrize("name", NAMES)
    def test_are_tolerated_in_a_response(self, name):
        """Too many servers repeat them; nothing is framed or routed by them there."""
        headers = Headers([(name, "x"), (name, "y")])

        assert judge_response("GET", 200, "HTTP/1.1", headers, None).kind == UNTIL_CLOSE


class TestExpectation:
    BODY = ("Content-Length", "5")

    @pytest.mark.parametrize("value", ["100-continue", "100-Continue", "100-continue,100-continue"])
    def test_is_told(self, value):
        """RFC 9110 section 10.1.1, in any case, however often."""
        assert judge(HOST, self.BODY, ("Expect", value))[0].expects_continue is True

    def test_may_be_repeated(self):
        """It means one 100."""
        fields = [HOST, self.BODY, ("Expect", "100-continue"), ("Expect", "100-Continue")]

        assert judge(*fields)[0].expects_continue is True

    @pytest.mark.parametrize(
        "fields", [(HOST,), (HOST, ("Content-Length", "0"))], ids=["no length", "length 0"]
    )
    def test_means_nothing_without_a_body(self, fields):
        """There is nothing to continue with."""
        assert judge(*fields, ("Expect", "100-continue"))[0].expects_continue is False

    @pytest.mark.parametrize("value", ["100-continue", "x"])
    def test_is_ignored_in_1_0(self, value):
        """RFC 9110 section 10.1.1: a server must."""
        request, _ = judge(self.BODY, ("Expect", value), version="HTTP/1.0")

        assert request.expects_continue is False

    @pytest.mark.attack(110)
    @pytest.mark.parametrize(
        "value",
        ["unknown", "token=param", "y 100-continue", "100-continue, x", "100-continue;a=b", "",
         "100 continue", "\xa0100-continue", "200-ok"],
    )  # fmt: skip
    def test_that_cannot_be_met_is_refused(self, value):
        """417, with or without a body."""
        assert refusal(judge, HOST, self.BODY, ("Expect", value)) == (417, "expectation")
        assert refusal(judge, HOST, ("Expect", value)) == (417, "expectation")

    def test_that_is_two_different_ones_is_refused(self):
        """Expect is a singleton but for the one harmless repetition."""
        fields = [HOST, self.BODY, ("Expect", "100-continue"), ("Expect", "x")]

        assert refusal(judge, *fields) == (400, "field-repeated")


class TestResponseFraming:
    @staticmethod
    def frame(*fields, method="GET", status=200, version="HTTP/1.1", limit=1000):
        return judge_response(method, status, version, Headers(fields), limit)

    @pytest.mark.parametrize("status", [100, 103, 204, 304])
    @pytest.mark.parametrize("field", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    def test_is_none_for_these_statuses(self, status, field):
        """RFC 9112 section 6.3, rule 1, whatever the fields say."""
        assert self.frame(field, status=status) == Framing(NO_BODY)

    @pytest.mark.parametrize("field", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    def test_is_none_for_head(self, field):
        """Rule 1: the fields say what GET would have sent."""
        assert self.frame(field, method="HEAD") == Framing(NO_BODY)

    @pytest.mark.parametrize("field", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
    def test_is_none_for_a_tunnel(self, field):
        """Rule 2: after 2xx to CONNECT the tunnel begins."""
        assert self.frame(field, method="CONNECT") == Framing(NO_BODY)

    @pytest.mark.attack(215)
    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 103)])
    def test_that_contradicts_itself_is_refused_even_where_there_is_none(self, method, status):
        """Two readers may not agree that there is none."""
        fields = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")]
        answer = refusal(self.frame, *fields, method=method, status=status)

        assert answer == (400, "length-and-coding")

    def test_is_not_bounded_where_there_is_none(self):
        """HEAD of a large file is no large body."""
        assert self.frame(("Content-Length", "1001"), method="HEAD") == Framing(NO_BODY)

    def test_is_as_usual_for_a_refused_tunnel(self):
        """A 407 has a body."""
        framing = self.frame(("Content-Length", "5"), method="CONNECT", status=407)

        assert framing == Framing(LENGTH, 5)

    def test_is_told_by_the_fields_or_the_close(self):
        """Rules 4, 6 and 8."""
        assert self.frame(("Transfer-Encoding", "chunked")) == Framing(CHUNKED)
        assert self.frame(("Content-Length", "5")) == Framing(LENGTH, 5)
        assert self.frame(("Content-Length", "0")) == Framing(LENGTH, 0)
        assert self.frame() == Framing(UNTIL_CLOSE)

    @pytest.mark.attack(215)
    @pytest.mark.parametrize(
        ("fields", "version", "case"),
        [
            (["Content-Length: 5", "Transfer-Encoding: chunked"], "1.1", "length-and-coding"),
            (["Content-Length: 5", "Content-Length: 6"], "1.1", "length-repeated"),
            (["Content-Length: 5", "Content-Length: 5"], "1.1", "length-repeated"),
            (["Content-Length: 5, 5"], "1.1", "length-bad"),
            (["Content-Length: x"], "1.1", "length-bad"),
            (["Transfer-Encoding: gzip"], "1.1", "coding-unknown"),
            (["Transfer-Encoding: gzip, chunked"], "1.1", "coding-unknown"),
            (["Transfer-Encoding: chunked, chunked"], "1.1", "coding-repeated"),
            (["Transfer-Encoding: chunked"], "1.0", "coding-in-1.0"),
        ],
    )
    def test_must_be_said_once_and_well(self, fields, version, case):
        """Where two readers could disagree about the end, the answer is not usable."""
        pairs = Headers.from_lines(fields).raw

        assert refusal(self.frame, *pairs, version=f"HTTP/{version}")[1] == case

    def test_is_bounded_exactly(self):
        """The limit itself is good, one more is not."""
        assert self.frame(("Content-Length", "1000")) == Framing(LENGTH, 1000)
        assert refusal(self.frame, ("Content-Length", "1001"))[1] == "body-too-large"


class TestKeepAlive:
    @pytest.mark.attack(43)
    @pytest.mark.parametrize(
        ("values", "in_1_1", "in_1_0"),
        [
            ([], True, False),
            (["keep-alive"], True, True),
            (["Keep-Alive"], True, True),
            (["close"], False, False),
            (["Close"], False, False),
            (["keep-alive, close"], False, False),
            (["close, keep-alive"], False, False),
            (["keep-alive", "close"], False, False),
            (["\tclose"], False, False),
            (["upgrade"], True, False),
            (["Upgrade, Keep-Alive"], True, True),
            (["closed"], True, False),
            (["x-close"], True, False),
            (["", "close"], False, False),
            ([",close,"], False, False),
        ],
    )
    def test_is_decided_by_the_list_in_which_close_wins(self, values, in_1_1, in_1_0):
        """RFC 9112 section 9.3: members, not the whole string; any case; several lines."""
        headers = Headers.from_lines([f"Connection:{value}" for value in values])

        assert wants_keep_alive("HTTP/1.1", headers) is in_1_1
        assert wants_keep_alive("HTTP/1.0", headers) is in_1_0


class TestTrailers:
    REFUSED = [
        "Authorization", "Connection", "Content-Length", "Cookie", "Host", "Proxy-Authorization",
        "Set-Cookie", "Transfer-Encoding", "Upgrade",
    ]  # fmt: skip
    DROPPED = [
        "Age", "Cache-Control", "Content-Encoding", "Content-Range", "Content-Type", "Date",
        "Expect", "Expires", "Location", "Max-Forwards", "Pragma", "Proxy-Authenticate", "Range",
        "Retry-After", "TE", "Trailer", "Vary", "Warning", "WWW-Authenticate",
    ]  # fmt: skip

    @pytest.mark.attack(80)
    @pytest.mark.parametrize("name", REFUSED)
    def test_that_frame_route_or_authenticate_are_refused(self, name):
        """RFC 9110 section 6.5.1; in any case."""
        for spelled in (name, name.upper(), name.lower()):
            answer = refusal(judge_trailers, Headers({"X": "1", spelled: "2"}))
            assert answer == (400, "trailer-forbidden")

        assert not is_trailer_allowed(name)

    @pytest.mark.attack(80)
    @pytest.mark.parametrize("name", DROPPED)
    def test_that_only_a_head_may_have_are_dropped(self, name):
        """The message is good without them."""
        trailers = judge_trailers(Headers([("X", "1"), (name, "2"), (name.lower(), "3")]))

        assert trailers.raw == (("X", "1"),)
        assert not is_trailer_allowed(name)

    @pytest.mark.parametrize("name", ["X-Checksum", "Server-Timing", "ETag", "Digest"])
    def test_of_any_other_name_are_shown(self, name):
        """ETag is explicitly allowed."""
        assert judge_trailers(Headers({name: "1"})) == {name: "1"}
        assert is_trailer_allowed(name)
