"""The clock that moves only when told to."""

from __future__ import annotations

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from galeph import clock
from galeph.testing import ManualClock


def sleeper(manual, log, name, *naps):
    """A greenlet that writes the time after each nap."""

    def run():
        for nap in naps:
            manual.sleep(nap)
            log.append((name, manual.monotonic()))

    return gevent.spawn(run)


class TestTelling:
    def test_stands_still(self):
        """Without advance no time passes, on neither clock."""
        manual = ManualClock(start=5.0, wall=1000.0)

        gevent.sleep(0.002)

        assert 5.0 == manual.monotonic()
        assert 1000.0 == manual.time()

    def test_both_clocks_advance(self):
        """Advance moves the monotonic and the wall clock by the same amount."""
        manual = ManualClock(wall=1000.0)

        manual.advance(2.5)

        assert 2.5 == manual.monotonic()
        assert 1002.5 == manual.time()

    def test_tenths_add_up(self):
        """Ten steps of a tenth fire what is due after one second."""
        manual = ManualClock()
        log = []
        greenlet = sleeper(manual, log, "a", 1.0)

        for _ in range(10):
            manual.advance(0.1)

        assert [("a", 1.0)] == log
        assert greenlet.dead

    def test_wall_jump(self):
        """The wall clock may jump back an hour without any wait noticing."""
        manual = ManualClock(wall=10_000.0)
        log = []
        sleeper(manual, log, "a", 3)

        manual.jump_wall(-3600)
        manual.advance(3)

        assert [("a", 3.0)] == log
        assert 6403.0 == manual.time()

    def test_repr(self):
        """The repr says where the clock stands and how many timers wait, cancelled ones not."""
        manual = ManualClock(start=1.5)
        manual.start_timer(1, print)
        manual.start_timer(1, print).cancel()

        assert "<ManualClock at 1.5 s, 1 waiting>" == repr(manual)


class TestAdvancing:
    def test_order_of_due(self):
        """Sleepers wake in the order of their due times, each at its own time."""
        manual = ManualClock()
        log = []
        sleeper(manual, log, "late", 3)
        sleeper(manual, log, "early", 1)

        manual.advance(5)

        assert [("early", 1.0), ("late", 3.0)] == log
        assert 5.0 == manual.monotonic()

    def test_order_of_start_when_due_together(self):
        """Timers of one moment fire in the order they were started."""
        manual = ManualClock()
        log = []
        for name in "abc":
            manual.start_timer(1, log.append, name)

        manual.advance(1)

        assert ["a", "b", "c"] == log

    def test_timers_started_on_the_way(self):
        """A wait begun after the first timer fires too when it is due within the same advance."""
        manual = ManualClock()
        log = []
        greenlet = sleeper(manual, log, "a", 1, 1, 1)

        manual.advance(2)

        assert [("a", 1.0), ("a", 2.0)] == log
        assert not greenlet.dead

        manual.advance(1)

        assert greenlet.dead

    def test_runs_dry_between_timers(self):
        """What follows from one timer, over several greenlets, happens before the next fires."""
        manual = ManualClock()
        log = []
        first = Event()

        def follow(depth):
            first.wait()
            for _ in range(depth):
                gevent.sleep(0)
            log.append(f"followed {depth}")

        followers = [gevent.spawn(follow, depth) for depth in (1, 50)]
        manual.start_timer(1, first.set)
        manual.start_timer(2, log.append, "second")
        manual.advance(2)

        assert ["followed 1", "followed 50", "second"] == log
        assert all(greenlet.dead for greenlet in followers)

    def test_runs_loopback_sockets_dry(self):
        """A reply over a socket pair, caused by one timer, arrives before the next fires."""
        manual = ManualClock()
        log = []
        near, far = socket.socketpair()

        def echo():
            far.sendall(far.recv(10))

        def ask():
            manual.sleep(1)
            near.sendall(b"ping")
            log.append(near.recv(10))

        with near, far:
            greenlets = [gevent.spawn(echo), gevent.spawn(ask)]
            manual.start_timer(2, log.append, "second")
            manual.advance(2)
            gevent.joinall(greenlets)

        assert [b"ping", "second"] == log

    def test_zero_runs_what_can_run(self):
        """Advancing by nothing starts the greenlets that were only spawned."""
        manual = ManualClock()
        log = []
        greenlet = gevent.spawn(log.append, "ran")

        manual.advance(0)

        assert ["ran"] == log
        assert greenlet.dead

    def test_due_exactly_at_the_end(self):
        """A timer due at n fires at n, and not a nanosecond before."""
        manual = ManualClock()
        log = []
        manual.start_timer(1, log.append, "fired")

        manual.advance(0.999_999_999)

        assert [] == log

        manual.advance(0.000_000_001)

        assert ["fired"] == log

    def test_negative_is_refused(self):
        """A monotonic clock cannot be moved back."""
        manual = ManualClock()

        with pytest.raises(ValueError, match="seconds"):
            manual.advance(-1)

    def test_two_advancing_at_once(self):
        """A greenlet that advances while another one does is told so."""
        manual = ManualClock()
        greenlet = gevent.spawn(manual.advance, 1)
        caught = []

        def meddle():
            try:
                manual.advance(1)
            except RuntimeError as error:
                caught.append(str(error))

        manual.start_timer(1, gevent.spawn, meddle)
        greenlet.join()

        assert ["this ManualClock is being advanced by another greenlet"] == caught

    def test_spinning_greenlet(self, monkeypatch):
        """A greenlet that never waits makes advance raise, not hang."""
        monkeypatch.setattr("galeph.testing.manual_clock._SPINNING_AFTER", 0.05)

        def spin():
            while True:
                gevent.sleep(0)

        greenlet = gevent.spawn(spin)
        manual = ManualClock()
        with pytest.raises(RuntimeError, match="never waits"):
            manual.advance(1)
        greenlet.kill()

        assert 0.0 == manual.monotonic()

    def test_foreign_timeout_passes_through(self):
        """A user's gevent.Timeout around advance is the one that comes out."""
        manual = ManualClock()

        def spin():
            while True:
                gevent.sleep(0)

        greenlet = gevent.spawn(spin)
        mine = gevent.Timeout(0.01)
        with pytest.raises(gevent.Timeout) as caught, mine:
            manual.advance(1)
        greenlet.kill()

        assert mine is caught.value

    def test_usable_after_an_interrupted_advance(self):
        """An advance that was cut short leaves a clock that can be advanced."""
        manual = ManualClock()

        def spin():
            while True:
                gevent.sleep(0)

        greenlet = gevent.spawn(spin)
        with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
            manual.advance(1)
        greenlet.kill()
        manual.advance(1)

        assert 1.0 == manual.monotonic()


