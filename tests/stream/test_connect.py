"""`connect` and `consume`: messages that flow by themselves, and how their streams end."""

from __future__ import annotations

import contextvars
import gc
import itertools
import sys
import weakref

import gevent
import pytest
from gevent.queue import Queue

from galeph.clock import set_default
from galeph.deferred import Deferred, dropped_errors, error, success
from galeph.errors import Cancelled, TimedOut
from galeph.stream import (
    Stream,
    connect,
    connect_via,
    consume,
    consume_async,
    drain_into,
    sink_only,
    source_only,
    splice,
)
from galeph.testing import ManualClock
from tests.deferred import threads
from tests.stream.scenes import settle, waiting
from tests.stream.wires import Wire, yielding


@pytest.fixture
def clock():
    """A clock that moves when told to."""
    manual = ManualClock()
    previous = set_default(manual)
    yield manual
    set_default(previous)


def named(fn):
    return fn.__name__


# Sinks whose puts fail: each connects one to a source, and returns it, if it can be got hold of,
# with the deferred of the connection.


def raising(source, outcome):
    class Raising(Wire):
        def _transmit(self, message):
            raise ConnectionResetError("peer")

    sink = Raising()
    return sink, connect(source, sink)


def late(source, outcome):
    """A sink whose put gives a deferred, that fails later."""

    class Late(Wire):
        def put_async(self, message):
            return outcome

        def _transmit(self, message):
            return self.put_async(message).get()

    sink = Late()
    return sink, connect(source, sink)


def asked(source, outcome):
    return None, consume_async(source, lambda _: outcome)


def asked_before_a_sink(source, outcome):
    sink = Stream(5)
    return sink, connect_via(source, lambda _: outcome, sink)


