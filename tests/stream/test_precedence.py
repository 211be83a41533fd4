"""What leaves an operator before all that its lane brings there."""

from __future__ import annotations

from weakref import ref

from gevent.event import Event

from galeph.stream import Stream, connect, consume
from galeph.stream.loans import First
from galeph.stream.precedence import insert, send_first
from galeph.stream.steps import Many
from tests.stream.scenes import settle
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
