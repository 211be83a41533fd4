"""The sending half: events to bytes that nobody can misread."""

import pytest

from galeph.errors import LocalProtocolError
from galeph.message.headers import Headers
from galeph.protocol.events import Data, EndOfMessage, InterimResponse, Request, Response
from galeph.protocol.h1 import sender as sending
from galeph.protocol.h1.sender import Sender

CONTROLS = [chr(n) for n in range(32) if chr(n) != "\t"] + ["\x7f"]


def respond(status=200, headers=None, *, method="GET", version="HTTP/1.1", sender=None, **fields):
    """The head a response is framed as."""
    event = Response(status, Headers(headers), **fields)
    return b"".join((sender or Sender()).send_response(event, method, version))


def request(method="GET", target="/", headers=None, *, authority="h", sender=None, **fields):
    event = Request(method, target, Headers(headers), authority=authority, **fields)
    return b"".join((sender or Sender()).send_request(event))


def state_of(sender):
    return {name: getattr(sender, name) for name in Sender.__slots__}


def refused(error, sender, call, *args):
    """Check that a call raises and that nothing was changed by it; return the error."""
    before = state_of(sender)
    with pytest.raises(error) as caught:
        call(*args)
    assert before == state_of(sender)
    return caught.value


class TestResponseHead:
    def test_is_a_status_line_fields_and_a_blank_line(self):
        """Names as spelled, in order."""
        assert respond(headers={"Content-Type": "a/b", "x-Y": "\xe9"}, content_length=5) == (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nx-Y: \xe9\r\nContent-Length: 5\r\n\r\n"
        )

    @pytest.mark.parametrize(
        ("status", "reason", "line"),
        [
            (404, "", b"HTTP/1.1 404 Not Found\r\n"),
            (404, "N\xe9ant ici", b"HTTP/1.1 404 N\xe9ant ici\r\n"),
            (299, "", b"HTTP/1.1 299 \r\n"),
            (999, "x", b"HTTP/1.1 999 x\r\n"),
        ],
    )
    def test_has_the_phrase_of_the_registry_or_its_own(self, status, reason, line):
        """A phrase of its own is not remembered for others."""
        for _ in range(2):
            assert respond(status, reason=reason, end_stream=True).startswith(line)
        assert b" Not Found\r\n" in respond(404, end_stream=True)

    @pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -200])
    def test_has_a_final_status(self, status):
        """Interim ones have their own event."""
        sender = Sender()
        event = Response(status, Headers())

        refused(LocalProtocolError, sender, sender.send_response, event, "GET", "HTTP/1.1")

    @pytest.mark.attack(193)
    @pytest.mark.parametrize("char", [*CONTROLS, "\u0100"])
    def test_has_a_reason_that_stays_in_its_line(self, char):
        """ValueError before any byte."""
        sender = Sender()
        for reason in (char, "a" + char + "b", "OK\r\nX: y" + char):
            event = Response(200, Headers(), reason=reason)
            refused(ValueError, sender, sender.send_response, event, "GET", "HTTP/1.1")

    @pytest.mark.attack(193)
    def test_validates_fields_that_came_in_sideways(self):
        """Also where somebody has gone around `Headers`."""
        headers = Headers()
        headers._own().append(("X", "a\r\nSet-Cookie: b"))
        sender = Sender()

        refused(ValueError, sender, sender.send_response, Response(200, headers), "GET", "HTTP/1.1")

    def test_may_be_sent_once(self):
        """One response to a request."""
        sender = Sender()
        respond(sender=sender, end_stream=True)

        refused(
            LocalProtocolError, sender, sender.send_response, Response(200, Headers()), "GET", "1.1"
        )


