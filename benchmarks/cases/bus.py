"""A topic with many subscribers against a hand-written loop over as many queues.

One operation is one message to all of them, put and taken. Both sides have the same buffers, and
the same greenlets that take, or one that takes from all of them afterwards.
"""

from __future__ import annotations

from benchmarks.micro import MicroCase, Operation
from benchmarks.model import Row

_SUBSCRIBERS = 1000
_BUFFER = 16


def _each_in_a_greenlet(publish, takes) -> Operation:
    """Every subscriber waits in a greenlet of its own, and waits again when it has a message."""
    import gevent

    def drain(take):
        while True:
            take()

    for take in takes:
        gevent.spawn(drain, take)
    gevent.sleep(0)

    def run(count):
        for _ in range(count):
            publish(1)
            gevent.sleep(0)

    return run


def _afterwards(publish, takes) -> Operation:
    """One greenlet takes from all, when the message has gone to all."""

    def run(count):
        for _ in range(count):
            publish(1)
            for take in takes:
                take()

    return run


def _bus(pattern):
    def make():
        from functools import partial

        from galeph.bus import EventBus

        bus = EventBus()
        subscriptions = [bus.subscribe("topic", buffer=_BUFFER) for _ in range(_SUBSCRIBERS)]
        takes = [subscription.take for subscription in subscriptions]
        return pattern(partial(bus.publish, "topic"), takes)

    return make


def _queues(pattern):
    def make():
        from gevent.queue import SimpleQueue

        queues = [SimpleQueue(_BUFFER) for _ in range(_SUBSCRIBERS)]

        def publish(message):
            for queue in queues:
                queue.put(message)

        return pattern(publish, [queue.get for queue in queues])

    return make


CASES = (
    MicroCase(
        name="bus",
        title=f"Event bus, {_SUBSCRIBERS:,} subscribers",
        operations={
            "galeph": _bus(_each_in_a_greenlet),
            "SimpleQueue loop": _queues(_each_in_a_greenlet),
            "galeph, one greenlet": _bus(_afterwards),
            "SimpleQueue loop, one greenlet": _queues(_afterwards),
        },
        rows=(
            Row("SimpleQueue loop", hold=1.0),
            # Half of it is a thousand takes without a wait, of which the stream case says more.
            Row("SimpleQueue loop, one greenlet", subject="galeph, one greenlet"),
        ),
    ),
)
