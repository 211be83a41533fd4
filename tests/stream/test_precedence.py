"""What leaves an operator before all that its lane brings there."""

from __future__ import annotations

from weakref import ref

import gevent
from gevent.event import Event

from galeph.stream import Stream, connect, consume
from galeph.stream.loans import First
from galeph.stream.precedence import insert, send_first
from galeph.stream.steps import Many
from tests.stream.scenes import settle, waiting
from tests.stream.test_lanes import staged


def test_what_lies_in_an_operator_goes_first():
    """Before what the source has, when something is connected."""
    source = Stream(9)
    source.put_all([3, 4])
    made = source.map(lambda n: n)
    made._give_back(2)
    made._give_back(1)
    seen = []
    done = consume(made, seen.append)
    source.close()

    assert done.get(timeout=1) is True
    assert [1, 2, 3, 4] == seen


def test_what_is_inserted_does_not_overtake_what_has_left():
    """The rest of a series of an operator above comes behind it."""
    source = Stream(9)
    upper = staged(source, lambda n: Many([n, n + 1]))
    lower = upper.map(lambda n: n)
    source.put(1)
    assert 1 == lower.take()
    insert(lower._end_of_lane(), lower, ["inserted"])

    assert ["inserted", 2] == [lower.take(), lower.take()]


def test_several_things_are_sent_one_after_the_other():
    """With backpressure between them, and what comes then stands behind."""
    source, sink = Stream(9), Stream()
    made = source.map(lambda n: n)
    done = connect(made, sink)
    settle()
    send_first(made._end_of_lane(), made, ["a", "b"])
    source.put("c")
    settle()

    assert 1 == sink.description()["pending_puts"]
    assert ["a", "b", "c"] == [sink.take() for _ in range(3)]
    source.close()
    assert done.get(timeout=1) is True


def test_an_end_waits_for_what_goes_first():
    """It is not lost when the source ends in the meantime."""
    source, sink = Stream(9), Stream()
    made = source.map(lambda n: n)
    made._give_back("first")
    connect(made, sink)
    source.close()
    settle()

    assert not sink.closed
    assert ["first"] == list(sink)


def test_the_series_ends():
    """Also when the operator is gone."""
    source = Stream(9)
    made = source.map(str)
    first = First(made.branch.lane, made, ["a"])
    assert "a" == next(first)
    del made

    assert [] == list(first)


def test_it_goes_first_although_the_connection_is_cancelled_at_once():
    """The next message is on its way already."""
    source, sink = Stream(9), Stream(1)
    entered, go_on = Event(), Event()
    made, other = source.map(lambda n: entered.set() or (go_on.wait() and n)), source.map(str)
    consume(other, lambda _: None)
    source.put(2)
    entered.wait()
    made._give_back(1)
    connect(made, sink).cancel()
    go_on.set()
    settle()

    assert [1, 2] == [made.take(), made.take()]


def test_the_series_goes_with_the_operator():
    """Else it would keep what that takes from."""
    source = Stream(9)
    upper = source.map(lambda n: n)
    lower = upper.map(lambda n: n)
    seen = ref(upper)
    send_first(lower._end_of_lane(), lower, ["a"])
    assert "a" == lower.take()
    del upper, lower
    settle()

    assert seen() is None


class TestASecondWayOn:
    """What has left an operator before it goes before what leaves it afterwards."""

    @staticmethod
    def one_by_one(messages):
        inside = 0
        for message in messages:
            inside += 1
            gevent.sleep(0)
            assert 1 == inside
            inside -= 1
            yield message

    def test_waits_for_what_is_to_be_sent_first_below(self):
        """A generator gets one message after the other, though two operators have a first one."""
        source, aside = Stream(9), Stream(9)
        upper = source.map(lambda n: n)
        sums = upper.reductions(lambda a, b: a + b, initial=0)
        sums_of_sums = sums.reductions(lambda a, b: a + b, initial=0)
        connect(upper, aside)
        out = sums_of_sums.transform(self.one_by_one)
        reader = waiting(list, out)
        source.put_all([1, 2])
        source.close()

        assert [0, 0, 1, 4] == reader.get(timeout=1)
        assert [1, 2] == list(aside)

    def test_waits_for_what_is_in_a_function_below(self):
        """And what is to be sent first there goes before what comes by the new ways."""
        source, aside, entered, go_on = Stream(9), Stream(9), Event(), Event()
        upper = source.map(lambda n: entered.set() or (go_on.wait() and n))
        lower = upper.reductions(lambda _, n: n, initial=0)
        seen = []
        done = consume(lower.map(slowly), seen.append)
        source.put_all([1, 2])
        source.close()
        entered.wait()
        connect(upper, aside)
        go_on.set()

        assert done.get(timeout=1) is True
        assert [0, 1, 2] == seen
        assert [1, 2] == list(aside)

    def test_waits_for_what_stands_further_down(self):
        """However it got there: in a series, in a function, or in the line of a sink."""
        source, sink, aside = Stream(9), Stream(), Stream(9)
        upper = source.mapcat(lambda n: [n, -n])
        lower = upper.mapcat(lambda n: [n, n])
        connect(lower, sink)
        source.put(1)
        settle()
        connect(upper, aside)
        source.close()
        settle()

        assert 0 == aside.qsize()
        assert [1, 1, -1, -1] == list(sink)
        assert [-1] == list(aside)


def slowly(message):
    gevent.sleep(0)
    return message
