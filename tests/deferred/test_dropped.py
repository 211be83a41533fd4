"""Errors that nobody saw: what counts as seen, and when the line is written."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import textwrap

import gevent
import pytest
from gevent.event import Event

from galeph import deferred
from galeph.deferred import Deferred
from galeph.deferred._dropped import _KEPT, DROPPED, Witness, report_soon
from tests.deferred.threads import settle


@pytest.fixture
def taken(galeph_unseen_errors):
    """The errors dropped so far, as lines; they do not fail the test."""
    return lambda: [text.strip().splitlines()[-1] for text in galeph_unseen_errors()]


def look_at_exception(d):
    return d.exception


def get(d):
    try:
        d.get()
    except ValueError:
        pass


class TestSeen:
    @pytest.mark.parity("DEF-60")
    def test_dropped(self, taken):
        """An error that nobody looked at is kept when the deferred dies."""
        deferred.error(ValueError("lost"))

        assert ["ValueError: lost"] == taken()
        assert [] == taken()

    @pytest.mark.parity("DEF-09", "DEF-61")
    @pytest.mark.parametrize(
        "look", [get, look_at_exception, lambda d: d.exc_info, lambda d: d.wait()]
    )
    def test_looking(self, look, taken):
        """Getting the error and looking at it count as seeing it."""
        look(deferred.error(ValueError()))

        assert [] == taken()

    @pytest.mark.parity("DEF-61")
    @pytest.mark.parametrize(
        "hang",
        [
            lambda d: d.rawlink(id),
            lambda d: d.on_realized(id, id),
            lambda d: d.link(id),
            lambda d: d.catch(id),
            lambda d: deferred.to_deferred(d).catch(id),
            lambda d: deferred.zip(d, d).catch(id),
            lambda d: deferred.alt(d).catch(id),
        ],
    )
    def test_hanging(self, hang, taken):
        """Hanging something on counts as seeing the error, before it is there or after."""
        before, after = Deferred(), deferred.error(ValueError())
        hang(before)
        before.error(ValueError())
        hang(after)
        settle()
        del before, after

        assert [] == taken()

    def test_cancelled(self, taken):
        """Cancelled is no news: neither for whoever cancelled nor down the chain."""
        source = Deferred()
        source.chain(id)
        source.cancel()
        killed = deferred.future(gevent.sleep, 10)
        killed.cancel()
        settle()
        del source, killed

        assert [] == taken()

    def test_what_does_not_count(self, taken):
        """ready, successful, value and repr do not see the error."""
        d = deferred.error(ValueError("lost"))
        repr(d)
        d.ready()
        d.successful()
        d.cancelled()
        assert d.value is None
        del d

        assert ["ValueError: lost"] == taken()

    def test_only_the_last_of_a_chain(self, taken):
        """An error that went through stages is reported by the last deferred only."""
        deferred.error(ValueError("lost")).chain(id).chain(id).finally_(int)
        settle()

        assert ["ValueError: lost"] == taken()

    def test_others_of_a_zip(self, taken):
        """Of several errors in a zip the first is the outcome; the others are not reported."""
        pending = [Deferred() for _ in range(3)]
        joined = deferred.zip(*pending, deferred.success(1))
        for d in pending:
            d.error(ValueError())
        get(joined)
        get(deferred.zip(*[deferred.error(ValueError()) for _ in range(3)]))
        del pending, d, joined

        assert [] == taken()

    def test_those_that_came_too_late(self, taken):
        """What fails behind the outcome of an alt or a zip was not waited for any more: it is not
        reported, be it that it fails now or was already decided against."""
        late = [Deferred() for _ in range(3)]
        first = deferred.alt(late[0], deferred.success(1))
        second = deferred.zip(late[1], deferred.error(ValueError()))
        third = deferred.alt(deferred.success(1), late[2])
        settle()
        for d in late:
            d.error(ValueError("late"))
        get(first), get(second), get(third)
        settle()
        del late, d

        assert [] == taken()

    def test_a_cycle_with_its_frame(self, taken):
        """An `except` that hands its error over makes a cycle; a collection finds it."""

        def work():
            d = Deferred()
            try:
                raise ValueError("lost")
            except ValueError as error:
                d.error(error)

        work()

        assert ["ValueError: lost"] == taken()

    @pytest.mark.parity("DEF-62")
    def test_switched_off(self, taken):
        """Switched off, nothing is kept."""
        assert deferred.detect_dropped_errors(enabled=False) is True
        try:
            deferred.error(ValueError("lost"))
            assert deferred.detect_dropped_errors(enabled=False) is False
        finally:
            deferred.detect_dropped_errors(enabled=True)

        assert [] == taken()


class TestCounting:
    @pytest.mark.parity("DEF-62")
    def test_what_the_block_drops(self, caplog, taken):
        """The list holds what was dropped in the block, in cycles too; nothing of it is logged."""
        deferred.error(ValueError("before"))
        with deferred.dropped_errors() as dropped:
            deferred.error(ValueError("lost"))
            cycle = [deferred.error(KeyError("in a cycle"))]
            cycle.append(cycle)
            del cycle
            deferred.error(ValueError("seen")).exception  # noqa: B018
            # Makes the runner report what there is.
            deferred.deferred()
            settle()
        deferred.report_dropped()

        assert {"lost", "in a cycle"} == {error.args[0] for error in dropped}
        assert ["before"] == [str(record.exc_info[1]) for record in caplog.records]
        assert ["ValueError: before"] == taken()

    @pytest.mark.parity("DEF-62")
    def test_nothing(self):
        """If nothing was dropped the list is empty."""
        with deferred.dropped_errors() as dropped:
            get(deferred.error(ValueError()))

        assert [] == dropped

    @pytest.mark.parity("DEF-62")
    def test_switched_off_outside(self):
        """Inside detection is on, and afterwards as it was."""
        deferred.detect_dropped_errors(enabled=False)
        try:
            with deferred.dropped_errors() as dropped:
                deferred.error(ValueError("lost"))
            assert deferred.detect_dropped_errors(enabled=True) is False
        finally:
            deferred.detect_dropped_errors(enabled=True)

        assert 1 == len(dropped)

    def test_block_that_raises(self):
        """What the block raises goes through, and the next errors are logged again."""
        with pytest.raises(KeyError), deferred.dropped_errors() as dropped:
            deferred.error(ValueError("lost"))
            raise KeyError

        assert ["lost"] == [str(error) for error in dropped]
        with deferred.dropped_errors() as dropped:
            pass
        assert [] == dropped

    @pytest.mark.parity("DEF-62")
    def test_does_not_nest(self):
        """Inside of another one it is a RuntimeError."""
        with deferred.dropped_errors() as dropped:
            deferred.error(ValueError("lost"))
            with (
                pytest.raises(RuntimeError, match="inside of another"),
                deferred.dropped_errors(),
            ):
                pytest.fail("it was entered")

        assert 1 == len(dropped)

    @pytest.mark.parity("DEF-63")
    def test_expecting_some(self):
        """A test that expects a number of them counts, and is not failed by them afterwards."""
        with deferred.dropped_errors() as dropped:
            for n in range(3):
                deferred.error(ValueError(n))

        assert 3 == len(dropped)


class TestReporting:
    @pytest.fixture(autouse=True)
    def clean(self, galeph_unseen_errors):
        yield
        galeph_unseen_errors()

    @pytest.mark.attack(298)
    def test_each_of_a_thousand_is_logged_once(self, caplog):
        """An error that went through a chain is its last deferred's, and told once."""
        for number in range(1000):
            deferred.error(ValueError(number)).chain(id).finally_(int)
        settle()
        gc.collect()

        with caplog.at_level(logging.ERROR, "galeph.deferred"):
            deferred.report_dropped()
            deferred.report_dropped()

        told = sorted(record.exc_info[1].args[0] for record in caplog.records)
        assert list(range(1000)) == told

    @pytest.mark.parity("DEF-60")
    def test_logged_once(self, caplog):
        """report_dropped writes one line with the traceback, once."""
        deferred.error(ValueError("lost"))
        gc.collect()

        with caplog.at_level(logging.ERROR, "galeph.deferred"):
            deferred.report_dropped()
            deferred.report_dropped()

        [record] = caplog.records
        assert "galeph.deferred" == record.name
        assert "a deferred died in an error that nobody saw (ValueError)" in record.message
        assert "catch() it" in record.message
        assert "lost" == str(record.exc_info[1])

    @pytest.mark.parametrize(
        "next_one",
        [
            deferred.deferred,
            lambda: deferred.future(int),
            lambda: deferred.in_thread(int),
            lambda: deferred.error(KeyError()).exception,
            report_soon,
        ],
    )
    def test_logged_with_the_next(self, next_one, caplog):
        """The next deferred made or failed has the line written, in a greenlet of its own."""
        gevent.get_hub()
        deferred.error(ValueError("lost"))

        next_one()
        assert [] == caplog.messages
        settle()

        assert 1 == len(caplog.messages)

    def test_nothing_is_logged_by_the_collector(self, caplog):
        """A log handler that blocks does not do so where the garbage was collected."""
        deferred.error(ValueError("lost"))
        gc.collect()

        assert [] == caplog.messages

    def test_handler_that_blocks(self, caplog):
        """A log handler that waits holds up no other entry of the runner."""

        gate = Event()

        class Slow(logging.Handler):
            def emit(self, _):
                gate.wait()

        slow = Slow()
        logger = logging.getLogger("galeph.deferred")
        logger.addHandler(slow)
        try:
            deferred.error(ValueError("lost"))
            report_soon()
            d = Deferred()
            result = d.chain(str)
            d.success(1)
            assert "1" == result.get()
            gate.set()
            settle()
        finally:
            logger.removeHandler(slow)

        assert 1 == len(caplog.messages)

    def test_bounded(self):
        """Of very many dropped errors the newest are kept."""
        for n in range(_KEPT + 10):
            deferred.error(ValueError(n))

        errors = deferred.take_dropped()
        assert _KEPT == len(errors)
        assert _KEPT + 9 == errors[-1].args[0]

    def test_at_exit(self):
        """What is left at the end of the program is logged then."""
        program = textwrap.dedent(
            """
            from galeph import deferred
            deferred.error(ValueError("lost at the end"))
            """
        )

        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )

        assert "lost at the end" in done.stderr
        assert "nobody saw" in done.stderr

    def test_success_has_no_witness(self):
        """Only an error that nobody is looking at costs a witness."""
        waiting = Deferred()
        waiting.link(id)
        waiting.error(ValueError())

        assert deferred.success(1)._witness is None
        assert waiting._witness is None
        assert isinstance(deferred.error(ValueError())._witness, Witness)
        assert DROPPED.is_enabled
