"""A value that arrives later: `Deferred`, and what makes and joins them.

`deferred`, `success`, `error`, `future` and `to_deferred` make one; `zip`, `alt` and `connect` join
several; everything else is a method. Code that does the work behind a deferred finds its side in
``galeph.deferred.producer``.
"""

from __future__ import annotations

from galeph.deferred._asyncio import from_asyncio, to_asyncio
from galeph.deferred._combine import alt, connect, zip
from galeph.deferred._deferred import Deferred
from galeph.deferred._dropped import (
    detect_dropped_errors,
    dropped_errors,
    report_dropped,
    take_dropped,
)
from galeph.deferred._flow import flow
from galeph.deferred._futures import to_future
from galeph.deferred._listeners import Listener, listener
from galeph.deferred._loop import loop, recur
from galeph.deferred._make import (
    deferred,
    error,
    future,
    is_deferrable,
    success,
    to_deferred,
    unwrap,
)
from galeph.deferred._onto import Executor, future_with
from galeph.deferred._outcome import Deferrable
from galeph.deferred._threads import ThreadPool, in_thread

__all__ = [
    "Deferrable",
    "Deferred",
    "Executor",
    "Listener",
    "ThreadPool",
    "alt",
    "connect",
    "deferred",
    "detect_dropped_errors",
    "dropped_errors",
    "error",
    "flow",
    "from_asyncio",
    "future",
    "future_with",
    "in_thread",
    "is_deferrable",
    "listener",
    "loop",
    "recur",
    "report_dropped",
    "success",
    "take_dropped",
    "to_asyncio",
    "to_deferred",
    "to_future",
    "unwrap",
    "zip",
]

for _name in __all__:
    # Where users find them, in tracebacks and documentation too.
    globals()[_name].__module__ = __name__
del _name
