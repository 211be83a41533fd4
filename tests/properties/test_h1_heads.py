"""Generated and mutated heads: the engine against h11 with the policy over it.

Whatever the engine accepts, h11 and the policy accept, and it means the same; whatever they both
accept, the engine does. And the same bytes mean the same however they are cut.
"""

from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from galeph.protocol.events import InterimResponse, Request
from galeph.protocol.policy import CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE
from tests.properties.h1_oracle import (
    Incomplete,
    Refused,
    judge_request_bytes,
    judge_response_bytes,
)
from tests.protocol.h1.feeding import (
    byte_by_byte,
    every_split,
    read_requests,
    read_responses,
)

BUDGET = settings(max_examples=200, deadline=None)

# Heads

_TCHAR = "!#$%&'*+-.^_`|~019azAZ"
_methods = st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "CONNECT", "get", "F-O"]) | st.text(
    _TCHAR, min_size=1, max_size=5
)
_targets = st.sampled_from(
    ["/", "/a?b", "*", "h:80", "http://a/b", "http://a", "//a", "/a#b", "a", "https://[::1]:1?c",
     "http://u@a/", "/\\", "HTTP://a:99999/"],
) | st.text("/:?#@[]!$&'()*+,;=%aZ09-._~\"<>\\^`{|}", min_size=1, max_size=8)  # fmt: skip
_versions = st.sampled_from(["1.1"] * 6 + ["1.0"] * 2 + ["1.2", "2.0", "0.9"])
_hosts = st.sampled_from(["h", "a:80", "[::1]", "", "a b", "u@a", "a,b", "a:x", "é"])
_lengths = st.sampled_from(["0", "5", "05", "5, 5", "+5", "", "9" * 19, "9" * 20, "²", "5 "])
_codings = st.sampled_from(
    [
        "chunked",
        "Chunked",
        "gzip, chunked",
        "chunked, gzip",
        ",chunked",
        "identity",
        "",
        "\xa0chunked",
    ]
)
_framing = st.one_of(
    st.tuples(st.sampled_from(["Content-Length", "content-length"]), _lengths),
    st.tuples(st.sampled_from(["Transfer-Encoding", "TRANSFER-ENCODING"]), _codings),
)
_values = st.text("aZ09 \t,;=\"'/é\xff", max_size=8)
_others = st.one_of(
    st.tuples(st.just("Host"), _hosts),
    st.tuples(
        st.just("Connection"), st.sampled_from(["close", "keep-alive", "Close, x", "upgrade", ""])
    ),
    st.tuples(st.just("Expect"), st.sampled_from(["100-continue", "100-Continue", "x", ""])),
    st.tuples(st.sampled_from(["If-Match", "Upgrade", "Cookie", "Content-Type"]), _values),
    st.tuples(st.text(_TCHAR, min_size=1, max_size=6), _values),
)
_separators = st.sampled_from([": ", ":", ":\t ", ": \t"])
_ends = st.sampled_from(["", "", "", " ", "\t"])
_fields = st.tuples(st.one_of(_others, _others, _framing), _separators, _ends)


def _line(field):
    (name, value), separator, end = field
    return f"{name}{separator}{value}{end}\r\n"


@st.composite
def _request_heads(draw):
    method, target, version = draw(_methods), draw(_targets), draw(_versions)
    host = draw(st.sampled_from(["Host: h\r\n"] * 9 + [""]))
    lines = "".join(_line(field) for field in draw(st.lists(_fields, max_size=4)))
    return f"{method} {target} HTTP/{version}\r\n{host}{lines}\r\n".encode("latin-1")


