"""The producer's side: callbacks, calling off, and values that must be given back."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from gevent.monkey import get_original

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred.producer import hold_hub, on_cancel, on_ready, owns
from galeph.errors import Cancelled, TimedOut
from tests.deferred import threads
from tests.deferred.executors import Greenlets
from tests.deferred.threads import settle


def owner():
    """A deferred that owns its value, the values it disposed of, and why work was called off."""
    d, disposed, reasons = Deferred(), [], []
    owns(d, disposed.append)
    on_cancel(d, reasons.append)
    return d, disposed, reasons


def wait_in_greenlet(wait, d):
    greenlet = gevent.spawn(wait, d)
    gevent.sleep(0)
    return greenlet


def get(d):
    return d.get()


def outcome_of(d):
    """What `get` returns or raises, a kill and a Timeout included."""
    try:
        return d.get()
    except BaseException as error:
        return error


class TestOnReady:
    def test_where_it_is_realized(self):
        """The function is called by whoever realizes it, before success returns."""
        d = Deferred()
        seen = []
        on_ready(d, seen.append, 1)

        assert [] == seen
        d.success("v")
        assert [1] == seen

    def test_realized_already(self):
        """On a realized deferred it is called at once."""
        seen = []
        on_ready(deferred.success(1), seen.append, 1)

        assert [1] == seen

    def test_from_a_thread(self):
        """Realized by another thread, it is called in the owner's."""
        d = deferred.deferred(from_thread=True)
        seen = []
        get_ident = get_original("_thread", "get_ident")
        on_ready(d, lambda: seen.append(get_ident()))
        threads.start(d.success, 1, after=0.001)
        d.get()
        settle()

        assert [get_ident()] == seen


class TestOnCancel:
    def test_cancelled(self):
        """Cancelling calls it with the error, once, after the deferred is realized."""
        d = Deferred()
        seen = []
        on_cancel(d, lambda reason: seen.append((reason, d.ready())))

        d.cancel("enough")
        d.cancel("again")

        assert [(d.exception, True)] == seen

    def test_timed_out(self):
        """An expired limit calls it, with a default too."""
        seen = []
        for default in ((), ("default",)):
            d = Deferred()
            on_cancel(d, seen.append)
            d.timeout(0.001, *default)
            d.wait()

        assert [TimedOut, TimedOut] == [type(reason) for reason in seen]

    @pytest.mark.parametrize(
        "realize", [lambda d: d.success(1), lambda d: d.error(Cancelled("from the producer"))]
    )
    def test_realized_otherwise(self, realize):
        """Realizing it does not call it."""
        d = Deferred()
        seen = []
        on_cancel(d, seen.append)

        realize(d)
        d.cancel()

        assert [] == seen

    def test_later_one_replaces(self):
        """There is one function."""
        d = Deferred()
        seen = []
        on_cancel(d, lambda _: seen.append("first"))
        on_cancel(d, lambda _: seen.append("second"))
        d.cancel()

        assert ["second"] == seen

    def test_from_a_thread(self):
        """Cancelled from another thread, it is called in the owner's."""
        d = deferred.deferred(from_thread=True)
        get_ident = get_original("_thread", "get_ident")
        seen = []
        on_cancel(d, lambda _: seen.append(get_ident()))
        threads.start(d.cancel, after=0.001)
        d.wait()
        settle()

        assert [get_ident()] == seen