class TestMoving:
    @pytest.mark.parity("TOP-01")
    def test_coerces_both_ends(self):
        """A view of one side, the half of a splice, a deferred: whatever can be made a stream."""
        arrived, half = Deferred(), Stream(5)
        connect(source_only(Stream()), splice(half, Stream()))
        connect(["a"], arrived)

        assert "a" == arrived.get(timeout=1)
        assert 1 == half.link_count
        with pytest.raises(TypeError, match="int"):
            connect(5, half)
        with pytest.raises(TypeError, match="int"):
            connect(half, 5)

    @pytest.mark.parity("TOP-01")
    def test_conveys_every_message_in_order(self):
        """From any source to any sink, both coerced."""
        queue = Queue()
        moved = connect(range(5), queue)

        assert moved.get(timeout=1) is True
        assert list(range(5)) == [queue.get_nowait() for _ in range(5)]

    @pytest.mark.parametrize("make_source", [Stream, lambda: Stream(3), Wire], ids="01w")
    @pytest.mark.parametrize("make_sink", [Stream, lambda: Stream(3), Wire], ids="01w")
    def test_conveys_between_all_kinds(self, make_source, make_sink):
        """Queues and connections, in every pairing."""
        source, sink = make_source(), make_sink()
        moved = connect(source, sink)
        if isinstance(source, Wire):
            for n in range(9):
                source.arrive(n)
            source.end()
        else:
            gevent.spawn(lambda: source.put_all(range(9)) and source.close())
        if isinstance(sink, Wire):
            assert moved.get(timeout=1) is True
            assert list(range(9)) == sink.sent
        else:
            assert list(range(9)) == waiting(list, sink).get(timeout=1)
            assert moved.get(timeout=1) is True
        assert sink.closed

    def test_the_sink_holds_the_source_back(self):
        """No more is taken than the sink accepts, and one message is under way."""
        source, sink = Stream(), Stream(1)
        connect(source, sink)
        putter = waiting(lambda: [source.put(n) for n in range(5)])

        assert (1, 1) == (sink.qsize(), sink.description()["pending_puts"])
        assert 1 == source.description()["pending_puts"]
        assert list(range(5)) == [sink.take() for _ in range(5)]
        assert [True] * 5 == putter.get(timeout=1)

    @pytest.mark.parity("TOP-08")
    def test_the_slowest_of_several_sets_the_pace(self):
        """Each message goes to all; the next is taken when all have accepted."""
        source, fast, slow = Stream(9), Stream(9), Stream()
        connect(source, fast)
        connect(source, slow)
        source.put_all(range(3))
        settle()

        assert (1, 2) == (fast.qsize(), source.qsize())
        assert 0 == slow.take()
        settle()
        assert (2, 1) == (fast.qsize(), source.qsize())
        assert [1, 2] == [slow.take(), slow.take()]
        assert [0, 1, 2] == [fast.take() for _ in range(3)]

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_whoever_takes_the_second_sink_first_is_not_stuck(self, make):
        """A message is offered to all sinks before the pump waits for any."""
        source = make()
        first, second = Stream(), Stream()
        connect(source, first)
        connect(source, second)
        if make is Wire:
            for n in range(3):
                source.arrive(n)
            source.end()
        else:
            gevent.spawn(lambda: source.put_all(range(3)) and source.close())
        reader = waiting(lambda: [(second.take(), first.take()) for _ in range(3)])

        assert [(n, n) for n in range(3)] == reader.get(timeout=1)

    def test_several_connections_are_written_at_the_same_time(self):
        """A connection that is stuck does not keep a message from the others."""
        source, stuck, free = Stream(), Wire(), Wire()
        stuck.is_stuck = True
        connect(source, stuck)
        connect(source, free)
        putter = waiting(source.put, "a")

        assert putter.get(timeout=1) is True
        settle()
        assert (["a"], []) == (free.sent, stuck.sent)
        second = waiting(source.put, "b")
        assert not second.ready()
        stuck.unstick()
        assert second.get(timeout=1) is True
        settle()
        assert (["a", "b"], ["a", "b"]) == (free.sent, stuck.sent)

    @pytest.mark.parity("TOP-12")
    def test_a_sink_connected_later_sees_what_comes_from_then_on(self):
        """Earlier messages are gone."""
        source, early, late = Stream(), Stream(9), Stream(9)
        connect(source, early)
        source.put_all([1, 2])
        settle()
        connect(source, late)
        source.put_all([3, 4])
        source.close()

        assert [1, 2, 3, 4] == list(early)
        assert [3, 4] == list(late)

    @pytest.mark.parity("TOP-09")
    @pytest.mark.parametrize("is_first", [True, False])
    def test_queues_get_a_message_before_what_may_block(self, is_first):
        """Whichever was connected first, and though the other blocks for ever."""
        source, sink, seen = Stream(5), Stream(5), []

        def fn(message):
            seen.append((message, sink.qsize()))

        if is_first:
            consume(source, fn)
        connect(source, sink)
        if not is_first:
            consume(source, fn)
        source.put_all("ab")
        settle()

        assert [("a", 1), ("b", 2)] == seen

    @pytest.mark.parity("TOP-13")
    def test_a_duplex_stream_connected_to_itself_echoes(self):
        """What arrives is sent back, until the peer ends."""
        wire = Wire("a", "b")
        echoing = connect(wire, wire)
        settle()
        wire.arrive("c")
        settle()

        assert ["a", "b", "c"] == wire.sent
        wire.end()
        assert echoing.get(timeout=1) is True
        assert wire.closed

    @pytest.mark.parity("STR-64", "TOP-14")
    def test_a_thousand_connected_streams_work(self):
        """Neither messages nor ends need a stack as deep as the chain."""
        streams = [Stream() for _ in range(1000)]
        moved = [connect(a, b) for a, b in itertools.pairwise(streams)]
        gevent.spawn(lambda: streams[0].put_all(range(3)) and streams[0].close())

        assert [0, 1, 2] == waiting(list, streams[-1]).get(timeout=10)
        assert [True] * 999 == [each.get(timeout=1) for each in moved]

    def test_a_thousand_streams_close_from_the_far_end(self):
        """The last sink's close runs up the chain."""
        streams = [Stream() for _ in range(1000)]
        for a, b in itertools.pairwise(streams):
            connect(a, b)
        closed = gevent.event.Event()
        streams[0].on_closed(closed.set)
        streams[-1].close()

        assert closed.wait(10)

    def test_a_thousand_streams_with_a_message_in_each_close_from_the_far_end(self):
        """Refusing what waits in one after the other needs no deep stack either."""
        streams = [Stream() for _ in range(1000)]
        for a, b in itertools.pairwise(streams):
            connect(a, b)
        # From the far end on, so that each message stays in the next stream's line.
        for stream in reversed(streams[:-1]):
            assert stream.try_put("a", 0)
        refused = waiting(streams[0].put_all, "bc")
        in_line = sum(stream.description()["pending_puts"] for stream in streams)
        streams[-1]._abandon()

        assert in_line == 1000
        assert refused.get(timeout=10) is False
        assert streams[0].closed

    def test_a_long_supply_lets_others_run(self):
        """Moving a hundred thousand messages that are all there does not starve a timer."""
        ticks = []

        def tick():
            while len(ticks) < 1000:
                gevent.sleep(0.001)
                ticks.append(1)

        ticker = gevent.spawn(tick)
        consume(range(100_000), lambda _: None).get(timeout=30)
        ticker.kill()

        assert len(ticks) > 3


