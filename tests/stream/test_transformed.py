"""``Stream(transform=...)``: what is taken is made of what is put."""

from __future__ import annotations

import gc
import weakref
from itertools import islice

import gevent
import pytest
from gevent.event import Event

from galeph import stream as streams
from galeph.errors import Deadlock
from galeph.stream import Stream, connect, consume
from galeph.stream.lines import MOST_WAITING
from tests.deferred import threads
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting
from tests.stream.wires import yielding


def threes(messages):
    while batch := list(islice(messages, 3)):
        yield batch


def thrice(messages):
    for message in messages:
        yield from [message] * 3


def odd(messages):
    return (message for message in messages if message % 2)


class TestPutting:
    @pytest.mark.parity("STR-17")
    def test_messages_are_the_function_s_output(self):
        """Applied when they are put."""
        stream = Stream(transform=lambda messages: (m * 10 for m in messages))
        putter = waiting(stream.put_all, [1, 2, 3])

        assert [10, 20, 30] == [stream.take() for _ in range(3)]
        assert putter.get(timeout=1) is True

    @pytest.mark.parity("STR-17")
    def test_is_accepted_when_nothing_comes_of_it(self):
        """Without a buffer and without a taker."""
        stream = Stream(transform=odd)

        assert stream.put(2) is True
        assert stream.try_put(4, 0) is True
        assert stream.put_async(6).get(timeout=1) is True
        assert "late" == stream.try_take(0, "end", "late")

    @pytest.mark.parity("STR-01", "STR-02")
    def test_is_accepted_with_all_that_came_of_it(self):
        """The buffer counts outputs; without one each must have been taken."""
        for buffer, taken in ((0, 3), (2, 1), (3, 0)):
            stream = Stream(buffer, transform=thrice)
            putter = waiting(stream.put, 1)
            for _ in range(taken):
                assert not putter.ready()
                assert 1 == stream.take()
            settle()
            assert putter.get(timeout=1) is True
            assert [1] * (3 - taken) == [stream.take() for _ in range(3 - taken)]

    def test_a_metric_weighs_the_outputs(self):
        """Not the messages."""
        stream = Stream(4, transform=threes, metric=len)
        assert stream.put_all(range(3)) is True
        putter = waiting(stream.put_all, range(3))

        assert not putter.ready()
        assert (3, 4) == (
            stream.description()["buffer_size"],
            stream.description()["buffer_capacity"],
        )
        assert [0, 1, 2] == stream.take()
        assert putter.get(timeout=1) is True

    @pytest.mark.parity("STR-65")
    def test_keeps_the_order_of_puts_of_all_kinds(self):
        """Each waits for its turn."""
        stream = Stream(transform=yielding_each)
        sender = Stream()
        connect(sender, stream)
        puts = [waiting(stream.put, 0), stream.put_async(1)]
        puts.append(waiting(sender.put, 2))
        puts += [stream.put_async(3), waiting(stream.try_put, 4, 60)]

        assert list(range(5)) == [stream.take() for _ in range(5)]
        assert [True] * 5 == [put.get(timeout=1) for put in puts]

    def test_a_limit_withdraws_what_has_not_begun(self, clock):
        """What the function has got already is accepted, however long its output waits."""
        stream = Stream(transform=thrice)
        inside = waiting(stream.try_put, 1, 2, "late")
        behind = waiting(stream.try_put, 2, 1, "late")
        assert "late" == stream.try_put(3, 0, "late")
        clock.advance(1)

        assert "late" == behind.get(timeout=1)
        assert not inside.ready()
        clock.advance(1)
        assert inside.get(timeout=1) is True
        assert [1, 1, 1] == [stream.take() for _ in range(3)]
        settle()
        assert stream.try_put(4, 0, "late") is True
        assert [4, 4, 4] == [stream.take() for _ in range(3)]

    def test_a_limit_spent_in_the_function_counts(self, clock):
        """The put is accepted by then."""
        stream = Stream(transform=lambda messages: (clock.sleep(2) or m for m in messages))
        putter = waiting(stream.try_put, 1, 1, "late")
        clock.advance(2)

        assert putter.get(timeout=1) is True
        assert 1 == stream.take()

    def test_a_cancelled_put_is_withdrawn(self):
        """If its turn has not come."""
        stream = Stream(transform=thrice)
        inside, cancelled = stream.put_async(1), stream.put_async(2)
        settle()
        assert cancelled.cancel()
        stream.put_async(3)

        assert [1, 1, 1, 3, 3, 3] == [stream.take() for _ in range(6)]
        assert inside.get(timeout=1) is True

    def test_does_not_run_the_function_where_it_must_not_block(self):
        """Puts from threads and through links run it in a greenlet of galeph's."""
        stream, ran_in = Stream(9, transform=lambda ms: (note(m) for m in ms)), []

        def note(message):
            ran_in.append(gevent.getcurrent().parent is gevent.get_hub())
            gevent.sleep(0)
            return message

        future = stream.put_threadsafe(1)
        settle()
        assert future.result(0) is True
        assert [True] == ran_in

    @pytest.mark.parity("STR-12")
    def test_too_many_puts_close_it(self, caplog):
        """As any stream."""
        stream = Stream(transform=thrice)
        stream.put_async(1)
        puts = [stream.put_async(2) for _ in range(MOST_WAITING)]

        assert stream.put_async(3).get(timeout=1) is False
        assert stream.closed
        settle()
        assert "wait" in caplog.text
        del puts