class TestLastWaiterLeaves:
    @pytest.mark.parametrize(
        "wait", [get, lambda d: d.get(timeout=20), lambda d: d.wait(), lambda d: d.result(20)]
    )
    def test_killed(self, wait):
        """Killing the only waiter calls the work off, with the kill as the cause."""
        d, disposed, reasons = owner()
        wait_in_greenlet(wait, d).kill()

        assert d.cancelled()
        assert isinstance(d.exception.__cause__, gevent.GreenletExit)
        assert [d.exception] == reasons
        assert [] == disposed

    def test_foreign_timeout(self):
        """A Timeout that is not get's own calls it off too."""
        d, _, reasons = owner()
        with gevent.Timeout(0.001, False):
            d.get()

        assert d.cancelled()
        assert isinstance(d.exception.__cause__, gevent.Timeout)
        assert 1 == len(reasons)

    @pytest.mark.parametrize(
        "wait", [lambda d: d.get(timeout=0.001), lambda d: d.result(0.001), lambda d: d.wait(0.001)]
    )
    def test_own_limit(self, wait):
        """The wait's own limit leaves it pending."""
        d, _, reasons = owner()
        try:
            wait(d)
        except (gevent.Timeout, TimedOut):
            pass

        assert not d.ready()
        assert [] == reasons
        d.cancel()

    @pytest.mark.parametrize(
        "hang", [lambda d: d.link(id), lambda d: d.chain(id), wait_in_greenlet]
    )
    def test_company(self, hang):
        """While a stage, a listener or another waiter hangs on it, it goes on."""
        d, _, reasons = owner()
        if hang is wait_in_greenlet:
            hang(get, d)
        else:
            hang(d)
        wait_in_greenlet(get, d).kill()

        assert not d.ready()
        assert [] == reasons
        d.success("v")
        settle()

    def test_the_last_of_several(self):
        """When the last of several waiters is killed, it is called off."""
        d, _, reasons = owner()
        waiters = [wait_in_greenlet(get, d) for _ in range(3)]
        waiters[0].kill()
        waiters[1].kill()
        assert [] == reasons
        waiters[2].kill()

        assert d.cancelled()
        assert 1 == len(reasons)

    def test_inline_is_no_company(self):
        """A limit or a plain callback on it is nobody's interest."""
        d, _, _ = owner()
        d.timeout(60)
        on_ready(d, int)
        wait_in_greenlet(get, d).kill()

        assert d.cancelled()

    def test_plain_deferred_stays(self):
        """A deferred that owns nothing stays pending when its waiter is killed."""
        d = Deferred()
        wait_in_greenlet(get, d).kill()

        assert not d.ready()


class TestDisposing:
    def test_too_late(self):
        """A value that comes after cancelling or the time limit is disposed of."""
        for call_off in (lambda d: d.cancel(), lambda d: d.timeout(0), lambda d: d.timeout(0, "x")):
            d, disposed, _ = owner()
            call_off(d)

            assert d.success("late") is False
            assert ["late"] == disposed
            d.wait()

    def test_too_late_from_a_thread(self):
        """A late value from a thread is disposed of in the owner's."""
        d, _, _ = owner()
        get_ident = get_original("_thread", "get_ident")
        seen = []
        owns(d, lambda value: seen.append((value, get_ident())))
        d.cancel()
        threads.run(d.success, "late")

        assert [("late", get_ident())] == seen

    def test_there_but_not_taken(self):
        """If the waiter is killed between the coming of the value and its own waking up, the
        value is disposed of."""
        d, disposed, reasons = owner()
        waiter = wait_in_greenlet(get, d)
        waiter.kill(block=False)
        d.success("v")
        waiter.join()

        assert ["v"] == disposed
        assert [] == reasons

    def test_nobody_gets_what_was_disposed_of(self):
        """Whoever comes after the value was disposed of gets Cancelled, however he asks."""
        d, disposed, _ = owner()
        waiter = wait_in_greenlet(get, d)
        waiter.kill(block=False)
        d.success("v")
        waiter.join()
        ran = []
        derived = d.chain(ran.append)
        d.on_realized(ran.append, id)

        assert d.cancelled()
        assert isinstance(d.exception.__cause__, gevent.GreenletExit)
        assert not d.successful()
        assert d.success("again") is False
        for each in (d, derived):
            with pytest.raises(Cancelled):
                each.get()
        assert [] == ran
        assert ["v", "again"] == disposed

    def test_taken(self):
        """Taken, it is the taker's; whoever leaves after that changes nothing."""
        d, disposed, _ = owner()
        killed = wait_in_greenlet(get, d)
        d.success("v")
        assert "v" == d.get()
        killed.kill()

        assert [] == disposed

    @pytest.mark.parametrize(
        "take",
        [
            get,
            lambda d: d.wait(),
            lambda d: d.result(1),
            lambda d: d.chain(id),
            lambda d: d.on_realized(id, id),
            lambda d: d.link(id),
        ],
    )
    def test_ways_of_taking(self, take):
        """Waiting for it, and functions that got it, take it."""
        d, disposed, _ = owner()
        d.success("v")
        take(d)
        d._let_go(None)

        assert [] == disposed

    def test_same_value_twice(self):
        """Realizing it twice with the same value does not dispose of the winner's."""
        d, disposed, _ = owner()
        value = object()
        d.success(value)
        d.success(value)

        assert [] == disposed

    def test_default_is_no_resource(self):
        """The default of a time limit is not disposed of."""
        d, disposed, _ = owner()
        waiter = wait_in_greenlet(get, d)
        d.timeout(0, "default")
        waiter.kill()

        assert [] == disposed
        assert "default" == d.get()