class TestEndOfTheSource:
    @pytest.mark.parity("TOP-02")
    def test_closes_the_sink(self):
        """By default, once everything has arrived."""
        source, sink = Stream(3), Stream(3)
        moved = connect(source, sink)
        source.put_all("ab")
        source.close()

        assert moved.get(timeout=1) is True
        assert sink.closed
        assert ["a", "b"] == list(sink)

    def test_leaves_the_sink_open_when_told(self):
        """With ``downstream=False`` neither an end nor a failure reaches it."""
        sink = Stream(3)
        ended, failed = Stream(), Stream()
        moved = [connect(source, sink, downstream=False) for source in (ended, failed)]
        ended.close()
        failed.fail(ValueError("cut"))

        assert moved[0].get(timeout=1) is True
        with pytest.raises(ValueError, match="cut"):
            moved[1].get(timeout=1)
        assert not sink.closed

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_a_failure_fails_the_sinks_and_the_deferred(self, make):
        """Behind the last message, so that nobody takes a part for the whole."""
        source, sinks = make(), [Stream(3), Stream(3)]
        moved = [connect(source, sink) for sink in sinks]
        error = ValueError("cut")
        if make is Wire:
            source.arrive("a")
            source.end(error)
        else:
            assert source.put("a")
            source.fail(error)
        for each in moved:
            with pytest.raises(ValueError, match="cut"):
                each.get(timeout=1)

        for sink in sinks:
            assert "a" == sink.take()
            with pytest.raises(ValueError, match="cut"):
                sink.take()

    def test_a_failure_reaches_the_end_of_a_chain(self):
        """From connection to connection to connection."""
        first, middle, last = Stream(), Stream(), Wire()
        moved = [connect(first, middle), connect(middle, last)]
        error = ValueError("cut")
        first.fail(error)
        settle()

        assert error is last.failed_with
        assert [error, error] == [each.exception for each in moved]

    def test_a_source_that_has_ended_ends_the_link_at_once(self):
        """Connecting a drained or a failed source is no special case."""
        drained, failed, sink = Stream(), Stream(), Stream()
        drained.close()
        failed.fail(ValueError("cut"))

        assert connect(drained, sink, downstream=False).get(timeout=1) is True
        with pytest.raises(ValueError, match="cut"):
            connect(failed, sink).get(timeout=1)


