"""Where a thing was made: known only in debug mode, with ``GALEPH_DEBUG=1`` in the environment.

Looking at the caller's frame costs more than making a deferred, so without debug mode classes are
left as they are and nothing is paid. What is noted stands beside the things, not in them: they
have the same attributes, and allocate at the same moments, with debug mode and without.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["IS_DEBUG", "notes_origin", "origin_of"]

C = TypeVar("C", bound=type)

IS_DEBUG: Final = os.environ.get("GALEPH_DEBUG") == "1"

_CACHE_ORIGINS: WeakKeyDictionary[Any, tuple[str, int]] = WeakKeyDictionary()


def notes_origin(cls: C, *, is_on: bool = IS_DEBUG) -> C:
    """Have it noted where each instance of a class is made, if debug mode ``is_on``."""
    if is_on and cls.__weakrefoffset__:
        initialize = cls.__init__  # type: ignore[misc]  # that of this very class

        @wraps(initialize)
        def initialize_and_note(self: Any, *args: Any, **kwargs: Any) -> None:
            initialize(self, *args, **kwargs)
            _note(self)

        setattr(cls, "__init__", initialize_and_note)  # noqa: B010  (mypy forbids the assignment)
    return cls


def _note(thing: Any) -> None:
    frame = sys._getframe(2)
    # The first that is not galeph's own: it asked for the thing.
    while frame.f_globals.get("__name__", "").startswith("galeph."):
        if frame.f_back is None:
            return
        frame = frame.f_back
    _CACHE_ORIGINS[thing] = (frame.f_code.co_filename, frame.f_lineno)


def origin_of(thing: Any) -> str | None:
    """``file:line`` of the code, not galeph's, that made a thing; None if that is not known."""
    place = _CACHE_ORIGINS.get(thing)
    return None if place is None else f"{place[0]}:{place[1]}"
