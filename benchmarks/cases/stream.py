"""Streams against gevent's queues, without a network."""

from __future__ import annotations

from benchmarks.micro import MicroCase, Operation
from benchmarks.model import Row


def _alone(put, take) -> Operation:
    """Put and take in one greenlet: nobody ever waits."""

    def run(count):
        for _ in range(count):
            put(1)
            take()

    return run


def _between_greenlets(put, take) -> Operation:
    """One greenlet puts, the other takes; each waits when the buffer is full or empty."""
    import gevent

    def produce(count):
        for _ in range(count):
            put(1)

    def run(count):
        producer = gevent.spawn(produce, count)
        for _ in range(count):
            take()
        producer.join()

    return run


def _stream(buffer, pattern):
    def make():
        from galeph.stream import Stream

        stream = Stream(buffer)
        return pattern(stream.put, stream.take)

    return make


def _simple_queue(pattern):
    def make():
        from gevent.queue import SimpleQueue

        queue = SimpleQueue(16)
        return pattern(queue.put, queue.get)

    return make


def _channel():
    from gevent.queue import Channel

    channel = Channel()
    return _between_greenlets(channel.put, channel.get)


CASES = (
    MicroCase(
        name="stream",
        title="Stream, buffer 16, put and take",
        operations={
            "galeph": _stream(16, _between_greenlets),
            "SimpleQueue(16)": _simple_queue(_between_greenlets),
            "galeph, one greenlet": _stream(16, _alone),
            "SimpleQueue(16), one greenlet": _simple_queue(_alone),
        },
        rows=(
            Row("SimpleQueue(16)", hold=0.8, goal=1.3),
            Row("SimpleQueue(16), one greenlet", subject="galeph, one greenlet"),
        ),
    ),
    MicroCase(
        name="stream_rendezvous",
        title="Stream, no buffer, hand-over",
        operations={"galeph": _stream(0, _between_greenlets), "Channel": _channel},
        rows=(Row("Channel", hold=1.3, goal=1.7),),
    ),
)
