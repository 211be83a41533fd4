"""`batch`: lists of messages."""

from __future__ import annotations

import gc
import weakref

import pytest

from galeph import clock as clocks
from galeph import stream as streams
from galeph.stream import Stream, connect, consume
from galeph.testing import ManualClock
from tests.stream.broken_clock import BrokenClock
from tests.stream.scenes import (
    USES,
    collect,
    feed,
    interruptions,
    outcome,
    settle,
    victim,
    waiting,
)
from tests.stream.wires import Wire, yielding


def itself(n):
    return n


class TestSize:
    @pytest.mark.parity("STR-53")
    @pytest.mark.parametrize("use", USES)
    def test_bounds_the_lists(self, use):
        """The last may be shorter."""
        assert [[0, 1, 2], [3, 4, 5], [6]] == collect(streams.batch(3, range(7)), use)

    @pytest.mark.parity("STR-53")
    @pytest.mark.parametrize(("weight", "size"), [(1, 5), (2, 5)])
    def test_is_the_sum_of_a_metric(self, weight, size):
        """A message that would exceed it starts the next list."""
        batched = streams.batch(size, [weight] * 10, metric=itself)
        length = size // weight

        assert [[weight] * length] * (10 // length) == list(batched)

    @pytest.mark.parity("STR-54")
    @pytest.mark.parametrize("latency", [None, 10])
    def test_a_message_larger_than_it_is_sent_alone(self, latency, clock):
        """Behind the list it does not fit into, or at once."""
        source = Stream(9)
        batched = source.batch(2, latency=latency, metric=itself)
        feed(source, 1, 1, 9, 1, 9, 9, 2, 1)

        assert [[1, 1], [9], [1], [9], [9], [2], [1]] == list(batched)

    @pytest.mark.parity("STR-53")
    def test_is_reached_exactly(self):
        """A full list does not wait for the next message."""
        source = Stream(9)
        batched = source.batch(3, metric=itself)
        source.put_all([1, 2])

        assert [1, 2] == batched.try_take(0)
        source.put(2)
        assert batched.try_take(0) is None
        source.put(2)
        assert [2] == batched.try_take(0)

    @pytest.mark.parity("STR-55")
    def test_must_be_above_zero(self):
        """And so must the latency, which is no bound if it is left out."""
        for size in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="size must be above 0"):
                streams.batch(size, [])
        with pytest.raises(ValueError, match="latency must be above 0"):
            streams.batch(1, [], latency=0)
        with pytest.raises(TypeError, match="metric must be callable"):
            streams.batch(1, [], metric=5)
        source = Stream(9)
        source.put(1)
        assert "late" == source.batch(2).try_take(0.001, "end", "late")

    def test_a_metric_that_raises_fails_the_output(self):
        """Or returns a negative number; the source is closed."""
        for metric, error in ((lambda n: 1 / n, ZeroDivisionError), (lambda _: -1, ValueError)):
            source = Stream(9)
            source.put(0)
            taker = outcome(source.batch(2, metric=metric).take)

            assert isinstance(taker.get(timeout=1), error)
            assert source.closed

    @pytest.mark.parametrize("latency", [None, 60])
    @pytest.mark.parametrize("fails", ["the source", "the metric"])
    def test_of_a_list_that_fails_the_messages_go_back(self, latency, fails):
        """Nobody gets it, whoever has failed."""
        source = Stream(9)
        source.put_all([1, 2])
        made = source.batch(9, latency=latency, metric=lambda n: n or 1 / n)
        taker = outcome(made.take)
        if fails == "the source":
            source.fail(ZeroDivisionError())
        else:
            source.put(0)

        assert isinstance(taker.get(timeout=1), ZeroDivisionError)
        assert [1, 2] == [source.take(), source.take()]