class TestEndOfASink:
    @pytest.mark.parity("TOP-06", "TOP-07")
    def test_the_last_one_s_end_closes_the_source(self):
        """At once, not with the next message; other sinks keep the source open."""
        source, one, other = Stream(), Stream(), Stream()
        moved = [connect(source, one), connect(source, other)]
        one.close()

        assert moved[0].get(timeout=1) is True
        assert not source.closed
        other.close()
        assert moved[1].get(timeout=1) is True
        assert source.closed

    @pytest.mark.parity("TOP-03")
    def test_closes_the_source_at_once_when_told(self):
        """With ``upstream=True`` the source goes with this sink; by default it does not."""
        for upstream in ({}, {"upstream": False}, {"upstream": True}):
            source, one, other = Stream(), Stream(), Stream()
            moved = [connect(source, one, **upstream), connect(source, other)]
            one.close()

            assert moved[0].get(timeout=1) is True
            assert upstream.get("upstream", False) is source.closed
            assert source.closed or not moved[1].ready()
        assert moved[1].get(timeout=1) is True
        assert other.closed

    def test_a_permanent_source_stays_open(self):
        """Nothing connected can end it."""
        source, sink = Stream(permanent=True), Stream()
        moved = connect(source, sink, upstream=True)
        sink.close()

        assert moved.get(timeout=1) is True
        assert not source.closed

    def test_a_refused_message_stays_in_the_source(self):
        """With nobody else to go to, it can still be taken."""
        source, sink = Wire("a"), Stream()
        moved = connect(source, sink)
        sink.close()
        settle()

        assert moved.get(timeout=1) is True
        assert source.closed
        assert "a" == source.take()

    def test_a_message_in_line_in_a_closed_sink_is_delivered(self):
        """What waits there stays takeable, as with any put."""
        source, sink = Stream(3), Stream()
        moved = connect(source, sink)
        source.put("a")
        settle()
        sink.close()
        settle()

        assert "a" == sink.take()
        assert moved.get(timeout=1) is True

    def test_connecting_to_a_closed_sink_ends_at_once(self):
        """And closes the source, which has nobody else."""
        source, sink = Stream(), Stream()
        sink.close()

        assert connect(source, sink).get(timeout=1) is True
        assert source.closed

    @pytest.mark.parity("TOP-10")
    @pytest.mark.parametrize("failing", [raising, late, asked, asked_before_a_sink], ids=named)
    def test_a_put_that_fails_takes_the_sink_off(self, failing):
        """At once, or with the deferred it waits for; the others go on."""
        source, good, outcome = Stream(5), Stream(5), Deferred()
        outcome.on_realized(str, str)
        sink, broken = failing(source, outcome)
        fine = connect(source, good)
        source.put_all([1, 2])
        settle()

        assert failing is raising or not broken.ready()
        outcome.error(ConnectionResetError("peer"))
        settle()
        assert isinstance(broken.exception, ConnectionResetError)
        assert [good] == [goal for _, goal in source.downstream()]
        if sink is not None:
            assert sink.closed
            assert 0 == sink.link_count
        source.close()
        assert fine.get(timeout=1) is True
        assert [1, 2] == list(good)

    @pytest.mark.parity("TOP-10")
    @pytest.mark.parametrize("failing", [raising, late, asked], ids=named)
    def test_a_put_that_fails_is_logged_if_nobody_asks(self, failing):
        """Whoever has connected and looks away finds it in the log of errors nobody has seen."""
        with dropped_errors() as dropped:
            outcome = Deferred()
            source = Stream(5)
            failing(source, outcome)
            source.put(1)
            settle()
            outcome.on_realized(str, str)
            outcome.error(ConnectionResetError("peer"))
            settle()
            # The frames that its error has passed hold the connection.
            del outcome
            gc.collect()

        assert ["peer"] == [str(each) for each in dropped]

    def test_a_metric_that_raises_takes_the_sink_off(self):
        """It fails, its deferred too, and the others go on."""
        source, good = Stream(5), Stream(5)
        bad = Stream(5, metric=lambda message: 1 / message)
        broken, fine = connect(source, bad), connect(source, good)
        source.put_all([1, 0, 2])
        source.close()

        with pytest.raises(ZeroDivisionError):
            broken.get(timeout=1)
        assert fine.get(timeout=1) is True
        assert [1, 0, 2] == list(good)
        assert 1 == bad.take()
        with pytest.raises(ZeroDivisionError):
            bad.take()

    def test_a_connection_that_is_lost_closes_its_only_source(self):
        """The source of a sink whose put raises has nobody left to feed."""

        class Broken(Wire):
            def _transmit(self, message):
                raise ConnectionResetError("peer")

        source, sink = Stream(1), Broken()
        moved = connect(source, sink)
        source.put("a")

        with pytest.raises(ConnectionResetError):
            moved.get(timeout=1)
        assert source.closed
        assert isinstance(sink.failed_with, ConnectionResetError)


class TestTimeout:
    @pytest.mark.parity("TOP-04")
    @pytest.mark.parametrize("downstream", [True, False])
    def test_takes_a_sink_off_that_is_too_slow(self, clock, downstream):
        """It is closed, unless told otherwise, and the others go on."""
        source, slow, good = Stream(5), Stream(), Stream(5)
        late = connect(source, slow, timeout=2.0, downstream=downstream)
        fine = connect(source, good)
        source.put_all("ab")
        settle()
        clock.advance(1.9)
        settle()

        assert not late.ready()
        clock.advance(0.2)
        settle()
        source.close()
        with pytest.raises(TimedOut):
            late.get(timeout=1)
        assert fine.get(timeout=1) is True
        assert ["a", "b"] == list(good)
        assert downstream is slow.closed
        assert 0 == slow.description()["pending_puts"]

    @pytest.mark.parity("TOP-06")
    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_closes_the_source_with_the_last_sink(self, clock, make):
        """The message that was too late stays in the source."""
        source, slow = Stream(5), make()
        slow.is_stuck = True
        late = connect(source, slow, timeout=2.0)
        source.put("a")
        settle()
        clock.advance(2)

        with pytest.raises(TimedOut):
            late.get(timeout=1)
        assert source.closed
        assert ["a"] == list(source)

    def test_a_sink_that_is_quick_enough_stays(self, clock):
        """The limit is for each message anew."""
        source, sink = Stream(), Stream()
        moved = connect(source, sink, timeout=2.0)
        putter = waiting(source.put_all, range(4))
        for n in range(4):
            clock.advance(1.5)
            assert n == sink.take()
            settle()

        assert putter.get(timeout=1) is True
        assert not moved.ready()

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_must_be_above_zero(self, timeout):
        """A ValueError names it before anything is connected."""
        source = Stream()

        with pytest.raises(ValueError, match="timeout"):
            connect(source, Stream(), timeout=timeout)
        assert 0 == source.link_count


