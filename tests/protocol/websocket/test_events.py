"""The vocabulary of the WebSocket engine."""

from galeph.protocol import events as http_events
from galeph.protocol.websocket import events


def test_values_are_equal_when_their_fields_are():
    """Events are values: tests and drivers compare them."""
    assert events.Message("x") == events.Message("x")
    assert events.Message("x") != events.Message(b"x")
    assert events.Close(1000) == events.Close(1000, "", is_cut=False)
    assert events.Ping() != events.Pong()


def test_need_data_is_the_one_of_every_engine():
    """A driver asks `is NEED_DATA`, whichever engine it drives."""
    assert events.NEED_DATA is http_events.NEED_DATA
