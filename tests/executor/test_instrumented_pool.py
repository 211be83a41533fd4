"""Objects that are costly to make, lent and taken back."""

from __future__ import annotations

import gc
import logging
import weakref
from contextlib import suppress
from contextvars import ContextVar

import gevent
import pytest
from gevent import get_hub
from gevent.event import Event

from galeph import deferred, executor
from galeph.errors import Cancelled, PoolFull, Rejected, ResourceClosed, TimedOut
from galeph.executor import InstrumentedPool, PoolUtilizationController
from galeph.testing import ManualClock
from tests.deferred import threads
from tests.stream.scenes import settle

# Ways of a value from one deferred to another.
UNCHANGED = {
    "chain": lambda asked: asked.chain(),
    "catch": lambda asked: asked.catch(lambda error: None),
    "finally": lambda asked: asked.finally_(lambda: None),
    "onto": lambda asked: asked.onto(executor.fixed_executor(1)),
    "zip": lambda asked: deferred.zip(asked),
    "alt": lambda asked: deferred.alt(asked),
    "returned": lambda asked: deferred.success(1).chain(lambda _: asked),
    "twice": lambda asked: asked.chain().finally_(lambda: None),
}

VARIABLE = ContextVar("variable", default="unset")


class Thing:
    """An object with a number."""

    def __init__(self, number, key):
        self.number = number
        self.key = key

    def __repr__(self):
        return f"{self.key}{self.number}"


class Workshop:
    """Makes things, and keeps count of those made and destroyed."""

    def __init__(self):
        self.made = []
        self.destroyed = []

    def generate(self, key):
        thing = Thing(len(self.made), key)
        self.made.append(thing)
        return thing

    def destroy(self, key, thing):
        self.destroyed.append((key, thing.number))


@pytest.fixture
def workshop():
    return Workshop()


@pytest.fixture
def manual():
    with ManualClock() as manual:
        yield manual


@pytest.fixture
def make(workshop):
    """Makes pools, and shuts them down at the end."""
    made = []

    def make(max_per_key=8, max_total=100, **options):
        pool = InstrumentedPool(
            **{
                "generate": workshop.generate,
                "destroy": workshop.destroy,
                "controller": PoolUtilizationController(0.5, max_per_key, max_total),
                **options,
            }
        )
        made.append(pool)
        return pool

    yield make
    for pool in made:
        for asked in [asked for shelf in pool._shelves for asked in shelf.waiting]:
            asked.cancel()
        pool.shutdown()


