"""`EventBus`: messages by topic, each to all who subscribed to it.

A topic is any hashable value and exists while it has subscribers; there is nothing to declare and
nothing to clean up. Each subscriber has a stream of its own, which `publish` offers the message
to: to all of them, and only then does it wait for those that had no room. So a slow one holds up
the publisher, if its policy is to do so, and never another subscriber.

::

    publish --> topic --> subscriber --> stream <-- Subscription <-- greenlet, link, operator
                             `- - - - - weak - - - - - '

The stream and the policy are the bus's side (`_Subscriber`), what one takes from the user's
(`galeph.stream.subscription`). When nobody holds that any more, the subscriber is taken off.

A message that a stream has room for, or that a greenlet waits for, costs no object of its own
(`galeph.stream.fanout`); any other a receipt in the line of its stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from weakref import ref

from gevent import get_hub

from galeph._arguments import check_callable
from galeph.deferred import Deferred
from galeph.deferred.producer import call_in_hub, give_way
from galeph.errors import ResourceBusy
from galeph.stream.fanout import Delivery, Receipt, put_to_each
from galeph.stream.interfaces import EXPIRED, Nothing, Sink, Source
from galeph.stream.ownership import checks_owner
from galeph.stream.queue_stream import Stream
from galeph.stream.subscription import Subscription, subscription

__all__ = ["BusStats", "EventBus", "Policy", "SubscriberStats", "TopicStats"]

Policy = Literal["block", "drop_newest", "drop_oldest", "disconnect"]

_POLICIES: Final = get_args(Policy)
# How many messages in a row `publish` gives to nobody before others get a turn.
_UNHEARD: Final = 64
_OWNED: Final = "bus; from other threads use put_threadsafe() of a stream that is published from"


# -- what is counted


@dataclass(frozen=True, slots=True)
class SubscriberStats:
    """What has become of the messages since somebody subscribed.

    Attributes:
        delivered: so many were taken, or lie in the subscriber's buffer.
        dropped: so many were not, because its buffer was full.
        waiting: so many are held out to it by publishers that wait.
    """

    delivered: int
    dropped: int
    waiting: int


@dataclass(frozen=True, slots=True)
class TopicStats:
    """What has become of a topic's messages since it has had subscribers.

    Attributes:
        published: so many messages.
        delivered: so many deliveries, those to subscribers that have left included.
        dropped: so many deliveries that came to nothing because a buffer was full.
        subscribers: those there are, the oldest first.
    """

    published: int
    delivered: int
    dropped: int
    subscribers: tuple[SubscriberStats, ...]


@dataclass(frozen=True, slots=True)
class BusStats:
    """What has become of all messages.

    Attributes:
        published: so many, those that nobody had subscribed to included.
        delivered: so many deliveries; a message with three subscribers has three.
        dropped: so many deliveries that came to nothing because a buffer was full.
        topics: the topics that have subscribers.
    """

    published: int
    delivered: int
    dropped: int
    topics: dict[Hashable, TopicStats]


# -- the bus


@checks_owner("subscribe publish publish_async active downstream topics stats", of=_OWNED)
class EventBus:
    """Topics, and who has subscribed to them.

    Topics are told apart as the keys of a dict are: 1, 1.0 and True are the same one.

    A bus belongs to the hub (the OS thread) that made it, and so do its subscriptions.

    Args:
        stream_generator: makes the stream of each subscriber, a new one each time, that can be
            both put into and taken from. It is called without arguments and may block. The
            default makes streams without a buffer.

    Raises:
        TypeError: ``stream_generator`` is not callable.
    """

    def __init__(self, stream_generator: Callable[[], Any] | None = None) -> None:
        check_callable("stream_generator", stream_generator, optional=True)
        self._hub: Any = get_hub()
        self._generate: Callable[[], Any] = stream_generator or Stream
        self._topics: dict[Hashable, _Topic] = {}
        # Whose subscription nobody holds any more. Filled by the garbage collector.
        self._abandoned: deque[_Subscriber] = deque()
        # What nobody had subscribed to, and what topics that are gone have counted.
        self._published = 0
        self._delivered = 0
        self._dropped = 0

    def __repr__(self) -> str:
        return f"<EventBus with {len(self._topics)} topics>"

    # Subscribing

    def subscribe(
        self, topic: Hashable, *, buffer: float | None = None, policy: Policy = "block"
    ) -> Source[Any]:
        """Return a source of what is published on a topic from now on.

        It lasts until it is closed, or until nobody holds it and nothing is connected to it any
        more. Blocks only if the bus's ``stream_generator`` does.

        Args:
            topic: anything hashable.
            buffer: how many messages may wait here to be taken. Without it the bus's
                ``stream_generator`` decides.
            policy: what happens to a message when there is no room for it:

                - ``"block"``: `publish` waits until it is taken;
                - ``"drop_newest"``: it is dropped;
                - ``"drop_oldest"``: it takes the place of those that have waited longest;
                - ``"disconnect"``: the subscription fails with `ResourceBusy`, behind the
                  messages that are in its buffer.

        Raises:
            TypeError: ``topic`` is not hashable, ``buffer`` no number, or ``stream_generator``
                has made something that is not both a sink and a source.
            ValueError: ``policy`` is none of these or needs a buffer and has none, or
                ``stream_generator`` has made the same stream again.
        """
        self._find(topic)
        if policy not in _POLICIES:
            raise ValueError(f"policy must be one of {', '.join(_POLICIES)}, not {policy!r}")
        made = self._generate() if buffer is None else Stream[Any](buffer)
        _check_stream(made, policy)
        # Not before: the generator may have let others run.
        room = self._topics.get(topic)
        if room is None:
            room = self._topics[topic] = _Topic(self, topic)
        return room.add(made, policy)

    # Publishing

    def publish(self, topic: Hashable, message: Any) -> bool:
        """Give a message to all who have subscribed to a topic.

        It is offered to all of them first. Then this blocks until the last has accepted it; those
        whose policy is not to block never make it wait. Who subscribes meanwhile does not get it.
        Who publishes on a topic in the greenlet that takes from it needs a buffer there, or waits
        for himself.

        An exception that arrives while it blocks withdraws the message from those that have not
        accepted it; the others have it.

        Returns:
            1. True when all have accepted it, or have closed or dropped it instead;
            2. False when nobody had subscribed; now and then others run before that.
        """
        delivery = self._offer(topic, message)
        if isinstance(delivery, bool):
            if not delivery and self._published % _UNHEARD == 0:
                give_way(self._hub)
            return delivery
        delivery.wait(self._hub, topic)
        return True

    def publish_async(self, topic: Hashable, message: Any) -> Deferred[bool]:
        """Publish without blocking: a Deferred of what `publish` would return.

        Cancelling it withdraws the message from those that have not accepted it.
        """
        delivery = self._offer(topic, message)
        if isinstance(delivery, Delivery):
            return delivery.later()
        deferred: Deferred[bool] = Deferred()
        deferred.success(delivery)
        return deferred

    def _offer(self, topic: Hashable, message: Any) -> bool | Delivery:
        """Offer a message to all; return the delivery if some of them keep it waiting."""
        room = self._find(topic)
        if room is None:
            self._published += 1
            return False
        room.published += 1
        queues = room.queues
        if queues is None:
            queues = room.line_up()
        left = put_to_each(queues, message)
        if not left and not room.others:
            return True
        return room.offer(left, message)

    # Looking

    def active(self, topic: Hashable) -> bool:
        """Whether anybody has subscribed to a topic."""
        return self._find(topic) is not None

    def downstream(self, topic: Hashable) -> list[Source[Any]]:
        """Return the subscriptions to a topic, the oldest first."""
        room = self._find(topic)
        return [] if room is None else room.subscriptions()

    def topics(self) -> dict[Hashable, list[Source[Any]]]:
        """Return the topics that have subscribers, each with its subscriptions, as of now."""
        self._drop_abandoned()
        return {topic: room.subscriptions() for topic, room in self._topics.items()}

    def stats(self) -> BusStats:
        """Return what has been counted so far."""
        self._drop_abandoned()
        topics = {topic: room.stats() for topic, room in self._topics.items()}
        return BusStats(
            published=self._published + sum(topic.published for topic in topics.values()),
            delivered=self._delivered + sum(topic.delivered for topic in topics.values()),
            dropped=self._dropped + sum(topic.dropped for topic in topics.values()),
            topics=topics,
        )

    def _find(self, topic: Hashable) -> _Topic | None:
        if self._abandoned:
            self._drop_abandoned()
        try:
            return self._topics.get(topic)
        except TypeError:
            if type(topic).__hash__ is not None:
                # What it raised itself, or a part of it.
                raise
            raise TypeError(f"topic must be hashable, not {type(topic).__name__}") from None

    # Leaving

    def _remove(self, room: _Topic) -> None:
        """Forget a topic without subscribers, but not what it has counted."""
        del self._topics[room.name]
        stats = room.stats()
        self._published += stats.published
        self._delivered += stats.delivered
        self._dropped += stats.dropped

    def _abandon_soon(self, subscriber: _Subscriber) -> None:
        """Hear that nobody holds a subscription. In the garbage collector, on any thread."""
        self._abandoned.append(subscriber)
        call_in_hub(self._hub, self._drop_abandoned)

    def _drop_abandoned(self) -> None:
        abandoned = self._abandoned
        while abandoned:
            abandoned.popleft().close()


def _check_stream(made: Any, policy: Policy) -> None:
    """See that a stream is one that a subscriber with this policy can have."""
    if not (isinstance(made, Sink) and isinstance(made, Source)):
        raise TypeError(f"stream_generator must make streams to put into and take from, not {made}")
    if isinstance(made._host, _Subscriber):
        message = "stream_generator must make a new stream for each subscription"
        raise ValueError(message)  # noqa: TRY004  (the type is right)
    if policy != "block" and getattr(made, "_limit", None) == 0:
        # Nothing ever waits in it, not even on its way to what it is connected to.
        raise ValueError(f"policy {policy!r} needs a buffer of at least 1, and no transform")


class _Topic:
    """A topic that has subscribers."""

    def __init__(self, bus: EventBus, name: Hashable) -> None:
        self.bus = bus
        self.name = name
        self.published = 0
        # What those that have left have counted.
        self._delivered = 0
        self._dropped = 0
        self._members: dict[Sink[Any], _Subscriber] = {}
        # The same in two parts: the queues, which `put_to_each` knows, and all others. The first
        # is None from a change to the next message.
        self.queues: tuple[Stream[Any], ...] | None = None
        self.others: tuple[_Subscriber, ...] = ()

    def add(self, made: Any, policy: Policy) -> Subscription[Any]:
        """Take in a subscriber with this stream; return the user's side of it."""
        subscriber = _Subscriber(self, made, policy)
        self._members[subscriber.sink] = subscriber
        self.queues = None
        return subscriber.start(self.name)

    def remove(self, subscriber: _Subscriber) -> None:
        """Take off a subscriber; and the topic, if it was the last. Never switches."""
        stats = subscriber.stats()
        self._delivered += stats.delivered
        self._dropped += stats.dropped
        del self._members[subscriber.sink]
        self.queues = None
        if not self._members:
            self.bus._remove(self)

    def line_up(self) -> tuple[Stream[Any], ...]:
        """Make `queues` and `others` of the subscribers there are; return the first."""
        members = self._members.items()
        self.queues = tuple(sink for sink, _ in members if type(sink) is Stream)
        self.others = tuple(other for sink, other in members if type(sink) is not Stream)
        return self.queues

    def offer(self, left: list[Stream[Any]], message: Any) -> bool | Delivery:
        """Offer a message to those it has not gone into by the short way.

        Returns:
            True if none of them keeps it waiting; else the delivery to wait for.
        """
        delivery = Delivery()
        subscribers = iter([*(self._members[sink] for sink in left), *self.others])
        try:
            for subscriber in subscribers:
                subscriber.offer(message, delivery)
        except BaseException:
            # Only a metric that blocks can be interrupted.
            delivery.withdraw()
            for subscriber in subscribers:
                subscriber._missed += 1
            raise
        return True if delivery.is_done else delivery

    def subscriptions(self) -> list[Source[Any]]:
        """The users' sides of the subscribers."""
        found = (subscriber.subscription for subscriber in self._members.values())
        return [each for each in found if each is not None]

    def stats(self) -> TopicStats:
        subscribers = tuple(subscriber.stats() for subscriber in self._members.values())
        return TopicStats(
            published=self.published,
            delivered=self._delivered + sum(each.delivered for each in subscribers),
            dropped=self._dropped + sum(each.dropped for each in subscribers),
            subscribers=subscribers,
        )


