"""`EventBus`: topics, subscribers, and what a slow one may do to whom."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import gevent
import pytest

from galeph import bus as buses
from galeph import tcp
from galeph.bus import BusStats, EventBus, SubscriberStats, TopicStats
from galeph.clock import set_default
from galeph.errors import ResourceBusy, TimedOut
from galeph.stream import Sink, Stream, connect, consume, splice
from galeph.stream.lines import MOST_WAITING
from galeph.testing import ManualClock, kill_walk
from tests.stream.scenes import outcome, settle, waiting
from tests.stream.test_ownership import in_thread
from tests.stream.wires import Wire, yielding


@pytest.fixture
def clock():
    """A clock that moves when told to."""
    manual = ManualClock()
    previous = set_default(manual)
    yield manual
    set_default(previous)


@pytest.fixture
def bus():
    return EventBus()


def drain(source):
    """Everything that can be taken now."""
    return list(iter(lambda: source.try_take(0, "end", "nothing"), "nothing"))


def collect():
    """Let go of all that nobody holds: whose death is told of through the loop, too."""
    for _ in range(4):
        gc.collect()
        settle()


class TestSubscribe:
    @pytest.mark.parity("BUS-02")
    def test_gives_later_messages(self, bus):
        """What is published from then on, in its order, and nothing from before."""
        bus.publish("news", "early")
        first = bus.subscribe("news", buffer=9)
        bus.publish("news", 1)
        second = bus.subscribe("news", buffer=9)
        bus.publish("news", 2)

        assert [1, 2] == drain(first)
        assert [2] == drain(second)

    @pytest.mark.parity("BUS-02")
    def test_is_for_taking_only(self, bus):
        """A subscription is no sink, and nothing can be connected into it."""
        subscription = bus.subscribe("news")

        assert not isinstance(subscription, Sink)
        assert not hasattr(subscription, "put")
        with pytest.raises(TypeError, match="QueueSubscription"):
            connect(Stream(), subscription)

    @pytest.mark.parity("BUS-02")
    def test_closing_it_unsubscribes(self, bus):
        """At once; what is in its buffer can still be taken, and then it is drained."""
        subscription = bus.subscribe("news", buffer=9)
        bus.publish("news", "before")
        subscription.close()

        assert not bus.active("news")
        assert bus.publish("news", "after") is False
        assert ["before"] == list(subscription)
        assert subscription.drained
        subscription.close()

    def test_a_with_block_unsubscribes(self, bus):
        """As with any stream."""
        with bus.subscribe("news"):
            assert bus.active("news")

        assert not bus.active("news")

    def test_closing_it_ends_waiting_takes(self, bus):
        """A greenlet in a take gets its default."""
        subscription = bus.subscribe("news")
        taker = waiting(subscription.take, "default")
        subscription.close()

        assert "default" == taker.get(timeout=1)

    def test_topics_are_separate(self, bus):
        """Nobody gets what was published on another topic."""
        news, weather = bus.subscribe("news", buffer=9), bus.subscribe("weather", buffer=9)
        bus.publish("news", 1)
        bus.publish("weather", 2)

        assert ([1], [2]) == (drain(news), drain(weather))

    def test_while_publishing(self, bus):
        """Who subscribes or leaves while a publisher waits changes nothing for the others."""
        slow, leaving = bus.subscribe("news"), bus.subscribe("news")
        published = waiting(bus.publish, "news", 1)
        late = bus.subscribe("news", buffer=9)
        leaving.close()
        bus.publish_async("news", 2)

        assert not published.ready()
        assert 1 == slow.take()
        assert published.get(timeout=1) is True
        assert ([2], [2]) == (drain(slow), drain(late))

    @pytest.mark.parametrize(
        ("options", "error", "match"),
        [
            ({"topic": []}, TypeError, "topic must be hashable, not list"),
            ({"policy": "drop"}, ValueError, "policy must be one of block, drop_newest"),
            ({"buffer": "9"}, TypeError, "buffer must be a number"),
            ({"policy": "drop_newest"}, ValueError, "'drop_newest' needs a buffer"),
            ({"policy": "disconnect", "buffer": 0}, ValueError, "'disconnect' needs a buffer"),
        ],
    )
    def test_wrong_arguments_are_named(self, bus, options, error, match):
        """Before anything has happened."""
        with pytest.raises(error, match=match):
            bus.subscribe(**{"topic": "news", **options})

        assert {} == bus.topics()

    @pytest.mark.parametrize("name", ["publish", "publish_async"])
    def test_a_topic_to_publish_on_is_checked_too(self, bus, name):
        """A TypeError names it."""
        with pytest.raises(TypeError, match="topic must be hashable, not dict"):
            getattr(bus, name)({}, "message")

    @pytest.mark.parametrize("name", ["publish", "publish_async", "subscribe"])
    def test_an_error_of_its_own_hash_is_shown(self, bus, name):
        """Only of a type without a hash it is said that it has none."""

        class Odd:
            def __hash__(self):
                raise TypeError("the key is not loaded yet")

        arguments = () if name == "subscribe" else ("message",)
        for topic, match in ((Odd(), "not loaded yet"), (("a", []), "unhashable type: 'list'")):
            with pytest.raises(TypeError, match=match):
                getattr(bus, name)(topic, *arguments)

        assert {} == bus.topics()


class TestGenerator:
    @pytest.mark.parity("BUS-01")
    def test_makes_the_stream_of_each_subscriber(self):
        """Its buffer is what the subscribers have."""
        made = []

        def generate():
            made.append(Stream(2))
            return made[-1]

        bus = EventBus(generate)
        subscriptions = [bus.subscribe("news"), bus.subscribe("news")]
        bus.publish("news", 1)
        bus.publish("news", 2)

        assert 2 == len(made)
        assert [[1, 2], [1, 2]] == [drain(each) for each in subscriptions]

    @pytest.mark.parity("BUS-01")
    def test_the_default_has_no_buffer(self, bus):
        """A message waits for its take."""
        subscription = bus.subscribe("news")
        published = bus.publish_async("news", 1)

        assert not published.ready()
        assert 1 == subscription.take()
        assert published.get(timeout=1) is True

    def test_a_buffer_of_the_subscriber_s_own_comes_first(self):
        """The generator is not asked then."""
        bus = EventBus(lambda: pytest.fail("asked"))

        assert 3 == bus.subscribe("news", buffer=3).description()["buffer_capacity"]

    def test_makes_duplex_streams_of_any_kind(self):
        """What is put in at one end comes out at the other, changed on the way."""

        def generate():
            way_in = Stream(9)
            return splice(way_in, way_in.map(str))

        bus = EventBus(generate)
        subscription = bus.subscribe("numbers")
        bus.publish("numbers", 1)
        doubled = subscription.map(lambda text: text * 2)
        bus.publish("numbers", 2)

        assert "11" == doubled.take()
        assert "22" == doubled.take()
        subscription.close()
        settle()
        assert not bus.active("numbers")

    def test_makes_streams_with_a_transform(self):
        """Each subscriber has a state of its own, and the publisher waits for what comes out."""

        def numbered(messages):
            yield from enumerate(messages)

        bus = EventBus(partial(Stream, 1, transform=numbered))
        first = bus.subscribe("news")
        bus.publish("news", "a")
        second = bus.subscribe("news")
        published = waiting(bus.publish, "news", "b")

        assert not published.ready()
        assert [(0, "a"), (1, "b")] == [first.take(), first.take()]
        assert (0, "b") == second.take()
        assert published.get(timeout=1) is True
        with pytest.raises(ValueError, match="no transform"):
            bus.subscribe("news", policy="drop_oldest")

    def test_may_make_connections(self):
        """An active stream is put into by a greenlet; the deferred tells when it is through."""
        wire = Wire()
        wire.is_stuck = True
        bus = EventBus(lambda: wire)
        subscription = bus.subscribe("news")
        published = bus.publish_async("news", 1)
        settle()

        assert not published.ready()
        wire.unstick()
        assert published.get(timeout=1) is True
        assert [1] == wire.sent
        wire.close()
        settle()
        assert not bus.active("news")
        assert subscription.take("end") == "end"

    def test_a_closed_stream_is_no_subscriber(self):
        """Its subscription is over at once."""

        def generate():
            stream = Stream()
            stream.close()
            return stream

        bus = EventBus(generate)
        subscription = bus.subscribe("news")

        assert subscription.drained
        assert not bus.active("news")

    def test_a_stream_closed_by_its_owner_leaves(self):
        """Who has the generator's stream may end it as well."""
        stream = Stream(9)
        bus = EventBus(lambda: stream)
        subscription = bus.subscribe("news")
        stream.close()

        assert not bus.active("news")
        assert subscription.drained

    def test_a_permanent_stream_can_be_left(self):
        """Closing the subscription unsubscribes, though the stream stays open."""
        stream = Stream(permanent=True)
        bus = EventBus(lambda: stream)
        subscription = bus.subscribe("news")
        published = bus.publish_async("news", 1)
        subscription.close()

        assert published.get(timeout=1) is True
        assert not bus.active("news")
        assert not stream.closed

    def test_a_stream_that_was_left_may_be_made_again(self):
        """It is nobody's any more."""
        stream = Stream(9, permanent=True)
        bus = EventBus(lambda: stream)
        bus.subscribe("news").close()
        again = bus.subscribe("other")
        bus.publish("other", 1)

        assert [1] == drain(again)

    def test_a_metric_that_raises_fails_its_subscriber_only(self):
        """The others get the message, and the publisher hears nothing of it."""
        streams = [Stream(9, metric=lambda message: 1 / message), Stream(9)]
        bus = EventBus(streams.copy().pop)
        fine, failing = bus.subscribe("news"), bus.subscribe("news")

        assert bus.publish("news", 0) is True
        assert [0] == drain(fine)
        with pytest.raises(ZeroDivisionError):
            failing.take()
        assert [fine] == bus.downstream("news")

    @pytest.mark.parametrize(
        ("made", "error"), [(5, TypeError), (Stream().map(str), TypeError), (Stream(), None)]
    )
    def test_what_it_makes_is_checked(self, made, error):
        """Something that is no stream both ways, or was made before, is refused by its name."""
        bus = EventBus(lambda: made)
        kept = []
        if error is None:
            kept.append(bus.subscribe("news"))
            error = ValueError

        with pytest.raises(error, match="stream_generator"):
            bus.subscribe("other")
        assert not bus.active("other")

    def test_must_be_callable(self):
        """A TypeError names it."""
        with pytest.raises(TypeError, match="stream_generator must be callable"):
            EventBus(5)


