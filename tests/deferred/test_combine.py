"""zip, alt and connect."""

from __future__ import annotations

import collections
import itertools

import gevent
import pytest
from gevent.event import AsyncResult

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred.producer import owns
from tests.deferred.threads import settle


def later(value):
    d = Deferred()
    gevent.spawn(d.success, value)
    return d


class TestZip:
    @pytest.mark.parity("DEF-32")
    def test_all_values_in_order(self):
        """The values come in the order of the arguments, whatever they are."""
        a, b = Deferred(), AsyncResult()
        d = deferred.zip(a, "plain", b, gevent.spawn(int, 4), later(later(5)))

        b.set(3)
        settle()
        a.success(1)

        assert [1, "plain", 3, 4, 5] == d.get()

    @pytest.mark.parity("DEF-32")
    def test_nothing(self):
        """Without arguments it is an empty list, at once."""
        assert [] == deferred.zip().get(block=False)

    def test_all_there(self):
        """If everything is there, so is the result."""
        assert [1, 2] == deferred.zip(1, deferred.success(2)).get(block=False)

    def test_same_twice(self):
        """The same deferred may stand in several places."""
        a = Deferred()
        d = deferred.zip(a, a)
        a.success(1)

        assert [1, 1] == d.get()

    @pytest.mark.parity("DEF-33")
    def test_first_error_known(self):
        """The first error known is the outcome; the others are not waited for."""
        a, b = Deferred(), Deferred()
        d = deferred.zip(a, b)
        error = ValueError("x")

        b.error(error)

        with pytest.raises(ValueError, match="x") as caught:
            d.get()
        assert caught.value is error
        assert not a.ready()

    @pytest.mark.parity("DEF-33")
    def test_error_there_already(self):
        """One that has failed already fails it at once."""
        d = deferred.zip(Deferred(), 1, deferred.error(ValueError()))

        assert d.ready()
        assert isinstance(d.exception, ValueError)

    def test_leaves_the_others(self):
        """Once decided, nothing of it hangs on what is still pending."""
        a, b = Deferred(), Deferred()
        d = deferred.zip(a, b)
        b.error(ValueError())
        d.wait()

        assert not a._entries

    def test_realized_by_somebody_else(self):
        """An outcome from elsewhere stays."""
        a = Deferred()
        d = deferred.zip(a, a)
        d.success("mine")
        a.success(1)
        settle()

        assert "mine" == d.get()

    def test_in_the_hub(self):
        """It may be made in the hub."""
        result = AsyncResult()
        gevent.get_hub().loop.run_callback(lambda: result.set(deferred.zip(1, later(2))))

        assert [1, 2] == result.get().get()


class TestZipOfResources:
    def make(self):
        disposed = []
        pair = [Deferred(), Deferred()]
        for d in pair:
            owns(d, disposed.append)
        return pair, disposed

    def test_taken(self):
        """When all have come, the list is the taker's."""
        (a, b), disposed = self.make()
        d = deferred.zip(a, b)
        a.success("a")
        b.success("b")

        assert ["a", "b"] == d.get()
        assert [] == disposed

    def test_failed(self):
        """If one fails, the values that had come are disposed of."""
        (a, b), disposed = self.make()
        d = deferred.zip(a, b)
        a.success("a")
        settle()
        assert [] == disposed
        b.error(ValueError())

        with pytest.raises(ValueError):
            d.get()
        assert ["a"] == disposed

    def test_waiter_killed(self):
        """If the only waiter is killed, what is pending is cancelled, what has come disposed of."""
        (a, b), disposed = self.make()
        d = deferred.zip(a, b)
        waiter = gevent.spawn(d.get)
        a.success("a")
        settle()
        waiter.kill()

        assert ["a"] == disposed
        assert b.cancelled()
        assert d.cancelled()

    def test_nobody_took_the_list(self):
        """If the waiter is killed when the list is there, everything in it is disposed of."""
        (a, b), disposed = self.make()
        d = deferred.zip(a, b)
        waiter = gevent.spawn(d.get)
        gevent.sleep(0)
        a.success("a")
        b.success("b")
        gevent.get_hub().loop.run_callback(lambda: None)
        while not d.ready():
            gevent.sleep(0)
        if not waiter.ready():
            waiter.kill()
        taken = waiter.value == ["a", "b"]

        assert sorted([] if taken else ["a", "b"]) == sorted(disposed)

    def test_late_value_after_failing(self):
        """One that comes after the result has failed is disposed of: it was cancelled."""
        (a, b), disposed = self.make()
        d = deferred.zip(a, b)
        b.error(ValueError())
        d.wait()

        assert a.cancelled()
        assert a.success("late") is False
        assert ["late"] == disposed


