"""Calculating with moments and durations.

A moment is what `Clock.time` says: seconds since the epoch, in UTC and by its calendar. Up to a
week every unit is a fixed number of seconds, since UTC on a computer has no leap seconds; only
the month needs a calendar. A week begins on Monday (ISO 8601).
"""

from __future__ import annotations

import math
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from galeph._arguments import check_finite, check_seconds

__all__ = ["Unit", "add", "floor", "format_duration"]

Unit = Literal["millisecond", "second", "minute", "hour", "day", "week", "month"]

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
# The epoch was a Thursday; the Monday before it was three days earlier.
_MONDAY = -3 * 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def floor(timestamp: float, unit: Unit) -> float:
    """Return the beginning of the millisecond, second, …, month that a moment lies in.

    Args:
        timestamp: seconds since the epoch.
        unit: the name of one of the units.

    Raises:
        ValueError: no such unit, or no such moment.
    """
    check_finite("timestamp", timestamp)
    if unit == "month":
        return _seconds_of(_date_of(timestamp).replace(day=1))
    if unit == "millisecond":
        count = round(timestamp * 1000)
        return (count - 1) / 1000 if count / 1000 > timestamp else count / 1000
    length = _length_of(unit)
    origin = _MONDAY if unit == "week" else 0
    return float((math.floor(timestamp) - origin) // length * length + origin)


def add(timestamp: float, count: int, unit: Unit) -> float:
    """Return the moment so many units later, or earlier if ``count`` is negative.

    A month later is the same day of the next month, at the same time; if that month has no such
    day, its last one.

    Args:
        timestamp: seconds since the epoch.
        count: how many units.
        unit: the name of one of the units, as for `floor`.

    Raises:
        TypeError: ``count`` is no integer.
        ValueError: no such unit, or no such moment.
    """
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"count must be an int, not {count!r}")
    check_finite("timestamp", timestamp)
    if unit == "millisecond":
        return timestamp + count / 1000
    if unit != "month":
        return timestamp + count * _length_of(unit)
    day = _date_of(timestamp)
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    if not 1 <= year <= 9999:
        raise ValueError("timestamp and count must lead to a year from 1 to 9999")
    _, days = monthrange(year, month + 1)
    there = date(year, month + 1, min(day.day, days))
    return timestamp + _seconds_of(there) - _seconds_of(day)


def format_duration(seconds: float) -> str:
    """Write a duration as ``1d 2h 3m 4s``, without the parts that are zero.

    Fractions of a second are left out; less than a second is ``0s``.

    Raises:
        ValueError: ``seconds`` is negative, infinite or no number.
    """
    check_seconds("seconds", seconds, zero=True, optional=False, finite=True)
    left = int(seconds)
    parts = []
    for letter, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{letter}")
    return " ".join(parts) or "0s"


def _length_of(unit: Any) -> int:
    length = _SECONDS.get(unit) if isinstance(unit, str) else None
    if length is None:
        raise ValueError(f"unit must be millisecond, {', '.join(_SECONDS)} or month, not {unit!r}")
    return length


def _date_of(timestamp: float) -> date:
    try:
        # Whole seconds first: a timedelta would round a fraction up into the next day.
        return (_EPOCH + timedelta(seconds=math.floor(timestamp))).date()
    except OverflowError:
        raise ValueError(f"timestamp must lie in the years 1 to 9999, not {timestamp!r}") from None


def _seconds_of(day: date) -> float:
    return float((day - _EPOCH.date()).days * 86400)
