"""HTTP dates (RFC 9110 section 5.6.7). Pure: the moment is an argument."""

from __future__ import annotations

from email.utils import formatdate

__all__ = ["format_date"]


def format_date(timestamp: float) -> str:
    """Return the IMF-fixdate of ``timestamp`` (seconds since the epoch)."""
    return formatdate(timestamp, usegmt=True)
