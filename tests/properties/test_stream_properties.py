"""What holds of a stream, and of a graph of streams, whatever happens to it.

Whatever puts, takes, kills, limits, closings and failures come in whatever order, from however many
greenlets and threads: every accepted message is returned by exactly one take, in the order of the
puts, and a refused put says so.
"""

from __future__ import annotations

import itertools

import gevent
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from galeph.stream import Stream, connect
from galeph.testing import ManualClock
from tests.deferred import threads
from tests.properties.budgets import budget
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire, yielding

pytestmark = pytest.mark.long

# What a put has said, besides True and False.
PENDING = "pending"
LATE = "late"
WITHDRAWN = "withdrawn"
UNTOLD = "interrupted, and nobody could tell whether in time"

KILLS = st.sampled_from([gevent.GreenletExit, gevent.Timeout])
# What only the stream's own thread may call.
OWN = [
    ("put", [0]),
    ("try_put", [0, 0]),
    ("put_async", [0]),
    ("put_nowait", [0]),
    ("take", []),
    ("try_take", [0]),
    ("take_async", []),
    ("get_nowait", []),
    ("close", []),
    ("fail", [ValueError()]),
]


class Broken(Exception):
    """What a stream fails with."""


class StreamMachine(RuleBasedStateMachine):
    """A stream, and everybody who ever put or took."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.clock.__enter__()
        self.stream = Stream()
        self.last = 0
        self.said = {}
        # What was put after the end.
        self.too_late = set()
        # By message: a greenlet or a deferred, which can withdraw it.
        self.putters = {}
        self.takers = []
        self.async_takes = []
        # Messages, and the ends that takes were told.
        self.returned = []
        self.ended = None

    @initialize(buffer=st.sampled_from([0, 1, 2, 16]), is_metered=st.booleans())
    def start(self, buffer, is_metered):
        self.stream = Stream(buffer, metric=(lambda n: n % 3) if is_metered else None)

    # Putting

    def _message(self, said=PENDING):
        self.last += 1
        self.said[self.last] = said
        if self.ended is not None:
            self.too_late.add(self.last)
        return self.last

    def _say(self, message, said):
        # After WITHDRAWN or UNTOLD nothing more is said.
        assert self.said[message] == PENDING
        self.said[message] = said

    def _put_in_greenlet(self, put, *args):
        message = self._message()

        def run():
            try:
                said = put(message, *args)
            except gevent.Timeout:
                return
            self._say(message, said)

        self.putters[message] = waiting(run)

    @rule()
    def put(self):
        self._put_in_greenlet(self.stream.put)

    @rule(seconds=st.integers(1, 2))
    def put_with_limit(self, seconds):
        self._put_in_greenlet(self.stream.try_put, seconds, LATE)

    def _try_put(self, count):
        for _ in range(count):
            message = self._message()
            self.said[message] = self.stream.try_put(message, 0, LATE)

    @rule(count=st.integers(1, 4))
    def try_put(self, count):
        """Several at once, before anybody served has run."""
        self._try_put(count)
        settle()

    @rule()
    def put_async(self):
        message = self._message()
        put = self.stream.put_async(message)
        self.putters[message] = put
        put.rawlink(lambda _: put.successful() and self._say(message, put.value))
        settle()

    @rule()
    def put_from_a_thread(self):
        message = self._message()
        future = threads.run(self.stream.put_threadsafe, message)
        settle()
        future.add_done_callback(lambda done: self._say(message, done.result()))

    # Taking

    def _take_in_greenlet(self, take, *args):
        def run():
            try:
                self._took(take, *args)
            except gevent.Timeout:
                return

        self.takers.append(waiting(run))

    def _took(self, take, *args):
        try:
            message = take(*args)
        except Broken:
            message = "failed"
        if message != LATE:
            self.returned.append(message)
        return message

    @rule(count=st.integers(1, 3))
    def take(self, count):
        for _ in range(count):
            self._take_in_greenlet(self.stream.take, "closed")

    @rule(seconds=st.integers(1, 2))
    def take_with_limit(self, seconds):
        self._take_in_greenlet(self.stream.try_take, seconds, "closed", LATE)

    @rule(count=st.integers(1, 3))
    def iterate(self, count):
        self._take_in_greenlet(self._iterate, count)

    def _iterate(self, count):
        for message in itertools.islice(self.stream, count):
            self.returned.append(message)
            # Those who were served with this one return before the next.
            gevent.sleep(0)
        return LATE

    def _try_take(self):
        return self._took(self.stream.try_take, 0, "closed", LATE)

    @rule()
    def try_take(self):
        self._try_take()
        settle()

    @rule()
    def take_async(self):
        taken = self.stream.take_async("closed")
        self.async_takes.append(taken)
        taken.rawlink(lambda _: taken.cancelled() or self._took(taken.get))
        settle()

    # Interrupting

    @rule(
        more=st.integers(0, 3),
        victims=st.sets(st.integers(0, 3), max_size=3),
        messages=st.integers(0, 4),
        is_served=st.booleans(),
        exception=KILLS,
        closes=st.sampled_from([False] * 7 + [True]),
    )
    def interrupt_takers(self, more, victims, messages, is_served, exception, closes):
        """While messages are handed over: the exception is on its way first, or they are."""
        for _ in range(more):
            self._take_in_greenlet(self.stream.take, "closed")
        living = [taker for taker in self.takers if not taker.dead]
        if not all(taken.ready() for taken in self.async_takes):
            # A deferred cannot be unrealized: what comes back would be later than what it has.
            messages = 0
        if is_served:
            self._try_put(messages)
        for victim in victims:
            if victim < len(living):
                living[victim].kill(exception, block=False)
        if not is_served:
            self._try_put(messages)
        if closes and len(self.said) > 5:
            self._end("close")
        settle()

    @rule(data=st.data(), is_late=st.booleans(), exception=KILLS)
    @precondition(lambda self: any(self.said[m] == PENDING for m in self.putters))
    def interrupt_putter(self, data, is_late, exception):
        """Late: a take comes in the same moment, and the message may be accepted."""
        pending = [message for message in self.putters if self.said[message] == PENDING]
        message = data.draw(st.sampled_from(pending))
        putter = self.putters[message]
        if isinstance(putter, gevent.Greenlet):
            putter.kill(exception, block=False)
        else:
            assert putter.cancel()
        if is_late:
            self._try_take()
        settle()
        if self.said[message] == PENDING:
            is_told = not (is_late and isinstance(putter, gevent.Greenlet))
            self.said[message] = WITHDRAWN if is_told else UNTOLD

    @rule(data=st.data())
    @precondition(lambda self: any(not taken.ready() for taken in self.async_takes))
    def cancel_take(self, data):
        pending = [taken for taken in self.async_takes if not taken.ready()]
        data.draw(st.sampled_from(pending)).cancel()
        settle()

    @rule()
    def let_time_pass(self):
        self.clock.advance(1)

    # Ending, and what is not allowed

    @rule(how=st.sampled_from(["close", "close_threadsafe", "fail"]))
    @precondition(lambda self: len(self.said) > 5)
    def end(self, how):
        self._end(how)
        settle()

    def _end(self, how):
        self.ended = self.ended or ("failed" if how == "fail" else "closed")
        if how == "fail":
            self.stream.fail(Broken())
        elif how == "close":
            self.stream.close()
        else:
            threads.run(self.stream.close_threadsafe)

    @rule(call=st.sampled_from(OWN))
    def misuse(self, call):
        """From another thread: it raises, and does nothing."""
        name, args = call

        assert isinstance(threads.run(getattr(self.stream, name), *args), RuntimeError)

    # What holds

    def got(self):
        return [message for message in self.returned if isinstance(message, int)]

    @invariant()
    def returned_once_and_in_order(self):
        got = self.got()

        assert sorted(set(got)) == got
        assert all(self.said[message] in (True, PENDING, UNTOLD) for message in got)
        assert {self.ended} >= set(self.returned).difference(got)

    @invariant()
    def after_the_end_puts_are_refused_and_say_so(self):
        assert not [message for message in self.too_late if self.said[message] is not False]

    @invariant()
    def nobody_waits_for_what_is_there(self):
        stream, facts = self.stream, self.stream.description()
        has_room = stream._putters and stream._fits(stream._putters[0].weight)

        assert not (facts["pending_takes"] and (stream.qsize() or facts["pending_puts"]))
        assert not (facts["pending_takes"] and stream.closed)
        assert not has_room

    def teardown(self):
        try:
            gevent.killall(self.takers)
            for taken in self.async_takes:
                taken.cancel()
            while self._try_take() not in (LATE, "closed", "failed"):
                pass
            with gevent.Timeout(10):
                # A loaded machine gives way in the middle of a long line of answers.
                while PENDING in self.said.values():
                    gevent.sleep(0)
            self.nothing_is_lost()
        finally:
            self.clock.__exit__(None, None, None)

    def nothing_is_lost(self):
        stream, got = self.stream, self.got()
        accepted = [
            message
            for message, said in self.said.items()
            if said is True or (said == UNTOLD and message in got)
        ]

        assert accepted == got
        assert (self.ended is not None) is stream.closed
        assert (self.ended == "closed") is stream.drained
        assert (self.ended == "failed") is isinstance(stream.error, Broken)
        assert not any([stream._takers, stream._putters, stream._handed])


StreamMachine.TestCase.settings = budget(
    150,
    stateful_step_count=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStreamMachine = StreamMachine.TestCase


# -- threads

plans = st.lists(
    st.tuples(st.integers(1, 8), st.sampled_from(["waits", "goes on", "closes"])),
    min_size=1,
    max_size=4,
)


def put_from(stream, thread, count, how):
    """Put so many messages from an OS thread; return each with its future."""
    put = []
    for n in range(count):
        future = stream.put_threadsafe((thread, n))
        put.append(((thread, n), future))
        if how == "waits":
            # As long as it takes: somebody takes on.
            future.result(30)
    if how == "closes":
        stream.close_threadsafe()
    return put


@budget(60, suppress_health_check=[HealthCheck.too_slow])
@given(
    plan=plans,
    buffer=st.sampled_from([0, 1, 16]),
    kills=st.lists(st.tuples(st.integers(0, 6), KILLS), max_size=8),
)
def test_threads_each_keep_their_order(plan, buffer, kills):
    """Whoever is killed while he takes: what threads have put is taken once, in their order."""
    stream, got = Stream(buffer), []

    def take():
        try:
            got.extend(stream)
        except gevent.Timeout:
            return

    came = [
        threads.start(put_from, stream, number, count, how)
        for number, (count, how) in enumerate(plan)
    ]
    for turns, exception in kills:
        taker = gevent.spawn(take)
        for _ in range(turns + 1):
            gevent.sleep(0)
        taker.kill(exception)
    taker = gevent.spawn(take)
    with gevent.Timeout(30):
        while not all(came):
            gevent.sleep(0.0001)
        threads.run(stream.close_threadsafe)
        taker.join()
    put = [each for (puts,) in came for each in puts]
    answers = {message: future.result(0) for message, future in put}

    assert set(got) == {message for message, answer in answers.items() if answer is True}
    assert len(set(got)) == len(got)
    for number in range(len(plan)):
        mine = [message for message in got if message[0] == number]
        assert sorted(mine) == mine
    assert stream.drained


# -- graphs


@st.composite
def shapes(draw):
    """For each node the node it hangs on, and what leads to it: a link, or an operator."""
    size = draw(st.integers(1, 7))
    return [
        (draw(st.integers(-1, n - 1)), draw(st.sampled_from(["link", "map", "slow", "filter"])))
        for n in range(size)
    ]


@budget(80, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=shapes(),
    buffers=st.lists(st.sampled_from([0, 1, 16]), min_size=8, max_size=8),
    is_active=st.booleans(),
    order=st.permutations(range(7)),
)
def test_every_end_of_a_graph_sees_every_message_in_order(shape, buffers, is_active, order):
    """Any tree of streams and operators, read in any order, delivers everything everywhere."""
    root = Wire() if is_active else Stream(buffers[0])
    parents = {parent for parent, _ in shape}
    leaves = [n for n in order if n < len(shape) and n not in parents]
    nodes = {-1: root}
    for n, (parent, kind) in enumerate(shape):
        above = nodes[parent]
        if kind == "link":
            nodes[n] = Stream(buffers[n])
            connect(above, nodes[n])
        elif kind == "map":
            nodes[n] = above.map(lambda m: m)
        elif kind == "slow":
            nodes[n] = above.map(yielding(lambda m: m))
        else:
            nodes[n] = above.filter(lambda _: True)
    if is_active:
        for m in range(10):
            root.arrive(m)
        root.end()
    else:
        gevent.spawn(lambda: root.put_all(range(10)) and root.close())
    readers = [gevent.spawn(list, nodes[leaf]) for leaf in leaves]
    gevent.joinall(readers, timeout=5)

    assert [list(range(10))] * len(leaves) == [reader.value for reader in readers]
    assert all(nodes[leaf].drained for leaf in leaves)
