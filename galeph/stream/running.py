"""The runner greenlet that work is done in, and how long anything may keep the loop from its I/O.

What moves messages in a greenlet of galeph's own runs there (`run_soon`). Messages that are all
there need no wait, so whoever moves many of them gives way after each `SLICE`.
"""

from __future__ import annotations

import gevent

from galeph.deferred.producer import Work, runner_of

__all__ = ["LOOKS_AT_CLOCK", "SLICE", "SliceOver", "pass_on", "run_soon"]

# In seconds: what gevent allows its own callbacks. The clock is read after so many messages, which
# are one less than a power of two; a look costs 50 ns.
SLICE = 0.005
LOOKS_AT_CLOCK = 15


class SliceOver(Exception):
    """Raised where others are to run, for whoever knows how."""


def run_soon(work: Work) -> None:
    """Have ``work.run()`` called in the runner greenlet that continuations run in. Never switches.

    If it blocks there, another greenlet takes over what is queued behind it.
    """
    runner_of(gevent.get_hub()).submit(work)


def pass_on(error: BaseException, work: object) -> None:
    """Do with SystemExit and KeyboardInterrupt as gevent does when they end a greenlet."""
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        gevent.get_hub().handle_error(work, type(error), error, error.__traceback__)
