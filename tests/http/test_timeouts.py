"""`Timeouts`: seconds, validated, None for off."""

from __future__ import annotations

import dataclasses

import pytest

from galeph import http


def test_defaults():
    """Every wait has a limit by default."""
    assert all(getattr(http.Timeouts(), one.name) for one in dataclasses.fields(http.Timeouts))


def test_off():
    """None turns a limit off."""
    assert http.Timeouts(head=None).head is None


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
        ("5", TypeError),
        (True, TypeError),
    ],
)
def test_wrong_value(value, error):
    """What is no positive number of seconds is refused, by the name of the field."""
    with pytest.raises(error, match="keep_alive"):
        http.Timeouts(keep_alive=value)


def test_frozen():
    """A limit is not changed under a running server."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        http.Timeouts().head = 5