class TestErrorsNobodySaw:
    def test_one_that_went_on_into_the_sink(self):
        """Is seen by whoever takes from that, so the connections on the way report nothing."""
        seen = []

        def broken(_):
            raise ValueError("broken")

        def metric(_):
            raise ValueError("no number")

        with dropped_errors() as dropped:
            for last in (Stream(), Stream(transform=iter), Stream(5, metric=metric)):
                first, middle = Stream(), Stream()
                connect(first, middle)
                connect(middle, sink_only(last))
                first.put_async(1)
                first.fail(ValueError("cut"))
                with pytest.raises(ValueError, match=r"cut|no number") as caught:
                    while True:
                        last.take()
                seen.append(str(caught.value))
            last = Stream()
            connect_via([1], broken, last)
            with pytest.raises(ValueError, match="broken"):
                last.take()
            arrival = Deferred()
            failed = Stream()
            connect(failed, arrival)
            failed.fail(ValueError("cut"))
            with pytest.raises(ValueError, match="cut"):
                arrival.get(timeout=1)

        assert ["cut", "cut", "no number"] == seen
        assert [] == dropped

    def test_one_that_goes_nowhere(self):
        """Is reported: where the sink stays open, cannot tell, does not hear, or is a function."""
        closed = Stream()
        closed.close()

        def broken(_):
            raise ValueError("cut")

        with dropped_errors() as dropped:
            for use in (
                lambda source: drain_into(source, Stream()),
                lambda source: connect(source, Stream(permanent=True)),
                lambda source: connect(source, gevent.queue.Queue()),
                lambda source: consume(source, bool),
                lambda source: connect_via(source, bool, Stream(), downstream=False),
            ):
                source = Stream()
                use(source)
                source.fail(ValueError("cut"))
                settle()
            consume([1], broken)
            settle()

        assert ["cut"] * 6 == [str(error) for error in dropped]


class TestDisconnecting:
    def test_cancelling_leaves_both_open(self):
        """And the message that was under way goes back."""
        source, sink = Stream(5), Stream()
        moved = connect(source, sink)
        source.put_all("ab")
        settle()
        assert moved.cancel()
        settle()

        assert (0, 0) == (source.link_count, sink.link_count)
        assert not source.closed
        assert not sink.closed
        assert 0 == sink.description()["pending_puts"]
        assert ["a", "b"] == [source.take(), source.take()]

    def test_cancelling_frees_the_greenlet_that_reads_a_connection(self):
        """The pump of a connection without links is not left in its read."""
        wire, sink = Wire(), Stream(5)
        moved = connect(wire, sink)
        settle()
        moved.cancel()
        settle()
        wire.arrive("a")

        assert "a" == wire.take()

    def test_a_stream_can_be_connected_again(self):
        """What was disconnected goes on where it was."""
        source, first, second = Stream(5), Stream(), Stream(5)
        source.put_all("ab")
        connect(source, first).cancel()
        settle()
        connect(source, second)
        source.close()

        assert ["a", "b"] == list(second)


class TestConsume:
    @pytest.mark.parity("STR-35")
    def test_calls_the_function_for_every_message(self):
        """One after the other, however long it takes; the deferred is True at the end."""
        source, seen = Stream(5), []
        done = consume(source, yielding(seen.append))
        source.put_all(range(4))

        assert not done.ready()
        source.close()
        assert done.get(timeout=1) is True
        assert list(range(4)) == seen

    def test_an_exception_ends_it_and_closes_the_source(self):
        """The deferred fails with it, and the function is not called again."""
        source, seen = Stream(5), []

        def fn(message):
            seen.append(message)
            raise ValueError("no")

        done = consume(source, fn)
        source.put_all("ab")
        with pytest.raises(ValueError, match="no"):
            done.get(timeout=1)

        assert ["a"] == seen
        assert source.closed

    @pytest.mark.parametrize("count", [1, 2])
    @pytest.mark.parametrize(
        ("thrown", "told"), [(gevent.Timeout, TimedOut), (gevent.GreenletExit, Cancelled)]
    )
    def test_a_timeout_of_the_function_s_own_ends_it(self, thrown, told, count):
        """What would pass through a caller's greenlet fails the deferred, in galeph's words."""

        def fn(_):
            raise thrown

        source = Stream(5)
        done = [consume(source, fn) for _ in range(count)]
        source.put("a")
        settle()

        for each in done:
            assert isinstance(each.exception, told)
            assert isinstance(each.exception.__cause__, thrown)
        assert source.closed

    def test_systemexit_ends_it_and_goes_on(self):
        """As in any greenlet: it reaches the main greenlet, and nobody is left waiting."""
        source = Stream(5)
        done = consume(source, lambda _: sys.exit(3))
        source.put("a")
        with pytest.raises(SystemExit, match="3"):
            settle()

        assert isinstance(done.exception, Cancelled)
        assert source.closed

    def test_functions_of_operators_run_in_the_context_of_what_is_connected(self):
        """Also beside others: each branch has its own."""
        variable = contextvars.ContextVar("variable", default="none")
        source, seen = Stream(5), []
        mapped = [source.map(lambda n: (n, variable.get())) for _ in range(2)]
        for name, branch in zip("ab", mapped, strict=True):
            variable.set(name)
            consume(branch, seen.append)
        variable.set("later")
        source.put(1)
        settle()

        assert [(1, "a"), (1, "b")] == sorted(seen)

    def test_runs_in_the_context_it_was_called_in(self):
        """A context variable has the value it had at `consume`."""
        variable = contextvars.ContextVar("variable", default="none")
        seen = []
        source = Stream(5)
        variable.set("at the call")
        done = consume(source, lambda _: seen.append(variable.get()))
        variable.set("later")
        source.put("a")
        source.close()
        done.get(timeout=1)

        assert ["at the call"] == seen

    def test_refuses_what_cannot_be_called(self):
        """A TypeError names the argument before anything is connected."""
        source = Stream()

        with pytest.raises(TypeError, match="fn"):
            consume(source, "fn")
        assert 0 == source.link_count