class TestAcquire:
    @pytest.mark.parity("EXEC-18", "EXEC-24")
    def test_lends_what_is_made(self, make, workshop):
        """An object is made for whoever finds none, and arrives in a deferred."""
        pool = make()
        asked = pool.acquire("a")
        at_once = asked.ready()

        assert not at_once
        assert asked.get() is workshop.made[0]
        assert "a" == workshop.made[0].key

    @pytest.mark.parity("EXEC-25")
    def test_released_is_lent_again(self, make, workshop):
        """An object given back is lent again, to the next who asks for its key."""
        pool = make()
        first = pool.acquire("a").get()
        pool.release("a", first)
        again = pool.acquire("a")
        other = pool.acquire("b").get()

        assert again.ready()
        assert first is again.get()
        assert "b" == other.key
        assert [] == workshop.destroyed

    @pytest.mark.parity("EXEC-25")
    def test_disposed_is_destroyed(self, make, workshop):
        """An object thrown away is destroyed, and another is made in its place."""
        pool = make(max_per_key=1)
        first = pool.acquire("a").get()
        waiting = pool.acquire("a")
        gevent.sleep(0)
        early = waiting.ready()
        pool.dispose("a", first)
        second = waiting.get()
        gevent.sleep(0)

        assert not early
        assert first is not second
        assert [("a", 0)] == workshop.destroyed

    @pytest.mark.parity("EXEC-18")
    def test_waits_for_room(self, make):
        """With as many as may be, whoever asks waits until one comes back, in his turn."""
        pool = make(max_per_key=2)
        lent = [pool.acquire("a").get() for _ in range(2)]
        waiting = [pool.acquire("a") for _ in range(3)]
        gevent.sleep(0.001)
        before = [asked.ready() for asked in waiting]
        pool.release("a", lent[1])
        pool.release("a", lent[0])

        assert [False] * 3 == before
        assert lent[1] is waiting[0].get()
        assert lent[0] is waiting[1].get()
        assert not waiting[2].ready()

    def test_arrives_later(self, make):
        """What the object arrives in may be returned in its place."""
        coming = deferred.deferred()
        pool = make(generate=lambda key: coming)
        asked = pool.acquire("a")
        gevent.sleep(0.001)
        early = asked.ready()
        thing = object()
        coming.success(thing)

        assert not early
        assert thing is asked.get()

    @pytest.mark.parity("EXEC-19")
    def test_equal_objects(self, make, workshop):
        """Objects may be equal to each other: they are told apart by identity."""
        pool = make(generate=lambda key: [key], destroy=None)
        first, second = pool.acquire("a").get(), pool.acquire("a").get()
        pool.release("a", second)

        assert first == second
        assert first is not second
        assert second is pool.acquire("a").get()

    @pytest.mark.parity("EXEC-19")
    def test_the_same_object_twice(self, make):
        """The same object twice is none: who asked for it is told, and the first keeps it."""
        pool = make(generate=lambda key: "always the same", destroy=None)
        first = pool.acquire("a").get()
        with pytest.raises(ValueError, match="generate must return a new object"):
            pool.acquire("a").get()
        pool.release("a", first)

        assert first is pool.acquire("a").get()

    @pytest.mark.parity("EXEC-19")
    def test_generate_is_given_the_key(self, make, workshop):
        """It is called with the key, in a greenlet of its own, in the context of the pool."""
        seen = []

        def generate(key):
            seen.append((key, gevent.getcurrent(), VARIABLE.get()))
            gevent.sleep(0)
            return workshop.generate(key)

        token = VARIABLE.set("where the pool was made")
        pool = make(generate=generate)
        VARIABLE.set("whoever asks")
        pool.acquire(("host", 80)).get()
        VARIABLE.reset(token)
        ((key, greenlet, value),) = seen

        assert ("host", 80) == key
        assert greenlet not in {get_hub(), gevent.getcurrent()}
        assert "where the pool was made" == value

    @pytest.mark.parity("EXEC-24")
    def test_failed(self, make):
        """If none can be made, that is the error of the deferred; the next who asks tries again."""
        errors = [OSError("first"), OSError("second")]

        def generate(key):
            raise errors.pop(0)

        pool = make(generate=generate)
        asked = [pool.acquire("a"), pool.acquire("a")]

        with pytest.raises(OSError, match="first"):
            asked[0].get()
        with pytest.raises(OSError, match="second"):
            asked[1].get()
        assert "0 objects" in repr(pool)

    def test_failed_for_each(self, make):
        """A failure is told to one of those who wait, and another is made for the others."""
        outcomes = [OSError("broken"), object()]

        def generate(key):
            gevent.sleep(0)
            outcome = outcomes.pop(0)
            if isinstance(outcome, OSError):
                raise outcome
            return outcome

        pool = make(max_per_key=1, generate=generate, destroy=None)
        first, second = pool.acquire("a"), pool.acquire("a")
        thing = second.get()

        assert "broken" == str(first.exception)
        assert type(thing) is object

    def test_failed_for_nobody(self, make, caplog):
        """A failure that nobody waits for any more is logged."""
        gate = Event()

        def generate(key):
            gate.wait()
            raise OSError("broken")

        pool = make(generate=generate)
        asked = pool.acquire("a")
        gevent.sleep(0)
        asked.cancel()
        with caplog.at_level(logging.ERROR, "galeph.executor"):
            gate.set()
            gevent.sleep(0.005)

        assert ["broken"] == [str(record.exc_info[1]) for record in caplog.records]
        assert "0 objects" in repr(pool)

    def test_killed(self, make, workshop):
        """If the greenlet that makes it is killed, whoever waits hears of it."""
        greenlets = []

        def generate(key):
            greenlets.append(gevent.getcurrent())
            gevent.sleep(5)

        pool = make(generate=generate)
        asked = pool.acquire("a")
        gevent.sleep(0)
        greenlets[0].kill()

        with pytest.raises(Cancelled):
            asked.get()

    @pytest.mark.parity("EXEC-22", "EXEC-24")
    @pytest.mark.parametrize("max_queue_size", [1, 5])
    def test_too_many_wait(self, make, max_queue_size):
        """So many may wait for a key; one more fails, in his deferred; other keys do not count."""
        pool = make(max_per_key=1, max_queue_size=max_queue_size)
        pool.acquire("a").get()
        waiting = [pool.acquire("a") for _ in range(max_queue_size)]
        rejected = pool.acquire("a")
        other = pool.acquire("b").get()

        assert isinstance(rejected.exception, PoolFull)
        assert not any(asked.ready() for asked in waiting)
        assert "b" == other.key

    @pytest.mark.parity("EXEC-22")
    def test_default_of_how_many_may_wait(self, make):
        """Unless told otherwise, 65,536 may wait for a key."""
        pool = make(max_per_key=1)
        pool.acquire("a").get()
        waiting = [pool.acquire("a") for _ in range(65536)]
        rejected = pool.acquire("a")

        assert not waiting[-1].ready()
        assert isinstance(rejected.exception, PoolFull)

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize(
        "leave",
        [
            lambda asked: asked.cancel(),
            lambda asked: asked.timeout(0),
            lambda asked: asked.success("by hand"),
        ],
        ids=["cancelled", "timed out", "realized by hand"],
    )
    def test_left_while_it_is_made(self, make, workshop, leave):
        """An object for a deferred that is realized already goes back to the pool."""
        pool = make(max_per_key=1)
        asked = pool.acquire("a")
        leave(asked)
        _ = asked.exception
        gevent.sleep(0.005)
        again = pool.acquire("a")

        assert 1 == len(workshop.made)
        assert again.ready()
        assert workshop.made[0] is again.get()

    @pytest.mark.parity("EXEC-24")
    def test_waiter_is_killed(self, make, workshop):
        """An object for a greenlet that was killed goes to the next, whether it had come or not."""
        pool = make(max_per_key=1)
        thing = pool.acquire("a").get()
        early, late = pool.acquire("a"), pool.acquire("a")
        waiters = [gevent.spawn(early.get), gevent.spawn(late.get)]
        gevent.sleep(0)
        waiters[0].kill()
        waiters[1].kill(block=False)
        # It comes before the kill does.
        pool.release("a", thing)
        came = late.ready()
        waiters[1].join()

        assert thing is pool.acquire("a").get()
        assert early.cancelled()
        assert came
        assert late.cancelled()

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize(
        "give_up",
        [
            lambda asked: asked.result(0, default=None),
            lambda asked: asked.result(0.001, default=None),
            lambda asked: asked.wait(0.001),
            lambda asked: asked.get(timeout=0.001),
            lambda asked: None,
        ],
        ids=["polled", "result", "wait", "get", "dropped"],
    )
    def test_given_up(self, make, give_up):
        """An object for a deferred that was dropped goes to whoever has waited longest after it."""
        pool = make(max_per_key=1)
        thing = pool.acquire("a").get()
        with suppress(gevent.Timeout):
            give_up(pool.acquire("a"))
        # A `gevent.Timeout` that was raised names frames, and they it; so does the hub, until it
        # has gone on from raising it.
        gevent.sleep(0)
        gc.collect()
        later = pool.acquire("a")
        pool.release("a", thing)

        assert thing is later.result(5)

    @pytest.mark.parity("EXEC-24")
    def test_dropped_with_an_object(self, make):
        """An object that came at once, and that nobody took, goes back when the deferred dies."""
        pool = make(max_per_key=1)
        pool.release("a", pool.acquire("a").get())
        gc.disable()
        try:
            pool.acquire("a")
            gevent.sleep(0)
        finally:
            gc.enable()

        assert "0 lent, 1 idle" in repr(pool)

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize("is_there", [True, False], ids=["there", "awaited"])
    @pytest.mark.parametrize("go_on", list(UNCHANGED.values()), ids=list(UNCHANGED))
    def test_dropped_after_it_has_gone_on(self, make, go_on, is_there):
        """So does one that has gone on, unchanged, to a deferred that is dropped."""
        pool = make(max_per_key=1)
        thing = pool.acquire("a").get()
        if is_there:
            pool.release("a", thing)
            kept = go_on(pool.acquire("a"))
        else:
            kept = go_on(pool.acquire("a"))
            pool.release("a", thing)
        settle()
        assert "1 lent, 0 idle" in repr(pool)
        assert kept.successful()
        del kept
        settle()
        gc.collect()
        gevent.sleep(0)

        assert "0 lent, 1 idle" in repr(pool)

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize("go_on", list(UNCHANGED.values()), ids=list(UNCHANGED))
    def test_taken_after_it_has_gone_on(self, make, go_on):
        """Whoever takes it from there has it, though other ways it has gone are dropped."""
        pool = make(max_per_key=1)
        asked = pool.acquire("a")
        gone = asked.chain()
        kept = go_on(asked)
        settle()
        del gone, asked
        thing = kept.value
        del kept
        gc.collect()
        settle()

        assert "1 lent, 0 idle" in repr(pool)
        pool.release("a", thing[0] if isinstance(thing, list) else thing)

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize("in_threads", [False, True], ids=["greenlets", "threads"])
    @pytest.mark.parametrize("queue_length", [0, 1], ids=["full", "called off"])
    @pytest.mark.parametrize(
        "use",
        [
            lambda asked, there, fn: asked.onto(there).chain(fn),
            lambda asked, there, fn: deferred.flow(executor=there)(fn)(asked),
        ],
        ids=["onto", "flow"],
    )
    def test_for_a_function_that_never_begins(self, make, use, queue_length, in_threads):
        """It goes back if the executor that was to call the function with it does not."""
        pool, seen, gate = make(max_per_key=1), [], deferred.deferred(from_thread=True)
        there = executor.fixed_executor(1, queue_length=queue_length, in_threads=in_threads)
        busy = there.submit(deferred.to_future(gate).result if in_threads else gate.get)
        result = use(pool.acquire("a"), there, seen.append)
        settle()
        ended = there.shutdown(cancel=True)
        gate.success(None)
        with pytest.raises((Rejected, Cancelled)):
            result.get()
        ended.get()
        _ = busy.exception

        assert [] == seen
        assert "0 lent, 1 idle" in repr(pool)

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize("in_threads", [False, True], ids=["greenlets", "threads"])
    def test_for_a_function_that_begins(self, make, in_threads):
        """It is that function's, whatever becomes of the deferred."""
        pool, seen = make(max_per_key=1), []
        with executor.fixed_executor(1, in_threads=in_threads) as there:
            pool.acquire("a").onto(there).chain(seen.append).get()
            settle()

        assert "1 lent, 0 idle" in repr(pool)
        pool.release("a", seen.pop())
        with executor.fixed_executor(1, in_threads=in_threads) as there:
            deferred.flow(executor=there)(seen.append)(pool.acquire("a")).get()
            settle()
        assert "1 lent, 0 idle" in repr(pool)

    @pytest.mark.parity("EXEC-24")
    def test_left_where_it_is_twice(self, make):
        """An object in a list twice goes to one other, not back a second time while he has it."""
        pool = make(max_per_key=1)
        thing = pool.acquire("a").get()
        asked = pool.acquire("a")
        left = gevent.spawn(deferred.zip(asked, asked).get)
        gevent.sleep(0)
        asked.rawlink(lambda _: left.kill(block=False))
        later = pool.acquire("a")
        pool.release("a", thing)
        left.join()

        assert thing is later.get()
        assert "1 lent, 0 idle" in repr(pool)

    @pytest.mark.parity("EXEC-24")
    @pytest.mark.parametrize(
        "take",
        [
            lambda asked: asked.get(),
            lambda asked: asked.get_nowait(),
            lambda asked: asked.result(0),
            lambda asked: asked.wait(),
            lambda asked: asked.value,
            lambda asked: asked.chain(lambda thing: thing).get(),
            lambda asked: deferred.zip(asked).get()[0],
            lambda asked: deferred.unwrap(asked),
        ],
        ids=["get", "get_nowait", "result", "wait", "value", "chain", "zip", "unwrap"],
    )
    def test_taken_and_dropped(self, make, take):
        """Who took the object has it until he gives it back, whatever becomes of the deferred."""
        pool = make(max_per_key=1)
        pool.release("a", pool.acquire("a").get())
        thing = take(pool.acquire("a"))
        gc.collect()
        gevent.sleep(0)

        assert "a" == thing.key
        assert "1 lent, 0 idle" in repr(pool)

    @pytest.mark.parity("EXEC-24")
    def test_dropped_after_it_was_given_back(self, make):
        """A deferred that dies takes nothing from whoever has got the object since."""
        pool = make(max_per_key=1)
        thing = pool.acquire("a").get()
        asked = pool.acquire("a")
        pool.release("a", thing)
        # In its own time, since whoever keeps an object may give it back however he got it.
        pool.release("a", thing)
        other = pool.acquire("a").get()
        del asked
        gevent.sleep(0)

        assert thing is other
        assert "1 lent, 0 idle" in repr(pool)

    def test_waits_at_most(self, make):
        """A limit on the wait leaves no place in the queue behind."""
        pool = make(max_per_key=1, max_queue_size=1)
        pool.acquire("a").get()
        for _ in range(3):
            with pytest.raises(TimedOut):
                pool.acquire("a").timeout(0.001).get()

        assert "0 waiting" in repr(pool)

    def test_realized_by_a_thread(self, make, workshop):
        """An OS thread may realize the deferred while the object comes: it goes back too."""
        pool = make(max_per_key=1)
        thing = pool.acquire("a").get()
        asked = pool.acquire("a")
        threads.run(asked.success, "by a thread")
        pool.release("a", thing)

        assert "by a thread" == asked.get()
        assert thing is pool.acquire("a").get()

    def test_from_another_thread(self, make):
        """Another thread is told that it may not."""
        pool = make()
        thing = pool.acquire("a").get()
        outcomes = [
            threads.run(pool.acquire, "a"),
            threads.run(pool.release, "a", thing),
            threads.run(pool.dispose, "a", thing),
            threads.run(pool.shutdown),
        ]

        assert [RuntimeError] * 4 == [type(outcome) for outcome in outcomes]


