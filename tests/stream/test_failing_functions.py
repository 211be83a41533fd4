"""Whatever function fails, in whichever operator: its output fails with that, its source closes."""

from __future__ import annotations

import gevent
import pytest

from galeph import deferred
from galeph import stream as streams
from galeph.stream import Stream, connect, consume
from tests.stream.scenes import settle
from tests.stream.wires import Wire, yielding


class Broken(Exception):
    """What the functions raise."""


def fail(*_):
    raise Broken


def fail_at_2(*args):
    """Return the last message, unless it is 2."""
    return fail() if args[-1] == 2 else args[-1]


def weigh(n):
    return fail_at_2(n) and 1


def fail_later(*args):
    return deferred.future(fail_at_2, *args)


def generate(messages):
    for message in messages:
        yield fail_at_2(message)


def first(messages):
    return messages[0]


OPERATORS = {
    "map": lambda s: s.map(fail_at_2),
    "slow map": lambda s: s.map(yielding(fail_at_2)),
    "map of two": lambda s: streams.map(lambda a, _: fail_at_2(a), s, range(9)),
    "filter": lambda s: s.filter(fail_at_2),
    "mapcat": lambda s: s.mapcat(lambda n: [fail_at_2(n)]),
    "series of mapcat": lambda s: s.mapcat(lambda n: generate([n])),
    "reductions": lambda s: s.reductions(fail_at_2),
    "late reductions": lambda s: s.reductions(fail_later),
    "realize_each": lambda s: s.map(fail_later).realize_each(),
    "transform": lambda s: s.transform(generate),
    "transform ahead": lambda s: s.transform(generate, buffer=2),
    "metric of batch": lambda s: s.batch(1, metric=weigh).map(first),
    "metric of timed batch": lambda s: s.batch(1, metric=weigh, latency=60).map(first),
    "metric of buffer": lambda s: s.buffer(3, metric=weigh),
    "partition_by": lambda s: streams.concat(s.partition_by(weigh)),
    "stream in concat": lambda s: streams.concat(s.map(lambda n: generate([n]))),
    "source of zip": lambda s: streams.zip(s.map(fail_at_2), range(9)).map(first),
}


def taken(made):
    """What it gives before it fails, taken by hand."""
    got = []
    with pytest.raises(Broken):
        got.extend(made)
    with pytest.raises(Broken):
        made.take()
    return got


def consumed(made):
    """The same by a function, beside another one."""
    got, others = [], []
    done = [consume(made, got.append), consume(made.map(int), others.append)]
    for each in done:
        with pytest.raises(Broken):
            each.get(timeout=5)
    assert got == others
    return got


def connected(made):
    """The same by way of a stream, which fails as well."""
    sink = Stream(9)
    with pytest.raises(Broken):
        connect(made, sink).get(timeout=5)
    return taken(sink)


@pytest.mark.parity("STR-62")
@pytest.mark.parametrize("make", [Stream, Wire], ids=["queue", "active"])
@pytest.mark.parametrize("use", [taken, consumed, connected])
@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_fails_the_output_and_closes_the_source(make, use, name, caplog):
    """Behind what came before; nothing is only logged, and who puts is not left waiting."""
    caplog.set_level(0)
    source = make()
    made = OPERATORS[name](source)
    if make is Wire:
        source.arrived.extend([1, 2, 3])
        putter = None
    else:
        putter = gevent.spawn(source.put_all, [1, 2, 3, 4, 5])

    assert [1] == use(made)
    settle()
    assert source.closed
    assert not made.drained
    assert [] == caplog.records
    assert putter is None or putter.get(timeout=5) is False
