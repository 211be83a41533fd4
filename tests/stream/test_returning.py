"""Messages under way when the operator they are at is closed, or dropped."""

from __future__ import annotations

import gc

import gevent
import pytest

from galeph import deferred
from galeph.stream import Stream
from galeph.stream.loans import ledger
from tests.stream.scenes import kill_served, settle, waiting


def rest(stream):
    return list(iter(lambda: stream.try_take(0, "end", "end"), "end"))


@pytest.fixture
def source():
    stream = Stream(9)
    stream.put_all(range(4))
    return stream


class TestClosedInsideAFunction:
    """Somebody closes an operator while a greenlet is in the function of one of its chain."""

    @pytest.fixture
    def gate(self):
        return gevent.event.Event()

    @pytest.fixture
    def slowly(self, gate):
        def slowly(n):
            gate.wait()
            return n

        return slowly

    CHAINS = {
        "map": lambda s, fn: s.map(fn),
        "filter": lambda s, fn: s.filter(lambda n: fn(n) is n),
        "map before a batch": lambda s, fn: s.map(fn).batch(2),
        "map behind a batch": lambda s, fn: s.batch(2).map(fn),
        "mapcat": lambda s, fn: s.mapcat(lambda n: [fn(n)]),
        "batch before a throttle": lambda s, fn: s.batch(1, metric=lambda n: fn(1)).throttle(1e6),
    }

    @pytest.mark.parametrize("takers", [1, 2])
    @pytest.mark.parametrize("name", CHAINS)
    def test_the_message_is_back_at_once(self, source, gate, slowly, name, takers):
        """What the function returns is for nobody; who waits for it sees the end."""
        made = self.CHAINS[name](source, slowly)
        ends = [waiting(made.take, "end") for _ in range(takers)]
        made.close()

        assert [0, 1, 2, 3] == rest(source)
        gate.set()
        assert ["end"] * takers == [end.get(timeout=1) for end in ends]
        assert [] == list(made) + rest(source)

    def test_with_something_below_it_goes_there(self, source, gate, slowly):
        """It is on its way, and the end comes behind it."""
        middle = source.map(slowly)
        end = middle.map(str)
        taker = waiting(end.take)
        middle.close()
        gate.set()

        assert "0" == taker.get(timeout=1)
        assert [] == list(end)
        assert [1, 2, 3] == rest(source)

    def test_a_function_that_raises_then(self, source, gate):
        """Nobody is told."""

        def broken(_):
            gate.wait()
            raise ValueError

        made = source.map(broken)
        taker = waiting(made.take, "end")
        made.close()
        gate.set()

        assert "end" == taker.get(timeout=1)
        assert [0, 1, 2, 3] == rest(source)

    def test_one_that_has_to_wait_then(self, source, gate, slowly):
        """It is not waited for."""
        made = source.reductions(lambda _, n: slowly(n) or deferred.Deferred())
        assert 0 == made.take()
        taker = waiting(made.take, "end")
        made.close()
        gate.set()

        assert "end" == taker.get(timeout=1)
        assert [1, 2, 3] == rest(source)


class TestRewinding:
    """One that goes back to where its way begins takes along what comes after it."""

    def drop(self):
        for _ in range(4):
            gc.collect()
            settle()

    def test_what_waits_above(self):
        """Of two operators the last is dropped, and its message and the next are the source's."""
        gate = gevent.event.Event()
        source = Stream(9)
        upper = source.map(lambda n: n and gate.wait() and n)
        made = upper.map(lambda n: n)
        kill_served(made, [waiting(made.box.take)])
        source.put_all(range(4))
        settle()
        assert [0] == [loan.message for loan in ledger(upper.branch)]
        del made
        self.drop()
        gate.set()

        assert [0, 1, 2, 3] == [upper.take() for _ in range(4)]
        assert [] == ledger(upper.branch)

    def test_what_a_greenlet_is_at(self):
        """It comes to nothing, and the function is called with it again."""
        called, gate = [], gevent.event.Event()

        def slowly(n):
            called.append(n)
            if n:
                gate.wait()
            return n

        source = Stream(9)
        upper = source.map(slowly)
        made = upper.map(lambda n: n)
        kill_served(made, [waiting(made.box.take)])
        source.put_all(range(4))
        taker = waiting(upper.take)
        del made
        self.drop()
        gate.set()
        got = [taker.get(timeout=1), *(upper.take() for _ in range(3))]

        assert [0, 1, 2, 3] == sorted(got)
        assert 4 <= len(called)


@pytest.mark.parametrize("end", ["closed", "dropped"])
@pytest.mark.parametrize("taken", [0, 1])
def test_what_is_left_of_a_series(end, taken):
    """The message goes back if nothing of it was taken; else the rest is dropped."""
    source = Stream(9)
    made = source.mapcat(lambda n: [n, -n])
    if taken:
        source.put(5)
        assert 5 == made.take()
    else:
        kill_served(made, [waiting(made.box.take)])
        source.put(5)
    settle()
    made.close() if end == "closed" else None
    del made
    for _ in range(3):
        gc.collect()
        settle()

    assert [5][taken:] == rest(source)
