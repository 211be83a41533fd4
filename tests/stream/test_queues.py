"""Queues of gevent and of the standard library as sources and sinks."""

from __future__ import annotations

import threading
from itertools import pairwise

import gevent
import pytest
from gevent.monkey import get_original
from gevent.queue import Channel, LifoQueue, PriorityQueue, Queue, SimpleQueue
from gevent.thread import LockType

from galeph.clock import set_default
from galeph.stream import connect, sink, source
from galeph.testing import ManualClock, kill_walk
from tests.stream.scenes import interruptions, settle, victim, waiting

# Those that block the thread also where gevent has put its own in their place.
BlockingQueue, BlockingSimpleQueue = get_original("queue", ["Queue", "SimpleQueue"])
BlockingLifoQueue, BlockingPriorityQueue = get_original("queue", ["LifoQueue", "PriorityQueue"])
start_thread = get_original("_thread", "start_new_thread")
block_thread = get_original("time", "sleep")


class TestGevents:
    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(SimpleQueue, marks=pytest.mark.parity("STR-30")),
            pytest.param(lambda: Queue(1), marks=pytest.mark.parity("STR-30")),
            pytest.param(Channel, marks=pytest.mark.parity("STR-31")),
        ],
        ids=["SimpleQueue", "Queue", "Channel"],
    )
    def test_are_both(self, make):
        """Messages go through in both directions, None included, and a source never ends."""
        queue = make()
        putter = waiting(sink(queue).put_all, [1, None, 3])
        stream = source(queue)

        assert [1, None, 3] == [stream.take("default") for _ in range(3)]
        assert putter.get(timeout=1) is True
        assert "late" == stream.try_take(0.01, "end", "late")
        assert not stream.drained

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda: Queue(1), marks=pytest.mark.parity("STR-30")),
            pytest.param(Channel, marks=pytest.mark.parity("STR-31")),
        ],
        ids=["Queue", "Channel"],
    )
    def test_asynchronous_puts_and_takes_keep_their_order(self, make):
        """Many at once, in either order, are served as they were called."""
        queue = make()
        into, stream = sink(queue), source(queue)
        puts = [into.put_async(n) for n in range(5)]
        takes = [stream.take_async() for _ in range(10)]
        puts += [into.put_async(n) for n in range(5, 10)]

        assert list(range(10)) == [take.get(timeout=1) for take in takes]
        assert [True] * 10 == [put.get(timeout=1) for put in puts]

    def test_limits_of_zero_look_without_waiting(self):
        """Empty and full are told at once."""
        queue = Queue(1)
        stream, into = source(queue), sink(queue)

        assert "late" == stream.try_take(0, "end", "late")
        assert into.try_put("a", 0) is True
        assert "late" == into.try_put("b", 0, "late")
        assert "a" == stream.try_take(0)

    @pytest.mark.parity("STR-31")
    @pytest.mark.parametrize("make", [Channel, lambda: Queue(1)], ids=["Channel", "Queue"])
    def test_closing_the_sink_lets_the_last_put_through(self, make):
        """What was being put arrives, and the queue stays for others."""
        queue = make()
        into = sink(queue)
        first = waiting(into.put, 1)
        settle()
        into.close()

        assert into.put("late") is False
        assert 1 == queue.get(timeout=1)
        assert first.get(timeout=1) is True
        others = waiting(sink(queue).put, "another's")
        assert "another's" == queue.get(timeout=1)
        assert others.get(timeout=1) is True

    def test_closing_leaves_the_queue_alone(self):
        """A queue knows no end; only the stream ends."""
        queue = Queue()
        stream, into = source(queue), sink(queue)
        stream.close()
        into.close()

        assert "end" == stream.take("end")
        assert "end" == stream.try_take(0, "end", "late")
        assert into.put("a") is False
        assert into.try_put("a", 0) is False
        queue.put("still there")
        assert "still there" == queue.get()
        failing = sink(queue)
        failing.fail(ValueError())
        assert failing.closed

    def test_a_queue_that_is_shut_down_ends_the_stream(self):
        """The source drains, the sink is closed."""
        queue = Queue()
        stream, into = source(queue), sink(queue)
        queue.shutdown()

        assert "end" == stream.take("end")
        assert stream.drained
        assert into.put("a") is False
        assert into.closed
        assert "end" == source(queue).try_take(0, "end")
        at_once = sink(queue)
        assert at_once.try_put("a", 0) is False
        assert at_once.closed

    def test_a_queue_that_is_shut_down_refuses_a_put_that_waits(self):
        """And closes the sink."""
        queue = Queue(1)
        queue.put("full")
        into = sink(queue)
        putter = waiting(into.put, "a")
        assert not putter.ready()
        queue.shutdown()

        assert putter.get(timeout=1) is False
        assert into.closed

    def test_closing_the_source_gives_a_waiting_taker_the_end(self):
        """He does not wait on for a message that would be lost."""
        queue = Queue()
        stream = source(queue)
        taker = waiting(stream.take, "end")
        stream.close()

        assert "end" == taker.get(timeout=1)
        queue.put("still there")
        assert "still there" == queue.get_nowait()

    def test_closing_the_source_disturbs_nobody_who_has_taken(self):
        """He may be blocked somewhere else by then."""
        queue, gate = Queue(), gevent.event.Event()
        stream = source(queue)
        taker = waiting(lambda: (stream.take(), gate.wait()))
        queue.put("a")
        settle()
        stream.close()
        settle()

        assert not taker.ready()
        gate.set()
        assert ("a", True) == taker.get(timeout=1)

    @pytest.mark.parametrize("make", [lambda: Queue(1), Channel], ids=["Queue", "Channel"])
    def test_interrupted_takes_lose_nothing(self, make):
        """Thrown at after any switch, a take leaves its message in the queue."""

        def scene():
            nonlocal taken, queue
            queue, taken = make(), []
            putter = waiting(sink(queue).put_all, range(5))
            stream = source(queue)

            def take():
                for _ in range(3):
                    taken.append(stream.take())

            def others():
                while len(taken) < 5:
                    taken.append(stream.try_take(1, "end", "late"))
                assert putter.get(timeout=1) is True

            return victim(take), lambda: (settle(), others())

        taken, queue = [], None
        for way in interruptions(scene):
            assert list(range(5)) == sorted(taken), way

    @pytest.mark.parity("STR-30")
    @pytest.mark.parametrize(
        ("queue", "facts"),
        [
            (Queue(3), ("Queue", 0, 3)),
            (SimpleQueue(), ("SimpleQueue", 0, None)),
            (Channel(), ("Channel", 0, 0)),
            (BlockingQueue(2), ("Queue", 0, 2)),
            (BlockingQueue(), ("Queue", 0, None)),
            (BlockingSimpleQueue(), ("SimpleQueue", 0, None)),
        ],
        ids=["Queue", "endless", "Channel", "blocking", "blocking endless", "simple"],
    )
    def test_describe_themselves(self, queue, facts):
        """Kind, size and capacity, on both sides."""
        for stream in (source(queue), sink(queue)):
            said = stream.description()
            assert "queue" == said["type"]
            assert facts == (said["of"], said["buffer_size"], said["buffer_capacity"])