class TestPublish:
    @pytest.mark.parity("BUS-03")
    def test_is_false_when_nobody_subscribes(self, bus):
        """In both ways of publishing, at once."""
        assert bus.publish("news", 1) is False
        assert bus.publish_async("news", 1).get(timeout=0) is False

    @pytest.mark.parity("BUS-03")
    def test_is_true_once_all_have_accepted(self, bus):
        """Not before the last of them has."""
        subscriptions = [bus.subscribe("news") for _ in range(3)]
        later = bus.publish_async("news", 1)
        blocked = waiting(bus.publish, "news", 2)

        for subscription in subscriptions:
            assert not later.ready()
            assert 1 == subscription.take()
        assert later.get(timeout=1) is True
        for subscription in subscriptions:
            assert not blocked.ready()
            assert 2 == subscription.take()
        assert blocked.get(timeout=1) is True

    @pytest.mark.parity("BUS-03")
    def test_is_true_also_when_some_have_refused(self, bus):
        """A subscriber that closes instead of accepting does not count any more."""
        subscriptions = [bus.subscribe("news") for _ in range(2)]
        later, blocked = bus.publish_async("news", 1), waiting(bus.publish, "news", 1)
        subscriptions[0].close()

        assert not later.ready()
        assert [1, 1] == [subscriptions[1].take(), subscriptions[1].take()]
        assert later.get(timeout=1) is True
        assert blocked.get(timeout=1) is True

    def test_does_not_wait_where_there_is_room(self, bus):
        """Buffers and waiting takes accept at once."""
        bus_stored = bus.subscribe("news", buffer=1)
        taker = waiting(bus.subscribe("news").take)

        assert bus.publish_async("news", 1).ready()
        assert 1 == taker.get(timeout=1)
        assert [1] == drain(bus_stored)

    def test_prefers_takes_of_every_kind(self, bus):
        """A pending take_async gets the message as a blocked take does."""
        subscription = bus.subscribe("news")
        taken = subscription.take_async()

        assert bus.publish_async("news", 1).get(timeout=0) is True
        assert 1 == taken.get(timeout=1)

    def test_never_waits_asynchronously(self, bus):
        """Nothing else runs before `publish_async` returns."""
        kept = bus.subscribe("news")
        ran = []
        gevent.spawn(ran.append, 1)
        published = bus.publish_async("news", 1)

        assert [] == ran
        published.cancel()
        assert kept.try_take(0) is None

    def test_keeps_the_order(self, bus):
        """However many publishers wait, everybody gets the messages in one order."""
        subscriptions = [bus.subscribe("news", buffer=n) for n in range(3)]
        publishers = [waiting(bus.publish, "news", n) for n in range(6)]

        taken = [[each.take() for _ in range(6)] for each in subscriptions]
        assert [list(range(6))] * 3 == taken
        assert [True] * 6 == [publisher.get(timeout=1) for publisher in publishers]

    def test_any_value_is_a_message(self, bus):
        """None, False and exceptions like others."""
        subscription = bus.subscribe(None, buffer=9)
        given = [None, False, (), ValueError("a message")]
        for message in given:
            bus.publish(None, message)

        assert given == [subscription.take("default") for _ in given]

    def test_from_the_hub(self, bus):
        """`publish_async` may be called where nothing may block."""
        subscription = bus.subscribe("news")
        gevent.get_hub().loop.run_callback(bus.publish_async, "news", 1)

        assert 1 == subscription.take()

    @pytest.mark.parity("BUS-05")
    def test_topics_are_equal_by_value(self, bus):
        """1, 1.0 and True are one topic, and so are equal tuples."""
        numbers, pairs = bus.subscribe(1, buffer=9), bus.subscribe(("a", 1), buffer=9)
        for topic in (1, 1.0, True):
            assert bus.publish(topic, topic) is True
        bus.publish(("a", 1.0), "pair")

        assert [1, 1.0, True] == drain(numbers)
        assert ["pair"] == drain(pairs)
        assert bus.publish("1", "text") is False


