"""`ActiveSource` and `ActiveSink`: streams that do their work in the caller's greenlet."""

from __future__ import annotations

import gevent
import pytest

from galeph.clock import set_default
from galeph.errors import Cancelled
from galeph.stream.active import ActiveSink, ActiveSource
from galeph.stream.interfaces import END, EXPIRED
from galeph.testing import ManualClock
from tests.stream.scenes import interruptions, settle, victim, waiting
from tests.stream.wires import Wire
from tests.transport.wire import outcome


@pytest.fixture
def clock():
    """A clock that moves when told to."""
    manual = ManualClock()
    previous = set_default(manual)
    yield manual
    set_default(previous)


class TestTaking:
    def test_receives_in_the_taker_s_own_greenlet(self):
        """Nobody reads ahead: what is not asked for stays on the wire."""
        wire = Wire("a", "b")
        greenlets = []
        wire.on_receive = lambda: greenlets.append(gevent.getcurrent())

        assert "a" == wire.take()
        assert ["b"] == list(wire.arrived)
        assert [gevent.getcurrent()] == greenlets

    def test_serves_concurrent_takes_in_their_order(self):
        """The second take waits for the first, and never enters `_receive` beside it."""
        wire = Wire()
        takers = [waiting(wire.take) for _ in range(3)]
        for letter in "abc":
            wire.arrive(letter)
            settle()

        assert list("abc") == [taker.get(timeout=1) for taker in takers]
        assert 1 == wire.most_inside

    def test_a_limit_leaves_the_message(self, clock):
        """A take that has expired has eaten nothing, whether it was first or behind another."""
        wire = Wire()
        first = waiting(wire.try_take, 1, "end", "late")
        second = waiting(wire.try_take, 2, "end", "late")
        clock.advance(1)

        assert "late" == first.get(timeout=1)
        clock.advance(1)
        assert "late" == second.get(timeout=1)
        wire.arrive("a")
        assert "a" == wire.take()

    @pytest.mark.parametrize("returned", [False, True])
    def test_what_has_arrived_is_looked_at_before_it_is_late(self, clock, returned):
        """When the time is over, what has arrived meanwhile is taken, by who was first."""
        wire = Wire()
        first = waiting(wire.try_take, 1, "end", "late")
        second = waiting(wire.try_take, 1, "end", "late")
        if returned:
            wire._give_back("a")
        else:
            wire.arrived.append("a")  # as in the kernel: nobody was woken
        clock.advance(1)

        assert ["a", "late"] == [one.get(timeout=1) for one in (first, second)]

    def test_the_end_is_looked_at_before_it_is_late(self, clock):
        """So is the end, and the error."""
        for error, expected in ((None, "end"), (KeyError("why"), KeyError)):
            wire = Wire()
            taker = waiting(outcome, wire.try_take, 1, "end", "late")
            wire._over, wire._cut = True, error
            clock.advance(1)

            taken = taker.get(timeout=1)
            assert expected in (taken, type(taken))

    def test_a_limit_of_zero_never_waits(self):
        """It finds what `_receive_ready` finds, and nothing while somebody else is inside."""
        wire = Wire("a")

        assert "a" == wire.try_take(0)
        assert "late" == wire.try_take(0, None, "late")
        taker = waiting(wire.take)
        assert "late" == wire.try_take(0, None, "late")
        wire.arrive("b")
        assert "b" == taker.get(timeout=1)

    def test_nothing_is_lost_or_reordered_by_an_interruption(self):
        """Thrown at after any switch, a take in a loop leaves the rest to the next."""

        def scene():
            nonlocal wire, taken
            wire, taken = Wire(), []

            def take():
                for _ in range(3):
                    taken.append(wire.take())

            def feed():
                for n in range(6):
                    wire.arrive(n)
                    settle()
                while len(taken) < 6:
                    taken.append(wire.try_take(1))

            return victim(take), feed

        wire, taken = None, []
        for way in interruptions(scene):
            assert list(range(6)) == taken, way

    def test_the_end_and_the_error_are_told(self):
        """END ends iteration; a failure is raised by this take and all later ones."""
        ended, failed = Wire("a"), Wire("a")
        ended.end()
        failed.end(ValueError("cut"))

        assert ["a"] == list(ended)
        assert ended.drained
        assert "a" == failed.take()
        for _ in range(2):
            with pytest.raises(ValueError, match="cut"):
                failed.take()
        assert not failed.drained

    def test_a_message_given_back_comes_first(self):
        """And the stream is not drained before it is taken."""
        wire = Wire("a", "b")
        wire.end()
        taken = list(wire)
        wire._give_back("b")

        assert ["a", "b"] == taken
        assert not wire.drained
        assert "b" == wire.take()
        assert wire.drained


