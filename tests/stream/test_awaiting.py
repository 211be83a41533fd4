"""Takes that wait for an operator's message without a greenlet."""

from __future__ import annotations

import gc
from weakref import ref

import gevent
import pytest

from galeph import stream as streams
from galeph.bus import EventBus
from galeph.errors import Cancelled
from galeph.stream import Stream
from tests.stream.scenes import settle
from tests.stream.test_outlets import suspended
from tests.stream.wires import Wire, yielding

OPERATORS = {
    "map": (lambda s: s.map(str), "1"),
    "slow map": (lambda s: s.map(yielding(str)), "1"),
    "two maps": (lambda s: s.map(int).map(str), "1"),
    "filter": (lambda s: s.filter(bool), 1),
    "batch": (lambda s: s.batch(1), [1]),
    "mapcat": (lambda s: s.mapcat(lambda n: [n]), 1),
    "mapcat of streams": (lambda s: s.mapcat(lambda n: streams.source([n])), 1),
    "concat": (lambda s: streams.concat([s]), 1),
    "concat of an operator": (lambda s: streams.concat([s.map(str)]), "1"),
    "throttle": (lambda s: s.throttle(1e6), 1),
    "transform": (lambda s: s.transform(iter), 1),
    "transform ahead": (lambda s: s.transform(iter, buffer=2), 1),
    "realize_each": (lambda s: s.realize_each(), 1),
    "zip": (streams.zip, (1,)),
    "buffer": (lambda s: s.buffer(2), 1),
}


@pytest.mark.parametrize("name", sorted(OPERATORS))
class TestEveryOperator:
    def test_brings_the_next_message(self, name):
        """Also if nobody holds the operator meanwhile, but its source."""
        make, expected = OPERATORS[name]
        source = Stream(9)
        taken = make(source).take_async()
        gc.collect()
        settle()
        gc.collect()
        source.put(1)

        assert expected == taken.get(timeout=1)

    def test_is_garbage_with_its_source(self, name):
        """And with whoever waited for it."""
        make, _ = OPERATORS[name]
        source = Stream(9)
        made = make(source)
        taken = made.take_async()
        settle()
        gone = [ref(source), ref(made), ref(taken)]
        del source, made, taken
        for _ in range(3):
            gc.collect()
            settle()

        assert [None, None, None] == [each() for each in gone]

    def test_is_withdrawn_when_it_is_cancelled(self, name):
        """The message is for the next take."""
        make, expected = OPERATORS[name]
        source = Stream(9)
        made = make(source)
        taken = made.take_async()
        settle()
        assert taken.cancel()
        source.put(1)
        settle()

        assert expected == made.take()
        with pytest.raises(Cancelled):
            taken.get()

    def test_gets_the_default_at_the_end(self, name):
        """The operator's, not the source's."""
        make, _ = OPERATORS[name]
        source = Stream(9)
        taken = make(source).take_async("end")
        settle()
        source.close()

        assert "end" == taken.get(timeout=1)


def test_takes_no_greenlet_of_a_queue():
    """However many wait."""
    source = Stream()
    made = source.map(str)
    before = suspended()
    takes = [made.take_async() for _ in range(100)]
    settle()

    assert before == suspended()
    source.put_all(range(100))
    assert [str(n) for n in range(100)] == [taken.get(timeout=1) for taken in takes]


def test_gets_the_error_of_a_function():
    """As a take does."""
    source = Stream()
    taken = source.map(lambda n: 1 / n).take_async()
    source.put(0)

    with pytest.raises(ZeroDivisionError):
        taken.get(timeout=1)
    assert source.closed


def test_keeps_a_connection_that_is_read_and_lets_it_go_when_it_is_cancelled():
    """A take counts there as a link does; the greenlet that reads it stops when nobody wants it."""
    wire = Wire()
    before = suspended()
    taken = wire.map(str).take_async()
    settle()
    assert 1 == wire.link_count
    taken.cancel()
    settle()

    assert 0 == wire.link_count
    assert before == suspended()
    wire.arrive(1)
    assert 1 == wire.take()


def test_of_several_the_first_gets_the_first():
    """Also if one between them is cancelled, or a greenlet takes as well."""
    source = Stream(9)
    made = source.map(yielding(str))
    first, second, third = made.take_async(), made.take_async(), made.take_async()
    taker = gevent.spawn(made.take)
    settle()
    second.cancel()
    source.put_all([1, 2, 3])

    assert ["1", "2", "3"] == [each.get(timeout=1) for each in (first, third, taker)]


def test_keeps_a_subscription_until_it_has_its_message():
    """As a take of the subscription itself does: somebody may listen to the deferred."""
    bus, got = EventBus(), []
    bus.subscribe("news").map(str).take_async().on_realized(got.append, got.append)
    settle()
    gc.collect()
    settle()
    assert bus.active("news")
    bus.publish("news", 1)
    settle()
    gc.collect()
    settle()

    assert ["1"] == got
    assert not bus.active("news")
