"""Listeners and links: what they are given, and what becomes of what they raise."""

from __future__ import annotations

import contextvars
import logging

import gevent
import pytest
from gevent.hub import Hub
from greenlet import getcurrent

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._entries import EntryQueue
from tests.deferred.threads import settle

WHO = contextvars.ContextVar("who", default="nobody")


def nothing(_):
    pass


class TestOnRealized:
    @pytest.mark.parity("DEF-12")
    def test_value(self):
        """The first function is called with the value, later, once."""
        d = Deferred()
        seen = []
        assert d.on_realized(seen.append, seen.append) is d

        d.success(1)
        assert [] == seen
        settle()

        assert [1] == seen

    @pytest.mark.parity("DEF-12")
    def test_error(self):
        """The second function is called with the error."""
        d = Deferred()
        seen = []
        d.on_realized(pytest.fail, seen.append)
        error = ValueError()

        d.error(error)
        settle()

        assert [error] == seen

    @pytest.mark.parity("DEF-12")
    def test_at_once(self):
        """On a realized deferred the function is called before on_realized returns."""
        seen = []

        deferred.success(1).on_realized(seen.append, seen.append)
        error = ValueError()
        deferred.error(error).on_realized(pytest.fail, seen.append)

        assert [1, error] == seen

    @pytest.mark.parity("DEF-02", "DEF-12")
    @pytest.mark.parametrize("count", [3, 50, 300])
    def test_in_order(self, count):
        """Any number of listeners is called in the order of registration."""
        d = Deferred()
        seen = []
        for n in range(count):
            d.on_realized(lambda _, n=n: seen.append(n), nothing)

        d.success(None)
        settle()

        assert list(range(count)) == seen

    def test_late_listener_goes_behind(self):
        """One hung on after success, while earlier ones are still queued, is called after them."""
        d = Deferred()
        seen = []
        d.on_realized(lambda _: seen.append("early"), nothing)
        d.success(None)

        d.on_realized(lambda _: seen.append("late"), nothing)
        assert [] == seen
        settle()

        assert ["early", "late"] == seen

    def test_may_block(self):
        """A listener that blocks holds up neither the next listener nor the realizer."""
        d = Deferred()
        gate = Deferred()
        seen = []
        d.on_realized(lambda _: seen.append(gate.get()), nothing)
        d.on_realized(lambda _: gate.success("opened by the second"), nothing)

        d.success(None)
        settle()

        assert ["opened by the second"] == seen

    def test_never_in_the_hub(self):
        """Realized or hung on in the hub, a function still runs in a greenlet."""
        seen = []

        def where(_):
            seen.append(isinstance(getcurrent(), Hub))

        pending, realized = Deferred(), deferred.success(1)
        pending.on_realized(where, where)
        loop = gevent.get_hub().loop
        loop.run_callback(pending.success, 1)
        loop.run_callback(realized.on_realized, where, where)
        settle()

        assert [False, False] == seen

    def test_context_of_registration(self):
        """A listener runs in a copy of the context it was registered in."""
        d = Deferred()
        seen = []

        def listen(_):
            seen.append(WHO.get())
            WHO.set("set by the listener")

        token = WHO.set("me")
        d.on_realized(listen, listen)
        d.on_realized(listen, listen)
        WHO.reset(token)
        d.success(None)
        settle()

        assert ["me", "me"] == seen
        assert "nobody" == WHO.get()

    def test_context_at_once(self):
        """What a listener called at once sets does not leak to the caller either."""
        deferred.success(1).on_realized(WHO.set, WHO.set)

        assert "nobody" == WHO.get()

    @pytest.mark.parametrize(
        "use",
        [
            lambda f: Deferred().chain(str, f),
            lambda f: deferred.success(1).chain(f),
            lambda f: Deferred().catch(f),
            lambda f: Deferred().finally_(f),
            lambda f: Deferred().on_realized(str, f),
            lambda f: deferred.loop(f),
            lambda f: deferred.future(f),
            lambda f: deferred.flow(f),
        ],
    )
    def test_asyncio_function(self, use):
        """A function of asyncio's is refused at once, by name: what it returns would never run."""

        async def fetch(*args):
            """Return nothing."""

        with pytest.raises(TypeError, match="must block and not await") as caught:
            use(fetch)
        assert f"{fetch!r} is an async function" in str(caught.value)

    @pytest.mark.parity("DEF-15")
    def test_exception_is_logged(self, caplog):
        """What a listener raises is logged, and stops neither the others nor the realizer."""
        d = Deferred()
        seen = []

        def broken(_):
            raise ValueError("broken listener")

        def timed_out(_):
            raise gevent.Timeout(1)

        d.on_realized(broken, broken)
        d.on_realized(timed_out, timed_out)
        d.on_realized(seen.append, seen.append)
        with caplog.at_level(logging.ERROR, "galeph.deferred"):
            assert d.success(1) is True
            settle()

        assert [1] == seen
        assert ["a listener of a deferred failed"] * 2 == caplog.messages
        assert [ValueError, gevent.Timeout] == [r.exc_info[0] for r in caplog.records]

    @pytest.mark.parity("DEF-15")
    def test_exception_at_once(self, caplog):
        """So is what a listener called at once raises: it does not reach who registers it."""
        d = deferred.success(1)
        seen = []

        def broken(_):
            raise ValueError("broken listener")

        with caplog.at_level(logging.ERROR, "galeph.deferred"):
            assert d.on_realized(broken, broken) is d
            d.link(broken)
            assert d.add_listener(deferred.listener(broken)) is True
            d.on_realized(seen.append, seen.append)

        assert [1] == seen
        assert ["a listener of a deferred failed"] * 3 == caplog.messages
        assert [ValueError] * 3 == [r.exc_info[0] for r in caplog.records]

    @pytest.mark.parametrize("error", [gevent.Timeout(1), gevent.GreenletExit()])
    def test_interruption_at_once(self, error):
        """A kill or a Timeout that arrives there was meant for the greenlet that registers."""

        def interrupted(_):
            raise error

        with pytest.raises(type(error)):
            deferred.success(1).on_realized(interrupted, interrupted)

    def test_killed_listener(self, caplog):
        """A listener ended by GreenletExit ends quietly, and the next one runs."""
        d = Deferred()
        seen = []

        def killed(_):
            raise gevent.GreenletExit

        d.on_realized(killed, killed)
        d.on_realized(seen.append, seen.append)
        d.success(1)
        settle()

        assert [1] == seen
        assert [] == caplog.messages

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    def test_exit_goes_to_the_main_greenlet(self, kind, galeph_hub_errors):
        """SystemExit and KeyboardInterrupt of a listener end up where gevent sends them."""
        d = Deferred()

        def leave(_):
            raise kind

        d.on_realized(leave, leave)
        d.success(1)

        with pytest.raises(kind):
            gevent.sleep(1)
        # Printed as well, if it is a KeyboardInterrupt.
        galeph_hub_errors.clear()

    def test_wrong_arguments(self):
        """What cannot be called is a TypeError before anything happens."""
        d = Deferred()

        with pytest.raises(TypeError, match="on_success must be callable"):
            d.on_realized(None, nothing)
        with pytest.raises(TypeError, match="on_error must be callable"):
            d.on_realized(nothing, None)


class TestLink:
    def test_is_called_with_the_deferred(self):
        """link gives the deferred itself, of either outcome."""
        seen = []
        one, other = Deferred(), Deferred()
        one.link(seen.append)
        other.link(seen.append)

        one.success(1)
        other.error(ValueError())
        settle()

        assert [one, other] == seen

    def test_wants_a_callable(self):
        """What cannot be called is a TypeError."""
        with pytest.raises(TypeError, match="callback must be callable"):
            Deferred().link(1)


class TestEntryQueue:
    def test_knows_of_inline_entries(self):
        """A fresh queue holds entries in order, and none that is inline."""
        queue = EntryQueue("abc")

        assert ["a", "b", "c"] == list(queue)
        assert not queue.has_inline