class TestSlowSubscribers:
    @pytest.mark.parity("BUS-04")
    def test_delay_the_result_only(self, bus):
        """The others have the message while the publisher still waits."""
        slow, fast = bus.subscribe("news"), bus.subscribe("news", buffer=9)
        published = waiting(bus.publish, "news", 1)
        taker = waiting(bus.subscribe("news").take)
        later = bus.publish_async("news", 2)

        assert [1, 2] == drain(fast)
        assert 2 == taker.get(timeout=1)
        assert not published.ready()
        assert [1, 2] == [slow.take(), slow.take()]
        assert published.get(timeout=1) is True
        assert later.get(timeout=1) is True

    def test_who_takes_in_any_order_blocks_nobody(self, bus):
        """One consumer of two subscriptions may take from the second first."""
        first, second = bus.subscribe("news"), bus.subscribe("news")
        published = waiting(bus.publish, "news", 1)

        assert (1, 1) == (second.take(), first.take())
        assert published.get(timeout=1) is True

    def test_one_that_never_takes_is_taken_off_in_the_end(self, bus, caplog):
        """A stream lets so many messages wait and no more, whatever publishes them."""
        stuck, fast = bus.subscribe("news"), bus.subscribe("news", buffer=MOST_WAITING + 1)
        published = [bus.publish_async("news", n) for n in range(MOST_WAITING + 1)]
        settle()

        assert [fast] == bus.downstream("news")
        assert all(each.get() for each in published)
        assert stuck.drained
        assert "wait, so this is closed" in caplog.text

    @pytest.mark.parity("BUS-04")
    def test_a_buffer_is_a_remedy(self, bus):
        """Of its own, or behind it."""
        buffered, behind = bus.subscribe("news", buffer=2), Stream(2)
        connect(bus.subscribe("news"), behind)
        for n in range(2):
            assert bus.publish_async("news", n).get(timeout=1) is True

        assert ([0, 1], [0, 1]) == (drain(buffered), drain(behind))

    @pytest.mark.parity("BUS-04")
    def test_a_timeout_is_a_remedy(self, bus, clock):
        """Connected with one, a sink that accepts nothing for too long is taken off."""
        connected = connect(bus.subscribe("news"), Stream(), timeout=5)
        bus.publish_async("news", 1)
        published = bus.publish_async("news", 2)
        settle()

        assert not published.ready()
        clock.advance(5)
        assert published.get(timeout=1) is True
        assert isinstance(connected.exception, TimedOut)
        assert not bus.active("news")


