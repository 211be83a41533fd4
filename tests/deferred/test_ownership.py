"""Carrying out the rules of ownership where threads meet."""

from __future__ import annotations

from gevent.monkey import get_original

from galeph.deferred import Deferred
from galeph.deferred._ownership import call_off, in_own_thread, let_go
from galeph.deferred.producer import on_cancel, owns
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
