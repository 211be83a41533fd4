"""`Subscription`: the taking end, held by whoever takes and by nobody else."""

from __future__ import annotations

import gc
import weakref

import pytest

from galeph.stream import Sink, Stream, connect, consume
from galeph.stream.subscription import QueueSubscription, Subscription, subscription
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire


def subscribed(source):
    """A subscription to a source that somebody else holds, with nothing to do at its end."""
    return subscription(source, source.close)


def drain(source):
    """Everything that can be taken now."""
    return list(iter(lambda: source.try_take(0, "end", "nothing"), "nothing"))


class TestTaking:
    def test_takes_from_its_source(self):
        """In every way of taking, in one order."""
        stream = Stream(9)
        taking = subscribed(stream)
        stream.put_all("abcdef")

        assert "a" == taking.take()
        assert "b" == taking.try_take(0)
        assert "c" == taking.take_async().get()
        assert "d" == taking.get_nowait()
        assert "e" == next(iter(taking))
        assert "f" == stream.take()

    def test_is_synchronous_if_its_source_is(self):
        """And so is what is built on it."""
        for source, expected in ((Stream(), False), (Wire(), True)):
            taking = subscribed(source)

            assert expected is taking.is_synchronous is taking.map(str).is_synchronous
            assert expected is taking.description()["synchronous"]

    def test_waits_and_is_withdrawn_as_its_source_does(self):
        """A killed take leaves the message to the next."""
        stream = Stream(9)
        taking = subscribed(stream)
        killed, live = waiting(taking.take), waiting(taking.take)
        killed.kill(block=False)
        stream.put("a")

        assert "a" == live.get(timeout=1)

    def test_a_take_makes_room(self):
        """A waiting put enters the buffer."""
        stream = Stream(1)
        taking = subscribed(stream)
        stream.put("a")
        putter = waiting(stream.put, "b")

        assert "a" == taking.take()
        assert putter.get(timeout=1) is True
        assert "b" == taking.take()

    @pytest.mark.parametrize(
        ("source", "kind"), [(Stream, QueueSubscription), (Wire, Subscription)]
    )
    def test_takes_from_any_source(self, source, kind):
        """A queue has a shorter way."""
        made = source()
        taking = subscribed(made)
        taker = waiting(taking.take)
        made.put("a") if source is Stream else made.arrive("a")

        assert kind is type(taking)
        assert "a" == taker.get(timeout=1)

    def test_is_no_sink(self):
        """Nobody can put into it."""
        assert not isinstance(subscribed(Stream()), Sink)


class TestEnding:
    def test_its_end_is_that_of_its_source(self):
        """Drained when that is, also as an event."""
        stream, calls = Stream(1), []
        taking = subscribed(stream)
        taking.on_drained(lambda: calls.append("drained"))
        stream.put("a")
        stream.close()

        assert not taking.drained
        assert ["a"] == list(taking)
        settle()
        assert taking.drained
        assert ["drained"] == calls
        assert "end" == taking.take("end")

    def test_its_failure_too(self):
        """Takes raise what the source failed with."""
        stream = Stream()
        taking = subscribed(stream)
        error = ValueError("cut")
        stream.fail(error)

        assert error is taking.error
        with pytest.raises(ValueError, match="cut"):
            taking.take()
        assert not taking.drained

    def test_closing_is_what_it_was_given(self):
        """The one who made it says what that is."""
        calls = []
        subscription(Stream(), lambda: calls.append("closed")).close()

        assert ["closed"] == calls


class TestConnected:
    def test_links_and_operators_lead_out_of_its_source(self):
        """Messages put into the source arrive, in their order, and are counted as links."""
        stream, sink = Stream(), Stream(9)
        taking = subscribed(stream)
        connected = connect(taking, sink)
        mapped = taking.map(str)
        texts = []
        consume(mapped, texts.append)
        gc_proof = waiting(stream.put_all, [1, 2])
        settle()

        assert gc_proof.get(timeout=1) is True
        assert [1, 2] == drain(sink)
        assert ["1", "2"] == texts
        assert 2 == taking.link_count == stream.link_count
        stream.close()
        assert connected.get(timeout=1) is True

    def test_a_message_cut_off_returns(self):
        """Disconnected from a full sink, the message is the next to be taken."""
        stream, sink = Stream(1), Stream()
        taking = subscribed(stream)
        connected = connect(taking, sink)
        stream.put("a")
        settle()
        connected.cancel()

        assert "a" == taking.take()

    def test_the_fetching_operator_takes_for_himself(self):
        """A take on an operator waits in the greenlet that takes."""
        stream = Stream()
        mapped = subscribed(stream).map(lambda n: n + 1)
        taker = waiting(mapped.take)
        stream.put(1)

        assert 2 == taker.get(timeout=1)


class TestLifetime:
    def test_its_source_does_not_hold_it(self):
        """Not even after it was used, and connected, and an operator died."""
        stream = Stream(9)
        taking = subscribed(stream)
        stream.put("a")
        taking.take_async().get()
        connect(taking, Stream()).cancel()
        taking.map(str)
        settle()
        watched = weakref.ref(taking)
        del taking
        settle()
        gc.collect()

        assert watched() is None

    def test_everything_that_takes_holds_it(self):
        """A blocked take, a bound one, a pending one, a loop, an operator, a link."""
        stream = Stream()
        holders = {
            "take": waiting(subscribed(stream).take),
            "method": subscribed(stream).take,
            "pending": subscribed(stream).take_async(),
            "loop": iter(subscribed(stream)),
            "operator": subscribed(stream).map(str),
            "link": connect(subscribed(stream), Stream()),
        }
        gc.collect()

        found = [thing for thing in gc.get_objects() if isinstance(thing, QueueSubscription)]
        assert len(holders) == len(found)
        holders["take"].kill()
        holders["pending"].cancel()

    def test_an_operator_lets_go_without_the_collector(self):
        """Nobody waits for a garbage collection to learn that it is gone."""
        stream = Stream()
        mapped = subscribed(stream).map(str).map(len)
        found = [thing for thing in gc.get_objects() if type(thing) is QueueSubscription]
        watched = [weakref.ref(thing) for thing in found]
        del found
        gc.disable()
        try:
            del mapped
            settle()

            assert [None] == [each() for each in watched]
        finally:
            gc.enable()

    def test_links_let_go_without_the_collector_too(self):
        """Disconnected, directly or behind operators, it is gone."""
        stream = Stream()
        links = [
            connect(subscribed(stream), Stream()),
            consume(subscribed(stream).map(str).filter(len), str),
        ]
        found = [thing for thing in gc.get_objects() if type(thing) is QueueSubscription]
        watched = [weakref.ref(thing) for thing in found]
        del found
        assert 2 == len(watched)
        gc.disable()
        try:
            for link in links:
                link.cancel()
            settle()

            assert [None] * 2 == [each() for each in watched]
        finally:
            gc.enable()

    def test_describes_itself(self):
        """Its own facts, and those of its source; never a sink."""
        taking = subscription(Stream(3), int, topic="news")

        facts = taking.description()
        assert ("subscription", "news", 3, False) == (
            facts["type"],
            facts["topic"],
            facts["buffer_capacity"],
            facts["sink"],
        )
