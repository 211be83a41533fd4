"""flow: blocking style inside, a deferred outside."""

from __future__ import annotations

import contextvars
import itertools
from concurrent.futures import Future

import gevent
import pytest
from gevent.event import AsyncResult
from greenlet import getcurrent

from galeph import deferred, stream
from galeph.deferred import Deferred, flow
from galeph.errors import Cancelled, Rejected, TimedOut
from galeph.testing import ManualClock
from tests.deferred.executors import Greenlets
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


def later(value):
    """A deferred that a greenlet realizes."""
    d = Deferred()
    gevent.spawn(d.success, value)
    return d


@flow
def identity(x):
    return x


@flow
def add(*numbers, **named):
    return sum(numbers) + sum(named.values())


class TestArguments:
    @pytest.mark.parity("DEF-43")
    def test_arrive_as_values(self):
        """Whatever arrives later arrives in the function as a plain value, among plain ones."""
        result, future = AsyncResult(), Future()
        gevent.spawn(result.set, 2)
        future.set_result(8)

        d = add(1, result, gevent.spawn(int, 4), named=future, other=later(later(16)), more=32)

        assert 63 == d.get()

    @pytest.mark.parity("DEF-43")
    def test_concurrently(self):
        """They are waited for together, not one after the other."""
        with ManualClock() as clock:

            def slow(x):
                clock.sleep(10)
                return x

            d = add(deferred.future(slow, 1), flow(slow)(2), named=deferred.future(slow, 3))
            clock.advance(10)

            assert 6 == d.get(block=False)

    @pytest.mark.parity("DEF-44")
    def test_all_of_them(self):
        """The function begins when all have come, also those it never looks at."""
        happened = []
        slow = deferred.future(lambda: (gevent.sleep(0.002), happened.append("slow")))

        @flow
        def first(x, *_, **__):
            return x, list(happened)

        assert (1, ["slow"]) == first(1, slow).get()
        slow = deferred.future(lambda: (gevent.sleep(0.002), happened.append("named")))
        assert (1, ["slow", "named"]) == first(1, unused=slow).get()

    def test_first_error(self):
        """The first error among them is the outcome, at once; the function is not called."""
        ran = []
        never = Deferred()

        d = flow(lambda *_: ran.append(1))(never, deferred.error(ValueError("x")))

        with pytest.raises(ValueError, match="x"):
            d.get()
        assert [] == ran

    @pytest.mark.parity("DEF-45")
    def test_only_arguments(self):
        """A deferred made inside is a deferred there: `get` waits for it."""

        @flow
        def inside():
            mine = later(1)
            return isinstance(mine, Deferred), mine.get()

        assert (True, 1) == inside().get()

    @pytest.mark.parity("DEF-45")
    def test_not_inside_of_containers(self):
        """A deferred in a list is not waited for."""
        pending = Deferred()

        assert flow(lambda xs: xs[0] is pending)([pending]).get() is True


class TestRunning:
    @pytest.mark.parity("DEF-56")
    def test_returns_at_once(self):
        """Calling it returns a deferred, and the function runs in a greenlet of its own."""
        seen = []
        d = flow(lambda: seen.append(getcurrent()))()

        assert isinstance(d, Deferred)
        assert [] == seen
        d.get()
        assert seen[0] is not getcurrent()

    @pytest.mark.parity("DEF-46")
    def test_not_where_the_last_argument_came_from(self):
        """Neither the greenlet that realizes the last argument runs it, nor a stage's."""
        arriving = Deferred()
        seen = []
        d = flow(lambda _: seen.append(getcurrent()))(arriving)
        realizer = gevent.spawn(arriving.success, 1)
        arriving.link(lambda _: seen.append(getcurrent()))
        d.get()
        settle()

        assert realizer not in seen
        assert 2 == len(set(seen))

    @pytest.mark.parity("DEF-46")
    def test_context(self):
        """It runs in a copy of the context of whoever called it."""
        token = WHO.set("me")
        try:
            d = flow(lambda _: (WHO.get(), WHO.set("flow")))(later(1))
        finally:
            WHO.reset(token)

        assert "me" == d.get()[0]
        assert "nobody" == WHO.get()

    @pytest.mark.parity("DEF-56")
    def test_error(self):
        """An exception in it is the outcome, with its traceback."""

        @flow
        def culprit():
            raise ValueError("x")

        with pytest.raises(ValueError, match="x") as caught:
            culprit().get()
        assert "culprit" == caught.traceback[-1].name

    @pytest.mark.parity("DEF-56")
    @pytest.mark.parametrize("wrap", [later, deferred.success, lambda x: later(identity(x))])
    def test_result_is_unwrapped(self, wrap):
        """What arrives later is waited for when it is returned, too."""
        assert 1 == flow(lambda: wrap(1))().get()

    @pytest.mark.parity("DEF-56")
    def test_nests(self):
        """Flows may be arguments of flows, and be waited for inside of them."""

        @flow
        def outer(x):
            return x + identity(later(2)).get() + add(identity(3), 4).get()

        assert 10 == outer(identity(identity(1))).get()

    def test_cancel(self):
        """Cancelling it kills the greenlet."""
        seen = []

        @flow
        def work():
            try:
                gevent.sleep(10)
            finally:
                seen.append("ended")

        d = work()
        gevent.sleep(0)
        assert d.cancel() is True
        settle()

        assert ["ended"] == seen

    def test_keeps_its_name(self):
        """It keeps the name and the docstring of the function, and may be a method."""

        class Box:
            number = 1

            @flow
            def plus(self, x):
                """Add."""
                return self.number + x

        assert ("plus", "Add.") == (Box.plus.__name__, Box.plus.__doc__)
        assert 3 == Box().plus(later(2)).get()

    def test_wants_a_callable(self):
        """What cannot be called, or would not run, is a TypeError, where it is made a flow."""

        def generator():
            yield 1

        with pytest.raises(TypeError, match=r"fn must return, not yield: .*generator"):
            flow(generator)
        with pytest.raises(TypeError, match="fn must be callable"):
            flow(1)


