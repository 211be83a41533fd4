"""The clock that moves only when told to."""

from __future__ import annotations

import ast
import math
import os
import queue
import subprocess
import sys
import time
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from galeph import clock, deferred, executor, stream
from galeph.errors import Deadlock, TimedOut
from galeph.testing import ManualClock
from tests.deferred import threads


def sleeper(manual, log, name, *naps):
    """A greenlet that writes the time after each nap."""

    def run():
        for nap in naps:
            manual.sleep(nap)
            log.append((name, manual.monotonic()))

    return gevent.spawn(run)


class TestTelling:
    @pytest.mark.parity("TIME-14")
    def test_virtual_time(self):
        """Time begins at zero, or where it is told to, and passes by `advance` alone."""
        manual, other = ManualClock(), ManualClock(start=7.5)
        before = manual.monotonic(), other.monotonic()
        manual.advance(2)
        other.advance(0.25)

        assert (0.0, 7.5) == before
        assert (2.0, 7.75) == (manual.monotonic(), other.monotonic())

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

    @pytest.mark.parametrize("seconds", [math.inf, math.nan, 1e300])
    def test_endless_is_refused(self, seconds):
        """It cannot be moved to the end of time either."""
        manual = ManualClock()

        with pytest.raises(ValueError, match="seconds must be finite"):
            manual.advance(seconds)
        assert 0.0 == manual.monotonic()

    def test_only_a_number_will_do(self):
        """Anything else is refused under the name it was given by."""
        manual = ManualClock()

        for move in (manual.advance, manual.jump_wall):
            with pytest.raises(TypeError, match=r"^seconds must be a number"):
                move("1")
        for name in ("start", "wall", "jump_after"):
            with pytest.raises(TypeError, match=f"^{name} must be"):
                ManualClock(**{name: "1"})
        assert 0.0 == manual.monotonic()

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

    def test_cancelled_ones_are_forgotten(self):
        """A test with very many time limits that are never reached does not keep them."""
        manual, log = ManualClock(), []
        for due in (3, 1, 2):
            manual.start_timer(due, log.append, due)
        for _ in range(10_000):
            manual.start_timer(3600, pytest.fail).cancel()

        assert len(manual._timers) < 100
        manual.advance(7200)
        assert [1, 2, 3] == log

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


class TestCalls:
    """How jobs and calls of `galeph.clock` go by it."""

    @pytest.mark.parity("TIME-15")
    def test_every_event_at_its_time(self):
        """Advancing visits each call and each run of a job in order, at its own time."""
        log = []
        with ManualClock() as manual:
            job = clock.every(2, lambda: log.append(("job", manual.monotonic())), initial_delay=1)
            clock.call_later(4, lambda: log.append(("late", manual.monotonic())))
            clock.call_later(2, lambda: log.append(("early", manual.monotonic())))
            manual.advance(5)
            job.cancel()

        assert [("job", 1.0), ("early", 2.0), ("job", 3.0), ("late", 4.0), ("job", 5.0)] == log

    @pytest.mark.parity("TIME-15")
    def test_period_of_one_advanced_by_five(self):
        """A job of period 1 that begins at once runs six times in five seconds."""
        log = []
        with ManualClock() as manual:
            job = clock.every(1, lambda: log.append(manual.monotonic()))
            manual.advance(5)
            job.cancel()

        assert [0.0, 1.0, 2.0, 3.0, 4.0, 5.0] == log

    @pytest.mark.parity("TIME-15")
    def test_no_delay(self):
        """A call without delay is made without advancing."""
        log = []
        with ManualClock():
            clock.call_later(0, log.append, "called")
            gevent.sleep(0)

        assert ["called"] == log

    @pytest.mark.parity("TIME-15")
    def test_exceptions_stay_where_they_belong(self, caplog):
        """An exception of a call or job is its deferred's, and logged: `advance` goes on."""
        log = []
        with ManualClock() as manual:
            call = clock.call_later(1, int, "no number")
            job = clock.every(1, lambda: int("no number either"), initial_delay=1)
            clock.call_later(2, log.append, "later")
            manual.advance(2)

        assert isinstance(call.exception, ValueError)
        assert isinstance(job.exception, ValueError)
        assert ["later"] == log
        assert 1 == len(caplog.records)


