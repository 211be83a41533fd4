"""`reductions` and `reduce`: what a function makes of all messages so far."""

from __future__ import annotations

import operator
from itertools import accumulate

import pytest
from gevent.event import Event

from galeph import stream as streams
from galeph.deferred import Deferred, future
from galeph.errors import Cancelled
from galeph.stream import Reduced, Stream, connect, consume
from tests.stream.scenes import USES, collect, feed, interruptions, outcome, settle, victim, waiting
from tests.stream.wires import Wire, yielding


class TestReductions:
    @pytest.mark.parity("STR-43")
    @pytest.mark.parametrize("use", USES)
    def test_gives_what_there_is_after_each_message(self, use):
        """The initial value first, or the first message."""
        assert list(accumulate(range(10))) == collect(
            streams.reductions(operator.add, range(10)), use
        )
        assert list(accumulate(range(10), initial=1)) == collect(
            streams.reductions(operator.add, range(10), initial=1), use
        )

    @pytest.mark.parity("STR-43")
    def test_gives_the_initial_value_before_any_message(self):
        """Of an empty source it is all there is; without one there is nothing."""
        silent = Stream()

        assert None is silent.reductions(operator.add, initial=None).try_take(0, "end", "late")
        assert [5] == list(streams.reductions(operator.add, [], initial=5))
        assert [] == list(streams.reductions(operator.add, []))

    @pytest.mark.parametrize("use", USES)
    def test_the_initial_value_is_before_a_message_that_is_under_way(self, use):
        """One that a taker was interrupted with, in a function above."""
        source, gate = Stream(9), Event()
        source.put_all([1, 2])
        mapped = source.map(lambda n: gate.wait() and n)
        waiting(mapped.take).kill()
        gate.set()
        source.close()

        assert [9, 10, 12] == collect(mapped.reductions(operator.add, initial=9), use)

    @pytest.mark.parametrize("use", USES)
    def test_the_initial_value_is_before_what_comes_another_way(self, use):
        """As the initial value of an operator above does, where the source feeds several since."""
        source, beside = Stream(9), Stream(9)
        mapped = source.map(int)
        above = mapped.reductions(operator.add, initial=1)
        below = above.map(int)
        connect(mapped, beside)
        feed(source, 1, 2)

        assert [9, 10, 12, 16] == collect(below.reductions(operator.add, initial=9), use)
        assert [1, 2] == list(beside)

    @pytest.mark.parity("STR-43")
    @pytest.mark.parametrize("use", USES)
    def test_waits_for_deferreds(self, use):
        """The function may return a deferred of the new value."""
        summed = streams.reductions(lambda a, b: future(operator.add, a, b), range(5))

        assert [0, 1, 3, 6, 10] == collect(summed, use)

    @pytest.mark.parity("STR-43", "STR-62")
    @pytest.mark.parametrize("late", [False, True])
    def test_an_error_fails_the_output_and_closes_the_source(self, late):
        """Raised or in a deferred, behind what came before."""
        source = Stream(9)
        source.put_all([1, 0, 1])

        def divide(a, b):
            return future(operator.truediv, a, b) if late else a / b

        divided = source.reductions(divide)

        assert 1 == divided.take()
        with pytest.raises(ZeroDivisionError):
            divided.take()
        assert source.closed

    def test_a_reduced_value_is_the_last(self):
        """The output ends with it and the source is closed."""
        source = Stream(9)
        source.put_all(range(9))
        summed = source.reductions(lambda a, n: Reduced(a + n) if n == 3 else a + n)

        assert [0, 1, 3, 6] == list(summed)
        assert source.closed

    def test_an_interrupted_take_loses_nothing_and_counts_nothing_twice(self):
        """Thrown at after any switch, the values are the same."""

        def scene():
            nonlocal taken
            source, taken = Stream(9), []
            summed = source.reductions(lambda a, b: future(yielding(operator.add), a, b))

            def take():
                for _ in range(3):
                    taken.append(summed.take())

            def supply():
                source.put_all(range(5))
                settle()
                while len(taken) < 5:
                    taken.append(summed.try_take(1))

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert [0, 1, 3, 6, 10] == taken, way

    def test_the_function_is_asked_once_for_each_message(self):
        """Also if the take that waits for its deferred is killed."""
        pending, calls = Deferred(), []
        summed = streams.reductions(lambda *both: calls.append(both) or pending, [1, 2])
        assert 1 == summed.take()
        waiting(summed.take).kill()
        pending.success(3)

        assert 3 == summed.take()
        assert [(1, 2)] == calls


