"""`source` and `sink`: what can be made a stream, and what is refused."""

from __future__ import annotations

import builtins
import io
from concurrent.futures import Future

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.queue import Channel, Queue, SimpleQueue

from galeph.deferred import Deferred, success
from galeph.stream import (
    Sink,
    Source,
    Stream,
    can_be_sink,
    can_be_source,
    consume,
    is_sink,
    is_source,
    is_stream,
    map,
    sink,
    source,
    splice,
)


def name_of(x):
    """The kind of an argument."""
    return type(x).__name__


def realized_future():
    future = Future()
    future.set_result(1)
    return future


# These are looked at, and not taken from.
SOURCES = [SimpleQueue(), Queue(), Channel(), [1], (1,), {1: 2}, iter([1]), range(3)]
DEFERRABLES = [success(1), AsyncResult(), gevent.Greenlet(), realized_future()]
NEITHER = [5, None, "text", b"bytes", bytearray(b"bytes"), object()]


class TestCoercing:
    @pytest.mark.parity("STR-25")
    def test_a_stream_is_itself(self):
        """Nothing is wrapped that needs no wrapping."""
        stream = Stream()

        assert stream is source(stream)
        assert stream is sink(stream)
        assert stream is source(stream, None)
        assert stream is sink(stream, None)

    @pytest.mark.parity("STR-25")
    @pytest.mark.parametrize("x", [*SOURCES, *DEFERRABLES, io.BytesIO()], ids=name_of)
    def test_makes_a_source_of_what_gives(self, x):
        """Queues, collections, iterators, what is deferred, files."""
        assert isinstance(source(x), Source)
        assert isinstance(source(x, "default"), Source)
        assert not isinstance(source(x), Sink)

    @pytest.mark.parity("STR-25")
    @pytest.mark.parametrize("x", [*SOURCES[:3], Deferred(), io.BytesIO()], ids=name_of)
    def test_makes_a_sink_of_what_takes(self, x):
        """Queues, deferreds, files."""
        assert isinstance(sink(x), Sink)
        assert isinstance(sink(x, "default"), Sink)
        assert not isinstance(sink(x), Source)

    @pytest.mark.parity("STR-25")
    @pytest.mark.parametrize("wrong", NEITHER, ids=repr)
    def test_returns_the_default_instead_of_raising(self, wrong):
        """Any, None included."""
        assert "default" == source(wrong, "default")
        assert source(wrong, None) is None
        assert "default" == sink(wrong, "default")
        assert sink(wrong, None) is None

    @pytest.mark.parity("STR-25")
    def test_operators_and_connections_coerce_by_themselves(self):
        """Wherever a source is taken, what can be made one is."""
        seen = []

        assert ["1", "2"] == list(map(str, [1, 2]))
        assert consume(iter([1]), seen.append).get(timeout=1) is True
        assert [1] == seen
        assert [1] == list(splice(Queue(), [1]))

    @pytest.mark.parity("STR-25")
    @pytest.mark.parametrize("wrong", NEITHER, ids=repr)
    def test_others_are_refused_by_name(self, wrong):
        """Text and bytes too: their characters are hardly ever meant."""
        with pytest.raises(TypeError, match=f"source must be .*not {type(wrong).__name__}"):
            source(wrong)
        with pytest.raises(TypeError, match=f"sink must be .*not {type(wrong).__name__}"):
            sink(wrong)

    @pytest.mark.parametrize("wrong", [[1], iter([1]), AsyncResult()], ids=name_of)
    def test_what_can_only_be_read_is_no_sink(self, wrong):
        """A list has no room, an AsyncResult nobody to say no for it."""
        with pytest.raises(TypeError, match=type(wrong).__name__):
            sink(wrong)


@pytest.mark.parity("STR-26")
class TestPredicates:
    def test_tell_streams_apart(self):
        """What it is by itself: a stream, a source, a sink."""
        both, only_source, only_sink = Stream(), source([1]), sink(Queue())

        assert (True, True, True) == (is_stream(both), is_source(both), is_sink(both))
        assert (True, True, False) == tuple(
            is_it(only_source) for is_it in (is_stream, is_source, is_sink)
        )
        assert (True, False, True) == tuple(
            is_it(only_sink) for is_it in (is_stream, is_source, is_sink)
        )
        for other in (*SOURCES, *DEFERRABLES, *NEITHER):
            assert not any((is_stream(other), is_source(other), is_sink(other)))

    def test_tell_what_could_be_made_one(self):
        """Exactly what `source` and `sink` do not refuse, and nothing is made or touched."""
        items = (n for n in range(3))

        assert all(
            builtins.map(can_be_source, [Stream(), *SOURCES, *DEFERRABLES, items, io.BytesIO()])
        )
        assert all(builtins.map(can_be_sink, [Stream(), *SOURCES[:3], Deferred(), io.BytesIO()]))
        assert not any(can_be_source(wrong) for wrong in (*NEITHER, sink(Queue())))
        assert not any(can_be_sink(wrong) for wrong in (*NEITHER, [1], items, source([1])))
        assert [0, 1, 2] == list(items)