class TestTakeAsync:
    def test_waits_in_a_greenlet_that_counts_as_a_link(self):
        """While it is pending the stream counts it, afterwards not."""
        wire = Wire()
        taken = wire.take_async()
        settle()

        assert 1 == wire.link_count
        wire.arrive("a")
        assert "a" == taken.get(timeout=1)
        settle()
        assert 0 == wire.link_count

    def test_a_cancelled_one_takes_nothing(self):
        """Also when the message comes in the same moment."""
        for is_late in (False, True):
            wire = Wire()
            taken = wire.take_async()
            settle()
            if is_late:
                wire.arrive("a")
                taken.cancel()
            else:
                taken.cancel()
                wire.arrive("a")
            settle()

            assert 0 == wire.link_count
            assert "a" == wire.try_take(1)

    def test_cancelled_before_it_started_leaves_no_greenlet(self):
        """The greenlet is killed before its first switch, and the count is right."""
        wire = Wire("a")
        wire.take_async().cancel()
        settle()

        assert 0 == wire.link_count
        assert "a" == wire.take()

    def test_holds_the_default_or_the_error(self):
        """The end gives the default, a failure fails it."""
        ended, failed = Wire(), Wire()
        ended.end()
        failed.end(ValueError("cut"))

        assert "end" == ended.take_async("end").get(timeout=1)
        with pytest.raises(ValueError, match="cut"):
            failed.take_async().get(timeout=1)


class TestPutting:
    def test_transmits_one_at_a_time_in_order(self):
        """Concurrent puts queue, each returns when its own message is out."""
        wire = Wire()
        wire.is_stuck = True
        putters = [waiting(wire.put, letter) for letter in "abc"]

        assert [False] * 3 == [putter.ready() for putter in putters]
        wire.unstick()
        assert [True] * 3 == [putter.get(timeout=1) for putter in putters]
        assert list("abc") == wire.sent
        assert 1 == wire.most_inside

    def test_a_limit_withdraws_what_is_not_out(self, clock):
        """Expired in line, the message is never sent."""
        wire = Wire()
        wire.is_stuck = True
        first = waiting(wire.put, "a")
        second = waiting(wire.try_put, "b", 1, "late")
        clock.advance(1)

        assert "late" == second.get(timeout=1)
        wire.unstick()
        assert first.get(timeout=1) is True
        assert ["a"] == wire.sent

    def test_a_limit_of_zero_sends_nothing_by_default(self):
        """An active sink that cannot promise not to wait says so."""

        class Slow(ActiveSink[str]):
            def _transmit(self, message):
                return True

            def close(self):
                self._shut()

            def fail(self, error):
                self._shut()

        slow = Slow()

        assert "late" == slow.try_put("a", 0, "late")
        slow.close()
        assert slow.try_put("a", 0, "late") is False

    def test_a_closed_one_refuses(self):
        """Also those who were in line when it closed."""
        wire = Wire()
        wire.is_stuck = True
        putters = [waiting(wire.put, letter) for letter in "ab"]
        wire.close()
        wire.unstick()

        assert [False, False] == [putter.get(timeout=1) for putter in putters]
        assert wire.put("c") is False

    def test_put_async_counts_while_it_is_pending(self):
        """And holds what `put` would have returned."""
        wire = Wire()
        wire.is_stuck = True
        put = wire.put_async("a")
        settle()

        assert (1, False) == (wire.link_count, put.ready())
        wire.unstick()
        assert put.get(timeout=1) is True
        settle()
        assert 0 == wire.link_count

    def test_a_greenlet_killed_from_outside_fails_its_deferred(self):
        """Nothing is left pending; the error says what happened."""
        wire = Wire()
        before = set(_greenlets())
        taken = wire.take_async()
        settle()
        (greenlet,) = set(_greenlets()) - before
        greenlet.kill()

        assert isinstance(taken.exception, Cancelled)


def _greenlets():
    import gc

    return [g for g in gc.get_objects() if isinstance(g, gevent.Greenlet) and not g.dead]


def test_the_least_an_implementor_writes():
    """One method for each direction, and the ends."""

    class Countdown(ActiveSource[int]):
        left = 3

        def _receive(self):
            if not self.left:
                self._end()
                return END
            self.left -= 1
            return self.left

        def close(self):
            self._end()

    assert [2, 1, 0] == list(Countdown())
    assert EXPIRED is Countdown()._take(0)
