"""What the stream tests get handed: a clock that moves when told to."""

from __future__ import annotations

import pytest

from galeph.testing import ManualClock


@pytest.fixture
def clock():
    """The default clock, standing still."""
    with ManualClock() as manual:
        yield manual
