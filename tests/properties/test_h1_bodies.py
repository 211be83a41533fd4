"""Generated and mutated bodies: the engine against h11 and a reader written one rule at a time.

Whatever the engine accepts, h11 accepts, with the same body and trailers; and it accepts exactly
what `h1_oracle.read_chunks` does, in which everything h11 lets pass and the house does not is
spelled out. The same for requests and responses, and however the bytes are cut.
"""

from functools import partial

from hypothesis import example, given, settings
from hypothesis import strategies as st

from galeph.message.headers import Headers
from galeph.protocol.policy import is_trailer_allowed, wants_keep_alive
from tests.properties.h1_oracle import (
    Body,
    Incomplete,
    Refused,
    judge_request_bytes,
    read_body,
    read_chunks,
    read_chunks_by_h11,
)
from tests.protocol.h1.feeding import (
    byte_by_byte,
    every_split,
    read_requests,
    read_responses,
)

BUDGET = settings(max_examples=200, deadline=None)

REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# Chunked bodies

_data = st.binary(max_size=12) | st.sampled_from([b"\r\n", b"0\r\n\r\n", b"x" * 17, b"\r\n0\r\n"])
_extensions = st.sampled_from(
    [b"", b"", b"", b";a", b"; a=b", b';a="b;c\\"\t"', b";a;b=c", b";\ta"]
)  # fmt: skip
_bad_extensions = st.sampled_from(
    [b" ", b";", b";a=", b';a="', b";a b", b";a\r", b"\t;a", b";\x7f"]
)
_trailers = st.lists(
    st.sampled_from(
        [b"X: y", b"X:", b"x-y:\t z ", b"Z: \xe9", b"Date: x", b"Content-Length: 5", b"Host: h"]
    ),
    max_size=3,
)


@st.composite
def _chunked(draw, extensions=_extensions, trailers=_trailers):
    parts = []
    for data in draw(st.lists(_data, max_size=4)):
        if data:
            size = b"%x" % len(data)
            if draw(st.booleans()):
                size = draw(st.sampled_from([size.upper(), b"0" + size, b"000" + size]))
            parts += [size, draw(extensions), b"\r\n", data, b"\r\n"]
    parts += [draw(st.sampled_from([b"0", b"0", b"00"])), draw(extensions), b"\r\n"]
    parts += [line + b"\r\n" for line in draw(trailers)]
    return b"".join(parts) + b"\r\n"


_bytes = st.sampled_from([*b'\r\n\t ;="\\0159aAgGxX_+-:,\x00\x0b\x7f\x80\xff']) | st.integers(
    0, 255
)
_STRINGS = [b"\r\n", b"\n", b"\r", b"0\r\n\r\n", b"0" * 16, b"f" * 16, b";a=b", b"X: y\r\n", b" "]


@st.composite
def _mutated(draw, bodies):
    data = draw(bodies)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["insert", "replace", "delete", "splice", "cut"]))
        if kind == "insert":
            data = data[:at] + bytes([draw(_bytes)]) + data[at:]
        elif kind == "replace":
            data = data[:at] + bytes([draw(_bytes)]) + data[at + 1 :]
        elif kind == "delete":
            data = data[:at] + data[at + draw(st.integers(1, 3)) :]
        elif kind == "splice":
            data = data[:at] + draw(st.sampled_from(_STRINGS)) + data[at:]
        else:
            data = data[:at]
    return data


def _verdict(data):
    try:
        return read_chunks(data)
    except Refused as refusal:
        return refusal
    except Incomplete:
        return None


def _shown(trailers):
    """As judged: h11 hands every trailer on."""
    return tuple(pair for pair in trailers if is_trailer_allowed(pair[0]))


def _check(reading, data):
    message = reading.messages[0]
    verdict = _verdict(data)
    if isinstance(verdict, Body):
        assert message.is_complete, (reading, data)
        assert verdict.data == message.body
        assert verdict.trailers == message.trailers
        by_h11 = read_chunks_by_h11(data)
        assert by_h11 is not None, data
        assert (verdict.data, verdict.trailers or ()) == (by_h11[0], _shown(by_h11[1]))
    else:
        assert not message.is_complete, (verdict, data)
        if verdict is not None:
            assert reading.status is not None, (verdict, reading, data)
            assert verdict.status in {None, reading.status}


def _check_cuts(read, head, body):
    expected = read([head + body]).settled()
    for pieces in (byte_by_byte(body), *every_split(body)):
        assert expected == read([head, *pieces] if head else pieces).settled(), pieces


