"""What an operator holds when its output is closed or dropped goes back to its source, in order."""

from __future__ import annotations

import gc

import gevent
import pytest

from galeph import deferred
from galeph import stream as streams
from galeph.stream import Stream
from galeph.testing import kill_walk
from tests.stream.scenes import settle, waiting
from tests.stream.wires import yielding

MESSAGES = list(range(6))


def later(n):
    return deferred.future(lambda: yielding(int)(n))


# Each operator, how many of the messages its taker has had, and what the source has after that.
HOLDING = {
    "map": (lambda s: s.map(lambda n: gevent.sleep(60 * n) or n), [0], MESSAGES[1:]),
    "filter": (lambda s: s.filter(lambda n: gevent.sleep(60 * n) is None), [0], MESSAGES[1:]),
    "second of two": (
        lambda s: s.map(str).map(int).map(lambda n: gevent.sleep(60 * n) or n),
        [0],
        MESSAGES[1:],
    ),
    "throttle": (lambda s: s.throttle(1e-3, max_backlog=1), [0], MESSAGES[1:]),
    "realize_each": (
        lambda s: s.map(lambda n: deferred.Deferred() if n else n).realize_each(),
        [0],
        MESSAGES[1:],
    ),
    "late reductions": (
        lambda s: s.reductions(lambda _, n: deferred.Deferred()),
        [0],
        MESSAGES[1:],
    ),
    "batch": (lambda s: s.batch(9), [], MESSAGES),
    "timed batch": (lambda s: s.batch(9, latency=60), [], MESSAGES),
    "weighed batch": (lambda s: s.batch(9, latency=60, metric=lambda _: 0.1), [], MESSAGES),
    "batch of sums": (lambda s: s.batch(9).map(sum), [], MESSAGES),
    "zip": (lambda s: streams.zip(s, Stream()), [], MESSAGES),
}


@pytest.mark.parametrize("name", sorted(HOLDING))
class TestHolding:
    @pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "waiting"])
    def test_closed(self, name, is_killed):
        """It is there as soon as `close` returns, whether or not its taker still waits."""
        operator, first, rest = HOLDING[name]
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        made = operator(source)
        taker = waiting(taken.extend, made)
        assert first == taken
        if is_killed:
            taker.kill()
        made.close()
        if not is_killed and name not in ("map", "filter", "second of two"):
            taker.join()
        taker.kill()

        assert first == taken + list(made)
        assert rest == list(source)
        assert source.drained

    def test_dropped(self, name):
        """It is there once the operator has been collected, and the source is still open."""
        operator, first, rest = HOLDING[name]
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        made = operator(source)
        taker = waiting(taken.extend, made)
        taker.kill()
        del made, taker
        for _ in range(3):
            gc.collect()
            settle()

        assert first == taken
        assert rest == [source.try_take(0, None, "nothing") for _ in rest]
        assert not source.closed


def test_a_part_that_waits_for_its_reader_holds_nothing_back():
    """Closing a `partition_by` gives back the message that it has read ahead."""
    source = Stream(9)
    source.put_all(MESSAGES)
    parts = source.partition_by(lambda n: n // 4)
    part = parts.take()
    settle()
    parts.close()

    assert MESSAGES == list(part) + list(source)


@pytest.mark.parametrize(
    "operator",
    [
        lambda s: s.throttle(200, max_backlog=1),
        lambda s: s.map(later).realize_each(),
        lambda s: s.batch(1, latency=60),
        lambda s: streams.zip(s.map(yielding(int))),
        lambda s: s.reductions(lambda _, n: later(n)),
    ],
    ids=["throttle", "realize_each", "timed batch", "zip", "late reductions"],
)
def test_closing_it_after_a_kill_at_any_switch(operator):
    """What is not with the taker lies in the output, where it was made already, or is returned."""

    def scenario(victim):
        source, taken = Stream(9), []
        source.put_all(MESSAGES)
        made = operator(source)
        victim.spawn(lambda: taken.extend(made.take() for _ in range(3)))
        victim.join()
        made.close()
        rest = list(made)
        settle()
        everything = [n if isinstance(n, int) else n[0] for n in taken + rest] + list(source)

        assert MESSAGES == everything

    kill_walk(scenario, at_least=1)
