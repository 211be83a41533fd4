"""`H1Engine`: two halves in step, in both roles."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from galeph.errors import LocalProtocolError, RemoteProtocolError
from galeph.message.headers import Headers
from galeph.protocol.engine import Role
from galeph.protocol.events import (
    CLOSED,
    NEED_DATA,
    PAUSED,
    Closed,
    Credit,
    Data,
    EndOfMessage,
    GoAway,
    InterimResponse,
    NeedData,
    Paused,
    Request,
    Response,
    StreamReset,
)
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits
from tests.protocol.h1.feeding import byte_by_byte, read_in_every_way, read_requests

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
OK = Response(200, Headers(), end_stream=True)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


def server(data=b""):
    engine = H1Engine(Role.SERVER, Limits())
    if data:
        engine.receive_data(data)
    return engine


def client():
    return H1Engine(Role.CLIENT, Limits())


def ask(engine, method="GET", target="/", **fields):
    return b"".join(engine.send(Request(method, target, Headers(), authority="h", **fields)))


def events(engine):
    """Every event up to the next pause."""
    found = []
    while True:
        event = engine.next_event()
        if event in (NEED_DATA, PAUSED, CLOSED):
            return [*found, event]
        found.append(event)


class TestServer:
    @pytest.mark.attack(101)
    def test_tells_one_request_at_a_time(self):
        """The second waits in the buffer until the first is answered, in order."""
        engine = server(GET + POST + GET)
        seen = []
        for _ in range(3):
            told = events(engine)
            seen.append(told[0].method)
            assert told[-1] is PAUSED
            assert engine.next_event() is PAUSED
            engine.send(OK)

        assert ["GET", "POST", "GET"] == seen
        assert engine.next_event() is NEED_DATA

    def test_pauses_until_its_response_is_complete(self):
        """Also while the body is on its way."""
        engine = server(GET + GET)
        engine.next_event()
        engine.send(Response(200, Headers()))

        assert engine.next_event() is PAUSED
        engine.send(Data(b"x"))
        assert engine.next_event() is PAUSED
        engine.send(EndOfMessage())
        assert type(engine.next_event()) is Request

    def test_may_answer_before_the_request_is_complete(self):
        """The rest of the body comes first, then the next request."""
        engine = server(POST[:-2])
        engine.next_event()
        engine.send(OK)

        assert engine.is_receiving
        assert events(engine) == [Data(b"hel"), NEED_DATA]
        engine.receive_data(POST[-2:] + GET)
        assert engine.next_event() == Data(b"lo", end_stream=True)
        assert not engine.is_receiving
        assert engine.next_event().target == "/a"

    @pytest.mark.attack(102)
    @pytest.mark.parametrize("garbage", [b"\x00\x01", b"nonsense\r\n\r\n", b"GET /\r\n\r\n", b"  "])
    def test_answers_what_is_good_before_it_refuses(self, garbage):
        """The first request is served whole, the garbage behind it is 400."""
        reading = read_in_every_way(read_requests, GET + garbage)

        assert ["/a"] == [head.target for head in reading.heads]
        assert reading.messages[0].is_complete
        assert reading.status == 400

    @pytest.mark.attack(103, 78)
    @pytest.mark.parametrize(
        ("bad", "status"),
        [
            (b"GET / HTTP/1.1\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n", 413),
            (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
            (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX", 400),
            (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
            (b"GET / HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n", 417),
        ],
    )
    def test_serves_nothing_behind_a_refusal(self, bad, status):
        """However much of it was read ahead."""
        reading = read_in_every_way(read_requests, bad + GET * 2)
        assert status == reading.status
        assert not any(message.is_complete for message in reading.messages)

        engine = server(bad + GET * 2)
        with pytest.raises(RemoteProtocolError):
            events(engine)
        if not engine.has_answered:
            engine.send(Response(status, Headers(), end_stream=True))
        assert not engine.can_reuse
        with pytest.raises(RemoteProtocolError):
            engine.next_event()
        assert engine.trailing_data() == b""

    @pytest.mark.attack(104)
    def test_keeps_exact_boundaries(self):
        """A length of 0 followed by what looks like a body is followed by a request."""
        data = (
            b"POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 25\r\n\r\n"
            b"GET /3 HTTP/1.1\r\nHost: \r\n"
            b"\r\n" + GET
        )
        reading = read_in_every_way(read_requests, data)

        assert ["/1", "/2", "/a"] == [head.target for head in reading.heads]
        assert reading.bodies[1] == b"GET /3 HTTP/1.1\r\nHost: \r\n"

    @pytest.mark.attack(64)
    @pytest.mark.parametrize(
        ("extra", "ending"),
        [
            (b"", "need"), (b"\r\n", "need"), (b"x", "need"), (b"\n", (400, "request-line")),
            (b"\0", (400, "request-line")), (b"\r\n\r\n", (400, "request-line")),
            (b"x\r\n\r\n", (400, "request-line")),
        ],
    )  # fmt: skip
    def test_takes_bytes_behind_a_chunked_body_for_the_next_request(self, extra, ending):
        """And refuses them if they are none."""
        chunked = (
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
        )
        reading = read_in_every_way(read_requests, chunked + extra)

        assert [b"a"] == reading.bodies
        assert ending == reading.ending

    @pytest.mark.attack(62)
    @pytest.mark.parametrize("rest", [b"x", GET, b"\x00" * 100, b"\r\n\r\n"])
    def test_discards_what_follows_the_last_request(self, rest):
        """Connection: close: the response is sent whole, the bytes behind are never parsed."""
        last = GET[:-2] + b"Connection: close\r\n\r\n"
        assert read_in_every_way(read_requests, last + rest).ending == "paused"

        engine = server(last + rest)
        engine.next_event()
        framed = b"".join(engine.send(Response(200, Headers(), content_length=2)))
        assert b"Connection: close\r\n" in framed
        assert engine.next_event() is PAUSED
        assert [b"ok"] == list(engine.send(Data(b"ok", end_stream=True)))
        assert engine.next_event() is PAUSED
        assert not engine.can_reuse

    @pytest.mark.attack(63)
    @pytest.mark.parametrize(
        "body",
        [
            b"Content-Length: 5\r\n\r\nhello",
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ],
    )
    def test_reads_the_body_of_a_declined_upgrade(self, body):
        """Upgrade alone changes nothing: the body is a body, and the next request is one."""
        upgrade = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        reading = read_in_every_way(read_requests, upgrade + body + GET)

        assert [b"hello", b""] == reading.bodies
        assert ["POST", "GET"] == [head.method for head in reading.heads]

    def test_ends_cleanly_when_the_peer_has_closed(self):
        """After the requests that were received have been answered."""
        engine = server(GET + GET)
        engine.receive_data(b"")
        for _ in range(2):
            assert type(engine.next_event()) is Request
            engine.send(OK)

        assert engine.next_event() is CLOSED


class TestReceiving:
    """`receive` is `receive_data` and `next_event` at less cost."""

    HEADS = (
        GET,
        GET.replace(b"/a", b"/c?d"),
        b"HEAD" + GET[3:],
        b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: h\r\nX: \xe4\r\n\r\n",  # through h11
        b"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
        POST,
        GET[:9],
        GET + GET,
        b"\r\n" + GET,
        b"GET /a HTTP/1.1\r\n\r\n",
        b"",
    )

    @staticmethod
    def answer(engine, body):
        """Take the rest of a request, answer it, and say what the engine thinks of it all."""
        said = []
        while type(engine.next_event()) in (Data, EndOfMessage):
            pass
        for event in (InterimResponse(101, Headers()), Response(200, Headers(), content_length=2)):
            try:
                said += engine.send(event)
            except LocalProtocolError as error:
                said.append(str(error))
        if not engine.has_switched:
            said += engine.send(Data(body, end_stream=True))
        counts = engine.fast_heads, engine.slow_heads
        return said, counts, engine.can_reuse, engine.is_idle, engine.trailing_data()

    @given(st.lists(st.sampled_from(HEADS), min_size=1, max_size=12), st.booleans())
    @example([GET] * 5, False)
    @example([GET] * 4 + [HEADS[4], GET, HEADS[2], HEADS[2], HEADS[2], GET], True)
    @example([HEADS[3]] * 5, False)
    def test_is_the_same_as_in_two_steps(self, heads, spoils):
        """Event for event and answer for answer, whatever a handler does to the headers."""
        one, two = server(), server()
        for data in heads:
            outcomes = []
            for engine in (one, two):
                try:
                    if engine is one:
                        event = engine.receive(data)
                    else:
                        engine.receive_data(data)
                        event = engine.next_event()
                except RemoteProtocolError as error:
                    outcomes.append(str(error))
                    continue
                outcomes.append(repr(event))
                if type(event) is Request:
                    if spoils:
                        event.headers["X-Spoiled"] = "1"
                    outcomes.append(self.answer(engine, b"ok"))
            half = len(outcomes) // 2

            assert outcomes[:half] == outcomes[half:]

            if not (one.can_reuse and two.can_reuse):
                return

    def test_known_requests_are_told_apart(self):
        """The headers of a request that comes again are not those of the last one."""
        engine = server()
        seen = []
        for _ in range(5):
            event = engine.receive(GET)
            seen.append((event.method, event.target, event.authority, dict(event.headers)))
            event.headers["X"] = "1"
            engine.send(OK)

        assert [("GET", "/a", "h", {"Host": "h"})] * 5 == seen
        assert 5 == engine.fast_heads


class TestResponses:
    def test_follow_the_method(self):
        """HEAD has no body, and the next GET has one again."""
        engine = server(GET.replace(b"GET", b"HEAD") + GET)
        bodies = []
        for _ in range(2):
            engine.next_event()
            engine.send(Response(200, Headers(), content_length=2))
            bodies.append(b"".join(engine.send(Data(b"ok", end_stream=True))))

        assert [b"", b"ok"] == bodies

    @pytest.mark.attack(106)
    @pytest.mark.parametrize(
        ("asked", "length", "connection", "keeps"),
        [
            (b"Connection: keep-alive\r\n", 0, b"Connection: keep-alive", True),
            (b"", 0, b"Connection: close", False),
            (b"Connection: keep-alive\r\n", None, b"Connection: close", False),
            (b"Connection: keep-alive, close\r\n", 0, b"Connection: close", False),
        ],
    )
    def test_to_1_0_keep_the_connection_only_if_asked_and_of_known_length(
        self, asked, length, connection, keeps
    ):
        """And are never chunked."""
        engine = server(b"GET / HTTP/1.0\r\n" + asked + b"\r\n")
        engine.next_event()
        head = b"".join(engine.send(Response(200, Headers(), content_length=length)))
        engine.send(EndOfMessage())

        assert connection in head
        assert b"chunked" not in head
        assert keeps is engine.can_reuse

    def test_to_what_was_not_understood_close_the_connection(self):
        """And are not framed for the request before."""
        engine = server(GET.replace(b"GET", b"HEAD") + b"nonsense\r\n\r\n")
        engine.next_event()
        engine.send(Response(200, Headers(), end_stream=True))
        with pytest.raises(RemoteProtocolError):
            engine.next_event()
        head = b"".join(engine.send(Response(400, Headers(), content_length=3)))

        assert b"Connection: close\r\n" in head
        assert [b"bad"] == list(engine.send(Data(b"bad", end_stream=True)))

    def test_to_half_a_head_close_the_connection(self):
        """A 408 is an answer to no request: what comes next must not be taken for one."""
        engine = server(GET[:9])
        engine.next_event()
        head = b"".join(engine.send(Response(408, Headers(), end_stream=True)))

        assert b"Connection: close\r\n" in head
        assert not engine.can_reuse

    @pytest.mark.parametrize("event", [InterimResponse(100), InterimResponse(101)])
    def test_of_1xx_need_a_request(self, event):
        """Before the first, between two, and after the last word."""
        engine = server()
        with pytest.raises(LocalProtocolError):
            engine.send(event)
        engine.receive_data(GET)
        engine.next_event()
        engine.send(OK)
        with pytest.raises(LocalProtocolError):
            engine.send(event)
        engine.next_event()
        with pytest.raises(LocalProtocolError):
            engine.send(event)

    def test_of_1xx_are_not_known_to_1_0(self):
        """RFC 9110 section 15.2."""
        engine = server(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        engine.next_event()

        with pytest.raises(LocalProtocolError):
            engine.send(InterimResponse(103))
        assert not engine.has_answered

    def test_may_say_that_the_connection_ends(self):
        """What is decided before a request is known holds for its answer."""
        engine = server()
        engine.close_after_response()
        engine.receive_data(GET + GET)
        engine.next_event()
        head = b"".join(engine.send(OK))

        assert b"Connection: close\r\n" in head
        assert engine.next_event() is PAUSED
        assert not engine.can_reuse


class TestSwitching:
    UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

    def test_to_another_protocol_leaves_its_bytes(self):
        """101 ends HTTP; what was received behind the head is given out as it is."""
        engine = server(self.UPGRADE + b"\x81\x05")
        engine.next_event()
        engine.send(InterimResponse(101, Headers({"Upgrade": "x"})))

        assert engine.has_switched
        assert not engine.can_reuse
        assert engine.next_event() is PAUSED
        assert engine.trailing_data() == b"\x81\x05"
        for event in (OK, InterimResponse(101), Data(b"x")):
            with pytest.raises(LocalProtocolError):
                engine.send(event)

    def test_must_have_been_asked_for(self):
        """101 to a request without Upgrade is our fault."""
        engine = server(GET)
        engine.next_event()

        with pytest.raises(LocalProtocolError):
            engine.send(InterimResponse(101))
        assert not engine.has_switched
        engine.send(OK)

    def test_waits_for_the_body(self):
        """The rest of a body must not become the first bytes of the new protocol."""
        engine = server(self.UPGRADE.replace(b"Host", b"Content-Length: 5\r\nHost") + b"hel")
        engine.next_event()

        with pytest.raises(LocalProtocolError):
            engine.send(InterimResponse(101))
        engine.receive_data(b"loX")
        events(engine)
        engine.send(InterimResponse(101))
        assert engine.trailing_data() == b"X"

    @pytest.mark.parametrize("end_stream", [True, False])
    def test_to_a_tunnel_is_any_2xx_to_connect(self, end_stream):
        """Nothing frames it, and nothing is said of a length."""
        engine = server(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n\x16\x03")
        engine.next_event()
        head = b"".join(engine.send(Response(200, Headers(), end_stream=end_stream)))

        assert head == b"HTTP/1.1 200 OK\r\n\r\n"
        assert engine.has_switched
        assert engine.trailing_data() == b"\x16\x03"

    def test_to_a_tunnel_that_is_refused_ends_the_connection(self):
        """The client may have sent bytes for the tunnel already: they are no request."""
        engine = server(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
        engine.next_event()
        head = b"".join(engine.send(Response(403, Headers(), end_stream=True)))

        assert b"Connection: close\r\n" in head
        assert engine.next_event() is PAUSED
        assert not engine.can_reuse


class TestClient:
    def test_sends_one_request_at_a_time(self):
        """The next when both halves of this exchange are complete."""
        engine = client()
        ask(engine)
        with pytest.raises(LocalProtocolError):
            ask(engine)
        engine.receive_data(NO_CONTENT[:-1])
        events(engine)
        with pytest.raises(LocalProtocolError):
            ask(engine)
        engine.receive_data(NO_CONTENT[-1:])
        events(engine)

        assert engine.can_reuse
        assert ask(engine, target="/2").startswith(b"GET /2 ")

    def test_hears_an_early_answer(self):
        """While it still sends; it may go on, and then reuse the connection."""
        engine = client()
        ask(engine, "POST", content_length=5, end_stream=False)
        engine.receive_data(b"HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n")

        assert engine.next_event().status == 413
        assert engine.next_event() is PAUSED
        assert engine.is_sending
        engine.send(Data(b"hello", end_stream=True))
        assert engine.next_event() is NEED_DATA
        assert engine.can_reuse

    @pytest.mark.attack(216)
    @pytest.mark.parametrize("asks_first", [True, False])
    def test_never_takes_unasked_bytes_for_an_answer(self, asks_first):
        """Behind an answer or while idle: whoever looks first, the connection is not reused."""
        engine = client()
        ask(engine)
        engine.receive_data(NO_CONTENT)
        events(engine)
        engine.receive_data(NO_CONTENT)

        assert not engine.can_reuse
        if asks_first:
            with pytest.raises(RemoteProtocolError):
                engine.next_event()
        with pytest.raises(LocalProtocolError):
            ask(engine)

    def test_sends_nothing_on_a_connection_that_is_over(self):
        """Closed by the peer, refused, or never to be used again."""
        closed, refused, last = client(), client(), client()
        closed.receive_data(b"")
        ask(refused)
        refused.receive_data(b"nonsense\r\n")
        with pytest.raises(RemoteProtocolError):
            refused.next_event()
        ask(last)
        last.receive_data(b"HTTP/1.1 204 x\r\nConnection: close\r\n\r\n")
        events(last)

        for engine in (closed, refused, last):
            assert not engine.can_reuse
            with pytest.raises(LocalProtocolError):
                ask(engine)

    def test_is_told_that_the_server_has_gone(self):
        """While idle it is a clean end, while waiting it is not."""
        idle, waiting = client(), client()
        ask(waiting)
        for engine in (idle, waiting):
            engine.receive_data(b"")

        assert idle.next_event() is CLOSED
        with pytest.raises(RemoteProtocolError):
            waiting.next_event()

    def test_switches_when_the_server_does(self):
        """101 to a request with Upgrade, 2xx to CONNECT."""
        upgrading, tunneling = client(), client()
        upgrading.send(Request("GET", "/", Headers({"Upgrade": "x"}), None, "h"))
        upgrading.receive_data(b"HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\nrest")
        ask(tunneling, "CONNECT", "h:1")
        tunneling.receive_data(b"HTTP/1.1 200 x\r\n\r\nrest")

        for engine in (upgrading, tunneling):
            assert events(engine)[-1] is PAUSED
            assert engine.has_switched
            assert not engine.can_reuse
            assert engine.trailing_data() == b"rest"


class TestRoles:
    @pytest.mark.parametrize(
        "event",
        [Request("GET", "/", Headers()), Closed(), GoAway(0), NeedData(), Paused(), Credit(1)],
    )
    def test_of_a_server_does_not_include(self, event):
        """What only a client says, or nobody on HTTP/1."""
        engine = server(GET)
        engine.next_event()

        with pytest.raises(LocalProtocolError):
            engine.send(event)
        engine.send(OK)

    @pytest.mark.parametrize("event", [OK, InterimResponse(100), Closed(), GoAway(0), Credit(1)])
    def test_of_a_client_does_not_include(self, event):
        """What only a server says, or nobody on HTTP/1."""
        engine = client()

        with pytest.raises(LocalProtocolError):
            engine.send(event)
        ask(engine)

    @pytest.mark.parametrize("make", [lambda: server(GET), client])
    def test_give_up_alike(self, make):
        """HTTP/1 can only say it by closing: nothing is written, nothing more is sent."""
        engine = make()
        assert list(engine.send(StreamReset())) == []

        assert not engine.can_reuse
        with pytest.raises(LocalProtocolError):
            engine.send(Data(b"x"))

    def test_have_no_windows_and_no_stream_numbers(self):
        """The contract's questions have HTTP/1's answers."""
        engine = client()

        assert engine.send_capacity(0) is None
        assert list(engine.credit(0, 100)) == []
        assert list(engine.take_output()) == []
        assert engine.next_stream_id() == 0


class TestState:
    def test_of_a_server_connection(self):
        """What a driver asks, through one exchange."""

        def state():
            return (
                engine.is_idle, engine.is_receiving, engine.is_sending, engine.has_answered,
                engine.can_reuse, engine.has_switched, engine.ends_by_close,
            )  # fmt: skip

        engine = server()
        assert state() == (True, False, False, False, True, False, False)
        engine.receive_data(POST[:20])
        engine.next_event()
        assert state() == (False, False, False, False, True, False, False)
        engine.receive_data(POST[20:-1])
        events(engine)
        assert state() == (False, True, False, False, True, False, False)
        engine.send(Response(200, Headers()))
        assert state() == (False, True, True, True, True, False, False)
        engine.receive_data(POST[-1:])
        events(engine)
        assert state() == (True, False, True, True, True, False, False)
        engine.send(EndOfMessage())
        assert state() == (True, False, False, True, True, False, False)
        assert engine.next_event() is NEED_DATA
        assert state() == (True, False, False, False, True, False, False)

    def test_can_be_made_small(self):
        """What is known of the last requests may be dropped at any time."""
        engine = server(GET)
        for _ in range(4):
            assert engine.next_event().target == "/a"
            engine.forget_fields()
            engine.send(OK)
            engine.receive_data(GET)

    def test_counts_heads_and_chunks(self):
        """By the way they took, over the whole connection."""
        slow = GET.replace(b"\r\n\r\n", b"\r\nX: \xe9\r\n\r\n")
        chunked = (
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n1;b\r\nc\r\n0\r\nX: y\r\n\r\n"
        )
        engine = server(GET + slow + chunked + GET)
        while events(engine)[0] is not NEED_DATA:
            engine.send(OK)

        assert (3, 1) == (engine.fast_heads, engine.slow_heads)
        assert (2, 2) == (engine.plain_chunks, engine.slow_chunks)


class TestPairs:
    """Both roles against each other, in memory."""

    @pytest.mark.parametrize("cut", [lambda data: [data], byte_by_byte])
    @pytest.mark.parametrize(
        ("fields", "pieces", "trailers"),
        [
            ({}, [], None),
            ({"content_length": 5, "end_stream": False}, [b"he", b"llo"], None),
            ({"content_length": 0, "end_stream": False}, [], None),
            ({"end_stream": False}, [b"he", b"", b"llo"], None),
            ({"end_stream": False}, [b"x" * 1000], Headers({"X-Sum": "9"})),
        ],
    )
    def test_understand_each_other(self, cut, fields, pieces, trailers):
        """Requests and responses of every framing arrive as they were sent, twice over."""
        engines = {Role.CLIENT: client(), Role.SERVER: server()}
        for _ in range(2):
            for sender, receiver, head in (
                (Role.CLIENT, Role.SERVER, Request("PUT", "/", Headers({"A": "b"}), None, "h")),
                (Role.SERVER, Role.CLIENT, Response(200, Headers({"A": "b"}), end_stream=True)),
            ):
                for name, value in fields.items():
                    setattr(head, name, value)
                sent = [*engines[sender].send(head)]
                if not head.end_stream:
                    for piece in pieces:
                        sent += engines[sender].send(Data(piece))
                    sent += engines[sender].send(EndOfMessage(trailers))
                told = []
                for data in cut(b"".join(sent)):
                    engines[receiver].receive_data(data)
                    told += events(engines[receiver])[:-1]

                assert head.headers["A"] == told[0].headers["A"]
                assert b"".join(pieces) == b"".join(
                    one.data for one in told if isinstance(one, Data)
                )
                ends = [one.trailers for one in told if isinstance(one, EndOfMessage)]
                assert (ends or [None])[-1] == trailers

        assert all(engine.can_reuse for engine in engines.values())
