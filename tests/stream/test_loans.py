"""Loans: settled or given back once, in order, as near as they can go."""

from __future__ import annotations

import gc
import weakref

import gevent
import pytest

from galeph import stream as streams
from galeph.stream import Stream
from galeph.stream.links import Branch
from galeph.stream.loans import (
    Loan,
    Made,
    Parcel,
    Returns,
    are_void,
    give_back,
    ledger,
    settle,
)
from tests.stream.scenes import USES, collect
from tests.stream.scenes import settle as let_run
from tests.stream.test_giving_back import COMPOSED, MESSAGES, OTHERS


@pytest.fixture
def source():
    return Stream(9)


@pytest.fixture
def chain(source):
    """Two operators, of which the second has what the loans are about."""
    first = source.map(str)
    return first, first.map(str)


def returned(loans):
    returns = Returns()
    give_back(loans, returns)
    returns.send()


def rest(stream):
    return list(iter(lambda: stream.try_take(0, "end", "end"), "end"))


class TestLoan:
    def test_stands_in_both_ledgers_until_it_is_settled(self, chain):
        """Of the way its lane began with, and of that to the operator that has it."""
        first, second = chain
        loan = Loan(first.branch, 1, (), second.branch)

        assert [loan] == ledger(first.branch) == ledger(second.branch)
        settle([loan])
        assert [] == ledger(first.branch) + ledger(second.branch)

    def test_is_settled_or_given_back_once(self, source, chain):
        """What comes later does nothing."""
        first, _ = chain
        loan = Loan(first.branch, 1)
        returned([loan])
        returned([loan])
        settle([loan])

        assert [1] == rest(source)
        other = Loan(first.branch, 2)
        settle([other])
        returned([other])
        assert [] == rest(source)

    def test_settles_what_it_was_made_of(self, chain):
        """However deep that goes."""
        first, _ = chain
        inner = loan = Loan(first.branch, 0)
        for n in range(5000):
            loan = Loan(first.branch, n, (loan,))
        settle([loan])

        assert inner.strike() is False
        assert [] == ledger(first.branch)


