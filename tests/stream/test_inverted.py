"""`Inverted`: a generator function that is fed."""

from __future__ import annotations

import contextvars
import gc
import weakref

import gevent
import pytest
from gevent import getcurrent
from gevent.event import Event

from galeph.errors import Cancelled, TimedOut
from galeph.stream.inverted import Inverted, _Stop
from galeph.stream.nesting import MOST_NESTED
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting
from tests.stream.wires import yielding


def pairs(messages):
    for first in messages:
        yield first, next(messages, None)


def given(inverted, *messages):
    """What comes out for each message, and at the end."""
    answers = []
    for message in messages:
        inverted.feed(message)
        answers.append(list(inverted))
    inverted.end()
    answers.append(list(inverted))
    return answers


class TestFeeding:
    def test_gives_what_is_yielded_before_the_next_message_is_asked_for(self):
        """None, one or several, and what comes at the end."""

        def echo(messages):
            yield "begin"
            for n in messages:
                yield from range(n)
            yield "end"

        assert [["begin"], [0, 1], ["end"]] == given(Inverted(echo), 0, 2)
        assert [[], [(1, 2)], [], [(3, None)]] == given(Inverted(pairs), 1, 2, 3)
        assert [["begin", "end"]] == given(Inverted(echo))

    def test_starts_with_the_first_message(self):
        """Not before; and asks for nothing that is not wanted."""
        steps = []

        def noting(messages):
            steps.append("started")
            for n in messages:
                steps.append(n)
                yield n

        inverted = Inverted(noting)
        assert [] == list(inverted)
        assert [] == steps
        inverted.feed(1)
        assert [] == steps
        assert 1 == next(inverted)
        assert ["started", 1] == steps

    def test_takes_any_maker_of_iterables(self):
        """It need not be a generator function."""
        assert [["1"], ["2"], []] == given(Inverted(lambda messages: map(str, messages)), 1, 2)
        assert [[], [[1]]] == given(Inverted(lambda messages: [list(messages)]), 1)

    def test_knows_when_the_function_has_had_enough(self):
        """It has ended, and its input has not."""

        def two(messages):
            yield next(messages)
            yield next(messages)

        inverted = Inverted(two)
        for n in (1, 2):
            assert not inverted.has_had_enough
            inverted.feed(n)
            assert [n] == list(inverted)
        assert inverted.has_had_enough
        over = Inverted(two)
        over.end()
        assert isinstance(outcome(list, over).get(timeout=1), RuntimeError)
        assert not over.has_had_enough

    def test_raises_what_the_function_raises(self):
        """Once, behind what it has yielded; then it is over."""

        def broken(messages):
            yield next(messages)
            raise ValueError("cut")

        inverted = Inverted(broken)
        inverted.feed(1)

        assert 1 == next(inverted)
        with pytest.raises(ValueError, match="cut"):
            next(inverted)
        assert [] == list(inverted)

    @pytest.mark.parametrize(
        ("thrown", "told"), [(gevent.Timeout, TimedOut), (gevent.GreenletExit, Cancelled)]
    )
    def test_what_would_end_a_greenlet_is_told_in_other_words(self, thrown, told):
        """It ended the function's greenlet, not that of who feeds it."""

        def ended(messages):
            next(messages)
            raise thrown
            yield

        inverted = Inverted(ended)
        inverted.feed(1)

        with pytest.raises(told):
            next(inverted)

    def test_runs_in_the_context_of_the_first_message(self):
        """A copy of it."""
        variable = contextvars.ContextVar("variable")
        inverted = Inverted(lambda messages: (variable.get() for _ in messages))

        def first():
            variable.set("first")
            inverted.feed(1)
            return list(inverted)

        assert ["first"] == contextvars.copy_context().run(first)
        inverted.feed(2)
        assert ["first"] == list(inverted)


class TestBlocking:
    def test_the_function_may_block(self):
        """Who feeds it waits, and others run."""
        event = Event()

        def slow(messages):
            for message in messages:
                event.wait()
                yield message

        inverted = Inverted(slow)
        inverted.feed(1)
        reader = waiting(list, inverted)

        assert not reader.ready()
        event.set()
        assert [1] == reader.get(timeout=1)

    def test_who_is_interrupted_does_not_interrupt_it(self):
        """It goes on, and what it yields is there for the next who asks; nothing runs twice."""
        event, runs = Event(), []

        def slow(messages):
            for message in messages:
                runs.append(message)
                event.wait()
                yield message

        inverted = Inverted(slow)
        inverted.feed(1)
        waiting(list, inverted).kill()
        reader = waiting(list, inverted)
        assert not reader.ready()
        event.set()

        assert [1] == reader.get(timeout=1)
        assert [1] == runs

    def test_what_came_while_nobody_asked_is_not_lost(self):
        """The function has parked with it."""
        event = Event()

        def slow(messages):
            for message in messages:
                event.wait()
                yield message
                yield -message

        inverted = Inverted(slow)
        inverted.feed(1)
        waiting(list, inverted).kill()
        event.set()
        settle()

        assert [1, -1] == list(inverted)

    def test_is_never_out_of_step(self):
        """Thrown at after any switch, it gives everything once and in order."""

        def scene():
            nonlocal taken
            taken = []
            slow = yielding(lambda n: n)

            def doubled(messages):
                for message in messages:
                    yield slow(message)
                    yield slow(-message)

            inverted = Inverted(doubled)
            left = list(range(1, 4))

            def work():
                while left:
                    if not fed:
                        inverted.feed(left[0])
                        fed.append(left[0])
                    for output in inverted:
                        taken.append(output)
                    left.remove(fed.pop())

            fed = []
            return victim(work), lambda: settle() or work()

        taken = []
        for way in interruptions(scene):
            assert [1, -1, 2, -2, 3, -3] == taken, way


