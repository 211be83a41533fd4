"""A kill or a Timeout at every switch around deferreds: none stays pending, no resource is lost."""

from __future__ import annotations

from functools import partial

import gevent
import pytest

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred.producer import owns
from galeph.errors import Cancelled, TimedOut
from galeph.testing import kill_walk
from tests.deferred.threads import settle


def yielding(fn):
    """``fn``, but others run before it returns."""

    def slow(*args):
        gevent.sleep(0)
        return fn(*args)

    return slow


def add_one(number):
    return number + 1


def came_of(victim, result, value):
    """Whether a result holds the value, or what was thrown at the victim in galeph's words."""
    assert result.ready()
    error = result.exception
    if error is None:
        return value == result.value
    return isinstance(error, (Cancelled, TimedOut)) and error.__cause__ is victim.thrown


def waits(results, wait):
    """What a victim does that waits for several results, one after the other."""

    def work():
        for result in results:
            wait(result)

    return work


@pytest.mark.parametrize(
    "wait",
    [lambda d: d.get(), lambda d: d.get(timeout=5), lambda d: d.result(5), lambda d: d.wait()],
    ids=["get", "get with a limit", "result", "wait"],
)
class TestWaiting:
    def test_for_a_chain(self, wait):
        """Who waits may leave; the stages run on, and the others get what comes."""

        def scenario(victim):
            source, ran = Deferred(), []
            result = source.chain(yielding(add_one), yielding(add_one))
            beside = source.chain(add_one).finally_(lambda: ran.append("finally"))
            victim.spawn(waits([source, result], wait))
            other = gevent.spawn(result.get)
            gevent.spawn(source.success, 1).join()
            victim.join()

            assert 3 == other.get()
            assert [3, 2] == [result.get(), beside.get()]
            assert ["finally"] == ran
            assert 0 == source.linkcount() == result.linkcount()

        kill_walk(scenario, at_least=21)

    def test_for_a_limit(self, wait):
        """A deferred that times out does so whoever waits for it, and its timer goes."""

        def scenario(victim):
            source = Deferred()
            limited = source.chain(add_one).timeout(0.0005, "late")
            victim.spawn(waits([limited], wait))
            victim.join()

            assert "late" == limited.get()
            kept = Deferred().timeout(60)
            kept.success(1)
            assert 0 == limited.linkcount()

        kill_walk(scenario, at_least=3)

    def test_for_all_and_for_the_first(self, wait):
        """`zip` and `alt` are realized as if nobody had left."""

        def scenario(victim):
            sources = [Deferred() for _ in range(3)]
            everything = deferred.zip(*(d.chain(yielding(add_one)) for d in sources))
            first = deferred.alt(*(d.chain(yielding(add_one)) for d in sources))
            victim.spawn(waits([first, everything], wait))
            gevent.spawn(realize_slowly, sources).join()
            victim.join()

            assert [1, 2, 3] == everything.get()
            assert first.get() in (1, 2, 3)
            assert 0 == everything.linkcount() == first.linkcount()

        kill_walk(scenario, at_least=33)

    def test_for_a_resource(self, wait):
        """It is given to who waited, or disposed of, and never both or neither."""

        def scenario(victim):
            source, given, disposed = Deferred(), [], []
            owns(source, disposed.append)
            result = source.chain().finally_(yielding(lambda: None))

            def work():
                wait(result)
                given.append("resource")

            victim.spawn(work)
            gevent.spawn(yielding(source.success), "resource").join()
            victim.join()
            settle()

            assert ["resource"] == given + disposed
            assert victim.thrown is not None or given
            assert result.ready()

        kill_walk(scenario, at_least=13)


def realize_slowly(sources):
    for number, source in enumerate(sources):
        gevent.sleep(0)
        source.success(number)


def stage(ran, number, value):
    """One that notes that it has run, after others have."""
    gevent.sleep(0)
    ran.append(number)
    return value + 1


