"""Waits that nothing alive can end, said in words that help."""

from __future__ import annotations

import pickle
import traceback
from functools import partial

import gevent
import pytest
from gevent import queue
from gevent.event import AsyncResult
from gevent.exceptions import LoopExit

import galeph
from galeph import deferred
from galeph.bus import EventBus
from galeph.byte_streams import PushbackQueue
from galeph.deferred import Deferred, _deadlock
from galeph.deferred._deadlock import raise_deadlock
from galeph.deferred.producer import owns
from galeph.stream import Stream, sink, source
from galeph.testing import ManualClock
from tests.deferred import threads
from tests.deferred.test_origins import here


def by_a_manual_clock(d):
    with ManualClock():
        return d.result(60)


class TestDeferred:
    @pytest.mark.parametrize(
        "wait", [Deferred.get, Deferred.wait, Deferred.result, by_a_manual_clock]
    )
    def test_is_named(self, wait):
        """Waiting for what nobody can complete names it, where it was made, and why."""
        d, place = Deferred(), here()

        # In a thread, for a hub that has nothing else to do.
        error = threads.run(wait, d)

        assert isinstance(error, galeph.Deadlock)
        assert "nobody can complete <Deferred pending>" in str(error)
        assert f"(made at {place})" in str(error)
        assert "no greenlet that can go on, no timer and no socket" in str(error)
        assert "deferred(from_thread=True)" in str(error)
        assert not d.ready()

    @pytest.mark.parametrize("wait", [Deferred.get, Deferred.result, by_a_manual_clock])
    def test_of_one_that_owns_says_so_in_words_of_ours(self, wait):
        """It is named as it was, pending, and cancelled without gevent's text about its hub."""
        d = Deferred()

        def work():
            owns(d)
            return wait(d)

        error = threads.run(work)

        assert "nobody can complete <Deferred pending>" in str(error)
        assert d.cancelled()
        assert "cancelled: nobody could complete it, and who waited has left" == str(d.exception)
        assert error is d.exception.__cause__
        assert "Hub" not in repr(d)

    def test_is_gevents_too(self):
        """It is a LoopExit for those who catch that, with gevent's own as the cause."""
        error = threads.run(Deferred().get)

        assert isinstance(error, LoopExit)
        assert type(error.__cause__) is LoopExit
        assert repr(error).startswith("Deadlock('nobody can complete")

    def test_name(self):
        """A traceback shows it by the name it is caught by; and it can be pickled."""
        error = threads.run(Deferred().get)
        again = pickle.loads(pickle.dumps(error))

        shown = "".join(traceback.format_exception_only(error))
        assert shown.startswith("galeph.errors.Deadlock: nobody can complete")
        assert type(again) is type(error)
        assert str(again) == str(error)

    def test_owner(self):
        """Nobody else can take the value then, so the work for it is called off."""
        d = Deferred()

        def wait():
            owns(d)
            return d.get()

        assert isinstance(threads.run(wait), galeph.Deadlock)
        assert d.cancelled()


class TestStream:
    @pytest.mark.parametrize(
        ("use", "said"),
        [
            (lambda s: s.take(), "nobody can put to <stream"),
            (lambda s: s.put(1), "nobody can take from <stream"),
        ],
    )
    def test_is_named(self, use, said):
        """A take that nobody can serve, and a put, name the stream and where it was made."""
        streams = []

        def work():
            streams.append(Stream(description="mine"))
            return use(streams[0])

        error = threads.run(work)

        assert isinstance(error, galeph.Deadlock)
        assert said in str(error)
        assert "'mine'" in str(error)
        assert f"made at {__file__}:" in str(error)