class TestResponseFraming:
    @pytest.mark.parametrize(
        ("fields", "headers", "line"),
        [
            ({"content_length": 5}, {}, b"Content-Length: 5\r\n"),
            ({}, {"content-length": "5"}, b"content-length: 5\r\n"),
            ({"content_length": 5}, {"Content-Length": 5}, b"Content-Length: 5\r\n"),
            ({"content_length": 0}, {}, b"Content-Length: 0\r\n"),
            ({"end_stream": True}, {}, b"Content-Length: 0\r\n"),
            ({}, {}, b"Transfer-Encoding: chunked\r\n"),
        ],
    )
    def test_says_how_the_body_ends(self, fields, headers, line):
        """By length where it is known, by chunks where it is not; once."""
        head = respond(headers=headers, **fields)

        assert head == b"HTTP/1.1 200 OK\r\n" + line + b"\r\n"

    @pytest.mark.attack(106)
    @pytest.mark.parametrize("wants_keep_alive", [True, False])
    def test_uses_no_chunks_to_1_0(self, wants_keep_alive):
        """Unknown length: the close ends it, whether or not the peer asked to keep."""
        sender = Sender()
        sender.keep_alive = wants_keep_alive
        head = respond(version="HTTP/1.0", sender=sender)

        assert head == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        assert sender.ends_by_close
        assert not sender.keep_alive
        assert [b"body"] == list(sender.send_data(Data(b"body")))
        assert [] == list(sender.end_message(EndOfMessage(Headers({"X": "y"}))))

    @pytest.mark.parametrize("status", [204, 304])
    def test_is_not_said_where_no_body_can_be(self, status):
        """RFC 9110 section 8.6."""
        for fields in ({"end_stream": True}, {"content_length": 0}, {}):
            assert b"Content-Length" not in respond(status, **fields)
            assert b"Transfer-Encoding" not in respond(status, **fields)

    def test_of_204_drops_a_length_of_0(self):
        """Many applications say it; it must not be said."""
        head = respond(204, {"Content-Length": "0", "X": "y"}, end_stream=True)

        assert head == b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"

    def test_of_304_keeps_the_length_of_what_was_not_sent(self):
        """It says what 200 would have said."""
        sender = Sender()
        head = respond(304, {"Content-Length": "5"}, sender=sender, end_stream=True)

        assert head == b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
        assert sender.state == sending.DONE

    @pytest.mark.parametrize("fields", [{"content_length": 5}, {"headers": {"Content-Length": 5}}])
    @pytest.mark.parametrize(("status", "method"), [(204, "GET"), (200, "CONNECT")])
    def test_refuses_a_length_where_no_body_can_be(self, fields, status, method):
        """Somebody means something else."""
        with pytest.raises(LocalProtocolError, match="cannot have a body"):
            respond(status, method=method, **fields)

    @pytest.mark.parametrize(
        ("fields", "headers", "line"),
        [
            ({"content_length": 5}, {}, b"Content-Length: 5\r\n"),
            ({"end_stream": True}, {"Content-Length": "5"}, b"Content-Length: 5\r\n"),
            ({"content_length": 5, "end_stream": True}, {}, b"Content-Length: 5\r\n"),
            ({"end_stream": True}, {}, b""),
            ({}, {}, b"Transfer-Encoding: chunked\r\n"),
        ],
    )
    def test_to_head_says_what_get_would(self, fields, headers, line):
        """RFC 9110 section 9.3.2. What is not known is not made up."""
        assert respond(headers=headers, method="HEAD", **fields) == (
            b"HTTP/1.1 200 OK\r\n" + line + b"\r\n"
        )

    def test_to_head_keeps_a_1_0_connection(self):
        """No body comes, so nothing has to end it."""
        head = respond(method="HEAD", version="HTTP/1.0")

        assert head == b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n"

    @pytest.mark.parametrize(
        ("fields", "headers"),
        [
            ({}, {"Transfer-Encoding": "chunked"}),
            ({}, {"transfer-encoding": "identity"}),
            ({"content_length": 5}, {"Transfer-Encoding": "chunked"}),
            ({"content_length": 5}, {"Content-Length": "6"}),
            ({"content_length": 5, "end_stream": True}, {}),
            ({"end_stream": True}, {"Content-Length": "5"}),
            ({"content_length": -1}, {}),
            ({}, {"Content-Length": "-1"}),
            ({}, {"Content-Length": "+5"}),
            ({}, {"Content-Length": ""}),
            ({}, {"Content-Length": "5, 5"}),
            ({}, {"Content-Length": "\xb2"}),
            ({}, {"Content-Length": "9" * 20}),
            ({}, {"Content-Length": ["5", "5"]}),
        ],
    )
    def test_refuses_what_contradicts_itself(self, fields, headers):
        """Transfer-Encoding is not the caller's, and there is one length, which is a number."""
        sender = Sender()
        event = Response(200, Headers(headers), **fields)

        refused(LocalProtocolError, sender, sender.send_response, event, "GET", "HTTP/1.1")