class TestFarInside:
    """Where as many takes stand in one another as may: the hub starts the function."""

    @pytest.fixture(autouse=True)
    def far_inside(self):
        getcurrent().galeph_nested = MOST_NESTED
        yield
        del getcurrent().galeph_nested

    def test_runs_on_a_stack_of_its_own(self):
        """With all that comes out of it, in its context."""
        seen = []
        variable = contextvars.ContextVar("variable")
        variable.set("set")

        def looking(messages):
            seen.append((getattr(getcurrent(), "galeph_nested", 0), variable.get()))
            yield from messages

        assert [["a"], ["b"], []] == given(Inverted(looking), "a", "b")
        assert [(0, "set")] == seen

    def test_who_is_interrupted_before_it_starts_does_not_interrupt_it(self):
        """What it yields is there for whoever asks next."""
        inverted = Inverted(iter)
        inverted.feed("a")
        asked = gevent.spawn(next, inverted)
        asked.galeph_nested = MOST_NESTED
        # In this order, and only then comes the hub to start it.
        gevent.get_hub().loop.run_callback(asked.throw, gevent.GreenletExit)
        settle()

        assert isinstance(asked.value, gevent.GreenletExit)
        assert ["a"] == list(inverted)

    def test_stopped_before_it_starts_it_never_does(self):
        """Who waits for it hears of that."""
        calls = []
        inverted = Inverted(calls.append)
        inverted.feed("a")

        asked = gevent.spawn(list, inverted)
        asked.galeph_nested = MOST_NESTED
        # In this order, and only then comes the hub to start it.
        stopping = gevent.spawn(lambda: _Stop(inverted._greenlet, inverted._exchange).run(None))

        assert [] == asked.get(timeout=1)
        assert stopping.successful()
        settle()
        assert [] == calls


class TestStopping:
    def test_ends_the_function_where_it_stands(self):
        """Its cleaning up runs in a greenlet and may block."""
        steps = []

        def careful(messages):
            try:
                yield from messages
            finally:
                gevent.sleep(0)
                steps.append("cleaned up")

        for reads in (list, next):
            inverted = Inverted(careful)
            inverted.feed(1)
            reads(inverted)
            inverted.stop()
            assert [] == steps
            settle()
            assert "cleaned up" == steps.pop()
            inverted.stop()

    def test_wakes_who_waits_for_it(self):
        """The function was blocked: it is interrupted, and there is no output."""
        steps = []

        def stuck(messages):
            try:
                gevent.sleep(60)
                yield next(messages)
            finally:
                steps.append("cleaned up")

        inverted = Inverted(stuck)
        inverted.feed(1)
        reader = waiting(list, inverted)
        inverted.stop()

        assert [] == reader.get(timeout=1)
        assert ["cleaned up"] == steps

    def test_logs_what_goes_wrong_then(self, caplog):
        """Nobody is there to be told."""

        def careless(messages):
            try:
                yield next(messages)
            finally:
                raise ValueError("in cleaning up")

        inverted = Inverted(careless)
        inverted.feed(1)
        assert 1 == next(inverted)
        inverted.stop()
        settle()

        assert ["in cleaning up"] == [str(record.exc_info[1]) for record in caplog.records]

    def test_does_nothing_to_one_that_has_not_begun(self):
        """Or has ended."""
        fresh, over = Inverted(pairs), Inverted(pairs)
        over.end()
        assert [] == list(over)
        fresh.stop()
        over.stop()
        settle()

    def test_a_dropped_one_is_gone_at_once(self):
        """Nothing but its owner holds its greenlet."""
        steps = []

        class Kept:
            pass

        def keeping(messages):
            kept = Kept()
            watched.append(weakref.ref(kept))
            try:
                for message in messages:
                    yield message, kept
            finally:
                steps.append("cleaned up")

        watched = []
        inverted = Inverted(keeping)
        inverted.feed(1)
        list(inverted)
        gc.disable()
        try:
            del inverted

            assert ["cleaned up"] == steps
            assert watched[0]() is None
        finally:
            gc.enable()

    def test_a_function_somebody_kills_tells_who_feeds_it(self):
        """Then or later; it does not look like an end."""
        inside = []

        def killed(messages):
            for message in messages:
                inside.append(gevent.getcurrent())
                gevent.sleep(60)
                yield message

        for is_waited_for in (True, False):
            inverted = Inverted(killed)
            inverted.feed(1)
            reader = outcome(list, inverted)
            if not is_waited_for:
                reader.kill()
                reader = None
            gevent.get_hub().loop.run_callback(inside.pop().throw, gevent.GreenletExit)
            settle()
            reader = outcome(list, inverted) if reader is None else reader
            assert isinstance(reader.get(timeout=1), Cancelled)
