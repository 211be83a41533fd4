"""A kill or a Timeout at every switch of putting and taking: no message lost, nobody stuck."""

from __future__ import annotations

import contextlib
from functools import partial

import gevent
import pytest

from galeph.stream import Stream
from galeph.testing import kill_walk
from tests.stream.scenes import settle
from tests.stream.wires import Wire, yielding

# More than fit into the largest buffer, so that a put waits too.
MESSAGES = list(range(20))


def take_into(taken, stream, count):
    """Take so many, each noted when it has returned."""
    for _ in range(count):
        message = stream.take()
        taken.append(message)


def put_from(messages, stream, accepted):
    """Put them, each answer noted when it has come."""
    for message in messages:
        answer = stream.put(message)
        accepted.append(answer)


def rest(stream, taken):
    """Everything that is left, until it ends, behind what was taken already."""
    return taken + list(stream)


@pytest.mark.parametrize(
    ("buffer", "at_least"), [(0, 41), (1, 29), (16, 5)], ids=["unbuffered", "1", "16"]
)
class TestPutAndTake:
    def test_taker(self, buffer, at_least):
        """Whoever is thrown at while he takes has taken a beginning, and the rest is there."""

        def scenario(victim):
            stream, taken = Stream(buffer), []
            victim.spawn(take_into, taken, stream, len(MESSAGES))
            putter = gevent.spawn(lambda: stream.put_all(MESSAGES) and stream.close())
            victim.join()

            assert 0 == stream.description()["pending_takes"]
            assert MESSAGES == rest(stream, taken)
            putter.join()
            assert stream.drained

        kill_walk(scenario, at_least=at_least)

    def test_putter(self, buffer, at_least):
        """Whoever is thrown at while he puts has put a beginning, in full, and nothing else."""

        def scenario(victim):
            stream, accepted = Stream(buffer), []
            victim.spawn(put_from, MESSAGES, stream, accepted)
            taker = gevent.spawn(list, stream)
            victim.join()
            assert 0 == stream.description()["pending_puts"]
            stream.close()
            taken = taker.get()

            assert MESSAGES[: len(taken)] == taken
            # The last one may have been accepted just when the exception came.
            assert len(accepted) <= len(taken) <= len(accepted) + 1
            assert all(accepted)

        kill_walk(scenario, at_least=at_least)

    def test_one_of_two_takers(self, buffer, at_least):
        """The other one has what the victim has not, each in the order of the puts."""

        def scenario(victim):
            stream, mine, others = Stream(buffer), [], []
            victim.spawn(take_into, mine, stream, 3)
            other = gevent.spawn(lambda: others.extend(stream))
            gevent.spawn(lambda: stream.put_all(MESSAGES) and stream.close())
            victim.join()
            other.join()

            assert MESSAGES == sorted(mine + others)
            assert [sorted(mine), sorted(others)] == [mine, others]

        kill_walk(scenario, at_least=min(at_least, 7))

    def test_who_goes_on(self, buffer, at_least):
        """Who catches what was thrown, and waits for something else, is not disturbed there."""

        def scenario(victim):
            there, back, taken = Stream(buffer), Stream(buffer), []

            def work():
                for fn in (partial(take_into, taken, there, 2), partial(back.put_all, "cd")):
                    with contextlib.suppress(gevent.GreenletExit, gevent.Timeout):
                        fn()
                    # A wake-up that was not meant for this wait is an error of gevent's.
                    gevent.sleep(1e-6)

            victim.spawn(work)
            putter = gevent.spawn(lambda: there.put_all("ab") and there.close())
            reader = gevent.spawn(list, back)
            victim.join()
            back.close()

            assert ["a", "b"] == rest(there, taken)
            putter.join()
            assert ["c", "d"][: len(reader.get())] == reader.get()

        kill_walk(scenario, at_least=13)

    def test_who_left_before_anybody_came(self, buffer, at_least):
        """The lines hold those who wait, and nobody who has left; so the next comes first."""

        def scenario(victim):
            stream, empty = Stream(buffer), Stream(buffer)
            stored = [n for n in range(buffer) if stream.put(n)]
            putter = victim.spawn(stream.put, "mine")
            settle()
            is_putting = not putter.dead
            assert is_putting == stream.description()["pending_puts"]
            later = stream.put_async("last")
            assert [*stored, *["mine"] * is_putting, "last"] == [
                stream.take() for _ in range(buffer + is_putting + 1)
            ]
            assert later.get() is True
            putter.join()
            taken = []
            taker = victim.spawn(take_into, taken, empty, 1)
            settle()
            is_taking = not taker.dead
            assert is_taking == empty.description()["pending_takes"]
            later = empty.put_async("first")
            assert victim.thrown is not None or is_taking
            taker.join()
            assert ["first"] == taken or "first" == empty.take()
            assert later.get() is True

        kill_walk(scenario, at_least=54)

    def test_with_limits(self, buffer, at_least):
        """`try_put` and `try_take` leave no timer, and lose nothing either."""

        def scenario(victim):
            there, back = Stream(buffer), Stream(buffer)
            accepted, taken = [], []

            def ask():
                for message in MESSAGES:
                    accepted.append(there.try_put(message, 5))
                    taken.append(back.try_take(5))

            echo = gevent.spawn(lambda: back.put_all(there) and back.close())
            victim.spawn(ask)
            victim.join()
            there.close()
            returned = rest(back, taken)
            echo.join()

            assert MESSAGES[: len(returned)] == returned
            assert len(accepted) <= len(returned) <= len(accepted) + 1
            assert all(accepted)

        kill_walk(scenario, at_least=max(at_least, 81))


