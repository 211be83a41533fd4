"""What a stream that waits for its next message weighs: a server has one or more for each peer."""

from __future__ import annotations

import gc
import tracemalloc

import gevent
import pytest

from galeph import stream

# Enough for what is made once to weigh nothing in each.
_COUNT = 500


def unused():
    return stream.Stream()


def taken_from_first():
    """Somebody waited for each message."""
    made = stream.Stream()
    putting = gevent.spawn(made.put, 1)
    made.take()
    putting.join()
    return made


def put_to_first():
    """Each message waited for somebody."""
    return _put_to(stream.Stream())


def used_both_ways():
    return _put_to(taken_from_first())


def _put_to(made):
    putting = gevent.spawn(made.put, 1)
    gevent.sleep(0)
    made.take()
    putting.join()
    return made


def pair():
    first, second = stream.Stream(), stream.Stream()
    stream.connect(first, second)
    return first, second


def used_pair():
    first, second = pair()
    for number in range(3):
        putting = gevent.spawn(first.put, number)
        assert number == second.take()
        putting.join()
    return first, second


def weight_of(make):
    """How many bytes each of many weighs."""
    kept = [make() for _ in range(20)]
    # What others have left behind may set something going when it is collected.
    for _ in range(3):
        gc.collect()
        gevent.sleep(0)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept += [make() for _ in range(_COUNT)]
        # What runs once more for the last one, and what it has left behind, is not theirs.
        gevent.sleep(0)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / _COUNT


class TestIdle:
    @pytest.mark.parametrize("make", [unused, taken_from_first, put_to_first, used_both_ways])
    def test_stream(self, make):
        """A stream in which nobody waits weighs at most 1 KiB, before and after its use."""
        assert weight_of(make) <= 1024

    @pytest.mark.parametrize("make", [pair, used_pair])
    def test_connected_pair(self, make):
        """Two of which one is connected to the other weigh at most 6 KiB together."""
        assert weight_of(make) <= 6 * 1024