class TestLatency:
    @pytest.mark.parity("STR-53")
    @pytest.mark.parametrize("make", [Stream, Wire])
    @pytest.mark.parametrize("use", ["taken", "mapped", "connected", "beside"])
    def test_bounds_the_time_since_the_first_message(self, make, use, clock):
        """Whoever waits for the list, and however the messages come."""
        source, got = make(), []
        batched = source.batch(9, latency=5)
        end = batched.map(itself) if use == "mapped" else batched
        beside = []
        if use == "beside":
            consume(source, beside.append)
        if use == "connected":
            consume(end, got.append)
        else:
            waiting(lambda: [got.append(batch) for batch in end])

        def put(n):
            source.arrive(n) if make is Wire else waiting(source.put, n)

        put(1)
        clock.advance(3)
        put(2)
        clock.advance(1.9)
        assert [] == got
        clock.advance(0.1)
        assert [[1, 2]] == got
        clock.advance(100)
        put(3)
        clock.advance(4.9)
        put(4)
        assert [[1, 2]] == got
        clock.advance(0.1)
        assert [[1, 2], [3, 4]] == got
        source.end() if make is Wire else source.close()
        settle()
        assert beside in ([], [1, 2, 3, 4])

    def test_counts_from_the_message_that_did_not_fit(self, clock):
        """It is the first of the next list."""
        source, got = Stream(), []
        consume(source.batch(2, latency=5, metric=itself), got.append)
        source.put(1)
        clock.advance(4)
        source.put(1)
        clock.advance(1)
        source.put(1)
        clock.advance(4)
        source.put(2)
        clock.advance(1)

        assert [[1, 1], [1], [2]] == got
        source.close()

    def test_no_more_than_one_list_is_made_ahead(self, clock):
        """While the first is not accepted; the source is held back then."""
        source, sink = Stream(20), Stream()
        connect(source.batch(3, latency=5), sink)
        source.put(0)
        clock.advance(5)
        source.put_all([1, 2])
        clock.advance(5)
        source.put_all(range(3, 15))
        clock.advance(50)

        assert source.qsize() >= 8
        source.close()
        lists = [[0], [1, 2], *([n, n + 1, n + 2] for n in range(3, 15, 3))]
        assert lists == list(sink)

    @pytest.mark.parametrize("kind", ["blocked above", "blocked below"])
    def test_order_holds_with_functions_around_it(self, kind, clock):
        """A list is due while a message is in a function of the chain; it is sent in time."""
        source, got = Stream(9), []
        slow = source.map(lambda n: clock.sleep(2) or n) if kind == "blocked above" else source
        batched = slow.batch(2, latency=1, metric=itself)
        if kind == "blocked below":
            batched = batched.map(lambda batch: clock.sleep(2) or batch)
        consume(batched, got.append)
        source.put_all([1, 9, 1, 1, 1])
        clock.advance(30)
        source.close()
        clock.advance(30)

        expected = [[1], [9], [1], [1], [1]] if kind == "blocked above" else [[1], [9], [1, 1], [1]]
        assert expected == got

    def test_a_list_that_is_due_with_nobody_there_waits(self, clock):
        """The next take has it at once."""
        source = Stream(9)
        batched = source.batch(3, latency=5)
        assert batched.try_take(0) is None
        source.put(1)
        assert batched.try_take(0) is None
        clock.advance(5)

        assert [1] == batched.try_take(0)

    @pytest.mark.parity("TIME-12")
    @pytest.mark.parametrize("way", [clocks.with_clock, lambda manual: manual])
    def test_is_by_the_clock_it_was_made_with(self, way):
        """Whoever is default when a list begins."""
        made_with, source, got = ManualClock(), Stream(9), []
        with way(made_with):
            batched = source.batch(3, latency=5)
        with ManualClock() as other:
            consume(batched, lambda messages: got.append((made_with.monotonic(), messages)))
            source.put_all([1, 2])
            other.advance(100)
            made_with.advance(9)
            source.put(3)
            settle()
        made_with.advance(9)
        source.close()
        settle()

        assert [(5, [1, 2]), (14, [3])] == got

    def test_an_exception_of_the_clock_fails_it(self):
        """Whoever waits gets it, and the source is closed."""
        broken, source = BrokenClock(), Stream(9)
        with clocks.with_clock(broken):
            batched = source.batch(3, latency=5)
        broken.is_broken = True
        taker = outcome(batched.take)
        source.put(1)

        assert isinstance(taker.get(timeout=1), ArithmeticError)
        assert source.closed

    def test_is_over_with_the_source_or_the_output(self, clock):
        """No timer is left."""
        source, other = Stream(9), Stream(9)
        ended, closed = source.batch(3, latency=5), other.batch(3, latency=5)
        for stream, batched in ((source, ended), (other, closed)):
            stream.put(1)
            assert batched.try_take(0) is None
        source.close()
        closed.close()

        assert [1] == ended.take()
        assert "0 waiting" in repr(clock)

    def test_a_dropped_one_is_collected(self, clock):
        """Its timer does not keep it, and goes with it."""
        source = Stream(9)
        batched = source.batch(3, latency=5)
        source.put(1)
        assert batched.try_take(0) is None
        watched = weakref.ref(batched)
        del batched
        gc.collect()
        settle()

        assert watched() is None
        assert "0 waiting" in repr(clock)


class TestInterruptions:
    @pytest.mark.parametrize("latency", [None, 0.0001])
    def test_an_interrupted_take_loses_nothing(self, latency):
        """Thrown at after any switch, every message is in a list, in order."""

        def scene():
            nonlocal taken
            source, taken = Stream(), []
            batched = source.batch(2, latency=latency).map(yielding(itself))

            def take():
                for _ in range(2):
                    taken.extend(batched.take())

            def supply():
                producer = feed(source, *range(5))
                settle()
                for batch in batched:
                    taken.extend(batch)
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert list(range(5)) == taken, way
