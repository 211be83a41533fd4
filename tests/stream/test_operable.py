"""`Operable`: the operators as methods of a source."""

from __future__ import annotations

import operator
from itertools import islice

import pytest

from galeph import stream as streams
from galeph.deferred import success
from galeph.stream import Source, Stream
from galeph.testing import ManualClock

# Each method with arguments, and the function that is the same.
METHODS = {
    "map": ((str,), {}),
    "filter": ((operator.truth,), {}),
    "mapcat": ((range,), {}),
    "reductions": ((operator.add,), {"initial": 5}),
    "transform": ((lambda messages: islice(messages, 2),), {"buffer": 2}),
    "batch": ((3,), {"metric": abs}),
    "throttle": ((1000,), {"max_backlog": 9}),
    "buffer": ((3,), {"metric": abs}),
}


@pytest.mark.parametrize("name", METHODS)
def test_does_what_the_function_does(name):
    """With the source itself as the source."""
    arguments, options = METHODS[name]
    method = getattr(streams.source([2, 0, 1]), name)(*arguments, **options)
    function = getattr(streams, name)(*arguments, [2, 0, 1], **options)

    assert isinstance(method, Source)
    assert list(function) == list(method)


def test_the_others_too():
    """Those whose results are no plain messages."""
    source = streams.source

    assert [[1, 1], [2]] == [list(part) for part in source([1, 1, 2]).partition_by(int)]
    assert [1, 2] == list(source([success(1), 2]).realize_each())
    assert 6 == source([1, 2, 3]).reduce(operator.add).get(timeout=1)
    assert 7 == source([1, 2, 3]).reduce(operator.add, initial=1).get(timeout=1)
    assert [1, 3] == list(source([1, 2]).reductions(operator.add))
    with ManualClock() as clock:
        stream = Stream(9)
        batched = stream.batch(9, latency=1)
        taken = batched.take_async()
        stream.put(1)
        clock.advance(1)
        assert [1] == taken.get(timeout=1)
        stream.close()