class TestDefaults:
    PAIRS = (("Server", "galeph"), ("Date", "now"))

    @pytest.mark.parametrize(
        ("headers", "lines"),
        [
            ({}, b"Server: galeph\r\nDate: now\r\n"),
            ({"X": "y"}, b"X: y\r\nServer: galeph\r\nDate: now\r\n"),
            ({"date": "then"}, b"date: then\r\nServer: galeph\r\n"),
            ({"Server": "a", "DATE": "b"}, b"Server: a\r\nDATE: b\r\n"),
        ],
    )
    @pytest.mark.parametrize("fields", [{"content_length": 0, "end_stream": True}, {}])
    def test_are_sent_where_the_headers_do_not_have_them(self, headers, lines, fields):
        """Behind the response's own fields, and the response keeps only those."""
        own = Headers(headers)
        event = Response(200, own, defaults=self.PAIRS, **fields)
        end = b"Content-Length: 0\r\n" if fields else b"Transfer-Encoding: chunked\r\n"
        for _ in range(2):
            head = b"".join(Sender().send_response(event, "GET", "HTTP/1.1"))
            assert head == b"HTTP/1.1 200 OK\r\n" + lines + end + b"\r\n"

        assert own == Headers(headers)

    @pytest.mark.attack(193)
    def test_are_validated(self):
        """They are fields like others."""
        event = Response(200, Headers(), defaults=(("X", "a\r\n"),))
        sender = Sender()

        refused(ValueError, sender, sender.send_response, event, "GET", "HTTP/1.1")


class TestRememberedHeads:
    """A response given again is not encoded again, and reads as if it were."""

    STATUSES = (200, 204, 304, 404)
    HEADERS = (
        {"X": "y"},
        {"Connection": "close"},
        {"Content-Length": "5"},
        {"Set-Cookie": ["a", "b"]},
    )
    FIELDS = (
        {"content_length": 5}, {"content_length": 5, "end_stream": True}, {"content_length": 0},
        {"content_length": 0, "end_stream": True}, {"end_stream": True}, {}, {"content_length": -1},
        {"content_length": 5, "reason": "Fine"},
    )  # fmt: skip

    @staticmethod
    def outcome(status, headers, fields, method, version, keep_alive):
        sender = Sender()
        sender.keep_alive = keep_alive
        event = Response(status, Headers(headers), **fields)
        try:
            framed = b"".join(sender.send_response(event, method, version))
        except LocalProtocolError as error:
            framed = str(error)
        return framed, state_of(sender)

    @pytest.mark.parametrize("status", STATUSES)
    @pytest.mark.parametrize("headers", HEADERS)
    def test_are_those_of_a_first_time(self, monkeypatch, status, headers):
        """For every method, version and framing, whatever was remembered before."""
        cases = [
            (status, headers, fields, method, version, keep_alive)
            for fields in self.FIELDS
            for method in ("GET", "HEAD", "CONNECT")
            for version in ("HTTP/1.1", "HTTP/1.0")
            for keep_alive in (True, False)
        ]
        cold = []
        for case in cases:
            monkeypatch.setattr(sending, "_CACHE_HEADS", {})
            cold.append(self.outcome(*case))
        warm = [self.outcome(*case) for _ in range(2) for case in cases]

        assert cold * 2 == warm

    def test_with_their_body_in_one_piece(self, monkeypatch):
        """`send_known` gives what head and body would be, of a head that was sent before; nothing
        where the connection is to end, or a response has begun."""
        monkeypatch.setattr(sending, "_CACHE_HEADS", {})
        headers, defaults = Headers({"X": "y"}), (("Server", "s"),)
        first, second = Sender(), Sender()
        assert second.send_known(200, headers, defaults, b"hello") is None

        event = Response(200, headers, content_length=5)
        event.defaults = defaults
        framed = [*first.send_response(event, "GET", "HTTP/1.1"), *first.send_data(Data(b"hello"))]

        assert b"".join(framed) == second.send_known(200, headers, defaults, b"hello")
        assert sending.DONE == second.state
        assert second.send_known(200, headers, defaults, b"hello") is None
        shorter = Sender().send_known(200, headers, defaults, b"hi")
        assert shorter.endswith(b"\r\nContent-Length: 2\r\n\r\nhi")
        ending = Sender()
        ending.keep_alive = False
        assert ending.send_known(200, headers, defaults, b"hello") is None
        assert sending.IDLE == ending.state

    def test_are_a_bounded_number(self, monkeypatch):
        """Ever new fields pin no memory; what is nobody else's is not kept at all."""
        cache = {}
        monkeypatch.setattr(sending, "_CACHE_HEADS", cache)
        sizes = set()
        for n in range(1000):
            respond(headers={"X": str(n)}, content_length=1)
            sizes.add(len(cache))
        respond(headers={"X": "y" * 2000}, content_length=1)
        respond(headers={"Set-Cookie": "secret"}, content_length=1)

        assert max(sizes) == 256
        starts = [known.declare(1) for known in cache.values()]
        assert max(map(len, starts)) <= 1024 + len(b"Content-Length: 1\r\n\r\n")
        assert not any(b"secret" in start for start in starts)


