"""What a Deferred is to those who realize it, wait for it and look at it."""

from __future__ import annotations

import copy
import dis
import gc
import pickle
import sys
import traceback
import weakref

import gevent
import pytest
from gevent.event import AsyncResult

from galeph import deferred, stream
from galeph.deferred import Deferred
from galeph.errors import Cancelled, TimedOut
from tests.deferred import threads
from tests.deferred.threads import settle


class TestFirstOutcomeWins:
    @pytest.mark.parity("DEF-02")
    def test_success(self):
        """The call that realizes it returns True; every later one returns False."""
        d = Deferred()

        assert d.success(1) is True
        assert d.success(2) is False
        assert d.error(ValueError()) is False
        assert 1 == d.get()

    @pytest.mark.parity("DEF-03", "DEF-09")
    def test_error(self):
        """An error wins like a value."""
        d = Deferred()
        error = ValueError("first")

        assert d.error(error) is True
        assert d.error(KeyError()) is False
        assert d.success(1) is False
        with pytest.raises(ValueError, match="first") as caught:
            d.get()
        assert caught.value is error

    @pytest.mark.parametrize("name", ["set", "set_result"])
    def test_set_does_not_overwrite(self, name):
        """AsyncResult's names for realizing obey the rule too."""
        d = Deferred()

        getattr(d, name)(1)
        getattr(d, name)(2)
        d.set_exception(ValueError())

        assert 1 == d.get()

    def test_set_without_a_value(self):
        """As in AsyncResult, set() means None."""
        d = Deferred()

        d.set()

        assert d.ready()
        assert d.get() is None

    def test_set_exception_with_exc_info(self):
        """set_exception takes the traceback of exc_info."""
        d = Deferred()
        try:
            raise ValueError("x")
        except ValueError:
            d.set_exception(None, sys.exc_info())

        with pytest.raises(ValueError, match="x") as caught:
            d.get()
        assert "test_set_exception_with_exc_info" in [f.name for f in caught.traceback]

    @pytest.mark.parity("DEF-03", "DEF-11")
    @pytest.mark.parametrize("wrong", [None, "text", ValueError])
    def test_error_wants_an_exception(self, wrong):
        """An error that is no exception is a TypeError, and changes nothing."""
        d = Deferred()

        with pytest.raises(TypeError, match="exception must be"):
            d.error(wrong)
        with pytest.raises(TypeError, match="exception must be"):
            d.set_exception(wrong)

        assert not d.ready()

    def test_falsy_values_are_values(self):
        """None, False and an empty list realize it."""
        for value in (None, False, []):
            d = deferred.success(value)

            assert d.ready()
            assert d.successful()
            assert d.success(1) is False
            assert value == d.get()

    def test_is_an_async_result(self):
        """Whatever asks for an AsyncResult gets one."""
        assert isinstance(Deferred(), AsyncResult)
        assert Deferred[int]().success(1) is True


class TestClaim:
    @pytest.mark.parity("DEF-05")
    def test_only_the_token_realizes(self):
        """A claimed deferred refuses all but the claimer, quietly."""
        d = Deferred()
        token = d.claim()

        assert token is not None
        assert d.success(1) is False
        assert d.error(ValueError()) is False
        assert d.cancel() is False
        assert not d.ready()
        assert d.success(2, token) is True
        assert 2 == d.get()

    @pytest.mark.parity("DEF-05")
    def test_error_by_token(self):
        """The claimer can fail it."""
        d = Deferred()

        assert d.error(ValueError("mine"), d.claim()) is True
        assert repr(ValueError("mine")) == repr(d.exception)

    @pytest.mark.parity("DEF-05")
    def test_claims_once(self):
        """A claim is given once, and not for a realized deferred."""
        d = Deferred()

        assert d.claim() is not None
        assert d.claim() is None
        assert deferred.success(1).claim() is None
        failed = deferred.error(ValueError())
        assert failed.claim() is None
        failed.exception  # noqa: B018  (seen)

    @pytest.mark.parity("DEF-06")
    def test_wrong_token(self):
        """A token that is not the claim's is a RuntimeError of its own."""
        d = Deferred()
        d.claim()

        with pytest.raises(RuntimeError, match="not that of this deferred's claim"):
            d.success(1, object())
        with pytest.raises(RuntimeError, match="not that of this deferred's claim"):
            d.error(ValueError(), object())

    @pytest.mark.parity("DEF-06")
    def test_unneeded_token(self):
        """A token for an unclaimed deferred is another RuntimeError."""
        with pytest.raises(RuntimeError, match="nobody has claimed"):
            Deferred().success(1, object())

    def test_realized_refuses_any_token(self):
        """On a realized deferred a token is not looked at."""
        d = deferred.success(1)

        assert d.success(2, object()) is False
        assert d.error(ValueError(), object()) is False


