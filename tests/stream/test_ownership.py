"""The debug check that a stream is used only in the thread it belongs to."""

from __future__ import annotations

import os
import subprocess
import sys

import gevent
import pytest

from galeph.stream import Stream, concat, connect, connect_via, consume, splice, zip
from galeph.stream.ownership import IS_DEBUG
from tests.stream.wires import Wire
from tests.threads import in_thread


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("put", ["a"]),
        ("try_put", ["a", 0]),
        ("put_async", ["a"]),
        ("take", []),
        ("try_take", [0]),
        ("get_nowait", []),
        ("take_async", []),
        ("close", []),
        ("fail", [ValueError()]),
        ("qsize", []),
    ],
)
def test_foreign_threads_are_refused(name, args):
    """Every operation names itself and what to call instead, and does nothing."""
    stream = Stream(2)
    error = in_thread(getattr(stream, name), *args)

    assert isinstance(error, RuntimeError)
    assert "put_threadsafe" in str(error)
    assert (0, False) == (stream.qsize(), stream.closed)


@pytest.mark.parametrize(
    "use",
    [
        lambda stream: connect(stream, Stream(1)),
        lambda stream: connect([1], stream),
        lambda stream: connect_via([1], print, stream),
        lambda stream: consume(stream, print),
        lambda stream: splice(stream, stream),
        lambda stream: zip(stream, [1]),
        lambda stream: concat(stream),
        lambda stream: stream.map(str),
        lambda stream: stream.buffer(2),
        lambda stream: stream.batch(2, latency=1),
        lambda stream: stream.reduce(max),
        lambda stream: stream.on_closed(print),
        lambda stream: stream.on_drained(print),
    ],
)
def test_what_is_done_to_streams_is_refused_too(use):
    """To connect one or make an operator of it, and nothing of that has happened then."""
    stream = Stream(2)
    error = in_thread(use, stream)

    assert isinstance(error, RuntimeError)
    assert "outside the thread that made this stream" in str(error)
    assert "put_threadsafe" in str(error)
    assert [] == stream.downstream() == stream.upstream()
    assert stream.put("a")
    assert "a" == stream.take()


def test_active_streams_are_checked_too():
    """A connection belongs to its thread as a queue does."""
    wire = Wire("a")

    assert isinstance(in_thread(wire.take), RuntimeError)
    assert isinstance(in_thread(wire.put, "a"), RuntimeError)
    assert "a" == wire.take()


def test_the_calls_for_other_threads_are_allowed():
    """`put_threadsafe` and `close_threadsafe` are what the check points to."""
    stream = Stream(2)
    future = in_thread(stream.put_threadsafe, "a")
    in_thread(stream.close_threadsafe)
    gevent.sleep(0)

    assert future.result(0) is True
    assert ["a"] == list(stream)


def test_the_environment_decides():
    """On in our tests; off in a process without GALEPH_DEBUG."""
    code = "from galeph.stream.ownership import IS_DEBUG; print(IS_DEBUG)"
    environment = {k: v for k, v in os.environ.items() if k != "GALEPH_DEBUG"}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert IS_DEBUG
    assert "False" == printed.strip()