class TestConnectionField:
    @pytest.mark.parametrize(
        ("said", "version", "keep_alive", "added", "keeps"),
        [
            (None, "HTTP/1.1", True, b"", True),
            (None, "HTTP/1.1", False, b"Connection: close\r\n", False),
            (None, "HTTP/1.0", True, b"Connection: keep-alive\r\n", True),
            (None, "HTTP/1.0", False, b"Connection: close\r\n", False),
            ("close", "HTTP/1.1", True, b"", False),
            ("Close", "HTTP/1.0", True, b"", False),
            ("x, close", "HTTP/1.1", True, b"", False),
            ("keep-alive", "HTTP/1.0", True, b"", True),
            ("upgrade", "HTTP/1.0", True, b"Connection: keep-alive\r\n", True),
            ("close", "HTTP/1.1", False, b"", False),
        ],
    )
    def test_is_added_where_it_says_something(self, said, version, keep_alive, added, keeps):
        """Close to anybody, keep-alive to 1.0; what the caller said is not said again."""
        sender = Sender()
        sender.keep_alive = keep_alive
        headers = {} if said is None else {"Connection": said}
        own = b"" if said is None else b"Connection: %b\r\n" % said.encode()
        head = respond(204, headers, version=version, sender=sender, end_stream=True)

        assert head == b"HTTP/1.1 204 No Content\r\n" + own + added + b"\r\n"
        assert keeps is sender.keep_alive

    @pytest.mark.parametrize(
        ("said", "head"),
        [
            (["keep-alive"], b"Connection: close\r\n"),
            (["Keep-Alive"], b"Connection: close\r\n"),
            (["x, keep-alive"], b"Connection: x\r\nConnection: close\r\n"),
            (["keep-alive", "x"], b"Connection: x\r\nConnection: close\r\n"),
            (["keep-alive, close"], b"Connection: close\r\n"),
            (["keep-alives"], b"Connection: keep-alives\r\nConnection: close\r\n"),
        ],
    )
    def test_does_not_say_both(self, said, head):
        """That the connection is closed is decided; whoever said it is kept is left out."""
        sender = Sender()
        sender.keep_alive = False
        headers = Headers([("Connection", each) for each in said])
        sent = respond(204, headers, sender=sender, end_stream=True)

        assert sent == b"HTTP/1.1 204 No Content\r\n" + head + b"\r\n"
        assert not sender.keep_alive


