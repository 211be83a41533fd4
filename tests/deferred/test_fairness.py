"""Giving way: others run once, and nothing of it is left behind."""

from __future__ import annotations

import gevent
import pytest
from gevent import get_hub
from gevent import socket as gsocket

from galeph.deferred.producer import give_way


class RecordedTimer:
    """A timer of the loop that tells whether it was closed."""

    def __init__(self, asked, after, options):
        self.asked = asked
        self.is_closed = False
        self.real = get_hub().loop.timer(after, **options)
        self.start = self.real.start
        self.stop = self.real.stop

    def close(self):
        self.is_closed = True
        self.real.close()


class RecordedHub:
    """The hub, which keeps the timers that were asked of it; ``after`` makes them late."""

    def __init__(self, after=0):
        self.after = after
        self.timers = []
        self.loop = self
        self.wait = get_hub().wait

    def timer(self, after, **options):
        self.timers.append(RecordedTimer(after, self.after, options))
        return self.timers[-1]

    def left(self):
        """The timers that nobody has closed, or that may still fire."""
        return [timer for timer in self.timers if timer.real.active or not timer.is_closed]


@pytest.fixture
def looks():
    """One entry for every time the loop has looked for I/O."""
    found = []
    watcher = get_hub().loop.check()
    watcher.start(found.append, None)
    yield found
    watcher.stop()
    watcher.close()


class TestGivingWay:
    def test_greenlets_that_are_ready_run(self):
        """Every greenlet that could run has run when it returns."""
        ran = []
        waiting = [gevent.spawn(ran.append, name) for name in "abc"]
        give_way(get_hub())

        assert ["a", "b", "c"] == ran
        gevent.joinall(waiting)

    def test_loop_looks_for_io_once(self, looks):
        """Each call is one look for I/O, no more and no less."""
        gevent.sleep(0.001)
        for _ in range(50):
            del looks[:]
            give_way(get_hub())

            assert len(looks) == 1

    def test_socket_that_is_ready_is_served(self):
        """Who has something to read reads it while a worker gives way, once in every round."""
        received = bytearray()

        def read():
            while data := reader.recv(1):
                received.extend(data)

        writer, reader = gsocket.socketpair()
        with writer, reader:
            reading = gevent.spawn(read)
            gevent.sleep(0)
            for i in range(50):
                writer.send(bytes([i]))
                give_way(get_hub())

                assert i + 1 == len(received)
            writer.shutdown(gsocket.SHUT_WR)
            reading.join()

        assert bytes(range(50)) == received

    def test_workers_take_turns(self):
        """Of several who give way again and again, each has one turn in every round."""
        turns = []

        def work(name):
            for _ in range(50):
                turns.append(name)
                give_way(get_hub())

        gevent.joinall([gevent.spawn(work, name) for name in "abc"])
        rounds = [sorted(turns[i : i + 3]) for i in range(0, len(turns), 3)]

        assert [["a", "b", "c"]] * 50 == rounds

    def test_is_due_at_once(self):
        """Nobody idles: what it waits for is due at once, and closed when it returns."""
        hub = RecordedHub()
        give_way(hub)

        assert [0] == [timer.asked for timer in hub.timers]
        assert [] == hub.left()


class TestBeingInterrupted:
    def test_killed(self):
        """A greenlet that is killed while it gives way ends there, and leaves no timer."""
        hub = RecordedHub(after=60)
        reached = []

        def work():
            reached.append("before")
            give_way(hub)
            reached.append("after")

        worker = gevent.spawn(work)
        gevent.sleep(0)
        assert [True] == [timer.real.active for timer in hub.timers]
        worker.kill()

        assert ["before"] == reached
        assert isinstance(worker.value, gevent.GreenletExit)
        assert [] == hub.left()

    def test_timed_out(self):
        """A Timeout that falls due in it comes out of it, and leaves no timer."""
        hub = RecordedHub(after=60)
        with gevent.Timeout(0.001) as timeout, pytest.raises(gevent.Timeout) as caught:
            give_way(hub)

        assert timeout is caught.value
        assert [0] == [timer.asked for timer in hub.timers]
        assert [] == hub.left()

    def test_killed_in_the_real_hub(self):
        """One who is killed gives way no more, and the next to give way is not held up."""
        worker = gevent.spawn(give_way, get_hub())
        gevent.sleep(0)
        assert not worker.ready()
        worker.kill()
        give_way(get_hub())

        assert isinstance(worker.value, gevent.GreenletExit)
