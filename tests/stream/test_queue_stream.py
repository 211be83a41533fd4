"""`Stream`: a queue with backpressure that can end and can fail."""

from __future__ import annotations

import gc
import os
import queue
import subprocess
import sys
import threading
import traceback
import weakref

import gevent
import pytest
from gevent import monkey
from gevent.queue import ShutDown

from galeph.errors import Cancelled, ResourceClosed, TimedOut
from galeph.stream import Stream, connect, consume
from galeph.stream.lines import MOST_WAITING
from tests.stream.scenes import interruptions, outcome, settle, victim, waiting


def fill(stream, *messages):
    for message in messages:
        assert stream.try_put(message, 0)


def drain(stream):
    """Everything that can be taken now."""
    return list(iter(lambda: stream.try_take(0, "end", "nothing"), "nothing"))


class TestPut:
    def test_waits_for_the_take_without_a_buffer(self):
        """A put into an unbuffered stream returns when its message is taken."""
        stream = Stream()
        putter = waiting(stream.put, "a")

        assert not putter.ready()
        assert "a" == stream.take()
        assert putter.get(timeout=1) is True

    def test_waits_only_beyond_the_buffer(self):
        """With a buffer of two, two puts return at once and the third waits for a take."""
        stream = Stream(2)
        fill(stream, "a", "b")
        putter = waiting(stream.put, "c")

        assert not putter.ready()
        assert "a" == stream.take()
        assert putter.get(timeout=1) is True
        assert ["b", "c"] == drain(stream)

    @pytest.mark.parity("STR-05")
    def test_prefers_a_waiting_take_then_the_buffer_then_the_line(self):
        """A message goes to a waiting take even if the buffer has room, then to the buffer."""
        stream = Stream(1)
        taker = waiting(stream.take)
        fill(stream, "taken", "stored")
        putter = waiting(stream.put, "waits")
        facts = stream.description()

        assert "taken" == taker.get(timeout=1)
        assert (1, 1) == (facts["buffer_size"], facts["pending_puts"])
        assert ["stored", "waits"] == drain(stream)
        assert putter.get(timeout=1) is True

    def test_is_false_when_the_stream_is_closed(self):
        """A closed stream refuses messages in every way of putting."""
        stream = Stream(5)
        stream.close()

        assert stream.put("x") is False
        assert stream.try_put("x", 0) is False
        assert stream.try_put("x", 1, "late") is False
        assert stream.put_async("x").get() is False
        assert stream.put_all(["x"]) is False
        with pytest.raises(ShutDown):
            stream.put_nowait("x")
        assert [] == list(stream)

    def test_takes_any_value(self):
        """None, False and exceptions are messages like others."""
        stream = Stream(9)
        given = [None, False, (), ValueError("a message")]
        fill(stream, *given)

        assert given == [stream.take("default") for _ in given]

    @pytest.mark.parity("STR-65")
    def test_keeps_the_order_of_waiting_puts(self):
        """Puts that wait enter the buffer in the order they came."""
        stream = Stream(1)
        fill(stream, 0)
        putters = [waiting(stream.put, n) for n in range(1, 6)]

        assert list(range(6)) == [stream.take() for _ in range(6)]
        assert [True] * 5 == [putter.get(timeout=1) for putter in putters]

    def test_does_not_overtake_a_waiting_put(self):
        """A put without waiting is refused while another put waits, even if its message fits."""
        stream = Stream(10, metric=len)
        fill(stream, "12345678")
        putter = waiting(stream.put, "too long")

        assert stream.try_put("x", 0) is False
        assert ["12345678", "too long"] == drain(stream)
        assert putter.get(timeout=1) is True


class TestTryPut:
    @pytest.mark.parity("STR-06")
    def test_yields_its_timeout_value_and_withdraws(self, clock):
        """When the time is over the message is gone from the line, and the value says so."""
        stream = Stream()
        putter = waiting(stream.try_put, "x", 2.0, "late")
        clock.advance(1.9)
        settle()

        assert not putter.ready()
        clock.advance(0.2)
        assert "late" == putter.get(timeout=1)
        assert [] == drain(stream)

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_never_waits_with_nothing_left(self, timeout):
        """A limit of 0 or less puts only what is accepted at once."""
        stream = Stream(1)

        assert stream.try_put("a", timeout) is True
        assert stream.try_put("b", timeout) is False
        assert ["a"] == drain(stream)

    def test_waits_for_ever_without_a_limit(self):
        """None is no limit."""
        stream = Stream()
        putter = waiting(stream.try_put, "a", None)

        assert "a" == stream.take()
        assert putter.get(timeout=1) is True

    def test_is_true_when_accepted_before_the_time_was_over(self, clock):
        """A message taken in the moment the limit runs out counts as put."""
        stream = Stream()
        putter = waiting(stream.try_put, "x", 1.0, "late")
        taken = stream.take()
        clock.advance(5)

        assert "x" == taken
        assert putter.get(timeout=1) is True