class TestInheritance:
    @pytest.mark.parametrize(
        "derive",
        [
            lambda d: d.chain(),
            lambda d: d.chain(id),
            lambda d: d.catch(id),
            lambda d: d.finally_(int),
            lambda d: d.chain(id).catch(id).finally_(int),
            lambda d: deferred.success(d).chain(),
            lambda d: deferred.success(1).chain(lambda _: d),
            lambda d: deferred.error(ValueError()).catch(lambda _: d),
            lambda d: deferred.zip(1, d),
            lambda d: deferred.alt(Deferred(), d),
            lambda d: deferred.alt(d.chain(), Deferred()).chain(id),
        ],
    )
    def test_killing_the_waiter_of_a_derived_one(self, derive):
        """The work is called off through any number of stages."""
        d, _, reasons = owner()
        waiter = wait_in_greenlet(get, derive(d))
        waiter.kill()
        settle()

        assert d.cancelled()
        assert 1 == len(reasons)

    @pytest.mark.parametrize(
        "derive",
        [
            lambda d: d.chain(),
            lambda d: d.catch(id),
            lambda d: d.finally_(int),
            lambda d: d.catch(id).finally_(int).chain(),
            lambda d: deferred.success(1).chain(lambda _: d),
        ],
    )
    def test_unchanged_value_takes_the_duty_along(self, derive):
        """A value that passes through unchanged is disposed of when nobody takes it there."""
        d, disposed, _ = owner()
        derived = derive(d)
        waiter = wait_in_greenlet(get, derived)
        was_ready = []

        def kill():
            was_ready.append(derived.ready())
            waiter.throw(gevent.GreenletExit)

        # Behind the stages, before the waiter is woken.
        run_callback = gevent.get_hub().loop.run_callback
        on_ready(d, run_callback, run_callback, kill)
        d.success("v")
        waiter.join()

        assert [True] == was_ready
        assert isinstance(waiter.value, gevent.GreenletExit)
        assert ["v"] == disposed

    @pytest.mark.parametrize("executor", [None, Greenlets()])
    def test_finally_that_fails(self, executor):
        """A value that a failing finally_ keeps from everybody is disposed of."""

        def fail():
            raise KeyError("k")

        for is_there in (True, False):
            d, disposed, _ = owner()
            if is_there:
                d.success("v")
            derived = d.onto(executor).finally_(fail)
            if not is_there:
                d.success("v")

            with pytest.raises(KeyError):
                derived.get()
            assert ["v"] == disposed

    def test_inner_that_becomes_known_later(self):
        """A waiter that was there before the function returned the owner counts too."""
        d, _, reasons = owner()
        source = Deferred()
        derived = source.chain(lambda _: d)
        waiter = wait_in_greenlet(get, derived)
        source.success(1)
        settle()
        waiter.kill()

        assert d.cancelled()
        assert derived.cancelled()
        assert 1 == len(reasons)

    @pytest.mark.parametrize("exception", [gevent.GreenletExit, gevent.Timeout])
    @pytest.mark.parametrize("use", [get, Deferred.chain, deferred.zip], ids=["", "chain", "zip"])
    @pytest.mark.parametrize("comes", ["before", "meanwhile", "after"])
    def test_waiter_that_left_before_the_function_returned(self, comes, use, exception):
        """What the function brings then is given back, whenever its value comes."""
        d, disposed, reasons = owner()
        gate, begun = Event(), Deferred()
        derived = begun.chain(lambda _: gate.wait() and d)
        waited = derived if use is get else use(derived)
        waiter = gevent.spawn(outcome_of, waited)
        begun.success(None)
        settle()
        if comes == "before":
            d.success("resource")
        waiter.kill(exception, block=comes != "meanwhile")
        gate.set()
        settle()
        if comes != "before":
            d.success("resource")
        settle()

        assert ["resource"] == disposed
        assert isinstance(waiter.get(), exception)
        assert waited.cancelled()
        # Whoever waited for it directly has it called off at once.
        assert bool(reasons) is (use is get and comes != "before")

    def test_waiter_that_left_and_another_one_that_came(self):
        """Who waits when the function returns gets the value."""
        d, disposed, _ = owner()
        gate, begun = Event(), Deferred()
        derived = begun.chain(lambda _: gate.wait() and d)
        begun.success(None)
        wait_in_greenlet(get, derived).kill()
        other = wait_in_greenlet(get, derived)
        gate.set()
        settle()
        d.success("resource")

        assert "resource" == other.get()
        assert [] == disposed

    def test_result_that_is_decided_before_the_function_returned(self):
        """What the function brings then is called off: nobody wants it."""
        d, _, reasons = owner()
        gate, begun = Event(), Deferred()
        derived = begun.chain(lambda _: gate.wait() and d)
        begun.success(None)
        settle()
        derived.success("another")
        gate.set()
        settle()

        assert d.cancelled()
        assert 1 == len(reasons)

    @pytest.mark.parametrize("leave", ["kill", "cancel"])
    def test_a_row_of_20_000(self, leave):
        """It is called off without a stack, and each says the same reason in the same few words."""
        d, _, reasons = owner()
        row = [d]
        for _ in range(20_000):
            row.append(row[-1].chain())
        if leave == "kill":
            wait_in_greenlet(get, row[-1]).kill()
            reason = gevent.GreenletExit
        else:
            reason = ValueError
            row[-1].cancel(ValueError("enough"))

        assert 1 == len(reasons)
        assert 1 == len({str(each.exception) for each in row})
        assert {reason} == {type(each.exception.__cause__) for each in row}

    def test_other_stages_keep_it(self):
        """A second stage on the source keeps the work going."""
        d, _, reasons = owner()
        kept = d.chain(lambda v: v + "!")
        wait_in_greenlet(get, d.chain(id)).kill()

        assert [] == reasons
        d.success("v")
        assert "v!" == kept.get()

    def test_cancel_of_a_derived_one(self):
        """Cancelling a derived deferred withdraws its stage, and calls the work off."""
        d, _, reasons = owner()
        ran = []
        derived = d.chain(ran.append)
        derived.cancel()

        assert d.cancelled()
        assert 1 == len(reasons)
        assert not d._entries

    def test_cancelled_between_value_and_stage(self):
        """Cancelled when the value is there but the stage not begun, it is disposed of."""
        d, disposed, _ = owner()
        ran = []
        derived = d.chain(ran.append)
        d.success("v")
        derived.cancel()
        settle()

        assert [] == ran
        assert ["v"] == disposed

    def test_cancelled_while_the_stage_runs(self):
        """Cancelled while its function waits, the function is interrupted."""
        d, disposed, _ = owner()
        seen = []

        def read(value):
            try:
                gevent.sleep(10)
            except gevent.GreenletExit:
                seen.append(value)
                raise

        derived = d.chain(read)
        waiter = wait_in_greenlet(get, derived)
        d.success("v")
        settle()
        waiter.kill()
        settle()

        assert ["v"] == seen
        assert [] == disposed
        assert derived.cancelled()

    def test_interrupts_only_its_own(self):
        """A function that ends in the moment of cancelling does not get the next one killed."""
        d, _, _ = owner()
        gate, door = Deferred(), Deferred()
        seen = []
        derived = d.chain(lambda _: gate.get())
        d.success("v")
        settle()
        gate.link(lambda _: (door.get(), seen.append("unharmed")))
        gate.success(1)
        derived.cancel()
        settle()
        door.success(1)
        settle()

        assert ["unharmed"] == seen

    def test_own_way_of_disposing(self):
        """A derived deferred that was told how to dispose keeps to it."""
        d, _, _ = owner()
        owns(d)
        disposed = []
        derived = d.chain()
        owns(derived, disposed.append)
        d.success("v")
        settle()
        derived._let_go(None)

        assert ["v"] == disposed

    def test_plain_stays_plain(self):
        """Stages of a plain deferred own nothing: a killed waiter leaves them pending."""
        source = Deferred()
        derived = source.chain(id)
        wait_in_greenlet(get, derived).kill()

        assert not derived.ready()
        assert not source.ready()


class TestHoldHub:
    def test_realized_already(self):
        """A realized deferred holds nothing."""
        active = gevent.get_hub().loop.activecnt
        hold_hub(deferred.success(1))

        assert active == gevent.get_hub().loop.activecnt

    def test_until_realized(self):
        """The loop counts it until the outcome is there."""
        loop = gevent.get_hub().loop
        active = loop.activecnt
        d = Deferred()
        hold_hub(d)
        assert active + 1 == loop.activecnt
        d.success(1)

        assert active == loop.activecnt
