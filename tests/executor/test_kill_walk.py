"""A kill or a Timeout at every switch: no worker is lost, no object, and nobody waits for ever."""

from __future__ import annotations

import gevent
import pytest

from galeph import executor
from galeph.errors import Cancelled, TimedOut
from galeph.executor import InstrumentedPool, PoolUtilizationController
from galeph.testing import kill_walk
from tests.deferred.threads import settle


def steps(count):
    """Let others run so many times."""
    for _ in range(count):
        gevent.sleep(0)


def ended_by(deferred, thrown):
    """Whether a deferred tells in galeph's words that this has ended its work."""
    error = deferred.exception
    has_ended = isinstance(error, (Cancelled, TimedOut)) and error.__cause__ is thrown
    thrown.__traceback__ = None
    return has_ended


def test_tasks():
    """A task that is thrown at ends its deferred; its worker is there for those who wait."""

    def scenario(victim):
        made = executor.fixed_executor(1)
        task = made.submit(lambda: victim.run(steps, 3))
        others = [made.submit(int, number) for number in range(3)]
        results = [other.get() for other in others]
        made.shutdown().get()
        settle()

        assert [0, 1, 2] == results
        assert task.successful() if victim.thrown is None else ended_by(task, victim.thrown)

    kill_walk(scenario, at_least=4)


@pytest.mark.parametrize("in_threads", [False, True], ids=["greenlets", "threads"])
def test_those_who_wait_for_tasks(in_threads):
    """Whoever is thrown at while he waits for his task leaves it running, and nothing behind."""

    def scenario(victim):
        made = executor.fixed_executor(1, in_threads=in_threads)
        running, waiting = made.submit(int), made.submit(int, 5)
        victim.spawn(waiting.get)
        victim.join()
        made.shutdown().get()
        settle()

        assert (0, 5) == (running.get(), waiting.get())

    kill_walk(scenario, at_least=2)


def test_a_block():
    """A block that is left by what was thrown has cancelled its tasks."""

    def scenario(victim):
        tasks = []

        def block():
            with executor.fixed_executor(1) as made:
                tasks.extend(made.submit(steps, 2) for _ in range(2))
                steps(1)

        victim.spawn(block)
        victim.join()
        settle()

        assert all(task.ready() for task in tasks)

    kill_walk(scenario, at_least=4)


class Workshop:
    """Things that are made and destroyed in some steps each."""

    def __init__(self):
        self.things = []
        self.destroyed = []

    def generate(self, key):
        thing = [key]
        steps(1)
        self.things.append(thing)
        return thing

    def destroy(self, key, thing):
        steps(1)
        self.destroyed.append(thing)


def pool_of(workshop, most, **options):
    return InstrumentedPool(
        **{
            "generate": workshop.generate,
            "destroy": workshop.destroy,
            "controller": PoolUtilizationController(0.5, most, most),
            **options,
        }
    )


@pytest.mark.parametrize("keys", ["aaa", "aba", "abc"])
@pytest.mark.parametrize("end", [InstrumentedPool.release, InstrumentedPool.dispose])
def test_borrowers(keys, end):
    """Whoever is thrown at while he waits, or uses an object, leaves none behind that is lent."""

    def scenario(victim):
        workshop = Workshop()
        pool = pool_of(workshop, 1)
        served = []

        def borrow(key):
            thing = pool.acquire(key).get()
            try:
                steps(1)
                served.append(key)
            finally:
                end(pool, key, thing)

        others = [gevent.spawn(borrow, keys[0])]
        victim.spawn(borrow, keys[1])
        others.append(gevent.spawn(borrow, keys[2]))
        gevent.joinall(others)
        victim.join()
        settle()
        lent = repr(pool)
        pool.shutdown().get()

        assert sorted([keys[0], keys[2]] + [keys[1]] * (len(served) - 2)) == sorted(served)
        assert ": 0 lent" in lent
        assert "; 0 waiting" in lent
        assert len(workshop.things) == len(workshop.destroyed)

    kill_walk(scenario, at_least=3)


def test_making():
    """If whoever makes an object is thrown at, one is told and the others are served."""

    def scenario(victim):
        workshop = Workshop()
        calls = []

        def generate(key):
            calls.append(key)
            if len(calls) == 1:
                return victim.run(workshop.generate, key)
            return workshop.generate(key)

        pool = pool_of(workshop, 1, generate=generate)
        first, second = pool.acquire("a"), pool.acquire("a")
        first.wait()
        if victim.thrown is None:
            pool.release("a", first.get())
        else:
            assert ended_by(first, victim.thrown)
        pool.release("a", second.get())
        pool.shutdown().get()

        assert len(workshop.things) == len(workshop.destroyed)

    kill_walk(scenario, at_least=2)


def test_destroying():
    """If whoever destroys an object is thrown at, it counts as gone all the same."""

    def scenario(victim):
        workshop = Workshop()
        pool = pool_of(workshop, 1, destroy=lambda *args: victim.run(workshop.destroy, *args))
        pool.dispose("a", pool.acquire("a").get())
        again = pool.acquire("a").get()
        settle()
        pool.release("a", again)
        pool._destroy = None
        pool.shutdown().get()
        if victim.thrown is not None:
            victim.thrown.__traceback__ = None

        assert "<InstrumentedPool of 0 objects: 0 lent, 0 idle; 0 waiting, shut down>" == repr(pool)

    kill_walk(scenario, at_least=2)