class TestPolicies:
    def test_block_is_the_default(self, bus):
        """The publisher waits for room; nothing is dropped."""
        subscription = bus.subscribe("news", buffer=1)
        bus.publish("news", 1)
        published = waiting(bus.publish, "news", 2)

        assert not published.ready()
        assert [1, 2] == [subscription.take(), subscription.take()]
        assert published.get(timeout=1) is True

    def test_drop_newest(self, bus):
        """What does not fit is dropped, and nobody waits."""
        subscription = bus.subscribe("news", buffer=2, policy="drop_newest")
        results = [bus.publish_async("news", n).get(timeout=0) for n in range(5)]

        assert [True] * 5 == results
        assert [0, 1] == drain(subscription)
        bus.publish("news", 5)
        assert [5] == drain(subscription)

    def test_drop_oldest(self, bus):
        """The buffer holds the latest."""
        subscription = bus.subscribe("news", buffer=2, policy="drop_oldest")
        results = [bus.publish_async("news", n).get(timeout=0) for n in range(5)]

        assert [True] * 5 == results
        assert [3, 4] == drain(subscription)

    def test_drop_oldest_of_a_measured_stream(self):
        """As many go as the new one needs; one that never fits is dropped itself."""
        bus = EventBus(partial(Stream, 4, metric=len))
        subscription = bus.subscribe("news", policy="drop_oldest")
        for message in ("a", "b", "cc", "ddd"):
            bus.publish("news", message)
        assert ["ddd"] == drain(subscription)

        assert bus.publish("news", "too long") is True
        assert [] == drain(subscription)

    def test_disconnect(self, bus):
        """The subscription fails, behind what its buffer holds; the others go on."""
        slow, fast = (
            bus.subscribe("news", buffer=2, policy="disconnect"),
            bus.subscribe("news", buffer=9),
        )
        results = [bus.publish_async("news", n).get(timeout=0) for n in range(4)]

        assert [True] * 4 == results
        assert [0, 1] == [slow.take(), slow.take()]
        with pytest.raises(ResourceBusy, match="too slow"):
            slow.take()
        assert not slow.drained
        assert [fast] == bus.downstream("news")
        assert [0, 1, 2, 3] == drain(fast)

    @pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "disconnect"])
    def test_a_waiting_take_is_always_served(self, bus, policy):
        """A message goes to it, and the buffer stays empty."""
        subscription = bus.subscribe("news", buffer=1, policy=policy)
        for n in range(3):
            taker = waiting(subscription.take)
            bus.publish("news", n)
            assert n == taker.get(timeout=1)

    @pytest.mark.parametrize("policy", ["block", "drop_newest", "drop_oldest", "disconnect"])
    def test_holds_for_what_is_connected(self, bus, policy):
        """A sink that keeps up misses nothing, whatever the policy."""
        sink = Stream(99)
        connect(bus.subscribe("news", buffer=1, policy=policy), sink)
        for n in range(20):
            bus.publish("news", n)

        assert list(range(20)) == drain(sink)


