"""Carrying out the rules of ownership where threads meet."""

from __future__ import annotations

import gc

import gevent
import pytest
from gevent import get_hub
from gevent.monkey import get_original

from galeph.deferred import Deferred, connect, zip
from galeph.deferred._ownership import call_off, in_own_thread, let_go
from galeph.deferred.producer import on_cancel, on_dropped, owns
from galeph.errors import Cancelled
from tests.deferred import threads

get_ident = get_original("_thread", "get_ident")


class TestInOwnThread:
    def test_here(self):
        """In the owner's thread, and without an owner, the function is called at once."""
        owned, free, seen = Deferred(), Deferred(), []
        owns(owned)
        in_own_thread(owned, seen.append, 1)
        in_own_thread(free, seen.append, 2)

        assert [1, 2] == seen

    def test_elsewhere(self):
        """From another thread it is called by the owner's hub."""
        d, seen = Deferred(), []
        owns(d)
        threads.run(in_own_thread, d, lambda _: seen.append(get_ident()), None)

        assert [get_ident()] == seen


class TestCallOff:
    def test_once(self):
        """The producer is told once."""
        d, seen = Deferred(), []
        on_cancel(d, seen.append)
        reason = ValueError()
        call_off(d, reason)
        call_off(d, reason)

        assert [reason] == seen


class TestLetGo:
    def test_disposes_once(self):
        """An untaken value is disposed of once."""
        d, seen = Deferred(), []
        owns(d, seen.append)
        d.success(1)
        let_go(d, None)
        let_go(d, None)

        assert [1] == seen

    def test_error_is_nothing_to_dispose_of(self):
        """A failed owner has nothing to give back."""
        d, seen = Deferred(), []
        owns(d, seen.append)
        d.cancel()
        let_go(d, None)

        assert [] == seen


def lend(told):
    lent = Deferred()
    owns(lent, lambda thing: None)
    on_dropped(lent, lambda: told.append(gevent.getcurrent()))
    lent.success("thing")
    return lent


class TestDropped:
    def test_tells_so_in_the_hub(self):
        """If nobody has taken the value when the deferred dies."""
        told = []
        lent = lend(told)
        gevent.sleep(0)
        before = list(told)
        del lent
        at_once = list(told)
        gevent.sleep(0)

        assert [] == before
        assert [] == at_once
        assert [get_hub()] == told

    def test_in_a_cycle(self):
        """So it does from within the garbage collector."""
        told = []
        lent = lend(told)
        lent.metadata["itself"] = lent
        del lent
        gc.collect()
        gevent.sleep(0)

        assert [get_hub()] == told

    def test_of_several_in_a_list(self):
        """Each tells for itself, once; none if the list was taken."""
        told = []
        taken = zip(lend(told), lend(told)).get()
        gevent.sleep(0)
        assert ["thing", "thing"] == taken
        assert [] == told
        zip(lend(told), zip(lend(told)))
        gc.collect()
        gevent.sleep(0)

        assert [get_hub()] * 2 == told

    def test_after_it_was_taken(self):
        """It tells nothing."""
        told = []
        values = [lend(told).get(), lend(told).value, lend(told).chain(str.upper).get()]
        gevent.sleep(0)

        assert ["thing", "thing", "THING"] == values
        assert [] == told

    def test_the_value_of_a_pending_one(self):
        """To look for a value that has not come takes nothing."""
        lent = Deferred()
        owns(lent, lambda thing: None)

        assert lent.value is None
        assert not lent._is_taken


def owner(given_back):
    """A deferred of a thing, that notes when it is given back."""
    made = Deferred()
    owns(made, given_back.append)
    return made


def kill_after_the_value_has_come(greenlet, source):
    """Kill one that waits for what is made of ``source``, between the value and its switch."""
    source.rawlink(lambda _: greenlet.kill(block=False))


GO_ON = [
    lambda source: source.chain(),
    lambda source: source.finally_(lambda: None),
    lambda source: zip(source),
    lambda source: zip(source, source),
]


class TestOfSeveral:
    """One value, in several deferreds."""

    @pytest.mark.parametrize("go_on", GO_ON)
    def test_taken_elsewhere(self, go_on):
        """Who leaves one of them does not take the value away from somebody who has it."""
        given_back = []
        source = owner(given_back)
        left = gevent.spawn(go_on(source).get)
        gevent.sleep(0)
        kill_after_the_value_has_come(left, source)
        gevent.spawn(source.success, "thing")
        taken = source.get()
        left.join()

        assert isinstance(left.value, gevent.GreenletExit)
        assert "thing" == taken
        assert [] == given_back

    @pytest.mark.parametrize("go_on", GO_ON)
    def test_wanted_elsewhere(self, go_on):
        """Nor from somebody who may still take it; when he has left, it is given back, once."""
        given_back = []
        source = owner(given_back)
        other = go_on(source)
        leaving = [gevent.spawn(source.chain().get), gevent.spawn(other.get)]
        gevent.sleep(0)
        source.rawlink(lambda _: leaving[0].kill(block=False))
        source.success("thing")
        leaving[0].join()
        before = list(given_back)
        leaving[1].join()

        assert [] == before
        assert [] == given_back
        assert leaving[1].value in ("thing", ["thing"], ["thing", "thing"])

    @pytest.mark.parametrize("go_on", GO_ON)
    def test_all_have_left(self, go_on):
        """It is given back once, and none of them gives it to somebody then."""
        given_back = []
        source = owner(given_back)
        results = [source.chain(), go_on(source)]
        leaving = [gevent.spawn(each.get) for each in results]
        gevent.sleep(0)
        for greenlet in leaving:
            kill_after_the_value_has_come(greenlet, source)
        source.success("thing")
        gevent.joinall(leaving)

        assert ["thing"] == given_back
        assert all(each.cancelled() for each in [source, *results])

    def test_one_that_was_left_takes_nothing(self):
        """Whoever asks it then has no value, so the others go on as if it were not there."""
        told = []
        source = lend(told)
        left, other = source.chain(), source.chain()
        let_go(left, None)
        with pytest.raises(Cancelled):
            left.get()
        del source
        gevent.sleep(0)
        before = list(told)
        del other
        gevent.sleep(0)

        assert [] == before
        assert [get_hub()] == told

    def test_after_it_was_taken(self):
        """What is made of it when somebody has it already gives nothing back."""
        given_back = []
        source = owner(given_back)
        source.success("thing")
        taken = source.get()
        made = source.chain()
        let_go(made, None)

        assert "thing" == taken
        assert [] == given_back

    def test_into_one_that_has_a_value(self):
        """It is given back by what it came from; the other keeps its own, and its duty."""
        first, second = [], []
        sources = [owner(first), owner(second)]
        for number, source in enumerate(sources):
            source.success(number)

        def be_late(_):
            connect(sources[0], target)
            return sources[1]

        trigger = Deferred()
        target = trigger.chain(be_late)
        trigger.success(None)
        gevent.sleep(0)

        assert [] == first
        assert [1] == second
        let_go(target, None)
        assert [0] == first
        assert [1] == second