class TestJumping:
    def test_waits_take_no_time(self):
        """A clock that jumps lets waits of any length pass by themselves, in their order."""
        log = []
        with ManualClock(jump_after=0) as manual:
            greenlets = [sleeper(manual, log, "late", 3600), sleeper(manual, log, "early", 60, 60)]
            gevent.joinall(greenlets)

        assert [("early", 60.0), ("early", 120.0), ("late", 3600.0)] == log

    def test_the_caller_itself_waits(self):
        """The only greenlet there is may be the one that waits."""
        with ManualClock(jump_after=0) as manual:
            manual.sleep(1e6)

        assert 1e6 == manual.monotonic()

    def test_only_when_everything_waits(self):
        """As long as anything can go on, loopback sockets included, the clock stands still."""
        near, far = socket.socketpair()
        log = []

        def echo():
            for _ in range(20):
                far.sendall(far.recv(10))

        with near, far, ManualClock(jump_after=0) as manual:
            greenlet = gevent.spawn(echo)
            manual.start_timer(1, log.append, "timer")
            for _ in range(20):
                near.sendall(b"ping")
                near.recv(10)
                gevent.sleep(0)
            log.append("echoed")
            greenlet.join()
            manual.sleep(2)

        assert ["echoed", "timer"] == log

    def test_housekeeping_is_no_reason(self):
        """Timers that keep no loop alive fire on the way, but are never jumped to."""
        with ManualClock(jump_after=0) as manual:
            log = []
            manual.start_timer(1, log.append, "housekeeping", ref=False)
            gevent.sleep(0.005)
            before = list(log)
            manual.sleep(5)

        assert [] == before
        assert ["housekeeping"] == log

    def test_nobody_waits_any_more(self):
        """With the last timer cancelled or fired, nothing of it is left in the loop."""
        before = gevent.get_hub().loop.activecnt
        manual = ManualClock(jump_after=0)
        manual.start_timer(5, print).cancel()
        gevent.sleep(0.002)

        assert before == gevent.get_hub().loop.activecnt
        assert 0.0 == manual.monotonic()

    def test_stops_at_the_end_of_the_block(self):
        """After the block it stands still, whatever still waits."""
        with ManualClock(jump_after=0) as manual:
            manual.start_timer(5, print)
        gevent.sleep(0.002)

        assert 0.0 == manual.monotonic()

    def test_advanced_by_hand(self):
        """Advancing works as ever: it stops where it is told to, and the jumps go on after it."""
        log = []
        with ManualClock(jump_after=0) as manual:
            manual.start_timer(1, lambda: log.append(manual.monotonic()))
            later = manual.start_timer(3, lambda: log.append(manual.monotonic()))
            manual.advance(2)
            log.append(manual.monotonic())
            gevent.sleep(0.002)

        assert later.fn is None
        assert [1.0, 2.0, 3.0] == log

    def test_raising_function(self, galeph_hub_errors):
        """A timer whose function raises is printed by the hub, and the jumps go on."""
        log = []
        with ManualClock(jump_after=0) as manual:
            manual.start_timer(1, int, "no number")
            manual.start_timer(2, log.append, "second")
            manual.sleep(3)

        assert [ValueError] == [error.kind for error in galeph_hub_errors]
        assert ["second"] == log
        galeph_hub_errors.clear()

    def test_patience(self):
        """Given some real time first, it waits for an answer from a thread."""
        answered = deferred.deferred(from_thread=True)
        with ManualClock(jump_after=0.5) as manual:
            threads.start(answered.success, "answered", after=0.03)
            answer = answered.timeout(60, "too late").result()

        assert "answered" == answer
        assert 0.0 == manual.monotonic()

    def test_patience_runs_out(self):
        """When nothing stirs for that long, it jumps; what stirs begins the time anew."""
        log = []
        with ManualClock(jump_after=0.02) as manual:
            started = time.monotonic()
            stirring = gevent.spawn(lambda: [gevent.sleep(0.008) for _ in range(5)])
            manual.sleep(60)
            took = time.monotonic() - started
            log.append(stirring.dead)

        assert [True] == log
        assert 60.0 == manual.monotonic()
        assert took >= 0.055

    def test_negative(self):
        """Jumping before the loop is idle is impossible."""
        with pytest.raises(ValueError, match="jump_after"):
            ManualClock(jump_after=-1)


