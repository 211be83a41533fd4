"""What every layer asks of arguments, and in which words."""

import math
from http import HTTPStatus

import pytest

from galeph import bus, clock, executor, stream
from galeph._arguments import (
    check_buffer,
    check_callable,
    check_count,
    check_exception,
    check_finite,
    check_flag,
    check_number,
    check_seconds,
    check_type,
    check_weight,
    named,
)

BEYOND = 10**309  # the first power of ten that no float can be


class TestFlags:
    def test_both(self):
        """True and False are flags."""
        check_flag("f", True)
        check_flag("f", False)

    @pytest.mark.parametrize("value", ["no", "", 0, 1, None, []])
    def test_others(self, value):
        """Nothing else is, whether or not it counts as true."""
        with pytest.raises(TypeError, match=r"^f must be True or False, not "):
            check_flag("f", value)


async def wait(*_):
    pass


async def generate(*_):
    yield


class TestFunctions:
    def test_can_be_called(self):
        """Functions, classes, objects with a call; where it is optional, None."""
        for fn in (len, int, lambda: None, wait.__call__):
            check_callable("fn", fn)
        check_callable("fn", None, optional=True)
        for wrong in (None, 5, "f"):
            with pytest.raises(TypeError, match=f"fn must be callable, not {wrong!r}"):
                check_callable("fn", wrong)

    @pytest.mark.parametrize("fn", [wait, generate])
    @pytest.mark.parametrize(
        "call",
        [
            lambda fn: stream.map(fn, []),
            lambda fn: stream.consume([], fn),
            lambda fn: clock.call_later(1, fn),
            lambda fn: executor.fixed_executor(1).submit(fn),
            bus.EventBus,
        ],
        ids=["map", "consume", "call_later", "submit", "bus"],
    )
    def test_of_asyncio_are_refused(self, call, fn):
        """What they return nobody here would ever run."""
        with pytest.raises(TypeError, match=r"must block and not await: .* is an async function"):
            call(fn)


class TestCounts:
    def test_bounds(self):
        """The smallest and the largest are taken, any subclass of int, and None where it is one."""
        check_count("n", 1, least=1)
        check_count("n", 9, least=1, most=9)
        check_count("n", HTTPStatus.OK, least=1)
        check_count("n", None, least=1, optional=True)
        check_count("n", BEYOND, least=1)

    @pytest.mark.parametrize("value", ["1", 1.0, True, None, math.nan])
    def test_another_type(self, value):
        """A count is an int, and no bool."""
        with pytest.raises(TypeError, match=r"^n must be an int, not "):
            check_count("n", value, least=1)
        with pytest.raises(TypeError, match=r"^n must be an int or None, not "):
            check_count("n", value or "0", least=1, optional=True)

    def test_out_of_range(self):
        """One below and one above are refused, with the bounds."""
        with pytest.raises(ValueError, match=r"^n must be at least 1, got 0$"):
            check_count("n", 0, least=1)
        for wrong in (0, 10):
            with pytest.raises(ValueError, match=f"^n must be from 1 to 9, got {wrong}$"):
                check_count("n", wrong, least=1, most=9)


class TestNumbers:
    def test_bounds(self):
        """Whatever is above 0 is taken, endless too, and 0 where it may be."""
        check_number("n", 5e-324)
        check_number("n", math.inf)
        check_number("n", 0, zero=True)

    @pytest.mark.parametrize("value", ["1", True, None, [1]])
    def test_another_type(self, value):
        """A number is an int or a float."""
        with pytest.raises(TypeError, match=r"^n must be a number, not "):
            check_number("n", value)

    def test_out_of_range(self):
        """What is not above 0, not a number or beyond any float is refused."""
        for wrong in (0, -1, math.nan):
            with pytest.raises(ValueError, match=f"^n must be above 0, got {wrong}$"):
                check_number("n", wrong)
        for wrong in (-1, math.nan):
            with pytest.raises(ValueError, match=f"^n must not be negative, got {wrong}$"):
                check_number("n", wrong, zero=True)
        for wrong in (BEYOND, -BEYOND):
            with pytest.raises(ValueError, match=r"^n is beyond any float$"):
                check_number("n", wrong)


