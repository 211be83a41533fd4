"""Tools for testing what is built on galeph, and galeph itself.

Everything here is imported at first use: the pytest plugin in this package is loaded into every
pytest run of an environment that has galeph installed, also into those that want nothing of it,
and must therefore pull in neither gevent nor the rest of galeph.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from galeph.testing._kill_walk import Victim, kill_walk
    from galeph.testing.leaks import Leaks, Snapshot, no_leaks
    from galeph.testing.manual_clock import ManualClock
    from galeph.testing.transport_contract import check_transport

__all__ = [
    "Leaks",
    "ManualClock",
    "Snapshot",
    "Victim",
    "check_transport",
    "kill_walk",
    "no_leaks",
]

_HOMES = {
    "Leaks": "leaks",
    "ManualClock": "manual_clock",
    "Snapshot": "leaks",
    "Victim": "_kill_walk",
    "check_transport": "transport_contract",
    "kill_walk": "_kill_walk",
    "no_leaks": "leaks",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'galeph.testing' has no attribute {name!r}")
    return getattr(import_module(f"galeph.testing.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