def limit_of_put(seconds):
    return deferred.future(stream.Stream().try_put, "message", seconds, "expired").catch(str)


def limit_of_take(seconds):
    return deferred.future(
        stream.Stream().try_take, seconds, default="closed", timeout_value="expired"
    )


def limit_of_connecting(seconds):
    source, sink = stream.Stream(1), stream.Stream()
    connected = stream.connect(source, sink, timeout=seconds)
    source.put("message")
    source.close()
    return connected.catch(TimedOut, lambda _: "expired")


def limit_of_getting(seconds):
    def get():
        with pytest.raises(queue.Empty):
            stream.Stream().get(timeout=seconds)
        return "expired"

    return deferred.future(get)


def limit_of_result(seconds):
    def wait():
        with pytest.raises(TimedOut):
            deferred.deferred().result(seconds)
        return "expired"

    return deferred.future(wait)


def limit_of_deferred_get(seconds):
    def get():
        with pytest.raises(gevent.Timeout):
            deferred.deferred().get(timeout=seconds)
        return "expired"

    return deferred.future(get)


def limit_of_wait(seconds):
    return deferred.future(lambda: deferred.deferred().wait(seconds) or "expired")


def periodic_messages(seconds):
    source = stream.periodically(seconds, lambda: "expired", initial_delay=seconds)
    taken = source.take_async()
    taken.on_realized(lambda _: source.close(), print)
    return taken


def batch_by_the_clock(seconds):
    source = stream.Stream()
    batches = source.batch(100, latency=seconds)
    taken = batches.take_async()
    source.put_async("expired")
    return taken.chain(lambda batch: (batches.close(), batch[0])[1])


def throttled(seconds):
    source = stream.Stream(2)
    slow = source.throttle(1 / seconds, max_backlog=1)
    source.put_all(["first", "expired"])
    source.close()
    slow.take()
    return slow.take_async()


def executor_period(seconds):
    told = deferred.deferred()
    pool = executor.fixed_executor(
        1, control_period=seconds, stats_callback=lambda _: told.success("expired")
    )
    return told.chain(lambda value: (pool.shutdown(), value)[1])


def job(seconds):
    calls = []
    done = deferred.deferred()

    def work():
        calls.append("called")
        if len(calls) == 2:
            job.cancel()
            done.success("expired")

    job = clock.every(seconds, work)
    return done


class TestNobodyAdvances:
    def test_sleep(self):
        """A sleep that nobody is left to end says so, and by which clock it is."""
        manual = ManualClock(start=7)

        with pytest.raises(Deadlock, match="nobody can advance <ManualClock at 7 s, 1 waiting>"):
            manual.sleep(3)
        assert "0 waiting" in repr(manual)

    def test_where_it_was_made(self):
        """In debug mode also where that was made."""
        script = (
            "from galeph.errors import Deadlock\n"
            "from galeph.testing import ManualClock\n"
            "try:\n"
            "    ManualClock().sleep(3)\n"
            "except Deadlock as error:\n"
            "    print(error)\n"
        )
        told = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "GALEPH_DEBUG": "1"},
            capture_output=True,
            text=True,
            check=True,
        )

        assert "(made at <string>:4)" in told.stdout

    def test_no_number(self):
        """A timer that is not a number would never be due, and hold up others."""
        with pytest.raises(ValueError, match="NaN"):
            ManualClock().start_timer(math.nan, print)


