"""What holds of any chain and any tree of operators, whoever is interrupted in it.

A chain of operators gives what the same functions make of a list. A taker that is killed, or that
has waited long enough, takes nothing with it. What is closed in a tree ends what is below it, and
nothing else; nobody waits for ever.
"""

from __future__ import annotations

import gc
from itertools import accumulate, groupby, islice

import gevent
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from galeph import stream as streams
from galeph.deferred import future
from galeph.stream import Stream, connect, consume
from tests.properties.budgets import budget
from tests.stream.scenes import USES, collect, settle, victim
from tests.stream.test_giving_back import flat, same, whole
from tests.stream.wires import Wire, yielding

pytestmark = pytest.mark.long

bounded = budget(120, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def slow(n):
    return yielding(lambda m: m)(n)


def pairs(messages):
    while pair := list(islice(messages, 2)):
        yield sum(pair)


def odd_one_out(messages):
    for message in messages:
        if slow(message) % 3:
            yield message
            yield -message


def twos(numbers):
    return [sum(numbers[at : at + 2]) for at in range(0, len(numbers), 2)]


def joined_parts(source):
    return streams.concat(source.partition_by(lambda n: n // 4))


def summed_parts(source):
    parts = source.partition_by(lambda n: n // 4)
    return parts.map(lambda part: part.reduce(lambda a, b: a + b)).realize_each()


# Each operator, and what it makes of a list.
OPERATORS = {
    "map": (lambda s: s.map(lambda n: n + 1), lambda ns: [n + 1 for n in ns]),
    "slow map": (lambda s: s.map(lambda n: slow(n + 1)), lambda ns: [n + 1 for n in ns]),
    "filter": (lambda s: s.filter(lambda n: n % 2), lambda ns: [n for n in ns if n % 2]),
    "mapcat": (
        lambda s: s.mapcat(lambda n: [n] * (n % 3)),
        lambda ns: [n for n in ns for _ in range(n % 3)],
    ),
    "reductions": (
        lambda s: s.reductions(lambda a, b: a + b, initial=0),
        lambda ns: list(accumulate(ns, initial=0)),
    ),
    "late reductions": (
        lambda s: s.reductions(lambda a, b: future(slow, a - b)),
        lambda ns: list(accumulate(ns, lambda a, b: a - b)),
    ),
    "realize_each": (lambda s: s.map(lambda n: future(slow, n)).realize_each(), list),
    "batch": (lambda s: s.batch(2).map(sum), twos),
    "timed batch": (lambda s: s.batch(2, latency=60).map(sum), twos),
    "buffer": (lambda s: s.buffer(2), list),
    "throttle": (lambda s: s.throttle(1e6), list),
    "pairs": (lambda s: s.transform(pairs), twos),
    "pairs ahead": (lambda s: s.transform(pairs, buffer=2), twos),
    "odd": (
        lambda s: s.transform(odd_one_out),
        lambda ns: [m for n in ns if n % 3 for m in (n, -n)],
    ),
    "first": (lambda s: s.transform(lambda ms: islice(ms, 5)), lambda ns: ns[:5]),
    "zip": (lambda s: streams.zip(s, s.map(slow)).map(sum), lambda ns: [n + n for n in ns]),
    "parts": (joined_parts, list),
    "sums": (summed_parts, lambda ns: [sum(run) for _, run in groupby(ns, lambda n: n // 4)]),
}

chains = st.lists(st.sampled_from(sorted(OPERATORS)), min_size=1, max_size=4)
supplies = st.lists(st.integers(0, 9), max_size=12)
kinds = st.sampled_from(["stream", "buffered", "wire", "iterable"])


def supplied(kind, numbers):
    if kind == "iterable":
        return streams.source(iter(numbers)), None
    if kind == "wire":
        wire = Wire(*numbers)
        wire.end()
        return wire, None
    stream = Stream(0 if kind == "stream" else 3)
    return stream, gevent.spawn(lambda: stream.put_all(numbers) and stream.close())


def chained(source, chain, numbers):
    for name in chain:
        operator, same = OPERATORS[name]
        source, numbers = operator(source), same(numbers)
    return source, numbers


@bounded
@given(chain=chains, numbers=supplies, kind=kinds, use=st.sampled_from(USES))
def test_a_chain_gives_what_the_functions_make_of_a_list(chain, numbers, kind, use):
    """From every kind of source, however it is used."""
    source, producer = supplied(kind, numbers)
    made, expected = chained(source, chain, numbers)

    with gevent.Timeout(5):
        assert expected == collect(made, use)
        if producer is not None:
            producer.join()


@bounded
@given(
    chain=chains,
    numbers=supplies,
    kind=kinds,
    kills=st.lists(st.tuples(st.integers(1, 7), st.booleans()), max_size=6),
)
def test_takers_that_are_interrupted_take_nothing_with_them(chain, numbers, kind, kills):
    """By a kill or a Timeout, after any number of turns of the loop; the rest comes in order."""
    source, _ = supplied(kind, numbers)
    made, expected = chained(source, chain, numbers)
    taken = []

    def take():
        while (message := made.take("end")) != "end":
            taken.append(message)

    for turns, is_timeout in kills:
        taker = victim(take)
        taker.start()
        for _ in range(turns):
            gevent.sleep(0)
        taker.kill(gevent.Timeout if is_timeout else gevent.GreenletExit)
    with gevent.Timeout(5):
        take()

    assert expected == taken


@bounded
@given(
    chain=chains,
    numbers=supplies,
    kind=kinds,
    limits=st.lists(st.sampled_from([0, 0.00001, 0.0001]), max_size=6),
)
def test_limits_that_run_out_lose_nothing(chain, numbers, kind, limits):
    """However short; they end in time."""
    source, _ = supplied(kind, numbers)
    made, expected = chained(source, chain, numbers)
    taken = []
    for limit in limits:
        message = made.try_take(limit, "end", "late")
        if message not in ("end", "late"):
            taken.append(message)
    with gevent.Timeout(5):
        taken += list(made)

    assert expected == taken


@st.composite
def trees(draw):
    """For each node the node it hangs on, and which operator leads to it (None: a link)."""
    size = draw(st.integers(1, 8))
    operators = st.sampled_from([None, *sorted(OPERATORS)])
    return [(draw(st.integers(-1, n - 1)), draw(operators)) for n in range(size)]


@bounded
@given(
    tree=trees(),
    kind=kinds,
    closed=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 12)), max_size=3),
)
def test_what_is_closed_in_a_tree_ends_what_is_below_it(tree, kind, closed):
    """Those see what comes of a beginning of its messages; all others see everything."""
    closed = [(n, turns) for n, turns in closed if n < len(tree)]
    closers = {n for n, _ in closed}
    source, _ = supplied(kind, list(range(10)))
    nodes = {-1: source}
    # What a node may have given, in full or cut short.
    possible = {-1: {tuple(range(10))}}
    for n, (parent, name) in enumerate(tree):
        if name is None:
            nodes[n], made = Stream(2), possible[parent]
            connect(nodes[parent], nodes[n])
        else:
            operator, same = OPERATORS[name]
            nodes[n] = operator(nodes[parent])
            made = {tuple(same(list(given))) for given in possible[parent]}
        possible[n] = made | {
            given[:k] for given in made for k in range(len(given)) if n in closers
        }
    ends = set(range(len(tree))).difference(parent for parent, _ in tree)
    seen = {n: [] for n in ends}
    done = [consume(nodes[n], got.append) for n, got in seen.items()]
    for n, turns in closed:
        gevent.spawn(close_after, turns, nodes[n])
    gevent.wait(done, timeout=5)
    settle()

    assert all(each.ready() for each in done)
    for n, got in seen.items():
        assert tuple(got) in possible[n]


# Operators of which what comes out is what goes in, in lists and tuples maybe.
ALL_OF = {
    "map": lambda s: s.map(lambda x: x),
    "slow map": lambda s: s.map(same),
    "filter": lambda s: s.filter(lambda x: same(x) is x),
    "throttle": lambda s: s.throttle(1e5, max_backlog=1),
    "realize_each": lambda s: s.map(later_same).realize_each(),
    "reductions": lambda s: s.reductions(lambda _, x: later_same(x)),
    "list by list": lambda s: s.batch(1),
    "batch": lambda s: s.batch(2),
    "weighed batch": lambda s: s.batch(3, metric=lambda x: same(len(flat(x)))),
    "timed batch": lambda s: s.batch(2, latency=60),
    "mapcat": lambda s: s.mapcat(lambda x: [x]),
    "slow mapcat": lambda s: s.mapcat(whole),
    "late mapcat": lambda s: s.mapcat(lambda x: iter(whole(x))),
    "zip": streams.zip,
    "zip of a map": lambda s: streams.zip(s.map(same)),
}


def later_same(x):
    return future(same, x)


@bounded
@given(
    chain=st.lists(st.sampled_from(sorted(ALL_OF)), min_size=1, max_size=4),
    count=st.integers(3, 9),
    early=st.integers(0, 9),
    kills=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=4),
    end=st.sampled_from(["close", "drop", "sink closed", "connection cancelled"]),
    kept=st.integers(0, 4),
    turns=st.integers(0, 12),
)
def test_what_is_closed_or_dropped_gives_back_what_nobody_has(
    chain, count, early, kills, end, kept, turns
):
    """Each message is with a taker, or still to be taken further up, in order.

    Whoever is killed in a take, whenever the end comes, and whether or not somebody holds what is
    in the middle of the chain.
    """
    source, taken, rest = Stream(9), [], []
    nodes = [source]
    for name in chain:
        nodes.append(ALL_OF[name](nodes[-1]))
    last, middle = [nodes[-1]], [node for node in nodes[:-1] if nodes.index(node) == kept > 0]
    nodes.clear()
    source.put_all(range(min(early, count)))

    def take(messages):
        for _ in range(messages):
            message = last[0].take()
            taken.extend(flat(message))

    takers = []
    for pause, messages in kills:
        takers.append(gevent.spawn(take, messages))
        for _ in range(pause):
            gevent.sleep(0)
        if pause % 2:
            takers.pop(0).kill()
    source.put_all(range(min(early, count), count))
    for _ in range(turns):
        gevent.sleep(0)
    gevent.killall(takers)
    takers.clear()
    if end in ("sink closed", "connection cancelled"):
        sink = Stream()
        moved = connect(last[0], sink)
        for _ in range(turns):
            gevent.sleep(0)
        sink.close() if end == "sink closed" else moved.cancel()
        settle()
        taken += flat(list(sink)) if end == "sink closed" else []
        del moved
    elif end == "close":
        last[0].close()
        settle()
    last.clear()
    for _ in range(5):
        gc.collect()
        settle()
    source.close()
    with gevent.Timeout(5):
        for node in middle:
            rest += flat(list(node))
    rest += list(source)

    assert sorted(rest) == rest
    assert list(range(count)) == sorted(taken + rest)


def close_after(turns, node):
    for _ in range(turns):
        gevent.sleep(0)
    node.close()


@bounded
@given(
    tree=trees(),
    kind=kinds,
    first=st.lists(st.tuples(st.integers(0, 5), st.sampled_from(USES)), min_size=8, max_size=8),
)
def test_who_takes_some_messages_and_has_the_rest_sent_misses_none(tree, kind, first):
    """Every end of a tree, read by hand for a while and connected to something then."""
    source, _ = supplied(kind, list(range(10)))
    nodes, expected = {-1: source}, {-1: list(range(10))}
    for n, (parent, name) in enumerate(tree):
        if name is None:
            nodes[n], expected[n] = Stream(2), expected[parent]
            connect(nodes[parent], nodes[n])
        else:
            nodes[n], expected[n] = chained(nodes[parent], [name], expected[parent])
    ends = set(range(len(tree))).difference(parent for parent, _ in tree)

    def read(n):
        count, use = first[n]
        taken = [nodes[n].take() for _ in range(min(count, len(expected[n])))]
        return taken + collect(nodes[n], use)

    readers = {n: gevent.spawn(read, n) for n in ends}
    gevent.joinall(readers.values(), timeout=5)

    assert {n: expected[n] for n in ends} == {n: reader.value for n, reader in readers.items()}