class TestTheStandardLibrarys:
    @pytest.mark.parity("STR-30")
    @pytest.mark.parametrize("make", [BlockingQueue, BlockingSimpleQueue])
    def test_bridge_to_another_thread_without_blocking_this_one(self, make):
        """A thread that blocks in them and greenlets that do not, both ways."""
        there, back = make(), make()

        def serve():
            while (message := get()) is not None:
                back.put(message * 2)

        def get():
            # In a patched process these queues have gevent's locks, and no thread may wait for one.
            while there.empty():
                block_thread(0.0005)
            return there.get()

        start_thread(serve, ())
        ticks = []
        ticker = gevent.spawn(lambda: [ticks.append(gevent.sleep(0.001)) for _ in range(10_000)])
        moved = connect(range(50), there, downstream=False)
        stream = source(back)
        got = [stream.take() for _ in range(50)]
        there.put(None)
        ticker.kill()

        assert [n * 2 for n in range(50)] == got
        assert moved.get(timeout=1) is True
        assert ticks

    def test_is_looked_at_more_and_more_rarely(self, manual):
        """From 1 ms to 20 ms: what comes is found within that time."""
        looks = []

        class Watched(BlockingQueue):
            def get_nowait(self):
                looks.append(manual.monotonic())
                return super().get_nowait()

        messages = Watched()
        taker = waiting(source(messages).take)
        for _ in range(100):
            manual.advance(0.001)
            settle()
        messages.put("a")
        manual.advance(0.02)

        assert "a" == taker.get(timeout=1)
        pauses = [round(b - a, 6) for a, b in pairwise(looks)]
        assert [0.001, 0.002, 0.004, 0.008, 0.016, 0.02, 0.02] == pauses[:7]

    def test_a_take_keeps_the_clock_it_began_with(self, manual):
        """Replacing the default meanwhile does not change when it looks again."""
        messages = BlockingQueue()
        taker = waiting(source(messages).take)
        previous = set_default(ManualClock())
        for _ in range(9):
            manual.advance(0.02)
            settle()
        messages.put("a")
        manual.advance(0.02)
        settle()
        set_default(previous)

        assert taker.ready()
        assert "a" == taker.get(timeout=1)

    def test_a_full_one_is_waited_for(self):
        """A put blocks its greenlet until there is room, and no other."""
        messages = BlockingQueue(1)
        putter = waiting(sink(messages).put_all, "abc")

        assert not putter.ready()
        assert ["a", "b", "c"] == [source(messages).take() for _ in "abc"]
        assert putter.get(timeout=1) is True

    def test_limits_are_kept(self):
        """Takes and puts that have expired have changed nothing."""
        messages = BlockingQueue(1)
        stream, into = source(messages), sink(messages)

        assert "late" == stream.try_take(0, "end", "late")
        assert "late" == stream.try_take(0.005, "end", "late")
        assert into.try_put("a", 0) is True
        assert "late" == into.try_put("b", 0, "late")
        assert "late" == into.try_put("b", 0.005, "late")
        assert "a" == stream.try_take(0)
        assert messages.empty()

    def test_a_killed_take_leaves_the_message(self):
        """It stays in the queue itself, for whoever takes next from it."""
        messages = BlockingQueue()
        taker = waiting(source(messages).take)
        taker.kill()
        messages.put("a")
        gevent.sleep(0.03)

        assert "a" == messages.get_nowait()

    def test_closing_the_source_ends_the_looking(self):
        """A greenlet that waits in a take gets the end."""
        messages = BlockingQueue()
        stream = source(messages)
        taker = waiting(stream.take, "end")
        stream.close()

        assert "end" == taker.get(timeout=1)
        messages.put("a")
        assert 1 == messages.qsize()