class TestGivingBack:
    def test_keeps_the_order(self, source, chain):
        """In front of what has come since."""
        first, _ = chain
        source.put(9)
        returned([Loan(first.branch, n) for n in range(3)])

        assert [0, 1, 2, 9] == rest(source)

    def test_goes_to_what_the_operator_takes_from(self, source, chain):
        """As what that has made, while somebody has it."""
        first, second = chain
        loans = [Loan(first.branch, n, (), second.branch, str(n)) for n in range(3)]
        returned(loans)

        assert loans == ledger(first.branch)
        assert [] == ledger(second.branch)
        second.close()
        assert [0, 1, 2] == rest(source)

    def test_what_has_passed_the_operator_goes_where_its_way_begins(self, source, chain):
        """And takes with it what comes after it, so that the order stays."""
        first, second = chain
        known = Loan(first.branch, 0, (), second.branch, "0")
        passed = Loan(first.branch, 1, (), second.branch)
        later = Loan(first.branch, 2, (), second.branch, "2")
        returned([known, passed, later])

        assert [1, 2] == rest(source)
        assert [known] == ledger(first.branch)
        settle([known])

    def test_takes_along_what_came_by_later(self, source, chain):
        """Whoever has that."""
        first, _ = chain
        loans = [Loan(first.branch, n) for n in range(4)]
        returned(loans[1:2])

        assert [1, 2, 3] == rest(source)
        assert loans[:1] == ledger(first.branch)
        settle(loans)

    def test_of_a_message_that_others_have_seen(self, source, chain):
        """There is nothing to give back."""
        first, _ = chain
        loan = Loan(first.branch, 1)
        loan.is_shared = True
        other = source.map(str)
        returned([loan])

        assert [] == rest(source)
        assert [] == ledger(first.branch)
        other.close()

    def test_of_a_message_that_passed_before_others_came(self, source, chain):
        """They have not seen it, and it is lost if it does not go back."""
        first, _ = chain
        loan = Loan(first.branch, 1)
        other = source.map(str)
        returned([loan])

        assert [1] == rest(source)
        other.close()

    def test_in_place_of_what_was_made_goes_what_it_was_made_of(self):
        """If that cannot be taken any more where it was made."""
        one, other = Stream(3), Stream(3)
        joint = streams.zip(one, other)
        parts = [Loan(each.branch, n) for n, each in enumerate(joint._intakes)]
        made = Loan(joint.map(str).branch, (0, 1), parts)
        joint.close()
        returned([made])

        assert ([0], [1]) == (rest(one), rest(other))

    def test_what_has_failed_above_is_not_held_by_its_source(self):
        """It would hold what has the loan, by the frames of its error."""
        source, sink = Stream(9), Stream()
        source.put_all([1, 0, 2])
        broken = source.map(lambda n: n // n)
        joint = streams.zip(broken, Stream())
        moved = streams.connect(joint, sink)
        let_run()
        moved.cancel()
        assert isinstance(broken.error, ZeroDivisionError)
        seen = weakref.ref(joint)
        del broken, joint
        gc.collect()
        let_run()

        assert seen() is None
        assert [1, 2] == rest(source)

    def test_streams_that_are_equal_are_not_the_same(self):
        """Each gets its own messages, be they what they may."""

        class Equal(Stream):
            def __eq__(self, other):
                return True

            def __hash__(self):
                return 1

        one, other = Equal(3), Equal(3)
        returns = Returns()
        returns.add(one, 1)
        returns.add(other, 2)
        returns.send()

        assert ([1], [2]) == (rest(one), rest(other))


class TestParcel:
    def test_is_made_where_there_are_loans(self, chain):
        """Whoever opens it has got the message."""
        first, _ = chain
        loan = Loan(first.branch, 1)
        parcel = Parcel.of("made", [loan])

        assert "plain" == Parcel.of("plain", ())
        assert "made" == parcel.open()
        assert [] == ledger(first.branch)

    @pytest.mark.parametrize("depth", [0, 1, 2])
    def test_is_void_if_a_part_has_gone_back(self, source, chain, depth):
        """The other parts go back, too."""
        first, _ = chain
        part, other = Loan(first.branch, 0), Loan(first.branch, 1)
        loans = [part, other]
        for n in range(depth):
            loans = [Loan(first.branch, n, loans)]
        assert not are_void(loans)
        returned([other])
        rest(source)

        assert are_void(loans)
        assert [] == ledger(first.branch) or depth
        source.close()

    def test_series_can_be_taken_out(self, chain):
        """What has no loans stays."""
        first, _ = chain
        loans = [Loan(first.branch, n) for n in range(3)]
        made = Made([Parcel("a", loans[:1]), "plain", Parcel("b", loans[1:])])

        assert "a" == next(made).open()
        assert loans[1:] == made.take_out()
        assert ["plain"] == list(made)
        settle(loans)


@pytest.mark.parametrize("use", [*USES, "shared"])
@pytest.mark.parametrize("name", COMPOSED)
def test_nothing_is_owed_when_all_was_taken(name, use):
    """However an operator was used: a ledger does not grow."""
    sources = Stream(9), Stream(9)
    for source, messages in zip(sources, (MESSAGES, OTHERS), strict=True):
        source.put_all(messages)
        source.close()
    made = COMPOSED[name](*sources)
    if use == "shared":
        gevent.joinall([gevent.spawn(list, made) for _ in range(2)], timeout=5)
    else:
        collect(made, use)
    let_run()
    # What it returns to the source that had more.
    rest(sources[0])
    rest(sources[1])
    gc.collect()
    ways = [found for found in gc.get_objects() if type(found) is Branch]

    assert ways
    assert [] == [way for way in ways if way.lent]