class TestTimers:
    def test_cancelled_timer_never_fires(self):
        """A cancelled timer does not fire; cancelling twice is allowed."""
        manual = ManualClock()
        log = []
        timer = manual.start_timer(1, log.append, "fired")
        timer.cancel()
        timer.cancel()

        manual.advance(2)

        assert [] == log

    def test_cancelled_by_an_earlier_one(self):
        """A timer may cancel another one that is due at the same moment."""
        manual = ManualClock()
        log = []
        manual.start_timer(1, lambda: second.cancel())
        second = manual.start_timer(1, log.append, "fired")

        manual.advance(1)

        assert [] == log

    def test_negative_delay_is_now(self):
        """A timer for the past fires at the next advance, at the present time."""
        manual = ManualClock(start=7.0)
        log = []
        manual.start_timer(-3, lambda: log.append(manual.monotonic()))

        manual.advance(0)

        assert [7.0] == log

    def test_runs_in_the_hub(self):
        """A timer's function runs in the hub, as with the real clock."""
        manual = ManualClock()
        where = []
        manual.start_timer(1, lambda: where.append(gevent.getcurrent()))

        manual.advance(1)

        assert [gevent.get_hub()] == where

    def test_raising_function(self, galeph_hub_errors):
        """A timer whose function raises is printed by the hub, and time goes on."""
        manual = ManualClock()
        log = []
        manual.start_timer(1, int, "no number")
        manual.start_timer(2, log.append, "second")

        manual.advance(2)

        assert [ValueError] == [error.kind for error in galeph_hub_errors]
        assert ["second"] == log
        galeph_hub_errors.clear()


class TestSleeping:
    @pytest.mark.parametrize("nap", [0, -1])
    def test_no_time_only_yields(self, nap):
        """Sleeping for no time lets others run and returns without advance."""
        manual = ManualClock()
        log = []
        other = gevent.spawn(log.append, "other ran")

        manual.sleep(nap)

        assert ["other ran"] == log
        assert other.dead

    def test_killed_sleeper_leaves_no_timer(self):
        """A sleeper that is killed withdraws its timer."""
        manual = ManualClock()
        greenlet = gevent.spawn(manual.sleep, 5)
        manual.advance(0)

        greenlet.kill()

        assert "<ManualClock at 0 s, 0 waiting>" == repr(manual)

    def test_interrupted_sleeper_leaves_no_timer(self):
        """A sleeper that leaves by gevent.Timeout withdraws its timer."""
        manual = ManualClock()

        with gevent.Timeout(0.001, False):
            manual.sleep(5)

        assert "<ManualClock at 0 s, 0 waiting>" == repr(manual)


class TestBeingTheDefault:
    def test_default_inside_the_block(self):
        """Inside the block it is the default clock, afterwards the old one is again."""
        before = clock.default()
        with ManualClock() as manual:
            inside = clock.default()

        assert manual is inside
        assert before is clock.default()

    def test_restored_after_an_exception(self):
        """The old default is back also when the block raises."""
        before = clock.default()
        with pytest.raises(KeyError), ManualClock():
            raise KeyError

        assert before is clock.default()

    def test_nested(self):
        """Blocks nest: the inner one's end makes the outer clock the default again."""
        with ManualClock() as outer:
            with ManualClock():
                pass
            between = clock.default()

        assert outer is between

    def test_not_entered_twice(self):
        """One clock cannot be entered inside itself: it would not know what to restore."""
        with ManualClock() as manual, pytest.raises(RuntimeError, match="already"), manual:
            pass
