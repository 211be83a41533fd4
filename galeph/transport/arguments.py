"""What a user's arguments must be, said before anything happens and by their own names."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = [
    "check_count",
    "check_handler",
    "check_host",
    "check_port",
    "check_seconds",
]


def check_port(port: Any, *, least: int = 0, name: str = "port") -> None:
    """Raise TypeError or ValueError unless ``port`` is an int from ``least`` to 65535."""
    check_count(name, port, least=least)
    if port > 65535:
        raise ValueError(f"{name} must be from {least} to 65535, got {port}")


def check_count(name: str, value: Any, *, least: int, optional: bool = False) -> None:
    """Raise TypeError or ValueError unless ``value`` is an int, and not below ``least``."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int{' or None' * optional}, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_seconds(name: str, value: Any, *, zero: bool = False, optional: bool = True) -> None:
    """Raise TypeError or ValueError unless ``value`` is a time: not negative, and a number.

    Args:
        name: of the argument.
        value: what was given.
        zero: whether it may be 0.
        optional: whether it may be None.
    """
    if value is None and optional:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be seconds{' or None' * optional}, not {value!r}")
    if not (value >= 0 if zero else value > 0):  # which also holds back what is not a number
        what = "must not be negative" if zero else "must be above 0"
        raise ValueError(f"{name} {what}{' (None is no limit)' * optional}, got {value}")


def check_host(host: Any, *, name: str = "host") -> None:
    """Raise TypeError unless ``host`` is text."""
    if not isinstance(host, str):
        raise TypeError(f"{name} must be a name or an address as str, not {host!r}")


def check_handler(handler: Any) -> None:
    """Raise TypeError unless ``handler`` is a function that does something when it is called."""
    if not callable(handler):
        raise TypeError(f"handler must be callable, not {handler!r}")
    called = handler if inspect.isroutine(handler) else type(handler).__call__
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise TypeError(f"handler must block and not await: {handler!r} is an async function")
    if inspect.isgeneratorfunction(called):
        raise TypeError(f"handler must return, not yield: {handler!r} is a generator function")
