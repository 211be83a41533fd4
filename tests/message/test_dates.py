"""HTTP dates."""

from email.utils import formatdate

import pytest

from galeph.message.dates import format_date


class TestFormatDate:
    def test_writes_the_example_of_the_standard(self):
        """RFC 9110 section 5.6.7: the IMF-fixdate of its own example."""
        assert format_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"

    def test_pads_every_number(self):
        """Day, hours, minutes and seconds have two digits, the year four."""
        assert format_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
        assert format_date(-62135596800) == "Mon, 01 Jan 0001 00:00:00 GMT"

    def test_drops_fractions_towards_the_past(self):
        """A date has whole seconds and is never in the future of the moment it stands for."""
        assert format_date(784111777.999) == "Sun, 06 Nov 1994 08:49:37 GMT"
        assert format_date(-0.5) == "Wed, 31 Dec 1969 23:59:59 GMT"

    @pytest.mark.parametrize("month", range(12))
    def test_agrees_with_the_standard_library(self, month):
        """Every month and every weekday is spelled as `email.utils` spells it."""
        moments = [month * 2_678_400 + day * 86_400 + 1_700_000_000 for day in range(7)]

        assert [formatdate(at, usegmt=True) for at in moments] == [
            format_date(at) for at in moments
        ]

    def test_refuses_a_moment_no_date_can_say(self):
        """Years have four digits."""
        with pytest.raises((ValueError, OverflowError)):
            format_date(1e12)
