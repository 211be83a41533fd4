"""A kill or a Timeout at every switch of a splice: two halves, and nothing lost in either."""

from __future__ import annotations

import gevent
import pytest

from galeph.stream import Stream, connect, splice
from galeph.testing import kill_walk
from tests.stream.test_kill_walk_connect import unlinked
from tests.stream.wires import Wire, yielding

MESSAGES = list(range(6))


def pipe(buffer):
    """Two splices; what one puts the other takes."""
    one, other = Stream(buffer), Stream(buffer)
    return splice(one, other), splice(other, one)


@pytest.mark.parametrize("buffer", [0, 1])
class TestPipe:
    def test_one_end(self, buffer):
        """Asked and answered through a pipe: the answers are those to a beginning."""

        def scenario(victim):
            near, far = pipe(buffer)
            sent, answers = [], []

            def ask():
                for message in MESSAGES:
                    sent.append(near.put(message))
                    answer = near.take()
                    answers.append(answer)

            def answer():
                for message in far:
                    far.put(-message)

            victim.spawn(ask)
            other = gevent.spawn(answer)
            victim.join()
            while (late := near.try_take(0, "end", "none")) not in ("end", "none"):
                answers.append(late)
            near.close()
            other.join()

            assert [-message for message in MESSAGES][: len(answers)] == answers
            assert len(sent) - 1 <= len(answers) <= len(sent) + 1
            assert (near.closed, far.closed) == (True, True)

        kill_walk(scenario, at_least=25)

    def test_an_echo(self, buffer):
        """One end connected to itself sends back what was accepted, and ends with the pipe."""

        def scenario(victim):
            near, far = pipe(buffer)
            echoing = connect(far.map(yielding(int)), far)
            sent, echoed = [], []

            def ask():
                for message in MESSAGES:
                    sent.append(near.put(message))
                    echo = near.take()
                    echoed.append(echo)

            victim.spawn(ask)
            victim.join()
            near._sink.close()
            returned = echoed + list(near)

            assert MESSAGES[: len(returned)] == returned
            assert len(sent) <= len(returned) <= len(sent) + 1
            assert echoing.get() is True
            assert unlinked(near, far)

        kill_walk(scenario, at_least=37)


def test_halves_that_do_their_own_io():
    """A connection as both halves: what is not sent is not half sent, and input stays."""

    def scenario(victim):
        wire = Wire()
        both, taken = splice(wire, wire), []

        def work():
            for message in MESSAGES:
                both.put(message)
                answer = both.take()
                taken.append(answer)

        victim.spawn(work)
        for message in "abcdef":
            gevent.sleep(0)
            wire.arrive(message)
        victim.join()
        wire.end()

        assert list("abcdef") == taken + list(both)
        assert MESSAGES[: len(wire.sent)] == wire.sent
        assert len(taken) <= len(wire.sent) <= len(taken) + 1

    kill_walk(scenario, at_least=25)