class TestLooking:
    @pytest.mark.parity("BUS-06")
    def test_active_while_there_is_a_subscriber(self, bus):
        """From the first to the last."""
        assert not bus.active("news")
        first, second = bus.subscribe("news"), bus.subscribe("news")
        assert bus.active("news")
        first.close()
        assert bus.active("news")
        second.close()
        assert not bus.active("news")

    @pytest.mark.parity("BUS-07")
    def test_downstream_are_the_subscriptions(self, bus):
        """The oldest first; an empty list if there are none, as of a stream without connections."""
        first, second, _ = bus.subscribe("news"), bus.subscribe("news"), bus.subscribe("other")

        assert [first, second] == bus.downstream("news")
        first.close()
        second.close()
        assert [] == bus.downstream("news")
        assert [] == bus.downstream("never")

    @pytest.mark.parity("BUS-08")
    def test_topics_are_a_snapshot(self, bus):
        """Every topic with its subscriptions; what happens later does not change it."""
        news, weather = bus.subscribe("news"), bus.subscribe("weather")
        snapshot = bus.topics()
        later = bus.subscribe("news")
        snapshot["mine"] = []

        assert {"news": [news], "weather": [weather], "mine": []} == snapshot
        assert {"news": [news, later], "weather": [weather]} == bus.topics()

    def test_a_subscription_describes_itself(self, bus):
        """Its topic and policy, and the facts of its stream."""
        subscription = bus.subscribe("news", buffer=3, policy="drop_oldest")
        bus.publish("news", 1)
        facts = subscription.description()

        assert ("subscription", "news", "drop_oldest") == (
            facts["type"],
            facts["topic"],
            facts["policy"],
        )
        assert (1, 3, False, True) == (
            facts["buffer_size"],
            facts["buffer_capacity"],
            facts["sink"],
            facts["source"],
        )
        assert "topic='news'" in repr(subscription)
        assert "1 topics" in repr(bus)


class TestStats:
    def test_count_messages_and_deliveries(self, bus):
        """Per bus, per topic, per subscriber."""
        kept = [bus.subscribe("news", buffer=1), bus.subscribe("news", buffer=9)]
        bus.publish_async("news", 1)
        bus.publish_async("news", 2)
        kept.append(bus.subscribe("news", buffer=9))
        bus.publish_async("news", 3)
        bus.publish("nothing", 4)

        assert (
            BusStats(
                published=4,
                delivered=5,
                dropped=0,
                topics={
                    "news": TopicStats(
                        published=3,
                        delivered=5,
                        dropped=0,
                        subscribers=(
                            SubscriberStats(delivered=1, dropped=0, waiting=2),
                            SubscriberStats(delivered=3, dropped=0, waiting=0),
                            SubscriberStats(delivered=1, dropped=0, waiting=0),
                        ),
                    )
                },
            )
            == bus.stats()
        )

    @pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest", "disconnect"])
    def test_count_what_was_dropped(self, bus, policy):
        """A dropped message is not delivered, whichever it was."""
        kept = bus.subscribe("news", buffer=2, policy=policy)
        for n in range(3):
            bus.publish("news", n)
        stats = bus.stats()

        assert (3, 2, 1) == (stats.published, stats.delivered, stats.dropped)
        assert kept

    def test_those_who_leave_stay_counted(self, bus):
        """In their topic while there is one, and then in the bus."""
        first, second = bus.subscribe("news", buffer=1), bus.subscribe("news", buffer=9)
        for n in range(3):
            bus.publish_async("news", n)
        first.close()
        topic = bus.stats().topics["news"]
        assert (3, 4, 1) == (topic.published, topic.delivered, len(topic.subscribers))

        second.close()
        assert BusStats(published=3, delivered=4, dropped=0, topics={}) == bus.stats()

    def test_what_was_withdrawn_is_not_delivered(self, bus):
        """Nor does it wait any more."""
        kept = bus.subscribe("news"), bus.subscribe("news", buffer=9)
        bus.publish_async("news", 1).cancel()
        waiting(bus.publish, "news", 1).kill()

        assert (
            SubscriberStats(delivered=0, dropped=0, waiting=0),
            SubscriberStats(delivered=2, dropped=0, waiting=0),
        ) == bus.stats().topics["news"].subscribers
        assert kept


