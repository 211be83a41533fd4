"""Time, as something that can be handed over, and work that is done at some time.

`Clock` is what everything in galeph waits by: the `default`, unless `with_clock` or `set_default`
says otherwise. `call_later`, `call_at` and `every` have a function called; `floor`, `add` and
`format_duration` calculate. Durations are seconds, moments are seconds since the epoch: 250 ms is
``0.25``, fifty times a second is ``every(1 / 50, ...)``.
"""

from __future__ import annotations

from galeph._clock import (
    Clock,
    SystemClock,
    Timer,
    check_limit,
    default,
    set_default,
    with_clock,
)
from galeph.clock.calendar import Unit, add, floor, format_duration
from galeph.clock.scheduler import Scheduler, SchedulerClock
from galeph.clock.scheduling import call_at, call_later, every

__all__ = [
    "Clock",
    "Scheduler",
    "SchedulerClock",
    "SystemClock",
    "Timer",
    "Unit",
    "add",
    "call_at",
    "call_later",
    "check_limit",
    "default",
    "every",
    "floor",
    "format_duration",
    "set_default",
    "with_clock",
]

for _name in __all__:
    # Where users find them, in tracebacks and documentation too.
    if _name != "Unit":
        globals()[_name].__module__ = __name__
del _name