class TestThreads:
    def test_one_winner(self):
        """Of threads racing to realize 20,000 deferreds exactly one wins each."""
        rounds, racers = 20_000, 3
        deferreds = [Deferred() for _ in range(rounds)]
        wins = [[] for _ in range(racers)]
        ready = []
        error = ValueError("an error")

        def race(me):
            ready.append(me)
            while len(ready) < racers:
                pass
            for index, d in enumerate(deferreds):
                won = d.error(error) if me == index % racers else d.success(me)
                if won:
                    wins[me].append(index)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            came = [threads.start(race, me) for me in range(racers)]
            while not all(came):
                gevent.sleep(0.001)
        finally:
            sys.setswitchinterval(interval)

        assert sorted(index for won in wins for index in won) == list(range(rounds))
        for me, won in enumerate(wins):
            for index in won:
                d = deferreds[index]
                if me == index % racers:
                    assert d.exception is error
                    assert not d.successful()
                else:
                    assert me == d.get()

    @pytest.mark.parametrize("function", [Deferred.success, Deferred._fail, Deferred.claim])
    def test_the_decision_cannot_be_interrupted(self, function):
        """Between the test and the store there is nothing at which CPython gives up the GIL."""
        instructions = list(dis.get_instructions(function))
        names = [i.argval if i.opname.startswith("LOAD") else None for i in instructions]
        tested = names.index("_claim")
        stored = next(
            position
            for position, i in enumerate(instructions)
            if position > tested
            and (i.opname.startswith("STORE_ATTR") or i.opname.startswith("CALL"))
        )

        between = instructions[tested:stored]
        assert "_value" in [i.argval for i in between]
        if instructions[stored].opname.startswith("CALL"):
            # Straight into the C function that stores.
            assert "_base_set" in names[tested:stored]
        else:
            assert "_claim" == instructions[stored].argval
        assert [] == [i.opname for i in between if "BACKWARD" in i.opname or "RESUME" in i.opname]

    def test_no_listener_is_lost(self):
        """A listener hung on while a thread realizes the deferred runs, once."""
        rounds = 5_000
        deferreds = [Deferred() for _ in range(rounds)]
        for d in deferreds[::2]:
            d.rawlink(lambda _: None)
        seen = []
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            came = threads.start(lambda: [d.success(n) for n, d in enumerate(deferreds)])
            for d in deferreds:
                d.on_realized(seen.append, seen.append)
            while not came:
                gevent.sleep(0.001)
        finally:
            sys.setswitchinterval(interval)
        gevent.wait(deferreds)
        settle()

        assert list(range(rounds)) == sorted(seen)


class TestGet:
    @pytest.mark.parity("DEF-09")
    def test_waits(self):
        """get blocks until there is a value."""
        d = Deferred()
        gevent.spawn(d.success, 1)

        assert 1 == d.get()

    def test_nonblocking(self):
        """get(block=False) raises gevent.Timeout while it is pending."""
        d = Deferred()

        with pytest.raises(gevent.Timeout):
            d.get(block=False)
        with pytest.raises(gevent.Timeout):
            d.get_nowait()
        d.success(1)
        assert 1 == d.get(block=False)
        assert 1 == d.get_nowait()

    @pytest.mark.parity("DEF-10")
    def test_time_runs_out(self):
        """get(timeout=) raises gevent.Timeout and leaves it pending."""
        d = Deferred()

        with pytest.raises(gevent.Timeout):
            d.get(timeout=0.001)

        assert not d.ready()
        assert d.success(1)
        assert 1 == d.get()

    def test_every_waiter_wakes(self):
        """Any number of greenlets may wait."""
        d = Deferred()
        waiters = [gevent.spawn(d.get) for _ in range(10)]
        gevent.sleep(0)

        d.success(1)
        gevent.joinall(waiters)

        assert [1] * 10 == [waiter.value for waiter in waiters]

    def test_traceback_shows_where_it_came_from(self):
        """The error's traceback leads to where it was raised, and does not grow with every get."""

        def culprit():
            raise ValueError("x")

        d = deferred.future(culprit)
        lengths = []
        for _ in range(3):
            with pytest.raises(ValueError, match="x") as caught:
                d.get()
            names = [frame.name for frame in caught.traceback]
            assert "culprit" == names[-1]
            lengths.append(len(traceback.extract_tb(caught.value.__traceback__)))

        assert 1 == len(set(lengths))

    def test_looking_leaves_no_cycle(self):
        """A deferred whose error was raised to somebody dies with its last reference."""
        d = deferred.error(ValueError())
        alive = weakref.ref(d)
        gc.disable()
        try:
            try:
                d.get()
            except ValueError:
                pass
            del d

            assert alive() is None
        finally:
            gc.enable()