class TestGivingBack:
    @pytest.mark.parametrize("give_back", [InstrumentedPool.release, InstrumentedPool.dispose])
    def test_twice(self, make, give_back):
        """An object can be given back once, and only as what it is."""
        pool = make()
        thing = pool.acquire("a").get()
        with pytest.raises(ValueError, match="'b'"):
            give_back(pool, "b", thing)
        give_back(pool, "a", thing)

        with pytest.raises(ValueError, match="lent"):
            give_back(pool, "a", thing)
        with pytest.raises(ValueError, match="lent"):
            give_back(pool, "a", object())

    def test_never_switches(self, make):
        """Giving back works where nothing may switch: in the hub."""
        pool = make(max_per_key=1)
        things = [pool.acquire("a").get(), pool.acquire("b").get()]
        waiting = [pool.acquire("a"), pool.acquire("b")]
        get_hub().loop.run_callback(pool.release, "a", things[0])
        get_hub().loop.run_callback(pool.dispose, "b", things[1])

        assert things[0] is waiting[0].get()
        assert "b" == waiting[1].get().key

    @pytest.mark.parity("EXEC-20")
    def test_destroy_is_optional(self, make):
        """Without a function for it, an object thrown away is only forgotten."""
        pool = make(generate=lambda key: Thing(0, key), destroy=None)
        thing = pool.acquire("a").get()
        gone = weakref.ref(thing)
        pool.dispose("a", thing)
        del thing
        gevent.sleep(0)
        gc.collect()

        assert "0 objects" in repr(pool)
        assert gone() is None

    @pytest.mark.parity("EXEC-20")
    def test_destroy_may_block(self, make, workshop):
        """The function is given key and object, in a greenlet of its own, which may block."""
        seen = []

        def destroy(key, thing):
            gevent.sleep(0.001)
            seen.append((key, thing, gevent.getcurrent()))

        pool = make(destroy=destroy)
        thing = pool.acquire("a").get()
        pool.dispose("a", thing)
        at_once = list(seen)
        pool.shutdown().get()

        assert [] == at_once
        assert ("a", thing) == seen[0][:2]
        assert seen[0][2] not in {get_hub(), gevent.getcurrent()}

    def test_failing_destroy(self, make, caplog):
        """What it raises is logged, and the object counts as gone."""

        def destroy(key, thing):
            raise OSError("broken")

        pool = make(destroy=destroy)
        pool.dispose("a", pool.acquire("a").get())
        with caplog.at_level(logging.ERROR, "galeph.executor"):
            pool.shutdown().get()

        assert ["broken"] == [str(record.exc_info[1]) for record in caplog.records]


