"""A kill or a Timeout at every switch: no deferred is left pending, no resource lost."""

from __future__ import annotations

import gevent
import pytest

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel, owns
from galeph.errors import Cancelled, TimedOut
from galeph.testing import kill_walk
from tests.deferred.executors import Greenlets
from tests.deferred.threads import settle


def steps(count):
    """Let others run so many times."""
    for _ in range(count):
        gevent.sleep(0)


class Lending:
    """One resource that a producer brings after some steps, and where it has gone."""

    def __init__(self):
        self.taken = []
        self.returned = []
        self.called_off = []
        self.deferred = Deferred()
        owns(self.deferred, self.returned.append)
        on_cancel(self.deferred, self.called_off.append)
        gevent.spawn(self._produce)

    def _produce(self):
        steps(2)
        self.deferred.success("resource")

    def take(self, d):
        value = d.get()
        # No switch is between the wait and this.
        self.taken.append(value)


@pytest.mark.parametrize(
    "derive",
    [
        lambda d: d,
        lambda d: d.chain(),
        lambda d: d.catch(ValueError, str).finally_(lambda: steps(1)),
        lambda d: d.onto(Greenlets()).finally_(lambda: steps(1)),
        lambda d: deferred.success(None).chain(lambda _: d),
        lambda d: deferred.zip(d, d).chain(lambda pair: pair[0]),
        lambda d: deferred.alt(d, Deferred()),
    ],
    ids=["itself", "chain", "finally", "onto", "inner", "zip", "alt"],
)
def test_waiting_for_a_resource(derive):
    """Whoever is thrown at while he waits has the resource, or it is given back, or never made."""

    def scenario(victim):
        lending = Lending()
        derived = derive(lending.deferred)
        victim.spawn(lending.take, derived)
        victim.join()
        settle()
        # Nobody else waits: what nobody took is for whoever comes next, or has gone back.
        if derived.successful() and not lending.taken and not lending.returned:
            lending.take(derived)
        settle()

        assert 1 >= len(lending.called_off)
        assert 1 == len(lending.taken) + len(lending.returned)
        assert derived.ready()

    kill_walk(scenario, at_least=3)


@pytest.mark.parametrize("executor", [None, Greenlets(room=1_000_000)], ids=["greenlet", "onto"])
def test_work_in_a_flow(executor):
    """A flow that is thrown at, wherever it waits, ends its deferred: Cancelled or TimedOut."""

    def scenario(victim):
        source = Deferred()
        gevent.spawn(lambda: (steps(2), source.success(1)))

        @deferred.flow(executor=executor)
        def work(x):
            return victim.run(lambda: (steps(2), x + source.get())[1])

        d = work(deferred.future(lambda: (steps(1), 1)[1]))
        d.wait()
        settle()

        if victim.thrown is None:
            assert 2 == d.get()
        else:
            assert isinstance(d.exception, (Cancelled, TimedOut))
            assert d.exception.__cause__ is victim.thrown
            victim.thrown.__traceback__ = None

    kill_walk(scenario, at_least=3)


def test_rounds_of_a_loop():
    """So does a loop whose rounds wait."""

    def scenario(victim):
        def body(n):
            gevent.sleep(0)
            return deferred.future(lambda: deferred.recur(n + 1)) if n < 3 else n

        first = Deferred()
        d = first.chain(lambda _: deferred.loop(lambda n: victim.run(body, n), 0))
        first.success(None)
        d.wait()
        settle()

        if victim.thrown is None:
            assert 3 == d.get()
        else:
            assert isinstance(d.exception, (Cancelled, TimedOut))
            assert d.exception.__cause__ is victim.thrown
            victim.thrown.__traceback__ = None

    kill_walk(scenario, at_least=6)


def test_waiting_for_a_thread():
    """Whoever is thrown at while a thread works for him leaves nothing that holds the hub."""

    def scenario(victim):
        d = deferred.in_thread(int, 1)
        victim.spawn(d.get)
        victim.join()

        assert 1 == d.get()

    kill_walk(scenario, at_least=2)
