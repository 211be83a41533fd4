"""Sinks that are functions, as the graph sees them."""

from __future__ import annotations

import functools
import gc
import weakref
from itertools import pairwise

from galeph.stream import Stream, connect_via, consume
from galeph.stream.callbacks import Callback, Function
from galeph.stream.hosting import host
from tests.stream.scenes import interruptions, settle, victim, waiting
from tests.stream.wires import Wire, yielding


class TestFunction:
    def test_says_which_function_it_is(self):
        """By its qualified name, or by kind where it has none."""

        def heard(_):
            pass

        assert heard.__qualname__ == Function(heard).description()["function"]
        assert "partial" == Function(functools.partial(heard)).description()["function"]
        assert Function(heard).is_synchronous

    def test_ends_without_a_word_to_the_function(self):
        """Closed or failed, it is not called any more."""
        seen = []
        closed, failed = (Function(seen.append, is_asked=True) for _ in range(2))
        closed.close()
        failed.fail(ValueError("cut"))

        assert [False, False] == [closed.put(1), failed.put(1)]
        assert [] == seen


class TestCallback:
    def test_counts_among_the_links_of_its_sink_while_it_is_connected(self):
        """A connection that something is forwarded to lives as long as that."""
        source, wire = Stream(), Wire()
        moved = connect_via(source, wire.put, wire)
        hosted = waiting(host, wire)

        assert 1 == wire.link_count
        assert not hosted.ready()
        moved.cancel()
        hosted.get(timeout=1)
        assert 0 == wire.link_count

    def test_leaves_a_sink_that_stays_open(self):
        """Nothing of an ended connection hangs on it."""
        source, sink = Stream(), Stream()
        moved = connect_via(source, sink.put, sink, downstream=False)
        source.close()

        assert moved.get(timeout=1) is True
        assert not sink.closed
        assert [] == sink.upstream()

    def test_is_closed_with_its_sink(self):
        """Before a message comes, while one is under way, or from the start."""
        closed, sink = Stream(), Stream()
        closed.close()
        callback = Callback(sink.put, sink, downstream=True)
        sink.close()

        assert callback.closed
        assert callback.put("a") is False
        assert Callback(closed.put, closed, downstream=True).closed
        assert 0 == closed.link_count

    def test_an_idle_one_is_collected_with_its_streams(self):
        """There is no registry."""
        source, sink = Stream(5), Stream(5)
        connect_via(source, sink.put, sink)
        source.put("a")
        settle()
        assert "a" == sink.take()
        watched = weakref.ref(source), weakref.ref(sink)
        del source, sink
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())

    def test_a_kill_of_who_moves_the_messages_ends_both_sides(self):
        """After any switch: no edge is left, the sink sees that something is missing."""

        def scene():
            nonlocal wire, sink
            wire, sink = Wire("a", "b"), Stream()
            moved = connect_via(wire, yielding(sink.put), sink)
            moved.on_realized(lambda _: None, lambda _: None)

            def then():
                settle()
                sink.try_take(0)
                settle()
                wire.end()
                settle()
                sink.try_take(0)

            return victim(host, wire), then

        wire, sink = None, None
        for way in interruptions(scene):
            settle()
            assert (0, 0) == (wire.link_count, sink.link_count), way
            assert sink.closed, way
            assert wire.closed or wire.drained, way

    def test_a_row_of_a_thousand_ends_from_either_side(self):
        """No end is told by recursion."""
        for first in (0, -1):
            streams = [Stream() for _ in range(1000)]
            for one, other in pairwise(streams):
                connect_via(one, other.put, other)
            consume(streams[-1], lambda _: None)
            streams[first].close()
            for _ in range(400):
                settle()
                if all(stream.closed for stream in streams):
                    break

            assert all(stream.closed for stream in streams)
