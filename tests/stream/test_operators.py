"""Operators: fused chains, what happens when a stream inside one is used itself, and ends."""

from __future__ import annotations

import gc
import traceback
import weakref
from itertools import count

import gevent
import pytest

from galeph import stream as streams
from galeph.deferred import Deferred
from galeph.errors import Cancelled, Deadlock
from galeph.stream import Stream, connect, consume
from galeph.stream.boxed import Pool
from galeph.stream.operators import Reservoir
from galeph.stream.queue_stream import _EMPTY
from galeph.stream.steps import AS_IT_IS
from tests.deferred import threads
from tests.stream.scenes import feed, interruptions, outcome, settle, victim, waiting
from tests.stream.wires import Wire, yielding


def halves(n):
    return n / 2


def is_odd(n):
    return n % 2


class TestOneChain:
    def test_operators_are_functions_too(self):
        """They take the source last, and coerce it."""
        assert [0, 2, 4] == list(streams.map(lambda n: n * 2, range(3)))
        assert [1, 3] == list(streams.filter(is_odd, [1, 2, 3]))

    def test_the_taker_fetches_for_himself(self):
        """In a single chain the functions run in the greenlet that takes; nobody reads ahead."""
        wire = Wire(1, 2)
        ran_in = []
        mapped = wire.map(lambda n: ran_in.append(gevent.getcurrent()) or n).map(str)

        assert "1" == mapped.take()
        assert [gevent.getcurrent()] == ran_in
        assert [2] == list(wire.arrived)

    @pytest.mark.parametrize("use", ["take", "connect"])
    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_map_filter_map_is_one_greenlet_and_no_queue(self, make, use):
        """All three functions run in it for every message, and nothing ever lies between them."""
        source, sink, ran_in = make(), Stream(9), []

        def here(n):
            ran_in.append(gevent.getcurrent())
            return n

        operators = [source.map(here)]
        operators.append(operators[-1].filter(lambda n: here(n) % 2))
        operators.append(operators[-1].map(here))
        if use == "connect":
            connect(operators[-1], sink)
        for n in range(6):
            source.arrive(n) if make is Wire else source.put_async(n)
        end = operators[-1] if use == "take" else sink

        assert [1, 3, 5] == [end.take() for _ in range(3)]
        assert 6 + 6 + 3 == len(ran_in)
        assert 1 == len(set(ran_in))
        assert use == "connect" or gevent.getcurrent() is ran_in[0]
        for each in operators:
            box = each.box
            assert {id(_EMPTY)} == {id(box._messages), id(box._takers), id(box._putters)}
        source.close()
        settle()

    @pytest.mark.parametrize("use", ["take", "connect"])
    def test_the_traceback_of_an_error_shows_the_function(self, use):
        """However far down it is taken, and each time it is."""

        def halve(n):
            return 1 / n

        end = streams.source([0]).map(halve).filter(is_odd)
        if use == "connect":
            sink = Stream()
            connect(end, sink).on_realized(bool, bool)
            end = sink.map(str)
        depths = set()
        for _ in range(10):
            with pytest.raises(ZeroDivisionError) as caught:
                end.take()
            frames = traceback.extract_tb(caught.value.__traceback__)
            depths.add(len(frames))
            assert "halve" == frames[-1].name

        assert 1 == len(depths)

    def test_an_error_that_was_taken_keeps_no_graph_alive(self):
        """When nobody holds the error, the operators, and what is in its frames, can go."""

        class Message:
            pass

        def broken(message):
            raise ValueError(message is None)

        message = Message()
        dead = weakref.ref(message)
        end = streams.source([message]).map(broken)
        graph = weakref.ref(end)
        with pytest.raises(ValueError, match="False"):
            end.take()
        del end, message
        gc.collect()

        assert dead() is None
        assert graph() is None

    @pytest.mark.parity("STR-64")
    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_a_chain_of_a_thousand_needs_no_deep_stack(self, make):
        """Taken from and connected."""
        for use in ("take", "connect"):
            source = make()
            end = source
            for _ in range(1000):
                end = end.map(lambda n: n + 1)
            if make is Wire:
                for n in range(3):
                    source.arrive(n)
                source.end()
            else:
                feed(source, 0, 1, 2)
            if use == "take":
                assert [1000, 1001, 1002] == list(end)
            else:
                got = []
                assert consume(end, got.append).get(timeout=5) is True
                assert [1000, 1001, 1002] == got

    def test_closing_the_end_of_a_thousand_closes_the_source(self):
        """Upwards it needs no stack either."""
        source = Stream()
        end = source
        for _ in range(1000):
            end = end.map(str)
        end.close()

        assert source.closed

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_a_dropped_chain_of_10_000_is_gone_soon(self, make):
        """One goes after the other, and none has to tell all that are left."""
        source = make()
        above = end = source.map(str)
        for _ in range(10_000):
            end = end.map(str)
        watched = weakref.ref(above)
        del above, end
        for _ in range(20_000):
            gevent.sleep(0)
            if watched() is None:
                break

        assert watched() is None
        assert 0 == source.link_count

    def test_functions_may_block(self):
        """Taken from or connected, in a chain or beside another."""
        source, seen = Stream(), []
        slow = source.map(yielding(halves)).filter(yielding(lambda n: n > 1))
        consume(slow, seen.append)
        feed(source, 2, 4, 6)
        settle()

        assert [2.0, 3.0] == seen

    def test_several_takers_each_get_their_own(self):
        """Concurrent takes on one operator are served in their order."""
        for make in (Stream, Wire):
            source = make()
            mapped = source.map(halves)
            takers = [waiting(mapped.take) for _ in range(3)]
            for n in (2, 4, 6):
                if make is Wire:
                    source.arrive(n)
                else:
                    assert source.put(n)
                settle()

            assert [1, 2, 3] == [taker.get(timeout=1) for taker in takers]

    def test_a_limit_eats_nothing(self, clock):
        """A take that has expired leaves the message to the next."""
        source = Stream(1)
        mapped = source.map(halves)
        expired = waiting(mapped.try_take, 1, "end", "late")
        clock.advance(1)

        assert "late" == expired.get(timeout=1)
        assert "late" == mapped.try_take(0, "end", "late")
        source.put(2)
        assert 1 == mapped.try_take(0, "end", "late")
        source.close()
        assert "end" == mapped.try_take(0, "end", "late")

    def test_take_async_holds_the_next_message(self):
        """It counts on the source while it is pending, and can be cancelled."""
        wire = Wire()
        mapped = wire.map(halves)
        taken = mapped.take_async()
        settle()

        assert 1 == wire.link_count
        wire.arrive(2)
        assert 1 == taken.get(timeout=1)
        cancelled = mapped.take_async()
        settle()
        cancelled.cancel()
        settle()
        wire.arrive(4)
        assert 2 == mapped.take()
        assert 0 == wire.link_count
        wire.end()
        assert "end" == mapped.take_async("end").get(timeout=1)

    def test_a_cancelled_take_async_leaves_its_message_first(self):
        """Although something is connected at once."""
        source, sink = Stream(9), Stream(9)
        mapped = source.map(halves)
        taken = mapped.take_async()
        settle()
        source.put_all([0, 2, 4])
        assert taken.cancel()
        connect(mapped, sink)
        settle()

        assert [0, 1, 2] == [sink.try_take(0) for _ in range(3)]

    def test_an_interrupted_take_loses_nothing(self):
        """Thrown at after any switch, also inside the function, the rest comes whole."""

        def scene():
            nonlocal taken
            source, taken = Stream(), []
            mapped = source.map(yielding(lambda n: n)).filter(yielding(lambda _: True))

            def take():
                for _ in range(3):
                    taken.append(mapped.take())

            def supply():
                producer = gevent.spawn(source.put_all, range(5))
                settle()
                while len(taken) < 5:
                    taken.append(mapped.try_take(1))
                producer.join(1)

            return victim(take), supply

        taken = []
        for way in interruptions(scene):
            assert list(range(5)) == taken, way


