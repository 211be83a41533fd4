"""Turns: one at a time, in the order of asking."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub

from galeph.transport.turns import Turns


@pytest.fixture
def turns():
    return Turns(get_hub())


def spawn_taker(turns, name, taken):
    def take():
        turns.take()
        taken.append(name)

    greenlet = gevent.spawn(take)
    gevent.sleep(0)
    return greenlet


class TestOrder:
    def test_free_turn_is_taken_without_a_switch(self, turns):
        """The first to ask has the turn at once."""
        turns.take()

        assert turns.is_taken

    def test_first_come_first_served(self, turns):
        """Whoever asked first gets the turn first, one at each end."""
        taken = []
        turns.take()
        for name in "abc":
            spawn_taker(turns, name, taken)
        for expected in ("a", "ab", "abc"):
            turns.end()
            gevent.sleep(0)
            assert list(expected) == taken

        assert turns.is_taken
        turns.end()
        assert not turns.is_taken

    def test_nobody_overtakes_one_whose_turn_was_announced(self, turns):
        """Between the end of a turn and the next one's waking the turn is not free."""
        turns.take()
        spawn_taker(turns, "first", [])
        turns.end()

        assert turns.is_taken
        gevent.sleep(0)


class TestLeaving:
    def test_killed_in_the_queue(self, turns):
        """A killed waiter is no longer served; the one behind it is."""
        taken = []
        turns.take()
        killed = spawn_taker(turns, "killed", taken)
        spawn_taker(turns, "next", taken)
        killed.kill()
        turns.end()
        gevent.sleep(0)

        assert ["next"] == taken

    def test_killed_when_the_turn_was_already_its_own(self, turns):
        """A waiter killed between being called and waking passes the turn on."""
        taken = []
        turns.take()
        killed = spawn_taker(turns, "killed", taken)
        spawn_taker(turns, "next", taken)
        gevent.get_hub().loop.run_callback(killed.throw, gevent.GreenletExit)
        turns.end()
        gevent.sleep(0)
        gevent.sleep(0)

        assert ["next"] == taken

    def test_fail_wakes_everybody(self, turns):
        """Failing the queue raises in each who waits, and serves none."""
        errors = []

        def take():
            try:
                turns.take()
            except KeyError as error:
                errors.append(error.args)

        turns.take()
        waiting = [gevent.spawn(take) for _ in range(3)]
        gevent.sleep(0)
        turns.fail(KeyError("over"))
        gevent.joinall(waiting)

        assert [("over",)] * 3 == errors
        turns.end()
        assert not turns.is_taken


class TestPassingOn:
    def test_heir_has_the_place_in_the_queue(self, turns):
        """Who inherits a place is served when its former owner would have been."""
        taken = []
        turns.take()
        waiter = turns.join()
        spawn_taker(turns, "behind", taken)
        heir = turns.pass_on(waiter)

        def inherit():
            heir.get()
            taken.append("heir")
            turns.end()

        gevent.spawn(inherit)
        gevent.sleep(0)
        turns.end()
        gevent.sleep(0)
        gevent.sleep(0)

        assert ["heir", "behind"] == taken

    def test_heir_of_a_turn_that_has_come(self, turns):
        """Inheriting from one who was called already is having the turn."""
        turns.take()
        waiter = turns.join()
        turns.end()
        heir = turns.pass_on(waiter)

        assert heir.get() is None
        turns.leave(heir)
        assert not turns.is_taken
