"""`kill_walk` interrupts at every switch, finds what is wrong there, and leaves nothing behind."""

from __future__ import annotations

import traceback
from collections import deque

import gevent
import greenlet
import pytest
from gevent.event import Event
from gevent.queue import SimpleQueue

from galeph.testing import Victim, kill_walk


def pausing(count):
    """A scenario whose victim is woken so many times, and says how far it got."""
    reached = []

    def scenario(victim):
        def work():
            for n in range(count):
                reached[-1] = n
                gevent.sleep(0)
            reached[-1] = count

        reached.append(None)
        victim.spawn(work)
        victim.join()

    return scenario, reached


class TestWalking:
    def test_throws_at_every_switch_in_turn(self):
        """Whole first; then one play for each switch and kind of exception."""
        scenario, reached = pausing(3)
        number = kill_walk(scenario, at_least=4)

        assert 1 + 2 * number == len(reached)
        assert 3 == reached[0]
        # At a switch into the victim it comes before what wakes it next, at one out of it behind
        # that; and the last two come too late.
        assert [0, 1, 1, 2, 2, 3, 3] == reached[1 : number + 1]
        assert reached[1 : number + 1] == reached[number + 1 :]

    def test_throws_what_it_is_told_to(self):
        """Each class once at each switch, as an exception of its own."""
        thrown = []

        def scenario(victim):
            victim.spawn(gevent.sleep, 0)
            victim.join()
            thrown.append(victim.thrown)

        number = kill_walk(scenario, at_least=2, exceptions=(KeyError, greenlet.GreenletExit))

        assert thrown[0] is None
        errors = [error for error in thrown[1:] if error is not None]
        assert [KeyError, greenlet.GreenletExit] == [type(error) for error in errors]
        assert 1 + 2 * number == len(thrown)

    def test_comes_before_and_after_what_is_scheduled(self):
        """A greenlet about to be woken is found both before its wake-up and behind it."""
        seen = set()

        def scenario(victim):
            event, woken = Event(), []
            victim.spawn(lambda: (event.wait(), woken.append(1), gevent.sleep(0)))
            gevent.spawn(event.set).join()
            victim.join()
            seen.add((event.is_set(), bool(woken), victim.thrown is not None))

        kill_walk(scenario, at_least=3)

        assert {(True, False, True), (True, True, True), (True, True, False)} == seen

    def test_throws_at_greenlets_of_others(self):
        """`run` makes whoever calls it the victim, until it returns."""
        ends = []

        def scenario(victim):
            def function():
                try:
                    return victim.run(lambda: gevent.sleep(0) or "whole")
                except BaseException as error:
                    return error

            library_s_own = gevent.spawn(function)
            library_s_own.join()
            ends.append(library_s_own.value)

        number = kill_walk(scenario, at_least=2)

        assert 1 + 2 * number == len(ends)
        assert "whole" == ends[0]
        assert {greenlet.GreenletExit, gevent.Timeout} == {
            type(end) for end in ends if end != "whole"
        }

    def test_one_after_the_other(self):
        """Several may be the victim in a play, but not at once."""
        calls = []

        def scenario(victim):
            calls.clear()
            for name in "ab":
                victim.spawn(lambda name=name: (gevent.sleep(0), calls.append(name)))
                victim.join()
            if victim.thrown is not None:
                assert 1 == len(calls)

        assert 4 <= kill_walk(scenario, at_least=4)
        with pytest.raises(RuntimeError, match="one greenlet at a time"):
            kill_walk(lambda victim: victim.run(victim.run, int), at_least=1)


