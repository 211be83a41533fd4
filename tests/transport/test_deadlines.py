"""`Deadlines`: marks on connections, looked at by one sweep a second."""

from __future__ import annotations

import pytest

from galeph.clock import default as default_clock
from galeph.testing import ManualClock
from galeph.transport.deadlines import NEVER, Deadlines, hub_deadlines


class Guarded:
    """Something with a deadline, that notes when it expired."""

    def __init__(self, clock, deadline=NEVER):
        self.clock = clock
        self.deadline = deadline
        self.expired_at = []

    def expire(self):
        self.expired_at.append(self.clock.monotonic())


@pytest.fixture
def clock():
    """A clock that stands at 0."""
    with ManualClock() as clock:
        yield clock


def after(clock, seconds):
    return clock.monotonic() + seconds


class TestExpiring:
    def test_within_a_second(self, clock):
        """A deadline is met not before it has passed, and at most a second later."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock, after(clock, 2.5))
        deadlines.watch(guarded)
        due = guarded.deadline
        clock.advance(2.4)

        assert [] == guarded.expired_at

        clock.advance(1.2)

        assert 1 == len(guarded.expired_at)
        assert due <= guarded.expired_at[0] <= due + 1

    def test_once(self, clock):
        """What has expired is not expired again unless it sets a new deadline."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock, after(clock, 1))
        deadlines.watch(guarded)
        clock.advance(10)

        assert 1 == len(guarded.expired_at)

        guarded.deadline = after(clock, 1)
        deadlines.hurry(guarded)
        clock.advance(3)

        assert 2 == len(guarded.expired_at)

    def test_set_anew_by_the_expiry(self, clock):
        """A deadline that what has expired sets itself is met at most a second later, too."""

        class Again(Guarded):
            def expire(self):
                super().expire()
                self.deadline = after(clock, 0.25)

        deadlines = Deadlines(clock)
        guarded = Again(clock, after(clock, 0.5))
        deadlines.watch(guarded)
        clock.advance(10)

        gaps = [b - a for a, b in zip(guarded.expired_at, guarded.expired_at[1:], strict=False)]
        assert 9 <= len(guarded.expired_at)
        assert all(0.25 <= gap <= 1.26 for gap in gaps)

    def test_moved_later(self, clock):
        """A deadline that was moved on by assignment is met at its new time only."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock, after(clock, 5))
        deadlines.watch(guarded)
        for _ in range(20):
            clock.advance(1)
            guarded.deadline = after(clock, 5)

        assert [] == guarded.expired_at

        clock.advance(7)

        assert 1 == len(guarded.expired_at)

    def test_moved_earlier(self, clock):
        """A deadline that became earlier is met in time once `hurry` was called."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock, after(clock, 50))
        deadlines.watch(guarded)
        guarded.deadline = after(clock, 2)
        deadlines.hurry(guarded)
        clock.advance(4)

        assert 1 == len(guarded.expired_at)

    def test_never(self, clock):
        """Without a deadline nothing expires; one set later is met within its time."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock)
        deadlines.watch(guarded)
        clock.advance(200)

        assert [] == guarded.expired_at

        guarded.deadline = after(clock, 100)
        clock.advance(102)

        assert 1 == len(guarded.expired_at)

    def test_many(self, clock):
        """Each of many is met at its own time."""
        deadlines = Deadlines(clock)
        all_of_them = [Guarded(clock, after(clock, n / 7)) for n in range(300)]
        for guarded in all_of_them:
            deadlines.watch(guarded)
        dues = [guarded.deadline for guarded in all_of_them]
        clock.advance(50)

        assert all(
            due <= guarded.expired_at[0] <= due + 1.001
            for due, guarded in zip(dues, all_of_them, strict=True)
        )

    @pytest.mark.fault("F22", "sweep")
    def test_a_pause_of_the_process(self):
        """After a pause nobody is expired before there was a chance to read what has arrived."""

        class Jumping(ManualClock):
            offset = 0.0

            def monotonic(self):
                return super().monotonic() + self.offset

        with Jumping() as clock:
            deadlines = Deadlines(clock)
            guarded = Guarded(clock, after(clock, 10))
            deadlines.watch(guarded)
            clock.advance(1)
            clock.offset = 3600
            clock.advance(1)

            assert [] == guarded.expired_at

            clock.advance(1)

            assert 1 == len(guarded.expired_at)


class TestForgetting:
    def test_forgotten(self, clock):
        """What is forgotten does not expire, and may be forgotten twice."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock, after(clock, 1))
        deadlines.watch(guarded)
        deadlines.forget(guarded)
        deadlines.forget(guarded)
        deadlines.hurry(guarded)
        clock.advance(5)

        assert [] == guarded.expired_at
        assert 0 == len(deadlines)

    def test_forgotten_by_another(self, clock):
        """An expiry may forget others that are due in the same second."""
        deadlines = Deadlines(clock)
        first, second = Guarded(clock, after(clock, 1)), Guarded(clock, after(clock, 1))
        expired = []
        for one, other in ((first, second), (second, first)):
            one.expire = lambda one=one, other=other: (
                expired.append(one),
                deadlines.forget(other),
                deadlines.forget(one),
            )
            deadlines.watch(one)
        clock.advance(3)

        assert 1 == len(expired)
        assert 0 == len(deadlines)

    def test_no_timer_without_work(self, clock):
        """The sweep runs only while there is something to watch."""
        deadlines = Deadlines(clock)
        guarded = Guarded(clock)

        assert deadlines._timer is None

        deadlines.watch(guarded)
        clock.advance(3)

        assert deadlines._timer is not None

        deadlines.forget(guarded)

        assert deadlines._timer is None


def test_one_for_all_clients_of_a_hub():
    """It is made anew for another clock."""
    shared = hub_deadlines()

    assert shared is hub_deadlines()
    with ManualClock():
        assert shared is not hub_deadlines()
        assert default_clock() is hub_deadlines().clock