class TestResult:
    @pytest.mark.parity("DEF-10")
    def test_default(self):
        """With a default it returns that when time runs out, None included; not if it failed."""
        d = Deferred()

        assert "default" == d.result(0.001, default="default")
        assert d.result(0, default=None) is None
        assert not d.ready()
        gevent.spawn(d.error, KeyError("k"))
        with pytest.raises(KeyError):
            d.result(5, default="default")

    @pytest.mark.parity("DEF-10")
    def test_time_runs_out(self):
        """result(timeout) raises TimedOut, which is a TimeoutError, and leaves it pending."""
        d = Deferred()

        with pytest.raises(TimedOut, match=r"no result within 0\.001 s") as caught:
            d.result(0.001)

        assert isinstance(caught.value, TimeoutError)
        assert d.success(1)
        assert 1 == d.result(0.001)

    def test_zero_never_waits(self):
        """result(0) looks, and does not let others run."""
        d = Deferred()
        gevent.spawn(d.success, 1)

        with pytest.raises(TimedOut):
            d.result(0)

        assert not d.ready()
        assert 1 == d.result()

    @pytest.mark.parity("DEF-10")
    def test_error(self):
        """result raises the error it was realized with."""
        d = Deferred()
        gevent.spawn(d.error, KeyError("k"))

        with pytest.raises(KeyError):
            d.result(1)


class TestLooking:
    @pytest.mark.parity("DEF-17")
    def test_pending(self):
        """A pending deferred has no value and no error, and says so."""
        d = Deferred()

        assert not d.ready()
        assert not d.done()
        assert not d.successful()
        assert d.value is None
        assert d.exception is None
        assert () == d.exc_info
        assert not d.cancelled()
        assert "<Deferred pending>" == repr(d) == str(d)

    @pytest.mark.parity("DEF-17")
    def test_value(self):
        """A realized deferred shows its value."""
        d = deferred.success("v")

        assert d.ready()
        assert d.done()
        assert d.successful()
        assert "v" == d.value
        assert d.exception is None
        assert "<Deferred value='v'>" == repr(d)

    @pytest.mark.parity("DEF-17")
    def test_error(self):
        """A failed deferred shows its error, with the traceback."""
        error = KeyError("k")
        d = deferred.error(error)

        assert d.ready()
        assert not d.successful()
        assert d.value is None
        assert d.exception is error
        assert (KeyError, error, None) == d.exc_info
        assert "<Deferred error=KeyError('k')>" == repr(d)

    def test_of_one_that_holds_itself(self):
        """It is shown once."""
        d = Deferred()
        d.success([d])

        assert "<Deferred value=[<a deferred of itself>]>" == repr(d)

    def test_no_dict_until_needed(self):
        """An ordinary deferred has no attributes of its own: they cost time and 300 bytes."""
        d = deferred.success(1)
        pending = Deferred()
        pending.chain(str)

        assert sys.getsizeof(d) <= 200
        assert {} == d.__dict__ == pending.__dict__

    def test_cannot_be_pickled(self):
        """A deferred is of this process: pickling it fails instead of losing what hangs on it."""
        with pytest.raises(TypeError):
            pickle.dumps(Deferred())


class TestMetadata:
    @pytest.mark.parity("DEF-16")
    @pytest.mark.parametrize("make", [Deferred, lambda: deferred.success(1), stream.Stream])
    def test_is_mutable(self, make):
        """A deferred, and a stream, has a dict of its own for whatever is to be noted about it."""
        one, other = make(), make()
        one.metadata["trace"] = "abc"
        one.metadata["trace"] += "d"

        assert {"trace": "abcd"} == one.metadata
        assert {} == other.metadata

    @pytest.mark.parity("DEF-16")
    def test_there_is_no_copy_with_another(self):
        """A deferred cannot be copied to note something else about the copy."""
        with pytest.raises(TypeError):
            copy.copy(Deferred())


class TestCancel:
    def test_pending(self):
        """cancel realizes it with Cancelled, and says that it won."""
        d = Deferred()

        assert d.cancel() is True
        assert d.cancelled()
        assert d.cancel() is False
        with pytest.raises(Cancelled):
            d.get()

    def test_realized(self):
        """A realized deferred cannot be cancelled."""
        d = deferred.success(1)

        assert d.cancel() is False
        assert not d.cancelled()
        assert 1 == d.get()

    def test_reason(self):
        """A reason is the text of the error; an exception is its cause."""
        cause = ValueError("why")
        one, other = Deferred(), Deferred()

        one.cancel("no longer needed")
        other.cancel(cause)

        assert "no longer needed" == str(one.exception)
        assert other.exception.__cause__ is cause

    def test_nobody_needs_to_look(self, galeph_unseen_errors):
        """Whoever cancels knows: it is not reported as an error nobody saw."""
        Deferred().cancel()

        assert [] == galeph_unseen_errors()

    def test_wakes_the_waiters(self):
        """A greenlet that waits gets Cancelled."""
        d = Deferred()
        caught = []

        def wait():
            try:
                d.get()
            except Cancelled as error:
                caught.append(error)

        waiter = gevent.spawn(wait)
        gevent.sleep(0)

        d.cancel()
        waiter.join()

        assert [d.exception] == caught
