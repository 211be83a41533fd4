"""docs/concepts.md tells the truth: its programs run, and its table of ends holds line by line."""

from __future__ import annotations

import gc
import re

import gevent
import pytest

from galeph import bus, deferred, stream
from galeph.errors import Cancelled, ResourceBusy, TimedOut
from galeph.testing import ManualClock
from tests import documents
from tests.integration.programs import PATCHES, ROOT
from tests.stream.scenes import kill_served, outcome, settle, waiting

_KILLS = [gevent.GreenletExit, gevent.Timeout]
_TOLD = [(gevent.GreenletExit, Cancelled), (gevent.Timeout, TimedOut)]


def sections():
    """The programs of each section, which go on from one another."""
    return [
        programs
        for section in re.split(r"(?m)^## ", documents.text("concepts.md"))
        if (programs := documents.fenced(section, "python"))
    ]


@PATCHES
def test_programs(patch, tmp_path):
    """Every one runs, unpatched and patched, and nothing is logged."""
    assert ("done\n", "") == documents.run(sections(), tmp_path, patch)
    assert [14, 9, 1, 1] == [len(programs) for programs in sections()]


def test_every_program_asserts():
    """One that only runs would show nothing."""
    silent = [
        each
        for programs in sections()
        for each in programs
        if "assert " not in each and "except " not in each and "def " not in each
    ]

    assert [] == silent


def test_links():
    """Every file it names is there."""
    targets = re.findall(r"\]\(([^)#]+)\)", documents.text("concepts.md"))

    assert 2 <= len(targets)
    assert [] == [each for each in targets if not (ROOT / "docs" / each).exists()]


def test_every_line_of_the_table_has_its_test():
    """They bear its number, and there is none without a line."""
    lines = re.findall(r"^\| (\d+) \|", documents.text("concepts.md"), re.MULTILINE)
    tests = [match[1] for name in dir(TestEnds) if (match := re.match(r"test_(\d+)_", name))]

    assert list(range(1, len(lines) + 1)) == [int(each) for each in lines]
    assert sorted(lines) == sorted(tests)


def fail_with(error):
    """A function that raises ``error``."""

    def fail(*_):
        raise error

    return fail


def held(*messages):
    """A stream that has stored some messages."""
    made = stream.Stream(8)
    made.put_all(messages)
    return made


def throw(greenlet, exception):
    """Interrupt a greenlet where it waits, and let it end."""
    gevent.get_hub().loop.run_callback(greenlet.throw, exception)
    settle()