def with_gevents_lock(kind):
    """A queue of the standard library as it is in a patched process, whose locks are gevent's."""

    def make(maxsize):
        messages = kind(maxsize)
        messages.mutex = LockType()
        for name in ("not_empty", "not_full", "all_tasks_done"):
            setattr(messages, name, threading.Condition(messages.mutex))
        return messages

    return make


WITH_GEVENTS_LOCK = [
    pytest.param(with_gevents_lock(BlockingQueue), id="Queue, gevent's lock"),
    pytest.param(with_gevents_lock(BlockingLifoQueue), id="LifoQueue, gevent's lock"),
    pytest.param(with_gevents_lock(BlockingPriorityQueue), id="PriorityQueue, gevent's lock"),
]
FORMS = [
    pytest.param(SimpleQueue, id="gevent's SimpleQueue"),
    pytest.param(Queue, id="gevent's Queue"),
    pytest.param(LifoQueue, id="gevent's LifoQueue"),
    pytest.param(PriorityQueue, id="gevent's PriorityQueue"),
    pytest.param(lambda _: Channel(), id="Channel"),
    pytest.param(BlockingQueue, id="Queue"),
    pytest.param(BlockingLifoQueue, id="LifoQueue"),
    pytest.param(BlockingPriorityQueue, id="PriorityQueue"),
    *WITH_GEVENTS_LOCK,
]


