"""One handler and one driver loop over both versions: the contract is not HTTP/1's alone.

`Peer` drives an engine as a server or a client would, in memory and knowing nothing of the version
it speaks: there is no branch on it here. It runs over `H1Engine` and over h2 behind the same
contract, and the two must tell handler and caller the same.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import pytest

from galeph.errors import LocalProtocolError, RemoteProtocolError
from galeph.message.headers import Headers
from galeph.protocol.engine import Engine, Role
from galeph.protocol.events import (
    CLOSED,
    NEED_DATA,
    PAUSED,
    Credit,
    Data,
    EndOfMessage,
    GoAway,
    InterimResponse,
    Request,
    Response,
    StreamReset,
)
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits
from tests.protocol.h2_adapter import CANCEL, H2Engine

# -- the driver: nothing below knows which version it speaks


@dataclass
class Message:
    """A message to send: a head, its body in pieces, its trailers."""

    head: Request | Response
    pieces: list[bytes] = field(default_factory=list)
    trailers: Headers | None = None
    resets_after: int | None = None  # give up after so many pieces


@dataclass
class Exchange:
    """What one side knows of a request and its response."""

    heads: list[Request | Response | InterimResponse] = field(default_factory=list)
    body: bytes = b""
    trailers: Headers | None = None
    is_complete: bool = False
    is_reset: bool = False
    outgoing: Message | None = None
    sent_pieces: int = 0


class Peer:
    """One side of a connection: feeds the engine, sends what is due, as far as windows allow."""

    def __init__(self, engine: Engine, handler=None, *, gives_credit: bool = True) -> None:
        self.engine = engine
        self.handler = handler
        self.gives_credit = gives_credit
        self.exchanges: dict[int, Exchange] = {}
        self.finished: list[Exchange] = []
        self.credits: list[Credit] = []
        self.is_over = False
        self.output = [*engine.take_output()]

    # Sending

    def ask(self, message: Message) -> Exchange:
        number = message.head.stream_id = self.engine.next_stream_id()
        exchange = self.exchanges[number] = Exchange()
        self.start(number, message)
        return exchange

    def start(self, number: int, message: Message) -> None:
        message.head.stream_id = number
        message.head.end_stream = not message.pieces and message.trailers is None
        self.exchanges[number].outgoing = message
        self.output += self.engine.send(message.head)
        self.pump(number)

    def pump(self, number: int) -> None:
        """Send what the peer lets us send of one message."""
        exchange = self.exchanges[number]
        message = exchange.outgoing
        if message is None:
            return
        if message.head.end_stream:
            exchange.outgoing = None
            return
        while message.pieces:
            if message.resets_after == exchange.sent_pieces:
                self.reset(number)
                return
            room = self.engine.send_capacity(number)
            if room == 0:
                return
            piece = message.pieces.pop(0)
            if room is not None and len(piece) > room:
                message.pieces.insert(0, piece[room:])
                piece = piece[:room]
            self.output += self.engine.send(Data(piece, stream_id=number))
            exchange.sent_pieces += 1
        exchange.outgoing = None
        self.output += self.engine.send(EndOfMessage(message.trailers, stream_id=number))

    def reset(self, number: int) -> None:
        exchange = self.exchanges[number]
        exchange.outgoing = None
        exchange.is_reset = True
        self.output += self.engine.send(StreamReset(CANCEL, by_peer=False, stream_id=number))
        self.is_over = not self.engine.can_reuse

    # Receiving

    def receive(self, data: bytes) -> None:
        try:
            self.engine.receive_data(data)
            while (event := self.engine.next_event()) not in (NEED_DATA, PAUSED, CLOSED):
                self.react(event)
                self.output += self.engine.take_output()
        except RemoteProtocolError:
            self.is_over = True
            for exchange in self.exchanges.values():
                exchange.is_reset = exchange.is_reset or not exchange.is_complete

    def react(self, event) -> None:
        if isinstance(event, Credit):
            self.credits.append(event)
            for number in list(self.exchanges):
                self.pump(number)
            return
        if isinstance(event, GoAway):
            return
        number = event.stream_id
        if isinstance(event, Request):
            self.exchanges[number] = Exchange([event])
        elif isinstance(event, (InterimResponse, Response)):
            self.exchanges[number].heads.append(event)
        elif isinstance(event, Data):
            self.exchanges[number].body += event.data
            if self.gives_credit:
                self.output += self.engine.credit(number, len(event.data))
        elif isinstance(event, EndOfMessage):
            self.exchanges[number].trailers = event.trailers
        elif isinstance(event, StreamReset):
            self.exchanges[number].is_reset = True
            return
        if isinstance(event, EndOfMessage) or getattr(event, "end_stream", False):
            self.complete(number)

    def complete(self, number: int) -> None:
        exchange = self.exchanges[number]
        exchange.is_complete = True
        self.finished.append(exchange)
        if self.handler is not None:
            interim, answer = self.handler(exchange)
            for event in interim:
                event.stream_id = number
                self.output += self.engine.send(event)
            self.start(number, answer)


def link(client: Peer, server: Peer) -> None:
    """Carry bytes both ways until nobody has any, and the end of one side to the other."""
    told: set[int] = set()
    while client.output or server.output or any(peer.is_over for peer in (client, server)):
        progress = False
        for peer, other in ((client, server), (server, client)):
            while peer.output:
                progress = True
                other.receive(peer.output.pop(0))
            if peer.is_over and id(peer) not in told:
                told.add(id(peer))
                progress = True
                other.receive(b"")
        if not progress:
            return


# -- the two versions


def h1_engines() -> tuple[Engine, Engine]:
    return H1Engine(Role.CLIENT, Limits()), H1Engine(Role.SERVER, Limits())


def h2_engines() -> tuple[Engine, Engine]:
    return H2Engine(Role.CLIENT), H2Engine(Role.SERVER)


@pytest.fixture(params=[h1_engines, h2_engines], ids=["HTTP/1.1", "HTTP/2"])
def engines(request):
    return request.param()


# -- the handler, and what is said to it


def handler(exchange: Exchange) -> tuple[list[InterimResponse], Message]:
    """Answer by what was asked."""
    request = exchange.heads[0]
    headers = Headers({"X-Method": request.method, "X-Authority": request.authority})
    if request.target == "/hints":
        hint = InterimResponse(103, Headers({"Link": "</a.css>"}))
        return [hint], Message(Response(200, headers, content_length=2), [b"ok"])
    if request.target == "/echo":
        return [], Message(Response(200, headers), [exchange.body] if exchange.body else [])
    if request.target == "/trailers":
        sent = exchange.trailers or Headers()
        return [], Message(Response(200, headers), [b"body"], Headers({"X-Sum": sent["X-Sum"]}))
    if request.target == "/large":
        return [], Message(Response(200, headers), [b"x" * 50_000] * 8)
    if request.target == "/reset":
        return [], Message(Response(200, headers), [b"half", b"other half"], resets_after=1)
    return [], Message(Response(204, headers))


def request(method: str, target: str, **fields) -> Request:
    return Request(method, target, Headers({"X-A": "b"}), "http", "example.com", **fields)


def converse(engines, *messages: Message, **options) -> tuple[Peer, Peer, list[Exchange]]:
    client, server = Peer(engines[0], **options), Peer(engines[1], handler)
    exchanges = []
    for message in messages:
        exchanges.append(client.ask(message))
        link(client, server)
    return client, server, exchanges


class TestOneHandler:
    def test_gets(self, engines):
        """A request without body and a response without one."""
        _, server, [exchange] = converse(engines, Message(request("GET", "/")))

        [seen] = server.finished
        head = seen.heads[0]
        assert ("GET", "/", "example.com") == (head.method, head.target, head.authority)
        assert head.headers["x-a"] == "b"
        assert head.end_stream is True
        [response] = exchange.heads
        assert (204, "GET") == (response.status, response.headers["x-method"])
        assert exchange.is_complete

    @pytest.mark.parametrize("length", [None, 11])
    def test_posts(self, engines, length):
        """Both bodies in pieces, the request's with a declared length or without."""
        message = Message(request("POST", "/echo", content_length=length), [b"hello", b" world"])
        _, server, [exchange] = converse(engines, message)

        head = server.finished[0].heads[0]
        assert (head.content_length, head.end_stream) == (length, False)
        assert exchange.body == b"hello world"
        assert exchange.is_complete

    def test_sends_trailers_both_ways(self, engines):
        """They come at the end, apart from the head."""
        message = Message(request("POST", "/trailers"), [b"a", b"b"], Headers({"X-Sum": "2"}))
        _, server, [exchange] = converse(engines, message)

        assert server.finished[0].trailers == {"x-sum": "2"}
        assert server.finished[0].body == b"ab"
        assert (exchange.body, exchange.trailers) == (b"body", {"x-sum": "2"})

    def test_hints_early(self, engines):
        """103 comes before the response, which is not changed by it."""
        _, _, [exchange] = converse(engines, Message(request("GET", "/hints")))

        hint, response = exchange.heads
        assert (103, "</a.css>") == (hint.status, hint.headers["link"])
        assert (200, 2, b"ok") == (response.status, response.content_length, exchange.body)

    def test_waits_for_credit(self, engines):
        """400 KB pass in both directions, as fast as the reader takes them."""
        body = [b"y" * 50_000] * 8
        client, _, [echo, large] = converse(
            engines, Message(request("POST", "/echo"), body), Message(request("GET", "/large"))
        )

        assert echo.body == b"y" * 400_000
        assert large.body == b"x" * 400_000
        assert not any(exchange.outgoing for exchange in client.exchanges.values())

    def test_gives_up_a_response(self, engines):
        """The reader learns that it is not whole."""
        _, _, [exchange] = converse(engines, Message(request("GET", "/reset")))

        assert exchange.is_reset
        assert not exchange.is_complete
        assert b"half".startswith(exchange.body)

    def test_learns_that_a_request_was_given_up(self, engines):
        """The handler is never called with half a body."""
        message = Message(request("POST", "/echo"), [b"half", b"other half"], resets_after=1)
        _, server, [exchange] = converse(engines, message)

        [seen] = server.exchanges.values()
        assert seen.is_reset
        assert server.finished == []
        assert exchange.is_reset

    def test_uses_a_connection_again(self, engines):
        """One exchange after the other, and both sides would go on."""
        client, server, exchanges = converse(
            engines, *[Message(request("POST", "/echo"), [b"%d" % n]) for n in range(5)]
        )

        assert [b"0", b"1", b"2", b"3", b"4"] == [exchange.body for exchange in exchanges]
        assert client.engine.can_reuse
        assert server.engine.can_reuse

    def test_refuses_what_was_not_begun(self, engines):
        """A response before its request."""
        with pytest.raises(LocalProtocolError):
            engines[1].send(InterimResponse(103, stream_id=engines[0].next_stream_id()))

    def test_hears_that_the_other_has_gone(self, engines):
        """Between exchanges a close is a clean end."""
        client, server, _ = converse(engines, Message(request("GET", "/")))
        for peer in (client, server):
            peer.engine.receive_data(b"")
            while (event := peer.engine.next_event()) not in (CLOSED, PAUSED):
                assert isinstance(event, Credit)
            assert event is CLOSED