def broken():
    """A stream that raises a ZeroDivisionError when it is put into."""
    return stream.Stream(8, metric=lambda _: 1 // 0)


def never(_):
    gevent.event.Event().wait()


# For each operator, and some chains: one whose take waits, and what its source of 1, 2 and 3 has
# after that take was killed, and the operator closed or dropped.
HELD = {
    "map": (lambda s: s.map(never), [1, 2, 3]),
    "filter": (lambda s: s.filter(never), [1, 2, 3]),
    "throttle": (lambda s: s.throttle(1e-3, max_backlog=1).filter(lambda n: n > 1), [2, 3]),
    "realize_each": (lambda s: s.map(late).realize_each(), [1, 2, 3]),
    "reductions": (lambda s: s.reductions(late, initial=0).filter(bool), [1, 2, 3]),
    "partition_by": (lambda s: s.partition_by(str).filter(lambda part: None), [2, 3]),
    "batch": (lambda s: s.batch(9), [1, 2, 3]),
    "batch behind a map": (lambda s: s.map(str).batch(9), [1, 2, 3]),
    "batch before a map": (lambda s: s.batch(2).map(never), [1, 2, 3]),
    "batch before a mapcat": (lambda s: s.batch(2).mapcat(never), [1, 2, 3]),
    "zip": (lambda s: stream.zip(s, stream.Stream()), [1, 2, 3]),
    "zip before a map": (lambda s: stream.zip(s, held(0)).map(never), [1, 2, 3]),
    "mapcat": (lambda s: s.mapcat(never), [1, 2, 3]),
    "mapcat before a map": (lambda s: s.mapcat(lambda n: [n, n]).map(never), [1, 2, 3]),
    "mapcat that was begun": (lambda s: s.mapcat(lambda n: [0, 1]).filter(never_after(1)), [2, 3]),
    "mapcat of streams": (lambda s: s.mapcat(lambda n: stream.Stream()), [1, 2, 3]),
    "mapcat of streams behind a map": (
        lambda s: s.map(str).mapcat(lambda n: stream.Stream()).map(str),
        [1, 2, 3],
    ),
    "mapcat of streams that was begun": (
        lambda s: s.mapcat(held).filter(never_after(1)),
        [2, 3],
    ),
    "mapcat of streams that wait": (
        lambda s: s.mapcat(lambda n: held(n).map(never)),
        [1, 2, 3],
    ),
    "transform": (lambda s: s.transform(lambda messages: [sum(messages)]), []),
    "buffer": (lambda s: s.buffer(9).map(never), []),
}


def late(*_):
    return deferred.Deferred()


def never_after(count):
    """A function that says False so many times, and then waits."""
    calls = iter(range(count))
    return lambda _: next(calls, None) is None and never(_)


def collect_garbage():
    for _ in range(4):
        gc.collect()
        settle()


class TestEnds:
    @pytest.fixture
    def error(self):
        return ValueError("cut")

    def test_1_a_stream_is_closed(self):
        """Putters are refused, what waits stays, takers see the end behind it."""
        s = stream.Stream()
        waits = s.put_async("waits")
        s.close()

        assert s.put("late") is False
        assert (False, False) == (waits.ready(), s.drained)
        assert "waits" == s.take()
        assert waits.get() is True
        assert "end" == s.take(default="end")
        assert s.drained

    def test_2_a_stream_fails(self, error):
        """The same for who puts; who takes gets the error, again and again."""
        s = stream.Stream()
        waits = s.put_async("waits")
        s.fail(error)

        assert s.put("late") is False
        assert ["waits", error, error] == [outcome(s.take).value for _ in range(3)]
        assert waits.get() is True
        assert not s.drained

    def test_3_the_source_is_closed(self):
        """The sink is closed behind the messages."""
        source, sink = held(1, 2), stream.Stream(8)
        done = stream.connect(source, sink)
        source.close()

        assert done.get() is True
        assert [1, 2] == list(sink)

    def test_4_the_source_is_closed_without_downstream(self):
        """The sink stays open."""
        source, sink = held(1), stream.Stream(8)
        done = stream.connect(source, sink, downstream=False)
        source.close()

        assert done.get() is True
        assert not sink.closed

    def test_5_the_source_fails(self, error):
        """So do the sink, behind the messages, and the deferred; or the deferred only."""
        source, sink, stays = held(1), stream.Stream(8), stream.Stream(8)
        done = stream.connect(source, sink)
        also = stream.connect(source, stays, downstream=False)
        source.fail(error)
        settle()

        assert [1, error] == [outcome(sink.take).value for _ in range(2)]
        assert (error, error) == (done.exception, also.exception)
        assert not stays.closed

    def test_6_the_last_sink_is_closed(self):
        """So is the source, and nothing is lost on either side."""
        source, sink = held(1, 2, 3), stream.Stream()
        done = stream.connect(source, sink)
        settle()
        sink.close()
        settle()
        assert not source.closed
        assert [1] == list(sink)
        settle()

        assert source.closed
        assert done.get() is True
        assert [2, 3] == list(source)

        idle, sink = stream.Stream(8), stream.Stream()
        stream.connect(idle, sink)
        sink.close()
        settle()
        assert idle.closed

    def test_7_a_sink_is_closed(self):
        """The others go on."""
        source, sink, other = stream.Stream(8), stream.Stream(8), stream.Stream(8)
        done = stream.connect(source, sink)
        stream.connect(source, other)
        sink.close()
        settle()

        assert done.get() is True
        assert source.put(1)
        assert 1 == other.take()

    def test_8_a_sink_is_closed_with_upstream(self):
        """The source goes with it, and the others behind the messages."""
        source, sink, other = held(), stream.Stream(8), stream.Stream(8)
        done = stream.connect(source, sink, upstream=True)
        also = stream.connect(source, other)
        source.put(1)
        settle()
        sink.close()
        settle()

        assert source.closed
        assert [1] == list(other)
        assert [True, True] == [done.get(), also.get()]

    def test_9_a_put_raises(self):
        """The sink and the deferred fail; the source is closed only after its last sink."""
        source, bad, other = held(1), broken(), stream.Stream(8)
        done = stream.connect(source, bad)
        stream.connect(source, other)
        lone = held(1)
        last = stream.connect(lone, broken())
        settle()

        assert isinstance(done.exception, ZeroDivisionError)
        assert done.exception is bad.error
        assert 1 == other.take()
        assert not source.closed
        assert isinstance(last.exception, ZeroDivisionError)
        assert lone.closed

    @pytest.mark.parametrize("downstream", [True, False])
    def test_10_a_sink_accepts_nothing(self, downstream):
        """It is taken off, and the message stays in the source."""
        source, sink = held(1), stream.Stream()
        with ManualClock() as clock:
            done = stream.connect(source, sink, timeout=5, downstream=downstream)
            settle()
            clock.advance(5)
            settle()

        assert isinstance(done.exception, TimedOut)
        assert source.closed
        assert downstream is sink.closed
        assert [1] == list(source)

    def test_11_the_deferred_is_cancelled(self):
        """Both stay open, and the message goes back."""
        source, sink = held(1), stream.Stream()
        done = stream.connect(source, sink)
        settle()
        done.cancel()
        settle()

        assert isinstance(done.exception, Cancelled)
        assert (False, False) == (source.closed, sink.closed)
        assert 1 == source.take()

    def test_12_an_operator_s_function_raises(self):
        """The output fails behind what went before."""
        source = held(1, 0)
        output = source.map(lambda n: 1 // n)

        assert 1 == output.take()
        assert isinstance(outcome(output.take).value, ZeroDivisionError)
        assert source.closed

    def test_13_an_operator_s_source_fails(self, error):
        """The output fails behind the messages."""
        source = held(1)
        output = source.map(str)
        source.fail(error)

        assert ["1", error] == [outcome(output.take).value for _ in range(2)]

    def test_14_an_operator_s_output_is_closed(self):
        """The source is closed with the last one only."""
        source = stream.Stream(8)
        first, last = source.map(str), source.map(str)
        first.close()
        settle()
        assert not source.closed
        last.close()
        settle()

        assert source.closed
        assert "end" == last.take(default="end")

        gate, source = gevent.event.Event(), held(1, 2)
        output = source.map(lambda n: gate.wait() and n)
        taker = waiting(output.take, "end")
        output.close()
        assert [1, 2] == list(source)
        gate.set()
        assert "end" == taker.get(timeout=1)

        source = held(1, 2)
        output = source.batch(1)
        kill_served(output, [waiting(output.box.take)])
        output.root().kick()
        settle()
        output.close()
        assert [[1]] == list(output)
        assert [2] == list(source)

    def test_15_a_generator_returns_early(self):
        """The output ends, and the source with it."""
        source = held(1, 2)

        def one(messages):
            yield next(messages)

        assert [1] == list(source.transform(one))
        settle()
        assert source.closed

    def test_16_a_generator_s_source_fails(self, error):
        """It does not flush: the output fails."""
        source, flushed = held(1), []

        def all_at_once(messages):
            yield list(messages)
            flushed.append(True)

        output = source.transform(all_at_once)
        source.fail(error)

        assert error is outcome(output.take).value
        assert [] == flushed

    def test_17_a_consumer_raises(self, error):
        """It gets no more."""
        source = held(1, 2)
        done = stream.consume(source, fail_with(error))
        settle()

        assert error is done.exception
        assert source.closed
        assert 2 == source.take()

    def test_18_a_consumer_says_false(self):
        """That is no failure."""
        source = held(1, 2)
        done = stream.consume_async(source, lambda _: deferred.success(False))

        assert done.get() is True
        assert source.closed
        assert 2 == source.take()

    def test_19_a_callback_raises(self, error):
        """Whoever takes from the sink is told."""
        source, sink = held(1), stream.Stream(8)
        done = stream.connect_via(source, fail_with(error), sink)
        settle()

        assert error is done.exception
        assert error is outcome(sink.take).value
        assert source.closed

    def test_20_a_splice_is_closed(self):
        """Both of its halves are."""
        sink, source = held(1), held(2)
        stream.splice(sink, source).close()

        assert [1] == list(sink)
        assert source.closed

    def test_21_a_splice_fails(self, error):
        """The far side is told; the near one sees an end."""
        sink, source = stream.Stream(8), held(2)
        splice = stream.splice(sink, source)
        splice.fail(error)

        assert error is outcome(sink.take).value
        assert [2] == list(splice)
        assert source.closed

    def test_22_a_splice_s_source_fails(self, error):
        """Who takes is told, and puts go on."""
        sink, source = stream.Stream(8), stream.Stream(8)
        splice = stream.splice(sink, source)
        source.fail(error)

        assert error is outcome(splice.take).value
        assert splice.put(1)
        assert 1 == sink.take()

    def test_23_a_subscription_is_closed(self):
        """Its publishers go on, and what was buffered can be taken."""
        events = bus.EventBus()
        mine = events.subscribe("topic", buffer=1)
        events.publish("topic", 1)
        waits = events.publish_async("topic", 2)
        settle()
        assert not waits.ready()
        mine.close()

        assert waits.get(timeout=1) is True
        assert events.publish("topic", 3) is False
        assert [1] == list(mine)

    def test_24_a_subscriber_is_too_slow(self):
        """It fails behind what it has; the others get every message."""
        events = bus.EventBus()
        slow = events.subscribe("topic", buffer=1, policy="disconnect")
        other = events.subscribe("topic", buffer=8)
        assert [True, True] == [events.publish("topic", n) for n in (1, 2)]

        assert 1 == slow.take()
        assert isinstance(outcome(slow.take).value, ResourceBusy)
        assert [1, 2] == [other.take(), other.take()]

    @pytest.mark.parametrize("exception", _KILLS)
    def test_25_a_take_is_killed(self, exception):
        """Whether it waits or the message is on its way already."""
        s = stream.Stream()
        early, late = waiting(caught, s.take), waiting(caught, s.take)
        throw(early, exception())
        gevent.get_hub().loop.run_callback(late.throw, exception())
        put = s.put_async(1)
        settle()

        assert 1 == s.take()
        assert put.get() is True
        assert [exception, exception] == [early.value, late.value]

    @pytest.mark.parametrize("exception", _KILLS)
    def test_26_a_put_is_killed(self, exception):
        """Before its message is accepted, and after."""
        s = stream.Stream()
        withdrawn = waiting(caught, s.put, 1)
        throw(withdrawn, exception())
        assert s.try_take(0, timeout_value="none") == "none"
        accepted = waiting(caught, s.put, 2)
        gevent.get_hub().loop.run_callback(accepted.throw, exception())

        assert 2 == s.take()
        settle()
        assert [exception, exception] == [withdrawn.value, accepted.value]

    @pytest.mark.parametrize("exception", _KILLS)
    def test_27_a_take_is_killed_inside_a_function(self, exception):
        """The message is not lost: the function gets it again."""
        source, called, gate = held(1), [], gevent.event.Event()

        def slow(message):
            called.append(message)
            gate.wait()
            return message

        output = source.map(slow)
        throw(waiting(caught, output.take), exception())
        gate.set()

        assert 1 == output.take()
        assert [1, 1] == called
        assert not source.closed

        gate.clear()
        source.put_async(2)
        throw(waiting(caught, output.take), exception())
        output.close()

        assert [2] == list(source)

    @pytest.mark.parametrize(("exception", "told"), _TOLD)
    def test_28_a_take_is_killed_inside_a_generator(self, exception, told):
        """What it would still have given is lost, and that is said."""
        source = held(1)

        def slow(message):
            gevent.event.Event().wait()
            yield message

        output = source.mapcat(slow)
        throw(waiting(caught, output.take), exception())

        assert isinstance(outcome(output.take).value, told)
        assert source.closed

    @pytest.mark.parametrize("exception", _KILLS)
    def test_29_who_waits_for_a_deferred_is_killed(self, exception):
        """The work goes on."""
        gate = gevent.event.Event()
        work = deferred.future(gate.wait)
        throw(waiting(caught, work.get), exception())
        assert not work.ready()
        gate.set()

        assert work.get() is True

    @pytest.mark.parametrize(("exception", "told"), _TOLD)
    def test_30_who_computes_a_deferred_is_killed(self, exception, told):
        """Nobody waits for ever."""
        work = deferred.future(fail_with(exception()))

        assert isinstance(outcome(work.get).value, told)
        assert isinstance(work.exception.__cause__, exception)


class TestHeld:
    @pytest.mark.parametrize("end", ["close", "drop"])
    @pytest.mark.parametrize("name", HELD)
    @pytest.mark.parametrize("exception", _KILLS)
    def test_a_take_is_killed_inside_an_operator(self, name, end, exception):
        """What nobody has got is the source's next, or is dropped, as the table says."""
        operator, left = HELD[name]
        source = held(1, 2, 3)
        output = [operator(source)]
        throw(waiting(caught, output[0].take), exception())
        if end == "close":
            output[0].close()
        output.clear()
        collect_garbage()
        source.close()

        assert left == list(source)

    @pytest.mark.parametrize("end", ["close", "drop"])
    def test_concat(self, end):
        """The stream it is at is closed with it, stays open if it is dropped, and has all again."""
        source = held(1, 2, 3)
        output = [stream.concat(stream.source([source])).map(never)]
        throw(waiting(caught, output[0].take), gevent.GreenletExit())
        if end == "close":
            output[0].close()
        output.clear()
        collect_garbage()

        assert source.closed is (end == "close")
        assert [1, 2, 3] == [source.take() for _ in range(3)]

    def test_each_operator_of_the_table_has_its_test(self):
        """And there is none that it leaves out."""
        table = documents.text("concepts.md").split("| operator | what becomes of it |")[1]
        lines = re.findall(r"^\| (`.*?) \| ", table.split("\n\n")[0], re.MULTILINE)
        named = {name for line in lines for name in re.findall(r"`(\w+)`", line)}

        assert {name.split()[0] for name in HELD} | {"concat"} == named


def caught(fn, *args):
    """Call ``fn``; return what it returns, or the type of what interrupts it."""
    try:
        return fn(*args)
    except (gevent.GreenletExit, gevent.Timeout) as interruption:
        return type(interruption)