class TestReduce:
    @pytest.mark.parity("STR-44")
    @pytest.mark.parametrize("make", ["iterable", "stream", "wire"])
    def test_holds_the_last_value(self, make):
        """With and without an initial value."""
        for options, expected in (({}, 4950), ({"initial": 1}, 4951)):
            source = {"iterable": range(100), "stream": Stream(100), "wire": Wire(*range(100))}[
                make
            ]
            total = streams.reduce(operator.add, source, **options)
            if make == "stream":
                source.put_all(range(100))
                source.close()
            elif make == "wire":
                source.end()

            assert expected == total.get(timeout=1)

    @pytest.mark.parity("STR-44")
    def test_of_nothing_is_the_initial_value_or_what_the_function_returns(self):
        """Called without arguments, it may return a deferred, and it may fail."""
        assert 5 == streams.reduce(operator.add, [], initial=5).get(timeout=1)
        assert "none" == streams.reduce(lambda *_: "none", []).get(timeout=1)
        assert "later" == streams.reduce(lambda *_: future(lambda: "later"), []).get(timeout=1)
        failed = outcome(lambda: streams.reduce(operator.add, []).get())
        assert isinstance(failed.get(timeout=1), TypeError)

    @pytest.mark.parity("STR-44")
    def test_of_one_message_is_that(self):
        """Without an initial value the function is not called."""
        assert "a" == streams.reduce(lambda *_: "wrong", ["a"]).get(timeout=1)

    @pytest.mark.parity("STR-44")
    @pytest.mark.parametrize("make", ["stream", "wire", "iterable"])
    def test_a_reduced_value_leaves_the_rest(self, make):
        """It ends at once; the source is open and goes on with the next message."""
        source = {
            "iterable": streams.source(iter(range(10))),
            "stream": Stream(10),
            "wire": Wire(*range(10)),
        }[make]
        if make == "stream":
            source.put_all(range(10))
        large = source.reduce(lambda _, n: Reduced("large") if n == 5 else n, initial=0)

        assert "large" == large.get(timeout=1)
        assert not source.drained
        assert 6 == source.take()
        assert 0 == source.link_count
        source.close()
        settle()

    @pytest.mark.parity("STR-44")
    def test_an_exception_fails_it_and_closes_the_source(self):
        """What the function raises, or its deferred."""
        for divide in (operator.truediv, lambda a, b: future(operator.truediv, a, b)):
            source = Stream(9)
            quotient = source.reduce(divide, initial=1)
            source.put_all([1, 0])
            settle()

            assert isinstance(quotient.exception, ZeroDivisionError)
            assert source.closed

    def test_a_failure_of_the_source_fails_it(self):
        """There is no last value of what was cut."""
        source = Stream(9)
        total = source.reduce(operator.add)
        source.put(1)
        source.fail(ValueError("cut"))
        settle()

        assert "cut" == str(total.exception)

    def test_cancelling_it_leaves_the_source_open(self):
        """The next message goes to others."""
        source = Stream(9)
        total = source.reduce(operator.add)
        source.put(1)
        settle()
        total.cancel()
        settle()
        source.put(2)

        assert isinstance(total.exception, Cancelled)
        assert 2 == source.try_take(0)
        assert not source.closed

    def test_does_not_disturb_others_on_the_source(self):
        """Each sees every message."""
        source, seen = Stream(9), []
        consume(source, seen.append)
        total = source.reduce(operator.add)
        source.put_all([1, 2, 3])
        source.close()

        assert 6 == total.get(timeout=1)
        assert [1, 2, 3] == seen

    def test_counts_as_connected_while_it_runs(self):
        """A handler that returns it keeps its connection."""
        wire = Wire(1)
        total = wire.reduce(operator.add)
        settle()

        assert 1 == wire.link_count
        wire.end()
        assert 1 == total.get(timeout=1)
        assert 0 == wire.link_count

    def test_functions_may_block(self):
        """They run in a greenlet."""
        assert 10 == streams.reduce(yielding(operator.add), range(5)).get(timeout=1)


def test_reduced_says_what_it_holds():
    """For whoever finds one where none should be."""
    assert "Reduced(5)" == repr(Reduced(5))
