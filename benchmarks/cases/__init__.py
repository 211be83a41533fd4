"""The cases: each module here holds one or more in ``CASES``.

A new case is a new module with a table: what the load does, who takes part, and what the ratios
should be. Nothing else has to be told about it.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from benchmarks.model import Case

__all__ = ["load_cases"]

# The tables show these first, in this order; then the others by name.
_FIRST = ("http_server", "tcp_echo", "stream", "deferred")


def load_cases() -> dict[str, Case]:
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    names = [*(name for name in _FIRST if name in found), *sorted(found.difference(_FIRST))]
    modules = [import_module(f"{__name__}.{name}") for name in names]
    cases = [case for module in modules for case in module.CASES]
    return {case.name: case for case in cases}