class TestChunks:
    @BUDGET
    @given(_chunked())
    def test_generated_mean_what_the_oracle_says(self, body):
        """Good chunks and extensions; trailers of which some must be refused."""
        _check(read_requests([REQUEST + body]), body)

    @BUDGET
    @given(_chunked(trailers=st.just([])))
    def test_good_are_accepted(self, body):
        """A reader that refuses everything would pass the rest."""
        reading = read_requests([REQUEST + body])

        assert reading.messages[0].is_complete
        assert reading.ending == "need"

    @BUDGET
    @given(_mutated(_chunked()) | _chunked(st.one_of(_extensions, _bad_extensions)))
    @example(b"5;a\rb\r\nhello\r\n0\r\n\r\n")
    @example(b"5 \r\nhello\r\n0\r\n\r\n")
    @example(b"00000000000000005\r\nhello\r\n0\r\n\r\n")
    @example(b"5\r\nhello\r\n0\r\nX: y\n\r\n")
    def test_mutated_mean_what_the_oracle_says(self, body):
        """With a few bytes changed, or with something wrong behind a size."""
        _check(read_requests([REQUEST + body]), body)

    @BUDGET
    @given(_mutated(_chunked()) | _chunked())
    def test_of_a_response_mean_the_same_as_of_a_request(self, body):
        """One reader for both roles; its refusals hint at 502 here."""
        request, response = read_requests([REQUEST + body]), read_responses([RESPONSE + body])
        ours, theirs = request.messages[0], response.messages[0]

        assert ours.is_complete is theirs.is_complete
        if ours.is_complete:
            assert (ours.body, ours.trailers) == (theirs.body, theirs.trailers)
        else:
            assert request.case == response.case

    @settings(BUDGET, max_examples=100)
    @given(_mutated(_chunked()) | _chunked(st.one_of(_extensions, _bad_extensions)))
    def test_mean_the_same_however_cut(self, body):
        """Whole, byte by byte, at every split; in both roles."""
        _check_cuts(read_requests, REQUEST, body)
        _check_cuts(read_responses, RESPONSE, body)


# Whole conversations

_heads = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        b"\r\nPUT / HTTP/1.1\r\nHost: h\r\nX: \xe9\r\nContent-Length: 2\r\n\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    ]
)


@st.composite
def _conversations(draw):
    messages = draw(st.lists(_heads | _chunked().map(lambda body: REQUEST + body), max_size=4))
    return b"".join(messages)


def _by_oracle(data):
    """Every complete request in the bytes, by the oracle, up to a close or a refusal."""
    bodies = []
    while data:
        try:
            verdict, rest = judge_request_bytes(data)
            body = read_body(verdict.framing, verdict.length, rest)
        except (Refused, Incomplete):
            break
        bodies.append((verdict.start, verdict.headers, body.data, body.trailers))
        data = body.rest
        if not wants_keep_alive(verdict.start[4], Headers(verdict.headers)):
            break
    return bodies


def _by_engine(reading):
    return [
        (
            (
                message.head.method, message.head.target, message.head.scheme,
                message.head.authority, message.head.http_version, message.head.expects_continue,
            ),
            message.head.headers.raw,
            message.body,
            message.trailers,
        )
        for message in reading.messages
        if message.is_complete
    ]  # fmt: skip


class TestConversations:
    @BUDGET
    @given(_conversations() | _mutated(_conversations()))
    def test_have_the_requests_the_oracle_finds(self, data):
        """The same number of them, with the same boundaries: nothing is smuggled."""
        assert _by_oracle(data) == _by_engine(read_requests([data]))

    @settings(BUDGET, max_examples=100)
    @given(_conversations() | _mutated(_conversations()))
    def test_mean_the_same_however_cut(self, data):
        """Whole, byte by byte, at every split."""
        _check_cuts(read_requests, b"", data)


class TestLengths:
    @BUDGET
    @given(st.binary(max_size=40), st.integers(0, 40))
    def test_are_kept_to_the_byte(self, data, length):
        """What is there is given, what is missing is waited for, what is more is another's."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length
        for read in (partial(read_responses, [head + data]), partial(read_responses, [head, data])):
            reading = read()
            assert reading.messages[0].body == data[:length]
            assert reading.messages[0].is_complete is (len(data) >= length)
            assert (reading.case == "unasked-response") is (len(data) > length)