class TestInterruptions:
    @pytest.mark.parametrize("thrown", [gevent.GreenletExit, gevent.Timeout])
    def test_a_publisher_that_leaves_withdraws_its_message(self, bus, thrown):
        """Those that have it keep it; the others never see it, and nobody waits for ever."""
        slow, fast = bus.subscribe("news"), bus.subscribe("news", buffer=9)
        published = outcome(quietly, bus.publish, "news", "lost")
        published.kill(thrown)
        after = waiting(bus.publish, "news", "after")

        assert ["lost", "after"] == drain(fast)
        assert "after" == slow.take()
        assert after.get(timeout=1) is True
        assert [] == drain(slow)

    def test_cancelling_the_deferred_withdraws_it(self, bus):
        """From those that have not accepted it yet."""
        slow, fast = bus.subscribe("news"), bus.subscribe("news", buffer=9)
        assert bus.publish_async("news", "lost").cancel()
        after = bus.publish_async("news", "after")

        assert ["lost", "after"] == drain(fast)
        assert ["after"] == drain(slow)
        assert after.get(timeout=1) is True

    def test_a_timeout_of_the_deferred_withdraws_it_too(self, bus, clock):
        """`timeout` is how a publisher waits so long and no longer."""
        slow = bus.subscribe("news")
        published = bus.publish_async("news", "lost").timeout(1, "late")
        clock.advance(1)

        assert "late" == published.get(timeout=1)
        assert [] == drain(slow)

    def test_a_killed_take_loses_nothing(self, bus):
        """A message on its way to it goes to the next."""
        subscription = bus.subscribe("news", buffer=9)
        killed = waiting(subscription.take)
        killed.kill(block=False)
        bus.publish("news", 1)
        bus.publish("news", 2)
        settle()

        assert [1, 2] == drain(subscription)

    def test_closing_lets_waiting_publishers_go(self, bus):
        """A message nobody will take is not waited for."""
        subscription = bus.subscribe("news", buffer=1)
        bus.publish("news", "stored")
        blocked = waiting(bus.publish, "news", "refused")
        subscription.close()

        assert blocked.get(timeout=1) is True
        assert ["stored"] == list(subscription)

    def test_an_interrupted_metric_withdraws_from_all(self):
        """A metric that blocks is the user's own doing, and yet nothing is half registered."""
        streams = [Stream(9), Stream(9, metric=lambda _: gevent.sleep(5) or 1), Stream()]
        bus = EventBus(streams.pop)
        kept = [bus.subscribe("news") for _ in range(3)]
        waiting(bus.publish, "news", "lost").kill()

        assert [[], [], []] == [drain(each) for each in kept]
        nothing = SubscriberStats(delivered=0, dropped=0, waiting=0)
        assert (nothing,) * 3 == bus.stats().topics["news"].subscribers


def quietly(fn, *args):
    """A greenlet that ends in a Timeout prints it."""
    try:
        fn(*args)
    except gevent.Timeout:
        pass


class TestLifetime:
    def test_a_dropped_subscription_is_over(self, bus):
        """Nobody can take any more, so nobody waits for it: it need not even be collected."""
        subscription = bus.subscribe("news")
        blocked = waiting(bus.publish, "news", 1)
        gc.disable()
        try:
            del subscription

            assert not bus.active("news")
            assert blocked.get(timeout=1) is True
        finally:
            gc.enable()

    @pytest.mark.parametrize(
        "look",
        [EventBus.topics, lambda bus: bus.stats().topics, lambda bus: bus.downstream("news")],
    )
    def test_whoever_looks_does_not_see_it(self, bus, look):
        """At once, before the loop has run."""
        bus.subscribe("news")

        assert not look(bus)

    def test_it_leaves_by_itself(self, bus):
        """Without anybody looking at the bus."""
        subscription = bus.subscribe("news")
        blocked = waiting(bus.publish, "news", 1)
        del subscription

        assert blocked.get(timeout=1) is True
        assert {} == bus._topics

    def test_it_is_noticed_from_another_thread(self, bus):
        """Where the collector runs is anybody's guess."""
        holder = [bus.subscribe("news")]
        in_thread(holder.clear)
        settle()

        assert {} == bus._topics

    def test_whoever_takes_holds_it(self, bus):
        """A greenlet in a take, a pending take_async, a bound method, a for loop."""
        taker = waiting(bus.subscribe("news").take)
        taken = bus.subscribe("news").take_async()
        chained = bus.subscribe("news").take_async().chain(str)
        take = bus.subscribe("news", buffer=1).take
        seen = []
        loop = waiting(lambda: [seen.append(m) for m in bus.subscribe("news")])
        gc.collect()
        bus.publish("news", 1)

        assert (1, 1, "1", 1) == (taker.get(timeout=1), taken.get(1), chained.get(1), take())
        settle()
        assert [1] == seen
        loop.kill()
        del taker, take, loop
        collect()
        assert not bus.active("news")

    def test_what_is_connected_holds_it(self, bus):
        """A link, a function, an operator; until it goes."""
        sink, seen = Stream(9), []
        connected = connect(bus.subscribe("news"), sink)
        consumed = consume(bus.subscribe("news"), seen.append)
        mapped = bus.subscribe("news", buffer=9).map(str)
        chain = consume(bus.subscribe("news").map(str).filter(len), seen.append)
        gc.collect()
        bus.publish("news", 1)
        settle()

        assert [1] == drain(sink)
        assert {1, "1"} == set(seen)
        assert "1" == mapped.take()
        for deferred in (connected, consumed, chain):
            deferred.cancel()
        del mapped
        collect()
        assert not bus.active("news")

    def test_what_was_connected_lets_go_without_the_collector(self, bus):
        """Disconnected, nobody takes any more, and publishers must hear of it."""
        connected = connect(bus.subscribe("news"), Stream())
        chained = consume(bus.subscribe("news").map(str).filter(len), print)
        mapped = bus.subscribe("news").map(str)
        bus.publish_async("news", "fills the pumps")
        settle()
        published = waiting(bus.publish, "news", "waits")
        gc.disable()
        try:
            connected.cancel()
            chained.cancel()
            del mapped
            settle()

            assert published.get(timeout=1) is True
            assert {} == bus._topics
        finally:
            gc.enable()

    def test_a_connected_one_ends_with_its_sink(self, bus):
        """The bus holds nothing for a sink that is closed."""
        sink = Stream()
        connect(bus.subscribe("news"), sink)
        sink.close()
        settle()

        assert not bus.active("news")

    def test_closing_it_ends_what_is_connected(self, bus):
        """As with any source."""
        sink = Stream(9)
        subscription = bus.subscribe("news")
        connected = connect(subscription, sink)
        bus.publish("news", 1)
        subscription.close()

        assert connected.get(timeout=1) is True
        assert [1] == list(sink)

    def test_an_operator_that_fails_unsubscribes(self, bus):
        """Its error is that of its output; nobody publishes into the void."""
        halves = bus.subscribe("news", buffer=9).map(lambda n: 1 / n)
        bus.publish("news", 0)
        with pytest.raises(ZeroDivisionError):
            halves.take()

        assert not bus.active("news")

    def test_a_function_that_is_interrupted_unsubscribes(self, bus):
        """A Timeout of its own ends the consumption, and with it the subscription."""

        def fn(_):
            raise gevent.Timeout

        consumed = consume(bus.subscribe("news"), fn)
        bus.publish_async("news", 1)
        settle()

        assert isinstance(consumed.exception, TimedOut)
        assert not bus.active("news")

    def test_an_abandoned_bus_is_collected(self):
        """With its topics, subscriptions and messages."""
        bus = EventBus()
        kept = bus.subscribe("news", buffer=9)
        connect(bus.subscribe("news"), Stream())
        bus.publish_async("news", 1)
        settle()
        watched = weakref.ref(bus)
        del bus, kept
        collect()

        assert watched() is None

    def test_publishing_to_nobody_lets_others_run(self, bus):
        """A loop around it must not keep those from running who would subscribe."""
        late = gevent.spawn(lambda: bus.subscribe("news", buffer=1))
        while not bus.publish("news", 1):
            assert bus.stats().published < 1000

        assert 1 == late.get().take()

    def test_a_topic_without_subscribers_takes_no_memory(self, bus):
        """A thousand topics later the bus is as large as before."""
        import tracemalloc

        def use(topic):
            subscription = bus.subscribe(topic, buffer=1)
            bus.publish(topic, 1)
            subscription.close()

        def growth(topics):
            before = tracemalloc.get_traced_memory()[0]
            for topic in topics:
                use(topic)
            settle()
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before

        use("warm up")
        tracemalloc.start()
        try:
            # Of several, the least: a thread or a table of the process may grow meanwhile.
            used = min(growth(range(n, n + 1000)) for n in range(0, 4000, 1000))
        finally:
            tracemalloc.stop()

        assert {} == bus._topics
        assert 20_000 > used