class TestTake:
    def test_waits_for_a_message(self):
        """A take blocks until something is put."""
        stream = Stream()
        taker = waiting(stream.take)

        assert not taker.ready()
        assert stream.put("a") is True
        assert "a" == taker.get(timeout=1)

    def test_serves_takers_in_their_order(self):
        """Waiting takes get messages first come, first served."""
        stream = Stream()
        takers = [waiting(stream.take) for _ in range(5)]
        fill(stream, *range(5))

        assert list(range(5)) == [taker.get(timeout=1) for taker in takers]

    @pytest.mark.parity("STR-11")
    def test_refills_the_buffer(self):
        """Taking from a full stream moves the oldest waiting put into the buffer."""
        stream = Stream(1)
        fill(stream, "a")
        putters = [waiting(stream.put, message) for message in "bc"]

        assert "a" == stream.take()
        assert putters[0].get(timeout=1) is True
        assert (1, 1) == (stream.qsize(), stream.description()["pending_puts"])
        assert ["b", "c"] == drain(stream)
        assert putters[1].get(timeout=1) is True

    @pytest.mark.parity("STR-08")
    def test_gives_its_default_at_the_end(self):
        """On a drained stream a take returns its default, None if it has none."""
        stream = Stream()
        stream.close()

        assert stream.take() is None
        assert "end" == stream.take("end")
        assert "end" == stream.take_async("end").get()

    @pytest.mark.parity("STR-09")
    def test_tells_the_end_from_the_timeout(self, clock):
        """`try_take` has a value for each of the two."""
        stream = Stream()
        taker = waiting(stream.try_take, 1.0, "end", "late")
        clock.advance(1.0)

        assert "late" == taker.get(timeout=1)
        assert "late" == stream.try_take(0, "end", "late")
        assert stream.try_take(0) is None
        stream.close()
        assert "end" == stream.try_take(1.0, "end", "late")

    @pytest.mark.parity("STR-10")
    def test_eats_nothing_when_it_has_expired(self, clock):
        """A message put after a take has timed out goes to the next take."""
        stream = Stream()
        expired = waiting(stream.try_take, 1.0, None, "late")
        clock.advance(1.0)
        settle()
        live = waiting(stream.take)
        fill(stream, "a")

        assert "late" == expired.get(timeout=1)
        assert "a" == live.get(timeout=1)

    @pytest.mark.parity("STR-34")
    def test_iterates_until_nothing_comes_in_time(self, clock):
        """Each message may take as long as the limit is; none is lost by it."""
        stream = Stream()
        reader = waiting(lambda: list(stream.to_iterator(timeout=5)))
        for message in "ab":
            clock.advance(4)
            assert stream.put(message) is True
        clock.advance(4)
        assert not reader.ready()
        clock.advance(1)

        assert ["a", "b"] == reader.get(timeout=1)
        putter = waiting(stream.put, "c")
        assert "c" == next(stream.to_iterator(timeout=5))
        assert putter.get(timeout=1)

    def test_iterates_until_the_end(self):
        """A for loop over a stream takes everything and stops at the end."""
        stream = Stream()
        reader = waiting(lambda: list(stream))
        assert stream.put_all("abc")
        stream.close()

        assert ["a", "b", "c"] == reader.get(timeout=1)


class TestAsync:
    @pytest.mark.parity("STR-04")
    def test_put_is_true_once_the_message_was_taken(self):
        """The deferred of a put is pending until the message is taken or stored."""
        stream = Stream()
        put = stream.put_async("a")

        assert not put.ready()
        assert "a" == stream.take()
        assert put.get(timeout=1) is True
        assert Stream(1).put_async("stored").get(timeout=0) is True

    def test_take_holds_the_next_message(self):
        """The deferred of a take is realized by the next put, or at once."""
        stream = Stream()
        take = stream.take_async()

        assert not take.ready()
        assert stream.put("a") is True
        assert "a" == take.get(timeout=1)
        put = stream.put_async("b")
        assert "b" == stream.take_async().get(timeout=0)
        assert put.get(timeout=1) is True

    def test_a_cancelled_take_is_withdrawn(self):
        """The message goes to the next in line, and the line is shorter at once."""
        stream = Stream()
        cancelled, live = stream.take_async(), stream.take_async()
        assert cancelled.cancel()

        assert 1 == stream.description()["pending_takes"]
        assert stream.put("a") is True
        assert "a" == live.get(timeout=1)

    def test_a_cancelled_put_is_withdrawn(self):
        """Its message is never seen."""
        stream = Stream()
        cancelled, live = stream.put_async("a"), stream.put_async("b")
        assert cancelled.cancel()

        assert "b" == stream.take()
        assert live.get(timeout=1) is True
        assert [] == drain(stream)

    @pytest.mark.parametrize("buffer", [0, 1])
    def test_a_put_that_somebody_else_realizes_puts_nothing(self, buffer):
        """When its turn comes it has said something else."""
        stream = Stream(buffer)
        before = [stream.put_async("a") for _ in range(buffer)]
        other, after = stream.put_async("b"), stream.put_async("c")
        assert other.success("other")

        assert ["a"] * buffer + ["c"] == drain(stream)
        assert [True] * buffer == [each.get(timeout=1) for each in before]
        assert after.get(timeout=1) is True

    def test_a_take_that_times_out_eats_nothing(self, clock):
        """`timeout` on the deferred withdraws the take too."""
        stream = Stream(1)
        take = stream.take_async().timeout(1.0, "late")
        clock.advance(1.0)
        fill(stream, "a")

        assert "late" == take.get(timeout=1)
        assert "a" == stream.take()

    def test_a_failed_stream_fails_the_take(self):
        """The deferred of a take on a failed stream holds the error."""
        stream = Stream()
        pending = stream.take_async()
        stream.fail(ValueError("cut"))

        assert isinstance(pending.exception, ValueError)
        assert isinstance(stream.take_async().exception, ValueError)


