"""A kill or a Timeout at every switch of chains of operators: nothing lost, nobody stuck."""

from __future__ import annotations

import contextlib
import gc
import weakref

import gevent
import pytest

from galeph.errors import Cancelled, TimedOut
from galeph.stream import Stream, connect, consume
from galeph.testing import kill_walk
from tests.properties.test_operator_properties import OPERATORS
from tests.stream.scenes import settle
from tests.stream.test_kill_walk_connect import feed, unlinked
from tests.stream.test_kill_walk_put_take import put_from, take_into
from tests.stream.wires import Wire, yielding

MESSAGES = list(range(6))
ODD = [str(n) for n in MESSAGES if n % 2]


def slow_chain(source):
    """The odd ones as texts; others run within each step."""
    return source.map(yielding(int)).filter(yielding(lambda n: n % 2)).map(yielding(str))


def is_whole_or_stopped(victim, deferred):
    """Whether a deferred ended as the victim did: well, or stopped by what was thrown at it."""
    error = deferred.exception
    if victim.thrown is None:
        return error is None
    return isinstance(error, (Cancelled, TimedOut)) and error.__cause__ is victim.thrown


@pytest.mark.parametrize("make", [Stream, lambda: Stream(2), Wire], ids=["0", "2", "active"])
class TestOneChain:
    def test_taker(self, make):
        """Who carries the messages in his own take leaves them to the next, in their order."""

        def scenario(victim):
            source, taken = make(), []
            chain = slow_chain(source)
            victim.spawn(take_into, taken, chain, len(ODD))
            gevent.spawn(feed, source)
            victim.join()

            assert ODD == taken + list(chain)
            assert chain.drained
            assert unlinked(source)

        kill_walk(scenario, at_least=35)

    def test_taker_beside_another(self, make):
        """Two takers on one chain: together they have everything, each in order."""

        def scenario(victim):
            source, mine, others = make(), [], []
            chain = slow_chain(source)
            victim.spawn(take_into, mine, chain, 2)
            other = gevent.spawn(lambda: others.extend(chain))
            gevent.spawn(feed, source)
            victim.join()
            other.join()

            # The other may have heard of the end before the victim's message came back.
            assert ODD == sorted(mine + others + list(chain))
            assert [sorted(mine), sorted(others)] == [mine, others]

        kill_walk(scenario, at_least=43)

    def test_taker_of_one_of_two_branches(self, make):
        """The other branch has every message as well; the victim's has what he has not taken."""

        def scenario(victim):
            source, mine, others = make(), [], []
            one, other = slow_chain(source), source.map(str)
            victim.spawn(take_into, mine, one, len(ODD))
            reader = gevent.spawn(lambda: others.extend(other))
            gevent.spawn(feed, source)
            victim.join()

            assert ODD == mine + list(one)
            reader.join()
            assert [str(n) for n in MESSAGES] == others
            assert unlinked(source)

        kill_walk(scenario, at_least=75)

    def test_function_in_the_pump(self, make):
        """Interrupted in a function that galeph's greenlet calls, the chain ends and says so."""

        def scenario(victim):
            source, seen = make(), []
            chain = source.map(lambda n: victim.run(yielding(int), n)).map(str)
            done = consume(chain, seen.append)
            gevent.spawn(feed, source)
            gevent.wait([done], timeout=5)
            settle()

            assert is_whole_or_stopped(victim, done)
            assert [str(n) for n in MESSAGES][: len(seen)] == seen
            assert victim.thrown is not None or len(MESSAGES) == len(seen)
            assert unlinked(source)
            source.close()

        kill_walk(scenario, at_least=18)

    def test_function_in_one_of_two_pumps(self, make):
        """The other branch ends too, because its source does."""

        def scenario(victim):
            source, mine, others = make(), [], []
            done = [
                consume(source.map(lambda n: victim.run(yielding(int), n)), mine.append),
                consume(source.map(yielding(int)), others.append),
            ]
            gevent.spawn(feed, source)
            gevent.wait(done, timeout=5)
            settle()

            assert [True, True] == [each.ready() for each in done]
            assert is_whole_or_stopped(victim, done[0])
            assert MESSAGES[: len(mine)] == mine
            assert MESSAGES[: len(others)] == others
            assert victim.thrown is not None or MESSAGES == mine == others
            assert unlinked(source)
            source.close()

        kill_walk(scenario, at_least=30)