class TestConsumeAsync:
    @pytest.mark.parity("STR-36")
    def test_waits_for_what_the_function_returns(self):
        """It is called again only when that has arrived; True at the end."""
        source, seen, arrivals = Stream(5), [], []

        def fn(message):
            seen.append(message)
            arrivals.append(Deferred())
            return arrivals[-1]

        done = consume_async(source, fn)
        source.put_all("ab")
        settle()

        assert ["a"] == seen
        arrivals[0].success(True)
        settle()
        assert ["a", "b"] == seen
        source.close()
        settle()
        assert not done.ready()
        arrivals[1].success(True)
        assert done.get(timeout=1) is True

    @pytest.mark.parity("STR-36")
    @pytest.mark.parametrize("no", [lambda: False, lambda: success(False)], ids=["now", "later"])
    def test_false_stops_it(self, no):
        """The deferred is True; that message is dealt with, the others stay in the source."""
        source, seen = Stream(5), []

        def fn(message):
            seen.append(message)
            return no() if message == "b" else None

        done = consume_async(source, fn)
        source.put_all("abcd")

        assert done.get(timeout=1) is True
        settle()
        assert ["a", "b"] == seen
        assert source.closed
        assert ["c", "d"] == list(source)

    def test_other_consumers_go_on(self):
        """The source is not closed while something else is connected."""
        source, seen = Stream(5), []
        done, other = consume_async(source, lambda _: False), consume(source, seen.append)
        source.put_all("ab")
        assert done.get(timeout=1) is True
        settle()

        assert not source.closed
        source.close()
        assert other.get(timeout=1) is True
        assert ["a", "b"] == seen

    @pytest.mark.parametrize("fail", [lambda: 1 / 0, lambda: error(ZeroDivisionError())])
    def test_an_exception_ends_it(self, fail):
        """Raised, or arriving."""
        source = Stream(5)
        done = consume_async(source, lambda _: fail())
        source.put("a")

        with pytest.raises(ZeroDivisionError):
            done.get(timeout=1)
        settle()
        assert source.closed

    def test_refuses_what_cannot_be_called(self):
        """A TypeError names the argument."""
        with pytest.raises(TypeError, match="fn"):
            consume_async(Stream(), "fn")