class TestWaitingInside:
    @pytest.mark.parity("DEF-57")
    def test_get_raises(self):
        """get() raises the error of what it waits for; catch makes a value of it."""
        error = ValueError("x")

        @flow
        def raising():
            try:
                later(deferred.error(error)).chain().get()
            except ValueError as caught:
                return caught

        @flow
        def as_a_value():
            return later(deferred.error(error)).catch(lambda caught: caught).get()

        assert raising().get() is error
        assert as_a_value().get() is error

    @pytest.mark.parity("DEF-57")
    def test_streams(self):
        """take() gives the messages of a stream, and None at its end."""
        messages = stream.Stream()

        @flow
        def work():
            return [messages.take() for _ in range(4)]

        d = work()
        for n in range(3):
            messages.put(n)
        messages.close()

        assert [0, 1, 2, None] == d.get()

    @pytest.mark.parity("MISS-53")
    def test_putting(self):
        """put() waits for the taker, which Manifold's go-off has no operation for."""
        messages = stream.Stream()
        done = []

        @flow
        def work():
            for n in range(3):
                accepted = messages.put(n)
                done.append((n, accepted))
            messages.close()
            return messages.put("too late")

        d = work()
        gevent.sleep(0)
        assert [] == done
        assert [0, 1, 2] == list(messages)

        assert d.get() is False
        assert [(0, True), (1, True), (2, True)] == done

    @pytest.mark.parity("DEF-57")
    def test_what_is_there_is_no_switch(self):
        """What is there already is had without letting anybody else run."""
        messages = stream.Stream(buffer=1)
        messages.put("message")
        others = []

        @flow
        def work(x):
            gevent.spawn(others.append, 1)
            got = [x, deferred.success(2).get(), messages.take(), deferred.unwrap(3)]
            return got, list(others)

        assert ([1, 2, "message", 3], []) == work(1).get()
        settle()
        assert [1] == others

    @pytest.mark.parity("DEF-64")
    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_in_any_order(self, order):
        """What it waits for one after the other may come in any order."""
        pending = [Deferred() for _ in range(3)]

        @flow
        def work():
            return sum(d.get() for d in pending)

        d = work()
        gevent.sleep(0)
        for index in order:
            pending[index].success(10**index)
            gevent.sleep(0)

        assert 111 == d.get()


class TestLimits:
    @pytest.mark.parity("DEF-58")
    def test_inside(self):
        """A limit on what is waited for inside raises there, or gives its default."""

        @flow
        def raising():
            try:
                Deferred().timeout(60).get()
            except TimedOut as error:
                return str(error)

        @flow
        def with_default():
            return Deferred().timeout(60, "default").get(), Deferred().result(60, default="other")

        with ManualClock() as clock:
            one, other = raising(), with_default()
            clock.advance(120)

            assert "no result within 60 s" == one.get(block=False)
            assert ("default", "other") == other.get(block=False)

    @pytest.mark.parity("DEF-58")
    def test_outside(self):
        """A limit on what it returns fails that, or gives its default, and stops the work."""
        stopped = []

        @flow
        def work():
            try:
                Deferred().get()
            except gevent.GreenletExit:
                stopped.append(1)
                raise

        with ManualClock() as clock:
            one, other = work().timeout(60), work().timeout(60, "default")
            clock.advance(60)

            with pytest.raises(TimedOut):
                one.get(block=False)
            assert "default" == other.get(block=False)
        assert [1, 1] == stopped

    @pytest.mark.parity("DEF-58")
    def test_alt(self):
        """alt takes flows, and is waited for in them."""

        @flow
        def slow():
            Deferred().get()

        @flow
        def work():
            never = slow()
            first = deferred.alt(never, later("first")).get()
            never.cancel()
            return first

        assert "first" == deferred.alt(work(), Deferred()).get()


class TestOnAnExecutor:
    @pytest.mark.parity("DEF-59")
    def test_runs_there(self):
        """The function runs on the executor, with its arguments as values."""
        executor = Greenlets()

        @flow(executor=executor)
        def work(x, *, y):
            return x + y, executor.is_here()

        assert (3, True) == work(later(1), y=2).get()
        assert 1 == len(executor.used)

    def test_holds_nobody_there_while_it_waits(self):
        """What it goes to the executor with has come; with an error nothing goes there."""
        executor, arriving, failing = Greenlets(), Deferred(), Deferred()
        d = flow(executor=executor)(identity)(arriving)
        failed = flow(executor=executor)(identity)(failing)
        settle()
        assert [] == executor.used
        arriving.success(1)
        failing.error(ValueError("x"))

        assert 1 == d.get()
        with pytest.raises(ValueError, match="x"):
            failed.get()
        assert 1 == len(executor.used)

    def test_full(self):
        """If there is no room, that is the outcome."""
        work = flow(executor=Greenlets(room=0))(int)

        with pytest.raises(Rejected):
            work().get()

    def test_cancel(self):
        """Cancelling it cancels what the executor returned."""
        work = Deferred()

        class Never:
            def submit(self, *_):
                return work

        d = flow(executor=Never())(int)()
        gevent.sleep(0)
        d.cancel()
        settle()

        assert work.cancelled()
        with pytest.raises(Cancelled):
            d.get()

    def test_without_one(self):
        """None is no executor; what is none is a TypeError."""
        assert 1 == flow(executor=None)(identity)(1).get()
        with pytest.raises(TypeError, match="executor must have"):
            flow(executor=1)
