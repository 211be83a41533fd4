"""The event vocabulary."""

import dataclasses
import typing

import pytest

from galeph.message.headers import Headers
from galeph.protocol import events
from galeph.protocol.events import (
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

EVERY = [
    Request("GET", "/", Headers()),
    InterimResponse(103),
    Response(200, Headers()),
    Data(b"x"),
    EndOfMessage(),
    StreamReset(),
    Credit(1),
    GoAway(0),
    Closed(),
    NeedData(),
    Paused(),
]


class TestEvents:
    def test_are_all_in_the_union(self):
        """What an engine may say is written once, and nothing else is exported."""
        members = set(typing.get_args(events.Event))

        assert members == {type(one) for one in EVERY}
        assert {one.__name__ for one in members} | {"Event"} == set(events.__all__)

    @pytest.mark.parametrize("event", EVERY, ids=lambda one: type(one).__name__)
    def test_hold_their_fields_and_nothing_else(self, event):
        """Slotted: a misspelled field is an error, and an event is small."""
        assert not hasattr(event, "__dict__")
        with pytest.raises(AttributeError):
            event.nonsense = 1

    @pytest.mark.parametrize("event", EVERY, ids=lambda one: type(one).__name__)
    def test_compare_by_what_they_say(self, event):
        """Tests and adapters compare them."""
        assert event == dataclasses.replace(event)

    @pytest.mark.parametrize(
        "kind", [Request, InterimResponse, Response, Data, EndOfMessage, StreamReset, Credit]
    )
    def test_belong_to_stream_0_unless_said_otherwise(self, kind):
        """HTTP/1 has one exchange at a time and never fills the number in."""
        fields = {one.name: one.default for one in dataclasses.fields(kind)}

        assert fields["stream_id"] == 0

    def test_have_defaults_of_a_message_without_body(self):
        """A request usually has none; whether a response has one must be said."""
        assert Request("GET", "/", Headers()).end_stream is True
        assert Response(200, Headers()).end_stream is False
        assert Data(b"").end_stream is False
        assert EndOfMessage().trailers is None

    def test_do_not_share_default_headers(self):
        """Each interim response has its own."""
        InterimResponse(103).headers.add("Link", "</a>")

        assert InterimResponse(103).headers.raw == ()

    def test_have_one_object_for_each_that_says_nothing_more(self):
        """Drivers compare by identity on every read."""
        assert NeedData() == events.NEED_DATA
        assert Paused() == events.PAUSED
        assert Closed() == events.CLOSED