class TestInterim:
    def test_is_a_status_line_and_fields(self):
        """Any number of them."""
        sender = Sender()

        assert sender.send_interim(InterimResponse(100)) == [b"HTTP/1.1 100 Continue\r\n\r\n"]
        assert sender.send_interim(InterimResponse(103, Headers({"Link": "</a>"}))) == [
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        ]
        assert sender.state == sending.IDLE

    @pytest.mark.attack(112)
    @pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
    @pytest.mark.parametrize("status", [100, 101, 103])
    def test_carries_no_framing(self, name, status):
        """RFC 9110 section 8.6, RFC 9112 section 6.1."""
        sender = Sender()
        event = InterimResponse(status, Headers({name: "0"}))

        refused(LocalProtocolError, sender, sender.send_interim, event)

    @pytest.mark.parametrize("status", [99, 200, 204, 0])
    def test_has_an_interim_status(self, status):
        """Final ones have their own event."""
        sender = Sender()

        refused(LocalProtocolError, sender, sender.send_interim, InterimResponse(status))

    @pytest.mark.parametrize("end_stream", [True, False])
    def test_does_not_follow_the_final_one(self, end_stream):
        """Not even in front of its body."""
        sender = Sender()
        respond(sender=sender, end_stream=end_stream)

        refused(LocalProtocolError, sender, sender.send_interim, InterimResponse(100))

    def test_of_101_is_the_last(self):
        """HTTP ends with it."""
        sender = Sender()
        sender.send_interim(InterimResponse(101))

        refused(LocalProtocolError, sender, sender.send_interim, InterimResponse(103))
        refused(
            LocalProtocolError, sender, sender.send_response, Response(200, Headers()), "GET", "1.1"
        )

    @pytest.mark.attack(193)
    def test_validates_its_fields(self):
        """As any head; 101 with a bad field has not switched."""
        headers = Headers()
        headers._own().append(("X", "a\r\n"))
        sender = Sender()

        refused(ValueError, sender, sender.send_interim, InterimResponse(101, headers))


class TestRequest:
    def test_is_a_request_line_host_and_fields(self):
        """Host comes first, from the authority."""
        assert request("FOO", "/a?b", {"X": "y"}, authority="[::1]:80") == (
            b"FOO /a?b HTTP/1.1\r\nHost: [::1]:80\r\nX: y\r\n\r\n"
        )

    def test_keeps_a_host_that_was_given(self):
        """Once."""
        assert request(headers={"X": "y", "host": "b"}) == (
            b"GET / HTTP/1.1\r\nX: y\r\nhost: b\r\n\r\n"
        )

    @pytest.mark.parametrize(
        ("fields", "headers", "line"),
        [
            ({"content_length": 5, "end_stream": False}, {}, b"Content-Length: 5\r\n"),
            ({"end_stream": False}, {"Content-Length": "5"}, b"Content-Length: 5\r\n"),
            ({"end_stream": False}, {}, b"Transfer-Encoding: chunked\r\n"),
            ({"content_length": 0}, {}, b"Content-Length: 0\r\n"),
            ({}, {}, b""),
        ],
    )
    def test_says_how_the_body_ends(self, fields, headers, line):
        """By length where it is known, by chunks where it is not."""
        assert request("POST", headers=headers, **fields) == (
            b"POST / HTTP/1.1\r\nHost: h\r\n" + line + b"\r\n"
        )

    @pytest.mark.attack(193)
    @pytest.mark.parametrize(
        "method", ["", "G T", "GET\r\n", "GET /x HTTP/1.1\r\nX:", "G\0", "\xc9"]
    )
    def test_has_a_method_that_is_a_token(self, method):
        """ValueError before any byte."""
        sender = Sender()
        event = Request(method, "/", Headers(), authority="h")

        refused(ValueError, sender, sender.send_request, event)

    @pytest.mark.attack(193)
    @pytest.mark.parametrize("char", [*CONTROLS, " ", "\t", "\x80", "\xe9", "\u0100", "#"])
    def test_has_a_target_that_stays_in_its_place(self, char):
        """ValueError before any byte."""
        sender = Sender()
        for target in (char, "/a" + char, "/" + char + "b", "/ HTTP/1.1\r\nX:" + char):
            event = Request("GET", target, Headers(), authority="h")
            refused(ValueError, sender, sender.send_request, event)

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", "/"), ("GET", "/%20?a=b&c"), ("OPTIONS", "*"), ("CONNECT", "h:443"),
            ("CONNECT", "[::1]:443"), ("GET", "http://a/b"), ("GET", "https://a"),
        ],
    )  # fmt: skip
    def test_has_a_target_in_one_of_the_four_forms(self, method, target):
        """RFC 9112 section 3.2."""
        assert request(method, target).startswith(f"{method} {target} HTTP/1.1\r\n".encode())

    @pytest.mark.parametrize(
        ("method", "target"),
        [
            ("GET", ""), ("GET", "*"), ("GET", "a"), ("GET", "h:443"), ("CONNECT", "h"),
            ("CONNECT", "/"), ("CONNECT", "http://h:1"), ("CONNECT", "u@h:1"), ("CONNECT", "[::1]"),
            ("GET", "ftp://a/"), ("OPTIONS", "**"), ("CONNECT", "h:"),
        ],
    )  # fmt: skip
    def test_has_no_other_target(self, method, target):
        """A server would read another request, or none."""
        sender = Sender()
        event = Request(method, target, Headers(), authority="h")

        refused(ValueError, sender, sender.send_request, event)

    @pytest.mark.attack(193)
    @pytest.mark.parametrize("authority", ["", "a b", "u:p@h", "h/x", "h\r\nX: y", "a:b", "h\0"])
    def test_has_an_authority_that_is_a_host(self, authority):
        """A user's name and password are never part of it."""
        sender = Sender()
        event = Request("GET", "/", Headers(), authority=authority)

        refused(ValueError, sender, sender.send_request, event)

    @pytest.mark.parametrize(
        ("fields", "headers"),
        [
            ({}, {"Transfer-Encoding": "chunked"}),
            ({"content_length": 5}, {}),
            ({}, {"Content-Length": "5"}),
            ({"content_length": 5, "end_stream": False}, {"Content-Length": "6"}),
            ({"end_stream": False}, {"Content-Length": ["5", "5"]}),
            ({}, {"Host": ["a", "a"]}),
        ],
    )
    def test_refuses_what_contradicts_itself(self, fields, headers):
        """As a response does; and two hosts."""
        sender = Sender()
        event = Request("POST", "/", Headers(headers), authority="h", **fields)

        refused(LocalProtocolError, sender, sender.send_request, event)

    @pytest.mark.parametrize("fields", [{"end_stream": False}, {"content_length": 5}])
    def test_of_connect_has_no_body(self, fields):
        """What follows is the tunnel's."""
        with pytest.raises(LocalProtocolError):
            request("CONNECT", "h:1", **fields)

    def test_says_that_the_connection_ends(self):
        """Where the caller says so."""
        sender = Sender()
        request(headers={"Connection": "x, Close"}, sender=sender)

        assert not sender.keep_alive

    def test_waits_for_the_last_one(self):
        """A second request while the first is being sent."""
        sender = Sender()
        request("POST", end_stream=False, sender=sender)

        refused(
            LocalProtocolError,
            sender,
            sender.send_request,
            Request("GET", "/", Headers(), None, "h"),
        )


