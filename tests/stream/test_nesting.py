"""How deep streams may reach into one another."""

from __future__ import annotations

import gevent
import pytest
from gevent import getcurrent

from galeph.deferred import success
from galeph.stream import Source, Stream
from galeph.stream.interfaces import EXPIRED
from galeph.stream.nesting import MOST_NESTED, call_in_turn, go_inside, take_inside
from tests.stream.scenes import settle


class Inside(Source):
    """Takes from another source as it is taken from, and tells how many do already."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def _take(self, timeout):
        return take_inside(self.inner._take, timeout)

    def take_async(self, default=None):
        return success(default)

    def _give_back(self, message):
        self.inner._give_back(message)

    def close(self):
        self.inner.close()


def nested(count, bottom):
    for _ in range(count):
        bottom = Inside(bottom)
    return bottom


class TestTakeInside:
    def test_takes_so_many_levels_down(self):
        """And none further, where it finds nothing even if it may wait."""
        bottom = Stream(9)
        bottom.put_all("abc")

        assert "a" == nested(MOST_NESTED, bottom).take()
        assert EXPIRED is nested(MOST_NESTED + 1, bottom)._take(None)
        assert "b" == nested(MOST_NESTED, bottom).try_take(0)
        assert "c" == bottom.take()

    def test_counts_for_each_greenlet(self):
        """One that waits inside takes nothing from the room of others."""
        bottom, other = Stream(), Stream(1)
        waiter = gevent.spawn(nested(MOST_NESTED, bottom).take)
        gevent.sleep(0)
        other.put("a")

        assert "a" == nested(MOST_NESTED, other).take()
        bottom.put("b")
        assert "b" == waiter.get(timeout=1)

    def test_an_exception_leaves_the_count_right(self):
        """A failure, and a limit of the caller's own."""
        failed, empty, full = Stream(), Stream(), Stream(1)
        failed.fail(ValueError("cut"))
        full.put("a")
        with pytest.raises(ValueError, match="cut"):
            nested(MOST_NESTED, failed).take()
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.001):
            nested(MOST_NESTED, empty).take()

        assert "a" == nested(MOST_NESTED, full).take()


def test_a_greenlet_started_inside_counts_from_there():
    """Where there is no room it is not to be started, and not counted."""
    first, second = gevent.Greenlet(), gevent.Greenlet()
    assert go_inside(first)

    class Starting(Stream):
        def _take(self, _):
            return go_inside(second)

    assert 1 == first.galeph_nested
    assert nested(MOST_NESTED - 1, Starting()).take() is True
    assert MOST_NESTED == second.galeph_nested
    assert nested(MOST_NESTED, Starting()).take() is False


class TestCallInTurn:
    def test_calls_at_once(self):
        """One that brings nothing is over when it returns."""
        calls = []
        call_in_turn(lambda: calls.append(getcurrent()))

        assert [getcurrent()] == calls

    def test_calls_what_is_brought_behind_it(self):
        """Each with all that it brings itself before the next, and all before the first returns."""
        calls = []

        def call(name, *brings):
            def fn():
                for each in brings:
                    call_in_turn(each)
                calls.append(name)

            return fn

        call_in_turn(call("a", call("b", call("c"), call("d")), call("e")))

        assert list("abcde") == calls

    def test_needs_no_deep_stack(self):
        """However long the row is."""
        left = 100_000

        def fn():
            nonlocal left
            left -= 1
            if left:
                call_in_turn(fn)

        call_in_turn(fn)

        assert 0 == left

    def test_an_error_is_the_first_callers(self):
        """The next call is a first one again; the loop calls what has not had its turn."""
        calls = []

        def fn():
            call_in_turn(lambda: calls.append("b"))
            call_in_turn(lambda: calls.append("c"))
            raise ValueError("broken")

        def first():
            call_in_turn(fn)
            call_in_turn(lambda: calls.append("d"))

        with pytest.raises(ValueError, match="broken"):
            call_in_turn(first)
        call_in_turn(lambda: calls.append("a"))
        settle()

        assert list("abcd") == calls

    def test_is_each_greenlets_own(self):
        """Another one, that runs while such a call has switched after all, waits for no turn."""
        calls = []

        def fn():
            gevent.spawn(call_in_turn, lambda: calls.append("a")).join()
            calls.append("b")

        call_in_turn(fn)

        assert ["a", "b"] == calls