MESSAGES = list(range(4))


def kept_by(subscription):
    """Everything a subscription still has when nobody publishes any more."""
    subscription.close()
    return list(subscription)


class TestKillWalk:
    """A kill or a Timeout at every switch: each has it or not, nobody is stuck or half there."""

    @pytest.mark.parametrize("publish", ["publish", "publish_async"])
    def test_publisher(self, publish):
        """Every subscriber has a beginning of the messages, the last maybe not all of them."""

        def scenario(victim):
            bus, said = EventBus(), []
            slow = [bus.subscribe("news"), bus.subscribe("news", buffer=1)]
            fast = bus.subscribe("news", buffer=99)
            functions_seen = []
            consumed = consume(bus.subscribe("news"), functions_seen.append)

            def work():
                for message in MESSAGES:
                    answer = getattr(bus, publish)("news", message)
                    answer = answer if publish == "publish" else answer.get()
                    said.append(answer)

            readers = [gevent.spawn(list, each) for each in slow]
            victim.spawn(work)
            victim.join()
            settle()
            assert 0 == sum(each.waiting for each in bus.stats().topics["news"].subscribers)
            for each in slow:
                each.close()
            consumed.cancel()
            taken = [*(reader.get() for reader in readers), kept_by(fast), functions_seen]

            assert [MESSAGES[: len(each)] for each in taken] == taken
            assert {len(said), len(said) + 1} >= {len(each) for each in taken}
            assert all(said)
            assert victim.thrown is not None or [MESSAGES] * 4 == taken

        kill_walk(scenario, at_least=33)

    @pytest.mark.parametrize("policy", ["block", "drop_newest", "drop_oldest", "disconnect"])
    def test_taker(self, policy):
        """What he has not taken is there for the next, and the others have all of it."""

        def scenario(victim):
            bus, taken = EventBus(), []
            mine = bus.subscribe("news", buffer=len(MESSAGES), policy=policy)
            other = bus.subscribe("news", buffer=len(MESSAGES))

            def take():
                for _ in MESSAGES:
                    message = mine.take()
                    taken.append(message)

            def publish():
                for message in MESSAGES:
                    bus.publish("news", message)
                    gevent.sleep(0)

            victim.spawn(take)
            publisher = gevent.spawn(publish)
            victim.join()
            publisher.join()

            assert MESSAGES == taken + kept_by(mine)
            assert MESSAGES == kept_by(other)
            assert not bus.active("news")

        kill_walk(scenario, at_least=17)

    def test_consumer(self):
        """Interrupted in his function he is no subscriber any more, and publishers go on."""

        def scenario(victim):
            bus, seen = EventBus(), []

            def fn(message):
                victim.run(gevent.sleep, 0)
                seen.append(message)

            consumed = consume(bus.subscribe("news"), fn)
            other = bus.subscribe("news", buffer=len(MESSAGES))
            published = [bus.publish("news", message) for message in MESSAGES]
            while len(seen) < len(MESSAGES) and not consumed.ready():
                gevent.sleep(0)
            consumed.cancel()
            settle()

            assert [True] * len(MESSAGES) == published
            assert MESSAGES[: len(seen)] == seen
            assert MESSAGES == kept_by(other)
            assert not bus.active("news")
            assert victim.thrown is consumed.exception.__cause__

        kill_walk(scenario, at_least=12)

    def test_coming_and_going(self):
        """Whoever is thrown at between subscribing and leaving is a subscriber or not."""

        def scenario(victim):
            streams = []

            def generate():
                gevent.sleep(0)
                streams.append(Stream(1))
                return streams[-1]

            bus = EventBus(generate)
            kept = bus.subscribe("news", buffer=99)
            seen = []

            def work():
                for _ in range(2):
                    with bus.subscribe("news") as mine:
                        seen.append(mine.take())
                    gevent.sleep(0)

            def publish():
                for message in range(12):
                    bus.publish("news", message)
                    gevent.sleep(0)

            victim.spawn(work)
            publisher = gevent.spawn(publish)
            victim.join()
            publisher.join()

            assert [kept] == bus.downstream("news")
            assert all(stream.closed for stream in streams)
            assert list(range(12)) == kept_by(kept)
            assert sorted(seen) == seen
            assert {} == bus.topics()

        kill_walk(scenario, at_least=25)

    def test_connection(self):
        """A subscription that leads on through operators: the far end has a beginning."""

        def scenario(victim):
            bus, far, taken = EventBus(), Stream(), []
            slow = bus.subscribe("news").map(yielding(str)).filter(yielding(len))
            connected = connect(slow, far)
            del slow

            def take():
                for _ in MESSAGES:
                    message = far.take()
                    taken.append(message)

            victim.spawn(take)
            publisher = gevent.spawn(lambda: [bus.publish("news", n) for n in MESSAGES])
            victim.join()
            while len(taken) < len(MESSAGES):
                taken.append(far.take())
            publisher.join()
            far.close()
            settle()

            assert [str(n) for n in MESSAGES] == taken
            assert connected.get() is True
            assert not bus.active("news")

        kill_walk(scenario, at_least=37)


