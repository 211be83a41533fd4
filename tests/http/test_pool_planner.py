"""The pool's decisions: who gets which connection, and that nobody is forgotten."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from galeph.http.pool_planner import Close, Give, Planner, PlannerCounts, Refuse, Ticket


def make_planner(max_per_key=2, max_total=3, max_waiting=4):
    return Planner(max_per_key=max_per_key, max_total=max_total, max_waiting=max_waiting)


def take(planner, key="a", connection=None):
    """Ask for a slot that is there to be had, and fill it if it is empty."""
    ticket = Ticket(key)
    actions = planner.ask(ticket)
    assert Give(ticket) in actions
    if ticket.slot.connection is None:
        ticket.slot.connection = connection or object()
    return ticket.slot


def test_an_empty_pool_gives_permission_to_open():
    """The first ticket is given an empty slot: its holder opens the connection."""
    ticket = Ticket("a")

    assert [Give(ticket)] == make_planner().ask(ticket)
    assert ticket.slot.connection is None


def test_the_connection_used_last_is_used_next():
    """Of several idle connections the one that was released last is given out."""
    planner = make_planner()
    first, second = take(planner), take(planner)
    planner.release(first)
    planner.release(second)

    assert take(planner) is second
    assert take(planner) is first


def test_a_connection_serves_only_its_own_key():
    """An idle connection to one server is never given to a request for another."""
    planner = make_planner()
    planner.release(take(planner, "a"))
    ticket = Ticket("b")

    assert [Give(ticket)] == planner.ask(ticket)
    assert ticket.slot.connection is None


def test_a_server_without_room_makes_tickets_wait_in_order():
    """Above the slots for one server tickets wait, and are served first come, first served."""
    planner = make_planner(max_per_key=1)
    slot = take(planner)
    first, second = Ticket("a"), Ticket("a")

    assert [] == planner.ask(first) + planner.ask(second)
    assert [Give(first)] == planner.release(slot)
    assert [Give(second)] == planner.release(first.slot)
    assert slot is second.slot


def test_the_coldest_connection_makes_place_in_a_full_pool():
    """A ticket for a server with room closes the connection that was idle longest, of anyone."""
    planner = make_planner(max_per_key=2, max_total=2)
    cold, warm = take(planner, "a", "cold"), take(planner, "b", "warm")
    planner.release(cold)
    planner.release(warm)
    ticket = Ticket("c")

    assert [Close("cold"), Give(ticket)] == planner.ask(ticket)
    assert PlannerCounts(slots=2, idle=1, waiting=0) == planner.counts()


def test_a_quiet_server_is_not_starved_by_a_busy_one():
    """In a full pool a released connection is closed for the ticket that has waited longer."""
    planner = make_planner(max_per_key=1, max_total=1)
    slot = take(planner, "busy", "connection")
    quiet, busy = Ticket("quiet"), Ticket("busy")
    planner.ask(quiet)
    planner.ask(busy)

    assert [Close("connection"), Give(quiet)] == planner.release(slot)
    assert [Give(busy)] == planner.drop(quiet.slot)


def test_the_longer_wait_wins_also_against_a_full_pool():
    """A ticket for the same server that came first gets the connection as it is."""
    planner = make_planner(max_per_key=1, max_total=1)
    slot = take(planner, "busy", "connection")
    busy, quiet = Ticket("busy"), Ticket("quiet")
    planner.ask(busy)
    planner.ask(quiet)

    assert [Give(busy)] == planner.release(slot)
    assert "connection" == busy.slot.connection


def test_too_many_waiting_are_refused():
    """One ticket more than may wait is refused, at once and without a trace."""
    planner = make_planner(max_per_key=1, max_total=1, max_waiting=1)
    take(planner)
    waiting, refused, other = Ticket("a"), Ticket("a"), Ticket("b")

    assert [] == planner.ask(waiting)
    assert [Refuse(refused)] == planner.ask(refused)
    assert [Refuse(other)] == planner.ask(other)
    assert [waiting] == planner.waiting_tickets()


def test_a_withdrawn_ticket_is_passed_over():
    """A ticket that was withdrawn gets nothing; the next in line does."""
    planner = make_planner(max_per_key=1)
    slot = take(planner)
    gone, next_one = Ticket("a"), Ticket("a")
    planner.ask(gone)
    planner.ask(next_one)
    planner.withdraw(gone)

    assert [Give(next_one)] == planner.release(slot)
    assert gone.slot is None


def test_withdrawing_a_served_ticket_changes_nothing():
    """A ticket that has been given a slot keeps it until that is released or dropped."""
    planner = make_planner()
    ticket = Ticket("a")
    planner.ask(ticket)
    planner.withdraw(ticket)

    assert PlannerCounts(slots=1, idle=0, waiting=0) == planner.counts()


def test_a_fresh_connection_replaces_an_idle_one():
    """A ticket that wants no used connection has the coldest idle one closed for it."""
    planner = make_planner()
    cold, warm = take(planner, connection="cold"), take(planner, connection="warm")
    planner.release(cold)
    planner.release(warm)
    ticket = Ticket("a", wants_fresh=True)

    assert [Close("cold"), Give(ticket)] == planner.ask(ticket)
    assert ticket.slot.connection is None


def test_a_fresh_connection_replaces_a_released_one():
    """A ticket that waits for a fresh connection has the released one closed for it."""
    planner = make_planner(max_per_key=1)
    slot = take(planner, connection="used")
    ticket = Ticket("a", wants_fresh=True)
    planner.ask(ticket)

    assert [Close("used"), Give(ticket)] == planner.release(slot)
    assert ticket.slot.connection is None


def test_dropping_an_idle_slot_closes_its_connection():
    """An idle slot can be dropped (it grew too old); nothing remains of its server."""
    planner = make_planner()
    slot = take(planner, connection="old")
    planner.release(slot)

    assert [Close("old")] == planner.drop(slot)
    assert PlannerCounts(slots=0, idle=0, waiting=0) == planner.counts()
    assert {} == planner._servers


KEYS = st.sampled_from("abcd")


class PlannerMachine(RuleBasedStateMachine):
    """Any sequence of calls keeps every promise of the module's docstring."""

    def __init__(self):
        super().__init__()
        self.planner = make_planner(max_per_key=2, max_total=4, max_waiting=5)
        self.held = []  # tickets with a slot in use
        self.idle = []  # slots, in the order of their release
        self.waiting = []  # tickets, in the order of asking
        self.opened = 0

    def carry_out(self, actions):
        for action in actions:
            if isinstance(action, Close):
                self.idle = [slot for slot in self.idle if slot.connection is not None]
                assert action.connection not in [s.connection for s in self.idle]
            elif isinstance(action, Give):
                self.receive(action.ticket)
            else:
                assert 5 == len(self.waiting)
                assert action.ticket not in self.waiting

    def receive(self, ticket):
        assert ticket not in self.held
        assert ticket.slot not in [other.slot for other in self.held]
        assert ticket.key == ticket.slot.key
        if ticket in self.waiting:
            same_key = [other for other in self.waiting if other.key == ticket.key]
            assert ticket is same_key[0]
            self.waiting.remove(ticket)
        if ticket.slot in self.idle:
            self.idle.remove(ticket.slot)
            assert not ticket.wants_fresh
        if ticket.slot.connection is None:
            self.opened += 1
            ticket.slot.connection = self.opened
        else:
            assert not ticket.wants_fresh
        self.held.append(ticket)

    @rule(key=KEYS, fresh=st.booleans())
    def ask(self, key, fresh):
        ticket = Ticket(key, wants_fresh=fresh)
        warm = [slot for slot in self.idle if slot.key == key]
        actions = self.planner.ask(ticket)
        if not actions:
            self.waiting.append(ticket)
        elif warm and not fresh:
            assert ticket.slot is warm[-1]
        self.carry_out(actions)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data):
        ticket = data.draw(st.sampled_from(self.held))
        self.held.remove(ticket)
        expected = self.expected_next(ticket.slot.key)
        actions = self.planner.release(ticket.slot)
        self.check_next(expected, actions)
        if ticket.slot.is_idle:
            self.idle.append(ticket.slot)
        self.carry_out(actions)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), was_opened=st.booleans())
    def drop(self, data, was_opened):
        ticket = data.draw(st.sampled_from(self.held))
        self.held.remove(ticket)
        if not was_opened:
            ticket.slot.connection = None
        expected = self.expected_next(ticket.slot.key)
        actions = self.planner.drop(ticket.slot)
        self.check_next(expected, actions)
        self.carry_out(actions)

    @precondition(lambda self: self.idle)
    @rule(data=st.data())
    def drop_idle(self, data):
        slot = data.draw(st.sampled_from(self.idle))
        self.idle.remove(slot)
        self.carry_out(self.planner.drop(slot))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data):
        ticket = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(ticket)
        self.planner.withdraw(ticket)

    def count(self, key):
        return sum(ticket.slot.key == key for ticket in self.held) + sum(
            slot.key == key for slot in self.idle
        )

    def expected_next(self, key):
        """The waiting ticket that a slot of ``key`` must go to, now that it is free."""
        was_full = 1 + len(self.held) + len(self.idle) == 4
        for ticket in self.waiting:
            if ticket.key == key or (was_full and self.count(ticket.key) < 2):
                return ticket
        return None

    def check_next(self, expected, actions):
        given = [action.ticket for action in actions if isinstance(action, Give)]
        assert ([] if expected is None else [expected]) == given

    @invariant()
    def limits_hold(self):
        total = len(self.held) + len(self.idle)
        counts = PlannerCounts(slots=total, idle=len(self.idle), waiting=len(self.waiting))
        assert counts == self.planner.counts()
        assert total <= 4
        assert all(self.count(key) <= 2 for key in "abcd")

    @invariant()
    def nobody_waits_for_nothing(self):
        idle = defaultdict(list)
        for slot in self.idle:
            idle[slot.key].append(slot)
        for ticket in self.waiting:
            assert not idle[ticket.key]
            is_full = len(self.held) + len(self.idle) == 4
            assert self.count(ticket.key) == 2 or (is_full and not self.idle)

    def teardown(self):
        for ticket in list(self.waiting):
            self.planner.withdraw(ticket)
        for ticket in self.held:
            self.planner.drop(ticket.slot)
        for slot in self.idle:
            self.planner.drop(slot)

        assert PlannerCounts(slots=0, idle=0, waiting=0) == self.planner.counts()
        assert {} == self.planner._servers
        assert {} == self.planner._queued


TestPlannerMachine = PlannerMachine.TestCase
TestPlannerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
