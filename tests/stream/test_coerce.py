"""`source` and `sink`: what can be made a stream, and what is refused."""

from __future__ import annotations

import gevent
import pytest
from gevent.queue import Channel, Queue, SimpleQueue

from galeph.stream import Stream, sink, source
from tests.stream.scenes import outcome, settle, waiting


class TestSource:
    @pytest.mark.parity("STR-25")
    def test_a_stream_is_itself(self):
        """Nothing is wrapped that needs no wrapping."""
        stream = Stream()

        assert stream is source(stream)
        assert stream is sink(stream)

    @pytest.mark.parity("STR-27", "STR-29")
    @pytest.mark.parametrize(
        "items",
        [[0, 1, 2], (0, 1, 2), iter([0, 1, 2]), (n for n in range(3)), {0: "", 1: "", 2: ""}],
        ids=lambda items: type(items).__name__,
    )
    def test_iterables_give_their_items(self, items):
        """Collections, iterators, generators: each item is a message, then the end."""
        stream = source(items)

        assert [0, 1, 2] == list(stream)
        assert stream.drained
        assert "end" == stream.take("end")

    @pytest.mark.parametrize("wrong", [5, None, "text", b"bytes", object()], ids=repr)
    def test_others_are_refused_by_name(self, wrong):
        """Text and bytes too: their characters are hardly ever meant."""
        with pytest.raises(TypeError, match=type(wrong).__name__):
            source(wrong)

    def test_a_generator_runs_in_the_greenlet_that_takes(self):
        """Only as far as it is asked."""
        ran_in = []

        def numbers():
            for n in range(3):
                ran_in.append(gevent.getcurrent())
                yield n

        stream = source(numbers())

        assert 0 == stream.take()
        assert [gevent.getcurrent()] == ran_in

    def test_takes_on_a_blocked_generator_queue(self):
        """Two takes at once do not enter it at once."""
        turn = gevent.event.Event()

        def slow():
            for n in range(2):
                turn.wait()
                yield n

        stream = source(slow())
        takers = [waiting(stream.take) for _ in range(2)]
        turn.set()

        assert [0, 1] == [taker.get(timeout=1) for taker in takers]

    def test_what_a_generator_raises_fails_the_stream(self):
        """It does not look drained, and says so again."""

        def broken():
            yield 1
            raise ValueError("cut")

        stream = source(broken())

        assert 1 == stream.take()
        for _ in range(2):
            with pytest.raises(ValueError, match="cut"):
                stream.take()
        assert not stream.drained

    def test_a_generator_killed_in_its_middle_fails_the_stream(self):
        """The kill has ended it: what is missing must not look like the end."""

        def slow():
            gevent.sleep(60)
            yield 1

        stream = source(slow())
        taker = waiting(stream.take)
        taker.kill()

        assert not stream.drained
        assert "GreenletExit" in repr(outcome(stream.take).get(timeout=1).__cause__)

    @pytest.mark.parity("STR-28")
    def test_closing_closes_a_generator(self):
        """Its `finally` runs, in a greenlet, where it may block."""
        ended = []

        def numbers():
            try:
                yield from range(9)
            finally:
                gevent.sleep(0)
                ended.append(True)

        stream = source(numbers())
        assert 0 == stream.take()
        stream.close()
        stream.close()
        settle()

        assert [True] == ended
        assert "end" == stream.take("end")

    def test_closing_waits_for_a_take_that_is_inside(self):
        """A generator that is running cannot be closed; it is closed afterwards."""
        gate, ended = gevent.event.Event(), []

        def slow():
            try:
                gate.wait()
                yield 1
            finally:
                ended.append(True)

        stream = source(slow())
        taker = waiting(stream.take)
        stream.close()
        gate.set()

        assert 1 == taker.get(timeout=1)
        settle()
        assert [True] == ended


class TestQueues:
    @pytest.mark.parity("STR-30", "STR-31")
    @pytest.mark.parametrize("make", [SimpleQueue, Queue, Channel])
    def test_a_gevent_queue_is_both(self, make):
        """Messages go through it in both directions, None included."""
        queue = make()
        putter = waiting(sink(queue).put_all, [1, None, 3])
        stream = source(queue)

        assert [1, None, 3] == [stream.take("default") for _ in range(3)]
        assert putter.get(timeout=1) is True

    def test_limits_of_zero_look_without_waiting(self):
        """Empty and full are told at once."""
        queue = Queue(1)
        stream, into = source(queue), sink(queue)

        assert "late" == stream.try_take(0, "end", "late")
        assert into.try_put("a", 0) is True
        assert "late" == into.try_put("b", 0, "late")
        assert "a" == stream.try_take(0)

    def test_closing_leaves_the_queue_alone(self):
        """A queue knows no end; only the stream ends."""
        queue = Queue()
        stream, into = source(queue), sink(queue)
        stream.close()
        into.close()

        assert "end" == stream.take("end")
        assert "end" == stream.try_take(0, "end", "late")
        assert into.put("a") is False
        assert into.try_put("a", 0) is False
        queue.put("still there")
        assert "still there" == queue.get()
        failing = sink(queue)
        failing.fail(ValueError())
        assert failing.closed

    def test_a_queue_that_is_shut_down_ends_the_stream(self):
        """The source drains, the sink is closed."""
        queue = Queue()
        stream, into = source(queue), sink(queue)
        queue.shutdown()

        assert "end" == stream.take("end")
        assert stream.drained
        assert into.put("a") is False
        assert into.closed
        assert "end" == source(queue).try_take(0, "end")
        assert sink(queue).try_put("a", 0) is False

    @pytest.mark.parametrize("wrong", [5, [1], "text"], ids=repr)
    def test_other_sinks_are_refused_by_name(self, wrong):
        """A list is no sink."""
        with pytest.raises(TypeError, match=type(wrong).__name__):
            sink(wrong)
