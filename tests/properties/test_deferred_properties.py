"""Deferreds under generated interleavings.

A program is a list of steps over a few deferreds: hang something on, realize, wait, kill, let
others run. Whatever the order, what must hold of every deferred is small: one outcome, which is
the first one given; every listener told once, with that outcome, in the order of registration;
nobody left waiting; nothing left hanging; a resource given to exactly one taker or disposed of
exactly once.
"""

from __future__ import annotations

import operator

import gevent
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred.producer import on_cancel, owns
from galeph.errors import Cancelled
from tests.deferred.executors import Greenlets
from tests.deferred.threads import settle
from tests.properties.budgets import budget

pytestmark = pytest.mark.long

BOUNDED = budget(
    150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

COUNT = 3
which = st.integers(0, COUNT - 1)


class Refused(Exception):
    """The error that a program gives a deferred."""


# -- one outcome, told to everybody

steps = st.one_of(
    st.tuples(st.just("success"), which, st.integers()),
    st.tuples(st.just("error"), which, st.integers()),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("listen"), which, st.booleans()),
    st.tuples(st.just("chain"), which, st.integers(0, 3)),
    st.tuples(st.just("wait"), which),
    st.tuples(st.just("kill"), st.integers(0, 5)),
    st.tuples(st.just("claim"), which),
    st.tuples(st.just("run")),
)


class Program:
    """Runs steps, and remembers what must come of them."""

    def __init__(self):
        self.deferreds = [Deferred() for _ in range(COUNT)]
        self.outcomes = [None] * COUNT
        self.tokens = [None] * COUNT
        self.told = [[] for _ in range(COUNT)]
        self.listeners = [0] * COUNT
        self.chains = []
        self.waiters = []

    def run(self, program):
        for name, *arguments in program:
            getattr(self, f"do_{name}")(*arguments)
        for index in range(COUNT):
            self.outcome(index, ("value", "end"), self.deferreds[index].success, "end")
        gevent.joinall([greenlet for greenlet, _ in self.waiters])
        settle()

    def outcome(self, index, outcome, realize, argument):
        token = self.tokens[index]
        if realize(argument, token):
            assert self.outcomes[index] is None
            self.outcomes[index] = outcome
        else:
            assert self.outcomes[index] is not None

    def do_success(self, index, value):
        self.outcome(index, ("value", value), self.deferreds[index].success, value)

    def do_error(self, index, value):
        error = Refused(value)
        self.outcome(index, ("error", error), self.deferreds[index].error, error)

    def do_cancel(self, index):
        won = self.deferreds[index].cancel()
        assert won == (self.outcomes[index] is None and self.tokens[index] is None)
        if won:
            self.outcomes[index] = ("error", self.deferreds[index].exception)

    def do_claim(self, index):
        token = self.deferreds[index].claim()
        assert (token is not None) == (self.outcomes[index] is None and self.tokens[index] is None)
        self.tokens[index] = self.tokens[index] or token

    def do_listen(self, index, blocks):
        number = self.listeners[index]
        self.listeners[index] += 1

        def tell(kind, outcome):
            self.told[index].append((number, kind, outcome))
            if blocks:
                gevent.sleep(0)

        self.deferreds[index].on_realized(
            lambda value: tell("value", value), lambda error: tell("error", error)
        )

    def do_chain(self, index, length):
        d = self.deferreds[index]
        for _ in range(length):
            d = d.chain(lambda value: (gevent.sleep(0), value)[1])
        self.chains.append((d, index))

    def do_wait(self, index):
        self.waiters.append((gevent.spawn(outcome_of, self.deferreds[index]), index))

    def do_kill(self, number):
        if number < len(self.waiters):
            self.waiters[number][0].kill(block=False)

    def do_run(self):
        gevent.sleep(0)


def outcome_of(d):
    """The outcome as get() gives it."""
    try:
        return ("value", d.get())
    except (Refused, Cancelled) as error:
        return ("error", error)


@BOUNDED
@given(st.lists(steps, max_size=30))
def test_one_outcome_told_to_everybody(program):
    """In any interleaving everybody sees the one outcome, listeners once and in order."""
    p = Program()
    p.run(program)

    for index, d in enumerate(p.deferreds):
        expected = p.outcomes[index]
        assert expected == outcome_of(d)
        assert [(n, *expected) for n in range(p.listeners[index])] == p.told[index]
        assert not d._entries if d.hub is not None else True
        assert 0 == d.linkcount()
    for d, index in p.chains:
        assert p.outcomes[index] == outcome_of(d)
    for greenlet, index in p.waiters:
        assert greenlet.value == p.outcomes[index] or isinstance(
            greenlet.value, gevent.GreenletExit
        )


# -- a resource goes to exactly one


class Resource:
    """Something that must be taken or disposed of, and counts both."""

    def __init__(self):
        self.taken = 0
        self.disposed = 0

    def dispose(self):
        self.disposed += 1