class TestLengthBodies:
    @pytest.fixture
    def sender(self):
        sender = Sender()
        respond(content_length=5, sender=sender)
        return sender

    def test_pass_as_they_are(self, sender):
        """Not copied, not joined."""
        data = b"hel"

        assert sender.send_data(Data(data))[0] is data
        assert [b"lo"] == list(sender.send_data(Data(b"lo", end_stream=True)))
        assert sender.state == sending.DONE

    def test_may_be_ended_apart(self, sender):
        """Empty data is nothing, the end twice is nothing; trailers have no place."""
        assert [b"hello"] == list(sender.send_data(Data(b"hello")))
        assert [] == list(sender.send_data(Data(b"")))
        assert [] == list(sender.end_message(EndOfMessage(Headers({"X": "y"}))))
        assert [] == list(sender.end_message(EndOfMessage()))
        assert [] == list(sender.send_data(Data(b"", end_stream=True)))

    def test_are_never_longer_than_declared(self, sender):
        """Nothing of what is too long is framed: the caller has to cut the connection."""
        refused(LocalProtocolError, sender, sender.send_data, Data(b"hello!"))
        sender.send_data(Data(b"hello"))
        refused(LocalProtocolError, sender, sender.send_data, Data(b"!"))

    def test_are_never_shorter_than_declared(self, sender):
        """The end is refused, as data and as an event."""
        refused(LocalProtocolError, sender, sender.send_data, Data(b"hell", end_stream=True))
        sender.send_data(Data(b"hell"))
        refused(LocalProtocolError, sender, sender.end_message, EndOfMessage())
        refused(LocalProtocolError, sender, sender.send_data, Data(b"", end_stream=True))

    @pytest.mark.parametrize(("status", "method"), [(204, "GET"), (304, "GET"), (200, "CONNECT")])
    def test_are_empty_where_no_body_can_be(self, status, method):
        """A byte of body would be read as the next response."""
        sender = Sender()
        respond(status, method=method, sender=sender)

        refused(LocalProtocolError, sender, sender.send_data, Data(b"x"))
        assert [] == list(sender.end_message(EndOfMessage()))

    def test_are_dropped_for_head(self):
        """A handler may answer HEAD as it does GET."""
        sender = Sender()
        respond(method="HEAD", content_length=5, sender=sender)

        assert [] == list(sender.send_data(Data(b"hel")))
        assert [] == list(sender.send_data(Data(b"lo", end_stream=True)))
        assert sender.state == sending.DONE

    @pytest.mark.parametrize("event", [Data(b"x"), Data(b""), EndOfMessage()])
    def test_need_a_head(self, event):
        """Nothing is sent before it."""
        sender = Sender()
        call = sender.send_data if isinstance(event, Data) else sender.end_message

        refused(LocalProtocolError, sender, call, event)

    def test_end_with_the_message(self):
        """Bytes behind it are refused."""
        sender = Sender()
        respond(end_stream=True, sender=sender)

        refused(LocalProtocolError, sender, sender.send_data, Data(b"x"))


