"""What holds of a graph of streams that grows while messages pass.

Whoever reads somewhere sees the messages in their order and without a gap, from some message on to
the last. Nobody waits for ever.
"""

from __future__ import annotations

import gevent
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from galeph.deferred import future
from galeph.stream import Stream, connect
from tests.properties.budgets import budget
from tests.stream.scenes import settle

pytestmark = pytest.mark.long

bounded = budget(120, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

LAST = 9


def slowly(turns):
    """A function that returns what it gets, after so many turns of the loop."""

    def same(message):
        for _ in range(turns):
            gevent.sleep(0)
        return message

    return same


def one_by_one(same):
    return lambda messages: (same(message) for message in messages)


# What comes out is what goes in; before that goes what stands behind the operator's name.
OPERATORS = {
    "map": lambda s, same, _: s.map(same),
    "transform": lambda s, same, _: s.transform(one_by_one(same)),
    "transform ahead": lambda s, same, _: s.transform(one_by_one(same), buffer=2),
    "mapcat": lambda s, same, _: s.mapcat(lambda m: iter([same(m)])),
    "batch": lambda s, same, _: s.batch(2).mapcat(lambda ms: [same(m) for m in ms]),
    "reductions": lambda s, same, _: s.reductions(lambda _, m: same(m)),
    "reductions with a first": lambda s, same, first: s.reductions(
        lambda _, m: same(m), initial=first
    ),
    "late reductions": lambda s, same, _: s.reductions(lambda _, m: future(same, m)),
    "realize_each": lambda s, same, _: s.map(lambda m: future(same, m)).realize_each(),
}

growing = st.tuples(
    st.just("grow"),
    st.integers(0, 99),
    st.sampled_from(["connect", *sorted(OPERATORS)]),
    st.integers(0, 3),
)
reading = st.tuples(st.sampled_from(["read", "stop"]), st.integers(0, 99))
passing = st.tuples(st.just("pass"), st.integers(1, 4))


class Graph:
    """Streams and operators, each made on one of those before, and who reads where."""

    def __init__(self, buffer):
        self.nodes = [Stream(buffer)]
        self.inner = set()
        self.readers = {}
        self.seen = {}

    def step(self, name, *arguments):
        getattr(self, f"_{name}")(*arguments)

    def _pass(self, turns):
        for _ in range(turns):
            gevent.sleep(0)

    def _grow(self, at, name, detail):
        at %= len(self.nodes)
        above = self.nodes[at]
        # Who reads there would get what the new way then does not.
        self._leave(at)
        self.inner.add(at)
        if name == "connect":
            self.nodes.append(Stream(detail))
            connect(above, self.nodes[-1])
        else:
            first = -len(self.nodes)
            self.nodes.append(OPERATORS[name](above, slowly(detail), first))

    def _read(self, at):
        ends = [n for n in range(len(self.nodes)) if n not in self.inner]
        self.read(ends[at % len(ends)])

    def read(self, at):
        if at not in self.readers:
            self.readers[at] = gevent.spawn(self._collect, at)

    def _collect(self, at):
        got = self.seen.setdefault(at, [])
        while (message := self.nodes[at].take("end")) != "end":
            got.append(message)

    def _stop(self, at):
        if self.readers:
            self._leave(sorted(self.readers)[at % len(self.readers)])

    def _leave(self, at):
        if at in self.readers:
            self.readers.pop(at).kill()

    def finish(self):
        for at in range(len(self.nodes)):
            if at not in self.inner:
                self.read(at)
        gevent.joinall(self.readers.values(), timeout=5)
        return self.readers


@bounded
@given(
    buffer=st.sampled_from([0, 2, 20]),
    first=st.lists(growing, min_size=1, max_size=8),
    steps=st.lists(growing | reading | passing, max_size=14),
)
def test_a_graph_that_grows_keeps_the_order_and_leaves_no_gap(buffer, first, steps):
    """Wherever a second way is made, whatever is in a function or waits below it just then."""
    graph = Graph(buffer)
    for each in first:
        graph.step(*each)
    source = graph.nodes[0]
    feeder = gevent.spawn(lambda: source.put_all(range(1, LAST + 1)) and source.close())
    for each in steps:
        graph.step(*each)
    readers = graph.finish()

    assert all(reader.ready() for reader in readers.values())
    assert feeder.ready()
    for at, got in graph.seen.items():
        messages = [message for message in got if message > 0]
        firsts = [message for message in got if message < 0]
        is_to_end = at in readers and messages
        end = LAST if is_to_end else (messages or [0])[-1]
        assert messages == list(range((messages or [1])[0], end + 1))
        assert len(set(firsts)) == len(firsts)
    settle()