class TestFinding:
    def test_a_lock_that_is_not_released(self):
        """A victim killed inside leaves it taken, and the next one waits for ever."""

        class Lock:
            def __init__(self):
                self.line = deque()
                self.is_taken = False

            def acquire(self):
                if self.is_taken:
                    self.line.append(Event())
                    self.line[-1].wait()
                self.is_taken = True

            def release(self):
                self.is_taken = False
                if self.line:
                    self.line.popleft().set()

        def scenario(victim):
            lock = Lock()

            def work():
                lock.acquire()
                gevent.sleep(0)
                lock.release()

            victim.spawn(work)
            other = gevent.spawn(work)
            victim.join()
            try:
                other.join()
            finally:
                other.kill(block=False)

        with pytest.raises(AssertionError, match="stuck: nothing is left") as caught:
            kill_walk(scenario, at_least=3)
        assert ["kill_walk: GreenletExit at switch 1 of 5"] == caught.value.__notes__

    def test_a_queue_that_loses_what_it_hands_over(self):
        """A taker killed between being served and running takes the message with it."""

        class Queue:
            def __init__(self):
                self.messages = deque()
                self.takers = deque()

            def put(self, message):
                if self.takers:
                    self.takers.popleft().set_result(message)
                else:
                    self.messages.append(message)

            def take(self):
                if self.messages:
                    return self.messages.popleft()
                taker = gevent.event.AsyncResult()
                self.takers.append(taker)
                try:
                    return taker.get()
                except BaseException:
                    if taker in self.takers:
                        self.takers.remove(taker)
                    raise

        def scenario(victim, make=Queue, take=Queue.take):
            queue, taken = make(), []
            victim.spawn(lambda: taken.append(take(queue)))
            gevent.spawn(queue.put, "a").join()
            victim.join()
            assert ["a"] == (taken or [take(queue)])

        with pytest.raises(AssertionError, match="stuck") as caught:
            kill_walk(scenario, at_least=3)
        assert "GreenletExit at switch" in caught.value.__notes__[0]
        # gevent's keeps a message until its taker runs.
        kill_walk(lambda victim: scenario(victim, SimpleQueue, SimpleQueue.get), at_least=3)

    def test_who_takes_somebody_else_s_timeout_for_his_own(self):
        """The scenario's own assertion fails, with the play on a note."""

        def scenario(victim):
            ends = []

            def work():
                try:
                    gevent.sleep(0)
                except gevent.Timeout:
                    ends.append("mine")

            victim.spawn(work)
            victim.join()
            assert [] == ends

        with pytest.raises(AssertionError) as caught:
            kill_walk(scenario, at_least=2)
        printed = "".join(traceback.format_exception(caught.value))
        assert "kill_walk: Timeout at switch 1 of" in printed

    def test_what_is_left_behind(self):
        """A helper that nobody ends is a leak, found in the play that leaves it."""
        left = []

        def scenario(victim):
            def work():
                helper = gevent.spawn(gevent.sleep, 60)
                left.append(helper)
                gevent.sleep(0)
                helper.kill()

            victim.spawn(work)
            victim.join()

        with pytest.raises(AssertionError, match="greenlet left") as caught:
            kill_walk(scenario, at_least=2, settle=0.02)
        assert "at switch 1 of" in caught.value.__notes__[0]
        kill_walk(scenario, at_least=2, settle=None)
        gevent.killall(left)

    def test_errors_of_the_victim(self):
        """Those caused by what was thrown are the victim's affair; any other fails the walk."""

        def scenario(victim, is_chained):
            def work():
                try:
                    gevent.sleep(0)
                except BaseException as error:
                    raise KeyError from (error if is_chained else None)

            victim.spawn(work)
            victim.join()

        kill_walk(lambda victim: scenario(victim, is_chained=True), at_least=2)
        with pytest.raises(KeyError):
            kill_walk(lambda victim: scenario(victim, is_chained=False), at_least=2)

    def test_a_scenario_that_fails_by_itself(self):
        """What it raises when nothing is thrown says so."""
        with pytest.raises(ZeroDivisionError) as caught:
            kill_walk(lambda _: 1 / 0, at_least=1)

        assert ["kill_walk: played whole"] == caught.value.__notes__

    def test_a_scenario_that_goes_on_for_ever(self, monkeypatch):
        """It is cut off, and the victim with it."""
        monkeypatch.setattr("galeph.testing._kill_walk._LIMIT", 0.01)

        def scenario(victim):
            victim.spawn(gevent.sleep, 60)
            victim.join()

        with pytest.raises(AssertionError, match=r"did not end within 0\.01 s"):
            kill_walk(scenario, at_least=1)

    def test_a_limit_of_the_scenario_s_own_is_its_own(self):
        """A Timeout the scenario raises is not taken for the walk's."""

        def scenario(_):
            with gevent.Timeout(0.001):
                gevent.sleep(1)

        with pytest.raises(gevent.Timeout):
            kill_walk(scenario, at_least=1)

    @pytest.mark.parametrize(("at_least", "is_enough"), [(6, True), (7, True), (8, False)], ids=str)
    def test_too_few_switches(self, at_least, is_enough):
        """A scenario that has lost its switches shows nothing, and fails."""
        scenario, _ = pausing(3)
        if is_enough:
            assert 7 == kill_walk(scenario, at_least=at_least)
            return

        with pytest.raises(AssertionError, match="has 7 switches, and should have 8"):
            kill_walk(scenario, at_least=at_least)

    def test_nobody_to_throw_at(self):
        """A victim that never waits cannot be interrupted."""
        with pytest.raises(AssertionError, match="never reached"):
            kill_walk(lambda victim: victim.run(int), at_least=1)


class TestTracing:
    def test_the_tracer_is_put_back(self):
        """Also after a failure; and one that was there hears of everything meanwhile."""
        events = []

        def tracer(event, ends):
            events.append((event, ends))

        greenlet.settrace(tracer)
        try:
            scenario, _ = pausing(1)
            kill_walk(scenario, at_least=2)
            assert greenlet.gettrace() is tracer
            with pytest.raises(ZeroDivisionError):
                kill_walk(lambda _: 1 / 0, at_least=1)
            assert greenlet.gettrace() is tracer
        finally:
            greenlet.settrace(None)

        assert {"switch", "throw"} == {event for event, _ in events}

    def test_there_is_none_without(self):
        """In a process that traces nothing, nothing is traced afterwards."""
        scenario, _ = pausing(1)
        kill_walk(scenario, at_least=2)

        assert greenlet.gettrace() is None


def test_a_victim_can_be_used_by_hand():
    """The class is there for annotations; a scenario's helper functions take one."""

    def play(victim: Victim) -> None:
        victim.run(gevent.sleep, 0)

    def scenario(victim: Victim) -> None:
        try:
            play(victim)
        except (greenlet.GreenletExit, gevent.Timeout) as error:
            caught.append(error is victim.thrown)

    caught = []
    assert 2 <= kill_walk(scenario, at_least=2)
    assert {True} == set(caught)
