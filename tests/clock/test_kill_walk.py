"""A kill or a Timeout at every switch of what is called at some time."""

from __future__ import annotations

import gevent

from galeph import clock
from galeph.errors import Cancelled, TimedOut
from galeph.testing import ManualClock, kill_walk
from tests.deferred.threads import settle


def steps(count):
    """Let others run so many times."""
    for _ in range(count):
        gevent.sleep(0)


def test_a_call():
    """A call that is thrown at ends its deferred."""

    def scenario(victim):
        with ManualClock() as manual:
            called = clock.call_later(1, lambda: victim.run(steps, 2))
            manual.advance(1)

        if victim.thrown is None:
            assert called.successful()
        else:
            assert isinstance(called.exception, (Cancelled, TimedOut))
            assert called.exception.__cause__ is victim.thrown
            victim.thrown.__traceback__ = None

    kill_walk(scenario, at_least=3)


def test_those_who_wait_for_a_call():
    """Whoever is thrown at while he waits for a call leaves it to be made."""

    def scenario(victim):
        with ManualClock() as manual:
            called = clock.call_later(1, int, "5")
            victim.spawn(called.get)
            manual.advance(1)
            victim.join()

        assert 5 == called.get()

    kill_walk(scenario, at_least=2)


def test_a_job():
    """A job of which a call is thrown at ends, and no timer is left."""

    def scenario(victim):
        calls = []

        def call():
            calls.append(1)
            if len(calls) == 2:
                victim.run(steps, 2)

        with ManualClock() as manual:
            job = clock.every(1, call)
            manual.advance(3.5)
            settle()
            has_ended = job.ready()
            job.cancel()
            manual.advance(1)

        assert (victim.thrown is not None) == has_ended
        assert len(calls) == (2 if has_ended else 4)
        assert "0 waiting" in repr(manual)
        if has_ended:
            victim.thrown.__traceback__ = None
            assert job.exception.__cause__ is victim.thrown

    kill_walk(scenario, at_least=3)
