"""Another library's scheduler, as a clock."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import gevent
import pytest
from gevent import get_hub
from gevent.monkey import get_original

from galeph import clock
from galeph.deferred import Deferred
from galeph.errors import TimedOut
from tests.deferred import threads

get_ident = get_original("_thread", "get_ident")


class Handle:
    """A pending call of the schedulers below."""

    def __init__(self, fn):
        self.fn = fn

    def cancel(self):
        self.fn = None


class Simulation:
    """A scheduler with a time of its own, moved by hand: what a simulation has."""

    def __init__(self):
        self.now = 100.0
        self.pending = []

    def time(self):
        return self.now

    def call_later(self, seconds, fn):
        handle = Handle(fn)
        self.pending.append((self.now + seconds, handle))
        return handle

    def run_until(self, moment):
        self.now = moment
        due = [entry for entry in self.pending if entry[0] <= moment]
        self.pending = [entry for entry in self.pending if entry[0] > moment]
        for _, handle in sorted(due, key=lambda entry: entry[0]):
            if handle.fn is not None:
                handle.fn()


class Wheel:
    """A hashed timer wheel: everything due in one tick shares one timer of the loop."""

    def __init__(self, tick=0.01):
        self.tick = tick
        self.slots = defaultdict(list)

    def call_later(self, seconds, fn):
        handle = Handle(fn)
        slot = int((time.monotonic() + seconds) / self.tick) + 1
        if slot not in self.slots:
            delay = slot * self.tick - time.monotonic()
            clock.SystemClock().start_timer(delay, self.turn, slot)
        self.slots[slot].append(handle)
        return handle

    def turn(self, slot):
        for handle in self.slots.pop(slot):
            if handle.fn is not None:
                handle.fn()


@pytest.fixture
def simulation():
    return Simulation()


@pytest.fixture
def simulated(simulation):
    return clock.SchedulerClock(simulation)


class TestSchedulerClock:
    @pytest.mark.parity("TIME-13")
    def test_drives_what_waits(self, simulation, simulated):
        """Timeouts and calls go by the time of the scheduler they were given."""
        log = []
        with clock.with_clock(simulated):
            late = Deferred().timeout(5)
            called = clock.call_later(3, log.append, "called")
        simulation.run_until(102.9)
        gevent.sleep(0)

        assert [] == log

        simulation.run_until(103)
        called.result()

        assert ["called"] == log
        assert not late.ready()

        simulation.run_until(105)
        with pytest.raises(TimedOut):
            late.result()

    def test_tells_the_scheduler_s_time(self, simulated, simulation):
        """Its monotonic time is the scheduler's, if that tells it; the wall clock is not."""
        simulation.run_until(123.5)
        before = time.time()

        assert 123.5 == simulated.monotonic()
        assert before <= simulated.time() <= time.time()

    def test_tells_the_machine_s_time(self):
        """A scheduler that tells no time is taken to go by the machine's."""
        wheel = clock.SchedulerClock(Wheel())
        before = time.monotonic()

        assert before <= wheel.monotonic() <= time.monotonic()

    @pytest.mark.parametrize("seconds", [0, -1])
    def test_a_sleep_of_no_time_lets_others_run(self, simulated, seconds):
        """Without the scheduler, which nobody moves."""
        ran = []
        gevent.spawn(ran.append, 1)
        simulated.sleep(seconds)

        assert [1] == ran

    def test_fires_in_the_hub_once(self, simulation, simulated):
        """A timer's function is called in the hub, with its arguments, and once."""
        calls = []
        simulated.start_timer(1, lambda *args: calls.append((gevent.getcurrent(), args)), 1, "b")
        simulation.run_until(101)
        gevent.sleep(0)
        simulation.run_until(200)
        gevent.sleep(0)

        assert [(get_hub(), (1, "b"))] == calls

    def test_cancelled(self, simulation, simulated):
        """A cancelled timer is cancelled at the scheduler too; twice is allowed."""
        calls = []
        timer = simulated.start_timer(1, calls.append, "fired")
        handle = simulation.pending[0][1]
        timer.cancel()
        timer.cancel()

        assert handle.fn is None

    def test_cancelled_on_the_way(self, simulation, simulated):
        """A timer cancelled after the scheduler's call, before the hub's turn, does not fire."""
        calls = []
        timer = simulated.start_timer(1, calls.append, "fired")
        simulation.run_until(101)
        timer.cancel()
        gevent.sleep(0.001)

        assert [] == calls

    def test_sleep(self, simulation, simulated):
        """Sleeping lasts as long as the scheduler makes of it; for no time it only yields."""
        log = []

        def sleeper():
            simulated.sleep(0)
            log.append("yielded")
            simulated.sleep(2)
            log.append("slept")

        greenlet = gevent.spawn(sleeper)
        gevent.sleep(0.001)

        assert ["yielded"] == log

        simulation.run_until(102)
        greenlet.join()

        assert ["yielded", "slept"] == log

    def test_killed_sleeper(self, simulation, simulated):
        """A sleeper that is killed cancels its call."""
        greenlet = gevent.spawn(simulated.sleep, 2)
        gevent.sleep(0)
        greenlet.kill()

        assert [None] == [handle.fn for _, handle in simulation.pending]

    @pytest.mark.parametrize(("ref", "expected"), [(True, 1), (False, 0)])
    def test_keeps_the_loop_alive(self, simulated, ref, expected):
        """A timer keeps the loop alive, as one of the loop's would, unless it is housekeeping."""
        before = get_hub().loop.activecnt
        timer = simulated.start_timer(10, print, ref=ref)
        held = get_hub().loop.activecnt - before
        timer.cancel()

        assert expected == held
        assert before == get_hub().loop.activecnt

    def test_called_from_a_thread(self):
        """A scheduler may call from any thread; the function runs in the hub all the same."""

        class Threads:
            def call_later(self, seconds, fn):
                threads.start(fn, after=seconds)
                return Handle(fn)

        called = Deferred()
        clock.SchedulerClock(Threads()).start_timer(
            0.001, lambda: called.success((gevent.getcurrent(), get_ident()))
        )

        assert (get_hub(), get_ident()) == called.result(timeout=5)

    def test_after_the_hub_is_gone(self):
        """A call that comes when the hub it was for is gone is dropped, not an error."""
        simulation = Simulation()

        def start():
            clock.SchedulerClock(simulation).start_timer(1, print, ref=False)

        outcome = threads.run(start)
        simulation.run_until(101)

        assert outcome is None
        assert [] == simulation.pending

    def test_failing_scheduler(self):
        """What the scheduler raises is the caller's, and nothing is left holding the loop."""

        class Broken:
            def call_later(self, seconds, fn):
                raise RuntimeError("no more room")

        before = get_hub().loop.activecnt
        with pytest.raises(RuntimeError, match="no more room"):
            clock.SchedulerClock(Broken()).start_timer(1, print)

        assert before == get_hub().loop.activecnt

    @pytest.mark.parametrize("scheduler", [None, 1, object(), threading])
    def test_no_scheduler(self, scheduler):
        """What cannot schedule is refused at once."""
        with pytest.raises(TypeError, match="call_later"):
            clock.SchedulerClock(scheduler)

    def test_repr(self):
        """The repr names the scheduler."""

        class Named(Simulation):
            def __repr__(self):
                return "<Simulation of Mars>"

        assert "<SchedulerClock of <Simulation of Mars>>" == repr(clock.SchedulerClock(Named()))


class TestWheel:
    @pytest.mark.parity("TIME-12")
    def test_replaces_the_clock_of_the_process(self):
        """A timer wheel, made the default, is what every timeout of the process goes by."""
        wheel = Wheel(tick=0.02)
        before = clock.set_default(clock.SchedulerClock(wheel))
        try:
            waits = [Deferred().timeout(0.001) for _ in range(1000)]
            slots = len(wheel.slots)
            with pytest.raises(TimedOut):
                waits[0].result()
            gevent.wait(waits)
        finally:
            clock.set_default(before)

        # Two, or some more on a machine that is busy: not one for each of them.
        assert slots < len(waits) / 10
        assert all(isinstance(wait.exception, TimedOut) for wait in waits)
        assert not wheel.slots