class TestManyKeys:
    def test_total(self, make, workshop):
        """No more are made than there may be in all."""
        pool = make(max_per_key=2, max_total=3)
        lent = [pool.acquire(key).get() for key in "aab"]
        waiting = pool.acquire("c")
        gevent.sleep(0.001)
        before = waiting.ready(), len(workshop.made)
        pool.dispose("a", lent[0])

        assert (False, 3) == before
        assert "c" == waiting.get().key

    def test_idle_makes_room(self, make, workshop):
        """One that lies idle is destroyed if another key needs the room: the idlest one."""
        pool = make(max_total=4)
        lent = [pool.acquire(key).get() for key in "abbc"]
        for thing in lent[1], lent[0], lent[2]:
            pool.release(thing.key, thing)
        other = pool.acquire("d").get()
        gevent.sleep(0)

        assert "d" == other.key
        assert [("b", 1)] == workshop.destroyed

    def test_idle_is_left_alone(self, make, workshop):
        """None is destroyed where that would not help."""
        pool = make(max_per_key=1, max_total=3)
        lent = [pool.acquire(key).get() for key in "ab"]
        pool.release("b", lent[1])
        waiting = pool.acquire("a")
        gevent.sleep(0.001)

        assert not waiting.ready()
        assert [] == workshop.destroyed

    def test_given_back_makes_room(self, make, workshop):
        """One that comes back and that nobody of its key waits for makes room as well."""
        pool = make(max_total=1)
        thing = pool.acquire("a").get()
        waiting = pool.acquire("b")
        gevent.sleep(0.001)
        before = waiting.ready()
        pool.release("a", thing)

        assert not before
        assert "b" == waiting.get().key
        assert [("a", 0)] == workshop.destroyed

    def test_a_busy_key_starves_no_other(self, make, manual, workshop):
        """Whoever has waited longest is served, whatever his key."""
        pool = make(max_total=1)
        thing = pool.acquire("a").get()
        waiting = []
        for key in "bab":
            manual.advance(1)
            waiting.append(pool.acquire(key))
        served = []
        pool.release("a", thing)
        for number in range(3):
            manual.advance(0)
            served.append([asked.ready() for asked in waiting])
            lent = waiting[number].get()
            pool.release(lent.key, lent)

        assert [[True, False, False], [True, True, False], [True, True, True]] == served
        assert ["a", "b", "a", "b"] == [thing.key for thing in workshop.made]

    def test_failure_makes_room(self, make):
        """The room of one that could not be made is for whoever waits."""
        gate = Event()

        def generate(key):
            if key == "a":
                gate.wait()
                raise OSError("broken")
            return object()

        pool = make(max_total=1, generate=generate, destroy=None)
        failing = pool.acquire("a")
        waiting = pool.acquire("b")
        gevent.sleep(0.001)
        gate.set()

        assert waiting.get()
        assert "broken" == str(failing.exception)


