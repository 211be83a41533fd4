"""Links and branches: what a stream knows of what it is connected to."""

from __future__ import annotations

import gc
import weakref

import pytest

from galeph.clock import set_default
from galeph.errors import TimedOut
from galeph.stream import Stream, connect, consume
from galeph.stream.hosting import host
from galeph.stream.links import Branch, Link
from galeph.stream.outlets import outlet_of
from galeph.testing import ManualClock
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


class TestCounting:
    def test_links_count_on_both_streams(self):
        """In and out, for as long as they last."""
        one, two = Stream(), Stream()
        there, back = connect(one, two), connect(two, one)

        assert (2, 2) == (one.link_count, two.link_count)
        there.cancel()
        assert (1, 1) == (one.link_count, two.link_count)
        back.cancel()
        assert (0, 0) == (one.link_count, two.link_count)

    def test_a_stream_connected_to_itself_counts_both_ends(self):
        """One link, out and in."""
        wire = Wire()
        echoing = connect(wire, wire)

        assert 2 == wire.link_count
        echoing.cancel()
        settle()
        assert 0 == wire.link_count

    def test_a_link_below_operators_counts_on_the_source(self):
        """However long the chain; and no more when it is cut."""
        wire, sink = Wire(), Stream()
        moved = connect(wire.map(str).filter(len), sink)
        hosted = waiting(host, wire)

        assert (1, 1) == (wire.link_count, sink.link_count)
        assert not hosted.ready()
        moved.cancel()
        hosted.get(timeout=1)
        assert 0 == wire.link_count

    def test_an_operator_that_nobody_holds_is_gone_at_once(self):
        """With what it takes from; also one that has sent a series."""
        for name, args in {"map": (str,), "mapcat": (list,), "batch": (1,)}.items():
            source = Stream(9)
            source.put("a")
            operator = getattr(source, name)(*args)
            operator.take()
            alive = [weakref.ref(each) for each in (source, operator)]
            gc.disable()
            try:
                del source, operator
                settle()
                assert [None, None] == [each() for each in alive], name
            finally:
                gc.enable()

    def test_a_cut_link_leaves_the_others_below_the_same_operator(self):
        """The operator stays connected by what is left."""
        wire, seen = Wire(), []
        mapped = wire.map(str)
        cut, kept = connect(mapped, Stream()), consume(mapped, seen.append)
        cut.cancel()
        del mapped
        gc.collect()
        wire.arrive(1)
        settle()

        assert 1 == wire.link_count
        assert ["1"] == seen
        kept.cancel()
        settle()
        assert 0 == wire.link_count


class TestLink:
    def test_keeps_what_it_was_made_with(self):
        """Description and options are there for whoever walks the graph."""
        one, two = Stream(), Stream()
        link = Link(one, two, downstream=False, upstream=True, timeout=3, description={"op": "x"})

        assert [link] == outlet_of(one).links
        assert [link] == two._inlets
        assert (False, True, 3, {"op": "x"}) == (
            link.downstream,
            link.upstream,
            link.timeout,
            link.description,
        )

    def test_is_removed_once(self):
        """The second time does nothing."""
        link = Link(Stream(), Stream())

        assert link.remove()
        assert not link.remove()

    def test_knows_whether_a_put_can_block(self):
        """A queue takes messages in line, a connection does not."""
        assert Link(Stream(), Stream()).is_prompt
        assert not Link(Stream(), Wire()).is_prompt


class TestBranch:
    def test_holds_its_operator_only_while_something_is_connected_below(self):
        """Weakly before, strongly then, weakly again afterwards."""
        source = Stream()
        mapped = source.map(str)
        (branch,) = outlet_of(source).links
        watched = weakref.ref(mapped)

        assert isinstance(branch, Branch)
        assert not branch.is_connected
        moved = connect(mapped, Stream())
        assert branch.is_connected
        del mapped
        gc.collect()
        assert watched() is branch.derived
        moved.cancel()
        gc.collect()
        assert branch.is_dead
        settle()
        assert [] == outlet_of(source).links


class TestTheClockOfALimit:
    @pytest.mark.parametrize("make", [Stream, Wire], ids=["queue", "active"])
    def test_is_the_one_it_was_made_with(self, make):
        """Also for a message that comes when another clock is the default."""
        source, sink = Stream(2), make()
        if make is Wire:
            sink.is_stuck = True
        with ManualClock() as first:
            moved = connect(source, sink, timeout=5)
        second = ManualClock()
        before = set_default(second)
        try:
            source.put("a")
            settle()
            second.advance(9)
            settle()
            assert not moved.ready()
            first.advance(5)
            with pytest.raises(TimedOut):
                moved.get(timeout=None)
        finally:
            set_default(before)
