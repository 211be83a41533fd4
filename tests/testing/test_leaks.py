"""The oracle that says what is alive now and was not before."""

from __future__ import annotations

import asyncio
import os
import time

import gevent
import pytest
from gevent import get_hub, socket, spawn_raw

from galeph import deferred
from galeph.deferred import _loop_thread
from galeph.testing import Leaks, Snapshot, no_leaks


class TestNothingLeft:
    def test_nothing_is_false(self):
        """Two looks with nothing in between differ in nothing, at once."""
        before = Snapshot()
        started = time.monotonic()

        left = before.leaks(settle=1.0)

        assert Leaks() == left
        assert not left
        assert 0.5 > time.monotonic() - started

    def test_what_was_there_before(self):
        """A greenlet, socket and watcher that were there at the first look are not left."""
        greenlet = gevent.spawn(gevent.sleep, 10)
        near, far = socket.socketpair()
        gevent.sleep(0)

        left = Snapshot().leaks(settle=0)

        assert not left
        greenlet.kill()
        near.close()
        far.close()

    def test_cleaned_up(self):
        """What was made and ended in between is not left."""
        before = Snapshot()
        greenlet = gevent.spawn(gevent.sleep, 10)
        near, far = socket.socketpair()
        gevent.sleep(0)
        greenlet.kill()
        near.close()
        far.close()

        assert not before.leaks(settle=0)

    def test_going_soon(self):
        """What ends within the settling time is not left."""
        before = Snapshot()
        gevent.spawn(gevent.sleep, 0.02)

        assert not before.leaks(settle=1.0)

    def test_cycle_is_collected(self):
        """A socket kept open only by a reference cycle is closed by the oracle's collection."""
        before = Snapshot()

        class Holder:
            pass

        holder = Holder()
        holder.itself, holder.fd = holder, OpenFd()
        del holder

        assert not before.leaks(settle=0.2)

    def test_re_armed_timer(self):
        """A timer that was there before and was started anew in between is not left."""
        loop = get_hub().loop
        first, second = loop.timer(10), loop.timer(10)
        first.start(print)
        before = Snapshot()
        first.stop()
        second.start(print)
        left = before.leaks(settle=0)
        first.start(print)
        both = before.leaks(settle=0)
        first.close()
        second.close()

        assert not left
        assert 2 == len(both.watchers)

    def test_scheduled_before(self):
        """A greenlet that was only scheduled at the first look is no news when it runs."""
        greenlet = gevent.spawn(gevent.sleep, 10)
        before = Snapshot()
        left = before.leaks(settle=0)
        greenlet.kill()

        assert not left

    def test_thread_pool(self):
        """gevent's thread pool, made in between, is gevent's own and not a leak."""
        before = Snapshot()
        get_hub().threadpool.apply(len, ("abc",))

        assert not before.leaks(settle=0)

    def test_asyncio_loop(self, monkeypatch):
        """galeph's asyncio loop, begun in between, is galeph's own and not a leak."""
        monkeypatch.setattr(_loop_thread, "_CACHE_THREADS", {})
        before = Snapshot()
        loop = _loop_thread.loop_of_this_process()
        deferred.from_asyncio(asyncio.sleep(0.001), loop=loop).get()

        left = before.leaks(settle=0)
        _loop_thread.loop_threads()[0].stop()
        assert not left


class OpenFd:
    """Owns a pipe and closes it when it is collected."""

    def __init__(self):
        self.ends = os.pipe()

    def __del__(self):
        for end in self.ends:
            os.close(end)


class TestLeft:
    def test_greenlet(self):
        """A sleeping greenlet is left, and the text says where it is suspended."""
        before = Snapshot()

        def forgotten():
            gevent.sleep(10)

        greenlet = gevent.spawn(forgotten)
        left = before.leaks(settle=0.01)
        greenlet.kill()

        assert 1 == len(left.greenlets)
        assert "test_leaks.py" in str(left)
        assert "in forgotten" in str(left)

    def test_raw_greenlet(self):
        """A greenlet that gevent did not make is found too."""
        before = Snapshot()
        greenlet = spawn_raw(gevent.sleep, 10)
        left = before.leaks(settle=0.01)
        gevent.kill(greenlet)
        gevent.sleep(0)

        assert 1 == len(left.greenlets)

    def test_unstarted_greenlet_runs_first(self):
        """A greenlet that was only scheduled gets the settling time to run."""
        before = Snapshot()
        ran = []
        gevent.spawn(ran.append, 1)

        assert not before.leaks(settle=1.0)
        assert [1] == ran

    def test_socket(self):
        """An open socket is left, named by its number and kind."""
        before = Snapshot()
        near, far = socket.socketpair()
        left = before.leaks(settle=0.01)
        names = left.descriptors
        near.close()
        far.close()

        assert 2 == len(names)
        assert f"{names[0]}".split()[1].startswith("socket:")

    def test_file(self, tmp_path):
        """An open file is left, with its path."""
        before = Snapshot()
        with (tmp_path / "kept").open("w"):
            left = before.leaks(settle=0.01)

        assert str(tmp_path / "kept") in str(left)

    def test_number_used_again(self):
        """A socket that got the number of one closed in between is seen as another one."""
        near, far = socket.socketpair()
        before = Snapshot()
        number = near.fileno()
        near.close()
        other = os.dup(far.fileno())
        left = before.leaks(settle=0.01)
        os.close(other)
        far.close()

        assert number == other
        assert 1 == len(left.descriptors)

    def test_watcher(self):
        """An active watcher without a greenlet is left; stopped, it is not."""
        before = Snapshot()
        timer = get_hub().loop.timer(10)
        timer.start(print)
        left = before.leaks(settle=0.01)
        timer.stop()
        after = before.leaks(settle=0)
        timer.close()

        assert 1 == len(left.watchers)
        assert "watcher left active: <timer" in str(left)
        assert not after


class TestNoLeaks:
    def test_says_what_is_left(self):
        """The block that leaves a greenlet raises AssertionError naming it."""
        with pytest.raises(AssertionError, match="greenlet left"), no_leaks(settle=0.01):
            greenlet = gevent.spawn(gevent.sleep, 10)

        greenlet.kill()

    def test_silent_when_clean(self):
        """A clean block raises nothing."""
        ran = []
        with no_leaks():
            gevent.spawn(ran.append, 1).join()

        assert [1] == ran

    def test_own_exception_wins(self):
        """An exception of the block comes out itself, not what the block left."""
        with pytest.raises(KeyError), no_leaks(settle=0.01):
            greenlet = gevent.spawn(gevent.sleep, 10)
            raise KeyError

        greenlet.kill()