@pytest.mark.parametrize("name", sorted(OPERATORS))
class TestEveryOperator:
    def test_taker(self, name):
        """Who is thrown at while he takes has had a beginning; the rest comes in order."""
        operator, same = OPERATORS[name]

        def scenario(victim):
            source, taken = Stream(), []
            made = operator(source)
            victim.spawn(take_into, taken, made, 2)
            gevent.spawn(feed, source)
            victim.join()

            assert same(MESSAGES) == taken + list(made)
            assert made.drained
            settle()
            assert unlinked(source)

        kill_walk(scenario, at_least=1 if name == "buffer" else 3)

    def test_putter(self, name):
        """Every message whose put has returned went through, and at most one more."""
        operator, same = OPERATORS[name]

        def scenario(victim):
            source, accepted, seen = Stream(), [], []
            done = consume(operator(source), seen.append)
            victim.spawn(put_from, MESSAGES, source, accepted)
            victim.join()
            source.close()

            assert done.get(timeout=5) is True
            count = len(accepted)
            assert seen in (same(MESSAGES[:count]), same(MESSAGES[: count + 1]))
            assert unlinked(source)

        kill_walk(scenario, at_least=3)

    def test_nothing_is_left(self, name):
        """Dropped when its taker was thrown at, it is garbage with its source."""
        operator, _ = OPERATORS[name]

        def scenario(victim):
            source = Stream()
            made = operator(source)
            victim.spawn(take_into, [], made, 2)
            putter = gevent.spawn(feed, source)
            victim.join()
            putter.kill()
            watched = [weakref.ref(source), weakref.ref(made)]
            del source, made, putter
            for _ in range(3):
                gc.collect()
                settle()

            assert [None] * 2 == [each() for each in watched]

        kill_walk(scenario, at_least=1 if name == "buffer" else 3)


def test_putter_above_a_chain():
    """Every message whose put has returned went through the chain."""

    def scenario(victim):
        source, accepted, seen = Stream(), [], []
        done = consume(source.map(yielding(str)), seen.append)
        victim.spawn(put_from, MESSAGES, source, accepted)
        victim.join()
        source.close()

        assert done.get() is True
        assert [str(n) for n in MESSAGES][: len(seen)] == seen
        assert len(accepted) <= len(seen) <= len(accepted) + 1
        assert unlinked(source)

    kill_walk(scenario, at_least=25)


def test_taker_behind_a_connected_chain():
    """A chain into a stream: what the victim has not taken stays in the stream behind it."""

    def scenario(victim):
        source, behind, taken = Stream(), Stream(1), []
        connected = connect(slow_chain(source), behind)
        victim.spawn(take_into, taken, behind, len(ODD))
        gevent.spawn(feed, source)
        victim.join()

        assert ODD == taken + list(behind)
        assert connected.get() is True
        assert unlinked(source, behind)

    kill_walk(scenario, at_least=53)


@pytest.mark.parametrize("make", [lambda: Stream(9), lambda: Wire(*MESSAGES)], ids=["9", "active"])
def test_making_and_dropping_chains(make):
    """What a victim was interrupted with is the source's next, once nobody holds the chain."""

    def scenario(victim):
        source, taken = make(), []

        def work():
            for _ in range(3):
                chain = source.map(yielding(int))
                message = chain.take()
                taken.append(message)
                del chain
                gevent.sleep(0)

        if isinstance(source, Stream):
            source.put_all(MESSAGES)
        victim.spawn(work)
        victim.join()
        gc.collect()
        settle()
        left = list(iter(lambda: source.try_take(0, None, "nothing"), "nothing"))

        assert MESSAGES == taken + left
        assert unlinked(source)
        source.close()

    kill_walk(scenario, at_least=8)


def test_closing_a_chain_gives_the_source_back_what_nobody_got():
    """Also as the last one, which closes the source: there it can be taken."""

    def scenario(victim):
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        chain = source.map(yielding(int)).filter(lambda _: True)
        victim.spawn(take_into, taken, chain, 3)
        victim.join()
        chain.close()

        assert MESSAGES == taken + list(chain) + list(source)
        assert source.drained

    kill_walk(scenario, at_least=4)


def test_no_edge_is_left():
    """A chain whose taker was thrown at is garbage like any other."""

    def scenario(victim):
        source = Stream()
        chain = slow_chain(source)
        victim.spawn(take_into, [], chain, 2)
        putter = gevent.spawn(source.put_all, MESSAGES[:4])
        victim.join()
        putter.kill()
        watched = [weakref.ref(source), weakref.ref(chain)]
        del source, chain, putter
        for _ in range(3):
            gc.collect()
            settle()

        assert [None] * 2 == [each() for each in watched]

    kill_walk(scenario, at_least=31)


def test_closing_an_operator_that_is_waited_on():
    """Its taker gets the end, or was thrown at before; the source is closed in both cases."""

    def scenario(victim):
        source, ends = Stream(), []
        chain = slow_chain(source)
        victim.spawn(lambda: ends.append(chain.take("end")))
        gevent.spawn(chain.close).join()
        victim.join()

        assert ends in (["end"], [])
        assert victim.thrown is not None or ["end"] == ends
        assert source.closed
        with contextlib.closing(source):
            assert "end" == chain.take("end")

    kill_walk(scenario, at_least=5)