class TestStages:
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_one_of_a_chain(self, place):
        """Interrupted in galeph's greenlet, a stage fails its result; its neighbors do not mind."""

        def scenario(victim):
            source, ran = Deferred(), []
            stages = [partial(stage, ran, n) for n in range(3)]
            stages[place] = partial(victim.run, stages[place])
            results = [
                source.chain(*stages),
                source.chain(add_one),
                source.chain(yielding(add_one)),
            ]
            gevent.spawn(source.success, 1)
            gevent.wait(results)

            assert came_of(victim, results[0], 4)
            assert [2, 2] == [result.get() for result in results[1:]]
            # None runs behind the one that was interrupted.
            assert list(range(len(ran))) == ran
            assert len(ran) == (3 if results[0].successful() else place)

        kill_walk(scenario, at_least=5)

    @pytest.mark.parametrize("name", ["catch", "finally_", "on_realized", "link"])
    def test_of_other_kinds(self, name, caplog):
        """What is interrupted hurts nobody else who hangs on the same deferred."""

        def scenario(victim):
            source, ran = Deferred(), []

            def function(*_):
                victim.run(gevent.sleep, 0)
                ran.append(name)
                return "handled"

            if name == "catch":
                result = source.chain(lambda _: 1 / 0).catch(function)
            elif name == "finally_":
                result = source.finally_(function)
            else:
                result = source.chain(int)
                getattr(source, name)(*[function] * (2 if name == "on_realized" else 1))
            beside = [source.chain(add_one), source.chain(yielding(add_one))]
            gevent.spawn(source.success, 1)
            gevent.wait([result, *beside])
            settle()

            assert came_of(victim, result, "handled" if name == "catch" else 1)
            assert [2, 2] == [each.get() for each in beside]
            assert victim.thrown is not None or [name] == ran

        kill_walk(scenario, at_least=5)

    def test_at_once(self):
        """On a realized deferred a stage runs in the caller's greenlet: it is his exception."""

        def scenario(victim):
            source, results = deferred.success(1), []

            def work():
                results.append(source.chain(yielding(add_one)))
                results.append(results[0].chain(yielding(add_one)))

            victim.spawn(work)
            victim.join()

            assert [2, 3][: len(results)] == [result.get() for result in results]
            assert 2 == source.chain(add_one).get()

        kill_walk(scenario, at_least=5)

    def test_a_stage_that_returns_a_deferred(self):
        """Waiting for it takes no greenlet; interrupted before, it stays what it was."""

        def scenario(victim):
            source, inner = Deferred(), Deferred()
            result = source.chain(lambda _: victim.run(yielding(lambda: inner))).chain(add_one)
            gevent.spawn(source.success, 1)
            gevent.spawn(yielding(yielding(inner.success)), 5)
            result.wait()
            inner.wait()

            assert came_of(victim, result, 6)
            assert 5 == inner.get()

        kill_walk(scenario, at_least=5)

    @pytest.mark.parametrize("join", [deferred.zip, deferred.alt])
    def test_above_zip_and_alt(self, join):
        """One of several that is interrupted decides the result, if it is the first to do so."""

        def scenario(victim):
            sources = [Deferred() for _ in range(2)]
            parts = [
                sources[0].chain(partial(victim.run, yielding(add_one))),
                sources[1].chain(yielding(yielding(add_one))),
            ]
            result = join(*parts)
            gevent.spawn(realize_slowly, sources)
            gevent.wait([result, *parts])

            assert came_of(victim, parts[0], 1)
            assert 2 == parts[1].get()
            expected = [1, 2] if join is deferred.zip else 1
            assert came_of(victim, result, expected)

        kill_walk(scenario, at_least=7)


class TestWorkers:
    def test_a_future(self):
        """The greenlet behind a deferred never leaves it pending."""

        def scenario(victim):
            result = deferred.future(lambda: victim.run(yielding(yielding(lambda: "done"))))
            waiter = gevent.spawn(result.wait)
            waiter.join()

            assert came_of(victim, result, "done")

        kill_walk(scenario, at_least=7)

    def test_who_waits_for_a_future(self):
        """Leaving lets the work go on."""

        def scenario(victim):
            result = deferred.future(yielding(yielding(lambda: "done")))
            victim.spawn(result.get)
            victim.join()

            assert "done" == result.get()

        kill_walk(scenario, at_least=7)

    def test_who_cancels_a_future(self):
        """Waiting, cancelled or interrupted: the greenlet that works ends in the end."""

        def scenario(victim):
            result = deferred.future(gevent.sleep, 60)

            def work():
                gevent.sleep(0)
                result.cancel("enough")
                result.wait()

            victim.spawn(work)
            victim.join()
            result.cancel("at the latest")

            assert result.cancelled()

        kill_walk(scenario, at_least=3)

    @pytest.mark.parametrize("is_connected", [True, False])
    def test_who_realizes(self, is_connected):
        """`success` does not switch, so it is whole or has not begun."""

        def scenario(victim):
            source, target, said = Deferred(), Deferred(), []
            if is_connected:
                deferred.connect(source, target)
            else:
                source.link(target)

            def work():
                gevent.sleep(0)
                said.append(source.success(1))
                gevent.sleep(0)
                said.append(source.success(2))

            victim.spawn(work)
            victim.join()
            settle()

            assert bool(said) == source.ready() == target.ready()
            assert [True, False][: len(said)] == said
            assert not said or target.get() == 1

        kill_walk(scenario, at_least=7)