def taken_in_all(queue, take, victim, put=range(1, 5)):
    """What is taken of four messages, in order, if the victim calls ``take(stream)`` for three."""
    stream, taken = source(queue), []

    def work():
        for _ in range(3):
            message = take(stream)
            if message is not None:
                taken.append(message)

    victim.spawn(work)
    others = gevent.spawn(sink(queue).put_all, put)
    victim.join()
    while len(taken) < 4 and (message := stream.try_take(0.1)) is not None:
        taken.append(message)
    assert others.get(timeout=1) is True
    assert queue.empty()
    return sorted(taken)


@pytest.mark.parity("STR-30", "STR-31")
class TestAKillAtAnySwitch:
    @pytest.mark.parametrize(
        "make", [*FORMS, pytest.param(lambda _: BlockingSimpleQueue(), id="SimpleQueue")]
    )
    def test_of_a_take_loses_no_message(self, make):
        """What the victim has not got comes next."""

        def scenario(victim):
            assert [1, 2, 3, 4] == taken_in_all(make(2), lambda stream: stream.take(), victim)

        kill_walk(scenario, at_least=2)

    # A put into a SimpleQueue never switches.
    @pytest.mark.parametrize("make", FORMS)
    def test_of_a_put_puts_in_full_or_not_at_all(self, make):
        """What has been put is a beginning, and the next put comes behind it."""

        def scenario(victim):
            queue, accepted, taken = make(1), [], []
            into, stream = sink(queue), source(queue)

            def put():
                for message in (1, 2, 3):
                    into.put(message)
                    accepted.append(message)

            def take():
                while taken[-1:] != [99]:
                    taken.append(stream.take())

            taker = gevent.spawn(take)
            victim.spawn(put)
            victim.join()
            into.put(99)
            taker.get(timeout=1)

            assert [*[1, 2, 3][: len(taken) - 1], 99] == taken
            assert len(accepted) <= len(taken) - 1 <= len(accepted) + 1

        kill_walk(scenario, at_least=2)


@pytest.mark.parity("STR-30")
@pytest.mark.parametrize("make", WITH_GEVENTS_LOCK)
def test_a_look_that_is_killed_loses_no_message(make):
    """It does not wait, but it switches."""

    def scenario(victim):
        queue = make(4)
        sink(queue).put_all(range(1, 5))
        assert [1, 2, 3, 4] == taken_in_all(queue, lambda stream: stream.try_take(0), victim, [])

    kill_walk(scenario, at_least=2)


@pytest.mark.parity("STR-30")
@pytest.mark.parametrize("make", WITH_GEVENTS_LOCK)
def test_a_put_that_is_killed_leaves_nobody_waiting_for_what_is_there(make, monkeypatch):
    """A greenlet that waits in the queue itself is woken if anything has been put."""
    # What a condition has its waiters wait for, in a patched process.
    monkeypatch.setattr(threading, "_allocate_lock", LockType)

    def scenario(victim):
        queue = make(1)
        getter = gevent.spawn(queue.get)
        gevent.sleep(0)
        victim.spawn(sink(queue).put, 1)
        victim.join()
        settle()

        assert getter.ready() or queue.empty()
        if not getter.ready():
            sink(queue).put(2)
        assert getter.get(timeout=1) in (1, 2)

    kill_walk(scenario, at_least=2)


@pytest.fixture
def manual():
    """A clock that moves when told to."""
    clock = ManualClock()
    previous = set_default(clock)
    yield clock
    set_default(previous)
