"""Listeners that can be taken off again."""

from __future__ import annotations

import pytest

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._listeners import HungListener, take_off
from tests.deferred import threads
from tests.deferred.threads import settle


def told():
    """A listener, and what it is told."""
    seen = []
    return deferred.listener(seen.append, seen.append), seen


class TestAdding:
    @pytest.mark.parity("DEF-13")
    def test_pending(self):
        """A listener is called with the outcome, once; adding it says True."""
        listener, seen = told()
        one, other = Deferred(), Deferred()
        error = ValueError()

        assert one.add_listener(listener) is True
        assert other.add_listener(listener) is True
        one.success(1)
        other.error(error)
        settle()

        assert [1, error] == seen

    @pytest.mark.parity("DEF-13")
    def test_realized(self):
        """On a realized deferred it is called at once, and adding it says True too."""
        listener, seen = told()

        assert deferred.success(1).add_listener(listener) is True
        assert [1] == seen

    @pytest.mark.parity("DEF-13")
    def test_without_on_error(self):
        """Left out, the second function is one that does nothing."""
        seen = []
        d = Deferred()
        d.add_listener(deferred.listener(seen.append))
        d.error(ValueError())
        settle()

        assert [] == seen

    @pytest.mark.parity("DEF-61")
    def test_sees_the_error(self, galeph_unseen_errors):
        """An error that a listener was told is not reported as one nobody saw."""
        d = deferred.error(ValueError())
        d.add_listener(deferred.listener(id))
        del d

        assert [] == galeph_unseen_errors()

    def test_in_order_with_the_others(self):
        """It has its place in the order of registration."""
        d = Deferred()
        seen = []
        d.on_realized(lambda _: seen.append(1), id)
        d.add_listener(deferred.listener(lambda _: seen.append(2)))
        d.on_realized(lambda _: seen.append(3), id)
        d.success(None)
        settle()

        assert [1, 2, 3] == seen

    def test_wrong_arguments(self):
        """What cannot be called is a TypeError."""
        with pytest.raises(TypeError, match="on_success must be callable"):
            deferred.listener(1)
        with pytest.raises(TypeError, match="on_error must be callable"):
            deferred.listener(id, 1)
        for made in (Deferred(), deferred.success(1)):
            with pytest.raises(TypeError, match="listener must be what"):
                made.add_listener(print)


class TestCancelling:
    @pytest.mark.parity("DEF-13")
    def test_queued(self):
        """Taken off while the deferred is pending it is not called, and that says True."""
        (one, seen_by_one), (other, seen_by_other) = told(), told()
        d = Deferred()
        d.add_listener(one)
        d.add_listener(other)

        assert d.cancel_listener(one) is True
        assert d.cancel_listener(one) is False
        d.success(1)
        settle()

        assert [] == seen_by_one
        assert [1] == seen_by_other

    def test_the_only_entry(self):
        """Taken off as the last one, it leaves nothing behind."""
        listener, _ = told()
        d = Deferred()
        d.add_listener(listener)

        assert take_off(d, listener) is True
        assert d._entries is None

    @pytest.mark.parity("DEF-13")
    def test_never_added(self):
        """One that was never added cannot be taken off."""
        listener, _ = told()
        d = Deferred()
        assert d.cancel_listener(listener) is False
        assert d.hub is None
        d.on_realized(id, id)

        assert d.cancel_listener(listener) is False

    @pytest.mark.parity("DEF-13", "DEF-07")
    def test_realized(self):
        """On a realized deferred it says False, and the listener is told all the same."""
        listener, seen = told()
        d = Deferred()
        d.add_listener(listener)
        d.success(1)

        assert d.cancel_listener(listener) is False
        settle()
        assert [1] == seen
        assert deferred.success(1).cancel_listener(listener) is False

    @pytest.mark.parity("DEF-14")
    def test_claimed(self):
        """On a claimed deferred it is taken off as on any other that is pending."""
        listener, seen = told()
        d = Deferred()
        d.add_listener(listener)
        token = d.claim()

        assert d.cancel_listener(listener) is True
        d.success(1, token)
        settle()
        assert [] == seen

    def test_added_twice(self):
        """Added twice it is called twice, and taken off once at a time."""
        listener, seen = told()
        d = Deferred()
        for _ in range(3):
            d.add_listener(listener)

        assert d.cancel_listener(listener) is True
        assert [HungListener] * 2 == [type(entry) for entry in d._entries]
        d.success(1)
        settle()
        assert [1, 1] == seen

    def test_foreign_thread(self):
        """Another thread than the deferred's cannot take it off."""
        listener, _ = told()
        d = Deferred()
        d.add_listener(listener)

        assert "InvalidThreadUseError" == type(threads.run(d.cancel_listener, listener)).__name__
        assert d.cancel_listener(listener) is True
