"""`Waiter`, `Limit`, `Turn`: waiting that a kill or a Timeout can interrupt anywhere."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub

from galeph.stream.waiters import WAITING, Limit, Turn, Waiter
from tests.stream.scenes import interruptions, settle, victim, waiting


class TestWaiter:
    def test_blocks_until_served(self):
        """The outcome lies in the waiter when `wait` returns."""
        waiter = None

        def wait():
            nonlocal waiter
            waiter = Waiter(get_hub().loop.run_callback)
            waiter.wait()
            return waiter.outcome

        blocked = waiting(wait)

        assert WAITING is waiter.outcome
        assert waiter.serve("served")
        assert "served" == blocked.get(timeout=1)

    def test_is_not_woken_by_anybody_else(self):
        """A stray switch to the greenlet does not end the wait."""
        waiter = None

        def wait():
            nonlocal waiter
            waiter = Waiter(get_hub().loop.run_callback)
            waiter.wait()
            return waiter.outcome

        blocked = waiting(wait)
        get_hub().loop.run_callback(blocked.switch, "stray")
        settle()

        assert not blocked.ready()
        waiter.serve("served")
        assert "served" == blocked.get(timeout=1)

    def test_an_exception_before_the_wake_up_leaves_the_outcome_to_see(self):
        """Served and killed at once, the waiter knows that it was served, and no wake-up comes."""
        waiter, later = None, []

        def wait():
            nonlocal waiter
            waiter = Waiter(get_hub().loop.run_callback)
            try:
                waiter.wait()
            except gevent.GreenletExit:
                later.append(waiter.outcome)
            # A wake-up that came now would end this sleep early.
            gevent.get_hub().switch()
            later.append("woken")

        blocked = waiting(wait)
        blocked.kill(block=False)
        waiter.serve("served")
        settle()

        assert ["served"] == later
        blocked.kill()


class TestLimit:
    def test_leaves_the_block_when_the_time_is_over(self):
        """The greenlet goes on behind the block."""
        reached = False
        with Limit(0.001, get_hub()):
            gevent.sleep(60)
            reached = True

        assert not reached

    def test_leaves_the_block_when_interrupted(self):
        """`interrupt` does the same from outside, and may be called twice."""
        limit = None

        def work():
            nonlocal limit
            with Limit(None, get_hub()) as limit:
                gevent.sleep(60)
            return "left"

        blocked = waiting(work)
        limit.interrupt()
        limit.interrupt()

        assert "left" == blocked.get(timeout=1)

    def test_does_nothing_after_the_block(self):
        """An interruption that is late hits nothing, not even if it was on its way."""

        def work():
            with Limit(None, get_hub()) as limit:
                limit.interrupt()
            gevent.sleep(0)
            limit.interrupt()
            gevent.sleep(0)
            return "untouched"

        assert "untouched" == waiting(work).get(timeout=1)

    def test_lets_other_exceptions_through(self):
        """A Timeout of the caller's own is not taken for the limit."""
        own = gevent.Timeout(0.001)
        with pytest.raises(gevent.Timeout) as caught, own, Limit(60, get_hub()):
            gevent.sleep(60)

        assert own is caught.value
        with pytest.raises(KeyError), Limit(60, get_hub()):
            raise KeyError


class TestTurn:
    def test_goes_to_those_who_wait_in_their_order(self):
        """Nobody overtakes, also not the one who has just released it."""
        turn, order = Turn(), []

        def work(name):
            for _ in range(2):
                turn.acquire(get_hub())
                order.append(name)
                gevent.sleep(0)
                turn.release()

        workers = [gevent.spawn(work, name) for name in "abc"]
        gevent.joinall(workers, timeout=1)

        assert list("abcabc") == order
        assert not turn.is_taken

    def test_is_never_lost_by_an_interruption(self):
        """Thrown at after any switch, a greenlet that waits for its turn leaves it to others."""

        def scene():
            turn = Turn()

            def work():
                turn.acquire(get_hub())
                try:
                    gevent.sleep(0)
                finally:
                    turn.release()

            def others():
                assert gevent.joinall([gevent.spawn(work) for _ in range(3)], timeout=1)
                settle()
                free.append(not turn.is_taken)

            turn.acquire(get_hub())
            get_hub().loop.run_callback(turn.release)
            return victim(work), others

        free = []
        for way in interruptions(scene):
            assert free.pop(), way
