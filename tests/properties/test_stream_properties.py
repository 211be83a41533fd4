"""What holds of a stream, and of a graph of streams, whatever happens to it.

Whatever puts, takes, kills, limits and closings come in whatever order: every accepted message is
returned by exactly one take, in the order of the puts, and a refused put says so.
"""

from __future__ import annotations

import gevent
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from galeph.stream import Stream, connect
from tests.properties.budgets import budget
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire, yielding

pytestmark = pytest.mark.long

WITHDRAWN = "withdrawn"
UNTOLD = "interrupted, and nobody could tell whether in time"


class StreamMachine(RuleBasedStateMachine):
    """A stream, and everybody who ever put or took."""

    def __init__(self):
        super().__init__()
        self.stream = Stream()
        self.next = 0
        # Message -> what its put has said: None while it waits, True, False, or one of these.
        self.puts = {}
        self.putters = {}
        self.takers = []
        self.async_takes = []
        self.returned = []

    @rule(buffer=st.sampled_from([0, 1, 2, 16]))
    @precondition(lambda self: not self.puts)
    def start(self, buffer):
        if not self.takers and not self.async_takes:
            self.stream = Stream(buffer)

    # Putting

    def _message(self):
        self.next += 1
        return self.next

    @rule()
    def put(self):
        message = self._message()
        self.puts[message] = None

        def run():
            self.puts[message] = self.stream.put(message)

        self.putters[message] = waiting(run)

    @rule(count=st.integers(1, 4))
    def try_put(self, count):
        """Several at once, before anybody served has run."""
        for _ in range(count):
            message = self._message()
            self.puts[message] = self.stream.try_put(message, 0, WITHDRAWN)
        settle()

    @rule()
    def put_async(self):
        message = self._message()
        put = self.stream.put_async(message)
        self.puts[message] = None
        self.putters[message] = put
        put.rawlink(lambda _: self.puts.__setitem__(message, put.value))
        settle()

    @rule()
    def put_threadsafe(self):
        message = self._message()
        future = self.stream.put_threadsafe(message)
        self.puts[message] = None
        settle()
        future.add_done_callback(lambda done: self.puts.__setitem__(message, done.result()))

    # Taking

    @rule()
    def take(self):
        def run():
            self.returned.append(self.stream.take("end"))

        self.takers.append(waiting(run))

    @rule()
    def try_take(self):
        message = self.stream.try_take(0, "end", "late")
        if message != "late":
            self.returned.append(message)
        settle()

    @rule()
    def take_async(self):
        taken = self.stream.take_async("end")
        self.async_takes.append(taken)
        taken.rawlink(lambda _: taken.successful() and self.returned.append(taken.value))
        settle()

    # Interrupting

    @rule(data=st.data(), messages=st.integers(0, 3))
    @precondition(lambda self: any(not taker.dead for taker in self.takers))
    def kill_takers(self, data, messages):
        """The kill is on its way when the messages are handed over."""
        living = [taker for taker in self.takers if not taker.dead]
        for victim in data.draw(st.lists(st.sampled_from(living), unique=True, max_size=3)):
            victim.kill(block=False)
        if any(not taken.ready() for taken in self.async_takes):
            # A deferred cannot be unrealized, so a message that comes back is later than its own.
            messages = 0
        for _ in range(messages):
            message = self._message()
            self.puts[message] = self.stream.try_put(message, 0, WITHDRAWN)
        settle()

    @rule(data=st.data(), is_late=st.booleans())
    @precondition(lambda self: any(said is None for said in self.puts.values()))
    def withdraw(self, data, is_late):
        """Late: a take comes in the same moment, and the message may be accepted."""
        pending = [m for m, said in self.puts.items() if said is None and m in self.putters]
        if not pending:
            return
        message = data.draw(st.sampled_from(pending))
        putter = self.putters[message]
        if isinstance(putter, gevent.Greenlet):
            putter.kill(block=False)
        else:
            putter.cancel()
        if is_late:
            taken = self.stream.try_take(0, "end", "late")
            if taken != "late":
                self.returned.append(taken)
        settle()
        if self.puts[message] is None:
            # It may be stored by now. Without a take in between it cannot be.
            self.puts[message] = UNTOLD if is_late else WITHDRAWN

    @rule(data=st.data())
    @precondition(lambda self: any(not taken.ready() for taken in self.async_takes))
    def cancel_take(self, data):
        pending = [taken for taken in self.async_takes if not taken.ready()]
        data.draw(st.sampled_from(pending)).cancel()
        settle()

    @rule(fails=st.booleans())
    @precondition(lambda self: len(self.puts) > 5)
    def end(self, fails):
        del fails
        self.stream.close()
        settle()

    # What holds

    @invariant()
    def returned_once_and_in_order(self):
        got = [message for message in self.returned if message != "end"]

        assert sorted(got) == got
        assert len(set(got)) == len(got)
        assert all(self.puts[message] in (True, None, UNTOLD) for message in got)

    @invariant()
    def nobody_waits_for_what_is_there(self):
        facts = self.stream.description()

        assert not (facts["pending_takes"] and (facts["buffer_size"] or facts["pending_puts"]))
        assert not (facts["pending_puts"] and facts["buffer_size"] < facts["buffer_capacity"])

    def teardown(self):
        for taker in self.takers:
            taker.kill()
        for taken in self.async_takes:
            taken.cancel()
        while (message := self.stream.try_take(0, "end", "late")) not in ("late", "end"):
            self.returned.append(message)
        settle()
        got = [message for message in self.returned if message != "end"]
        accepted = [
            message
            for message, said in self.puts.items()
            if said is True or (said == UNTOLD and message in got)
        ]

        assert accepted == got
        assert None not in self.puts.values()


StreamMachine.TestCase.settings = budget(60, stateful_step_count=40, derandomize=True)
TestStreamMachine = StreamMachine.TestCase


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
