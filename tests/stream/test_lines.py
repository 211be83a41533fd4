"""Who stands in the lines of a stream: served once, with a yes or a no."""

from __future__ import annotations

import gc
import weakref
from collections import deque

import pytest
from gevent import get_hub

from galeph import stream as streams
from galeph.stream import Stream, connect
from galeph.stream.interfaces import END
from galeph.stream.lines import AsyncPutter, AsyncTaker, Putter, hand_out, lay_first, leave_handed
from galeph.stream.waiters import WAITING, Waiter
from tests.stream.scenes import settle, waiting


def test_a_putter_waits_with_its_message():
    """It is a waiter that knows what it would put, and what that weighs."""
    putters = []

    def wait():
        putters.append(Putter(get_hub().loop.run_callback, "a", 3))
        putters[0].wait()
        return putters[0].outcome

    blocked = waiting(wait)
    (putter,) = putters

    assert ("a", 3, WAITING) == (putter.message, putter.weight, putter.outcome)
    assert putter.serve(True)
    assert blocked.get(timeout=1) is True


def test_an_async_taker_is_served_once():
    """The deferred holds the message, or the default at the end; a second serving is refused."""
    served, ended = AsyncTaker("default"), AsyncTaker("default")

    assert served.serve("a")
    assert not served.serve("b")
    assert "a" == served.deferred.get(timeout=0)
    assert ended.serve(END)
    assert "default" == ended.deferred.get(timeout=0)


def test_a_cancelled_async_entry_refuses():
    """So that whoever serves goes on to the next in line."""
    taker, putter = AsyncTaker(None), AsyncPutter("a")
    taker.deferred.cancel()
    putter.deferred.cancel()

    assert not taker.serve("a")
    assert not putter.serve(True)


def test_leaving_the_served_moves_the_messages_up():
    """The one who leaves takes the latest message out, not his own."""
    served = deque()
    for message in "abc":
        taker = Waiter(get_hub().loop.run_callback)
        taker.outcome = message
        served.append(taker)
    first, _, last = served

    assert "c" == leave_handed(served, first)
    assert ["a", "b"] == [taker.outcome for taker in served]
    assert "b" == leave_handed(served, last)
    assert ["a"] == [taker.outcome for taker in served]


class TestGivenBack:
    """Messages that come back to a stream whose takers have been served what comes after them."""

    def test_before_they_have_run(self):
        """They get these; what they would have had is the next."""
        stream, taken = Stream(9), []
        takers = [waiting(lambda: taken.append(stream.take())) for _ in range(3)]
        stream.put("c")
        stream.put("d")
        stream._give_back_all(["a", "b"])
        for taker in takers:
            taker.join(1)

        assert ["a", "b", "c"] == taken
        assert "d" == stream.take()

    def test_what_is_left_over(self):
        """Those who wait come behind those who were served."""
        stream = Stream(9)
        early, late = (waiting(stream.take) for _ in range(2))
        stream.put("c")
        left = hand_out(stream, ["a", "b"])

        assert ["c"] == left
        assert ["a", "b"] == [early.get(timeout=1), late.get(timeout=1)]

    def test_one_is_laid_first(self):
        """Before all that is stored, or given to the first who waits."""
        stream = Stream(9)
        lay_first(stream, "b")
        lay_first(stream, "a")
        assert ["a", "b"] == [stream.take(), stream.take()]

        taker = waiting(stream.take)
        lay_first(stream, "c")
        assert "c" == taker.get(timeout=1)
        assert stream.empty()

    def test_one_of_a_weighed_stream_counts_no_more(self):
        """It was let in before."""
        stream = Stream(3, metric=len)
        stream.put("abc")
        lay_first(stream, "def")

        assert 3 == stream.description()["buffer_size"]
        assert ["def", "abc"] == [stream.take(), stream.take()]


OUTCOMES = {
    "take": lambda stream: _got(stream.take_async(), stream),
    "take of a map": lambda stream: _got(stream.map(str).take_async(), stream),
    "take of a zip": lambda stream: _got(streams.zip(stream).take_async(), stream),
    "put": lambda stream: (stream.put_async(1), stream.take())[0],
    "connection": lambda stream: _ended(connect(stream, sink := Stream()), sink),
}


def _got(taken, stream):
    settle()
    stream.put(1)
    return taken


def _ended(connection, sink):
    sink.close()
    return connection


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_an_outcome_does_not_keep_the_stream(name):
    """What lies there would not go back from an operator, although nobody holds that."""
    stream = Stream()
    outcome = OUTCOMES[name](stream)
    settle()
    assert outcome.ready()
    alive = weakref.ref(stream)
    del stream
    gc.collect()

    assert alive() is None