class TestPutAll:
    @pytest.mark.parity("STR-07")
    def test_is_true_when_everything_was_accepted(self):
        """It waits for each message, and nothing to put is a success."""
        stream = Stream()
        putter = waiting(stream.put_all, iter("abc"))

        assert ["a", "b", "c"] == [stream.take() for _ in range(3)]
        assert putter.get(timeout=1) is True
        assert stream.put_all([]) is True

    def test_stops_at_the_first_refusal(self):
        """What comes after a refused message is not even asked for."""
        stream = Stream(2)
        asked = []

        def messages():
            for n in range(9):
                asked.append(n)
                if n == 2:
                    stream.close()
                yield n

        assert stream.put_all(messages()) is False
        assert [0, 1, 2] == asked
        assert [0, 1] == list(stream)


class TestClosing:
    @pytest.mark.parity("STR-14")
    def test_ends_waiting_takes_and_keeps_the_messages(self):
        """Waiting takes get their default; stored and waiting messages can still be taken."""
        waited_on, full = Stream(), Stream(1)
        taker = waiting(waited_on.take, "end")
        fill(full, "stored")
        putter = waiting(full.put, "waiting")
        for stream in (waited_on, full):
            stream.close()
            stream.close()

        assert "end" == taker.get(timeout=1)
        assert ["stored", "waiting"] == list(full)
        assert putter.get(timeout=1) is True

    @pytest.mark.parity("STR-15")
    def test_is_drained_when_closed_and_empty(self):
        """Closed with a waiting put is not drained; after its take it is."""
        stream = Stream()
        putter = waiting(stream.put, "a")
        stream.close()

        assert (True, False) == (stream.closed, stream.drained)
        assert "a" == stream.take()
        assert "end" == stream.take("end")
        assert (True, True) == (stream.closed, stream.drained)
        assert putter.get(timeout=1) is True

    def test_is_not_drained_while_a_message_is_on_its_way_to_a_take(self):
        """A message handed to a take that has not run yet could still come back."""
        stream = Stream()
        taker = waiting(stream.take)
        taker.kill(block=False)
        fill(stream, "a")
        stream.close()

        assert not stream.drained
        settle()
        assert taker.dead
        assert not stream.drained
        assert "a" == stream.take()
        assert stream.drained

    def test_stays_closed_when_a_message_comes_back(self):
        """Of a taker that was served and killed: that message can be taken, and no other put."""
        stream = Stream(2)
        taker = waiting(stream.take)
        taker.kill(block=False)
        fill(stream, "a")
        stream.close()
        settle()

        assert stream.put("b") is False
        assert stream.try_put("b", 0) is False
        assert stream.put_async("b").get(timeout=1) is False
        assert ["a"] == list(stream)

    def test_drains_when_the_last_waiting_put_is_withdrawn(self):
        """A closed stream whose only message is withdrawn is drained."""
        stream = Stream()
        putter = waiting(stream.put, "a")
        stream.close()
        putter.kill()

        assert stream.drained

    @pytest.mark.parity("STR-16")
    def test_calls_back_when_closed_and_when_drained(self):
        """Callbacks run at each of the two ends, once, and at once if it is past already."""
        stream = Stream(1)
        calls = []
        stream.on_closed(lambda: calls.append("closed"))
        stream.on_drained(lambda: calls.append("drained"))
        fill(stream, "a")
        stream.close()
        settle()

        assert ["closed"] == calls
        assert "a" == stream.take()
        settle()
        assert ["closed", "drained"] == calls
        stream.on_closed(lambda: calls.append("late"))
        stream.on_drained(lambda: calls.append("later"))
        assert ["closed", "drained", "late", "later"] == calls

    @pytest.mark.parity("STR-16")
    def test_logs_what_a_callback_raises_and_goes_on(self, caplog):
        """One callback that raises touches neither the others nor the caller."""
        stream = Stream()
        calls = []
        stream.on_closed(lambda: 1 / 0)
        stream.on_closed(lambda: calls.append("second"))
        stream.close()
        settle()
        stream.on_closed(lambda: 1 / 0)

        assert ["second"] == calls
        assert ["galeph.stream"] * 2 == [record.name for record in caplog.records]

    @pytest.mark.parity("STR-03")
    def test_does_nothing_on_a_permanent_stream(self):
        """Neither closing nor failing ends it."""
        stream = Stream(1, permanent=True)
        stream.close()
        stream.fail(ValueError())

        assert stream.put("a") is True
        assert "a" == stream.take()
        assert not stream.closed

    def test_leaving_the_with_block_closes(self):
        """The stream is its own context manager."""
        with Stream() as stream:
            assert not stream.closed

        assert stream.closed


