"""Answers for as long as they hold, and no more of them than fit."""

from __future__ import annotations

import pytest

from galeph.dns.cache import Cache


def test_for_as_long_as_it_holds():
    """Up to its last moment, not in it."""
    cache = Cache(10)
    cache.put("name", "value", 5, 100.0)

    assert "value" == cache.get("name", 104.999)
    assert cache.get("name", 105.0) is None
    assert 0 == len(cache)


def test_anew():
    """A later value takes the place of the earlier, and its time."""
    cache = Cache(10)
    cache.put("name", "old", 5, 0.0)
    cache.put("name", "new", 5, 3.0)

    assert "new" == cache.get("name", 7.0)
    assert 1 == len(cache)


@pytest.mark.parametrize(("size", "ttl"), [(10, 0), (10, -1), (0, 5)])
def test_nothing_to_keep(size, ttl):
    """What holds for no time, and anything where there is no room, is not kept."""
    cache = Cache(size)
    cache.put("name", "value", ttl, 0.0)

    assert cache.get("name", 0.0) is None


@pytest.mark.attack(269, 301)
def test_a_flood_of_names():
    """The number of entries has a limit, and a name in use outlives a flood of others."""
    cache = Cache(1000)
    cache.put("hot", "value", 86400, 0.0)
    for number in range(200_000):
        cache.put(number, None, 86400, 0.0)
        if not number % 500:
            assert "value" == cache.get("hot", 0.0)

    assert 1000 == len(cache)


def test_what_is_over_goes_first():
    """One that was used but does not hold any more gets no second chance."""
    cache = Cache(2)
    cache.put("over", 1, 5, 0.0)
    cache.put("holds", 2, 50, 0.0)
    assert 1 == cache.get("over", 1.0)
    cache.put("new", 3, 50, 10.0)

    assert {"holds", "new"} == set(cache.entries)


def test_clear():
    """Everything is forgotten."""
    cache = Cache(2)
    cache.put("name", 1, 5, 0.0)
    cache.clear()

    assert cache.get("name", 0.0) is None