class TestBothVersions:
    @pytest.mark.parametrize(
        "code", [Peer, handler, link, converse], ids=lambda code: code.__name__
    )
    def test_are_not_told_apart(self, code):
        """No branch on the version: neither its name nor an engine's stands in the loop."""
        source = inspect.getsource(code).lower()

        assert not any(word in source for word in ("version", "h1", "h2", "http/"))

    def test_tell_the_same(self):
        """The same conversation, compared event by event but for what the version names."""
        told = []
        for make in (h1_engines, h2_engines):
            _, server, exchanges = converse(
                make(),
                Message(request("GET", "/hints")),
                Message(request("POST", "/trailers"), [b"a"], Headers({"X-Sum": "1"})),
                Message(request("PUT", "/echo", content_length=3), [b"abc"]),
                Message(request("DELETE", "/")),
            )
            told.append([summary(exchange) for exchange in (*server.finished, *exchanges)])

        assert told[0] == told[1]


def summary(exchange: Exchange) -> list[object]:
    """What was told, without the names in which only the versions differ."""
    found: list[object] = [exchange.body, exchange.is_complete, exchange.is_reset]
    for head in exchange.heads:
        fields = {name.lower(): value for name, value in head.headers.raw}
        for name in ("host", "transfer-encoding", "content-length"):
            fields.pop(name, None)
        found.append((type(head).__name__, sorted(fields.items())))
        found += [
            getattr(head, name, None)
            for name in ("method", "target", "authority", "status", "content_length", "end_stream")
        ]
    return [*found, exchange.trailers]