class TestOtherWaits:
    @pytest.mark.parametrize(
        ("use", "said"),
        [
            (lambda: PushbackQueue(3).take(5), "put to <PushbackQueue of 0 bytes, capacity 3>"),
            (lambda: PushbackQueue(3).put(b"abcd"), "take from <PushbackQueue of 4 bytes"),
            (lambda: source(queue.Queue()).take(), "put to <queue source"),
            (lambda: sink(queue.Channel()).put(1), "take from <queue sink"),
            (lambda: source(Deferred()).take(), "complete <Deferred pending>"),
            (lambda: source([Deferred()]).realize_each().take(), "complete <Deferred pending>"),
            (
                lambda: source([Deferred()]).realize_each().map(str).filter(bool).take(),
                "complete <Deferred pending>",
            ),
        ],
    )
    def test_is_named(self, use, said):
        """Whatever galeph waits in, the error names it, and not what stands for it inside."""
        error = threads.run(use)

        assert isinstance(error, galeph.Deadlock)
        assert f"nobody can {said}" in str(error)

    @pytest.mark.parametrize("takers", [1, 2])
    def test_operator(self, takers):
        """A take from an operator names the stream that its messages would come from."""

        def work():
            mapped = Stream(description="mine").map(str)
            for _ in range(1, takers):
                gevent.spawn(mapped.take)
            gevent.sleep(0)
            return mapped.take()

        error = threads.run(work)

        assert isinstance(error, galeph.Deadlock)
        assert "nobody can put to <stream" in str(error)
        assert "'mine'" in str(error)

    @pytest.mark.parametrize("make", [lambda: PushbackQueue(3), lambda: source(queue.Queue())])
    def test_in_line(self, make):
        """So does the error of a greenlet that stands in line behind another one."""

        def work():
            waited_for = make()
            take = partial(waited_for.take, *[5][: isinstance(waited_for, PushbackQueue)])
            gevent.spawn(take)
            gevent.sleep(0)
            return take()

        error = threads.run(work)

        assert isinstance(error, galeph.Deadlock)
        assert "nobody can put to <" in str(error)

    @pytest.mark.parametrize("options", [{}, {"buffer": 1}])
    def test_published(self, options):
        """A message that no subscriber takes names the topic and who keeps it waiting."""

        def work():
            bus = EventBus(partial(Stream, description="slow"))
            subscription = bus.subscribe("news", **options)
            try:
                while bus.publish("news", 1):
                    pass
            finally:
                assert 0 == bus.stats().topics["news"].subscribers[0].waiting
                subscription.close()

        error = threads.run(work)

        assert isinstance(error, galeph.Deadlock)
        assert "nobody can take what was published on topic 'news' from <" in str(error)


def itself():
    d = Deferred()
    d.success(d)
    return d


def each_other():
    a, b = Deferred(), AsyncResult()
    a.success(b)
    b.set(a)
    return a


def far_down():
    first = last = itself()
    for _ in range(100):
        first = deferred.success(first)
    assert last is not first
    return first


class TestCircle:
    @pytest.mark.parametrize("make", [itself, each_other, far_down])
    @pytest.mark.parametrize(
        "use",
        [
            lambda d: d.chain(str),
            lambda d: d.catch(ValueError, str),
            lambda d: d.finally_(list),
            lambda d: deferred.success(1).chain(lambda _: d),
            lambda d: deferred.loop(lambda: d) if isinstance(d._value, Deferred) else d.chain(),
            lambda d: deferred.flow(lambda: d)(),
            lambda d: deferred.flow(str)(d),
            lambda d: deferred.zip(d, 1),
            lambda d: deferred.future(lambda: d).chain(),
        ],
    )
    def test_has_no_value(self, make, use):
        """What has itself as its value is an error for whoever looks for that, not a hot loop."""
        with pytest.raises(galeph.Deadlock, match="has itself as its value"):
            use(make()).get(timeout=5)

    @pytest.mark.parametrize("make", [itself, each_other, far_down])
    def test_unwrap(self, make):
        """So it is for `unwrap`."""
        with pytest.raises(galeph.Deadlock, match="has itself as its value"):
            deferred.unwrap(make())

    def test_closed_later(self):
        """And for those who hang on it when it becomes one."""
        a, b = Deferred(), Deferred()
        results = [a.chain(str), b.chain(str), deferred.loop(lambda: a)]
        a.success(b)
        b.success(a)

        for result in results:
            with pytest.raises(galeph.Deadlock, match="has itself as its value"):
                result.get(timeout=5)

    def test_depth_is_none(self):
        """A long way down is no circle, nor is the same deferred in round after round."""
        bottom = deferred.success(7)
        top = bottom
        for _ in range(10_000):
            top = deferred.success(top)
        rounds = iter(range(1000))

        assert 7 == top.chain().get()
        assert 7 == deferred.unwrap(top)
        assert 7 == deferred.loop(lambda: recurring if next(rounds) < 900 else bottom).get()


recurring = deferred.success(deferred.recur())


class TestRaising:
    @pytest.mark.parametrize("error", [gevent.GreenletExit(), gevent.Timeout(), ValueError()])
    def test_other_errors(self, error):
        """Whatever else came out of the wait is left alone."""
        assert raise_deadlock(error, Deferred(), "complete") is None

    def test_one_that_was_named(self):
        """What has been named before keeps its name."""
        with pytest.raises(galeph.Deadlock, match="complete") as caught:
            raise_deadlock(LoopExit(), Deferred(), "complete")

        assert raise_deadlock(caught.value, Stream(), "put to") is None

    def test_without_debug_mode(self, monkeypatch):
        """Without debug mode it says what would tell where the thing was made."""
        monkeypatch.setattr(_deadlock, "IS_DEBUG", False)

        with pytest.raises(galeph.Deadlock, match="GALEPH_DEBUG=1 in the environment tells where"):
            raise_deadlock(LoopExit(), object, "complete")

    def test_of_galephs_own(self):
        """In debug mode what no user's code made is galeph's own."""
        with pytest.raises(galeph.Deadlock, match="made by galeph itself"):
            raise_deadlock(LoopExit(), object, "complete")
