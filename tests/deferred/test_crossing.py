"""From another OS thread into a hub."""

from __future__ import annotations

import gevent
from gevent.monkey import get_original

from galeph.deferred._crossing import call_in_hub
from galeph.testing import no_leaks
from tests.deferred import threads

get_ident = get_original("_thread", "get_ident")
sleep = get_original("time", "sleep")


class TestCallInHub:
    def test_from_other_threads(self):
        """Each call is made in the hub's own thread, once, in the order of its thread."""
        hub, called = gevent.get_hub(), []

        def leave(thread):
            for n in range(200):
                assert call_in_hub(hub, called.append, (thread, n))
            call_in_hub(hub, lambda: called.append(get_ident()))

        came = [threads.start(leave, thread) for thread in range(4)]
        while not all(came):
            gevent.sleep(0.001)
        threads.settle()

        assert [[None]] * 4 == came
        assert 4 == called.count(get_ident())
        for thread in range(4):
            mine = [call for call in called if isinstance(call, tuple) and call[0] == thread]
            assert [(thread, n) for n in range(200)] == mine

    def test_from_the_hub_s_own_thread(self):
        """Soon, and not at once: maybe it was in the garbage collector."""
        called = []
        call_in_hub(gevent.get_hub(), called.append, 1)

        assert [] == called
        gevent.sleep(0)
        assert [1] == called

    def test_does_not_touch_what_the_loop_counts(self):
        """What crosses while the loop sleeps leaves its count of work alone."""
        hub, called, stopped = gevent.get_hub(), [], []
        threads.run(call_in_hub, hub, called.append, 0)
        counts = []

        def leave():
            while not stopped:
                call_in_hub(hub, called.append, 1)
                counts.append(hub.loop.activecnt)
                sleep(0.0001)

        timer = hub.loop.timer(60)
        timer.start(called.append, 2)
        before = hub.loop.activecnt
        came = threads.start(leave)
        hub.loop.run_callback(sleep, 0.02)
        gevent.sleep(0)
        most = max(counts)
        stopped.append(True)
        while not came:
            gevent.sleep(0.001)
        threads.settle()

        assert most <= before + 2
        assert hub.loop.activecnt == before
        timer.close()

    def test_an_error_is_the_hub_s_and_stops_no_other_call(self, galeph_hub_errors):
        """As of a callback of gevent's."""
        hub, called = gevent.get_hub(), []

        def leave():
            call_in_hub(hub, int, "no number")
            call_in_hub(hub, called.append, 1)

        threads.run(leave)

        assert [1] == called
        assert [ValueError] == [error.kind for error in galeph_hub_errors]
        galeph_hub_errors.clear()

    def test_a_destroyed_hub(self):
        """Nothing is called, and the answer says so."""
        hubs = []
        threads.run(lambda: hubs.append(gevent.get_hub()))

        assert call_in_hub(hubs[0], hubs.append, 1) is False

    def test_is_no_leak(self):
        """What is made for the first crossing stays for the next ones."""
        with no_leaks():
            threads.run(call_in_hub, gevent.get_hub(), int)
