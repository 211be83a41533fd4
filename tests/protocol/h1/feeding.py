"""Feeding an `H1Engine` the same bytes in every way they can be cut, and comparing what it says.

`read_requests` and `read_responses` run an engine to its end and give a `Reading`: the messages it
understood and how it ended. Two cuts of the same bytes must give equal readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from galeph.errors import RemoteProtocolError
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
from galeph.protocol.h1 import H1Engine
from galeph.protocol.limits import Limits

LIMITS = Limits()


@dataclass
class Message:
    """One message as a reader sees it, whatever pieces it came in."""

    head: Request | Response | InterimResponse
    body: bytes = b""
    trailers: tuple[tuple[str, str], ...] | None = None
    is_complete: bool = False


@dataclass
class Reading:
    """What an engine said about some bytes.

    ``ending`` is "need", "paused" or "closed", or the status and case of a refusal.
    """

    messages: list[Message] = field(default_factory=list)
    ending: str | tuple[int, str] = "need"

    @property
    def status(self) -> int | None:
        """The status of the refusal, None if nothing was refused."""
        return self.ending[0] if isinstance(self.ending, tuple) else None

    @property
    def case(self) -> str | None:
        return self.ending[1] if isinstance(self.ending, tuple) else None

    @property
    def heads(self) -> list:
        return [message.head for message in self.messages]

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.messages]

    def settled(self) -> tuple:
        """What must not depend on the cuts.

        How much of a body was seen before something behind it was refused does: bytes that
        arrive together are understood together.
        """
        settled = []
        for message in self.messages:
            body = message.body if message.is_complete or self.status is None else None
            settled.append((_key(message.head), body, message.trailers, message.is_complete))
        return settled, self.status


def _key(head: Request | Response | InterimResponse) -> tuple:
    values = {name: getattr(head, name) for name in type(head).__slots__}
    values["headers"] = head.headers.raw
    return type(head).__name__, tuple(sorted(values.items(), key=lambda item: item[0]))


def read_requests(pieces: Iterable[bytes], limits: Limits = LIMITS) -> Reading:
    """Play the server: answer every complete request with an empty 200, up to the end."""
    engine = H1Engine(Role.SERVER, limits)

    def answer() -> None:
        engine.send(Response(200, Headers(), end_stream=True))

    return _read(engine, pieces, answer)


def read_responses(
    pieces: Iterable[bytes],
    limits: Limits = LIMITS,
    methods: Iterable[str] = ("GET",),
    headers: Headers | None = None,
) -> Reading:
    """Play the client that sends these requests one after the other, up to the end."""
    engine = H1Engine(Role.CLIENT, limits)
    waiting = iter(methods)

    def ask() -> None:
        method = next(waiting, None)
        if method is not None:
            target = "h:80" if method == "CONNECT" else "/"
            engine.send(Request(method, target, headers or Headers(), authority="h"))

    ask()
    return _read(engine, pieces, ask)


def _read(engine: H1Engine, pieces: Iterable[bytes], on_complete: Callable[[], None]) -> Reading:
    reading = Reading()
    try:
        for piece in pieces:
            engine.receive_data(piece)
            reading.ending = _drain(engine, reading.messages, on_complete)
    except RemoteProtocolError as error:
        reading.ending = (error.status_hint, error.case)
    return reading


def _drain(engine: H1Engine, messages: list[Message], on_complete: Callable[[], None]) -> str:
    while True:
        event = engine.next_event()
        if event is NEED_DATA:
            return "need"
        if event is PAUSED:
            return "paused"
        if event is CLOSED:
            return "closed"
        ended = False
        if isinstance(event, (Request, Response, InterimResponse)):
            messages.append(Message(event))
            ended = isinstance(event, InterimResponse) or event.end_stream
        elif isinstance(event, Data):
            assert event.data
            messages[-1].body += event.data
            ended = event.end_stream
        elif isinstance(event, EndOfMessage):
            messages[-1].trailers = None if event.trailers is None else event.trailers.raw
            ended = True
        if ended:
            messages[-1].is_complete = True
            if not isinstance(event, InterimResponse):
                on_complete()


# Cuts


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def by_line(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def every_split(data: bytes) -> Iterator[list[bytes]]:
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def every_pair_of_splits(data: bytes) -> Iterator[list[bytes]]:
    for one in range(1, len(data)):
        for other in range(one + 1, len(data)):
            yield [data[:one], data[one:other], data[other:]]


def read_in_every_way(
    read: Callable[[Iterable[bytes]], Reading], data: bytes, *, eof: bool = False
) -> Reading:
    """Read ``data`` whole, byte by byte, by line and at every split; they must agree."""
    end = [b""] if eof else []
    whole = read([data, *end])
    expected = whole.settled()
    for pieces in ([], byte_by_byte(data), by_line(data), *every_split(data)):
        if pieces:
            assert expected == read([*pieces, *end]).settled(), pieces
    return whole