class TestControl:
    @pytest.mark.parity("EXEC-21")
    def test_stats_callback(self, make, manual):
        """The callback gets the statistics of each key after each control period."""
        told = []
        pool = make(stats_callback=lambda stats: told.append((manual.monotonic(), stats)))
        thing = deferred.future(pool.acquire("a").get)
        kept = pool.acquire("b")
        manual.advance(4)
        pool.release("a", thing.get())
        manual.advance(6)
        ((at, stats),) = told

        assert kept.ready()
        assert 10.0 == at
        assert {"a", "b"} == set(stats)
        assert 4.0 == stats["a"].quantile("task_latency", 0.5)
        assert stats["b"].quantile("task_latency", 0.5) is None
        assert 1.0 == stats["b"].quantile("utilization", 0.5)

    @pytest.mark.parity("EXEC-23")
    @pytest.mark.parametrize(
        ("options", "expected"),
        [({}, (10.0, 1000)), ({"sample_period": 0.1, "control_period": 2.0}, (2.0, 20))],
    )
    def test_periods(self, make, manual, options, expected):
        """A sample is taken every 10 ms, a control period lasts 10 s; or as asked for."""
        told = []
        pool = make(
            stats_callback=lambda stats: told.append(
                (manual.monotonic(), len(stats["a"]._values["utilization"]))
            ),
            **options,
        )
        pool.acquire("a")
        manual.advance(options.get("control_period", 10.0))

        assert [expected] == told

    @pytest.mark.parity("EXEC-27")
    def test_grows_toward_the_target(self, make, manual, workshop):
        """A key whose objects are all lent gets more of them, up to its maximum."""
        pool = make(max_per_key=5)
        lent = [pool.acquire("a") for _ in range(3)]
        sizes = []
        for seconds in (9, 1, 10):
            manual.advance(seconds)
            sizes.append(pool.stats()["a"].num_workers)
        at_once = pool.acquire("a").ready()

        assert all(asked.ready() for asked in lent)
        assert [3, 5, 5] == sizes
        assert 5 == len(workshop.made)
        assert at_once

    @pytest.mark.parity("EXEC-27")
    def test_shrinks_toward_the_target(self, make, manual, workshop):
        """A key of which few objects are lent gets less: idle ones go first, the idlest of them."""
        pool = make()
        lent = [pool.acquire("a") for _ in range(8)]
        manual.advance(5)
        things = [asked.get() for asked in lent]
        for thing in things[:7]:
            pool.release("a", thing)
        manual.advance(20)
        gone = [number for _, number in workshop.destroyed]

        # One is lent, so at half utilization two are right.
        assert [0, 1, 2, 3, 4, 5] == gone
        assert 2 == pool.stats()["a"].num_workers

    @pytest.mark.parity("EXEC-27")
    def test_too_many_are_lent(self, make, manual, workshop):
        """Where too many are lent, some are destroyed when they come back."""

        class One:
            def can_grow(self, key, num_objects, total):
                return num_objects < 3

            def adjustments(self, stats):
                return {key: 1 - measured.num_workers for key, measured in stats.items()}

        pool = make(controller=One())
        things = [pool.acquire("a") for _ in range(3)]
        manual.advance(10)
        before = list(workshop.destroyed)
        for asked in things:
            pool.release("a", asked.get())
        manual.advance(0)

        assert [] == before
        assert [("a", 0), ("a", 1)] == workshop.destroyed

    @pytest.mark.parity("EXEC-27")
    def test_idle_pool_empties(self, make, manual, workshop):
        """A pool that nobody uses gives its objects up, and then leaves no timer."""
        pool = make()
        pool.release("a", deferred.future(lambda: pool.acquire("a").get()).get())
        manual.advance(40)

        assert [("a", 0)] == workshop.destroyed
        assert {} == pool.stats()
        assert ", 0 waiting" in repr(manual)

    def test_empty_is_garbage(self, make, manual, workshop):
        """A pool that holds nothing may be dropped without shutting it down."""
        pool = InstrumentedPool(
            generate=workshop.generate, controller=PoolUtilizationController(0.5, 1, 1)
        )
        pool.dispose("a", pool.acquire("a").get())
        manual.advance(40)
        gone = weakref.ref(pool)
        del pool
        gc.collect()

        assert gone() is None

    def test_more_room_later(self, make, manual):
        """Who waits is served once the controller lets the pool grow, asked after each period."""

        class Later:
            def can_grow(self, key, num_objects, total):
                return manual.monotonic() >= 30

            def adjustments(self, stats):
                return {}

        pool = make(controller=Later())
        asked = pool.acquire("a")
        manual.advance(29)
        before = asked.ready()
        manual.advance(1)

        assert not before
        assert asked.ready()

    def test_failing_controller(self, make, manual, caplog):
        """What the controller raises is logged; the pool neither grows nor changes."""

        class Broken:
            is_broken = True

            def can_grow(self, key, num_objects, total):
                if self.is_broken:
                    raise ZeroDivisionError
                return True

            def adjustments(self, stats):
                raise ZeroDivisionError

        pool = make(controller=Broken())
        asked = pool.acquire("a")
        manual.advance(10)
        failed = [record.exc_info[0] for record in caplog.records]
        pool._controller.is_broken = False
        other = pool.acquire("a")
        manual.advance(1)

        assert [ZeroDivisionError] * len(failed) == failed
        assert 2 <= len(failed)
        assert asked.ready()
        assert other.ready()

    def test_unknown_keys(self, make, manual, workshop):
        """Keys of the controller's that the pool does not have mean nothing."""

        class Confused:
            def can_grow(self, key, num_objects, total):
                return True

            def adjustments(self, stats):
                return {"unknown": 5}

        pool = make(controller=Confused())
        pool.acquire("a")
        manual.advance(20)

        assert ["a"] == [thing.key for thing in workshop.made]

    @pytest.mark.parametrize("wanted", [None, {"a": None}, {"a": 0.5}])
    def test_controller_that_wants_no_numbers(self, make, manual, caplog, wanted):
        """If what it returns is no whole numbers by key, that is logged and nothing is changed."""

        class Broken:
            def can_grow(self, key, num_objects, total):
                return True

            def adjustments(self, stats):
                return wanted

        pool = make(controller=Broken())
        thing = pool.acquire("a").get()
        manual.advance(20)

        assert 2 == len(caplog.records)
        assert "the controller of" in caplog.text
        assert "1 lent, 0 idle" in repr(pool)
        pool.release("a", thing)

    @pytest.mark.parametrize("missing", ["can_grow", "adjustments"])
    def test_half_a_controller(self, make, missing):
        """It has both methods."""

        class Half:
            pass

        there = {"can_grow", "adjustments"} - {missing}
        setattr(Half, there.pop(), print)

        with pytest.raises(TypeError, match=rf"controller must be .* {missing}\(\)"):
            make(controller=Half())