class TestAlt:
    @pytest.mark.parity("DEF-34")
    @pytest.mark.parametrize("first", [0, 1, 2])
    def test_first_value(self, first):
        """The first one realized decides."""
        pending = [Deferred() for _ in range(3)]
        d = deferred.alt(*pending)

        pending[first].success(first)

        assert first == d.get()

    @pytest.mark.parity("DEF-34")
    def test_first_error(self):
        """An error counts like a value."""
        a, b = Deferred(), Deferred()
        d = deferred.alt(a, b)
        a.error(ValueError("x"))
        b.success(1)

        with pytest.raises(ValueError, match="x"):
            d.get()

    @pytest.mark.parity("DEF-34")
    def test_plain_value(self):
        """A plain value has arrived."""
        assert 1 == deferred.alt(Deferred(), 1).get(block=False)

    @pytest.mark.parity("DEF-35")
    def test_uniform(self):
        """Of several that are there each is picked equally often."""
        there = [deferred.success(n) for n in range(10)]

        counts = collections.Counter(deferred.alt(*there).get() for _ in range(10_000))

        assert 10 == len(counts)
        assert all(abs(count - 1000) < 150 for count in counts.values())

    def test_leaves_the_others(self):
        """Once decided, nothing of it hangs on what is still pending."""
        forever = Deferred()
        for n in range(100):
            assert n == deferred.alt(forever, later(n)).get()

        assert not forever._entries
        assert not forever.ready()

    def test_losers_that_own(self):
        """A loser that owns its value is cancelled if nobody else wants it."""
        disposed = []
        winner, pending, wanted = Deferred(), Deferred(), Deferred()
        for d in (winner, pending, wanted):
            owns(d, disposed.append)
        other = wanted.chain()
        d = deferred.alt(winner, pending, wanted)
        winner.success("won")

        assert "won" == d.get()
        assert pending.cancelled()
        assert not wanted.ready()
        assert [] == disposed
        other.cancel()

    @pytest.mark.parity("DEF-36")
    def test_none(self):
        """Of no arguments there is no first: ValueError."""
        with pytest.raises(ValueError, match="xs must hold"):
            deferred.alt()


class TestConnect:
    @pytest.mark.parity("DEF-18")
    def test_passes_on(self):
        """The outcome of one becomes the other's."""
        for make in (later, deferred.success, lambda x: later(later(x))):
            target = Deferred()

            assert deferred.connect(make(1), target) is True
            assert 1 == target.get()

    def test_error(self):
        """An error passes too."""
        source, target = Deferred(), Deferred()
        deferred.connect(source, target)
        source.error(ValueError("x"))

        with pytest.raises(ValueError, match="x"):
            target.get()

    @pytest.mark.parity("DEF-18")
    def test_plain_value(self):
        """A plain value realizes it."""
        target = Deferred()

        assert deferred.connect(1, target) is True
        assert 1 == target.get()

    @pytest.mark.parity("DEF-18")
    def test_realized_target(self):
        """To a realized one nothing is connected."""
        source = Deferred()

        assert deferred.connect(source, deferred.success(1)) is False
        assert source.hub is None

    @pytest.mark.parity("DEF-18")
    def test_wants_a_deferred(self):
        """The target must be a Deferred."""
        with pytest.raises(TypeError, match="target must be a Deferred"):
            deferred.connect(1, AsyncResult())

    @pytest.mark.parity("DEF-18")
    def test_10_000_links(self):
        """A line of 10,000 connected deferreds passes the value without a stack."""
        line = [Deferred() for _ in range(10_000)]
        for source, target in itertools.pairwise(line):
            deferred.connect(source, target)
        line[0].success(1)

        assert 1 == line[-1].get()
