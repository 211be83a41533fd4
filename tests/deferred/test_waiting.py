"""Waiting: its own limits, others' kills and timeouts, and galeph's clock."""

from __future__ import annotations

import gevent
import pytest

from galeph import clock, deferred
from galeph.deferred import Deferred
from galeph.deferred._waiting import wait_untaken
from galeph.deferred.producer import owns
from galeph.errors import Deadlock, TimedOut
from galeph.testing import ManualClock

WAYS = [
    lambda d: d.get(),
    lambda d: d.get(timeout=20),
    lambda d: d.wait(),
    lambda d: d.wait(20),
    lambda d: d.result(),
    lambda d: d.result(20),
    lambda d: gevent.wait([d]),
    wait_untaken,
]


@pytest.mark.parametrize("wait", WAYS)
class TestLeaving:
    def test_killed(self, wait):
        """A killed waiter leaves nothing behind, and the deferred pending."""
        d = Deferred()
        waiter = gevent.spawn(wait, d)
        gevent.sleep(0)
        assert 1 == d.linkcount()

        waiter.kill()

        assert 0 == d.linkcount()
        assert not d.ready()

    def test_foreign_timeout(self, wait):
        """A user's gevent.Timeout passes through as it is."""
        d = Deferred()

        with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.002) as limit:
            wait(d)

        assert caught.value is limit
        assert 0 == d.linkcount()
        assert not d.ready()

    def test_foreign_exception(self, wait):
        """Whatever is thrown into the waiter comes out of the wait."""
        d = Deferred()
        caught = []

        def run():
            try:
                wait(d)
            except KeyError as error:
                caught.append(error)

        waiter = gevent.spawn(run)
        gevent.sleep(0)
        error = KeyError()
        waiter.kill(error)

        assert [error] == caught
        assert 0 == d.linkcount()


class TestWait:
    def test_value_and_error(self):
        """wait returns the value, and None for an error."""
        d = Deferred()
        gevent.spawn(d.success, 1)

        assert 1 == d.wait()
        assert 1 == d.wait()
        assert deferred.error(ValueError()).wait() is None

    def test_time_runs_out(self):
        """wait(timeout) returns None when it runs out; the deferred stays pending."""
        d = Deferred()

        assert d.wait(0.001) is None
        assert not d.ready()

    @pytest.mark.parametrize("wait", [gevent.wait, lambda ds: list(gevent.iwait(ds))])
    def test_gevent_wait(self, wait):
        """gevent.wait and iwait take deferreds among others."""
        d = Deferred()
        gevent.spawn(d.success, 1)
        greenlet = gevent.spawn(int)

        assert {d, greenlet} == set(wait([d, greenlet]))

    def test_timeout_object(self):
        """get takes a Timeout object, as AsyncResult's does, and that is its own."""
        d = Deferred()
        limit = gevent.Timeout(0.001)

        with pytest.raises(gevent.Timeout) as caught:
            d.get(timeout=limit)

        assert caught.value is limit


class TestByTheClock:
    def test_result(self):
        """result waits by galeph's clock."""
        with ManualClock() as manual:
            d = Deferred()
            errors = []

            def wait():
                try:
                    d.result(60)
                except TimedOut as error:
                    errors.append((str(error), manual.monotonic()))

            greenlet = gevent.spawn(wait)
            manual.advance(59)
            assert [] == errors
            manual.advance(1)
            greenlet.join()

        assert [("no result within 60 s", 60.0)] == errors

    def test_get_and_wait(self):
        """So do get, which raises gevent.Timeout, and wait."""
        with ManualClock() as manual:
            d = Deferred()
            got = []

            def get():
                try:
                    d.get(timeout=60)
                except gevent.Timeout as error:
                    got.append((str(error), manual.monotonic()))

            waiters = [gevent.spawn(get), gevent.spawn(d.wait, 60)]
            manual.advance(59)
            assert not any(waiter.ready() for waiter in waiters)
            manual.advance(1)
            assert all(waiter.ready() for waiter in waiters)

        assert [("60 seconds", 60.0)] == got
        assert waiters[1].value is None
        assert (0, False) == (d.linkcount(), d.ready())

    def test_no_time(self):
        """A get without time lets the others run once, and does not wait for the clock."""
        with ManualClock():
            d, late = Deferred(), Deferred()
            gevent.spawn(d.success, 1)

            assert 1 == d.get(timeout=0)
            with pytest.raises(gevent.Timeout):
                late.get(timeout=0)
            with pytest.raises(gevent.Timeout):
                late.get(timeout=-1)

    def test_nobody_advances_it(self):
        """A limit that no clock will ever reach is a deadlock, and says so."""
        with ManualClock(), pytest.raises(Deadlock, match="nobody can complete"):
            Deferred().get(timeout=60)

    @pytest.mark.parametrize("way", [Deferred.result, lambda d, s: d.get(timeout=s), Deferred.wait])
    def test_in_time(self, way):
        """A result that comes in time leaves no timer behind."""
        with ManualClock() as manual:
            d = Deferred()
            greenlet = gevent.spawn(way, d, 60)
            manual.advance(30)
            d.success(1)
            greenlet.join()

            assert 1 == greenlet.value
            assert "0 waiting" in repr(manual)


