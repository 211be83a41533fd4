"""Where work runs: executors, and pools of objects, of a bounded and measured size.

An executor runs functions, so many at a time: `fixed_executor`, `utilization_executor`, or an
`InstrumentedExecutor` sized by a `Controller` of one's own. `InstrumentedPool` lends objects that
are costly to make. What they measure comes as `Stats`.
"""

from __future__ import annotations

from galeph.executor.controllers import (
    Controller,
    FixedController,
    PoolController,
    PoolUtilizationController,
    UtilizationController,
)
from galeph.executor.current import current, with_executor
from galeph.executor.instrumented_executor import (
    InstrumentedExecutor,
    fixed_executor,
    utilization_executor,
)
from galeph.executor.instrumented_pool import InstrumentedPool
from galeph.executor.stats import METRICS, QUANTILES, Metric, Stats

__all__ = [
    "METRICS",
    "QUANTILES",
    "Controller",
    "FixedController",
    "InstrumentedExecutor",
    "InstrumentedPool",
    "Metric",
    "PoolController",
    "PoolUtilizationController",
    "Stats",
    "UtilizationController",
    "current",
    "fixed_executor",
    "utilization_executor",
    "with_executor",
]

for _name in __all__:
    # Where users find them, in tracebacks and documentation too.
    if _name not in {"METRICS", "Metric", "QUANTILES"}:
        globals()[_name].__module__ = __name__
del _name