resource_steps = st.one_of(
    st.tuples(
        st.just("derive"),
        st.sampled_from(["chain", "catch", "finally", "inner", "onto", "late", "slow", "loop"]),
    ),
    st.tuples(st.just("open")),
    st.tuples(st.just("wait")),
    st.tuples(st.just("kill"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("timeout"), st.integers(0, 3)),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("cancel_derived"), st.integers(0, 3)),
    st.tuples(st.just("success")),
    st.tuples(st.just("run")),
)


def derive(how, d, gate):
    """A deferred that passes the value of ``d`` on unchanged; maybe it shows it when told to."""
    if how == "chain":
        return d.chain()
    if how == "catch":
        return d.catch(ZeroDivisionError, operator.not_)
    if how == "finally":
        return d.finally_(int)
    if how == "onto":
        return d.onto(Greenlets()).finally_(int)
    if how == "late":
        return gate.chain(lambda _: d)
    if how == "slow":
        begun = Deferred()
        derived = begun.chain(lambda _: gate.wait() or d)
        begun.success(None)
        return derived
    if how == "loop":
        return deferred.loop(lambda: gate.chain(lambda _: d))
    return deferred.success(None).chain(lambda _: d)


class ResourceProgram:
    """One resource on its way through a line of deferreds, waited for at the end of the line."""

    def __init__(self):
        self.resource = Resource()
        self.called_off = []
        self.source = Deferred()
        owns(self.source, Resource.dispose)
        on_cancel(self.source, self.called_off.append)
        self.line = [self.source]
        self.gate = Deferred()
        self.waiters = []
        # How many have left a wait without an outcome, and whether somebody has cancelled.
        self.left = 0
        self.is_cancelled = False
        self.is_given = False

    def run(self, program):
        for name, *arguments in program:
            getattr(self, f"do_{name}")(*arguments)
        self.do_success()
        self.do_open()
        settle()
        gevent.killall([greenlet for greenlet in self.waiters if not greenlet.ready()])
        settle()

    def do_derive(self, how):
        # Only from the end, and only until somebody waits there: a line, not a tree.
        if not self.waiters and len(self.line) < 4 and not self.source.ready():
            self.line.append(derive(how, self.line[-1], self.gate))

    def do_wait(self):
        if len(self.waiters) < 4:
            self.waiters.append(gevent.spawn(self.take))

    def take(self):
        try:
            resource = self.line[-1].get()
        except Cancelled:
            return
        except (gevent.Timeout, gevent.GreenletExit):
            self.left += 1
            return
        assert resource is self.resource
        resource.taken += 1

    def do_kill(self, number, now):
        if number < len(self.waiters):
            greenlet = self.waiters[number]
            if now and greenlet and not greenlet.ready():
                gevent.get_hub().loop.run_callback(greenlet.throw, gevent.GreenletExit)
            else:
                greenlet.kill(block=False)

    def do_timeout(self, number):
        # One that has not begun would die of it unprotected.
        if number < len(self.waiters) and self.waiters[number].gr_frame is not None:
            self.waiters[number].kill(gevent.Timeout(1), block=False)

    def do_cancel(self):
        self.is_cancelled = True
        self.source.cancel()

    def do_cancel_derived(self, number):
        if number < len(self.line):
            self.is_cancelled = True
            self.line[number].cancel()

    def do_success(self):
        # A producer has one resource and gives it once.
        if not self.is_given:
            self.is_given = True
            self.source.success(self.resource)

    def do_open(self):
        self.gate.success(None)

    def do_run(self):
        gevent.sleep(0)


@BOUNDED
@given(st.lists(resource_steps, max_size=20))
def test_a_resource_is_taken_or_disposed_of(program):
    """However waiters come, are killed and time out, a resource is never lost nor given twice."""
    p = ResourceProgram()
    p.run(program)

    resource = p.resource
    assert resource.disposed <= 1
    assert not (resource.disposed and resource.taken)
    assert len(p.called_off) <= 1
    if resource.taken == 0 and resource.disposed == 0:
        # Then it rests where it can still be taken: at the end, or before a function that was not
        # called any more.
        assert any(d.successful() and d.get() is resource for d in p.line)
        # Which nobody does who has left.
        assert p.is_cancelled or not p.left
    if p.called_off:
        assert 0 == resource.taken
        assert 1 == resource.disposed


# -- joining


@BOUNDED
@given(
    st.permutations(range(4)),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_zip_and_alt_in_any_order(order, succeeds, runs_between):
    """In any order of arrival, zip is all values or the first error, alt the first outcome."""
    sources = [Deferred() for _ in range(4)]
    everything, first = deferred.zip(*sources), deferred.alt(*sources)
    errors = [Refused(n) for n in range(4)]
    for index, runs in zip(order, runs_between, strict=True):
        if succeeds[index]:
            sources[index].success(index)
        else:
            sources[index].error(errors[index])
        if runs:
            gevent.sleep(0)
    failed = [errors[index] for index in order if not succeeds[index]]

    assert (("error", failed[0]) if failed else ("value", [0, 1, 2, 3])) == outcome_of(everything)
    begin = order[0]
    expected = ("value", begin) if succeeds[begin] else ("error", errors[begin])
    assert expected == outcome_of(first)
