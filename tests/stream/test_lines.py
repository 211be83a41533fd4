"""Who stands in the lines of a stream: served once, with a yes or a no."""

from __future__ import annotations

from collections import deque

from gevent import get_hub

from galeph.stream.interfaces import END
from galeph.stream.lines import AsyncPutter, AsyncTaker, Putter, leave_handed
from galeph.stream.waiters import WAITING, Waiter
from tests.stream.scenes import waiting


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
