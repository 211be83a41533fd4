"""Deferreds as sources of one message and as sinks for one."""

from __future__ import annotations

from concurrent.futures import Future

import gevent
import pytest
from gevent.event import AsyncResult

from galeph.deferred import Deferred, error, future, success
from galeph.deferred.producer import on_cancel, owns
from galeph.errors import Cancelled, ResourceClosed
from galeph.stream import Stream, connect, sink, source
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting


def realized_result(value):
    result = AsyncResult()
    result.set(value)
    return result


def done_future(value):
    done = Future()
    done.set_result(value)
    return done


class TestSource:
    @pytest.mark.parity("STR-32")
    @pytest.mark.parametrize(
        "make",
        [success, realized_result, done_future, lambda value: gevent.spawn(lambda: value)],
        ids=["Deferred", "AsyncResult", "Future", "Greenlet"],
    )
    def test_gives_the_value_and_then_the_end(self, make):
        """One message, whatever kind of later it is; then default values."""
        stream = source(make("a"))

        assert "a" == stream.take("end")
        assert stream.drained
        assert ["end", "end"] == [stream.take("end"), stream.try_take(0, "end", "late")]

    @pytest.mark.parity("STR-32")
    def test_waits_for_a_pending_one(self):
        """Takers are served in their order: the first gets the value, the others the end."""
        pending = Deferred()
        stream = source(pending)
        takers = [waiting(stream.take, "end") for _ in range(3)]

        assert "late" == source(pending).try_take(0, "end", "late")
        assert not any(taker.ready() for taker in takers)
        pending.success(None)
        assert [None, "end", "end"] == [taker.get(timeout=1) for taker in takers]

    def test_an_error_is_the_stream_s_failure(self):
        """It is raised by every take, and the stream does not look drained."""
        failed = ValueError("cut")
        stream = source(error(failed))

        for _ in range(2):
            assert failed is outcome(stream.take).get(timeout=1)
        assert failed is stream.error
        assert not stream.drained

    def test_a_killed_greenlet_is_cancelled(self):
        """What ended it is not thrown at whoever takes."""
        greenlet = gevent.spawn(gevent.sleep, 60)
        stream = source(greenlet)
        greenlet.kill()

        with pytest.raises(Cancelled):
            stream.take()

    def test_an_error_that_would_end_greenlets_is_told_in_galeph_s_words(self):
        """A deferred may be failed with anything; a taker is not killed by it."""
        stream = source(error(gevent.GreenletExit()))

        with pytest.raises(Cancelled):
            stream.take()

    def test_an_error_nobody_took_is_reported(self, galeph_unseen_errors):
        """Having been made a source, it is seen by whoever takes, and by nobody else."""
        pending = Deferred()
        stream = source(pending)
        waiting(stream.take).kill()
        pending.error(ValueError("cut"))
        settle()
        del stream, pending

        assert ["ValueError: cut"] == [text.strip() for text in galeph_unseen_errors()]

    def test_interrupted_takes_leave_the_value(self):
        """Thrown at after any switch, a take does not lose it, nor call the work off."""

        def scene():
            nonlocal stream, taken
            called_off, taken = [], []
            pending = Deferred()
            owns(pending, called_off.append)
            on_cancel(pending, called_off.append)
            stream = source(pending)

            def then():
                settle()
                pending.success("a")
                settle()
                assert [] == called_off

            return victim(lambda: taken.append(stream.take())), then

        stream, taken = None, []
        for way in interruptions(scene):
            taken += list(stream)
            assert ["a"] == taken, way

    def test_closing_gives_takers_the_end(self):
        """The deferred goes on without it."""
        pending = Deferred()
        stream = source(pending)
        taker = waiting(stream.take, "end")
        stream.close()

        assert "end" == taker.get(timeout=1)
        assert pending.success("a")
        assert "end" == stream.take("end")

    def test_connects_like_any_source(self):
        """The value goes to the sink, and the end closes it."""
        target = Stream(1)
        moved = connect(future(lambda: "a"), target)

        assert moved.get(timeout=1) is True
        assert ["a"] == list(target)


class TestSink:
    @pytest.mark.parity("STR-33")
    def test_the_first_message_realizes_it(self):
        """That put is True, later ones are False, and the sink is closed between."""
        pending = Deferred()
        into = sink(pending)

        assert not into.closed
        assert into.put("a") is True
        assert into.closed
        assert [False, False] == [into.put("b"), into.try_put("c", 0)]
        assert "a" == pending.get(timeout=1)

    def test_one_put_without_waiting(self):
        """A limit of 0 is enough."""
        pending = Deferred()

        assert sink(pending).try_put("a", 0) is True
        assert "a" == pending.get(timeout=1)

    def test_is_closed_by_whoever_realizes_it(self):
        """Then no message can come any more; one that was realized before never was open."""
        pending = Deferred()
        into = sink(pending)
        pending.success("elsewhere")

        assert into.closed
        assert sink(pending).closed
        assert into.put("a") is False

    def test_refuses_while_somebody_else_has_claimed_it(self):
        """The put says so."""
        pending = Deferred()
        token = pending.claim()

        assert sink(pending).put("a") is False
        assert pending.success("b", token)

    def test_an_end_before_the_first_message_fails_it(self):
        """Whoever waits for it does not wait for ever."""
        ended, failed = Deferred(), Deferred()
        connect([], ended)
        broken = Stream()
        moved = connect(broken, failed)
        broken.fail(ValueError("cut"))

        with pytest.raises(ResourceClosed):
            ended.get(timeout=1)
        with pytest.raises(ValueError, match="cut"):
            failed.get(timeout=1)
        assert failed.exception is moved.exception

    def test_takes_one_message_of_a_source(self):
        """The rest stays there, and the source is closed, which has nobody else."""
        pending, rest = Deferred(), Stream(5)
        rest.put_all("abc")
        moved = connect(rest, pending)

        assert "a" == pending.get(timeout=1)
        assert moved.get(timeout=1) is True
        settle()
        assert rest.closed
        assert ["b", "c"] == list(rest)
