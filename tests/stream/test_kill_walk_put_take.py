"""A kill or a Timeout at every switch of putting and taking: no message lost, nobody stuck."""

from __future__ import annotations

import gevent
import pytest

from galeph.stream import Stream
from galeph.testing import kill_walk

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