@st.composite
def _plain_request_heads(draw):
    """Heads of which most are good."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "FOO"]))
    target = draw(st.sampled_from(["/", "/a?b=c", "http://a/b", "//x"]))
    others = st.tuples(st.text(_TCHAR + "-", min_size=2, max_size=6), _values)
    fields = draw(st.lists(st.tuples(others, _separators, _ends), max_size=3))
    framing = draw(st.sampled_from(["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"]))
    lines = "".join(_line(field) for field in fields)
    return f"{method} {target} HTTP/1.1\r\nHost: h\r\n{lines}{framing}\r\n".encode("latin-1")


@st.composite
def _response_heads(draw):
    version = draw(st.sampled_from(["1.1"] * 6 + ["1.0"] * 2 + ["1.2", "2.0"]))
    status = draw(
        st.sampled_from(
            ["200", "204", "304", "100", "103", "404", "599", "999", "099", "20", "2000"]
        )
    )
    reason = draw(st.sampled_from([" OK", " ", "", " N\xe9 \t", "  x"]))
    folds = st.sampled_from(["", "", "", "\r\n x", "\r\n\ty: z", "\r\n "])
    fields = draw(st.lists(st.tuples(_fields, folds), max_size=4))
    lines = "".join(_line(field)[:-2] + fold + "\r\n" for field, fold in fields)
    return f"HTTP/{version} {status}{reason}\r\n{lines}\r\n".encode("latin-1")


# Mutations

_INTERESTING = [*b"\r\n\t :;,/.\x00\x0b\x0c\x1c\x7f\x80\x85\xa0\xff#*@0159aAzZ-_\"'"]
_bytes = st.sampled_from(_INTERESTING) | st.integers(0, 255)
_STRINGS = [
    *(b"\r\n", b"\n", b"\r", b"\r\n ", b"\r\n\r\n", b"chunked", b"HTTP/1.1", b": "),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Host: h\r\n"),
]


@st.composite
def _mutated(draw, heads):
    data = draw(heads)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "splice", "repeat"]))
        if kind == "insert":
            data = data[:at] + bytes([draw(_bytes)]) + data[at:]
        elif kind == "replace":
            data = data[:at] + bytes([draw(_bytes)]) + data[at + 1 :]
        elif kind == "delete":
            data = data[:at] + data[at + draw(st.integers(1, 3)) :]
        elif kind == "splice":
            data = data[:at] + draw(st.sampled_from(_STRINGS)) + data[at:]
        else:
            lines = data.splitlines(keepends=True)
            line = draw(st.integers(0, len(lines))) if lines else 0
            data = b"".join(lines[: line + 1] + lines[line:])
    return data


# Requests


def _framing_of(message):
    head = message.head
    if head.end_stream:
        return NO_BODY, 0
    return (CHUNKED, 0) if head.content_length is None else (LENGTH, head.content_length)


def _check_request(data):
    """Whole, the engine says what the oracle says."""
    reading = read_requests([data])
    first = reading.messages[0] if reading.messages else None
    verdict = _verdict(judge_request_bytes, data)
    if verdict is None or isinstance(verdict, Refused):
        assert first is None, (verdict, data)
        if verdict is not None:
            assert reading.status is not None, (verdict, data)
            assert verdict.status in {None, reading.status}, (verdict, data)
        return
    assert first is not None, (reading, data)
    head = first.head
    assert isinstance(head, Request)
    assert verdict.start == (
        head.method, head.target, head.scheme, head.authority, head.http_version,
        head.expects_continue,
    )  # fmt: skip
    assert verdict.headers == head.headers.raw
    assert (verdict.framing, verdict.length) == _framing_of(first)


def _verdict(judge, *args):
    """What the oracle says: a verdict, a refusal, or None where the end has not come."""
    try:
        return judge(*args)[0]
    except Refused as refusal:
        return refusal
    except Incomplete:
        return None


def _check_cuts(read, data):
    """However they are cut, the same bytes say the same."""
    expected = read([data]).settled()
    for pieces in (byte_by_byte(data), *every_split(data)):
        assert expected == read(pieces).settled(), pieces


class TestRequests:
    @BUDGET
    @given(_request_heads())
    @example(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xe9\r\nContent-Length: 5, 5\r\n\r\n")
    @example(
        b"GET / HTTP/1.1\r\nHost: h\r\nX: \xe9\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"
    )
    @example(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xe9\r\nTransfer-Encoding: chunked, gzip\r\n\r\n")
    def test_generated_mean_what_the_oracle_says(self, data):
        """Heads of which any part may be wrong."""
        _check_request(data)

    @BUDGET
    @given(_plain_request_heads())
    def test_good_are_accepted(self, data):
        """A parser that refuses everything would pass the rest of this file."""
        reading = read_requests([data])

        assert len(reading.messages) == 1
        _check_request(data)

    @BUDGET
    @given(_mutated(_plain_request_heads()) | _mutated(_request_heads()))
    def test_mutated_mean_what_the_oracle_says(self, data):
        """Good heads and bad ones with a few bytes changed."""
        _check_request(data)

    @settings(BUDGET, max_examples=100)
    @given(st.one_of(_request_heads(), _plain_request_heads(), _mutated(_plain_request_heads())))
    def test_mean_the_same_however_cut(self, data):
        """Whole, byte by byte, at every split."""
        _check_cuts(read_requests, data)

    @settings(BUDGET, max_examples=100)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["GET /", "GET /b", "HEAD /", "OPTIONS *", "CONNECT a:1", "G /#"]),
                st.sampled_from(["1.1", "1.1", "1.1", "1.0", "1.2"]),
                st.sampled_from(
                    ["Host: h\r\n", "Host: h\r\n", "Host: h\r\nX: y\r\n", "",
                     "Host: h\r\nContent-Length: 0\r\n", "Host: h\r\nConnection: close\r\n",
                     "Host: h\r\nX: \xe9\r\n", "Host: h\r\nExpect: 100-continue\r\n",
                     "Host: h\r\nConnection: keep-alive\r\n"]
                ),
                st.sampled_from(["", "", "\r\n"]),
            ),
            min_size=2,
            max_size=6,
        )
    )  # fmt: skip
    def test_on_one_connection_mean_what_they_mean_alone(self, requests):
        """Nothing that was understood before colors what comes after."""
        heads = [
            f"{empty}{start} HTTP/{version}\r\n{fields}\r\n".encode("latin-1")
            for start, version, fields, empty in requests
        ]
        together = read_requests([b"".join(heads)])
        apart = read_requests(heads)
        messages, ending = [], "need"
        for head in heads:
            alone = read_requests([head])
            messages += alone.messages
            ending = alone.ending
            if ending != "need":
                break

        for reading in (together, apart):
            assert messages == reading.messages
            assert ending == reading.ending


# Responses


def _check_response(data, method):
    reading = read_responses([data], methods=[method])
    first = reading.messages[0] if reading.messages else None
    verdict = _verdict(judge_response_bytes, data, method)
    if verdict is None or isinstance(verdict, Refused):
        assert first is None, (verdict, data)
        if verdict is not None:
            assert reading.status == 502, (verdict, data)
        return
    if verdict.start == (InterimResponse, 101):
        assert reading.case == "upgrade-unasked"
        return
    assert first is not None, (reading, data)
    head = first.head
    assert verdict.headers == head.headers.raw
    if isinstance(head, InterimResponse):
        assert verdict.start == (InterimResponse, head.status)
        return
    assert verdict.start == (head.status, head.reason, head.http_version)
    if head.content_length is not None:
        assert (verdict.framing, verdict.length) == (LENGTH, head.content_length)
    elif head.end_stream:
        assert verdict.framing == NO_BODY
    else:
        assert verdict.framing in {CHUNKED, UNTIL_CLOSE}
        assert (verdict.framing == CHUNKED) is ("Transfer-Encoding" in head.headers)


class TestResponses:
    METHODS = st.sampled_from(["GET", "HEAD", "POST"])

    @BUDGET
    @given(_response_heads(), METHODS)
    @example(b"HTTP/1.1 200\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "GET")
    def test_generated_mean_what_the_oracle_says(self, data, method):
        """Heads of which any part may be wrong, folded lines among them."""
        _check_response(data, method)

    @BUDGET
    @given(_mutated(_response_heads()), METHODS)
    def test_mutated_mean_what_the_oracle_says(self, data, method):
        """With a few bytes changed."""
        _check_response(data, method)

    @settings(BUDGET, max_examples=100)
    @given(_response_heads() | _mutated(_response_heads()), METHODS)
    def test_mean_the_same_however_cut(self, data, method):
        """Whole, byte by byte, at every split."""
        _check_cuts(partial(read_responses, methods=[method]), data)


class TestTheOracle:
    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1\nHost: h\n\n\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nX: \x07\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 5, 5\r\nHost: h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
        ],
    )
    def test_refuses_what_h11_alone_lets_pass(self, data):
        """Else the comparison would prove nothing."""
        with pytest.raises(Refused):
            judge_request_bytes(data)
