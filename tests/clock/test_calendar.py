"""Calculating with moments and durations."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from galeph import clock


def at(year, month, day, hour=0, minute=0, second=0, millisecond=0):
    """Seconds since the epoch of a moment in UTC."""
    return datetime(year, month, day, hour, minute, second, millisecond * 1000, UTC).timestamp()


class TestFormatDuration:
    @pytest.mark.parity("TIME-02")
    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [
            (0, "0s"),
            (0.999, "0s"),
            (1, "1s"),
            (59.9, "59s"),
            (60, "1m"),
            (3600, "1h"),
            (86400, "1d"),
            (3661, "1h 1m 1s"),
            (90061.5, "1d 1h 1m 1s"),
            (86401, "1d 1s"),
            (100 * 86400 + 7200, "100d 2h"),
        ],
    )
    def test_parts(self, seconds, expected):
        """Days, hours, minutes and seconds stand apart by blanks; zero parts and fractions go."""
        assert expected == clock.format_duration(seconds)

    @pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
    def test_no_duration(self, seconds):
        """What is no duration is refused."""
        with pytest.raises(ValueError, match="seconds"):
            clock.format_duration(seconds)


class TestFloor:
    @pytest.mark.parity("TIME-03")
    @pytest.mark.parametrize(
        ("unit", "expected"),
        [
            ("millisecond", at(2024, 2, 29, 13, 14, 15, 678)),
            ("second", at(2024, 2, 29, 13, 14, 15)),
            ("minute", at(2024, 2, 29, 13, 14)),
            ("hour", at(2024, 2, 29, 13)),
            ("day", at(2024, 2, 29)),
            ("week", at(2024, 2, 26)),
            ("month", at(2024, 2, 1)),
        ],
    )
    def test_units(self, unit, expected):
        """Each unit gives the beginning of the one the moment lies in, in UTC."""
        moment = at(2024, 2, 29, 13, 14, 15, 678) + 0.0004

        assert expected == clock.floor(moment, unit)

    @pytest.mark.parametrize(
        "unit", ["millisecond", "second", "minute", "hour", "day", "week", "month"]
    )
    def test_beginning_stays(self, unit):
        """The beginning of a unit is its own floor, and the moment before belongs to the last."""
        beginning = clock.floor(at(2024, 9, 2, 1, 2, 3, 4), unit)

        assert beginning == clock.floor(beginning, unit)
        assert clock.floor(beginning - 0.0005, unit) < beginning

    @pytest.mark.parity("TIME-03")
    @pytest.mark.parametrize("day", [1, 28, 29, 30, 31])
    def test_month_has_a_first_day(self, day):
        """A month begins on its first day at midnight, from wherever in it one comes."""
        assert at(2023, 12, 1) == clock.floor(at(2023, 12, day, 23, 59, 59, 999), "month")

    @pytest.mark.parametrize("milliseconds", range(1000, 1100))
    def test_every_millisecond_is_its_own(self, milliseconds):
        """A moment at a whole millisecond keeps it, whatever its float looks like."""
        assert milliseconds / 1000 == clock.floor(milliseconds / 1000, "millisecond")

    def test_before_the_epoch(self):
        """Before 1970 rounding goes down too, not toward zero."""
        moment = at(1969, 12, 31, 23, 59, 59, 500)

        assert -1.0 == clock.floor(moment, "second")
        assert -86400.0 == clock.floor(moment, "day")
        assert at(1969, 12, 29) == clock.floor(moment, "week")
        assert at(1969, 12, 1) == clock.floor(moment, "month")

    @pytest.mark.parity("TIME-03")
    @pytest.mark.parametrize("unit", ["year", "Day", "days", "", None])
    def test_other_units(self, unit):
        """Any other unit is refused, with the list of those there are."""
        with pytest.raises(ValueError, match="unit must be millisecond, second, minute, hour"):
            clock.floor(0.0, unit)

    @pytest.mark.parametrize("timestamp", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("unit", ["second", "month"])
    def test_no_moment(self, timestamp, unit):
        """What is no moment is refused."""
        with pytest.raises(ValueError, match="timestamp"):
            clock.floor(timestamp, unit)

    def test_beyond_the_calendar(self):
        """A month after the year 9999 is refused, not an OverflowError."""
        with pytest.raises(ValueError, match="9999"):
            clock.floor(1e15, "month")


class TestAdd:
    @pytest.mark.parity("TIME-04")
    @pytest.mark.parametrize(
        ("unit", "expected"),
        [
            ("millisecond", at(2024, 2, 28, 12, 0, 0, 2)),
            ("second", at(2024, 2, 28, 12, 0, 2)),
            ("minute", at(2024, 2, 28, 12, 2)),
            ("hour", at(2024, 2, 28, 14)),
            ("day", at(2024, 3, 1, 12)),
            ("week", at(2024, 3, 13, 12)),
            ("month", at(2024, 4, 28, 12)),
        ],
    )
    def test_units(self, unit, expected):
        """Two units later, in UTC and by the calendar."""
        assert expected == clock.add(at(2024, 2, 28, 12), 2, unit)

    @pytest.mark.parity("TIME-04")
    @pytest.mark.parametrize(
        ("moment", "count", "expected"),
        [
            (at(2023, 1, 31, 8), 1, at(2023, 2, 28, 8)),
            (at(2024, 1, 31, 8), 1, at(2024, 2, 29, 8)),
            (at(2024, 3, 31), -1, at(2024, 2, 29)),
            (at(2024, 2, 29), 12, at(2025, 2, 28)),
            (at(2024, 11, 30), 1, at(2024, 12, 30)),
            (at(2024, 12, 31), 1, at(2025, 1, 31)),
            (at(2024, 1, 15), -1, at(2023, 12, 15)),
            (at(2024, 1, 15), -25, at(2021, 12, 15)),
            (at(9999, 11, 30), 1, at(9999, 12, 30)),
        ],
    )
    def test_months(self, moment, count, expected):
        """A month later is the same day at the same time, or the month's last day."""
        assert expected == clock.add(moment, count, "month")

    def test_nothing_added(self):
        """Nothing later is the same moment, fraction included."""
        for unit in ("millisecond", "second", "month"):
            assert 12345.678 == clock.add(12345.678, 0, unit)

    def test_other_units(self):
        """Any other unit is refused."""
        with pytest.raises(ValueError, match="unit"):
            clock.add(0.0, 1, "year")

    def test_half_units(self):
        """Half a month has no meaning, so a count is a whole number."""
        with pytest.raises(TypeError, match="count"):
            clock.add(0.0, 0.5, "month")

    @pytest.mark.parametrize(("moment", "count"), [(at(9999, 12, 1), 1), (at(1, 1, 1), -1)])
    def test_beyond_the_calendar(self, moment, count):
        """What leaves the years 1 to 9999 is refused."""
        with pytest.raises(ValueError, match="9999"):
            clock.add(moment, count, "month")