class _Subscriber:
    """Who gets the messages of a topic: a stream, and what to do when it is full."""

    __slots__ = (
        "_dropped",
        "_joined",
        "_made",
        "_missed",
        "_policy",
        "_subscription",
        "_topic",
        "_waiting",
        "sink",
    )

    def __init__(self, topic: _Topic, made: Any, policy: Policy) -> None:
        self.sink: Sink[Any] = made._target()
        self._made = made
        self._policy = policy
        self._topic: _Topic | None = topic  # None when it has left
        self._subscription: ref[Subscription[Any]] | None = None
        # Counted is what does not go well: messages from before it came, dropped ones, and those
        # that were withdrawn or refused. The rest of the topic's has been delivered.
        self._joined = topic.published
        self._dropped = 0
        self._missed = 0
        self._waiting: dict[Receipt, None] = {}

    def start(self, topic: Hashable) -> Subscription[Any]:
        """Watch the stream for its end; return the user's side."""
        made = self._made
        side = subscription(made._origin(), self.close, topic=topic, policy=self._policy)
        self._subscription = ref(side, self._is_abandoned)
        if isinstance(made, Stream):
            made._host = self
        else:
            made.on_closed(self.leave)
        self.wake()
        return side

    @property
    def subscription(self) -> Subscription[Any] | None:
        """The user's side; None if nobody holds it any more."""
        return None if self._subscription is None else self._subscription()

    def stats(self) -> SubscriberStats:
        published = self._joined if self._topic is None else self._topic.published
        waiting = len(self._waiting)
        delivered = published - self._joined - self._dropped - self._missed - waiting
        return SubscriberStats(delivered, self._dropped, waiting)

    # Getting messages

    def offer(self, message: Any, delivery: Delivery) -> None:
        """Put a message into the stream, or do as the policy says. Never waits."""
        # Until it turns out otherwise: a metric may raise, or block and be interrupted.
        self._missed += 1
        try:
            if self._policy == "block":
                accepted = delivery.offer(self.sink, message, self._settled)
            else:
                accepted = self._put(message)
        except Exception as error:
            # Of its own stream: no affair of the publisher, nor of the others.
            self.leave()
            self._made.fail(error)
            return
        if accepted is False:
            self.leave()
            return
        self._missed -= 1
        if isinstance(accepted, Receipt):
            self._waiting[accepted] = None

    def _settled(self, receipt: Receipt) -> None:
        del self._waiting[receipt]
        self._missed += not receipt.is_accepted

    def _put(self, message: Any) -> bool:
        """Put a message in, or drop one. False if the stream is closed."""
        accepted = self.sink._put(message, 0)
        if self._policy == "drop_oldest":
            source = self._made._origin()
            while accepted is EXPIRED and not isinstance(source._take(0), Nothing):
                self._dropped += 1
                accepted = self.sink._put(message, 0)
        if accepted is EXPIRED:
            self._dropped += 1
            if self._policy == "disconnect":
                self._missed -= 1
                raise ResourceBusy("the subscriber was too slow: its buffer was full")
        return accepted is not False

    # Leaving

    def wake(self) -> None:
        """Hear that something about the stream has changed, as its host does."""
        if self._made.closed:
            self.leave()

    def _is_abandoned(self, _: object) -> None:
        """Hear that nobody holds the subscription. In the garbage collector, on any thread."""
        topic = self._topic
        if topic is not None:
            topic.bus._abandon_soon(self)

    def close(self) -> None:
        """Leave, and close the stream. Never switches."""
        self.leave()
        self._made._abandon()

    def leave(self) -> None:
        """Get no more messages; those that wait are refused. Never switches."""
        topic = self._topic
        if topic is None:
            return
        for receipt in tuple(self._waiting):
            receipt.withdraw()
        topic.remove(self)
        self._topic = self._subscription = None
        if self._made._host is self:
            self._made._host = None
