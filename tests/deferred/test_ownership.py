"""Carrying out the rules of ownership where threads meet."""

from __future__ import annotations

import gc

import gevent
from gevent import get_hub
from gevent.monkey import get_original

from galeph.deferred import Deferred, zip
from galeph.deferred._ownership import call_off, in_own_thread, let_go
from galeph.deferred.producer import on_cancel, on_dropped, owns
from tests.deferred import threads

get_ident = get_original("_thread", "get_ident")


class TestInOwnThread:
    def test_here(self):
        """In the owner's thread, and without an owner, the function is called at once."""
        owned, free, seen = Deferred(), Deferred(), []
        owns(owned)
        in_own_thread(owned, seen.append, 1)
        in_own_thread(free, seen.append, 2)

        assert [1, 2] == seen

    def test_elsewhere(self):
        """From another thread it is called by the owner's hub."""
        d, seen = Deferred(), []
        owns(d)
        threads.run(in_own_thread, d, lambda _: seen.append(get_ident()), None)

        assert [get_ident()] == seen


class TestCallOff:
    def test_once(self):
        """The producer is told once."""
        d, seen = Deferred(), []
        on_cancel(d, seen.append)
        reason = ValueError()
        call_off(d, reason)
        call_off(d, reason)

        assert [reason] == seen


class TestLetGo:
    def test_disposes_once(self):
        """An untaken value is disposed of once."""
        d, seen = Deferred(), []
        owns(d, seen.append)
        d.success(1)
        let_go(d, None)
        let_go(d, None)

        assert [1] == seen

    def test_error_is_nothing_to_dispose_of(self):
        """A failed owner has nothing to give back."""
        d, seen = Deferred(), []
        owns(d, seen.append)
        d.cancel()
        let_go(d, None)

        assert [] == seen


def lend(told):
    lent = Deferred()
    owns(lent, lambda thing: None)
    on_dropped(lent, lambda: told.append(gevent.getcurrent()))
    lent.success("thing")
    return lent


class TestDropped:
    def test_tells_so_in_the_hub(self):
        """If nobody has taken the value when the deferred dies."""
        told = []
        lent = lend(told)
        gevent.sleep(0)
        before = list(told)
        del lent
        at_once = list(told)
        gevent.sleep(0)

        assert [] == before
        assert [] == at_once
        assert [get_hub()] == told

    def test_in_a_cycle(self):
        """So it does from within the garbage collector."""
        told = []
        lent = lend(told)
        lent.metadata["itself"] = lent
        del lent
        gc.collect()
        gevent.sleep(0)

        assert [get_hub()] == told

    def test_of_several_in_a_list(self):
        """Each tells for itself, once; none if the list was taken."""
        told = []
        taken = zip(lend(told), lend(told)).get()
        gevent.sleep(0)
        assert ["thing", "thing"] == taken
        assert [] == told
        zip(lend(told), zip(lend(told)))
        gc.collect()
        gevent.sleep(0)

        assert [get_hub()] * 2 == told

    def test_after_it_was_taken(self):
        """It tells nothing."""
        told = []
        values = [lend(told).get(), lend(told).value, lend(told).chain(str.upper).get()]
        gevent.sleep(0)

        assert ["thing", "thing", "THING"] == values
        assert [] == told

    def test_the_value_of_a_pending_one(self):
        """To look for a value that has not come takes nothing."""
        lent = Deferred()
        owns(lent, lambda thing: None)

        assert lent.value is None
        assert not lent._is_taken
