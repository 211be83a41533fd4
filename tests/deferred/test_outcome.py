"""What stopped a greenlet, in galeph's words; and tracebacks without galeph's frames."""

from __future__ import annotations

from types import FunctionType

import gevent
import pytest
from gevent.event import AsyncResult

from galeph.deferred._outcome import (
    DEFERRABLE,
    NOTHING,
    PLAIN,
    cancelled,
    frames_of_origin,
    keep,
    stopped,
)
from galeph.errors import Cancelled, TimedOut


class TestStopped:
    @pytest.mark.parametrize(
        ("error", "expected", "text"),
        [
            (gevent.GreenletExit(), Cancelled, "the greenlet that did the work was killed"),
            (gevent.Timeout(3), TimedOut, "the work was stopped by a timeout: 3 seconds"),
            (SystemExit(1), Cancelled, "the work was stopped by SystemExit"),
            (KeyboardInterrupt(), Cancelled, "the work was stopped by KeyboardInterrupt"),
        ],
    )
    def test_becomes(self, error, expected, text):
        """A kill, an exit and a timeout become galeph's errors, with the cause chained."""
        said = stopped(error)

        assert expected is type(said)
        assert text == str(said)
        assert said.__cause__ is error

    def test_exception_stays(self):
        """An Exception is what it is."""
        error = ValueError()

        assert stopped(error) is error


class TestKeep:
    def test_drops_frames(self):
        """It cuts off so many frames from the outer end, and gives what is left."""

        def inner():
            raise ValueError

        with pytest.raises(ValueError) as caught:
            inner()
        error = caught.value
        trace = keep(error, 1)

        assert "inner" == trace.tb_frame.f_code.co_name
        assert error.__traceback__ is trace
        assert keep(error, 5) is None
        assert keep(error, 1) is None


class TestFramesOfOrigin:
    def test_a_generator_of_ours_goes_on(self):
        """The frame of one that has caught the error is left as it is: clearing would close it."""

        def ours():
            try:
                int("no number")
            except ValueError as error:
                yield error
            yield "more"

        made = FunctionType(ours.__code__, {**globals(), "__name__": "galeph.ours"})()
        error = next(made)

        assert frames_of_origin(error) is None
        assert "more" == next(made)


class TestNothing:
    def test_is_what_a_pending_one_holds(self):
        """NOTHING is the mark that gevent itself uses."""
        pending = AsyncResult()

        assert pending._value is NOTHING


class TestPlain:
    def test_nothing_plain_arrives_later(self):
        """No type that is taken for plain at a glance is deferrable."""
        assert not any(issubclass(kind, DEFERRABLE) for kind in PLAIN)


class TestCancelled:
    def test_reasons(self):
        """A text is the text, an exception is shown and chained, None says nothing."""
        error = ValueError("why")

        assert "cancelled" == str(cancelled(None))
        assert "enough" == str(cancelled("enough"))
        assert "cancelled: ValueError('why')" == str(cancelled(error))
        assert cancelled(error).__cause__ is error
