"""Whose a deferred is, and how entries are hung on and found."""

from __future__ import annotations

import contextvars
import gc
import weakref

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.exceptions import InvalidThreadUseError
from greenlet import getcurrent

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._entries import Link
from galeph.deferred._hanging import adopt, has_company, is_free, listen, thread_ident, unlisten
from galeph.deferred.producer import on_ready
from tests.deferred import threads
from tests.deferred.threads import settle


class TestOwner:
    def test_nobody_at_first(self):
        """A fresh deferred belongs to no hub, and takes none to be realized and looked at."""
        d = deferred.success(1)
        d.get()
        d.chain(str)

        assert d.hub is None

    @pytest.mark.parametrize(
        "use",
        [
            lambda d: d.rawlink(id),
            lambda d: d.link(id),
            lambda d: d.on_realized(id, id),
            lambda d: d.chain(id),
            lambda d: d.catch(id),
            lambda d: d.timeout(10),
            adopt,
        ],
    )
    def test_first_user_owns(self, use):
        """The hub of whoever first hangs something on is the owner."""
        d = Deferred()
        use(d)

        assert d.hub is gevent.get_hub()
        d.cancel()

    @pytest.mark.parametrize(
        "use",
        [
            lambda d: d.get(),
            lambda d: d.wait(),
            lambda d: d.result(1),
            lambda d: d.rawlink(id),
            lambda d: d.link(id),
            lambda d: d.on_realized(id, id),
            lambda d: d.chain(id),
            lambda d: d.timeout(10),
        ],
    )
    def test_foreign_thread_is_refused(self, use):
        """Another thread can neither wait nor hang anything on: InvalidThreadUseError."""
        d = Deferred()
        adopt(d)

        error = threads.run(use, d)

        assert isinstance(error, InvalidThreadUseError)
        assert "<Deferred pending> belongs to the OS thread" in str(error)
        assert "deferred(from_thread=True)" in str(error)
        assert not d.ready()

    def test_number_of_the_thread(self):
        """The thread's own number, not its greenlet's, also where gevent has patched."""
        numbers = {gevent.spawn(thread_ident) for _ in range(2)}
        gevent.joinall(numbers)

        assert {gevent.get_hub().thread_ident} == {greenlet.value for greenlet in numbers}


class TestRealizingFromAThread:
    def test_wakes_waiters_of_every_kind(self):
        """get, gevent.wait, links, listeners and stages run in the owner's thread, soon."""
        d = Deferred()
        here = thread_ident()
        seen = []
        d.rawlink(lambda _: seen.append(("rawlink", thread_ident())))
        d.link(lambda _: seen.append(("link", thread_ident())))
        d.on_realized(lambda _: seen.append(("listener", thread_ident())), id)
        d.chain(lambda _: seen.append(("stage", thread_ident())))
        on_ready(d, lambda: seen.append(("inline", thread_ident())))
        threads.start(d.success, 1, after=0.01)
        keep_running = gevent.spawn(gevent.sleep, 5)

        with gevent.Timeout(4):
            assert [d] == gevent.wait([d])
            assert 1 == d.get()
            settle()
        keep_running.kill()

        assert {"rawlink", "link", "listener", "stage", "inline"} == {kind for kind, _ in seen}
        assert {here} == {thread for _, thread in seen}

    def test_gevent_wait_links_before_there_is_a_hub(self):
        """gevent.wait on a fresh deferred wakes up when a thread realizes it."""
        d = Deferred()
        threads.start(d.success, 1, after=0.01)
        keep_running = gevent.spawn(gevent.sleep, 5)

        assert [d] == gevent.wait([d], timeout=3)
        keep_running.kill()

    def test_cancel_from_a_thread(self):
        """cancel may come from any thread."""
        d = Deferred()
        seen = []
        d.on_realized(seen.append, seen.append)

        assert threads.run(d.cancel) is True
        settle()

        assert [d.exception] == seen

    def test_owner_is_gone(self):
        """A deferred whose owner's hub was destroyed can still be realized and read."""

        def hang():
            d = Deferred()
            d.on_realized(print, print)
            d.rawlink(print)
            return d

        d = threads.run(hang)

        assert d.success(1) is True
        assert 1 == d.get()

    def test_new_hub_after_the_old(self):
        """A deferred left by a destroyed hub of this thread can be waited for in the next."""

        def two_hubs():
            d = Deferred()
            adopt(d)
            gevent.get_hub().destroy(destroy_loop=True)
            gevent.spawn_later(0.001, d.success, 1)
            return d.get()

        assert 1 == threads.run(two_hubs)