class TestConnections:
    def test_a_connection_lives_while_it_is_subscribed(self, bus):
        """A handler that connects a subscription to its stream may return; the peer's end is
        noticed on a quiet topic too."""

        def handler(stream, _):
            connect(bus.subscribe("news"), stream)

        with tcp.start_server(handler) as server:
            with tcp.client("127.0.0.1", server.port).result(5) as client:
                until(lambda: bus.active("news"))
                bus.publish("news", b"hello")

                assert b"hello" == client.take()
                assert 1 == server.stats().active
            until(lambda: not server.stats().active)

            assert not bus.active("news")


def until(condition):
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.001)


class TestThreads:
    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("subscribe", ["news"]),
            ("publish", ["news", 1]),
            ("publish_async", ["news", 1]),
            ("active", ["news"]),
            ("downstream", ["news"]),
            ("topics", []),
            ("stats", []),
        ],
    )
    def test_foreign_threads_are_refused(self, bus, name, args):
        """Every operation says so, and what to do instead."""
        error = in_thread(getattr(bus, name), *args)

        assert isinstance(error, RuntimeError)
        assert "made this bus; from other threads use put_threadsafe()" in str(error)
        assert {} == bus.topics()

    @pytest.mark.parametrize("name", ["take", "take_async", "close"])
    def test_a_subscription_is_refused_too(self, bus, name):
        """It belongs to the bus's thread."""
        subscription = bus.subscribe("news", buffer=1)
        bus.publish("news", 1)

        assert isinstance(in_thread(getattr(subscription, name)), RuntimeError)
        assert 1 == subscription.take()

    def test_a_thread_publishes_through_a_stream(self, bus):
        """The way the error points to."""
        subscription, door = bus.subscribe("news"), Stream()
        consume(door, partial(bus.publish, "news"))
        in_thread(door.put_threadsafe, 1)

        assert 1 == subscription.take()


def test_policies_are_listed():
    """What a type checker knows is what is accepted."""
    assert ("block", "drop_newest", "drop_oldest", "disconnect") == buses.Policy.__args__
