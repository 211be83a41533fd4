"""The runner: order, hand-over, what is left of it, and the loop's own turn."""

from __future__ import annotations

import time
import weakref

import gevent
import pytest
from gevent import socket
from greenlet import getcurrent, greenlet

from galeph.deferred import Deferred
from galeph.deferred._runner import Runner, runner_of
from tests.deferred.threads import settle


class Job:
    """Work of one entry, itself."""

    def __init__(self, fn):
        self.fn = fn
        self.failure = None
        self._entries = [self]

    def run(self, _):
        self.fn()

    def fail(self, error):
        self.failure = error


def runner():
    return runner_of(gevent.get_hub())


class TestQueue:
    def test_one_of_each_hub(self):
        """A hub has one runner, made at first use."""
        assert runner() is runner_of(gevent.get_hub())
        assert isinstance(runner(), Runner)

    def test_in_order_in_one_greenlet(self):
        """Work that does not block runs in order, in one greenlet."""
        seen = []
        for n in range(20):
            runner().submit(Job(lambda n=n: seen.append((n, getcurrent()))))

        assert "<Runner with 20 waiting" in repr(runner())
        settle()

        assert list(range(20)) == [n for n, _ in seen]
        assert 1 == len({id(g) for _, g in seen})
        assert "<Runner with 0 waiting, parked>" == repr(runner())

    def test_same_greenlet_again(self):
        """The parked greenlet does the next batch too."""
        seen = []
        for _ in range(3):
            runner().submit(Job(lambda: seen.append(getcurrent())))
            gevent.sleep(0.002)

        assert 1 == len({id(g) for g in seen})
        assert seen[0].is_parked

    def test_failure_goes_to_the_entry(self):
        """What an entry raises it gets back, and the next one runs."""
        error = ValueError()

        def fail():
            raise error

        job, seen = Job(fail), []
        runner().submit(job)
        runner().submit(Job(lambda: seen.append(1)))
        settle()

        assert job.failure is error
        assert [1] == seen

    def test_holds_nothing_when_parked(self):
        """A parked runner keeps neither the work nor what it was about alive."""
        d = Deferred()
        d.link(id)
        d.success(1)
        alive = weakref.ref(d)
        settle()
        del d

        assert alive() is None


class TestHandOver:
    def test_blocked_entry(self):
        """An entry that waits for one behind it gets it: another greenlet takes over."""
        gate = Deferred()
        seen = []

        def first():
            gate.get()
            seen.append(("first", getcurrent()))

        runner().submit(Job(first))
        runner().submit(Job(lambda: (seen.append(("second", getcurrent())), gate.success(1))))
        settle()

        assert ["second", "first"] == [name for name, _ in seen]
        assert seen[0][1] is not seen[1][1]

    def test_many_blocked(self):
        """100 entries that all wait at once all begin, in order; one greenlet is left parked."""
        gate = Deferred()
        begun, done, greenlets = [], [], []

        def wait(n):
            begun.append(n)
            greenlets.append(getcurrent())
            gate.get()
            done.append(n)

        for n in range(100):
            runner().submit(Job(lambda n=n: wait(n)))
        settle()
        assert list(range(100)) == begun
        assert [] == done

        gate.success(1)
        settle()

        assert list(range(100)) == sorted(done)
        assert 100 == len({id(g) for g in greenlets})
        assert [g.is_parked for g in greenlets if not g.dead] in ([True], [])
        assert "<Runner with 0 waiting, parked>" == repr(runner())

    def test_blocked_while_failing(self):
        """An entry that has waited, fails, and waits again for a log holds up nobody either."""
        gate = Deferred()
        seen = []

        def wait_and_fail():
            gevent.sleep(0)
            raise ValueError

        job = Job(wait_and_fail)
        job.fail = lambda _: seen.append(gate.get())
        runner().submit(job)
        gevent.sleep(0)
        runner().submit(Job(lambda: seen.append("behind it")))
        settle()
        assert ["behind it"] == seen

        gate.success("failed")
        settle()

        assert ["behind it", "failed"] == seen

    def test_work_made_while_running(self):
        """Work that an entry queues runs behind what is queued already."""
        seen = []
        runner().submit(Job(lambda: (seen.append(1), runner().submit(Job(lambda: seen.append(3))))))
        runner().submit(Job(lambda: seen.append(2)))
        settle()

        assert [1, 2, 3] == seen

    @pytest.mark.parametrize("kind", [gevent.GreenletExit, gevent.Timeout])
    def test_killed_while_parked(self, kind, galeph_hub_errors):
        """Thrown at, a parked runner ends, and the next work gets another."""
        seen = []
        runner().submit(Job(lambda: seen.append(getcurrent())))
        settle()
        gevent.get_hub().loop.run_callback(seen[0].throw, kind)
        settle()
        galeph_hub_errors.clear()

        assert seen[0].dead
        assert "not parked" in repr(runner())
        runner().submit(Job(lambda: seen.append(getcurrent())))
        settle()
        assert seen[1] is not seen[0]

    def test_killed_while_blocked(self):
        """Thrown at while an entry waits, the entry gets it and the runner goes on."""
        seen = []
        job = Job(lambda: (seen.append(getcurrent()), gevent.sleep(10)))
        runner().submit(job)
        settle()
        gevent.kill(seen[0])
        settle()

        assert isinstance(job.failure, gevent.GreenletExit)
        assert not seen[0].dead or "parked" in repr(runner())


class TestFairness:
    def test_io_is_seen(self):
        """A queue that never ends keeps no socket waiting: data is read within the slices."""
        left, right = socket.socketpair()
        stopped = []

        def again():
            if not stopped:
                time.perf_counter()
                runner().submit(Job(again))

        with left, right, gevent.Timeout(20):
            reader = gevent.spawn(right.recv, 1)
            gevent.sleep(0)
            runner().submit(Job(again))
            began = time.perf_counter()
            left.send(b"x")
            assert b"x" == reader.get()
            took = time.perf_counter() - began
            stopped.append(True)
            gevent.sleep(0.01)

        assert took < 5

    def test_killed_while_resting(self):
        """A runner that is killed while it lets the loop have its turn loses no work."""
        seen = []
        done = []

        def slow():
            seen.append(getcurrent())
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            done.append(1)

        for _ in range(40):
            runner().submit(Job(slow))
        timer = gevent.get_hub().loop.timer(0)
        timer.start(lambda: seen and greenlet.throw(seen[0]))
        gevent.sleep(0.2)
        timer.close()

        assert 40 == len(done)