class TestFailing:
    def test_takes_get_the_messages_first_and_then_the_error(self):
        """What was accepted is not lost; then every take raises, and so does iteration."""
        stream = Stream(1)
        fill(stream, "stored")
        putter = waiting(stream.put, "waiting")
        error = ValueError("cut")
        stream.fail(error)

        assert stream.error is None
        assert "stored" == stream.take()
        assert "waiting" == stream.take("default")
        assert putter.get(timeout=1) is True
        for take in (stream.take, stream.get, lambda: stream.try_take(0), lambda: list(stream)):
            with pytest.raises(ValueError, match="cut"):
                take()
        assert error is stream.error

    def test_never_looks_drained(self):
        """A failed stream is closed, but not drained, and `on_drained` is never called."""
        stream = Stream()
        calls = []
        stream.on_drained(lambda: calls.append("drained"))
        stream.fail(ValueError())
        settle()

        assert (True, False, []) == (stream.closed, stream.drained, calls)

    def test_wakes_waiting_takes_with_the_error(self):
        """Every waiting take raises it."""
        stream = Stream()
        takers = [outcome(stream.take), outcome(stream.try_take, 60)]
        error = ValueError("cut")
        stream.fail(error)

        assert [error, error] == [taker.get(timeout=1) for taker in takers]

    def test_the_first_end_counts(self):
        """Failing a closed stream, or closing a failed one, changes nothing."""
        closed, failed = Stream(), Stream()
        closed.close()
        closed.fail(ValueError())
        failed.fail(ValueError("first"))
        failed.close()
        failed.fail(KeyError())

        assert closed.drained
        with pytest.raises(ValueError, match="first"):
            failed.take()

    def test_does_not_grow_the_traceback(self):
        """Raised a thousand times, the error has no more frames than raised once."""
        stream = Stream()
        stream.fail(ValueError())
        depths = set()
        for _ in range(1000):
            try:
                stream.take()
            except ValueError as error:
                trace, depth = error.__traceback__, 0
                while trace is not None:
                    trace, depth = trace.tb_next, depth + 1
                depths.add(depth)

        assert 1 == len(depths)

    def test_keeps_the_frames_the_error_comes_from(self):
        """Every taker sees where it was raised first, and nothing of the takers before him."""
        stream = Stream()
        waits = stream.take_async()

        def broken():
            raise ValueError("broken")

        try:
            broken()
        except ValueError as error:
            stream.fail(error)
        places = []
        for take in (waits.get, stream.take, stream.take, stream.take_async().get):
            with pytest.raises(ValueError, match="broken") as caught:
                take()
            places.append(
                [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
            )

        assert all("broken" == names[-1] for names in places)
        assert places[1] == places[2]

    def test_what_stopped_a_greenlet_is_told_in_galeph_s_words(self):
        """A taker must not take somebody else's kill or Timeout for his own."""
        for thrown, told in ((gevent.GreenletExit(), Cancelled), (gevent.Timeout(), TimedOut)):
            stream = Stream()
            stream.fail(thrown)
            with pytest.raises(told) as caught:
                stream.take()

            assert thrown is caught.value.__cause__

    def test_refuses_what_is_no_exception(self):
        """A TypeError names the argument, and the stream goes on."""
        stream = Stream(1)

        with pytest.raises(TypeError, match="error must be an exception, not 'cut'"):
            stream.fail("cut")
        assert stream.put("a") is True


class TestLimitsOnWaiting:
    @pytest.mark.parity("STR-12")
    @pytest.mark.parametrize("way", ["put", "put_async", "try_put", "connected"])
    def test_too_many_puts_close_the_stream(self, way, caplog):
        """The one that is too many is refused; those before it are still there, in their order."""
        stream = Stream(1)
        puts = [stream.put_async(n) for n in range(MOST_WAITING + 1)]
        assert not stream.closed
        assert not puts[-1].ready()
        if way == "connected":
            source = Stream(1)
            moved = connect(source, stream)
            source.put("too many")
            assert moved.get(timeout=1) is True
            assert "too many" == source.try_take(0)
        elif way == "put_async":
            assert stream.put_async("too many").get(timeout=1) is False
        elif way == "try_put":
            assert stream.try_put("too many", 60, "late") is False
        else:
            assert stream.put("too many") is False

        assert stream.closed
        assert list(range(MOST_WAITING + 1)) == list(stream)
        settle()
        assert ["WARNING"] == [record.levelname for record in caplog.records]
        assert "16384 puts" in caplog.text

    @pytest.mark.parity("STR-12")
    @pytest.mark.parametrize("way", ["take", "take_async", "try_take"])
    def test_too_many_takes_close_the_stream(self, way, caplog):
        """All of them get their default."""
        stream = Stream()
        takes = [stream.take_async("end") for _ in range(MOST_WAITING)]
        assert not stream.closed
        if way == "take_async":
            assert "default" == stream.take_async("default").get(timeout=1)
        elif way == "try_take":
            assert "default" == stream.try_take(60, "default", "late")
        else:
            assert "default" == stream.take("default")

        assert stream.drained
        assert {"end"} == {take.get(timeout=1) for take in takes}
        settle()
        assert "16384 takes" in caplog.text

    @pytest.mark.parity("STR-12")
    def test_of_a_permanent_one_it_refuses_only_the_last(self, caplog):
        """It stays open, and serves those who wait."""
        stream = Stream(permanent=True)
        takes = [stream.take_async() for _ in range(MOST_WAITING)]

        assert "default" == stream.take("default")
        assert stream.put("a") is True
        assert "a" == takes[0].get(timeout=1)
        assert not stream.closed
        settle()
        assert "16384 takes" in caplog.text

    @pytest.mark.parity("STR-13")
    def test_those_who_have_left_do_not_count(self, clock):
        """Takes and puts that have timed out make room, however many they were."""
        stream = Stream()
        takes = [stream.take_async().timeout(1, "late") for _ in range(MOST_WAITING)]
        clock.advance(1)
        taker = waiting(stream.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == taker.get(timeout=1)
        assert {"late"} == {take.get(timeout=1) for take in takes}
        puts = [stream.put_async("x").timeout(1, "late") for _ in range(MOST_WAITING)]
        clock.advance(1)
        putter = waiting(stream.try_put, "x", 1, "late")
        clock.advance(1)
        assert "late" == putter.get(timeout=1)
        assert {"late"} == {put.get(timeout=1) for put in puts}
        assert (False, None) == (stream.closed, stream.try_take(0))

    @pytest.mark.parity("STR-13")
    def test_greenlets_that_have_left_do_not_count(self, clock):
        """Those of `try_take` and `try_put` go by themselves when their time is over."""
        stream = Stream()
        takers = [gevent.spawn(stream.try_take, 1, "end", "late") for _ in range(MOST_WAITING)]
        settle()
        assert MOST_WAITING == stream.description()["pending_takes"]
        clock.advance(1)
        taker = waiting(stream.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == taker.get(timeout=1)
        assert {"late"} == {taker.get(timeout=5) for taker in takers}
        putters = [gevent.spawn(stream.try_put, "x", 1, "late") for _ in range(MOST_WAITING)]
        settle()
        assert MOST_WAITING == stream.description()["pending_puts"]
        clock.advance(1)
        putter = waiting(stream.try_put, "x", 1, "late")
        clock.advance(1)

        assert "late" == putter.get(timeout=1)
        assert {"late"} == {putter.get(timeout=5) for putter in putters}
        assert (False, None) == (stream.closed, stream.try_take(0))


class TestMetric:
    @pytest.mark.parity("STR-49")
    def test_bounds_the_sum(self):
        """With a limit of 10, 9 is stored, 2 more wait until the 9 are taken."""
        stream = Stream(10, metric=lambda message: message)
        fill(stream, 9)
        putter = waiting(stream.put, 2)

        assert not putter.ready()
        assert 9 == stream.take()
        assert putter.get(timeout=1) is True
        assert 2 == stream.description()["buffer_size"]
        assert [2] == drain(stream)

    def test_of_nothing(self):
        """A message that weighs nothing finds room where there is none for others."""
        stream = Stream(3, metric=len)
        fill(stream, "abc")

        assert stream.try_put("", 0) is True
        assert stream.try_put("d", 0, "full") == "full"
        assert ["abc", ""] == drain(stream)

    def test_lets_a_message_larger_than_the_buffer_through(self):
        """It waits in line until it is taken, and those behind it are stored again."""
        stream = Stream(3, metric=len)
        large = waiting(stream.put, "12345")
        small = waiting(stream.put, "1")

        assert "12345" == stream.take()
        assert large.get(timeout=1) is True
        assert small.get(timeout=1) is True
        assert ["1"] == drain(stream)

    @pytest.mark.parity("STR-50", "MISS-52")
    def test_a_timeout_withdraws_the_message(self, clock):
        """A put that did not fit in time has stored nothing, and one that did says so."""
        stream = Stream(3, metric=len)
        fill(stream, "12")
        late = waiting(stream.try_put, "34", 1, "late")
        accepted = waiting(stream.try_put, "56", 2, "late")
        assert "late" == stream.try_put("78", 0, "late")
        clock.advance(1)

        assert "late" == late.get(timeout=1)
        assert "12" == stream.take()
        clock.advance(1)
        assert accepted.get(timeout=1) is True
        assert ["56"] == drain(stream)
        assert 0 == stream.description()["buffer_size"]

    def test_stores_what_follows_a_withdrawn_message(self):
        """When the first in line leaves, those behind it that fit are stored."""
        stream = Stream(3, metric=len)
        large = waiting(stream.put, "12345")
        small = waiting(stream.put, "1")
        large.kill()

        assert small.get(timeout=1) is True
        assert ["1"] == drain(stream)

    def test_without_a_buffer_what_weighs_nothing_waits_as_well(self):
        """Also when another put is withdrawn."""
        stream = Stream(0, metric=len)
        first, second = stream.put_async("a"), stream.put_async("")
        first.cancel()

        assert not second.ready()
        assert "" == stream.take()
        assert second.get() is True

    def test_what_it_raises_is_the_caller_s(self):
        """An exception in the metric, or a negative number, reaches the put and changes nothing."""
        stream = Stream(3, metric=lambda message: 1 / message)

        with pytest.raises(ZeroDivisionError):
            stream.put(0)
        with pytest.raises(ValueError, match="negative"):
            stream.put(-1)
        with pytest.raises(ValueError, match="metric returned nan"):
            Stream(3, metric=float).put("nan")
        with pytest.raises(TypeError, match="metric returned 'text'"):
            Stream(3, metric=str).put("text")
        assert stream.put(1) is True
        assert [1] == drain(stream)

    def test_a_message_that_comes_back_weighs_nothing(self):
        """It was accepted; asking the metric again would run code where none may run."""
        stream = Stream(2, metric=len)
        taker = waiting(stream.take)
        taker.kill(block=False)
        fill(stream, "taken")
        settle()

        assert 0 == stream.description()["buffer_size"]
        fill(stream, "xx")
        assert ["taken", "xx"] == drain(stream)
        assert 0 == stream.description()["buffer_size"]

    def test_may_end_the_stream(self):
        """A metric that closes the stream has its message refused."""
        stream = Stream(3, metric=lambda _: stream.close() or 1)

        assert stream.put("a") is False

    @pytest.mark.parity("STR-51")
    def test_is_described_in_its_units(self):
        """Size and capacity in the description are sums of the metric."""
        stream = Stream(10, metric=len)
        fill(stream, "abc")

        facts = stream.description()
        assert (3, 10) == (facts["buffer_size"], facts["buffer_capacity"])


class TestInterruptions:
    """A kill, or a Timeout, may come at any switch."""

    def test_a_killed_take_is_withdrawn(self):
        """The next message goes to the next take."""
        stream = Stream()
        killed, live = waiting(stream.take), waiting(stream.take)
        killed.kill()
        fill(stream, "a")

        assert "a" == live.get(timeout=1)

    def test_a_killed_put_is_withdrawn(self):
        """Its message is never seen."""
        stream = Stream()
        killed, live = waiting(stream.put, "a"), waiting(stream.put, "b")
        killed.kill()

        assert "b" == stream.take()
        assert live.get(timeout=1) is True

    def test_a_message_on_its_way_to_a_killed_take_stays_first(self):
        """Handed over but not returned, it is the next to be taken."""
        stream = Stream(5)
        taker = waiting(stream.take)
        taker.kill(block=False)
        fill(stream, "first", "second")
        settle()

        assert ["first", "second"] == drain(stream)

    def test_messages_on_their_way_keep_their_order(self):
        """Of three takes served at once, killing any leaves the others the earlier messages."""
        for killed in range(3):
            stream = Stream(5)
            takers = [waiting(stream.take) for _ in range(3)]
            takers[killed].kill(block=False)
            fill(stream, 0, 1, 2, 3)
            settle()
            got = [taker.value for n, taker in enumerate(takers) if n != killed]

            assert [0, 1] == got
            assert [2, 3] == drain(stream)

    def test_a_message_that_comes_back_goes_to_a_take_that_waits(self):
        """If somebody waits behind the killed take, it is served with the message."""
        stream = Stream()
        killed, live = waiting(stream.take), waiting(stream.take)
        killed.kill(block=False)
        fill(stream, "a")

        assert "a" == live.get(timeout=1)

    def test_a_put_killed_after_acceptance_leaves_its_message(self):
        """Accepted is accepted."""
        stream = Stream()
        putter = waiting(stream.put, "a")
        taken = stream.take()
        putter.kill()

        assert "a" == taken
        assert [] == drain(stream)

    @pytest.mark.parametrize("buffer", [0, 1, 16])
    def test_nothing_is_lost_doubled_or_reordered_by_an_interrupted_take(self, buffer):
        """Thrown at after any switch, a take in a loop loses nothing and changes no order."""

        def scene():
            nonlocal stream, taken
            stream, taken = Stream(buffer), []

            def take():
                for _ in range(3):
                    taken.append(stream.take())

            def feed():
                producer = gevent.spawn(stream.put_all, range(6))
                settle()
                while len(taken) < 6:
                    taken.append(stream.try_take(1))
                producer.join(1)

            return victim(take), feed

        stream, taken = None, []
        for way in interruptions(scene):
            assert list(range(6)) == taken, way

    @pytest.mark.parametrize("buffer", [0, 1, 16])
    def test_an_interrupted_put_is_whole_or_nothing(self, buffer):
        """Thrown at after any switch, a put in a loop leaves a beginning of its messages."""

        def scene():
            nonlocal stream, taken, returned
            stream, taken, returned = Stream(buffer), [], []

            def put():
                for n in range(buffer + 4):
                    returned.append(stream.put(n))

            def take():
                taker = gevent.spawn(lambda: taken.extend(iter(stream.take, None)))
                settle()
                stream.close()
                taker.join(1)

            return victim(put), take

        stream, taken, returned = None, [], []
        for way in interruptions(scene):
            assert taken == list(range(len(taken))), way
            assert len(returned) <= len(taken) <= len(returned) + 1, way

    def test_a_limit_leaves_no_timer(self):
        """Killed or served, the timer of a try is gone (the watchers are counted after a test)."""
        stream = Stream()
        killed = waiting(stream.try_take, 5)
        killed.kill()
        served = waiting(stream.try_take, 5)
        fill(stream, "a")
        putter = waiting(stream.try_put, "b", 5)
        putter.kill()

        assert "a" == served.get(timeout=1)
        assert [] == drain(stream)


class TestQueueInterface:
    """What code written for a gevent queue asks of one."""

    def test_get_raises_empty_and_shutdown(self):
        """`get` waits as told; the end is gevent's ShutDown."""
        stream = Stream(1)
        with pytest.raises(queue.Empty):
            stream.get_nowait()
        with pytest.raises(queue.Empty):
            stream.get(timeout=0.001)
        stream.put_nowait("a")

        assert "a" == stream.get()
        stream.close()
        with pytest.raises(ShutDown):
            stream.get()
        with pytest.raises(ShutDown):
            stream.get_nowait()

    def test_put_nowait_raises_full(self):
        """A put that would wait is queue.Full, and the message is not in."""
        stream = Stream(1)
        stream.put_nowait("a")

        with pytest.raises(queue.Full):
            stream.put_nowait("b")
        assert ["a"] == drain(stream)

    def test_sizes_say_what_can_be_done_now(self):
        """`empty` and `full` tell whether a get or a put would wait."""
        stream = Stream(1)

        assert (0, True, False) == (stream.qsize(), stream.empty(), stream.full())
        fill(stream, "a")
        assert (1, False, True) == (stream.qsize(), stream.empty(), stream.full())
        unbuffered = Stream()
        assert (True, True) == (unbuffered.empty(), unbuffered.full())
        putter = waiting(unbuffered.put, "x")
        assert (0, False) == (unbuffered.qsize(), unbuffered.empty())
        assert "x" == unbuffered.take()
        assert putter.get(timeout=1)
        taker = waiting(unbuffered.take)
        assert not unbuffered.full()
        taker.kill()
        assert unbuffered.full()


class TestWhereThingsRun:
    @pytest.mark.parity("STR-22")
    def test_a_put_does_not_run_what_follows_from_it(self):
        """That runs in a greenlet of galeph's, in the same thread; the put does not wait for it."""
        stream, ran_in = Stream(9), []
        consume(
            stream.map(
                lambda n: ran_in.append((gevent.getcurrent(), threading.get_native_id())) or n
            ),
            lambda _: None,
        )
        stream.put_all([1, 2])
        assert [] == ran_in
        settle()

        assert 2 == len(ran_in)
        assert gevent.getcurrent() not in {greenlet for greenlet, _ in ran_in}
        assert {threading.get_native_id()} == {thread for _, thread in ran_in}


class TestThreads:
    def test_a_message_from_a_thread_is_put_in_the_stream_s_own(self):
        """`put_threadsafe` gives a future of what `put` would have returned."""
        stream = Stream()
        pool = gevent.get_hub().threadpool
        putter = pool.spawn(lambda: stream.put_threadsafe("a").result(5))

        assert "a" == stream.take()
        assert putter.get(timeout=5) is True
        stream.close()
        assert pool.spawn(lambda: stream.put_threadsafe("b").result(5)).get(timeout=5) is False

    def test_what_put_raises_is_in_the_future(self):
        """An exception in the stream's own thread reaches the caller in his."""
        stream = Stream(1, metric=lambda message: 1 / message)
        future = stream.put_threadsafe(0)
        settle()

        assert isinstance(future.exception(0), ZeroDivisionError)

    def test_a_cancelled_future_puts_nothing(self):
        """Cancelled before the hub came round, the message does not enter."""
        stream = Stream(1)
        future = stream.put_threadsafe("a")
        assert future.cancel()
        settle()

        assert [] == drain(stream)

    def test_a_stream_whose_hub_is_gone_says_so(self):
        """The thread it belonged to has ended; nobody could take the message."""
        made = []

        def work():
            made.append(Stream())
            gevent.get_hub().destroy(destroy_loop=True)
            made.append("hub destroyed")

        # A native thread, patched or not.
        monkey.get_original("_thread", "start_new_thread")(work, ())
        while len(made) < 2:
            gevent.sleep(0.001)

        with pytest.raises(ResourceClosed, match="hub"):
            made[0].put_threadsafe("a")

    def test_close_from_a_thread_ends_waiting_takes(self):
        """`close_threadsafe` takes effect in the stream's hub."""
        stream = Stream()
        gevent.get_hub().threadpool.spawn(stream.close_threadsafe).get(timeout=5)

        assert "end" == stream.take("end")


class TestArguments:
    @pytest.mark.parity("STR-01")
    def test_buffer_and_transform_may_be_left_out(self):
        """Without a buffer a put waits; with one it does not; a function may stand between."""
        bare, stored = Stream(), Stream(1)
        made = Stream(1, transform=lambda messages: map(str, messages))

        assert bare.try_put(1, 0) is False
        assert stored.try_put(1, 0) is True
        assert stored.try_put(2, 0) is False
        assert made.put(1) is True
        assert [1, "1"] == [stored.take(), made.take()]

    @pytest.mark.parity("STR-02")
    def test_options_have_names(self):
        """The description may be a function that makes a new one of what there would be."""
        stream = Stream(
            buffer=2,
            metric=len,
            permanent=True,
            description=lambda facts: {"name": "orders", "size": facts["buffer_capacity"]},
        )
        stream.close()

        assert stream.put("ab") is True
        assert {"name": "orders", "size": 2} == stream.description()
        with pytest.raises(TypeError, match="positional"):
            Stream(2, len)

    @pytest.mark.parity("STR-01")
    def test_negative_buffers_are_none(self):
        """A negative size acts as 0."""
        stream = Stream(-5)

        assert stream.try_put("a", 0) is False
        assert 0 == stream.description()["buffer_capacity"]

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"buffer": "5"}, TypeError),
            ({"buffer": True}, TypeError),
            ({"buffer": float("nan")}, ValueError),
            ({"buffer": 1.5}, ValueError),
            ({"buffer": 1.5, "transform": iter}, ValueError),
            ({"metric": 5}, TypeError),
            ({"permanent": "no"}, TypeError),
            ({"description": 5}, TypeError),
        ],
    )
    def test_wrong_ones_are_named(self, wrong, error):
        """A TypeError or ValueError names the argument before anything happens."""
        with pytest.raises(error, match=next(iter(wrong))):
            Stream(**wrong)

    def test_sizes_that_are_no_ints(self):
        """A buffer may be endless, and half of one is room where a metric weighs."""
        endless, weighed = Stream(float("inf")), Stream(1.5, metric=float)

        assert endless.put_all(range(1000)) is True
        assert [True, False] == [weighed.try_put(1.5, 0), weighed.try_put(0.1, 0)]