def yielding_each(messages):
    slow = yielding(lambda m: m)
    for message in messages:
        yield slow(message)


class TestEnding:
    @pytest.mark.parity("STR-18")
    def test_a_function_that_returns_closes_it(self):
        """Behind what it gave; the put that ended it was accepted."""
        stream = Stream(transform=lambda ms: islice((m + 1 for m in ms if m % 2), 3))
        put = []
        putter = waiting(lambda: put.extend(stream.put(n) for n in range(10)))

        assert [2, 4, 6] == list(stream)
        putter.join(1)
        assert [True] * 6 + [False] * 4 == put
        assert (True, True) == (stream.closed, stream.drained)

    @pytest.mark.parity("STR-19")
    def test_closing_flushes_to_exactly_one_take(self):
        """What the function held back; the other takes get their default."""
        stream = Stream(transform=threes)
        takers = [waiting(stream.take, "end") for _ in range(2)] + [stream.take_async("end")]
        assert stream.put_all(range(5)) is True
        stream.close()

        assert [[0, 1, 2], [3, 4], "end"] == [taker.get(timeout=1) for taker in takers]
        assert stream.drained

    @pytest.mark.parity("STR-19")
    def test_what_is_flushed_waits_to_be_taken(self):
        """Closed, but not drained before."""
        stream = Stream(transform=threes)
        stream.put(1)
        stream.close()
        stream.close()

        assert (True, False) == (stream.closed, stream.drained)
        assert stream.put(2) is False
        assert [1] == stream.take()
        assert "end" == stream.take("end")
        assert stream.drained

    def test_puts_that_wait_pass_before_the_end(self):
        """Of a closed stream everything that was put stays takeable."""
        stream = Stream(transform=thrice)
        puts = [waiting(stream.put, n) for n in range(3)]
        stream.close()

        assert [0, 0, 0, 1, 1, 1, 2, 2, 2] == list(stream)
        assert [True] * 3 == [put.get(timeout=1) for put in puts]

    @pytest.mark.parity("STR-20")
    @pytest.mark.parametrize("put", ["put", "put_async"])
    def test_an_exception_fails_it(self, put):
        """The put is refused, and takers get the exception behind what was made before."""
        stream = Stream(5, transform=lambda messages: (10 // m for m in messages))
        assert stream.put(5) is True
        if put == "put":
            assert stream.put(0) is False
        else:
            assert stream.put_async(0).get(timeout=1) is False

        assert stream.closed
        assert 2 == stream.take()
        with pytest.raises(ZeroDivisionError):
            stream.take()
        assert isinstance(stream.error, ZeroDivisionError)

    def test_an_exception_refuses_those_who_wait(self):
        """They would wait for ever."""
        divided = yielding(lambda n: 10 // n)
        stream = Stream(transform=lambda messages: (divided(m) for m in messages))
        puts = [waiting(stream.put, n) for n in (5, 0, 2)]

        assert 2 == stream.take()
        settle()
        assert [True, False, False] == [put.get(timeout=1) for put in puts]

    def test_failing_it_does_not_flush(self):
        """A part must not look like a whole; the function is ended."""
        steps = []

        def careful(messages):
            try:
                yield list(messages)
            finally:
                steps.append("cleaned up")

        stream = Stream(transform=careful)
        stream.put(1)
        stream.fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            stream.take()
        settle()
        assert ["cleaned up"] == steps

    @pytest.mark.parity("STR-03")
    def test_a_permanent_one_stays_open(self):
        """Also with a function."""
        stream = Stream(9, transform=odd, permanent=True)
        stream.close()
        stream.fail(ValueError())

        assert stream.put(1) is True
        assert 1 == stream.take()

    def test_calls_back_at_both_ends(self):
        """Closed when puts are refused, drained when all was taken."""
        stream, calls = Stream(transform=threes), []
        stream.on_closed(lambda: calls.append("closed"))
        stream.on_drained(lambda: calls.append("drained"))
        stream.put(1)
        stream.close()
        settle()

        assert ["closed"] == calls
        assert [1] == stream.take()
        settle()
        assert ["closed", "drained"] == calls

    def test_who_closes_below_frees_who_waits_above(self):
        """The puts that wait are refused, and the function is ended."""
        steps = []

        def careful(messages):
            try:
                yield from messages
            finally:
                steps.append("cleaned up")

        stream, sink = Stream(transform=careful), Stream()
        moved = connect(stream, sink)
        puts = [waiting(stream.put, n) for n in range(4)]
        sink.close()
        settle()

        assert [0] == list(sink)
        settle()
        assert moved.get(timeout=1) is True
        assert [True, False, False, False] == [put.get(timeout=1) for put in puts]
        assert stream.drained
        assert ["cleaned up"] == steps


class TestInAGraph:
    def test_is_a_stream_like_others(self):
        """Connected both ways, with operators on it."""
        source, stream, seen = Stream(9), Stream(3, transform=thrice), []
        connect(source, stream)
        done = consume(stream.map(str), seen.append)
        source.put_all([1, 2])
        source.close()

        assert done.get(timeout=1) is True
        assert ["1"] * 3 + ["2"] * 3 == seen
        assert isinstance(stream, Stream)

    def test_says_what_state_it_is_in(self):
        """Of both its sides."""
        stream = Stream(2, transform=thrice, description="tripled")
        putter = waiting(stream.put, 1)
        facts = stream.description()

        assert ("stream", "tripled", 2, 2, 1, 0) == tuple(
            facts[key]
            for key in (
                "type",
                "description",
                "buffer_size",
                "buffer_capacity",
                "pending_puts",
                "pending_takes",
            )
        )
        assert (2, False, True) == (stream.qsize(), stream.empty(), stream.full())
        assert [1] * 3 == [stream.take() for _ in range(3)]
        assert putter.get(timeout=1)

    def test_a_message_that_comes_back_is_first(self):
        """As in any stream."""
        stream = Stream(9, transform=thrice)
        stream.put(1)
        taken = stream.take()
        stream._give_back("back")

        assert [1, "back", 1] == [taken, stream.take(), stream.take()]

    def test_subclasses_have_none(self):
        """A TypeError says so, and refuses what is no function."""

        class Special(Stream):
            pass

        with pytest.raises(TypeError, match="transform"):
            Special(transform=odd)
        with pytest.raises(TypeError, match="transform must be callable"):
            Stream(transform=5)

    def test_is_collected_when_dropped(self):
        """With its greenlet and what it held back."""
        stream = Stream(transform=threes)
        stream.put(1)
        watched = weakref.ref(stream)
        del stream
        gc.collect()

        assert watched() is None


class TestInterruptions:
    @pytest.mark.parametrize("buffer", [0, 1, 16])
    def test_an_interrupted_put_is_whole_or_nothing(self, buffer):
        """Thrown at after any switch, also inside the function, it is in with all its outputs."""

        def scene():
            nonlocal stream, taken, returned
            stream, taken, returned = Stream(buffer, transform=doubled), [], []

            def put():
                for n in range(3):
                    returned.append(stream.put(n))

            def take():
                taker = gevent.spawn(lambda: taken.extend(iter(stream.take, None)))
                settle()
                stream.close()
                taker.join(1)

            return victim(put), take

        def doubled(messages):
            slow = yielding(lambda m: m)
            for message in messages:
                yield slow(message)
                yield slow(message)

        stream, taken, returned = None, [], []
        for way in interruptions(scene):
            count = len(taken) // 2
            assert [n for n in range(count) for _ in "ab"] == taken, way
            assert len(returned) <= count <= len(returned) + 1, way

    def test_an_interrupted_put_leaves_the_others_their_turn(self):
        """Its message is inside, or it is withdrawn; nobody waits for ever."""

        def scene():
            nonlocal taken, other
            stream, taken = Stream(transform=yielding_each), []

            def rest():
                nonlocal other
                other = gevent.spawn(stream.put, "other")
                settle()
                while "other" not in taken:
                    taken.append(stream.try_take(1))
                other.join(1)

            return victim(stream.put, "victim"), rest

        taken, other = [], None
        for way in interruptions(scene):
            assert taken in (["other"], ["victim", "other"], ["other", "victim"]), way
            assert other.value is True, way

    def test_a_kill_of_the_runner_fails_it(self):
        """If somebody kills galeph's own greenlet inside the function, nobody waits for ever."""
        inside, stuck = [], Event()

        def blocking(messages):
            for message in messages:
                inside.append(gevent.getcurrent())
                stuck.wait()
                yield message

        stream = Stream(transform=blocking)
        put = stream.put_async(1)
        taker = outcome(stream.take)
        gevent.get_hub().loop.run_callback(inside[0].throw, gevent.GreenletExit)

        assert put.get(timeout=1) is False
        assert "killed" in str(taker.get(timeout=1))


class TestAFunctionThatWaitsForItself:
    @pytest.mark.parametrize("buffer", [0, 9])
    def test_a_put_into_its_own_stream(self, buffer):
        """Is an error that says so, and fails the stream with it; whoever waits."""

        def echoing(messages):
            for message in messages:
                stream.put(message)
                yield message

        stream = Stream(buffer, transform=echoing)
        other = outcome(stream.take)

        assert stream.put_async(1).get(timeout=1) is False
        error = other.get(timeout=1)
        assert isinstance(error, Deadlock)
        assert "puts into it, and would wait for itself" in str(error)

    def test_a_put_with_a_limit(self):
        """Ends with its limit, and the stream goes on."""
        answers = []

        def trying(messages):
            for message in messages:
                answers.append(stream.try_put(message, 0.001))
                yield message

        stream = Stream(9, transform=trying)

        assert stream.put(1)
        assert [False] == answers
        assert 1 == stream.take()

    def test_a_wait_that_nothing_can_end(self):
        """Says that it is the function that waits, where nothing is left to run."""

        def work():
            def roundabout(messages):
                for message in messages:
                    stream.put_async(message).get()
                    yield message

            stream = Stream(transform=roundabout)
            stream.put(1)
            return stream.take()

        # In a thread, for a hub that has nothing else to do.
        error = threads.run(work)

        assert isinstance(error, Deadlock)
        assert "nobody can end the wait of <function " in str(error)
        assert "roundabout" in str(error)
        assert "(the function of a stream: it puts into that stream, perhaps," in str(error)


def test_the_function_s_name_for_it_is_not_public():
    """It is made by `Stream` alone."""
    assert not hasattr(streams, "Transformed")