class TestChunkedBodies:
    @pytest.fixture
    def sender(self):
        sender = Sender()
        respond(sender=sender)
        return sender

    def test_are_framed_piece_by_piece(self, sender):
        """The data itself is not copied."""
        data = b"x" * 17
        buffers = sender.send_data(Data(data))

        assert buffers[1] is data
        assert b"".join(buffers) == b"11\r\n" + data + b"\r\n"

    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            ([Data(b"ab", end_stream=True)], b"2\r\nab\r\n0\r\n\r\n"),
            ([Data(b""), Data(b"ab"), EndOfMessage()], b"2\r\nab\r\n0\r\n\r\n"),
            ([Data(b"", end_stream=True)], b"0\r\n\r\n"),
            ([EndOfMessage()], b"0\r\n\r\n"),
            ([EndOfMessage(Headers())], b"0\r\n\r\n"),
            ([EndOfMessage(Headers([("X", "1"), ("x", "2")]))], b"0\r\nX: 1\r\nx: 2\r\n\r\n"),
        ],
    )
    def test_end_once_with_trailers_or_without(self, sender, events, expected):
        """Empty data is no chunk: it would be the end."""
        framed = b""
        for event in events:
            call = sender.send_data if isinstance(event, Data) else sender.end_message
            framed += b"".join(call(event))

        assert expected == framed
        assert sender.state == sending.DONE
        assert [] == list(sender.end_message(EndOfMessage(Headers({"X": "y"}))))

    @pytest.mark.parametrize("name", ["Content-Length", "Host", "Set-Cookie", "Trailer", "TE"])
    def test_have_no_trailers_that_belong_in_a_head(self, sender, name):
        """Refused, and the message still open."""
        event = EndOfMessage(Headers({"X": "y", name: "z"}))

        error = refused(LocalProtocolError, sender, sender.end_message, event)
        assert name in str(error)

    @pytest.mark.attack(193)
    def test_have_no_trailers_that_begin_a_message(self, sender):
        """As in any head."""
        trailers = Headers()
        trailers._own().append(("X", "a\r\n\r\nHTTP/1.1 200 OK"))
        trailers._index["x"] = ""

        refused(ValueError, sender, sender.end_message, EndOfMessage(trailers))

    def test_are_dropped_for_head(self):
        """With their end and their trailers."""
        sender = Sender()
        respond(method="HEAD", sender=sender)

        assert [] == list(sender.send_data(Data(b"x")))
        assert [] == list(sender.end_message(EndOfMessage(Headers({"X": "y"}))))


class TestGivingUp:
    @pytest.mark.parametrize("begin", [lambda sender: None, lambda sender: respond(sender=sender)])
    def test_sends_nothing_more(self, begin):
        """Closing tells the rest."""
        sender = Sender()
        begin(sender)
        sender.give_up()

        assert not sender.keep_alive
        with pytest.raises(LocalProtocolError):
            respond(sender=sender)
        with pytest.raises(LocalProtocolError):
            sender.send_data(Data(b"x"))
