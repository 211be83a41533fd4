"""Restricted views: one side of a stream, handed out alone."""

from __future__ import annotations

import pytest

from galeph.stream import (
    Sink,
    Source,
    Stream,
    connect,
    consume,
    is_sink,
    is_source,
    sink_only,
    source_only,
    splice,
)
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


@pytest.mark.parity("STR-23")
class TestSourceOnly:
    def test_can_be_taken_from_and_not_put_into(self):
        """In every way of taking."""
        stream = Stream(9)
        view = source_only(stream)
        stream.put_all("abcdef")

        assert (True, False) == (is_source(view), is_sink(view))
        assert not hasattr(view, "put")
        assert "a" == view.take()
        assert "b" == view.try_take(0)
        assert "c" == view.take_async().get()
        assert "d" == view.get_nowait()
        stream.close()
        assert ["e", "f"] == list(view)
        assert view.drained

    def test_closing_it_closes_the_stream(self):
        """Both sides of it, however the view is closed."""
        one, other = Stream(), Stream()
        source_only(one).close()
        with source_only(other):
            pass

        assert (True, True) == (one.closed, other.closed)

    def test_ends_as_the_stream_does(self):
        """In order or in an error, and tells who asks."""
        stream, failed, calls = Stream(1), Stream(), []
        view = source_only(stream)
        view.on_drained(lambda: calls.append("drained"))
        stream.close()
        failed.fail(ValueError("cut"))
        settle()

        assert ["drained"] == calls
        with pytest.raises(ValueError, match="cut"):
            source_only(failed).take()
        assert failed.error is source_only(failed).error

    @pytest.mark.parametrize("make", [lambda: Stream(9), Wire], ids=["queue", "connection"])
    def test_connections_and_operators_are_those_of_the_stream(self, make):
        """So every one of them sees every message."""
        stream, sink, seen = make(), Stream(9), []
        view = source_only(stream)
        connect(view, sink)
        consume(source_only(stream).map(str), seen.append)
        arrive = stream.arrive if isinstance(stream, Wire) else stream.put
        for n in range(3):
            arrive(n)
        settle()

        assert 2 == view.link_count == stream.link_count
        assert [0, 1, 2] == [sink.take() for _ in range(3)]
        assert ["0", "1", "2"] == seen
        stream.close()
        settle()

    def test_a_message_given_back_is_the_stream_s(self):
        """It is the next for whoever takes there."""
        stream = Stream(2)
        view = source_only(stream)
        stream.put_all("ab")
        view._give_back(view.take())

        assert ["a", "b"] == [stream.take(), stream.take()]

    def test_describes_one_side(self):
        """The stream's facts; the printed form says source."""
        view = source_only(Stream(3))
        facts = view.description()

        assert (True, False, 3) == (facts["source"], facts["sink"], facts["buffer_capacity"])
        assert repr(view).startswith("<stream source ")

    def test_refuses_what_is_no_source(self):
        """A TypeError names the argument."""
        with pytest.raises(TypeError, match="stream must be a source, not int"):
            source_only(5)


@pytest.mark.parity("STR-23")
class TestSinkOnly:
    def test_can_be_put_into_and_not_taken_from(self):
        """In every way of putting."""
        stream = Stream(9)
        view = sink_only(stream)

        assert (False, True) == (is_source(view), is_sink(view))
        assert not hasattr(view, "take")
        assert view.put("a") is True
        assert view.try_put("b", 0) is True
        assert view.put_async("c").get() is True
        view.put_nowait("d")
        assert view.put_all("e") is True
        future = view.put_threadsafe("f")
        settle()
        assert future.result(0) is True
        assert list("abcdef") == [stream.take() for _ in range(6)]

    def test_closing_it_closes_the_stream(self):
        """Both sides of it, however the view is closed."""
        one, other = Stream(), Stream()
        sink_only(one).close()
        with sink_only(other):
            pass

        assert (True, True) == (one.drained, other.drained)
        assert sink_only(one).closed

    def test_failing_it_fails_the_stream(self):
        """Takers see why."""
        stream = Stream()
        sink_only(stream).fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            stream.take()

    def test_tells_when_it_is_closed(self):
        """The stream's close is its own."""
        stream, calls = Stream(), []
        sink_only(stream).on_closed(lambda: calls.append("closed"))
        stream.close()
        settle()

        assert ["closed"] == calls

    def test_connections_are_those_of_the_stream(self):
        """The end of the source closes the stream behind."""
        source, stream = Stream(), Stream()
        view = sink_only(stream)
        moved = connect(source, view)
        putter = waiting(source.put, "a")

        assert 1 == view.link_count == stream.link_count
        assert "a" == stream.take()
        assert putter.get(timeout=1) is True
        source.close()
        assert moved.get(timeout=1) is True
        assert stream.closed

    def test_describes_one_side(self):
        """The stream's facts; the printed form says sink."""
        view = sink_only(Stream(3))
        facts = view.description()

        assert (False, True, 3) == (facts["source"], facts["sink"], facts["buffer_capacity"])
        assert repr(view).startswith("<stream sink ")

    def test_refuses_what_is_no_sink(self):
        """A TypeError names the argument."""
        with pytest.raises(TypeError, match="stream must be a sink, not int"):
            sink_only(5)


def test_a_view_of_a_view_is_that():
    """There is nothing more to be left out."""
    source, sink = source_only(Stream()), sink_only(Stream())

    assert source is source_only(source)
    assert sink is sink_only(sink)


def test_a_view_of_a_splice_closes_both_halves():
    """And fails the sink alone."""
    for end in (lambda view: view.close(), lambda view: view.fail(ValueError("cut"))):
        there, back = Stream(), Stream()
        view = sink_only(splice(there, back))
        assert "stream" == view.description()["type"]
        end(view)

        assert (True, True) == (there.closed, back.closed)
        assert back.error is None
    assert isinstance(there.error, ValueError)
    other = Stream()
    source_only(splice(other, Stream())).close()
    assert other.closed


def test_both_are_interfaces():
    """What takes a Source or a Sink takes a view."""
    assert isinstance(source_only(Stream()), Source)
    assert isinstance(sink_only(Stream()), Sink)
