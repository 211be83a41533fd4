"""How many examples a property is tried on: in CI the same few each time, at length ever new ones.

``make test-long`` (the option ``--long``) loads hypothesis's profile of this name before any test
is imported. What it finds is repeated as hypothesis says, or
with the same ``--hypothesis-seed``.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings

__all__ = ["LONG", "budget", "register_long_form"]

LONG = "galeph-long"
_EXAMPLES = 20_000


def register_long_form() -> None:
    """Make the profile known that `budget` looks for."""
    settings.register_profile(LONG, max_examples=_EXAMPLES, deadline=None, print_blob=True)


def budget(examples: int, **others: Any) -> settings:
    """Settings for a property: so many examples, or those of the long form. No deadline.

    A machine that has rules to choose from takes its ``stateful_step_count`` in both forms.
    """
    if settings.get_current_profile_name() == LONG:
        others.pop("derandomize", None)
        return settings(max_examples=_EXAMPLES, deadline=None, **others)
    return settings(max_examples=examples, deadline=None, **others)