class TestConnectVia:
    @pytest.mark.parity("STR-37")
    def test_the_function_passes_on_what_it_likes(self):
        """Nothing, one message, or several; the end of the source closes the sink."""
        sink = Stream(20)

        def fn(n):
            return sink.put_all([n] * n)

        moved = connect_via([0, 1, 2], fn, sink)

        assert moved.get(timeout=1) is True
        assert [1, 2, 2] == list(sink)

    @pytest.mark.parity("STR-37")
    @pytest.mark.parametrize("blocks", [True, False], ids=["blocking", "deferred"])
    def test_the_function_holds_the_source_back(self, blocks):
        """By blocking, or by a deferred that has not arrived."""
        source, sink, seen = Stream(5), Stream(), []

        def fn(message):
            seen.append(message)
            return sink.put(message) if blocks else sink.put_async(message)

        connect_via(source, fn, sink)
        source.put_all("abc")
        settle()

        assert (["a"], 2) == (seen, source.qsize())
        assert "a" == sink.take()
        settle()
        assert (["a", "b"], 1) == (seen, source.qsize())
        source.close()
        assert ["b", "c"] == list(sink)

    @pytest.mark.parity("STR-37")
    @pytest.mark.parametrize("no", [lambda: False, lambda: success(False)], ids=["now", "later"])
    def test_false_severs_the_connection(self, no):
        """The message it was said of stays in the source; the sink stays open."""
        source, sink = Stream(5), Stream(5)
        moved = connect_via(
            source, lambda message: no() if message == "b" else sink.put(message), sink
        )
        source.put_all("abc")

        assert moved.get(timeout=1) is True
        settle()
        assert source.closed
        assert ["b", "c"] == list(source)
        assert not sink.closed
        assert "a" == sink.take()
        assert (0, 0) == (source.link_count, sink.link_count)

    @pytest.mark.parity("STR-37")
    def test_leaves_the_sink_open_when_told(self):
        """With ``downstream=False`` no end reaches it, no failure, and not the function's error."""
        sink = Stream(5)
        ended, failed, broken = Stream(5), Stream(5), Stream(5)
        moved = [
            connect_via(source, fn, sink, downstream=False)
            for source, fn in [(ended, sink.put), (failed, sink.put), (broken, lambda _: 1 / 0)]
        ]
        ended.close()
        failed.fail(ValueError("cut"))
        broken.put("a")

        assert moved[0].get(timeout=1) is True
        with pytest.raises(ValueError, match="cut"):
            moved[1].get(timeout=1)
        with pytest.raises(ZeroDivisionError):
            moved[2].get(timeout=1)
        settle()
        assert not sink.closed
        assert broken.closed

    def test_an_exception_of_the_function_fails_the_sink(self):
        """And ends the connection; the source, which has nobody else, is closed."""
        source, sink = Stream(5), Stream(5)
        moved = connect_via(source, lambda _: 1 / 0, sink)
        source.put("a")

        with pytest.raises(ZeroDivisionError):
            moved.get(timeout=1)
        with pytest.raises(ZeroDivisionError):
            sink.take()
        settle()
        assert source.closed

    def test_a_failure_of_the_source_fails_the_sink(self):
        """Behind the last message."""
        source, sink = Stream(5), Stream(5)
        moved = connect_via(source, sink.put, sink)
        source.put("a")
        source.fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            moved.get(timeout=1)
        assert "a" == sink.take()
        with pytest.raises(ValueError, match="cut"):
            sink.take()

    def test_the_end_of_the_sink_ends_it_at_once(self):
        """No message has to come first; with ``upstream`` the source goes though it has others."""
        for upstream in (False, True):
            source, sink = Stream(5), Stream(5)
            moved = connect_via(source, sink.put, sink, upstream=upstream)
            connect(source, Stream(5))
            sink.close()

            assert moved.get(timeout=1) is True
            settle()
            assert upstream is source.closed

    def test_the_end_of_the_sink_while_the_function_runs_ends_it(self):
        """Though the function says nothing of it, and no further message comes."""
        source, sink, gate = Stream(5), Stream(), gevent.event.Event()
        moved = connect_via(source, lambda _: gate.wait() and None, sink)
        source.put("a")
        settle()
        sink.close()
        settle()
        assert not moved.ready()
        gate.set()

        assert moved.get(timeout=1) is True

    def test_a_function_that_takes_too_long_is_interrupted(self, clock):
        """The sink is closed, and the message stays in the source."""
        source, sink = Stream(5), Stream()
        moved = connect_via(source, sink.put, sink, timeout=2.0)
        source.put("a")
        settle()
        clock.advance(2)

        with pytest.raises(TimedOut):
            moved.get(timeout=1)
        settle()
        assert (True, True) == (source.closed, sink.closed)
        assert ["a"] == list(source)
        assert [] == list(sink)

    def test_cancelling_leaves_both_open(self):
        """The streams know nothing of each other any more."""
        source, sink = Stream(5), Stream(5)
        connect_via(source, sink.put, sink).cancel()
        source.put("a")
        settle()

        assert (0, 0) == (source.link_count, sink.link_count)
        assert (False, False) == (source.closed, sink.closed)
        assert "a" == source.take()

    def test_sinks_are_coerced_and_spliced(self):
        """The sink may be a splice; it is closed on the right side."""
        there = Stream(5)
        both = splice(there, Stream())
        moved = connect_via(["a"], both.put, both)

        assert moved.get(timeout=1) is True
        assert ["a"] == list(there)

    def test_wrong_arguments_are_named(self):
        """Before anything is connected."""
        source, sink = Stream(), Stream()
        with pytest.raises(TypeError, match="fn"):
            connect_via(source, "fn", sink)
        with pytest.raises(TypeError, match="int"):
            connect_via(source, print, 5)
        with pytest.raises(ValueError, match="timeout"):
            connect_via(source, print, sink, timeout=0)

        assert (0, 0) == (source.link_count, sink.link_count)


