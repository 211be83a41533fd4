"""`onto`: streams whose deferreds run their functions on an executor."""

from __future__ import annotations

import gevent
import pytest

from galeph import stream as streams
from galeph.deferred import future
from galeph.errors import Cancelled
from galeph.executor import fixed_executor
from galeph.stream import Sink, Source, Stream, connect
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


class Here:
    """An executor that notes what it was given, and runs it in a greenlet."""

    def __init__(self):
        self.count = 0

    def submit(self, fn, *args):
        self.count += 1
        return future(fn, *args)


class TestOnto:
    @pytest.mark.parity("STR-02", "STR-21")
    @pytest.mark.parametrize("make", [Stream, lambda: Stream(1), Wire])
    def test_functions_hung_on_its_deferreds_run_there(self, make):
        """Those of puts and of takes, realized already or later."""
        executor = Here()
        stream = make()
        moved = streams.onto(stream, executor)
        taken = moved.take_async().chain(lambda message: [message])
        if make is Wire:
            stream.arrive("a")
            put = moved.put_async("b").chain(str)
        else:
            put = moved.put_async("a").chain(str)

        assert ["a"] == taken.get(timeout=1)
        assert "True" == put.get(timeout=1)
        assert 2 == executor.count
        moved.close()
        assert "end" == moved.take_async("end").get(timeout=1)
        settle()

    @pytest.mark.parity("STR-21")
    def test_is_the_same_stream_otherwise(self):
        """Messages, ends and connections are those of the stream behind it."""
        executor, stream, sink = Here(), Stream(9), Stream(9)
        moved = streams.onto(stream, executor)
        connect(moved, sink)
        assert moved.put("a") is True
        assert stream.put("b") is True
        moved.close()

        assert ["a", "b"] == list(sink)
        assert (True, True) == (stream.closed, moved.closed)
        assert 0 == executor.count

    @pytest.mark.parity("STR-21")
    def test_is_itself_if_it_is_there_already(self):
        """On another executor it is another."""
        executor = Here()
        for stream in (Stream(), Stream().map(str), streams.sink_only(Stream())):
            moved = streams.onto(stream, executor)

            assert moved is streams.onto(moved, executor)
            assert moved is not streams.onto(moved, Here())
            for side in (Source, Sink):
                assert isinstance(stream, side) == isinstance(moved, side)

    @pytest.mark.parity("STR-21")
    def test_the_last_executor_counts(self):
        """One that it was on before has nothing to run."""
        before, now = Here(), Here()
        stream = streams.onto(streams.onto(Stream(9), before), now)
        put = stream.put_async("a").chain(str)
        taken = stream.take_async().chain(lambda message: [message])

        assert ("True", ["a"]) == (put.get(timeout=1), taken.get(timeout=1))
        assert (0, 2) == (before.count, now.count)

    @pytest.mark.parity("STR-21")
    def test_real_executors_do(self):
        """Also for the functions of operators, whose results are then waited for."""
        executor = fixed_executor(2)
        moved = streams.onto(Stream(9), executor)
        moved.put_all(range(3))
        moved.close()
        squared = moved.map(lambda n: executor.submit(pow, n, 2)).realize_each()

        assert [0, 1, 4] == list(squared)
        executor.shutdown()

    def test_a_cancelled_take_is_withdrawn(self):
        """The message goes to the next."""
        stream = Stream(9)
        moved = streams.onto(stream, Here())
        cancelled = moved.take_async()
        assert cancelled.cancel()
        stream.put("a")

        assert "a" == stream.try_take(0)
        assert 0 == stream.description()["pending_takes"]

    def test_a_cancelled_put_is_withdrawn(self):
        """Nobody gets its message."""
        stream = Stream()
        put = streams.onto(stream, Here()).put_async("a")
        assert put.cancel()

        assert stream.try_take(0) is None

    def test_a_take_that_somebody_else_realizes_gives_its_message_back(self):
        """In the moment it comes."""
        stream = Stream(9)
        moved = streams.onto(stream, Here())
        taken = moved.take_async()
        taken.success("other")
        stream.put("a")

        assert "a" == stream.try_take(0)

    def test_errors_pass(self):
        """Of the stream, and of a put that was broken off."""
        stream, wire = Stream(), Wire()
        taken = streams.onto(stream, Here()).take_async()
        stream.fail(ValueError("cut"))
        wire.is_stuck = True
        put = streams.onto(wire, Here()).put_async("a")
        settle()

        assert "cut" == str(taken.exception)
        greenlets = waiting(lambda: None)
        assert put.cancel("no")
        assert isinstance(put.exception, Cancelled)
        assert greenlets.dead
        gevent.sleep(0)

    def test_arguments_are_checked(self):
        """A TypeError names the one that is wrong."""
        with pytest.raises(TypeError, match="executor must have a method submit"):
            streams.onto(Stream(), 5)
        with pytest.raises(TypeError, match="stream must be a source or a sink"):
            streams.onto([], Here())