class TestDescription:
    @pytest.mark.parity("TOP-18")
    def test_says_what_state_the_stream_is_in(self):
        """All the facts, as plain data."""
        stream = Stream(2, description="orders")
        fill(stream, "a", "b")
        putter = waiting(stream.put, "c")

        assert {
            "type": "stream",
            "description": "orders",
            "sink": True,
            "source": True,
            "synchronous": False,
            "buffer_size": 2,
            "buffer_capacity": 2,
            "pending_puts": 1,
            "pending_takes": 0,
            "permanent": False,
            "closed": False,
            "drained": False,
        } == stream.description()
        putter.kill()

    @pytest.mark.parity("TOP-22")
    def test_is_in_the_repr(self):
        """The printed form shows that it is a stream, and the description."""
        assert repr(Stream()).startswith("<stream synchronous=False ")
        assert "buffer_capacity=3" in repr(Stream(3))
        assert "description='orders'" in repr(Stream(description="orders"))


class TestMemory:
    def test_an_abandoned_stream_dies_without_the_collector(self):
        """No cycle, no registry: the last reference frees it."""
        stream = Stream(3)
        fill(stream, "a")
        watched = weakref.ref(stream)
        gc.disable()
        try:
            del stream

            assert watched() is None
        finally:
            gc.enable()

    def test_an_idle_stream_is_small(self):
        """An unused stream has none of its lines, and where it was made only in debug mode."""
        program = """
import tracemalloc
from galeph.stream import Stream
Stream(16)
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
streams = [Stream(16) for _ in range(100)]
print((tracemalloc.get_traced_memory()[0] - before) / len(streams))
"""
        environment = {**os.environ, "GALEPH_DEBUG": ""}
        measured = subprocess.check_output([sys.executable, "-c", program], env=environment)

        assert float(measured) <= 1024


def test_a_take_whose_deferred_is_cancelled_in_flight_is_refused_cleanly():
    """A deferred realized by somebody else gives the message to the next taker."""
    stream = Stream()
    taken_over = stream.take_async()
    assert taken_over.error(Cancelled("by its owner"))
    live = waiting(stream.take)
    fill(stream, "a")

    assert "a" == live.get(timeout=1)
    assert isinstance(taken_over.exception, Cancelled)