class TestMapping:
    """Each event of ours over h2, there and back."""

    @pytest.fixture
    def pair(self):
        client, server = h2_engines()
        self.carry(client, server)
        self.carry(server, client)
        self.carry(client, server)
        return client, server

    @staticmethod
    def carry(sender, receiver, sent=()):
        for data in (*sent, *sender.take_output()):
            receiver.receive_data(data)
        told = []
        while (event := receiver.next_event()) is not NEED_DATA:
            told.append(event)
        return told

    def test_of_a_whole_exchange(self, pair):
        """What is sent is what is told, but for names in lower case."""
        client, server = pair
        number = client.next_stream_id()
        asked = [
            Request("POST", "/a?b", Headers({"x": "y", "content-length": "3"}), "https", "h:1",
                    "HTTP/2", 3, False, False, number),
            Data(b"abc", False, number),
            EndOfMessage(Headers({"t": "1"}), number),
        ]  # fmt: skip
        answered = [
            InterimResponse(103, Headers({"link": "x"}), number),
            Response(200, Headers({"x": "y"}), "", "HTTP/2", None, False, number),
            Data(b"d", False, number),
            Data(b"e", True, number),
        ]

        for sender, receiver, messages in ((client, server, asked), (server, client, answered)):
            for event in messages:
                assert [event] == self.carry(sender, receiver, sender.send(event))

    def test_of_ends_and_resets(self, pair):
        """An end without data, and a reset with its code."""
        client, server = pair
        number = client.next_stream_id()
        head = request("GET", "/", end_stream=False, stream_id=number)
        self.carry(client, server, client.send(head))

        told = self.carry(client, server, client.send(EndOfMessage(None, number)))
        assert told == [EndOfMessage(None, number)]
        told = self.carry(server, client, server.send(StreamReset(CANCEL, False, number)))
        assert told == [StreamReset(CANCEL, True, number)]

    def test_of_credit(self, pair):
        """What the reader consumes opens the writer's window, in bytes."""
        client, server = pair
        number = client.next_stream_id()
        head = request("POST", "/", end_stream=False, stream_id=number)
        self.carry(client, server, client.send(head))
        sent = 0
        while room := client.send_capacity(number):
            self.carry(client, server, client.send(Data(b"x" * room, stream_id=number)))
            sent += room

        assert sent == 65_535
        with pytest.raises(LocalProtocolError):
            client.send(Data(b"x", stream_id=number))
        told = self.carry(server, client, server.credit(number, 40_000))
        assert [Credit(40_000), Credit(40_000, number)] == sorted(told, key=lambda e: e.stream_id)
        assert client.send_capacity(number) == 16_384

    def test_of_the_end(self, pair):
        """No new work, on either side."""
        client, server = pair

        assert [GoAway(0, 0)] == self.carry(server, client, server.send(GoAway(0)))
        assert not client.can_reuse
        assert not server.can_reuse

    def test_of_what_breaks_the_protocol(self, pair):
        """The peer's fault has an HTTP/2 code."""
        client, _ = pair
        with pytest.raises(RemoteProtocolError) as caught:
            client.receive_data(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")

        assert caught.value.h2_code != 0


class TestBackpressure:
    def test_stops_a_writer_whose_reader_consumes_nothing(self):
        """Over HTTP/2 the engine says how much may be sent; the driver needs to know no more."""
        client, _, [exchange] = converse(
            h2_engines(), Message(request("GET", "/large")), gives_credit=False
        )

        assert len(exchange.body) == 65_535
        assert not exchange.is_complete
        assert client.engine.can_reuse