class TestEntries:
    def test_unlisten(self):
        """An entry that is taken off does not run."""
        d = Deferred()
        seen = []
        entry = Link(seen.append, contextvars.copy_context())
        listen(d, entry)

        unlisten(d, entry)
        unlisten(d, entry)
        d.success(1)
        settle()

        assert [] == seen

    def test_company(self):
        """Waiters, links and listeners are company; inline callbacks are not."""
        assert not has_company(Deferred())
        for hang in (lambda d: d.rawlink(id), lambda d: d.link(id), lambda d: d.chain(id)):
            d = Deferred()
            hang(d)
            assert has_company(d)
        d = Deferred()
        on_ready(d, int)
        assert not has_company(d)

    def test_free(self):
        """Free is what is realized and has nothing queued, outside the hub."""
        pending, realized, queued = Deferred(), deferred.success(1), Deferred()
        queued.link(id)
        queued.success(1)
        in_hub = AsyncResult()
        gevent.get_hub().loop.run_callback(lambda: in_hub.set(is_free(realized)))

        assert not is_free(pending)
        assert is_free(realized)
        assert not is_free(queued)
        assert in_hub.get() is False
        assert is_free(queued)

    def test_one_or_several(self):
        """A single entry hangs there by itself, several in a queue; nothing is left of them."""
        d = Deferred()
        d.link(id)
        assert isinstance(d._entries, Link)
        d.link(id)
        assert [Link, Link] == [type(entry) for entry in d._entries]

        d.success(1)
        settle()

        assert d._entries is None

    def test_unlisten_looks_at_no_other(self):
        """However many hang there: a request that ends does not search all those that go on."""
        compared = []

        class Stubborn(Link):
            def __eq__(self, other):
                compared.append(other)
                return self is other

            __hash__ = object.__hash__

        d = Deferred()
        entries = [Stubborn(id, contextvars.copy_context()) for _ in range(100)]
        for entry in entries:
            listen(d, entry)
        for entry in reversed(entries):
            unlisten(d, entry)

        assert [] == compared
        assert not has_company(d)

    @pytest.mark.parametrize("end", [Deferred.cancel, lambda d: d.timeout(0, None)])
    def test_stages_that_are_over_do_not_gather(self, end):
        """What lives long, such as a server's end, may be chained to for each request."""
        d, made, ran = Deferred(), [], []
        kept = d.chain(ran.append)
        for _ in range(1000):
            stage = d.chain(pytest.fail)
            end(stage)
            made.append(weakref.ref(stage))
        del stage
        gc.collect()

        assert sum(ref() is not None for ref in made) < 100
        last = d.chain(ran.append)
        d.success(1)
        deferred.zip(kept, last).get()
        assert [1, 1] == ran

    def test_an_error_that_stages_looked_at_that_are_over(self, galeph_unseen_errors):
        """It is as seen as if they hung there still."""
        d = Deferred()
        for _ in range(100):
            d.chain(pytest.fail).timeout(0, None)
        d.error(ValueError())
        del d
        settle()

        assert [] == galeph_unseen_errors()

    def test_unlisten_from_a_queue(self):
        """Taken off one by one, entries leave nothing behind."""
        d = Deferred()
        entries = [Link(pytest.fail, contextvars.copy_context()) for _ in range(3)]
        for entry in entries:
            listen(d, entry)
        for entry in entries:
            assert has_company(d)
            unlisten(d, entry)

        assert d._entries is None
        assert not has_company(d)
        d.success(1)
        settle()

    def test_a_hundred_thousand(self):
        """Very many listeners on one deferred are called in order, in time that grows with them."""
        d = Deferred()
        count = 100_000
        seen = []
        for n in range(count):
            d.link(lambda _, n=n: seen.append(n))
        d.success(1)
        settle()

        assert list(range(count)) == seen

    def test_inline_before_listeners(self):
        """An inline callback runs where the deferred is realized, before any listener."""
        d = Deferred()
        seen = []
        d.on_realized(seen.append, seen.append)
        on_ready(d, seen.append, "inline")
        d.on_realized(seen.append, seen.append)

        d.success("listener")
        assert ["inline"] == seen
        settle()

        assert ["inline", "listener", "listener"] == seen

    def test_inline_may_hang_more_on(self):
        """A listener hung on by an inline callback runs after those that were there."""
        d = Deferred()
        seen = []
        d.link(lambda _: seen.append("first"))
        on_ready(d, lambda: d.link(lambda _: seen.append("second")))

        d.success(1)
        settle()

        assert ["first", "second"] == seen

    @pytest.mark.attack(298)
    def test_abandoned_graph_is_collected(self):
        """A pending graph of stages that nobody can realize any more is garbage."""
        gc.collect()
        before = sum(type(thing) is Deferred for thing in gc.get_objects())
        for _ in range(1000):
            a, b = Deferred(), Deferred()
            joined = deferred.zip(a.chain(id), b.catch(id), deferred.alt(a, b)).timeout(None)
            joined.on_realized(id, id)
        del a, b, joined
        gc.collect()

        assert before == sum(type(thing) is Deferred for thing in gc.get_objects())


