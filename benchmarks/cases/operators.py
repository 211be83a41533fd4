"""Operators on streams: what a chain of three costs beside one of them."""

from __future__ import annotations

from benchmarks.micro import MicroCase, Operation
from benchmarks.model import Row


def _chained(operators):
    """Put from one greenlet, take from the end of a chain in another."""

    def make() -> Operation:
        import gevent

        from galeph.stream import Stream

        stream = Stream(16)
        end = stream
        for name in operators:
            end = getattr(end, name)(_FUNCTIONS[name])

        def produce(count):
            for _ in range(count):
                stream.put(1)

        def run(count):
            producer = gevent.spawn(produce, count)
            for _ in range(count):
                end.take()
            producer.join()

        return run

    return make


def _same(message):
    return message


def _true(_):
    return True


_FUNCTIONS = {"map": _same, "filter": _true}

CASES = (
    MicroCase(
        name="operators",
        title="Operators, map.filter.map fused, a message",
        operations={
            "galeph": _chained(("map", "filter", "map")),
            "one operator": _chained(("map",)),
        },
        rows=(Row("one operator", hold=0.6, goal=0.7),),
    ),
)