class TestShutdown:
    @pytest.mark.parity("EXEC-26")
    def test_ends_all(self, make, workshop):
        """Who waits fails, idle objects are destroyed, lent ones when they come back."""
        pool = make(max_per_key=2)
        lent, idle = pool.acquire("a").get(), pool.acquire("a").get()
        pool.release("a", idle)
        pool.acquire("b").get()
        waiting = [pool.acquire("b"), pool.acquire("b")]
        gevent.sleep(0.001)
        ended = pool.shutdown()
        gevent.sleep(0.001)
        before = sorted(workshop.destroyed), ended.ready()
        pool.release("a", lent)
        pool.dispose("b", workshop.made[2])
        pool.release("b", waiting[0].get())
        ended.get()

        assert ([("a", 1)], False) == before
        assert isinstance(waiting[1].exception, ResourceClosed)
        assert 4 == len(workshop.destroyed)

    @pytest.mark.parity("EXEC-26")
    def test_takes_nobody_any_more(self, make):
        """After that nothing is lent; shutting down again changes nothing."""
        pool = make()
        pool.shutdown().get()
        again = pool.shutdown()

        assert isinstance(pool.acquire("a").exception, ResourceClosed)
        assert again.ready()

    def test_while_one_is_made(self, make, workshop):
        """One that is being made is destroyed when it comes."""
        gate = Event()
        pool = make(generate=lambda key: gate.wait() and workshop.generate(key))
        asked = pool.acquire("a")
        gevent.sleep(0)
        ended = pool.shutdown()
        gate.set()
        ended.get()

        assert isinstance(asked.exception, ResourceClosed)
        assert [("a", 0)] == workshop.destroyed

    def test_block(self, make, workshop):
        """Leaving the block shuts it down, without waiting for what is lent."""
        with make() as pool:
            thing = pool.acquire("a").get()
        repr_after = repr(pool)
        pool.release("a", thing)
        pool.shutdown().get()

        assert "<InstrumentedPool of 1 objects: 1 lent, 0 idle; 0 waiting, shut down>" == repr_after
        assert [("a", 0)] == workshop.destroyed


class TestArguments:
    @pytest.mark.parity("EXEC-18")
    @pytest.mark.parametrize("missing", ["generate", "controller"])
    def test_mandatory(self, workshop, missing):
        """Without a way to make objects, or a size, there is no pool."""
        options = {
            "generate": workshop.generate,
            "controller": PoolUtilizationController(0.5, 1, 1),
        }
        del options[missing]

        with pytest.raises(TypeError, match=missing):
            InstrumentedPool(**options)

    @pytest.mark.parametrize(
        ("error", "name", "value"),
        [
            (TypeError, "generate", None),
            (TypeError, "controller", object()),
            (TypeError, "destroy", 1),
            (TypeError, "stats_callback", 1),
            (ValueError, "max_queue_size", 0),
            (ValueError, "sample_period", 0),
            (ValueError, "control_period", -1),
        ],
    )
    def test_wrong(self, make, error, name, value):
        """A wrong argument is named, before anything has happened."""
        with pytest.raises(error, match=name):
            make(**{name: value})