class TestBranches:
    @pytest.mark.parity("STR-63")
    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_every_operator_on_a_source_sees_every_message(self, make):
        """Whether somebody takes from it already or not."""
        source = make()
        branches = [source.map(lambda n, by=by: n * by) for by in (1, 10, 100)]
        if make is Wire:
            for n in range(5):
                source.arrive(n)
            source.end()
        else:
            feed(source, *range(5))
        readers = [gevent.spawn(list, branch) for branch in branches]

        assert [[n * by for n in range(5)] for by in (1, 10, 100)] == [
            reader.get(timeout=1) for reader in readers
        ]

    def test_taking_from_the_second_first_does_not_block(self):
        """The message lies ready in the other."""
        source = Stream()
        first, second = source.map(halves), source.map(str)
        feed(source, 2, 4)

        assert ("2", 1) == (second.take(), first.take())
        assert (2, "4") == (first.take(), second.take())
        assert ("end", "end") == (second.take("end"), first.take("end"))

    def test_functions_of_two_operators_do_not_wait_for_each_other(self):
        """One that blocks holds up only its own branch, until the next message."""
        source, gate, seen = Stream(5), gevent.event.Event(), []
        done = [
            consume(source.map(lambda n: gate.wait() and n), seen.append),
            consume(source.map(str), seen.append),
        ]
        source.put_all([1, 2])
        source.close()
        settle()

        assert ["1"] == seen
        gate.set()
        assert [True, True] == [each.get(timeout=1) for each in done]
        assert {1, "1", 2, "2"} == set(seen)

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_an_operator_inside_a_chain_can_be_used_itself(self, make):
        """Mapped again or connected, it gives every message to both."""
        source = make()
        calls = []
        middle = source.map(lambda n: calls.append(n) or n * 2)
        end = middle.map(str)
        sink = Stream(9)
        connect(middle, sink)
        if make is Wire:
            source.arrive(1)
            source.arrive(2)
            source.end()
        else:
            feed(source, 1, 2)

        assert ["2", "4"] == list(end)
        assert [2, 4] == list(sink)
        assert [1, 2] == calls

    def test_a_branch_that_comes_while_a_take_is_blocked_sees_the_message(self):
        """The chain was single when the take began, and is not when the message comes."""
        for make in (Stream, Wire):
            source = make()
            first = source.map(lambda n: n * 2)
            taker = waiting(first.take)
            second = source.map(str)
            if make is Wire:
                source.arrive(1)
            else:
                waiting(source.put, 1)

            assert 2 == taker.get(timeout=1)
            assert "1" == second.take()

    def test_a_sink_that_comes_while_a_take_is_blocked_leaves_it_its_message(self):
        """The take was there first; the sink gets the next."""
        source, sink = Stream(5), Stream(5)
        mapped = source.map(halves)
        taker = waiting(mapped.take)
        connect(mapped, sink)
        settle()
        source.put_all([2, 4])

        assert 1 == taker.get(timeout=1)
        assert 2 == sink.take()

    def test_what_lay_in_an_operator_goes_to_what_is_connected_to_it(self):
        """A message already there is not overtaken and not left behind."""
        source = Stream(9)
        first, second = source.map(lambda n: n), source.map(lambda n: n)
        source.put_all(range(3))
        assert 0 == second.take()
        sink = Stream(9)
        connect(first, sink)
        settle()

        assert 0 == sink.take()
        assert [1, 2] == [second.take(), second.take()]
        assert [1, 2] == [sink.take(), sink.take()]

    def test_what_was_given_back_goes_to_an_operator_made_of_it(self):
        """It is carried on from where it lies."""
        source = Stream(9)
        mapped = source.map(lambda n: n * 2)
        mapped._give_back(10)
        end = mapped.map(str)
        feed(source, 1)

        assert ["10", "2"] == list(end)

    def test_an_operator_nobody_holds_does_not_hold_up_the_others(self):
        """Dropped unused, or with a message lying in it."""
        source, sink = Stream(9), Stream(9)
        unused = source.map(str)
        used = source.map(str)
        source.put(1)
        assert "1" == used.take()
        connect(source, sink)
        source.put_all([2, 3])
        settle()

        assert [] == [sink.take() for _ in range(sink.qsize())]
        del unused, used
        settle()
        assert [2, 3] == [sink.take() for _ in range(2)]
        assert 1 == source.link_count

    def test_an_operator_with_something_connected_needs_no_other_holder(self):
        """The chain lives while the link does."""
        source, seen = Stream(9), []
        consume(source.map(str).map(len), seen.append)
        gc.collect()
        source.put_all([1, 22])
        settle()

        assert [1, 2] == seen