@pytest.mark.parametrize("place", [0, 1, 2])
class TestInLineForAConnection:
    """Takers and putters of an active stream queue; the victim stands at some place."""

    def scene(self, victim, place, fns):
        """Start three, of which one is the victim; wait for all."""
        greenlets = [
            victim.spawn(fn) if n == place else gevent.spawn(fn) for n, fn in enumerate(fns)
        ]
        gevent.joinall(greenlets)

    def test_takers(self, place):
        """The others get theirs, and what the victim has not taken is there for the next."""

        def scenario(victim):
            wire, taken = Wire(), [[], [], []]
            feeder = gevent.spawn(feed_slowly, wire, MESSAGES[:6])
            self.scene(victim, place, [partial(take_into, each, wire, 2) for each in taken])
            feeder.join()
            wire.end()

            everything = [message for each in taken for message in each] + list(wire)
            assert MESSAGES[:6] == sorted(everything)
            assert [sorted(each) for each in taken] == taken
            assert 1 == wire.most_inside

        kill_walk(scenario, at_least=21)

    def test_putters(self, place):
        """The others' messages go out; the victim's go out whole or not at all."""

        def scenario(victim):
            wire, accepted = Wire(), [[], [], []]
            transmit = wire._transmit
            wire._transmit = yielding(transmit)
            self.scene(
                victim,
                place,
                [partial(put_from, [n, n + 10], wire, each) for n, each in enumerate(accepted)],
            )

            sent = [[m for m in wire.sent if m % 10 == n] for n in range(3)]
            assert [[n, n + 10][: len(each)] for n, each in enumerate(sent)] == sent
            assert [len(each) for each in accepted] == [len(each) for each in sent]
            assert 4 <= len(wire.sent)
            assert wire.put("last") is True

        kill_walk(scenario, at_least=19)


def feed_slowly(wire, messages):
    for message in messages:
        gevent.sleep(0)
        wire.arrive(message)


def test_deferreds():
    """Who waits for a put_async or a take_async may leave: the message is where it was."""

    def scenario(victim):
        stream, waited = Stream(), []
        taken, put = stream.take_async(), stream.put_async("a")
        later = [stream.take_async(), stream.take_async()]

        def wait():
            for deferred in (taken, later[0]):
                message = deferred.get()
                waited.append(message)

        victim.spawn(wait)
        gevent.spawn(stream.put_all, "bc").join()
        victim.join()

        assert ["a", "b", "c"] == [taken.get(), *(each.get() for each in later)]
        assert put.get() is True
        assert ["a", "b"][: len(waited)] == waited

    kill_walk(scenario, at_least=5)


def test_the_end_of_a_stream():
    """Who is thrown at while he hears of the end hears of it the next time."""

    def scenario(victim):
        stream, heard = Stream(), []
        victim.spawn(lambda: heard.append(stream.take("end")))
        gevent.spawn(stream.close).join()
        victim.join()

        assert "end" == stream.take("end")
        assert heard in ([], ["end"])
        assert stream.drained

    kill_walk(scenario, at_least=5)
