"""The receiving half: bytes to events, in every way they can be cut."""

import time
from functools import partial

import pytest

from galeph.errors import RemoteProtocolError
from galeph.message.fields import encode_fields
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.events import (
    CLOSED,
    NEED_DATA,
    PAUSED,
    Data,
    EndOfMessage,
    InterimResponse,
    Request,
    Response,
)
from galeph.protocol.h1.receiver import Receiver
from galeph.protocol.limits import Limits
from tests.protocol.h1.feeding import (
    byte_by_byte,
    every_pair_of_splits,
    read_in_every_way,
    read_requests,
    read_responses,
)

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'3\r\nhel\r\n2;a="b"\r\nlo\r\n0\r\nX-Sum: 9\r\n\r\n'
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def fields(*lines):
    return b"".join(line + b"\r\n" for line in lines)


def get(*lines):
    return b"GET / HTTP/1.1\r\nHost: h\r\n" + fields(*lines) + b"\r\n"


class TestRequests:
    def test_are_told_as_events(self):
        """A head, its body, its end; the last piece says that it is the last."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(POST)

        assert receiver.next_event() == Request(
            "POST", "/b", Headers({"Host": "h", "Content-Length": "5"}), None, "h",
            content_length=5, end_stream=False,
        )  # fmt: skip
        assert receiver.next_event() == Data(b"hello", end_stream=True)
        assert receiver.next_event() is PAUSED

    def test_with_trailers_end_with_them(self):
        """After the last data."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(CHUNKED)
        receiver.next_event()

        assert receiver.next_event() == Data(b"hello")
        assert receiver.next_event() == EndOfMessage(Headers({"X-Sum": "9"}))

    @pytest.mark.parametrize("data", [GET, POST, CHUNKED])
    def test_are_the_same_in_every_way_they_arrive(self, data):
        """Whole, byte by byte, by line, at every split, and with something behind."""
        reading = read_in_every_way(read_requests, data)
        following = read_in_every_way(read_requests, data + GET)

        assert reading.ending == "need"
        assert [True] == [message.is_complete for message in reading.messages]
        assert reading.messages[0] == following.messages[0]
        assert following.messages[1:] == read_requests([GET]).messages

    @pytest.mark.attack(105)
    @pytest.mark.parametrize("data", [POST, CHUNKED, GET + GET, b"\r\n" + GET, get(b"X: \xe9")])
    def test_are_the_same_at_every_pair_of_splits(self, data):
        """Cut into three pieces in every way."""
        expected = read_requests([data]).settled()

        for pieces in every_pair_of_splits(data):
            assert expected == read_requests(pieces).settled(), pieces

    @pytest.mark.parametrize("data", [GET, POST, CHUNKED])
    def test_cut_off_are_incomplete(self, data):
        """A close at any byte but the last is a refusal; never a shorter message."""
        for at in range(1, len(data)):
            for pieces in ([data[:at]], byte_by_byte(data[:at])):
                reading = read_requests([*pieces, b""])
                assert reading.status == 400
                assert reading.case in {"head-incomplete", "body-incomplete"}
                assert not any(message.is_complete for message in reading.messages)

    @pytest.mark.parametrize("data", [b"", GET, POST, CHUNKED, b"\r\n"])
    def test_may_be_followed_by_a_close(self, data):
        """Between messages it is a clean end, also behind one empty line."""
        assert read_in_every_way(read_requests, data, eof=True).ending == "closed"

    def test_are_counted_by_the_way_they_took(self):
        """Plain heads, also when dribbled, and those that h11 has seen too."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(GET[:9])
        receiver.next_event()
        receiver.receive_data(GET[9:])
        receiver.next_event()

        assert (1, 0) == (receiver.fast_heads, receiver.slow_heads)

        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(get(b"X: \xe9"))
        receiver.next_event()

        assert (0, 1) == (receiver.fast_heads, receiver.slow_heads)

    def test_count_their_chunks(self):
        """Plain lines; lines with extensions and trailer sections."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(CHUNKED)
        while receiver.next_event() is not PAUSED:
            pass

        assert (2, 2) == (receiver.plain_chunks, receiver.slow_chunks)

    @pytest.mark.attack(59)
    @pytest.mark.parametrize("method", [b"GET", b"DELETE", b"HEAD", b"OPTIONS", b"get", b"FOO"])
    def test_of_any_method_may_have_a_body(self, method):
        """It is framed by its fields, and what follows it is the next request."""
        for framing in (
            b"Content-Length: 5\r\n\r\nGET /",
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
        ):
            data = method + b" / HTTP/1.1\r\nHost: h\r\n" + framing + GET
            reading = read_in_every_way(read_requests, data)

            assert [method.decode(), "GET"] == [head.method for head in reading.heads]
            assert [b"GET /", b""] == reading.bodies

    @pytest.mark.attack(84)
    @pytest.mark.parametrize(
        "data",
        [
            get(b"Trailer: X-Sum", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
            get(b"Transfer-Encoding: chunked") + b"0\r\nX-Sum: 9\r\n\r\n",
        ],
        ids=["announced but absent", "absent but sent"],
    )
    def test_need_not_announce_trailers(self, data):
        """Both are fine."""
        reading = read_in_every_way(read_requests, data)

        assert reading.ending == "need"
        assert reading.messages[0].is_complete

    @pytest.mark.attack(42)
    def test_keep_bytes_beyond_ascii_as_latin_1(self):
        """Not decoded as anything else, whatever they look like, and sent on as they came."""
        value = bytes(range(0x80, 0x100))
        head = read_in_every_way(read_requests, get(b"X: a" + value + b"z")).heads[0]

        assert head.headers["X"] == "a" + value.decode("latin-1") + "z"
        assert Headers(head.headers.raw) == head.headers
        assert b"X: a" + value + b"z\r\n" in encode_fields(head.headers._pairs)


class TestRecognition:
    """Field lines that come again are not parsed again."""

    FIELDS = (b"Host: h", b"Accept: a", b"Accept: b")

    @staticmethod
    def data(start, *lines):
        return start + b"\r\n" + fields(*lines) + b"\r\n"

    def known(self):
        """A connection on which the fields have come often enough to be known."""
        receiver = Receiver(Role.SERVER, Limits())
        for _ in range(4):
            receiver.receive_data(self.data(b"GET / HTTP/1.1", *self.FIELDS))
            receiver.next_event()
            receiver.state = 0
        assert receiver.known_fields is not None
        return receiver

    @pytest.mark.parametrize(
        "start",
        [
            b"GET / HTTP/1.1", b"GET /b?c HTTP/1.1", b"HEAD / HTTP/1.1", b"FOO /%zz HTTP/1.1",
            b"\r\nGET / HTTP/1.1", b"GET http://x/y HTTP/1.1", b"OPTIONS * HTTP/1.1",
            b"GET / HTTP/1.0", b"CONNECT a:1 HTTP/1.1", b"GET //a HTTP/1.1",
            b"GET / HTTP/1.2", b"GET /# HTTP/1.1", b"GET /a#b HTTP/1.1", b"CONNECT / HTTP/1.1",
            b"GET * HTTP/1.1", b"GET a HTTP/1.1", b"GET /\xe9 HTTP/1.1", b"GET  / HTTP/1.1",
            b"GET / HTTP/1.1 ", b"GET /\x00 HTTP/1.1", b"G(T / HTTP/1.1", b"/ HTTP/1.1",
            b"\r\n\r\nGET / HTTP/1.1", b"GET /" + b"a" * 8200 + b" HTTP/1.1",
            b"GET / HTTP/1.1\r\nHost: evil", b"GET / HTTP/1.1\nX: y", b"GET / HTTP/1.1\r\n X",
        ],
    )  # fmt: skip
    def test_gives_what_parsing_gives(self, start):
        """Whatever stands in front of them, the answer is that of a new connection."""
        data = self.data(start, *self.FIELDS)
        alone = read_requests([data])
        again = read_requests([self.data(b"GET / HTTP/1.1", *self.FIELDS)] * 4 + [data])

        assert alone.messages == again.messages[4:]
        assert alone.ending == again.ending

    @pytest.mark.parametrize(
        "lines",
        [
            (*FIELDS, b"X: y"), (*FIELDS, b"Content-Length: 0"), (b"X: y", *FIELDS), FIELDS[:2],
            FIELDS[1:], (*FIELDS, b"Transfer-Encoding: gzip"), (*FIELDS, b"Host: i"),
            (b" ", *FIELDS), (*FIELDS, b"Connection: close"), (*FIELDS, b"Expect: x"),
        ],
    )  # fmt: skip
    def test_needs_every_byte(self, lines):
        """One field more or less is another head."""
        data = self.data(b"GET / HTTP/1.1", *lines)
        alone = read_requests([data])
        again = read_requests([self.data(b"GET / HTTP/1.1", *self.FIELDS)] * 4 + [data])

        assert alone.messages == again.messages[4:]
        assert alone.ending == again.ending

    @pytest.mark.parametrize(
        "line", [b"Content-Length: 0", b"Content-Length: 1", b"Expect: 100-continue", b"Host: i"]
    )
    def test_leaves_fields_that_say_more(self, line):
        """Lengths and expectations are judged every time, whatever was said before."""
        data = self.data(b"GET / HTTP/1.1", b"Host: h", line) + b"x" * (b"1" in line[-1:])
        alone, again = read_requests([data]), read_requests([data] * 5)

        assert alone.messages[:1] * (1 if alone.status else 5) == again.messages[:5]
        assert alone.ending == again.ending

    @pytest.mark.parametrize("lines", [(), (b"Host: h",)])
    def test_learns_nothing_from_an_old_version(self, lines):
        """What HTTP/1.0 may leave out, the Host first of all, is not taken for granted later."""
        lines = (*lines, b"Connection: keep-alive")
        old = self.data(b"GET / HTTP/1.0", *lines)
        new = self.data(b"GET / HTTP/1.1", *lines)
        receiver = Receiver(Role.SERVER, Limits())
        for _ in range(4):
            receiver.receive_data(old)
            receiver.next_event()
            receiver.state = 0

        assert receiver.known_fields is None
        assert read_requests([new]).ending == read_requests([old] * 4 + [new]).ending

    def test_shares_nothing(self):
        """A handler that changes its headers changes no other's."""
        receiver = self.known()
        for _ in range(2):
            receiver.state = 0
            receiver.receive_data(self.data(b"GET / HTTP/1.1", *self.FIELDS))
            request = receiver.next_event()
            assert request.headers.raw == (("Host", "h"), ("Accept", "a"), ("Accept", "b"))
            request.headers["Host"] = "changed"
            request.headers.add("Accept", "c")

    @pytest.mark.parametrize("cut", [1, 5, 16, 17, 18, 30, 47, 48, 49])
    def test_waits_for_the_rest(self, cut):
        """Half a known head is half a head."""
        receiver = self.known()
        data = self.data(b"GET /x HTTP/1.1", *self.FIELDS)
        receiver.receive_data(data[:cut])
        assert receiver.next_event() is NEED_DATA
        receiver.receive_data(data[cut:])

        assert receiver.next_event().target == "/x"

    def test_can_be_given_up(self):
        """An idle connection need not keep what it knows; the next request is parsed."""
        receiver = self.known()
        receiver.forget_fields()
        assert receiver.known_fields is None
        assert receiver._last_fields == b""
        receiver.receive_data(self.data(b"GET /x HTTP/1.1", *self.FIELDS))

        assert receiver.next_event().headers.get_all("accept") == ["a", "b"]

    def test_of_a_tunnel_does_not_change_the_host(self):
        """CONNECT replaces Host by its target, which nobody else asked for."""
        receiver = self.known()
        for start in (b"CONNECT a:1 HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"GET / HTTP/1.1"):
            receiver.state = 0
            receiver.receive_data(self.data(start, *self.FIELDS))
            request = receiver.next_event()

        assert ("h", "h") == (request.authority, request.headers["Host"])


class TestEmptyLines:
    @pytest.mark.attack(5)
    def test_before_a_request_are_skipped_once(self):
        """RFC 9112 section 2.2; before each request on a connection."""
        reading = read_in_every_way(read_requests, b"\r\n" + GET + b"\r\n" + POST)

        assert ["GET", "POST"] == [head.method for head in reading.heads]

    @pytest.mark.attack(5)
    @pytest.mark.parametrize("start", [b"\r\n" * 2, b"\r\n" * 10_000, b"\n", b"\r", b" ", b"\t"])
    def test_or_white_space_beyond_that_are_refused(self, start):
        """400 with the first byte too many, so their number needs no budget."""
        data = start[:8] + GET
        reading = read_in_every_way(read_requests, data)

        assert (400, "request-line") == reading.ending
        assert read_requests([start + GET]).ending == reading.ending
        assert reading.messages == []


class TestSizes:
    LIMITS = Limits(max_line_bytes=50, max_header_bytes=30, max_headers_bytes=100, max_headers=4)

    def read(self, data):
        return read_in_every_way(partial(read_requests, limits=self.LIMITS), data)

    @pytest.mark.attack(16, 17)
    @pytest.mark.parametrize(("size", "ending"), [(50, "need"), (51, (414, "line-too-long"))])
    def test_hold_for_the_request_line(self, size, ending):
        """In one packet or dribbled: n passes, n + 1 is 414."""
        line = b"GET /".ljust(size - 9, b"a") + b" HTTP/1.1"

        assert ending == self.read(line + b"\r\nHost: h\r\n\r\n").ending

    @pytest.mark.parametrize(("size", "ending"), [(30, "need"), (31, (431, "field-too-long"))])
    def test_hold_for_a_field_line(self, size, ending):
        """In one packet or dribbled: n passes, n + 1 is 431."""
        assert ending == self.read(get(b"X:".ljust(size, b"a"))).ending

    @pytest.mark.parametrize(("size", "ending"), [(100, "need"), (101, (431, "head-too-large"))])
    def test_hold_for_the_head(self, size, ending):
        """In one packet or dribbled: n passes, n + 1 is 431."""
        start = get(b"X: " + b"a" * 20, b"Y: " + b"b" * 20)[:-2]
        last = b"Z:".ljust(size - len(start), b"c")

        assert len(last) <= 30
        assert ending == self.read(start + last + b"\r\n\r\n").ending

    @pytest.mark.parametrize(("count", "ending"), [(4, "need"), (5, (431, "too-many-fields"))])
    @pytest.mark.parametrize("value", [b"", b"\xe9"])
    def test_hold_for_the_number_of_fields(self, count, ending, value):
        """On the plain path and on the slow one: n pass, n + 1 are 431."""
        lines = [b"%c:%b" % (65 + n, value) for n in range(count - 1)]

        assert ending == self.read(get(*lines)).ending

    @pytest.mark.attack(35)
    @pytest.mark.parametrize(
        "data",
        [
            get(*[b"X: y"] * 10_000),
            get(b"X: " + b"y" * 1_000_000),
            get(*[b"X: " + b"y" * 1000] * 70),
            get(b"X: " + b"y" * 1_000_000)[:-4],
            get(*[b"X: y"] * 10_000)[:-2],
        ],
        ids=["10,000 short", "1 MB", "70 KB", "1 MB without end", "10,000 without end"],
    )
    def test_hold_for_one_packet(self, data):
        """Many fields, long ones, large heads: 431, and none of it is kept."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(data)
        with pytest.raises(RemoteProtocolError) as caught:
            receiver.next_event()

        assert caught.value.status_hint == 431
        assert not receiver.has_buffered

    @pytest.mark.attack(37)
    def test_hold_for_one_name_repeated(self):
        """10,000 times the same name is 431, and with the limits off it is linear."""
        lines = [b"X: y"] * 10_000
        wide = Limits(max_headers=20_000, max_headers_bytes=1 << 20)
        start = time.process_time()
        reading = read_requests([get(*lines)], wide)
        seconds = time.process_time() - start

        assert read_requests([get(*lines)]).status == 431
        assert len(reading.heads[0].headers.get_all("x")) == 10_000
        assert seconds < 1

    @pytest.mark.attack(17)
    def test_cost_of_a_dribbled_head_is_linear(self):
        """60 KB of good fields byte by byte: no second look at what was seen."""
        data = get(*[b"X%02d: " % n + b"y" * 992 for n in range(60)])
        start = time.process_time()
        reading = read_requests(byte_by_byte(data))
        seconds = time.process_time() - start

        assert len(reading.heads[0].headers) == 61
        assert seconds < 3


class TestRefusals:
    def test_are_repeated(self):
        """Asking again gets the same answer; bytes behind are dropped, not gathered."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(b"GET /\r\n\r\n" + GET)
        for _ in range(3):
            with pytest.raises(RemoteProtocolError) as caught:
                receiver.next_event()
            assert (400, "request-line") == (caught.value.status_hint, caught.value.case)
            receiver.receive_data(GET)
            receiver.receive_data(GET)

        assert len(receiver._buffer) <= len(GET)

    def test_leave_no_cycle(self):
        """A million bad requests are freed by reference counts: no error refers to its receiver."""
        receiver = Receiver(Role.SERVER, Limits())
        receiver.receive_data(b"\x16\x03\x01")
        with pytest.raises(RemoteProtocolError):
            receiver.next_event()

        assert not any(
            isinstance(getattr(receiver, name), BaseException) for name in Receiver.__slots__
        )

    @pytest.mark.parametrize(
        "data",
        [
            b"HTTP/1.1 99 x\r\n\r\n",
            b"HTTP/1.1 200 OK\nX: y\n\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 129 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
        ],
    )
    def test_of_a_response_hint_at_502(self, data):
        """What a gateway answers for a server that it cannot understand."""
        assert read_responses([data]).status == 502


class TestResponses:
    def test_are_told_as_events(self):
        """A head, its body, its end."""
        receiver = Receiver(Role.CLIENT, Limits())
        receiver.await_response("GET", wants_upgrade=False)
        receiver.receive_data(OK)

        assert receiver.next_event() == Response(
            200, Headers({"Content-Length": "2"}), "OK", content_length=2
        )
        assert receiver.next_event() == Data(b"ok", end_stream=True)
        assert receiver.next_event() is PAUSED

    @pytest.mark.parametrize(
        ("data", "body"),
        [
            (OK, b"ok"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
            (b"HTTP/1.1 200\r\nContent-Length: 2\r\nX: a\r\n b\r\n\r\nok", b"ok"),
            (b"HTTP/1.1 200 N\xe9\r\nContent-Length: 2\r\n\r\nok", b"ok"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        ],
    )
    def test_are_the_same_in_every_way_they_arrive(self, data, body):
        """Whole, byte by byte, by line, at every split, and before the next answer."""
        reading = read_in_every_way(read_responses, data)
        following = read_responses([*byte_by_byte(data), OK], methods=["GET", "GET"])

        assert [body] == reading.bodies
        assert reading.messages[0].is_complete
        assert [body, b"ok"] == following.bodies

    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_without_framing_end_with_the_connection(self, version):
        """All there is, is the body; the connection is over."""
        data = b"HTTP/" + version + b" 200 OK\r\n\r\nall\r\n\r\nof it"
        reading = read_in_every_way(read_responses, data, eof=True)

        assert [b"all\r\n\r\nof it"] == reading.bodies
        assert reading.messages[0].is_complete

    @pytest.mark.parametrize(
        ("method", "head", "keeps"),
        [
            ("GET", b"HTTP/1.1 204 x\r\n\r\n", True),
            ("GET", b"HTTP/1.0 204 x\r\n\r\n", False),
            ("GET", b"HTTP/1.0 204 x\r\nConnection: keep-alive\r\n\r\n", True),
            ("GET", b"HTTP/1.1 204 x\r\nConnection: close\r\n\r\n", False),
            ("GET", b"HTTP/1.1 200 x\r\n\r\n", False),
            ("HEAD", b"HTTP/1.1 200 x\r\n\r\n", True),
        ],
    )
    def test_say_whether_the_connection_is_kept(self, method, head, keeps):
        """RFC 9112 section 9.3; a body that ends with it cannot keep it."""
        receiver = Receiver(Role.CLIENT, Limits())
        receiver.await_response(method, wants_upgrade=False)
        receiver.receive_data(head)
        receiver.next_event()

        assert keeps is receiver.keep_alive

    @pytest.mark.parametrize(("reason", "shown"), [(b"OK", "OK"), (b"  a b\t", "a b"), (b"", "")])
    def test_have_a_reason_without_white_space_around(self, reason, shown):
        """So that it can be sent on."""
        reading = read_in_every_way(
            read_responses, b"HTTP/1.1 200 " + reason + b"\r\nContent-Length: 0\r\n\r\n"
        )

        assert [shown] == [head.reason for head in reading.heads]

    @pytest.mark.attack(214)
    @pytest.mark.parametrize(
        "start",
        [
            b"HTTP/1.1 99 x", b"HTTP/1.1 1000 x", b"HTTP/1.1 2OO OK", b"HTTP/1.1200 OK",
            b"HTTP/1.1 20 x", b"HTTP/1.1 000 x", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK",
            b"<html>hello</html>", b"hello", b"HTTP/0.9 200 OK", b"HTTP/2 200", b"HTTP/1.1 -99 x",
            b"", b"\r\nHTTP/1.1 200 OK",
        ],
    )  # fmt: skip
    def test_with_a_bad_status_line_are_refused(self, start):
        """Also HTTP/0.9, which has none, at its first bytes."""
        reading = read_in_every_way(read_responses, start + b"\r\nContent-Length: 0\r\n\r\n")

        assert (502, "status-line") == reading.ending
        assert reading.messages == []

    @pytest.mark.attack(215)
    @pytest.mark.parametrize("obs_text", [b"", b"X: \xe9\r\n"], ids=["plain", "slow"])
    @pytest.mark.parametrize(
        ("version", "lines"),
        [
            (b"1.1", b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"),
            (b"1.1", b"Content-Length: 2\r\nContent-Length: 3\r\n"),
            (b"1.1", b"Content-Length: 2\r\nContent-Length: 2\r\n"),
            (b"1.1", b"Content-Length: 2, 2\r\n"),
            (b"1.1", b"Transfer-Encoding: x\r\n"),
            (b"1.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            (b"1.0", b"Transfer-Encoding: chunked\r\n"),
        ],
    )
    def test_that_say_their_end_twice_are_refused(self, version, lines, obs_text):
        """On the plain path and where h11, which would merge some, has a look too."""
        data = b"HTTP/" + version + b" 200 OK\r\n" + obs_text + lines + b"\r\n2\r\nok\r\n0\r\n\r\n"
        reading = read_in_every_way(read_responses, data)

        assert reading.status == 502
        assert reading.messages == []

    @pytest.mark.parametrize(
        ("method", "head"),
        [
            ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            ("GET", b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n"),
            ("GET", b"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ],
    )
    @pytest.mark.attack(217)
    def test_that_have_no_body_are_over_with_their_head(self, method, head):
        """A body sent all the same is not given out, and is no answer to anything."""
        read = partial(read_responses, methods=[method])

        assert read_in_every_way(read, head).messages[0].is_complete
        sent = read_in_every_way(read, head + b"hello")
        assert [b""] == sent.bodies
        assert (502, "unasked-response") == sent.ending

    @pytest.mark.attack(216)
    @pytest.mark.parametrize("extra", [b"x", b"\r\n", OK, b"HTTP/1.1 100 Continue\r\n\r\n"])
    def test_nobody_asked_for_are_refused(self, extra):
        """Behind an answer, or before anything was asked."""
        behind = read_in_every_way(read_responses, OK + extra)
        before = Receiver(Role.CLIENT, Limits())
        before.receive_data(extra)

        assert [b"ok"] == behind.bodies
        assert (502, "unasked-response") == behind.ending
        with pytest.raises(RemoteProtocolError, match="before any request"):
            before.next_event()

    @pytest.mark.parametrize("data", [OK, CHUNKED.replace(b"PUT /c HTTP/1.1", b"HTTP/1.1 200 x")])
    def test_cut_off_are_incomplete(self, data):
        """A close at any byte but the last is an error; what came of the body was shown."""
        for at in range(len(data)):
            reading = read_responses([*byte_by_byte(data[:at]), b""])
            assert reading.case in {"head-incomplete", "body-incomplete"}
            assert not any(message.is_complete for message in reading.messages)
            assert all(b"hello".startswith(body) or body == b"o" for body in reading.bodies)


class TestInterimResponses:
    def test_come_before_the_final_one(self):
        """Any number of kinds."""
        data = (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\n"
        ) + OK
        reading = read_in_every_way(read_responses, data)

        assert reading.heads[:2] == [
            InterimResponse(100),
            InterimResponse(103, Headers({"Link": "</a>", "Content-Length": "5"})),
        ]
        assert [b"", b"", b"ok"] == reading.bodies

    @pytest.mark.parametrize(("count", "is_good"), [(3, True), (4, False)])
    def test_are_counted_for_each_answer(self, count, is_good):
        """n pass, n + 1 do not; the next answer begins at none."""
        limits = Limits(max_interim_responses=3)
        data = b"HTTP/1.1 103 x\r\n\r\n" * count + OK
        reading = read_responses([data, data], limits, methods=["GET", "GET"])

        assert reading.ending == ("need" if is_good else (502, "too-many-interim"))

    def test_are_not_the_last_word(self):
        """A close behind one is a close without an answer."""
        assert read_responses([b"HTTP/1.1 100 x\r\n\r\n", b""]).case == "head-incomplete"

    def test_behind_the_final_one_are_refused(self):
        """100 after 200 is an answer to nothing."""
        reading = read_in_every_way(read_responses, OK + b"HTTP/1.1 100 Continue\r\n\r\n")

        assert (502, "unasked-response") == reading.ending

    def test_of_101_end_http(self):
        """If an upgrade was asked for; what follows is left as it is."""
        receiver = Receiver(Role.CLIENT, Limits())
        receiver.await_response("GET", wants_upgrade=True)
        receiver.receive_data(b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n\x81\x05hello")

        assert receiver.next_event() == InterimResponse(101, Headers({"Upgrade": "y"}))
        assert receiver.next_event() is PAUSED
        assert receiver.trailing_data() == b"\x81\x05hello"
        assert receiver.trailing_data() == b""

    def test_of_101_must_have_been_asked_for(self):
        """Otherwise it is the server's fault."""
        reading = read_in_every_way(read_responses, b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n")

        assert (502, "upgrade-unasked") == reading.ending


class TestTunnels:
    def test_begin_with_a_good_answer_to_connect(self):
        """Its framing fields mean nothing."""
        receiver = Receiver(Role.CLIENT, Limits())
        receiver.await_response("CONNECT", wants_upgrade=False)
        receiver.receive_data(b"HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n\x16\x03\x01")

        assert receiver.next_event().end_stream is True
        assert receiver.next_event() is PAUSED
        assert receiver.trailing_data() == b"\x16\x03\x01"

    def test_do_not_begin_with_another(self):
        """A 407 is an answer with a body."""
        read = partial(read_responses, methods=["CONNECT"])
        reading = read_in_every_way(read, OK.replace(b"200", b"407"))

        assert [b"ok"] == reading.bodies


class TestEnd:
    @pytest.mark.parametrize("role", list(Role))
    def test_is_told_again_and_again(self, role):
        """A closed connection stays closed."""
        receiver = Receiver(role, Limits())

        assert receiver.next_event() is NEED_DATA
        receiver.receive_data(b"")
        assert [receiver.next_event() for _ in range(3)] == [CLOSED] * 3
