"""The same work done once for all who want it at the same time."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from galeph.dns.flights import Flights
from galeph.errors import ResourceClosed
from galeph.testing import kill_walk


def test_once():
    """All who come while it is under way get the same; who comes later begins anew."""
    flights, gate, calls = Flights(), Event(), []

    def work(key):
        calls.append(key)
        gate.wait()
        return [key]

    waiting = [gevent.spawn(flights.run, "a", work) for _ in range(3)]
    gevent.sleep(0)
    assert "a" in flights
    gate.set()
    found = [each.get() for each in waiting]

    assert found[0] is found[1] is found[2]
    assert ["a"] == calls
    assert 0 == len(flights)
    assert ["a"] == flights.run("a", work)
    assert ["a", "a"] == calls


def test_it_fails():
    """All are told."""
    flights = Flights()
    waiting = [gevent.spawn(_caught, flights.run, "a", lambda _: 1 // 0) for _ in range(2)]

    assert [ZeroDivisionError] * 2 == [each.get() for each in waiting]
    assert 0 == len(flights)


def test_closed():
    """Who waits and who comes is told so."""
    flights = Flights()
    waiting = gevent.spawn(_caught, flights.run, "a", lambda _: gevent.sleep(30))
    gevent.sleep(0)
    flights.close()

    assert ResourceClosed is waiting.get()
    with pytest.raises(ResourceClosed):
        flights.run("b", str)


def test_killed_at_every_switch():
    """Who leaves disturbs nobody, and the last one calls it off."""

    def scenario(victim):
        flights, done = Flights(), []

        def work(key):
            try:
                gevent.sleep(0.001)
                return key
            finally:
                done.append(key)

        victim.spawn(flights.run, "a", work)
        other = gevent.spawn(flights.run, "a", work)
        victim.join()

        assert "a" == other.get()
        assert 0 == len(flights)
        assert 1 <= len(done)

    kill_walk(scenario, at_least=2)


def _caught(fn, *args):
    try:
        return fn(*args)
    except Exception as error:
        return type(error)