class TestEnds:
    def test_closing_an_operator_closes_its_source_if_it_was_the_last(self):
        """Others keep the source open."""
        source = Stream()
        first, second = source.map(str), source.map(str)
        taker = waiting(first.take, "end")
        first.close()

        assert "end" == taker.get(timeout=1)
        assert not source.closed
        first.close()
        assert not source.closed
        second.close()
        assert source.closed

    def test_closing_it_wakes_a_take_that_reads_a_connection(self):
        """A blocked take on the operator ends with its default."""
        wire = Wire()
        mapped = wire.map(str)
        taker = waiting(mapped.take, "end")
        mapped.close()

        assert "end" == taker.get(timeout=1)
        assert wire.closed

    def test_a_sink_that_closes_closes_the_whole_chain(self):
        """Upwards through the operators to the source."""
        source, sink = Stream(), Stream()
        moved = connect(source.map(str).map(str), sink)
        sink.close()

        assert moved.get(timeout=1) is True
        assert source.closed

    @pytest.mark.parametrize("make", [Stream, Wire])
    def test_the_source_s_failure_comes_out_behind_the_messages(self, make):
        """Of every operator below."""
        source = make()
        ends = [source.map(str).map(str), source.map(str)]
        if make is Wire:
            source.arrive(1)
            source.end(ValueError("cut"))
        else:
            gevent.spawn(lambda: source.put(1) and source.fail(ValueError("cut")))
        readers = [outcome(lambda end=end: (end.take(), end.take())) for end in ends]

        for end, reader in zip(ends, readers, strict=True):
            assert "cut" == str(reader.get(timeout=1))
            assert not end.drained
            assert "cut" == str(end.error)

    @pytest.mark.parity("STR-62")
    @pytest.mark.parametrize("use", ["take", "connect", "branch"])
    def test_an_exception_fails_the_output_and_closes_the_source(self, use):
        """What came before it is delivered, and a waiting put is not left waiting for ever."""
        source = Stream()
        failing = source.map(lambda n: 10 // n)
        end = failing.map(str)
        other = source.map(str) if use == "branch" else None
        putter = waiting(lambda: [source.put(n) for n in (5, 0, 2)])
        if use == "connect":
            sink = Stream(9)
            moved = connect(end, sink)
            settle()
            assert isinstance(moved.exception, ZeroDivisionError)
            end = sink
        if other is not None:
            waiting(lambda: list(other))

        assert "2" == end.take()
        with pytest.raises(ZeroDivisionError):
            end.take()
        assert source.closed
        if other is None:
            assert [True, True, False] == putter.get(timeout=1)
        else:
            assert ([True, True], True) == (putter.get(timeout=1)[:2], True)

    def test_on_drained_is_called_at_the_end(self):
        """After the last message was taken."""
        source, calls = Stream(), []
        mapped = source.map(str)
        mapped.on_drained(lambda: calls.append("drained"))
        feed(source, 1)

        assert "1" == mapped.take()
        settle()
        assert [] == calls
        assert "end" == mapped.take("end")
        settle()
        assert ["drained"] == calls

    def test_connecting_an_operator_that_has_ended_conveys_what_is_left(self):
        """Its messages, then its end."""
        source, sink = Stream(), Stream(9)
        mapped = source.map(str)
        feed(source, 1)
        assert ["1"] == list(mapped)
        mapped._give_back("1")

        assert not mapped.drained
        assert connect(mapped, sink).get(timeout=1) is True
        assert ["1"] == list(sink)
        assert mapped.drained

    def test_a_killed_runner_fails_what_it_moved(self):
        """If somebody kills galeph's own greenlet inside a function, nobody waits for ever."""
        source, inside = Stream(5), []

        def fn(_):
            inside.append(gevent.getcurrent())
            gevent.sleep(60)

        mapped = source.map(fn)
        done = consume(mapped, lambda _: None)
        source.put(1)
        settle()
        gevent.get_hub().loop.run_callback(inside[0].throw, gevent.GreenletExit)
        settle()

        assert isinstance(done.exception, Cancelled)
        assert source.closed

    @pytest.mark.parametrize("make", [Stream, Wire])
    @pytest.mark.parametrize("links", [1, 2])
    def test_closing_it_ends_what_is_connected_to_it(self, make, links):
        """Behind what is on its way, in order."""
        source = make(9) if make is Stream else Wire(1, 2, 3)
        mapped, sinks = source.map(str), [Stream() for _ in range(links)]
        moved = [connect(mapped.map(lambda m: m), sink) for sink in sinks]
        if make is Stream:
            source.put_all([1, 2, 3])
        settle()
        mapped.close()
        readers = [waiting(list, sink) for sink in sinks]

        assert source.closed
        assert [["1"]] * links == [reader.get(timeout=1) for reader in readers]
        assert [True] * links == [each.get(timeout=1) for each in moved]

    def test_closing_it_below_a_fork_leaves_the_others_alone(self):
        """They go on, and so does the source."""
        source, seen = Stream(9), []
        closed, other = source.map(str), source.map(str)
        done = [consume(closed, lambda _: None), consume(other, seen.append)]
        source.put(1)
        settle()
        closed.close()
        source.put(2)
        settle()

        assert [True, False] == [each.ready() for each in done]
        assert ["1", "2"] == seen
        source.close()

    def test_closing_it_inside_a_function_below_ends_it(self):
        """The message that is just there is the last."""
        source, seen = Stream(9), []
        mapped = source.map(str)
        done = consume(mapped, lambda message: seen.append(message) or mapped.close())
        source.put_all([1, 2, 3])

        assert done.get(timeout=1) is True
        assert ["1"] == seen
        assert source.closed

    def test_closing_it_and_what_is_below_it_at_once_frees_the_others(self):
        """What is on its way lies in it then, and the source goes on without it."""
        pending, source, seen, sink = Deferred(), Stream(9), [], Stream()
        middle = source.map(lambda n: pending if n == 0 else n).realize_each()
        below = middle.map(lambda n: n)
        done = [consume(below, lambda _: None), connect(middle, sink)]
        consume(source, seen.append)
        source.put_all(range(3))
        settle()
        sink.close()
        settle()
        pending.success("late")
        middle.close()
        below.close()
        settle()

        assert [0, 1, 2] == seen
        assert [True, True] == [each.get(timeout=1) for each in done]
        source.close()

    def test_closing_an_endless_series_stops_it(self):
        """Also when it waits untaken beside another operator."""
        source, seen = Stream(9), []
        endless, other = source.mapcat(lambda _: count()), source.map(str)
        taker = waiting(consume(other, seen.append).get)
        source.put_all([1, 2])
        assert 0 == endless.take()
        settle()
        endless.close()
        settle()

        assert ["1", "2"] == seen
        assert [1] == list(endless)
        source.close()
        taker.join(1)

    def test_an_operator_of_one_that_has_ended_has_ended(self):
        """What is left there comes first."""
        source = Stream(9)
        mapped = source.map(str)
        feed(source, 1)
        assert ["1"] == list(mapped)

        assert [] == list(mapped.map(len))
        mapped._give_back("back")
        assert [4] == list(mapped.map(len))

    def test_operators_of_a_splice_see_what_is_connected_to_it(self):
        """They are operators of its source."""
        inner, seen, lengths = Stream(9), [], []
        spliced = streams.splice(Stream(), inner)
        consume(spliced, seen.append)
        consume(spliced.map(len), lengths.append)
        inner.put_all(["a", "bb"])
        settle()

        assert (["a", "bb"], [1, 2]) == (seen, lengths)

    def test_what_fails_closes_its_source_for_others_too(self):
        """In the middle of a series: they get no more than they have got."""
        source, sink = Stream(9), Stream(9)
        series = source.mapcat(lambda _: [1, 0, 2, 3])
        gate = Stream()
        failing = series.map(lambda n: gate.take() and 1 / n)
        done = consume(failing, lambda _: None)
        source.put("go")
        settle()
        moved = connect(series, sink)
        gate.put_all([True, True])
        settle()

        assert isinstance(done.exception, ZeroDivisionError)
        assert moved.get(timeout=1) is True
        assert [0] == list(sink)
        assert source.closed


class TestReservoir:
    def test_takes_in_by_itself(self):
        """What its box accepts, through its stage."""
        source = Stream(9)
        filled = Reservoir(source, AS_IT_IS, "filled", Pool(2))
        source.put_all(range(5))
        settle()

        assert (2, 2) == (source.qsize(), filled.box.qsize())
        assert list(range(5)) == [filled.take() for _ in range(5)]

    def test_shows_what_it_holds(self):
        """In its description, beside its name."""
        source = Stream(9)
        filled = Reservoir(source, AS_IT_IS, "filled", Pool(2))
        source.put(1)
        settle()
        facts = filled.description()

        assert ("filled", 1, 2) == (facts["type"], facts["buffer_size"], facts["buffer_capacity"])

    def test_takes_of_all_kinds_come_from_its_box(self):
        """Also later ones."""
        source = Stream(9)
        filled = Reservoir(source, AS_IT_IS, "filled", Pool(2))
        taken = filled.take_async("end")
        source.put(1)
        source.close()

        assert 1 == taken.get(timeout=1)
        assert "end" == filled.take("end")


class TestGarbage:
    @pytest.mark.parametrize("used", [False, True])
    def test_an_abandoned_chain_is_collected(self, used):
        """Unused, or at rest after use."""
        source = Stream(5)
        mapped = source.map(str).filter(len)
        if used:
            source.put(1)
            assert "1" == mapped.take()
        watched = weakref.ref(source), weakref.ref(mapped)
        del source, mapped
        settle()
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())

    def test_an_abandoned_fork_with_a_message_in_it_is_collected(self):
        """A message waiting in an operator holds nothing."""
        source = Stream(5)
        first, second = source.map(str), source.map(str)
        source.put_all([1, 2])
        assert "1" == first.take()
        watched = weakref.ref(source), weakref.ref(second)
        settle()
        del source, first, second
        settle()
        gc.collect()

        assert (None, None) == (watched[0](), watched[1]())

    def test_an_operator_does_not_count_as_a_link_until_something_is_connected(self):
        """A handler that only maps has connected nothing."""
        wire = Wire()
        mapped = wire.map(str)

        assert 0 == wire.link_count
        sink = Stream()
        connect(mapped, sink)
        assert 1 == wire.link_count
        sink.close()
        settle()
        assert 0 == wire.link_count


def test_a_deadlock_that_a_function_has_raised_stays_what_it_says():
    """It is not taken for one of the take that gets it."""

    def work():
        other = Stream()

        def put(message):
            other.put(message)

        source = Stream()
        source.put_async(1)
        return source.map(put).take()

    # In a thread, for a hub that has nothing else to do.
    error = threads.run(work)

    assert isinstance(error, Deadlock)
    assert "nobody can take from" in str(error)
