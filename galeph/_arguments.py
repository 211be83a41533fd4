"""What a user's arguments must be, said before anything happens and by their own names.

Here is what every layer asks: flags, counts, numbers, times. The words are the same everywhere, so
that a reader of such an error knows which argument it was, what it may be and what it was. What
only networks have, ports and hosts, stands in ``galeph.transport.arguments``.

These are for the moment something is set up. Where an argument comes with every message the caller
asks about the usual type himself, and comes here with the others.
"""

from __future__ import annotations

import math
import sys
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from types import FunctionType
from typing import Any

__all__ = [
    "check_buffer",
    "check_callable",
    "check_count",
    "check_exception",
    "check_finite",
    "check_flag",
    "check_number",
    "check_seconds",
    "check_type",
    "named",
]

_ASYNC = CO_COROUTINE | CO_ASYNC_GENERATOR


def check_flag(name: str, value: Any) -> None:
    """Raise TypeError unless ``value`` is True or False: "no" would count as yes."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")


def check_callable(name: str, fn: object, *, optional: bool = False) -> None:
    """Raise TypeError unless ``fn`` can be called, and is not a function of asyncio's world.

    That returns what nobody here would ever run.
    """
    if type(fn) is FunctionType and not fn.__code__.co_flags & _ASYNC:
        # As nearly all are; each stage of a deferred is asked.
        return
    if fn is None and optional:
        return
    if not callable(fn):
        raise TypeError(f"{name} must be callable, not {fn!r}")
    code = getattr(fn, "__code__", None)
    if code is not None and code.co_flags & _ASYNC:
        raise TypeError(
            f"{name} must block and not await: {fn!r} is an async function (from_asyncio() runs "
            "what it returns)"
        )


def check_count(
    name: str, value: Any, *, least: int, most: int | None = None, optional: bool = False
) -> None:
    """Raise TypeError or ValueError unless ``value`` is an int from ``least`` to ``most``."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int{' or None' * optional}, not {value!r}")
    if most is not None and not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, got {value}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_number(name: str, value: Any, *, zero: bool = False) -> None:
    """Raise TypeError or ValueError unless ``value`` is a number above 0, or also 0.

    Args:
        name: of the argument.
        value: what was given.
        zero: whether it may be 0.
    """
    _check_real(name, value, "a number")
    _check_sign(name, value, "", zero=zero)


def check_seconds(
    name: str, value: Any, *, zero: bool = False, optional: bool = True, finite: bool = False
) -> None:
    """Raise TypeError or ValueError unless ``value`` is a time: not negative, and a number.

    Args:
        name: of the argument.
        value: what was given.
        zero: whether it may be 0.
        optional: whether it may be None.
        finite: whether it must end.
    """
    if value is None and optional:
        return
    _check_real(name, value, f"seconds{' or None' * optional}")
    _check_sign(name, value, " (None is no limit)" * optional, zero=zero)
    if finite and math.isinf(value):
        raise ValueError(f"{name} must be finite{' (None is no limit)' * optional}, got {value}")


def check_finite(name: str, value: Any) -> None:
    """Raise TypeError or ValueError unless ``value`` is a number that is not infinite."""
    _check_real(name, value, "a number")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def check_buffer(name: str, value: Any, *, is_metered: bool) -> None:
    """Raise TypeError or ValueError unless ``value`` can be the size of a buffer.

    It may be endless. Where nothing weighs the messages they are counted, and half of one has no
    room.
    """
    _check_real(name, value, "a number")
    if math.isnan(value):
        raise ValueError(f"{name} must be a number, got {value}")
    if not is_metered and math.isfinite(value) and value != int(value):
        raise ValueError(f"{name} must be a whole number where no metric weighs, got {value}")


def check_weight(weight: Any) -> float:
    """Return what a metric has returned, if it can be added up."""
    try:
        is_weight = weight >= 0
    except TypeError:
        raise TypeError(
            f"metric returned {weight!r} for a message; it must return a number"
        ) from None
    # Not NaN either.
    if not is_weight:
        raise ValueError(
            f"metric returned {weight!r} for a message; it must be 0 or more, not negative"
        )
    number: float = weight
    return number


def check_exception(name: str, value: Any) -> None:
    """Raise TypeError unless ``value`` can be raised: an exception, and not only its class."""
    if not isinstance(value, BaseException):
        raise TypeError(f"{name} must be an exception, not {value!r}")


def check_type(name: str, value: Any, kind: type, *, shown: str) -> None:
    """Raise TypeError unless ``value`` is None or of the class that users find as ``shown``."""
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be a {shown} or None, not {value!r}")


def named(name: str, error: TypeError | ValueError) -> TypeError | ValueError:
    """Return the same complaint with the argument's name before it: of a part of that argument."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{name}: {error}")


def _check_real(name: str, value: Any, what: str) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be {what}, not {value!r}")
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise ValueError(f"{name} is beyond any float")


def _check_sign(name: str, value: float, hint: str, *, zero: bool) -> None:
    if not (value >= 0 if zero else value > 0):  # which also holds back what is not a number
        what = "must not be negative" if zero else "must be above 0"
        raise ValueError(f"{name} {what}{hint}, got {value}")