class TestLinks:
    def test_called_in_the_hub(self):
        """A link is called in the hub, with the deferred, once, in order."""
        d = Deferred()
        seen = []
        d.rawlink(lambda source: seen.append((1, source, getcurrent() is gevent.get_hub())))
        d.rawlink(lambda source: seen.append((2, source, getcurrent() is gevent.get_hub())))
        assert 2 == d.linkcount()

        d.success("v")
        assert [] == seen
        settle()

        assert [(1, d, True), (2, d, True)] == seen
        assert 0 == d.linkcount()

    def test_on_a_realized_one(self):
        """A link on a realized deferred is called soon, not at once."""
        d = deferred.success(1)
        seen = []
        d.rawlink(seen.append)

        assert [] == seen
        settle()
        assert [d] == seen

    def test_unlink(self):
        """A link that is taken off before its turn is not called."""
        d = Deferred()
        seen = []
        d.rawlink(seen.append)
        d.unlink(seen.append)
        d.unlink(seen.append)
        Deferred().unlink(seen.append)
        d.rawlink(lambda _: d.unlink(seen.append))
        d.rawlink(seen.append)
        d.success(1)
        settle()

        assert [] == seen

    def test_failing_link(self, galeph_hub_errors):
        """What a link raises is the hub's to print; the next one is called."""
        d = Deferred()
        seen = []

        def broken(_):
            raise ValueError("broken link")

        d.rawlink(broken)
        d.rawlink(seen.append)
        d.success(1)
        settle()

        assert [d] == seen
        assert ["broken link"] == [error.message for error in galeph_hub_errors]
        galeph_hub_errors.clear()

    def test_link_that_links(self):
        """A link hung on by a link has its turn later; one that does so for ever blocks nobody."""
        d = Deferred()
        turns = []

        def again(_):
            turns.append(1)
            if len(turns) < 50:
                d.rawlink(again)

        d.rawlink(again)
        d.success(1)
        settle()

        assert 50 == len(turns)

    def test_wants_a_callable(self):
        """What cannot be called is a TypeError."""
        with pytest.raises(TypeError, match="callback must be callable"):
            Deferred().rawlink(None)
