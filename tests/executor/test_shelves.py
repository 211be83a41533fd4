"""The objects of a pool, and who waits for them."""

from __future__ import annotations

import pytest

from galeph.executor.shelves import Shelves


@pytest.fixture
def shelves():
    return Shelves(sample_period=1.0)


@pytest.fixture
def shelf(shelves):
    return shelves.shelf("key", 0.0)


class TestShelves:
    def test_one_for_each_key(self, shelves, shelf):
        """A key has one shelf, made when it is asked for."""
        other = shelves.shelf("other", 0.0)

        assert shelf is shelves.shelf("key", 1.0)
        assert [shelf, other] == list(shelves)

    def test_lent_and_taken_back(self, shelves, shelf):
        """An object that is lent is known until it is taken back."""
        thing = object()
        shelves.lend(shelf, thing, 1.0)
        during = (shelf.lent, shelves.count(), thing in shelves)
        returned = shelves.take_back("key", thing, 3.5)
        after = (shelf.lent, shelves.count(), thing in shelves)

        assert (1, (1, 0), True) == during
        assert shelf is returned
        assert (0, (0, 0), False) == after
        assert 2.5 == shelf.meter.stats().quantile("task_latency", 0.5)

    def test_not_lent(self, shelves, shelf):
        """What is not lent, or not of that key, is refused."""
        thing = object()
        shelves.lend(shelf, thing, 0.0)

        with pytest.raises(ValueError, match="'other'"):
            shelves.take_back("other", thing, 0.0)
        with pytest.raises(ValueError, match="'key'"):
            shelves.take_back("key", object(), 0.0)

        assert shelf is shelves.take_back("key", thing, 0.0)

    def test_newest_and_oldest(self, shelves, shelf):
        """The one laid down last is taken for use, the one laid down first is taken away."""
        things = [object() for _ in range(3)]
        for thing in things:
            shelves.lay_down(shelf, thing, 0.0)

        assert things[2] is shelves.take_newest(shelf)
        assert things[0] is shelves.take_oldest(shelf)
        assert {id(things[1]): things[1]} == shelf.idle
        assert (0, 1) == shelves.count()

    def test_equal_objects(self, shelves, shelf):
        """Objects are told apart by identity, so equal ones are two."""
        first, second = [], []
        shelves.lend(shelf, first, 0.0)
        shelves.lay_down(shelf, second, 0.0)

        assert (1, 1) == shelves.count()
        with pytest.raises(ValueError, match="lent"):
            shelves.take_back("key", second, 0.0)

    def test_idlest_of_the_others(self, shelves, shelf):
        """The shelf is found whose object has lain idle for longest, of all the others."""
        other, third = shelves.shelf("other", 0.0), shelves.shelf("third", 0.0)
        none = shelves.idlest_but(shelf)
        for place in (shelf, third, other):
            shelves.lay_down(place, object(), 0.0)

        assert none is None
        assert third is shelves.idlest_but(shelf)
        assert shelf is shelves.idlest_but(third)


class TestShelf:
    def test_size(self, shelves, shelf):
        """All objects of a key count, those being made too."""
        shelves.lend(shelf, object(), 0.0)
        shelves.lay_down(shelf, object(), 0.0)
        shelf.making = 3

        assert 5 == shelf.size

    def test_oldest(self, shelf):
        """The first of those who wait has waited longest."""
        nobody = shelf.oldest
        shelf.waiting["first"] = 1.0
        shelf.waiting["second"] = 2.0

        assert nobody is None
        assert 1.0 == shelf.oldest

    def test_utilization(self, shelves, shelf):
        """The meter knows which part of the objects is lent."""
        shelf.meter.resume(0.0, is_new=True)
        for _ in range(3):
            shelves.lay_down(shelf, object(), 0.0)
        shelves.lend(shelf, object(), 0.0)
        shelf.meter.sample(1.0, 0)
        stats = shelf.meter.close_period(1.0, 0)

        assert 0.25 == stats.quantile("utilization", 0.5)
        assert 4 == stats.num_workers