class TestDrainInto:
    @pytest.mark.parity("STR-38")
    def test_moves_everything_and_leaves_the_sink_open(self):
        """True when the source is drained."""
        source, sink = Stream(5), Stream(9)
        moved = drain_into(source, sink)
        source.put_all("ab")
        settle()
        assert not moved.ready()
        source.close()

        assert moved.get(timeout=1) is True
        assert not sink.closed
        assert ["a", "b"] == [sink.take(), sink.take()]
        assert drain_into(["cd"], sink).get(timeout=1) is True
        assert not sink.closed

    @pytest.mark.parity("STR-38")
    def test_ends_with_the_sink(self):
        """True when that is closed; what it refused stays in the source."""
        source, sink = Stream(5), Stream()
        moved = drain_into(source, sink)
        source.put_all("ab")
        settle()
        sink.close()

        assert "a" == sink.take()
        assert moved.get(timeout=1) is True
        settle()
        assert source.closed
        assert ["b"] == list(source)

    def test_fails_with_the_source(self):
        """And the sink, which is to stay open, is not told."""
        source, sink = Stream(), Stream(1)
        moved = drain_into(source, sink)
        source.fail(ValueError("cut"))

        with pytest.raises(ValueError, match="cut"):
            moved.get(timeout=1)
        assert sink.put("a") is True


class TestGarbage:
    @pytest.mark.parity("TOP-21")
    def test_an_idle_pair_is_collected(self):
        """Connected, used, and dropped: nothing holds it."""
        source, sink = Stream(), Stream(5)
        connect(source, sink)
        source.put("a")
        settle()
        watched = weakref.ref(source), weakref.ref(sink)
        del source, sink
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())

    @pytest.mark.attack(298)
    @pytest.mark.parity("TOP-21")
    def test_an_idle_cycle_is_collected(self):
        """Also one that feeds itself."""
        source, sink = Stream(), Stream()
        connect(source, sink)
        connect(sink, source)
        watched = weakref.ref(source)
        settle()
        del source, sink
        gc.collect()

        assert watched() is None

    @pytest.mark.attack(298)
    def test_one_abandoned_with_a_message_in_a_full_sink_is_collected_too(self):
        """Waiting for a queue takes no greenlet, so nothing is left that could hold it."""
        source, sink = Stream(5), Stream()
        connect(source, sink)
        source.put_all("ab")
        settle()
        watched = weakref.ref(source), weakref.ref(sink)
        del source, sink
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())

    @pytest.mark.attack(298)
    def test_a_thousand_abandoned_are_collected(self):
        """In a row, with a message in it that nobody takes at its end."""
        streams = [Stream() for _ in range(1000)]
        for a, b in itertools.pairwise(streams):
            connect(a, b)
        streams[0].put("a")
        # Until it is at the end, and nobody looks for another.
        threads.settle()
        assert 1 == streams[-1].description()["pending_puts"]
        watched = [weakref.ref(stream) for stream in streams]
        del streams, a, b
        gc.collect()

        assert [None] * 1000 == [each() for each in watched]

    @pytest.mark.parity("TOP-21")
    def test_an_operator_nobody_holds_does_not_hold_its_source_up(self):
        """Dropped without being connected it is collected, and the source's messages go on."""
        source, sink = Stream(5), Stream(5)
        watched = weakref.ref(source.map(str))
        connect(source, sink)
        gc.collect()
        source.put("a")
        settle()

        assert watched() is None
        assert "a" == sink.take()
        assert 1 == len(source.downstream())

    @pytest.mark.parity("TOP-21")
    def test_a_whole_graph_is_collected(self):
        """Operators, functions and several sinks in it, everybody having dropped it."""
        source, sink = Stream(5), Stream(9)
        mapped = source.map(str)
        connect(mapped, sink)
        connect_via(mapped.filter(len), sink.put, sink)
        consume(mapped, lambda _: None)
        source.put_all("ab")
        settle()
        watched = [weakref.ref(stream) for stream in (source, sink, mapped)]
        del source, sink, mapped
        gc.collect()

        assert [None] * 3 == [each() for each in watched]

    def test_the_upstream_does_not_hold_a_finished_sink(self):
        """A sink that is closed is off the source's list at once."""
        source, sink, other = Stream(), Stream(), Stream()
        connect(source, other)
        connect(source, sink)
        sink.close()
        settle()
        watched = weakref.ref(sink)
        del sink
        gc.collect()

        assert watched() is None
        assert 1 == source.link_count