class TestEveryTimerOfThePackage:
    @pytest.mark.parametrize("jump_after", [None, 0])
    @pytest.mark.parametrize("seconds", [math.inf, 1e300])
    @pytest.mark.parametrize(
        "wait",
        [
            lambda seconds: deferred.deferred().timeout(seconds, "expired"),
            lambda seconds: deferred.future(stream.Stream().try_put, "message", seconds),
            limit_of_take,
            limit_of_result,
            batch_by_the_clock,
            lambda seconds: deferred.future(clock.default().sleep, seconds),
        ],
    )
    def test_what_has_no_end_is_never_due(self, wait, seconds, jump_after):
        """However far the clock is advanced, or jumps; what is due before it still comes."""
        with ManualClock(jump_after=jump_after) as manual:
            waited = wait(seconds)
            late = clock.call_later(5e9, lambda: "late")
            manual.advance(1e10)
            gevent.sleep(0.002)

            assert "late" == late.result(0)
            assert 1e10 == manual.monotonic()
            assert not waited.ready()
        waited.cancel()

    @pytest.mark.parity("TIME-16")
    @pytest.mark.parametrize(
        "wait",
        [
            lambda seconds: deferred.deferred().timeout(seconds, "expired"),
            limit_of_result,
            limit_of_deferred_get,
            limit_of_wait,
            limit_of_put,
            limit_of_take,
            limit_of_getting,
            limit_of_connecting,
            periodic_messages,
            batch_by_the_clock,
            throttled,
            executor_period,
            lambda seconds: clock.call_later(seconds, lambda: "expired"),
            lambda seconds: clock.call_at(clock.default().time() + seconds, lambda: "expired"),
            job,
        ],
    )
    def test_goes_by_the_clock(self, wait):
        """Timeouts, limits of puts and takes, and calls at some time: a manual clock moves all."""
        with ManualClock() as manual:
            waited = wait(100)
            manual.advance(99.999)
            early = waited.ready()
            manual.advance(0.001)
            late = waited.result(0)

        assert not early
        assert "expired" == late

    def test_nothing_else_waits_for_a_time(self):
        """Who needs a timer asks the clock for it, but for three that look again at the kernel."""
        kernels = {"transport/datagrams.py", "transport/listener.py", "transport/unix_files.py"}
        root = Path(clock.__file__).parents[1]
        found = {}
        for path in root.rglob("*.py"):
            name = str(path.relative_to(root))
            if name != "_clock.py" and not name.startswith("testing/"):
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Call) and starts_a_timer(node):
                        found.setdefault(name, []).append(ast.unparse(node))

        assert ["gevent.sleep(1)", "loop.timer(1)", "Timeout.start_new(1)"] == [
            text
            for text in ("gevent.sleep(1)", "gevent.sleep(0)", "loop.timer(1)",
                         "Timeout.start_new(1)", "clock.sleep(1)")
            if starts_a_timer(ast.parse(text, mode="eval").body)
        ]  # fmt: skip
        # Of no seconds, which no clock decides about.
        assert ["Timeout.start_new(timeout)"] == found.pop("deferred/_waiting.py")
        assert kernels == set(found), found


def starts_a_timer(call):
    """Whether a call waits by a time of gevent's own."""
    name, _, attribute = ast.unparse(call.func).rpartition(".")
    if [ast.unparse(argument) for argument in call.args][:1] == ["0"]:
        return False
    return (
        (attribute == "sleep" and name in ("", "gevent"))
        or (attribute == "timer" and name.endswith("loop"))
        or attribute in ("spawn_later", "start_new", "with_timeout")
    )
