"""The deferred that a pool's object arrives in."""

from __future__ import annotations

import gc

import gevent
from gevent import get_hub

from galeph.deferred.producer import owns
from galeph.executor.loans import Bond, Loan


def lend(told):
    loan = Loan()
    owns(loan, lambda thing: None)
    loan.bind(Bond(get_hub(), lambda: told.append(gevent.getcurrent())))
    loan.success("thing")
    return loan


class TestLoan:
    def test_dropped(self):
        """If nobody has taken the value when it dies, its bond tells so in the hub."""
        told = []
        loan = lend(told)
        gevent.sleep(0)
        before = list(told)
        del loan
        at_once = list(told)
        gevent.sleep(0)

        assert [] == before
        assert [] == at_once
        assert [get_hub()] == told

    def test_dropped_in_a_cycle(self):
        """So it does from within the garbage collector."""
        told = []
        loan = lend(told)
        loan.metadata["itself"] = loan
        del loan
        gc.collect()
        gevent.sleep(0)

        assert [get_hub()] == told

    def test_taken(self):
        """If somebody has, it tells nothing."""
        told = []
        values = [lend(told).get(), lend(told).value, lend(told).chain(str.upper).get()]
        gevent.sleep(0)

        assert ["thing", "thing", "THING"] == values
        assert [] == told

    def test_value_of_a_pending_one(self):
        """To look for a value that has not come takes nothing."""
        loan = Loan()
        loan.bind(Bond(get_hub(), list))

        assert loan.value is None
        assert not loan._is_taken