class TestTimeout:
    @pytest.mark.parity("DEF-37")
    def test_fails_with_timed_out(self):
        """After so many seconds the same object fails with TimedOut, which says how many."""
        with ManualClock() as manual:
            d = Deferred()
            assert d.timeout(60) is d
            manual.advance(59)
            assert not d.ready()
            manual.advance(1)

        assert isinstance(d.exception, TimedOut)
        assert "no result within 60 s" == str(d.exception)
        assert d.success(1) is False

    @pytest.mark.parity("DEF-38")
    def test_default(self):
        """With a default it succeeds with that, None included."""
        with ManualClock() as manual:
            one, other = Deferred().timeout(60, "default"), Deferred().timeout(60, None)
            manual.advance(60)

        assert "default" == one.get()
        assert other.ready()
        assert other.get() is None

    @pytest.mark.parity("DEF-39")
    @pytest.mark.parametrize("seconds", [0, -1])
    def test_now(self, seconds):
        """Zero or less expires at once."""
        assert isinstance(Deferred().timeout(seconds).exception, TimedOut)
        assert 1 == Deferred().timeout(seconds, 1).get(block=False)

    @pytest.mark.parity("DEF-39")
    def test_no_limit(self):
        """None is no limit, and a realized deferred keeps its outcome."""
        d = Deferred()

        assert d.timeout(None) is d
        assert d.hub is None
        assert 1 == deferred.success(1).timeout(0).get()

    @pytest.mark.parity("DEF-40")
    @pytest.mark.parametrize("realize", [lambda d: d.success(1), lambda d: d.cancel()])
    def test_timer_goes(self, realize):
        """Realized in time, it leaves no timer behind."""
        with ManualClock() as manual:
            d = Deferred().timeout(3600)
            assert "1 waiting" in repr(manual)
            realize(d)

            assert "0 waiting" in repr(manual)

    @pytest.mark.parity("DEF-40")
    def test_many_timers_go(self):
        """100,000 limits set and met leave nothing in the loop."""
        pending = gevent.get_hub().loop.activecnt
        for _ in range(100_000):
            Deferred().timeout(3600).success(1)

        assert pending == gevent.get_hub().loop.activecnt

    @pytest.mark.parity("DEF-26", "DEF-37")
    @pytest.mark.parametrize("default", [(), ("default",)])
    def test_of_a_chain(self, default):
        """A chain that has timed out starts none of its remaining stages, nor those after it."""
        source, gate = Deferred(), Deferred()
        ran = []

        def first(x):
            ran.append(x)
            return gate

        with ManualClock() as manual:
            chain = source.chain(first, ran.append, ran.append).timeout(60, *default)
            source.success("first")
            manual.advance(60)
            gate.success("too late")
            manual.advance(0)

        assert ["first"] == ran
        assert (not default) is isinstance(chain.exception, TimedOut)
        assert chain.value == (default[0] if default else None)

    def test_continuation_before_the_next_timer(self):
        """What follows from one limit has happened before the next one fires."""
        seen = []
        with ManualClock() as manual:
            Deferred().timeout(1, "a").chain(lambda x: seen.append((x, manual.monotonic())))
            Deferred().timeout(2, "b").chain(lambda x: seen.append((x, manual.monotonic())))
            manual.advance(5)

        assert [("a", 1.0), ("b", 2.0)] == seen

    @pytest.mark.parametrize(
        ("seconds", "error"),
        [("1", TypeError), ([], TypeError), (True, TypeError), (float("nan"), ValueError)],
    )
    def test_needs_a_number(self, seconds, error):
        """What is no number of seconds is refused by name, and the deferred stays pending."""
        d = Deferred()
        with pytest.raises(error, match="seconds must be"):
            d.timeout(seconds)
        for wait in (d.result, d.wait, lambda timeout: d.get(timeout=timeout)):
            with pytest.raises(error, match="timeout must be"):
                wait(seconds)

        assert not d.ready()

    def test_real_clock(self):
        """By default it goes by the system's clock."""
        before = clock.default().monotonic()
        with pytest.raises(TimedOut):
            Deferred().timeout(0.01).get()

        assert clock.default().monotonic() - before >= 0.009


def test_without_taking():
    """To wait so takes nothing of an owner's: whoever leaves it then has it given back."""
    d, given_back = Deferred(), []
    owns(d, given_back.append)
    gevent.spawn(d.success, "thing")

    assert wait_untaken(d)
    assert wait_untaken(d)
    assert [] == given_back
    d._let_go(None)
    assert ["thing"] == given_back