class TestTimes:
    def test_bounds(self):
        """A time is above 0, or 0 where it may be; None and endless are no limit."""
        check_seconds("t", 5e-324)
        check_seconds("t", 0, zero=True)
        check_seconds("t", math.inf)
        check_seconds("t", None)
        check_seconds("t", 1e308, finite=True)

    @pytest.mark.parametrize("value", [-1, 0, math.nan])
    def test_no_time(self, value):
        """What is not above 0 is none, nor what does not compare."""
        with pytest.raises(ValueError, match=r"^t must be above 0 \(None is no limit\), got "):
            check_seconds("t", value)
        with pytest.raises(ValueError, match=r"^t must not be negative"):
            check_seconds("t", value or -1, zero=True)

    def test_no_end(self):
        """Where it must end, infinity is none."""
        with pytest.raises(ValueError, match=r"^t must be finite, got inf$"):
            check_seconds("t", math.inf, optional=False, finite=True)

    @pytest.mark.parametrize("value", ["1", True, [1]])
    def test_another_type(self, value):
        """A time is an int or a float, and None only where it may be."""
        with pytest.raises(TypeError, match=r"^t must be seconds or None, not "):
            check_seconds("t", value)
        with pytest.raises(TypeError, match=r"^t must be seconds, not None"):
            check_seconds("t", None, optional=False)


class TestBuffers:
    def test_sizes(self):
        """A whole number is taken, below 0 too, and no end; a fraction where messages weigh."""
        for size in (0, 1, -1, 2.0, math.inf, -math.inf):
            check_buffer("b", size, is_metered=False)
        check_buffer("b", 1.5, is_metered=True)

    def test_wrong(self):
        """A fraction of a message, what is not a number, and another type are refused."""
        with pytest.raises(ValueError, match=r"^b must be a whole number where no metric weighs"):
            check_buffer("b", 1.5, is_metered=False)
        for is_metered in (True, False):
            with pytest.raises(ValueError, match=r"^b must be a number, got nan"):
                check_buffer("b", math.nan, is_metered=is_metered)
            for wrong in ("1", None, True):
                with pytest.raises(TypeError, match=r"^b must be a number, not "):
                    check_buffer("b", wrong, is_metered=is_metered)


def test_moments():
    """A moment is any number that is not infinite: what lies before the epoch is below 0."""
    for moment in (0, -1, 1.5):
        check_finite("m", moment)
    for wrong in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match=f"^m must be finite, got {wrong}$"):
            check_finite("m", wrong)
    for wrong in ("1", None, True, []):
        with pytest.raises(TypeError, match=r"^m must be a number, not "):
            check_finite("m", wrong)
    with pytest.raises(ValueError, match=r"^m is beyond any float$"):
        check_finite("m", BEYOND)


def test_exceptions():
    """An exception can be raised; its class, and a text, are none."""
    check_exception("e", KeyboardInterrupt())
    for wrong in (ValueError, "x", None):
        with pytest.raises(TypeError, match=r"^e must be an exception, not "):
            check_exception("e", wrong)


def test_types():
    """The class is called as users find it."""
    check_type("t", None, int, shown="galeph.Whole")
    check_type("t", 1, int, shown="galeph.Whole")
    with pytest.raises(TypeError, match=r"^t must be a galeph.Whole or None, not 'x'$"):
        check_type("t", "x", int, shown="galeph.Whole")


def test_naming():
    """What is wrong with a part of an argument is the same kind of error with its name."""
    wrong_type, wrong_value = named("a", TypeError("x")), named("a", UnicodeError("y"))

    assert (TypeError, "a: x") == (type(wrong_type), str(wrong_type))
    assert (ValueError, "a: y") == (type(wrong_value), str(wrong_value))


class TestWeights:
    @pytest.mark.parametrize("weight", [0, 1, 0.5, math.inf, True])
    def test_numbers(self, weight):
        """A metric may return any number that is not negative."""
        check_weight(weight)

    @pytest.mark.parametrize(
        ("weight", "error"),
        [(-1, ValueError), (math.nan, ValueError), ("a", TypeError), (None, TypeError)],
    )
    def test_others(self, weight, error):
        """What cannot be added up is an error that names the metric."""
        with pytest.raises(error, match="metric returned"):
            check_weight(weight)
