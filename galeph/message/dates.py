"""HTTP dates (RFC 9110 section 5.6.7). Pure: the moment is an argument.

Written out by hand: ``strftime`` follows the locale, and `email.utils` imports sockets.
"""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["format_date"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def format_date(timestamp: float) -> str:
    """Return the IMF-fixdate of ``timestamp`` (seconds since the epoch).

    Raises:
        ValueError, OverflowError: the year is not between 1 and 9999.
    """
    moment = datetime.fromtimestamp(int(timestamp // 1), UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment.time():%H:%M:%S} GMT"
