"""A deferred as a future of the standard library, above all for other threads."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future

import gevent
import pytest
from gevent.exceptions import InvalidThreadUseError

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred.producer import owns
from galeph.errors import Cancelled, TimedOut
from tests.deferred import threads
from tests.deferred.threads import settle


class TestOutcome:
    @pytest.mark.parity("DEF-53")
    def test_value(self):
        """The value arrives, at once if it is there and else when it comes."""
        d = Deferred()
        future = deferred.to_future(d)

        assert isinstance(future, Future)
        assert not future.done()
        d.success(1)
        settle()

        assert 1 == future.result(timeout=0)
        assert 2 == deferred.to_future(deferred.success(2)).result(timeout=0)

    @pytest.mark.parity("DEF-53")
    def test_error(self, galeph_unseen_errors):
        """So does the error, which counts as seen then."""
        d = Deferred()
        future = deferred.to_future(d)
        error = ValueError("x")
        d.error(error)
        settle()
        del d

        assert future.exception(timeout=0) is error
        with pytest.raises(ValueError, match="x"):
            deferred.to_future(deferred.error(error)).result(timeout=0)
        assert [] == galeph_unseen_errors()

    def test_what_would_stop_its_reader(self):
        """A gevent.Timeout that was the outcome is no Exception; it arrives as TimedOut."""
        d = Deferred()
        d.error(gevent.Timeout(1))

        assert isinstance(deferred.to_future(d).exception(timeout=0), TimedOut)

    def test_there_and_back(self):
        """A future made of a deferred can be made a deferred again."""
        d = Deferred()
        back = deferred.to_deferred(deferred.to_future(d))
        gevent.spawn(d.success, 1)

        assert 1 == back.get()


class TestThreads:
    @pytest.mark.parity("DEF-53")
    def test_waiting_in_a_thread(self):
        """An OS thread can wait for what a greenlet here brings about."""
        d = Deferred()
        future = deferred.to_future(d)
        gevent.spawn_later(0.01, d.success, 1)

        assert 1 == threads.run(future.result, 5)

    def test_realizing_in_a_thread(self):
        """An OS thread can bring about what is waited for here."""
        d = deferred.deferred(from_thread=True)
        threads.start(d.success, 1, after=0.005)

        assert 1 == d.get()

    def test_made_in_a_thread(self):
        """Made in another thread than the deferred's, it is refused."""
        d = Deferred()
        d.link(id)

        assert isinstance(threads.run(deferred.to_future, d), InvalidThreadUseError)


class TestCancelling:
    def test_the_future(self):
        """Cancelling the future cancels the deferred, from any thread."""
        one, other = Deferred(), Deferred()

        assert deferred.to_future(one).cancel()
        assert threads.run(deferred.to_future(other).cancel)

        assert one.cancelled()
        assert other.cancelled()

    def test_the_deferred(self):
        """Cancelling the deferred cancels the future, and those who wait for several are told."""
        d = Deferred()
        future = deferred.to_future(d)
        d.cancel()
        settle()

        assert future.cancelled()
        done, _ = concurrent.futures.wait([future], timeout=0)
        assert {future} == done
        with pytest.raises(Cancelled):
            deferred.to_deferred(future).get()

    @pytest.mark.parametrize("realize", [lambda d: d.success(1), lambda d: d.error(ValueError())])
    def test_too_late(self, realize, caplog):
        """An outcome that comes after the future was cancelled changes nothing."""
        d = Deferred()
        future = deferred.to_future(d)
        realize(d)
        future.cancel()
        settle()

        assert future.cancelled()
        assert not d.cancelled()
        assert [] == caplog.messages
        d.wait()

    def test_too_late_for_what_must_be_given_back(self):
        """It is given back, since nobody has it."""
        d, given_back = Deferred(), []
        owns(d, given_back.append)
        future = deferred.to_future(d)
        d.success("thing")
        future.cancel()
        settle()

        assert ["thing"] == given_back


def test_wants_a_deferred():
    """What is no Deferred is a TypeError."""
    with pytest.raises(TypeError, match="deferred must be a Deferred"):
        deferred.to_future(1)
